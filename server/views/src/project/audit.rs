//! Entries of the audit log: what a steward's event does, judged by the views as they are before it.

use nexus_event_store::{
    EventNo, RoomNo, Rows as _, StoreError, Tx, UserNo,
    catalogue::{EventPlaces, Events, RoomNumbers, UserNumbers},
    codec::Text,
    event_id::EventIdKey,
    rows::EventRow,
};
use ruma::UserId;
use serde_json::Value;

use super::{NewEvent, message::type_of, strings, text};
use crate::{
    Event,
    actor::shown_actor,
    audit::{Audit, AuditAction as Action, AuditRow, AuditTarget as Target, entry_id},
    pins::Pinned,
    project::is_message_type,
    rows::{GuildChannels, GuildMembers, GuildOverwrites, GuildRoles, Guilds, Infos, Members, Membership},
    threads::Threads,
};

/// Notes a steward's event that carries out somebody's request.
pub(super) async fn project(tx: &Tx, event: NewEvent<'_>, content: &Value) -> Result<(), StoreError> {
    let Some(actor) = shown_actor(event.pdu) else { return Ok(()) };
    let actor = tx.intern_user(actor.as_str()).await?;
    let Some(guild) = guild_of(tx, event.room).await? else { return Ok(()) };
    let found = if guild == event.room {
        in_guild(tx, event, content).await?
    } else {
        in_channel(tx, event, content, actor).await?
    };
    if let Some((action, target)) = found {
        let id = entry_id(event.pdu.origin_server_ts().get().into(), event.no);
        let place = nexus_event_store::rows::EventPlace { room: event.room, event: event.no };
        tx.put::<Audit>(&(guild, id), &AuditRow { place, action, actor, target });
    }
    Ok(())
}

/// Forgets what an event did that is redacted.
pub(super) async fn forget(tx: &Tx, event: &Event) -> Result<(), StoreError> {
    if shown_actor(&event.pdu).is_none() {
        return Ok(());
    }
    let id = entry_id(event.pdu.origin_server_ts().get().into(), event.no);
    if let Some(guild) = guild_of(tx, event.room).await? {
        tx.delete::<Audit>(&(guild, id));
    }
    Ok(())
}

async fn guild_of(tx: &Tx, room: RoomNo) -> Result<Option<RoomNo>, StoreError> {
    match tx.row::<Guilds>(&room).await? {
        Some(_) => Ok(Some(room)),
        None => Ok(tx.row::<Infos>(&room).await?.and_then(|info| info.guild)),
    }
}

type Found = Option<(Action, Target)>;

/// What a request asks for, as it says itself.
fn requested(content: &Value) -> &str {
    content["nexus.actor"]["action"].as_str().unwrap_or_default()
}

async fn in_guild(tx: &Tx, event: NewEvent<'_>, content: &Value) -> Result<Found, StoreError> {
    let room = event.room;
    let Some(key) = event.pdu.state_key() else { return Ok(None) };
    Ok(match event.pdu.event_type() {
        "nexus.guild" | "m.room.name" | "m.room.topic" | "m.room.avatar" => {
            (requested(content) != "guild.create").then_some((Action::GuildUpdate, Target::Guild))
        }
        "nexus.channel" => {
            let Some(channel) = tx.row::<RoomNumbers>(&Text::from(key)).await? else { return Ok(None) };
            let was = tx.row::<GuildChannels>(&(room, channel)).await?.is_some();
            let is = text(content, "kind").is_some();
            let of = [Action::ChannelCreate, Action::ChannelUpdate, Action::ChannelDelete];
            change(was, is, of).map(|action| (action, Target::Channel(channel)))
        }
        "nexus.role" => {
            if requested(content) == "bot.add" {
                return Ok(None);
            }
            let id = if key == "everyone" { 0 } else { key.parse().unwrap_or(0) };
            let was = tx.row::<GuildRoles>(&(room, Text::from(key))).await?.is_some();
            let is = text(content, "name").is_some();
            let of = [Action::RoleCreate, Action::RoleUpdate, Action::RoleDelete];
            change(was, is, of).map(|action| (action, Target::Role(id)))
        }
        "nexus.overwrite" => overwrite(tx, key, content).await?,
        "nexus.member" => member(tx, room, content).await?,
        "m.room.member" => membership(tx, room, key, content).await?,
        _ => None,
    })
}

/// What becomes of something that was there or not and is or is not.
fn change(was: bool, is: bool, [made, changed, gone]: [Action; 3]) -> Option<Action> {
    match (was, is) {
        (false, true) => Some(made),
        (true, true) => Some(changed),
        (true, false) => Some(gone),
        (false, false) => None,
    }
}

async fn overwrite(tx: &Tx, key: &str, content: &Value) -> Result<Found, StoreError> {
    let Some(channel) = text(content, "channel") else { return Ok(None) };
    let Some(channel) = tx.row::<RoomNumbers>(&Text(channel)).await? else { return Ok(None) };
    let before = tx.row::<GuildOverwrites>(&(channel, Text::from(key))).await?;
    let is = text(content, "role").is_some() || text(content, "user").is_some();
    let of = [Action::OverwriteCreate, Action::OverwriteUpdate, Action::OverwriteDelete];
    Ok(change(before.is_some(), is, of).map(|action| (action, Target::Channel(channel))))
}

