//! Events in the timeline: messages, edits, reactions and other relations.
//!
//! An event relates only to what its room held before it: what comes later was unknown when it was projected,
//! and deriving the views again must not find it either.

use nexus_event_store::{
    EventNo, Rows as _, StoreError, Tx,
    catalogue::{EventPlaces, Events},
    event_id::EventIdKey,
};
use serde_json::Value;

use super::{NewEvent, relation};
use crate::rows::{EditRow, MessageRow, Messages, Reactions, RelationKind, Relations};

/// The longest emoji of a reaction that is counted, in bytes.
const REACTION_KEY_BYTES_MAX: usize = 255;

pub(super) async fn project(tx: &Tx, event: NewEvent<'_>, content: &Value) -> Result<(), StoreError> {
    if let Some(snowflake) = event.snowflake {
        let row = MessageRow { event: event.no, author: event.sender, edit: None };
        tx.put::<Messages>(&(event.room, snowflake), &row);
    }
    let Some((kind, parent)) = relation(content) else { return Ok(()) };
    let Some(parent) = tx.row::<EventPlaces>(&EventIdKey::from(parent)).await? else { return Ok(()) };
    // The numbers of a room's events grow in the order in which they arrived.
    if parent.room != event.room || parent.event >= event.no {
        return Ok(());
    }
    let kind = match kind {
        "m.replace" => RelationKind::Replace,
        "m.annotation" => RelationKind::Annotation,
        "m.thread" => RelationKind::Thread,
        "m.reference" => RelationKind::Reference,
        _ => return Ok(()),
    };
    tx.put::<Relations>(&(event.room, parent.event, event.no), &kind);
    match kind {
        RelationKind::Replace if content.get("m.new_content").is_some_and(Value::is_object) => {
            edit(tx, event, parent.event).await
        }
        RelationKind::Annotation => {
            if let Some(key) = reaction_key(event.pdu.event_type(), content) {
                tx.put::<Reactions>(&(event.room, parent.event, key.to_owned(), event.sender), &event.no);
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The emoji of an event that counts as a reaction.
pub(super) fn reaction_key<'a>(event_type: &str, content: &'a Value) -> Option<&'a str> {
    let key = content.get("m.relates_to")?.get("key")?.as_str()?;
    (event_type == "m.reaction" && (1..=REACTION_KEY_BYTES_MAX).contains(&key.len())).then_some(key)
}

/// The type of a kept event.
pub(super) fn type_of(json: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Kind {
        #[serde(rename = "type")]
        event_type: String,
    }
    serde_json::from_str::<Kind>(json).ok().map(|kind| kind.event_type)
}

/// An edit counts if its author wrote the message and it is of the same type, and shows if it is the newest.
async fn edit(tx: &Tx, event: NewEvent<'_>, target: EventNo) -> Result<(), StoreError> {
    let Some(row) = tx.row::<Events>(&(event.room, target)).await? else { return Ok(()) };
    let Some(snowflake) = row.snowflake else { return Ok(()) };
    if type_of(&row.json).is_none_or(|kind| kind != event.pdu.event_type()) {
        return Ok(());
    }
    let Some(mut message) = tx.row::<Messages>(&(event.room, snowflake)).await? else { return Ok(()) };
    let new = edit_row(event);
    if message.author == event.sender && message.edit.as_ref().is_none_or(|edit| *edit < new) {
        message.edit = Some(new);
        tx.put::<Messages>(&(event.room, snowflake), &message);
    }
    Ok(())
}

fn edit_row(event: NewEvent<'_>) -> EditRow {
    EditRow {
        ts_ms: u64::from(event.pdu.origin_server_ts().get()),
        event_id: event.pdu.event_id().to_string(),
        event: event.no,
    }
}
