//! Pinned messages of a room: what `m.room.pinned_events` lists.
//!
//! **Shapes**: one row a room, in the order of the state event. **Units**: milliseconds since the Unix epoch,
//! from `nexus.pinned_at` of the steward's event, else the event's own time. **Bound**: the last [`PINS_MAX`]
//! of a longer list.

use nexus_event_store::{EventNo, RoomNo, Rows as _, catalogue::numbers, table, versioned_value};
use serde::{Deserialize, Serialize};

use crate::{ViewError, Views};

/// So many messages of a room can be pinned.
pub const PINS_MAX: usize = 250;

/// A pinned message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The message's event.
    pub event: EventNo,
    /// When it was pinned.
    pub at_ms: u64,
}

/// What is pinned in a room; rooms without pins have no row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedRow {
    /// As listed.
    pub pins: Vec<Pin>,
}
versioned_value!(PinnedRow, 1);

table! {
    /// Pinned messages by room.
    Pinned = numbers::PINS, "pins", RoomNo => PinnedRow
}

impl Views {
    /// The pins of a room, newest first; also of events that have been redacted since.
    ///
    /// # Errors
    /// Store errors.
    pub async fn pins(&self, room: RoomNo) -> Result<Vec<Pin>, ViewError> {
        let mut pins = self.store.row::<Pinned>(&room).await?.unwrap_or_default().pins;
        pins.reverse();
        pins.sort_by_key(|pin| std::cmp::Reverse(pin.at_ms));
        Ok(pins)
    }
}
