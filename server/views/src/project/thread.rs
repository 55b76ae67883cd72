//! Threads: what hangs on a root, and what `nexus.thread` says of it.

use nexus_event_store::{
    EventNo, RoomNo, Rows as _, Scan, StoreError, Tx,
    catalogue::{EventPlaces, Events},
    event_id::EventIdKey,
    rows::EventPlace,
};
use serde_json::Value;

use super::{NewEvent, bits, relation, text};
use crate::{
    rows::{RelationKind, Relations},
    threads::{AUTO_ARCHIVE_MINUTES, ThreadOrder, ThreadRow, ThreadState, Threads, TouchedRow},
};

/// The root of the thread that an event is in, by its content: an earlier event of the same room.
pub(super) async fn root_of(
    tx: &Tx,
    room: RoomNo,
    no: EventNo,
    content: &Value,
) -> Result<Option<EventNo>, StoreError> {
    let Some(("m.thread", root)) = relation(content) else { return Ok(None) };
    let place = tx.row::<EventPlaces>(&EventIdKey::from(root)).await?;
    Ok(place.filter(|place| place.room == room && place.event < no).map(|place| place.event))
}

/// `nexus.thread`: state key = the root's event id. Without a name the thread is deleted.
pub(super) async fn project(
    tx: &Tx,
    event: NewEvent<'_>,
    root: &str,
    content: &Value,
) -> Result<(), StoreError> {
    let Some(place) = tx.row::<EventPlaces>(&EventIdKey::from(root)).await? else { return Ok(()) };
    if place.room != event.room || place.event >= event.no {
        return Ok(());
    }
    let own_ms = u64::from(event.pdu.origin_server_ts().get());
    let flag = |field: &str| content.get(field).and_then(Value::as_bool).unwrap_or(false);
    let time = |field: &str| content.get(field).and_then(Value::as_u64).unwrap_or(own_ms);
    let small = |field: &str| u32::try_from(bits(content, field)).unwrap_or(0);
    let state = match (text(content, "name"), text(content, "owner")) {
        (Some(name), Some(owner)) => Some(ThreadState {
            event: event.no,
            name,
            owner: tx.intern_user(&owner).await?,
            created_ms: time("created_ms"),
            archived: flag("archived"),
            archived_ms: time("archived_ms"),
            locked: flag("locked"),
            invitable: flag("invitable"),
            auto_archive_minutes: match small("auto_archive_minutes") {
                0 => AUTO_ARCHIVE_MINUTES,
                minutes => minutes,
            },
            slowmode_s: small("slowmode_s"),
            tags: tags(content),
        }),
        _ => None,
    };
    let before = tx.row::<Threads>(&(event.room, place.event)).await?;
    let mut after = before.clone().unwrap_or_default();
    after.state = state;
    settle(tx, place, before, after).await
}

fn tags(content: &Value) -> Vec<u64> {
    let tags = content.get("tags").and_then(Value::as_array).into_iter().flatten();
    tags.filter_map(|tag| tag.as_str()?.parse().ok()).collect()
}

/// An event hangs on `root` now.
pub(super) async fn added(tx: &Tx, event: NewEvent<'_>, root: EventNo) -> Result<(), StoreError> {
    let before = tx.row::<Threads>(&(event.room, root)).await?;
    let mut after = before.clone().unwrap_or_default();
    after.messages += 1;
    after.latest = after.latest.max(Some(event.no));
    settle(tx, EventPlace { room: event.room, event: root }, before, after).await
}

/// `child` hangs on `root` no more; its relation is gone already.
pub(super) async fn removed(tx: &Tx, room: RoomNo, root: EventNo, child: EventNo) -> Result<(), StoreError> {
    let Some(before) = tx.row::<Threads>(&(room, root)).await? else { return Ok(()) };
    let mut after = before.clone();
    after.messages = after.messages.saturating_sub(1);
    if after.latest == Some(child) {
        let relations = Scan::prefix::<Relations>(&(room, root)).reverse();
        let left = tx.scan::<Relations>(relations).await?;
        let newest = left.into_iter().find(|(_, kind)| *kind == RelationKind::Thread);
        after.latest = newest.map(|((_, _, event), _)| event);
    }
    settle(tx, EventPlace { room, event: root }, Some(before), after).await
}

/// Writes a thread and its place in the order; one of which nothing is left goes.
async fn settle(
    tx: &Tx,
    place: EventPlace,
    before: Option<ThreadRow>,
    mut after: ThreadRow,
) -> Result<(), StoreError> {
    let EventPlace { room, event: root } = place;
    if let Some(before) = &before {
        tx.delete::<ThreadOrder>(&(room, before.touched));
    }
    let Some(touched) = after.latest.max(after.state.as_ref().map(|state| state.event)) else {
        tx.delete::<Threads>(&(room, root));
        return Ok(());
    };
    if before.is_none_or(|before| before.touched != touched) {
        after.touched = touched;
        after.touched_ms = time_of(tx, room, touched).await?;
    }
    tx.put::<Threads>(&(room, root), &after);
    tx.put::<ThreadOrder>(&(room, touched), &TouchedRow { root, at_ms: after.touched_ms });
    Ok(())
}

/// `origin_server_ts` of a kept event.
async fn time_of(tx: &Tx, room: RoomNo, event: EventNo) -> Result<u64, StoreError> {
    #[derive(serde::Deserialize)]
    struct Stamp {
        origin_server_ts: u64,
    }
    let row = tx.existing::<Events>(&(room, event)).await?;
    Ok(serde_json::from_str::<Stamp>(&row.json).map_or(0, |stamp| stamp.origin_server_ts))
}
