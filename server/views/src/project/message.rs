//! Events in the timeline: messages, edits, reactions and other relations.
//!
//! An event relates only to what its room held before it: what comes later was unknown when it was projected,
//! and deriving the views again must not find it either.

use nexus_event_store::{
    EventNo, RoomNo, Rows as _, Snowflake, StoreError, Tx,
    catalogue::{EventPlaces, Events},
    event_id::EventIdKey,
    rows::EventRow,
};
use serde_json::Value;

use super::{
    NewEvent,
    mention::{self, Naming},
    poll, relation, thread,
};
use crate::{
    polls::is_start,
    rows::{EditRow, MessageRow, Messages, Reactions, RelationKind, Relations},
    threads::ThreadMessages,
};

/// The longest emoji of a reaction that is counted, in bytes.
const REACTION_KEY_BYTES_MAX: usize = 255;

/// Where a message is listed: in its room, or in a thread of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) room: RoomNo,
    pub(super) id: Snowflake,
    pub(super) thread: Option<EventNo>,
}

impl Slot {
    /// The slot of a kept event that is a message.
    pub(super) async fn of(
        tx: &Tx,
        room: RoomNo,
        no: EventNo,
        row: &EventRow,
    ) -> Result<Option<Self>, StoreError> {
        #[derive(serde::Deserialize)]
        struct Stored {
            #[serde(default)]
            content: Value,
        }
        let Some(id) = row.snowflake else { return Ok(None) };
        let stored: Option<Stored> = serde_json::from_str(&row.json).ok();
        let content = stored.map(|stored| stored.content).unwrap_or_default();
        Ok(Some(Self { room, id, thread: thread::root_of(tx, room, no, &content).await? }))
    }

    pub(super) async fn read(self, tx: &Tx) -> Result<Option<MessageRow>, StoreError> {
        match self.thread {
            Some(root) => tx.row::<ThreadMessages>(&(self.room, root, self.id)).await,
            None => tx.row::<Messages>(&(self.room, self.id)).await,
        }
    }

    pub(super) fn write(self, tx: &Tx, row: &MessageRow) {
        match self.thread {
            Some(root) => tx.put::<ThreadMessages>(&(self.room, root, self.id), row),
            None => tx.put::<Messages>(&(self.room, self.id), row),
        }
    }

    pub(super) fn delete(self, tx: &Tx) {
        match self.thread {
            Some(root) => tx.delete::<ThreadMessages>(&(self.room, root, self.id)),
            None => tx.delete::<Messages>(&(self.room, self.id)),
        }
    }
}

pub(super) async fn project(tx: &Tx, event: NewEvent<'_>, content: &Value) -> Result<(), StoreError> {
    if let Some(id) = event.snowflake {
        let thread = thread::root_of(tx, event.room, event.no, content).await?;
        let row = MessageRow { event: event.no, author: event.sender, edit: None };
        Slot { room: event.room, id, thread }.write(tx, &row);
        let naming = Naming { room: event.room, id, event: event.no, thread, author: event.sender, content };
        mention::added(tx, naming).await?;
        if is_start(event.pdu.event_type()) {
            poll::started(tx, event, content).await;
        }
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
        RelationKind::Thread => thread::added(tx, event, parent.event).await,
        RelationKind::Reference => poll::referred(tx, event, parent.event, content).await,
        RelationKind::Replace => Ok(()),
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
    let Some(slot) = Slot::of(tx, event.room, target, &row).await? else { return Ok(()) };
    if type_of(&row.json).is_none_or(|kind| kind != event.pdu.event_type()) {
        return Ok(());
    }
    let Some(mut message) = slot.read(tx).await? else { return Ok(()) };
    let new = edit_row(event);
    if message.author == event.sender && message.edit.as_ref().is_none_or(|edit| *edit < new) {
        message.edit = Some(new);
        slot.write(tx, &message);
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
