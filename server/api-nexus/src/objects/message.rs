//! Message objects.
//!
//! A message is an event, its newest edit and its reactions. Who may not see the content of others'
//! messages gets the same object with the content taken out ([`without_content`]).

use std::collections::BTreeMap;

use nexus_event_store::{RoomNo, Snowflake, UserNo};
use nexus_views::{Event, Message, ReactionCount, polls::is_start};
use ruma::{EventId, RoomId, UserId};
use serde_json::{Value, json};

use super::{Built, Objects};
use crate::{
    message_content::{Content, content_of},
    snowflake::iso_time,
    text::{self, Piece},
};

/// Discord's message types that occur.
const DEFAULT: u8 = 0;
const PINNED: u8 = 6;
const THREAD_CREATED: u8 = 18;
const REPLY: u8 = 19;
const THREAD_STARTER: u8 = 21;

/// Where a message is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) guild: RoomNo,
    pub(crate) guild_id: Snowflake,
    pub(crate) channel_id: Snowflake,
}

/// What a message object is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) event: &'a Event,
    pub(crate) id: Snowflake,
    pub(crate) author: UserNo,
    pub(crate) edit: Option<&'a Event>,
    pub(crate) reactions: &'a [ReactionCount],
}

impl<'a> Parts<'a> {
    /// A message as it stands.
    pub(crate) fn of(message: &'a Message) -> Self {
        Self {
            event: &message.event,
            id: message.id,
            author: message.author,
            edit: message.edit.as_deref(),
            reactions: &message.reactions,
        }
    }
}

impl Objects {
    /// A message object with the message it answers. `viewer` decides the `me` of reactions.
    pub(crate) async fn message(&self, place: Place, parts: Parts<'_>, viewer: Option<UserNo>) -> Built {
        let is_shown = self.views.shows_content(parts.event, viewer).await?;
        let mut object = self.whole_message(place, parts, viewer).await?;
        if !is_shown {
            without_content(&mut object);
        }
        Ok(object)
    }

    async fn whole_message(&self, place: Place, parts: Parts<'_>, viewer: Option<UserNo>) -> Built {
        let content = content_of(parts.event, parts.edit);
        let mut object = self.flat_message(place, parts, &content, viewer).await?;
        if parts.event.pdu.event_type() == "m.room.pinned_events" {
            object["type"] = PINNED.into();
            object["message_reference"] = json!({
                "type": 0,
                "message_id": self.pin_change(parts.event).await?.map(|id| id.to_string()),
                "channel_id": place.channel_id.to_string(),
                "guild_id": place.guild_id.to_string(),
            });
        } else if content.starts_thread && parts.id != place.channel_id {
            object["type"] = THREAD_CREATED.into();
            object["message_reference"] =
                json!({ "channel_id": parts.id.to_string(), "guild_id": place.guild_id.to_string() });
        }
        if is_start(parts.event.pdu.event_type())
            && let Some(poll) = self.poll(parts.event, viewer).await?
        {
            object["poll"] = poll;
        }
        let Some(answered) = &content.reply_to else { return Ok(object) };
        let Some(answered) = self.answered(parts.event.room, answered).await? else { return Ok(object) };
        object["type"] = REPLY.into();
        object["message_reference"] = json!({
            "type": 0,
            "message_id": answered.to_string(),
            "channel_id": place.channel_id.to_string(),
            "guild_id": place.guild_id.to_string(),
        });
        object["referenced_message"] = match self.views.message(parts.event.room, answered).await? {
            Some(message) => {
                let parts = Parts::of(&message);
                let content = content_of(parts.event, parts.edit);
                self.flat_message(place, parts, &content, viewer).await?
            }
            None => Value::Null,
        };
        Ok(object)
    }

    /// The snowflake of an answered message, deleted ones included.
    async fn answered(&self, room: RoomNo, event_id: &str) -> Built<Option<Snowflake>> {
        let Ok(event_id) = <&EventId>::try_from(event_id) else { return Ok(None) };
        let event = self.views.event_by_id(event_id).await?;
        Ok(event.filter(|event| event.room == room).and_then(|event| event.snowflake))
    }

