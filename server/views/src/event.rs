//! An event as readers get it, and the caches of facts that never change.
//!
//! **Bounds**: each cache has a fixed number of entries. What is cached is immutable (an event but for its
//! redaction, a lookup in a snapshot, an interned number), so nothing needs invalidation except an event
//! that is redacted: that bumps a generation, and a reader that began before it does not fill the cache.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use nexus_event_store::{
    EventNo, KeyNo, NodeHash, Position, RoomNo, Snowflake, StoreError, UserNo,
    rows::{EventRow, TransactionMark},
};
use nexus_state_resolution::{Pdu, RoomVersion};
use quick_cache::sync::Cache;
use ruma::{OwnedEventId, OwnedUserId};

/// An event with its place.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its room.
    pub room: RoomNo,
    /// Its number.
    pub no: EventNo,
    /// What was signed (redacted if it was redacted).
    pub pdu: Arc<Pdu>,
    /// The commit it came with.
    pub position: Position,
    /// Its snowflake, if it is shown as a message.
    pub snowflake: Option<Snowflake>,
    /// The redaction that emptied it.
    pub redacted_by: Option<EventNo>,
    /// The state before it.
    pub state_before: NodeHash,
    /// The state after it.
    pub state_after: NodeHash,
    /// The transaction id it was sent with.
    pub transaction: Option<TransactionMark>,
}

impl Event {
    /// From its row.
    ///
    /// # Errors
    /// When the row's JSON is no event: the store is damaged.
    pub fn from_row(
        room: RoomNo,
        no: EventNo,
        version: RoomVersion,
        row: EventRow,
    ) -> Result<Self, StoreError> {
        let damaged = StoreError::Missing { table: "events" };
        let event_id = OwnedEventId::try_from(row.event_id).map_err(|_| damaged.clone())?;
        let pdu = Pdu::from_stored(version, event_id, row.json.into_boxed_str()).map_err(|_| damaged)?;
        Ok(Self {
            room,
            no,
            pdu: Arc::new(pdu),
            position: row.position,
            snowflake: row.snowflake,
            redacted_by: row.redacted_by,
            state_before: row.state_before,
            state_after: row.state_after.unwrap_or(row.state_before),
            transaction: row.transaction,
        })
    }
}

const EVENTS: usize = 8192;
const LOOKUPS: usize = 16384;
const NUMBERS: usize = 16384;

/// Facts that do not change, at hand.
pub struct Caches {
    pub(crate) events: Cache<EventNo, Arc<Event>>,
    pub(crate) lookups: Cache<(RoomNo, NodeHash, KeyNo), Option<EventNo>>,
    pub(crate) keys: Cache<(String, String), KeyNo>,
    pub(crate) users: Cache<UserNo, OwnedUserId>,
    pub(crate) user_numbers: Cache<OwnedUserId, UserNo>,
    pub(crate) versions: Cache<RoomNo, RoomVersion>,
    generation: AtomicU64,
}

impl Default for Caches {
    fn default() -> Self {
        Self {
            events: Cache::new(EVENTS),
            lookups: Cache::new(LOOKUPS),
            keys: Cache::new(NUMBERS),
            users: Cache::new(NUMBERS),
            user_numbers: Cache::new(NUMBERS),
            versions: Cache::new(NUMBERS),
            generation: AtomicU64::new(0),
        }
    }
}

impl Caches {
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn keep(&self, event: &Arc<Event>, since: u64) {
        if self.generation() == since {
            self.events.insert(event.no, Arc::clone(event));
            // A redaction may have come between the check and the insert.
            if self.generation() != since {
                self.events.remove(&event.no);
            }
        }
    }

    /// Forgets an event whose row changes; to be called when the change is staged and when it is durable.
    pub fn forget(&self, event: EventNo) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.events.remove(&event);
    }

    /// Forgets everything: a room has left the store.
    pub fn forget_all(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.events.clear();
        self.lookups.clear();
        self.versions.clear();
    }
}
