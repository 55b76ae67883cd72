//! What a redaction takes out of the views.
//!
//! Runs when a redaction takes effect, on the target as it was before. The row it writes about what was
//! removed is a primary record: after the fact it can no longer be derived.

use nexus_event_store::{
    EventNo, Rows as _, Scan, StoreError, Tx, UserNo,
    catalogue::{EventPlaces, Events, RemovedBy},
    event_id::EventIdKey,
    rows::{EventPlace, RemovedRow},
};
use serde_json::Value;

use super::{
    NewEvent, audit,
    mention::{self, Naming},
    message::{Slot, reaction_key, type_of},
    poll, project, relation, thread,
};
use crate::{
    event::Event,
    rows::{EditRow, MessageRow, Reactions, RelationKind, Relations},
};

/// Takes `target` (as it was) out of the views; `emptied` is what is left of it.
///
/// # Errors
/// Store errors.
pub async fn project_redaction(
    tx: &Tx,
    redaction: EventNo,
    target: &Event,
    emptied: NewEvent<'_>,
) -> Result<(), StoreError> {
    let removed = remove(tx, target, emptied).await?;
    tx.put::<RemovedBy>(&(target.room, redaction), &removed);
    Ok(())
}

async fn remove(tx: &Tx, target: &Event, emptied: NewEvent<'_>) -> Result<RemovedRow, StoreError> {
    let content: Value = target.pdu.content_as().unwrap_or(Value::Null);
    audit::forget(tx, target).await?;
    if target.pdu.state_key().is_some() {
        // What is left of a state event still is the state: derive from that.
        project(tx, emptied).await?;
        let Some(snowflake) = target.snowflake else { return Ok(RemovedRow::Other) };
        Slot { room: target.room, id: snowflake, thread: None }.delete(tx);
        return Ok(RemovedRow::Message(snowflake));
    }
    let thread = thread::root_of(tx, target.room, target.no, &content).await?;
    let related = unrelate(tx, target, emptied.sender, &content).await?;
    let Some(id) = target.snowflake else { return Ok(related) };
    Slot { room: target.room, id, thread }.delete(tx);
    let (room, event, author) = (target.room, target.no, emptied.sender);
    mention::removed(tx, Naming { room, id, event, thread, author, content: &content }).await?;
    poll::unasked(tx, EventPlace { room, event }).await?;
    let root = match thread {
        Some(root) => tx.existing::<Events>(&(room, root)).await?.snowflake,
        None => None,
    };
    Ok(root.map_or(RemovedRow::Message(id), |root| RemovedRow::ThreadMessage(id, root)))
}

/// Takes out that `target` relates to another event, and what that meant for the other.
async fn unrelate(
    tx: &Tx,
    target: &Event,
    sender: UserNo,
    content: &Value,
) -> Result<RemovedRow, StoreError> {
    let Some((_, parent)) = relation(content) else { return Ok(RemovedRow::Other) };
    let Some(parent) = tx.row::<EventPlaces>(&EventIdKey::from(parent)).await? else {
        return Ok(RemovedRow::Other);
    };
    let relation_key = (target.room, parent.event, target.no);
    let Some(kind) = tx.row::<Relations>(&relation_key).await? else { return Ok(RemovedRow::Other) };
    tx.delete::<Relations>(&relation_key);
    let parent_row = tx.existing::<Events>(&(target.room, parent.event)).await?;
    match kind {
        RelationKind::Annotation => {
            let Some(emoji) = reaction_key(target.pdu.event_type(), content) else {
                return Ok(RemovedRow::Other);
            };
            let reaction = (target.room, parent.event, emoji.to_owned(), sender);
            if tx.row::<Reactions>(&reaction).await? != Some(target.no) {
                return Ok(RemovedRow::Other);
            }
            tx.delete::<Reactions>(&reaction);
            let removed = |message| RemovedRow::Reaction(message, emoji.to_owned(), sender);
            Ok(parent_row.snowflake.map_or(RemovedRow::Other, removed))
        }
        RelationKind::Replace => {
            let Some(slot) = Slot::of(tx, target.room, parent.event, &parent_row).await? else {
                return Ok(RemovedRow::Other);
            };
            let Some(mut message) = slot.read(tx).await? else {
                return Ok(RemovedRow::EditOfRemoved(slot.id));
            };
            if message.edit.as_ref().is_some_and(|edit| edit.event == target.no) {
                message.edit = newest_edit(tx, target, parent.event, &message).await?;
                slot.write(tx, &message);
            }
            Ok(RemovedRow::Edit(slot.id))
        }
        RelationKind::Thread => {
            thread::removed(tx, target.room, parent.event, target.no).await?;
            Ok(RemovedRow::Other)
        }
        RelationKind::Reference => {
            let place = EventPlace { room: target.room, event: target.no };
            poll::unreferred(tx, place, parent.event, sender).await?;
            Ok(RemovedRow::Other)
        }
    }
}

/// The newest edit that is left once `without` is gone; the newest one has the message's own type.
async fn newest_edit(
    tx: &Tx,
    without: &Event,
    parent: EventNo,
    message: &MessageRow,
) -> Result<Option<EditRow>, StoreError> {
    let room = without.room;
    let mut newest = None;
    for ((_, _, child), kind) in tx.scan::<Relations>(Scan::prefix::<Relations>(&(room, parent))).await? {
        if kind != RelationKind::Replace || child == without.no {
            continue;
        }
        let row = tx.existing::<Events>(&(room, child)).await?;
        if type_of(&row.json).is_some_and(|kind| kind == without.pdu.event_type()) {
            newest = newest.max(as_edit(tx, message, child, &row.event_id, &row.json).await?);
        }
    }
    Ok(newest)
}

/// The edit that a kept event is of `message`, if it is a valid one.
async fn as_edit(
    tx: &Tx,
    message: &MessageRow,
    event: EventNo,
    event_id: &str,
    json: &str,
) -> Result<Option<EditRow>, StoreError> {
    let Ok(pdu) = serde_json::from_str::<Value>(json) else { return Ok(None) };
    let Some(sender) = pdu["sender"].as_str() else { return Ok(None) };
    let valid =
        tx.intern_user(sender).await? == message.author && pdu["content"]["m.new_content"].is_object();
    let ts_ms = pdu["origin_server_ts"].as_u64().unwrap_or(0);
    Ok(valid.then(|| EditRow { ts_ms, event_id: event_id.to_owned(), event }))
}
