//! A decision: what it read, what it wants to write, and the moment it was based on.
//!
//! Reads see the transaction's own writes, then what is staged, then what is durable, and are remembered;
//! [`Tx::stage`] refuses with [`StoreError::Conflict`] if any of them has changed since, and the caller
//! decides again. Rows whose key or value holds the commit's own position are written with [`Tx::put_at`].

use std::collections::BTreeMap;

use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;

use crate::{
    catalogue::{Nodes, RoomNumbers, StateKeyNumbers, StateKeys, Stream, Table, UserNumbers, UserSnowflakes},
    catalogue::{Snowflakes, Users},
    codec::{Text, Value},
    error::StoreError,
    feed::Topic,
    ids::{EventNo, KeyNo, Position, RoomNo, Snowflake, UserNo},
    kv::{Family, Precondition, RowKey, Span},
    read::{Rows, Scan, decode_row, in_table, row_key},
    rows::{EventPlace, NodeRow, SnowflakeRow, StateKeyRow, StreamRow},
    staging::StagedBatch,
    store::Store,
    trie::NewNodes,
};

/// A durable row as it was read; `None` = absent.
type Durable = Option<Bytes>;
type OnDurable = Box<dyn FnOnce() + Send>;
type Positioned = Box<dyn FnOnce(Position) -> (RowKey, Option<Bytes>) + Send>;

#[derive(Default)]
struct Pending {
    /// What was read: `None` from staged rows, else the durable value (for the engine's preconditions).
    reads: BTreeMap<RowKey, Option<Durable>>,
    writes: BTreeMap<RowKey, Option<Bytes>>,
    positioned: Vec<Positioned>,
    events: Vec<EventPlace>,
    topics: Vec<Topic>,
    on_durable: Vec<OnDurable>,
}

/// A decision in the making.
pub struct Tx {
    store: Store,
    base: Position,
    epoch: u64,
    pending: Mutex<Pending>,
}

/// A staged decision: others already build on it, but it is not acknowledged yet.
#[must_use = "a staged decision is acknowledged only after `durable`"]
pub struct Staged {
    /// Its place in the stream.
    pub position: Position,
    done: oneshot::Receiver<Result<Position, StoreError>>,
}

impl Staged {
    /// Resolves once the decision is on disk.
    ///
    /// # Errors
    /// [`StoreError::Kv`] with a full disk, [`StoreError::Stopped`] when the engine failed: it is then not
    /// acknowledged.
    pub async fn durable(self) -> Result<Position, StoreError> {
        self.done.await.unwrap_or(Err(StoreError::Stopped))
    }
}

impl Tx {
    pub(crate) fn new(store: Store) -> Self {
        let (base, epoch) = {
            let staging = store.inner.staging.lock();
            (staging.last, staging.epoch)
        };
        Self { store, base, epoch, pending: Mutex::default() }
    }

    /// The store it belongs to.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Writes a row.
    pub fn put<T: Table>(&self, key: &T::Key, value: &T::Value) {
        self.pending.lock().writes.insert(row_key::<T>(key), Some(value.encode().into()));
    }

    /// Deletes a row.
    pub fn delete<T: Table>(&self, key: &T::Key) {
        self.pending.lock().writes.insert(row_key::<T>(key), None);
    }

    /// Deletes a row by its address (maintenance, which treats all tables alike).
    pub fn delete_raw(&self, key: RowKey) {
        self.pending.lock().writes.insert(key, None);
    }

    /// Writes a row that holds the position of this decision; reads of this transaction do not see it.
    pub fn put_at<T: Table>(&self, row: impl FnOnce(Position) -> (T::Key, T::Value) + Send + 'static) {
        self.pending.lock().positioned.push(Box::new(move |position| {
            let (key, value) = row(position);
            (row_key::<T>(&key), Some(value.encode().into()))
        }));
    }

    /// Writes a row that holds the position of this decision in one of its fields: until the position is
    /// known, reads of this transaction see the row as given. A table is written either so or by [`Tx::put`]
    /// within one transaction, not both.
    pub fn put_positioned<T: Table>(
        &self,
        key: &T::Key,
        mut value: T::Value,
        set: impl FnOnce(&mut T::Value, Position) + Send + 'static,
    ) where
        T::Value: Send,
    {
        let key = row_key::<T>(key);
        let mut pending = self.pending.lock();
        pending.writes.insert(key.clone(), Some(value.encode().into()));
        pending.positioned.push(Box::new(move |position| {
            set(&mut value, position);
            (key, Some(value.encode().into()))
        }));
    }

