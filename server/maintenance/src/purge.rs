//! A room leaves the store: its events, states, views, snowflakes and transactions, and nothing else.
//!
//! First the mark in `meta` says what is being purged, so that a crash is followed by [`resume`]. Then the
//! memberships go, in bounded steps, so that nobody's list of rooms leads to it. Then, in one commit, the room
//! and its number go: from here on no command can find it, and one that was deciding meets a conflict. The rest
//! goes in bounded steps; what points at an event goes before the event does, and an event before the row that
//! lists it, so every step can be repeated. **Errors**: [`PurgeError::InUse`] names what must go first.
//! **Bounds**: [`STEP`] rows a commit. **Invariant**: positions stay consecutive; the commits that made the room
//! list nothing any more.

use nexus_event_store::{
    EventNo, Position, RoomNo, Rows as _, Scan, Snowflake, Store, StoreError, Tx,
    catalogue::{
        EventPlaces, Events, Heads, Meta, RoomNumbers, RoomSnowflakes, Rooms, Snowflakes, Stream, Table,
        Timeline, Transactions,
    },
    codec::Text,
    event_id::EventIdKey,
    kv::{RowKey, Span},
};
use nexus_views::{
    Caches,
    audit::{Audit, AuditTarget},
    records::{Aliases, Forgotten},
    rows::{GuildChannels, Infos, Members, Memberships, OverwriteChannels},
    unread::Mentions,
    user_words,
};

use crate::tables::tables;

/// Rows that one commit removes.
pub const STEP: usize = 512;

/// Why a room was not purged.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    /// There is no such room.
    #[error("there is no room {0}")]
    UnknownRoom(String),
    /// It belongs to a guild, or is one that still has channels.
    #[error("room {0} is in use: {1}")]
    InUse(String, &'static str),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was removed so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Events.
    pub events: u64,
    /// Rows of all tables.
    pub rows: u64,
}

/// In `meta` while a room is being purged, followed by its number; the value is its id.
const MARK: &str = "purge/";

fn mark(room: RoomNo) -> Text {
    Text(format!("{MARK}{room}"))
}

/// The rooms whose purge was begun and not finished.
///
/// # Errors
/// Store errors.
pub async fn unfinished(store: &Store) -> Result<Vec<(RoomNo, String)>, StoreError> {
    let rows = store.scan::<Meta>(Scan::prefix::<Meta>(&Text::from(MARK))).await?;
    let number = |key: &Text| key.0.strip_prefix(MARK)?.parse().ok().map(RoomNo);
    Ok(rows.into_iter().filter_map(|(key, id)| Some((number(&key)?, id))).collect())
}

/// Ends every purge that was begun.
///
/// # Errors
/// Store errors.
pub async fn resume(
    store: &Store,
    caches: &Caches,
    progress: &mut (dyn FnMut(Purged) + Send),
) -> Result<(), PurgeError> {
    for (room, id) in unfinished(store).await? {
        Purge { store, caches, room, id, done: Purged::default() }.run(progress).await?;
    }
    Ok(())
}

/// Purges the room `id` of a store that may be in use.
///
/// # Errors
/// See [`PurgeError`]; after a store error [`resume`] goes on.
pub async fn purge(
    store: &Store,
    caches: &Caches,
    id: &str,
    progress: &mut (dyn FnMut(Purged) + Send),
) -> Result<Purged, PurgeError> {
    let room = store.row::<RoomNumbers>(&Text::from(id)).await?;
    let room = room.ok_or_else(|| PurgeError::UnknownRoom(id.to_owned()))?;
    let info = store.row::<Infos>(&room).await?.unwrap_or_default();
    if info.guild.is_some() {
        return Err(PurgeError::InUse(id.to_owned(), "it is a channel; delete it from its guild first"));
    }
    if !store.scan::<GuildChannels>(Scan::prefix::<GuildChannels>(&room).limit(1)).await?.is_empty() {
        return Err(PurgeError::InUse(id.to_owned(), "it is a guild with channels; delete the guild first"));
    }
    let begun = store.begin();
    begun.put::<Meta>(&mark(room), &id.to_owned());
    begun.stage()?.durable().await?;
    Purge { store, caches, room, id: id.to_owned(), done: Purged::default() }.run(progress).await
}

struct Purge<'a> {
    store: &'a Store,
    caches: &'a Caches,
    room: RoomNo,
    id: String,
    done: Purged,
}

