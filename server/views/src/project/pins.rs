//! `m.room.pinned_events`: the pins of a room.

use std::collections::BTreeSet;

use nexus_event_store::{Rows as _, StoreError, Tx, catalogue::EventPlaces, event_id::EventIdKey};
use serde_json::Value;

use super::NewEvent;
use crate::pins::{PINS_MAX, Pin, Pinned, PinnedRow};

/// The last pins of the list that the room held before the event.
pub(super) async fn project(tx: &Tx, event: NewEvent<'_>, content: &Value) -> Result<(), StoreError> {
    let listed = content.get("pinned").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let first = listed.len().saturating_sub(PINS_MAX);
    let own_ms = u64::from(event.pdu.origin_server_ts().get());
    let (mut row, mut known) = (PinnedRow::default(), BTreeSet::new());
    for (index, id) in listed.iter().enumerate().skip(first) {
        let Some(id) = id.as_str() else { continue };
        let Some(place) = tx.row::<EventPlaces>(&EventIdKey::from(id)).await? else { continue };
        if place.room == event.room && place.event < event.no && known.insert(place.event) {
            let at_ms = content.get("nexus.pinned_at").and_then(|times| times.get(index)?.as_u64());
            row.pins.push(Pin { event: place.event, at_ms: at_ms.unwrap_or(own_ms) });
        }
    }
    if row.pins.is_empty() {
        tx.delete::<Pinned>(&event.room);
    } else {
        tx.put::<Pinned>(&event.room, &row);
    }
    Ok(())
}