    /// Writes trie nodes of a room.
    pub fn put_nodes(&self, room: RoomNo, nodes: NewNodes) {
        let mut pending = self.pending.lock();
        for (hash, bytes) in nodes {
            pending.writes.insert(row_key::<Nodes>(&(room, hash)), Some(NodeRow(bytes).encode().into()));
        }
    }

    /// Rows of table `T` as this decision sees them: durable, staged and its own. The range itself is not a
    /// precondition, so the caller holds whatever keeps others from adding to it (a room's lock).
    ///
    /// # Errors
    /// Engine and codec errors.
    pub async fn scan<T: Table>(&self, scan: Scan) -> Result<Vec<(T::Key, T::Value)>, StoreError> {
        let span = scan.into_span();
        let (reverse, limit) = (span.reverse, span.limit);
        let inside = |key: &RowKey| {
            key.family == span.family
                && key.bytes >= span.from
                && span.until.as_ref().is_none_or(|until| key.bytes < *until)
        };
        let mut rows: BTreeMap<Vec<u8>, Bytes> = BTreeMap::new();
        // Staged first: what becomes durable in between is then seen at least once.
        let staged = self.store.staged_where(inside);
        let whole = Span { reverse: false, limit: usize::MAX, ..span.clone() };
        let durable = self.store.inner.engine.range(whole).await;
        for (key, value) in durable.map_err(|error| in_table::<T>(error.into()))? {
            rows.insert(key.to_vec(), value);
        }
        let own: Vec<(RowKey, Option<Bytes>)> = {
            let pending = self.pending.lock();
            pending
                .writes
                .iter()
                .filter(|(key, _)| inside(key))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect()
        };
        for (key, value) in staged.into_iter().chain(own) {
            match value {
                Some(value) => rows.insert(key.bytes, value),
                None => rows.remove(&key.bytes),
            };
        }
        let decode = |(key, value): (Vec<u8>, Bytes)| decode_row::<T>(&key.into(), &value);
        if reverse {
            rows.into_iter().rev().take(limit).map(decode).collect()
        } else {
            rows.into_iter().take(limit).map(decode).collect()
        }
    }

    /// Whether it writes anything.
    pub fn has_writes(&self) -> bool {
        let pending = self.pending.lock();
        !pending.writes.is_empty() || !pending.positioned.is_empty()
    }

    /// Lists an event as part of this commit.
    pub fn add_event(&self, place: EventPlace) {
        self.pending.lock().events.push(place);
    }

    /// Wakes followers of `topic` once this is durable.
    pub fn announce(&self, topic: Topic) {
        let mut pending = self.pending.lock();
        if !pending.topics.contains(&topic) {
            pending.topics.push(topic);
        }
    }

    /// Runs `action` once this is durable and before anybody is told; whoever asked may be gone by then.
    pub fn on_durable(&self, action: impl FnOnce() + Send + 'static) {
        self.pending.lock().on_durable.push(Box::new(action));
    }

    /// Ends a decision that writes nothing: resolves once everything it read is durable, so that its answer
    /// may be given.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when something it read was thrown away before it became durable: decide
    /// again. [`StoreError::Stopped`] when the store has failed.
    pub async fn settled(self) -> Result<Position, StoreError> {
        let saw_staged = self.pending.lock().reads.values().any(Option::is_none);
        if !saw_staged {
            return Ok(self.store.visible());
        }
        let position = self.store.inner.staging.lock().last;
        self.store.wait_durable(position, self.epoch).await
    }

