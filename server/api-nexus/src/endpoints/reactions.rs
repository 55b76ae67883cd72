//! `/channels/{channel_id}/messages/{message_id}/reactions/{emoji}`: `GET` who reacted; `PUT …/@me`,
//! `DELETE …/{user_id}` (`@me` included); `DELETE` of one emoji or of all.
//!
//! An emoji is its Unicode text, percent-encoded once; custom emoji come with the media.

use axum::{Json, extract::State, http::StatusCode};
use nexus_event_store::{UserNo, rows::EventPlace};
use nexus_rooms::{Redact, Rejection, Rooms, RoomsError, SendEvent};
use nexus_views::{Channel, Message, Permissions, Views};
use ruma::{CanonicalJsonValue, OwnedEventId};
use serde_json::{Value, json};

use crate::{
    auth::Caller,
    error::{ApiError, Unknown},
    gateway::{Announcement, Gateway, Intents},
    objects::{Objects, message::emoji_json},
    params::{Path, Query},
};

const EMOJI_BYTES: usize = 64;
/// So many different emoji on one message.
const KINDS_MAX: usize = 20;

struct Target {
    channel: Channel,
    message: Message,
    emoji: String,
}

async fn target(
    objects: &Objects,
    caller: &Caller,
    path: &Path,
    wanted: Permissions,
) -> Result<Target, ApiError> {
    let channel = objects.channel_of(path.id("channel_id")?, caller.user(), wanted).await?;
    let message = objects.message_of(&channel, path.id("message_id")?).await?;
    let emoji = path.text("emoji").to_owned();
    Ok(Target { channel, message, emoji })
}

/// Whether a text can be an emoji: short, no spaces, and something in it beyond ASCII.
fn is_emoji(text: &str) -> bool {
    let odd = |character: char| character.is_whitespace() || character.is_control() || character == ':';
    text.len() <= EMOJI_BYTES && !text.is_ascii() && !text.chars().any(odd)
}

pub(crate) async fn add(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<StatusCode, ApiError> {
    if path.text("user_id") != "@me" {
        return Err(ApiError::NoSuchMethod);
    }
    let Target { channel, message, emoji } =
        target(&objects, &caller, &path, Permissions::READ_MESSAGE_HISTORY).await?;
    // Whatever is already on the message may be joined, also what a Matrix client put there.
    let is_there = message.reactions.iter().any(|reaction| reaction.key == emoji);
    if !is_there && !is_emoji(&emoji) {
        return Err(ApiError::Unknown(Unknown::Emoji));
    }
    if !is_there && message.reactions.len() >= KINDS_MAX {
        return Err(ApiError::TooMany { what: "reactions", limit: KINDS_MAX });
    }
    let relates = json!({
        "m.relates_to": {
            "rel_type": "m.annotation", "event_id": message.event.pdu.event_id(), "key": emoji,
        },
    });
    let Ok(CanonicalJsonValue::Object(content)) = CanonicalJsonValue::try_from(relates) else {
        return Err(ApiError::Internal);
    };
    let event = SendEvent {
        room: channel.room_id,
        event_type: "m.reaction".to_owned(),
        state_key: None,
        content,
        txn: None,
    };
    match rooms.send(&caller.actor(), event).await {
        Ok(_) | Err(RoomsError::Rejected(Rejection::DuplicateReaction)) => Ok(StatusCode::NO_CONTENT),
        Err(error) => Err(error.into()),
    }
}

pub(crate) async fn remove(
    State(rooms): State<Rooms>,
    State(views): State<Views>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<StatusCode, ApiError> {
    let user = match path.id_or_me("user_id")? {
        None => caller.user(),
        Some(id) => objects.user_of(id).await?,
    };
    let wanted = if user == caller.user() { Permissions::NONE } else { Permissions::MANAGE_MESSAGES };
    let target = target(&objects, &caller, &path, wanted).await?;
    let Some(reaction) = reaction_of(&views, &target, user).await? else {
        // Nothing of one's own to take back is as good as taken back.
        let is_own = user == caller.user();
        return if is_own { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::Unknown(Unknown::Emoji)) };
    };
    let redact = Redact { room: target.channel.room_id, event_id: reaction, reason: None, txn: None };
    rooms.redact(&caller.actor(), redact).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn reaction_of(views: &Views, target: &Target, user: UserNo) -> Result<Option<OwnedEventId>, ApiError> {
    let (room, message) = (target.channel.room, target.message.event.no);
    let event = views.reaction(room, message, &target.emoji, user).await?;
    let Some(event) = event else { return Ok(None) };
    Ok(Some(views.event(EventPlace { room, event }).await?.pdu.event_id().to_owned()))
}

/// All reactions with one emoji, or all at all.
pub(crate) async fn clear(
    State(rooms): State<Rooms>,
    State(gateway): State<Gateway>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<StatusCode, ApiError> {
    let target = target(&objects, &caller, &path, Permissions::MANAGE_MESSAGES).await?;
    let message = EventPlace { room: target.channel.room, event: target.message.event.no };
    let emoji = (!target.emoji.is_empty()).then(|| target.emoji.clone());
    rooms.clear_reactions(caller.actor(), message, emoji).await?;
    gateway.announce(cleared(&target));
    Ok(StatusCode::NO_CONTENT)
}

/// The summary of what the log says reaction by reaction.
fn cleared(target: &Target) -> Announcement {
    let mut d = json!({
        "channel_id": target.channel.id.to_string(),
        "message_id": target.message.id.to_string(),
        "guild_id": target.channel.guild_id.to_string(),
    });
    let name = if target.emoji.is_empty() {
        "MESSAGE_REACTION_REMOVE_ALL"
    } else {
        d["emoji"] = emoji_json(&target.emoji);
        "MESSAGE_REACTION_REMOVE_EMOJI"
    };
    Announcement {
        guild: target.channel.guild,
        channel: target.channel.room,
        intent: Intents::GUILD_MESSAGE_REACTIONS,
        needs: Permissions::VIEW_CHANNEL,
        name,
        d: d.to_string(),
        only: None,
    }
}

pub(crate) async fn list(
    State(views): State<Views>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    query: Query,
) -> Result<Json<Value>, ApiError> {
    let limit = query.limit(100, 25)?;
    let after = query.id("after")?;
    let target = target(&objects, &caller, &path, Permissions::READ_MESSAGE_HISTORY).await?;
    let found = target.message.reactions.iter().find(|reaction| reaction.key == target.emoji);
    let mut users = Vec::new();
    for user in found.into_iter().flat_map(|reaction| &reaction.users) {
        users.push((views.user_snowflake(*user).await?, *user));
    }
    users.sort_unstable();
    let mut objects_of = Vec::new();
    for (_, user) in users.iter().filter(|(id, _)| after.is_none_or(|after| *id > after)).take(limit) {
        objects_of.push(objects.user(*user, Some(target.channel.guild)).await?);
    }
    Ok(Json(Value::Array(objects_of)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emoji_are_told_from_text() {
        for emoji in ["👍", "❤️", "1️⃣", "👨‍👩‍👧‍👦", "🏳️‍🌈"] {
            assert!(is_emoji(emoji), "{emoji}");
        }
        for text in ["", "a", "name:123", "👍 👍", "é\n", "\u{0}👍", &"👍".repeat(17)] {
            assert!(!is_emoji(text), "{text:?}");
        }
    }
}