    async fn flat_message(
        &self,
        place: Place,
        parts: Parts<'_>,
        content: &Content,
        viewer: Option<UserNo>,
    ) -> Built {
        let edited = parts.edit.map(|edit| iso_time(edit.pdu.origin_server_ts().get().into()));
        let reactions: Vec<Value> =
            parts.reactions.iter().map(|reaction| reaction_json(reaction, viewer)).collect();
        Ok(json!({
            "id": parts.id.to_string(),
            "event_id": parts.event.pdu.event_id(),
            "type": DEFAULT,
            "channel_id": place.channel_id.to_string(),
            "content": self.shown_text(&content.source).await?,
            "author": self.user(parts.author, Some(place.guild)).await?,
            "timestamp": iso_time(parts.id.unix_ms()),
            "edited_timestamp": edited,
            "tts": false,
            "mention_everyone": content.mentions_everyone,
            "mentions": self.mentioned(place.guild, &content.mentions).await?,
            "mention_roles": content.mention_roles,
            "mention_channels": [],
            "attachments": self.attachments(place, parts.id, &content.attachments).await?,
            "embeds": content.embeds,
            "components": content.components,
            "reactions": reactions,
            "pinned": false,
            "flags": content.flags,
        }))
    }

    async fn mentioned(&self, guild: RoomNo, user_ids: &[String]) -> Built<Vec<Value>> {
        let mut users = Vec::new();
        for user_id in user_ids.iter().take(100) {
            if let Some(user) = self.known_user(user_id).await? {
                let mut object = self.user(user, Some(guild)).await?;
                if let Some(member) = self.bare_member_of(guild, user).await? {
                    object["member"] = member;
                }
                users.push(object);
            }
        }
        Ok(users)
    }

    /// Text with the snowflakes of what it mentions.
    pub(crate) async fn shown_text(&self, source: &str) -> Built<String> {
        let (mut users, mut channels) = (BTreeMap::new(), BTreeMap::new());
        for piece in text::scan_source(source) {
            match piece {
                Piece::User(user, _) => {
                    if let Some(known) = self.known_user(user).await? {
                        users.insert(user, self.views.user_snowflake(known).await?);
                    }
                }
                Piece::Channel(room) => {
                    if let Some(id) = self.known_room(room).await? {
                        channels.insert(room, id);
                    }
                }
                Piece::Text(_) => {}
            }
        }
        Ok(text::show(source, |user| users.get(user).copied(), |room| channels.get(room).copied()))
    }

    async fn known_user(&self, user_id: &str) -> Built<Option<UserNo>> {
        let Ok(user_id) = <&UserId>::try_from(user_id) else { return Ok(None) };
        Ok(self.views.user_no(user_id).await?)
    }

    async fn known_room(&self, room_id: &str) -> Built<Option<Snowflake>> {
        let Ok(room_id) = <&RoomId>::try_from(room_id) else { return Ok(None) };
        match self.views.room_no(room_id).await? {
            Some(room) => Ok(self.views.room_snowflake(room).await?),
            None => Ok(None),
        }
    }
}

fn reaction_json(reaction: &ReactionCount, viewer: Option<UserNo>) -> Value {
    json!({
        "emoji": emoji_json(&reaction.key),
        "count": reaction.count,
        "count_details": { "burst": 0, "normal": reaction.count },
        "burst_colors": [],
        "me": viewer.is_some_and(|viewer| reaction.users.contains(&viewer)),
        "me_burst": false,
        "burst_me": false,
    })
}

/// A Unicode emoji.
pub(crate) fn emoji_json(key: &str) -> Value {
    json!({ "id": null, "name": key })
}

/// What a thread shows in the place of the message that it hangs on.
pub(crate) fn thread_starter(mut object: Value, referenced: Value) -> Value {
    object["type"] = THREAD_STARTER.into();
    object["message_reference"] = json!({
        "type": 0,
        "message_id": referenced["id"],
        "channel_id": referenced["channel_id"],
    });
    for (field, empty) in [
        ("content", json!("")),
        ("embeds", json!([])),
        ("components", json!([])),
        ("attachments", json!([])),
        ("reactions", json!([])),
    ] {
        object[field] = empty;
    }
    object["referenced_message"] = referenced;
    object
}

/// Takes out what only those may see who asked for message content.
pub(crate) fn without_content(message: &mut Value) {
    for (field, empty) in
        [("content", json!("")), ("embeds", json!([])), ("components", json!([])), ("attachments", json!([]))]
    {
        message[field] = empty;
    }
    if message["referenced_message"].is_object() {
        without_content(&mut message["referenced_message"]);
    }
}