    /// A number for a new room; it becomes known by the rows that the caller writes.
    pub fn new_room_no(&self) -> RoomNo {
        RoomNo(self.store.inner.numbers.room.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// A number for a new event.
    pub fn new_event_no(&self) -> EventNo {
        EventNo(self.store.inner.numbers.event.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The number of a known room.
    ///
    /// # Errors
    /// Engine and codec errors.
    pub async fn room_no(&self, room_id: &str) -> Result<Option<RoomNo>, StoreError> {
        self.row::<RoomNumbers>(&Text::from(room_id)).await
    }

    /// The number of a user, given now if the user is new (with a snowflake).
    ///
    /// # Errors
    /// Engine and codec errors.
    pub async fn intern_user(&self, user_id: &str) -> Result<UserNo, StoreError> {
        let key = Text::from(user_id);
        if let Some(number) = self.row::<UserNumbers>(&key).await? {
            return Ok(number);
        }
        let number = UserNo(self.store.inner.numbers.user.fetch_add(1, Ordering::Relaxed) + 1);
        self.put::<UserNumbers>(&key, &number);
        self.put::<Users>(&number, &user_id.to_owned());
        let snowflake = self.store.next_snowflake(Snowflake::default());
        self.put::<UserSnowflakes>(&number, &snowflake);
        self.put::<Snowflakes>(&snowflake, &SnowflakeRow::User(number));
        Ok(number)
    }

    /// The number of a (type, state_key) pair, given now if it is new.
    ///
    /// # Errors
    /// Engine and codec errors.
    pub async fn intern_state_key(&self, event_type: &str, state_key: &str) -> Result<KeyNo, StoreError> {
        let key = (event_type.to_owned(), Text::from(state_key));
        if let Some(number) = self.row::<StateKeyNumbers>(&key).await? {
            return Ok(number);
        }
        let number = KeyNo(self.store.inner.numbers.state_key.fetch_add(1, Ordering::Relaxed) + 1);
        self.put::<StateKeyNumbers>(&key, &number);
        let row = StateKeyRow { event_type: event_type.to_owned(), state_key: state_key.to_owned() };
        self.put::<StateKeys>(&number, &row);
        Ok(number)
    }

    /// Stages the decision: it gets its position and later decisions see it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when something it read has changed: decide again.
    /// [`StoreError::Stopped`] when the store has failed.
    pub fn stage(self) -> Result<Staged, StoreError> {
        let pending = self.pending.into_inner();
        let (done, receive) = oneshot::channel();
        let position = {
            let mut staging = self.store.inner.staging.lock();
            if staging.stopped {
                return Err(StoreError::Stopped);
            }
            let stale = staging.epoch != self.epoch
                || pending.reads.keys().any(|key| staging.written_after(key, self.base));
            if stale {
                drop(staging);
                self.store.note_conflict();
                return Err(StoreError::Conflict);
            }
            let position = staging.last.next();
            let counters = self.store.inner.numbers.current();
            let stream = StreamRow { events: pending.events.clone(), counters };
            let mut writes: Vec<_> = pending.writes.into_iter().collect();
            writes.extend(pending.positioned.into_iter().map(|row| row(position)));
            writes.push((row_key::<Stream>(&position), Some(stream.encode().into())));
            // A staged row that was read needs no engine precondition: whoever staged it carries one, and
            // staged decisions are written in order.
            let durable = pending.reads.into_iter().filter_map(|(key, read)| Some((key, read?)));
            let preconditions = durable.map(|(key, expect)| Precondition { key, expect }).collect();
            staging.push(StagedBatch {
                position,
                writes,
                preconditions,
                events: pending.events,
                topics: pending.topics,
                on_durable: pending.on_durable,
                done,
            });
            position
        };
        self.store.wake_committer();
        Ok(Staged { position, done: receive })
    }
}

impl Rows for Tx {
    async fn raw(&self, key: RowKey) -> Result<Option<Bytes>, StoreError> {
        if let Some(own) = self.pending.lock().writes.get(&key) {
            return Ok(own.clone());
        }
        if let Some(staged) = self.store.staged(&key) {
            self.remember(key, None);
            return Ok(staged);
        }
        let durable = self.store.inner.engine.get(key.family, &key.bytes).await?;
        self.remember(key, Some(durable.clone()));
        Ok(durable)
    }
}

impl Tx {
    fn remember(&self, key: RowKey, durable: Option<Durable>) {
        if key.family == Family::Rows {
            self.pending.lock().reads.entry(key).or_insert(durable);
        }
    }
}
