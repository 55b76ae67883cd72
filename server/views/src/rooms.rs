//! Events and state of a room.

use std::sync::Arc;

use nexus_event_store::{
    EventNo, NodeHash, RoomNo, StoreError,
    rows::{EventPlace, HeadRow},
    trie,
};
use ruma::EventId;

use crate::{Event, ViewError, Views};

impl Views {
    /// An event that must be there.
    ///
    /// # Errors
    /// Store errors.
    pub async fn event(&self, place: EventPlace) -> Result<Arc<Event>, ViewError> {
        self.reader().event(place).await
    }

    /// An event by its id, if the store has it.
    ///
    /// # Errors
    /// Store errors.
    pub async fn event_by_id(&self, event: &EventId) -> Result<Option<Arc<Event>>, ViewError> {
        self.reader().event_by_id(event).await
    }

    /// A room's newest point.
    ///
    /// # Errors
    /// Store errors.
    pub async fn head(&self, room: RoomNo) -> Result<HeadRow, ViewError> {
        self.reader().head(room).await
    }

    /// The state event of a snapshot for (type, state_key).
    ///
    /// # Errors
    /// Store errors.
    pub async fn state_event(
        &self,
        room: RoomNo,
        root: NodeHash,
        event_type: &str,
        state_key: &str,
    ) -> Result<Option<Arc<Event>>, ViewError> {
        self.reader().state_event(room, root, event_type, state_key).await
    }

    /// All state events of a snapshot, oldest number first.
    ///
    /// # Errors
    /// Store errors.
    pub async fn state(&self, room: RoomNo, root: NodeHash) -> Result<Vec<Arc<Event>>, ViewError> {
        let mut events: Vec<EventNo> = trie::entries(&self.store, room, root).await?.into_values().collect();
        events.sort_unstable();
        self.events(room, events).await
    }

    /// The state events that `to` has and `from` has not, oldest number first.
    ///
    /// # Errors
    /// Store errors.
    pub async fn state_delta(
        &self,
        room: RoomNo,
        from: NodeHash,
        to: NodeHash,
    ) -> Result<Vec<Arc<Event>>, ViewError> {
        let differences = trie::diff(&self.store, room, from, to).await?;
        let mut events: Vec<EventNo> =
            differences.into_iter().filter_map(|difference| difference.right).collect();
        events.sort_unstable();
        self.events(room, events).await
    }

    async fn events(&self, room: RoomNo, numbers: Vec<EventNo>) -> Result<Vec<Arc<Event>>, StoreError> {
        let mut events = Vec::with_capacity(numbers.len());
        for event in numbers {
            events.push(self.event(EventPlace { room, event }).await?);
        }
        Ok(events)
    }
}