async fn member(tx: &Tx, guild: RoomNo, content: &Value) -> Result<Found, StoreError> {
    let Some(user) = text(content, "user") else { return Ok(None) };
    if UserId::parse(&user).is_err() {
        return Ok(None);
    }
    let user = tx.intern_user(&user).await?;
    if requested(content) == "bot.add" {
        return Ok(Some((Action::BotAdd, Target::User(user))));
    }
    let mut before = tx.row::<GuildMembers>(&(guild, user)).await?.unwrap_or_default().roles;
    let mut now: Vec<u64> = strings(content, "roles").iter().filter_map(|id| id.parse().ok()).collect();
    before.sort_unstable();
    now.sort_unstable();
    let action = if before == now { Action::MemberUpdate } else { Action::MemberRoleUpdate };
    Ok(Some((action, Target::User(user))))
}

async fn membership(tx: &Tx, guild: RoomNo, user: &str, content: &Value) -> Result<Found, StoreError> {
    let user = tx.intern_user(user).await?;
    let before = tx.row::<Members>(&(guild, user)).await?.map(|row| row.membership);
    let now = content.get("membership").and_then(Value::as_str).and_then(Membership::parse);
    let action = match (before, now, requested(content)) {
        (_, _, "guild.delete") => return Ok(None),
        (Some(Membership::Ban), Some(Membership::Ban), _) => return Ok(None),
        (_, Some(Membership::Ban), _) => Action::BanAdd,
        (Some(Membership::Ban), Some(Membership::Leave), _) => Action::BanRemove,
        (Some(Membership::Join), Some(Membership::Leave), "prune" | "member.prune") => Action::MemberPrune,
        (Some(Membership::Join), Some(Membership::Leave), _) => Action::MemberKick,
        _ => return Ok(None),
    };
    Ok(Some((action, Target::User(user))))
}

async fn in_channel(
    tx: &Tx,
    event: NewEvent<'_>,
    content: &Value,
    actor: UserNo,
) -> Result<Found, StoreError> {
    let room = event.room;
    match (event.pdu.event_type(), event.pdu.state_key()) {
        ("m.room.name" | "m.room.topic", Some("")) => {
            Ok(Some((Action::ChannelUpdate, Target::Channel(room))))
        }
        ("m.room.pinned_events", Some("")) => pins(tx, event, content).await,
        ("nexus.thread", Some(root)) => {
            let Some(place) = tx.row::<EventPlaces>(&EventIdKey::from(root)).await? else { return Ok(None) };
            if place.room != room {
                return Ok(None);
            }
            let before = tx.row::<Threads>(&(room, place.event)).await?;
            let was = before.is_some_and(|row| row.state.is_some());
            let is = text(content, "name").is_some();
            let of = [Action::ThreadCreate, Action::ThreadUpdate, Action::ThreadDelete];
            Ok(change(was, is, of).map(|action| (action, Target::Thread(room, place.event))))
        }
        ("m.room.redaction", None) => deletion(tx, room, content, actor).await,
        _ => Ok(None),
    }
}

/// One message more or less in the list of pins: its author is the target.
async fn pins(tx: &Tx, event: NewEvent<'_>, content: &Value) -> Result<Found, StoreError> {
    let before: Vec<EventNo> =
        tx.row::<Pinned>(&event.room).await?.unwrap_or_default().pins.iter().map(|pin| pin.event).collect();
    let mut now = Vec::new();
    for id in strings(content, "pinned") {
        let place = tx.row::<EventPlaces>(&EventIdKey::from(id.as_str())).await?;
        now.extend(
            place.filter(|place| place.room == event.room && place.event < event.no).map(|at| at.event),
        );
    }
    let added = now.iter().find(|pin| !before.contains(pin));
    let (action, message) = match added.or_else(|| before.iter().find(|pin| !now.contains(pin))) {
        Some(message) if added.is_some() => (Action::MessagePin, *message),
        Some(message) => (Action::MessageUnpin, *message),
        None => return Ok(None),
    };
    let row = tx.existing::<Events>(&(event.room, message)).await?;
    Ok(sender_of(tx, &row).await?.map(|author| (action, Target::User(author))))
}

/// Another's message that was deleted.
async fn deletion(tx: &Tx, room: RoomNo, content: &Value, actor: UserNo) -> Result<Found, StoreError> {
    let Some(target) = text(content, "redacts") else { return Ok(None) };
    let Some(place) = tx.row::<EventPlaces>(&EventIdKey::from(target.as_str())).await? else {
        return Ok(None);
    };
    if place.room != room {
        return Ok(None);
    }
    let row = tx.existing::<Events>(&(room, place.event)).await?;
    if row.snowflake.is_none() || type_of(&row.json).is_none_or(|kind| !is_message_type(&kind)) {
        return Ok(None);
    }
    if requested(content) == "messages.delete" {
        return Ok(Some((Action::MessageBulkDelete, Target::Channel(room))));
    }
    let author = sender_of(tx, &row).await?;
    Ok(author.filter(|author| *author != actor).map(|author| (Action::MessageDelete, Target::User(author))))
}

async fn sender_of(tx: &Tx, row: &EventRow) -> Result<Option<UserNo>, StoreError> {
    #[derive(serde::Deserialize)]
    struct Sender {
        sender: String,
    }
    let Ok(Sender { sender }) = serde_json::from_str(&row.json) else { return Ok(None) };
    tx.row::<UserNumbers>(&Text(sender)).await
}
