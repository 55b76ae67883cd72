//! From events to view rows: pure functions of (event, rows before it), run inside the event's commit.
//!
//! A projection does no I/O of its own, cannot refuse an accepted event, and reads only rows that the same
//! room's earlier events wrote, so deriving everything again from the log gives the same rows. Content is
//! hostile: a field of the wrong type reads as absent.

use nexus_event_store::{EventNo, Position, RoomNo, Rows as _, Snowflake, StoreError, Tx, UserNo};
use nexus_state_resolution::Pdu;
use ruma::UserId;
use serde_json::Value;

use crate::{
    actor::shown_actor,
    polls::is_start,
    rows::{Infos, MessageRow, Messages, RoomInfo},
};

mod audit;
mod guild;
mod member;
mod mention;
mod message;
mod names;
mod pins;
mod poll;
mod redaction;
mod thread;

pub use redaction::project_redaction;

/// An event on its way into the views.
#[derive(Clone, Copy, Debug)]
pub struct NewEvent<'a> {
    /// Its room.
    pub room: RoomNo,
    /// Its number.
    pub no: EventNo,
    /// What was signed.
    pub pdu: &'a Pdu,
    /// Who sent it.
    pub sender: UserNo,
    /// Its snowflake, if it is shown as a message.
    pub snowflake: Option<Snowflake>,
    /// Whether it is (or was, in a replay) part of the room's current state once applied.
    pub is_current_state: bool,
    /// The commit it came with; `None` = the one that is being decided.
    pub position: Option<Position>,
}

/// The event types that are shown as messages and get a snowflake.
#[must_use]
pub fn is_message_type(event_type: &str) -> bool {
    matches!(event_type, "m.room.message" | "m.sticker" | "m.room.encrypted") || is_start(event_type)
}

/// Whether `user` is a server's steward: the localpart is reserved everywhere (design §3).
#[must_use]
pub fn is_steward(user: &UserId) -> bool {
    user.localpart() == "nexus"
}

/// The kind of an event's relation and the event it points to, as the content says.
#[must_use]
pub fn relation(content: &Value) -> Option<(&str, &str)> {
    let relates = content.get("m.relates_to")?;
    Some((relates.get("rel_type")?.as_str()?, relates.get("event_id")?.as_str()?))
}

/// Writes what `event` means for the views.
///
/// # Errors
/// Store errors.
pub async fn project(tx: &Tx, event: NewEvent<'_>) -> Result<(), StoreError> {
    let content: Value = event.pdu.content_as().unwrap_or(Value::Null);
    audit::project(tx, event, &content).await?;
    let Some(state_key) = event.pdu.state_key() else {
        return message::project(tx, event, &content).await;
    };
    if let Some(snowflake) = event.snowflake {
        notice(tx, event, snowflake).await?;
    }
    if !event.is_current_state {
        return Ok(());
    }
    match (event.pdu.event_type(), state_key) {
        ("m.room.member", user) => member::project(tx, event, user, &content).await,
        ("m.room.name", "") => {
            names::guild_renamed(tx, event.room, text(&content, "name")).await?;
            change_info(tx, event.room, |info| info.name = text(&content, "name")).await
        }
        ("m.room.topic", "") => {
            change_info(tx, event.room, |info| info.topic = text(&content, "topic")).await
        }
        ("m.room.pinned_events", "") => pins::project(tx, event, &content).await,
        // Anyone may write any state into a room of their own: only a steward's makes it a guild.
        (kind, _) if kind.starts_with("nexus.") && !is_steward(event.pdu.sender()) => Ok(()),
        ("nexus.guild", "") => {
            names::guild_changes(tx, event.room, &content).await?;
            guild::project_guild(tx, event, &content).await
        }
        ("nexus.channel", channel) => guild::project_channel(tx, event, channel, &content).await,
        ("nexus.role", key) => guild::project_role(tx, event, key, &content).await,
        ("nexus.member", key) => {
            names::nick(tx, event.room, key, &content).await?;
            guild::project_member(tx, event, key, &content).await
        }
        ("nexus.overwrite", key) => guild::project_overwrite(tx, event, key, &content).await,
        ("nexus.thread", root) => thread::project(tx, event, root, &content).await,
        _ => Ok(()),
    }
}

/// A state event that is shown as a message, by whoever the steward made it for.
async fn notice(tx: &Tx, event: NewEvent<'_>, snowflake: Snowflake) -> Result<(), StoreError> {
    let author = match shown_actor(event.pdu) {
        Some(user) => tx.intern_user(user.as_str()).await?,
        None => event.sender,
    };
    tx.put::<Messages>(&(event.room, snowflake), &MessageRow { event: event.no, author, edit: None });
    Ok(())
}

/// Changes a room's row at a glance.
pub(crate) async fn change_info(
    tx: &Tx,
    room: RoomNo,
    change: impl FnOnce(&mut RoomInfo),
) -> Result<(), StoreError> {
    let mut info = tx.row::<Infos>(&room).await?.unwrap_or_default();
    change(&mut info);
    tx.put::<Infos>(&room, &info);
    Ok(())
}

/// A string field; empty counts as absent.
pub(crate) fn text(content: &Value, field: &str) -> Option<String> {
    content.get(field)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A decimal string or an integer as bits.
pub(crate) fn bits(content: &Value, field: &str) -> u64 {
    match content.get(field) {
        Some(Value::String(text)) => text.parse().unwrap_or(0),
        Some(Value::Number(number)) => number.as_u64().unwrap_or(0),
        _ => 0,
    }
}

/// The strings of a list.
pub(crate) fn strings(content: &Value, field: &str) -> Vec<String> {
    let items = content.get(field).and_then(Value::as_array);
    items.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
