//! Point reads with the caches in front: the same for a decision (over a transaction) and a query.

use std::{collections::BTreeMap, sync::Arc};

use nexus_event_store::{
    EventNo, KeyNo, NodeHash, Position, RoomNo, Rows, StoreError, UserNo,
    catalogue::{
        EventPlaces, Events, Heads, RoomNumbers, Rooms, StateKeyNumbers, StateKeys, UserNumbers, Users,
    },
    codec::Text,
    event_id::EventIdKey,
    rows::{EventPlace, HeadRow},
    trie,
};
use nexus_state_resolution::RoomVersion;
use ruma::{EventId, OwnedUserId, RoomId, UserId};

use crate::{
    event::{Caches, Event},
    rows::{Infos, Members, MembershipRow, RoomInfo},
};

/// Reads through `rows`.
pub struct Reader<'a, R> {
    /// Where rows come from.
    pub rows: &'a R,
    /// What is known already.
    pub caches: &'a Caches,
}

impl<R> Clone for Reader<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Reader<'_, R> {}

impl<R: Rows> Reader<'_, R> {
    /// A user's id.
    ///
    /// # Errors
    /// Store errors; [`StoreError::Missing`] for a number nobody has.
    pub async fn user_id(&self, user: UserNo) -> Result<OwnedUserId, StoreError> {
        if let Some(id) = self.caches.users.get(&user) {
            return Ok(id);
        }
        let text = self.rows.existing::<Users>(&user).await?;
        let id = OwnedUserId::try_from(text).map_err(|_| StoreError::Missing { table: "users" })?;
        self.caches.users.insert(user, id.clone());
        Ok(id)
    }

    /// A user's number, if the store knows the user.
    ///
    /// # Errors
    /// Store errors.
    pub async fn user_no(&self, user: &UserId) -> Result<Option<UserNo>, StoreError> {
        if let Some(number) = self.caches.user_numbers.get(user) {
            return Ok(Some(number));
        }
        self.rows.row::<UserNumbers>(&Text::from(user.as_str())).await
    }

    /// A room's number, if the store knows the room.
    ///
    /// # Errors
    /// Store errors.
    pub async fn room_no(&self, room: &RoomId) -> Result<Option<RoomNo>, StoreError> {
        self.rows.row::<RoomNumbers>(&Text::from(room.as_str())).await
    }

    /// A room's version.
    ///
    /// # Errors
    /// Store errors; [`StoreError::Missing`] for a number no room has.
    pub async fn room_version(&self, room: RoomNo) -> Result<RoomVersion, StoreError> {
        if let Some(version) = self.caches.versions.get(&room) {
            return Ok(version);
        }
        let row = self.rows.existing::<Rooms>(&room).await?;
        let version = RoomVersion::parse(&row.version).ok_or(StoreError::Missing { table: "rooms" })?;
        self.caches.versions.insert(room, version);
        Ok(version)
    }

    /// A room's newest point; the default for a room that has none.
    ///
    /// # Errors
    /// Store errors.
    pub async fn head(&self, room: RoomNo) -> Result<HeadRow, StoreError> {
        Ok(self.rows.row::<Heads>(&room).await?.unwrap_or_default())
    }

    /// An event that must be there.
    ///
    /// # Errors
    /// Store errors.
    pub async fn event(&self, place: EventPlace) -> Result<Arc<Event>, StoreError> {
        if let Some(event) = self.caches.events.get(&place.event)
            && event.room == place.room
        {
            return Ok(event);
        }
        let generation = self.caches.generation();
        let version = self.room_version(place.room).await?;
        let row = self.rows.existing::<Events>(&(place.room, place.event)).await?;
        let event = Arc::new(Event::from_row(place.room, place.event, version, row)?);
        // A row of the deciding transaction itself has no position yet: not a fact to remember.
        if event.position != Position::START {
            self.caches.keep(&event, generation);
        }
        Ok(event)
    }

    /// Where an event is, if the store has it.
    ///
    /// # Errors
    /// Store errors.
    pub async fn place(&self, event: &EventId) -> Result<Option<EventPlace>, StoreError> {
        self.rows.row::<EventPlaces>(&EventIdKey::from(event.as_str())).await
    }

    /// An event by its id.
    ///
    /// # Errors
    /// Store errors.
    pub async fn event_by_id(&self, event: &EventId) -> Result<Option<Arc<Event>>, StoreError> {
        let Some(place) = self.place(event).await? else { return Ok(None) };
        match self.event(place).await {
            // A purge that is under way takes rooms and events before the ids that lead to them.
            Err(StoreError::Missing { .. }) if self.rows.row::<Rooms>(&place.room).await?.is_none() => {
                Ok(None)
            }
            found => found.map(Some),
        }
    }

    /// The number of a (type, state_key) pair, if any kept event has it.
    ///
    /// # Errors
    /// Store errors.
    pub async fn key_no(&self, event_type: &str, state_key: &str) -> Result<Option<KeyNo>, StoreError> {
        let name = (event_type.to_owned(), state_key.to_owned());
        if let Some(number) = self.caches.keys.get(&name) {
            return Ok(Some(number));
        }
        self.rows.row::<StateKeyNumbers>(&(name.0, Text(name.1))).await
    }

    /// Which event a snapshot holds for (type, state_key).
    ///
    /// # Errors
    /// Store errors.
    pub async fn state_event_no(
        &self,
        room: RoomNo,
        root: NodeHash,
        event_type: &str,
        state_key: &str,
    ) -> Result<Option<EventNo>, StoreError> {
        let Some(key) = self.key_no(event_type, state_key).await? else { return Ok(None) };
        if let Some(found) = self.caches.lookups.get(&(room, root, key)) {
            return Ok(found);
        }
        let found = trie::get(self.rows, room, root, key).await?;
        self.caches.lookups.insert((room, root, key), found);
        Ok(found)
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
    ) -> Result<Option<Arc<Event>>, StoreError> {
        match self.state_event_no(room, root, event_type, state_key).await? {
            Some(event) => self.event(EventPlace { room, event }).await.map(Some),
            None => Ok(None),
        }
    }

    /// A whole snapshot by (type, state_key).
    ///
    /// # Errors
    /// Store errors.
    pub async fn snapshot(
        &self,
        room: RoomNo,
        root: NodeHash,
    ) -> Result<BTreeMap<(String, String), EventNo>, StoreError> {
        let mut named = BTreeMap::new();
        for (key, event) in trie::entries(self.rows, room, root).await? {
            let name = self.rows.existing::<StateKeys>(&key).await?;
            named.insert((name.event_type, name.state_key), event);
        }
        Ok(named)
    }

    /// What a user is in a room, if anything was ever said of it.
    ///
    /// # Errors
    /// Store errors.
    pub async fn membership(&self, room: RoomNo, user: UserNo) -> Result<Option<MembershipRow>, StoreError> {
        self.rows.row::<Members>(&(room, user)).await
    }

    /// A room at a glance.
    ///
    /// # Errors
    /// Store errors.
    pub async fn info(&self, room: RoomNo) -> Result<RoomInfo, StoreError> {
        Ok(self.rows.row::<Infos>(&room).await?.unwrap_or_default())
    }
}