impl Purge<'_> {
    async fn run(mut self, progress: &mut (dyn FnMut(Purged) + Send)) -> Result<Purged, PurgeError> {
        while self.memberships(STEP).await? {
            progress(self.done);
        }
        self.cut_off().await?;
        while self.events().await? {
            progress(self.done);
        }
        self.pointing_here::<Transactions>(|_, place| place.room).await?;
        self.pointing_here::<Aliases>(|_, alias| alias.room).await?;
        self.pointing_here::<OverwriteChannels>(|_, row| row.channel).await?;
        self.pointing_here::<Audit>(|_, row| match row.target {
            AuditTarget::Channel(room) | AuditTarget::Thread(room, _) => room,
            _ => row.place.room,
        })
        .await?;
        self.pointing_here::<Mentions>(|(_, room, _), _| *room).await?;
        self.pointing_here::<Forgotten>(|(_, room), _| *room).await?;
        while self.memberships(STEP).await? {}
        for table in tables().iter().filter(|table| table.room_first) {
            while self.rows_of(table.number, table.family).await? {
                progress(self.done);
            }
        }
        self.caches.forget_all();
        self.commit(vec![], Some(mark(self.room))).await?;
        Ok(self.done)
    }

    /// Removes rows in one commit; a conflict can only come from another writer of the same rows: again.
    async fn commit(&mut self, rows: Vec<RowKey>, meta: Option<Text>) -> Result<(), StoreError> {
        let tx = self.store.begin();
        self.done.rows += rows.len() as u64;
        for row in rows {
            tx.delete_raw(row);
        }
        if let Some(key) = meta {
            tx.delete::<Meta>(&key);
        }
        tx.stage()?.durable().await.map(drop)
    }

    /// Takes the room out of its members' lists, and their names there out of the index of names; whether
    /// there was any.
    async fn memberships(&mut self, limit: usize) -> Result<bool, StoreError> {
        let members = self.store.scan::<Members>(Scan::prefix::<Members>(&self.room).limit(limit)).await?;
        let tx = self.store.begin();
        for ((_, user), row) in &members {
            // A member may have joined or left since the list was read.
            let Some(row) = tx.row::<Members>(&(self.room, *user)).await?.filter(|now| now == row) else {
                return Ok(true);
            };
            user_words::forget(&tx, *user, &row).await?;
            tx.delete::<Members>(&(self.room, *user));
            tx.delete::<Memberships>(&(*user, self.room));
        }
        if members.is_empty() {
            return Ok(false);
        }
        settle(tx).await?;
        self.done.rows += 2 * members.len() as u64;
        Ok(true)
    }

    /// The moment from which no command finds the room.
    async fn cut_off(&mut self) -> Result<(), StoreError> {
        let mut rows = vec![
            address::<RoomNumbers>(&Text::from(self.id.as_str())),
            address::<Rooms>(&self.room),
            address::<Heads>(&self.room),
            address::<RoomSnowflakes>(&self.room),
        ];
        if let Some(snowflake) = self.store.row::<RoomSnowflakes>(&self.room).await? {
            rows.push(address::<Snowflakes>(&snowflake));
        }
        self.commit(rows, None).await?;
        self.caches.forget_all();
        Ok(())
    }

    /// The next events in timeline order, with what leads to them and the lines of the stream that list them.
    async fn events(&mut self) -> Result<bool, StoreError> {
        let scan = Scan::prefix::<Timeline>(&self.room).limit(STEP);
        let line = self.store.scan::<Timeline>(scan).await?;
        if line.is_empty() {
            return Ok(false);
        }
        let tx = self.store.begin();
        let mut positions: Vec<Position> = Vec::new();
        for (key, row) in &line {
            let rows = self.event(row.event).await?;
            self.done.rows += rows.len() as u64 + 1;
            self.done.events += 1;
            rows.into_iter().for_each(|row| tx.delete_raw(row));
            tx.delete::<Timeline>(key);
            positions.push(key.1);
        }
        positions.dedup();
        for position in positions {
            if let Some(mut row) = tx.row::<Stream>(&position).await? {
                let listed = |event: EventNo| line.iter().any(|(_, row)| row.event == event);
                row.events.retain(|place| place.room != self.room || !listed(place.event));
                tx.put::<Stream>(&position, &row);
            }
        }
        settle(tx).await?;
        Ok(true)
    }

    /// An event's row and what leads to it.
    async fn event(&self, event: EventNo) -> Result<Vec<RowKey>, StoreError> {
        let mut rows = vec![address::<Events>(&(self.room, event))];
        if let Some(row) = self.store.row::<Events>(&(self.room, event)).await? {
            rows.push(address::<EventPlaces>(&EventIdKey(row.event_id)));
            rows.extend(row.snowflake.map(|snowflake: Snowflake| address::<Snowflakes>(&snowflake)));
        }
        Ok(rows)
    }

    /// Rows of other owners that lead here; nothing lists them by room, so all are looked at.
    async fn pointing_here<T: Table>(
        &mut self,
        room_of: impl Fn(&T::Key, &T::Value) -> RoomNo,
    ) -> Result<(), StoreError> {
        let mut scan = Scan::prefix::<T>(&()).limit(STEP);
        loop {
            let rows = self.store.scan::<T>(scan).await?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            scan = Scan::prefix::<T>(&()).after::<T>(last).limit(STEP);
            let ours = rows.iter().filter(|(key, value)| room_of(key, value) == self.room);
            let ours: Vec<RowKey> = ours.map(|(key, _)| address::<T>(key)).collect();
            if !ours.is_empty() {
                self.commit(ours, None).await?;
            }
        }
    }

    /// The next rows of a table that begin with the room's number.
    async fn rows_of(
        &mut self,
        table: u8,
        family: nexus_event_store::kv::Family,
    ) -> Result<bool, StoreError> {
        let prefix = |room: u64| [&[table][..], &room.to_be_bytes()].concat();
        let (from, until) = (prefix(self.room.0), Some(prefix(self.room.0 + 1)));
        let span = Span { family, from, until, reverse: false, limit: STEP };
        let rows = self.store.engine().range(span).await?;
        let rows: Vec<RowKey> =
            rows.into_iter().map(|(key, _)| RowKey { family, bytes: key.to_vec() }).collect();
        let any = !rows.is_empty();
        if any {
            self.commit(rows, None).await?;
        }
        Ok(any)
    }
}

/// Makes a step durable. One that was overtaken changes nothing and is made again by its caller, who looks
/// anew each time.
async fn settle(tx: Tx) -> Result<(), StoreError> {
    match tx.stage() {
        Ok(staged) => staged.durable().await.map(drop),
        Err(StoreError::Conflict) => Ok(()),
        Err(error) => Err(error),
    }
}

fn address<T: Table>(key: &T::Key) -> RowKey {
    nexus_event_store::read::row_key::<T>(key)
}
