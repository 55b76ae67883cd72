//! The store: typed reads of what is durable, decisions on what is staged, and the pipelined committer.
//!
//! A decision is a [`Tx`]. Staging it checks that nothing it read has changed since, gives it the next
//! [`Position`] and lays its rows over the engine, so that the next decision builds on it at once; a single
//! committer takes everything staged meanwhile as one group, has the engine write and sync it, and only
//! then acknowledges, makes it visible and announces it (design §4).
//!
//! **Invariants**: positions are consecutive and become visible in order; nothing is acknowledged, visible
//! or announced before its group is synced; when a write fails for want of space the whole pipeline behind
//! it is thrown away and refused, when it fails otherwise the store stops for good.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use foldhash::quality::SeedableRandomState;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::{
    catalogue::{Meta, Stream, Table},
    codec::Text,
    committer::run_committer,
    error::StoreError,
    feed::{Commit, Feed},
    format,
    ids::{Position, Snowflake},
    kv::{Engine, KvError, RowKey, sealed::Sealed},
    read::{Rows, Scan, decode_row, in_table},
    rows::Counters,
    staging::Staging,
    tx::Tx,
    world::World,
};

/// Called once when the engine failed and the process must not go on.
pub type OnFatal = Arc<dyn Fn(&KvError) + Send + Sync>;

/// Statistics of the committer, for `/metrics`.
#[derive(Debug, Default)]
pub struct Statistics {
    /// Decisions made durable.
    pub commits: AtomicU64,
    /// Synced writes they took.
    pub syncs: AtomicU64,
    /// Decisions that had to be made again because something they read had changed.
    pub conflicts: AtomicU64,
}

/// The numbers given out so far.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    pub(crate) room: AtomicU64,
    pub(crate) user: AtomicU64,
    pub(crate) state_key: AtomicU64,
    pub(crate) event: AtomicU64,
    snowflake: AtomicU64,
}

impl Numbers {
    fn restore(counters: Counters) -> Self {
        Self {
            room: counters.room.into(),
            user: counters.user.into(),
            state_key: counters.state_key.into(),
            event: counters.event.into(),
            snowflake: counters.snowflake.into(),
        }
    }

    pub(crate) fn current(&self) -> Counters {
        Counters {
            room: self.room.load(Ordering::Relaxed),
            user: self.user.load(Ordering::Relaxed),
            state_key: self.state_key.load(Ordering::Relaxed),
            event: self.event.load(Ordering::Relaxed),
            snowflake: self.snowflake.load(Ordering::Relaxed),
        }
    }
}

pub(crate) struct Inner {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) world: World,
    pub(crate) staging: Mutex<Staging>,
    pub(crate) numbers: Numbers,
    pub(crate) feed: Arc<Feed>,
    pub(crate) work: Notify,
    /// Told after every group, and when the pipeline is thrown away.
    pub(crate) progress: watch::Sender<()>,
    pub(crate) statistics: Statistics,
    pub(crate) on_fatal: OnFatal,
}

/// The log of record and everything that is kept with it. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

impl Store {
    /// Opens the store in `engine` and starts its committer on `world`.
    ///
    /// # Errors
    /// [`StoreError::Format`] when another version wrote it; engine and codec errors.
    pub async fn open(engine: Arc<dyn Engine>, world: World, on_fatal: OnFatal) -> Result<Self, StoreError> {
        format::require_current(&*engine).await?;
        let engine: Arc<dyn Engine> = Arc::new(Sealed::new(engine));
        let newest = engine.range(Scan::prefix::<Stream>(&()).reverse().limit(1).into_span()).await;
        let newest = newest.map_err(|error| in_table::<Stream>(error.into()))?;
        let (last, counters) = match newest.first() {
            Some((key, value)) => {
                let (position, row) = decode_row::<Stream>(key, value)?;
                (position, row.counters)
            }
            None => (Position::START, Counters::default()),
        };
        let hasher = SeedableRandomState::with_seed(world.random_u64(), foldhash::SharedSeed::global_fixed());
        let feed = Arc::new(Feed::default());
        feed.start_at(last);
        let inner = Arc::new(Inner {
            engine,
            staging: Mutex::new(Staging::new(last, hasher)),
            numbers: Numbers::restore(counters),
            feed,
            work: Notify::new(),
            progress: watch::Sender::new(()),
            statistics: Statistics::default(),
            on_fatal,
            world: world.clone(),
        });
        world.spawn("store-committer", run_committer(Arc::clone(&inner)));
        Ok(Self { inner })
    }

    /// Ties the store to the server it belongs to: events are signed in that name for ever.
    ///
    /// # Errors
    /// [`StoreError::OtherServer`] when it belongs to another; engine and codec errors.
    pub async fn belongs_to(&self, server_name: &str) -> Result<(), StoreError> {
        let key = Text::from("server_name");
        match self.row::<Meta>(&key).await? {
            Some(found) if found == server_name => Ok(()),
            Some(found) => Err(StoreError::OtherServer { found }),
            None => {
                let tx = self.begin();
                tx.put::<Meta>(&key, &server_name.to_owned());
                tx.stage()?.durable().await.map(drop)
            }
        }
    }

    /// Starts a decision on everything staged so far.
    pub fn begin(&self) -> Tx {
        Tx::new(self.clone())
    }

    /// What is announced when commits become durable.
    pub fn feed(&self) -> &Arc<Feed> {
        &self.inner.feed
    }

    /// The newest position that readers may see.
    pub fn visible(&self) -> Position {
        self.inner.feed.visible()
    }

    /// The world this store lives in.
    pub fn world(&self) -> &World {
        &self.inner.world
    }

    /// Counters of the committer.
    pub fn statistics(&self) -> &Statistics {
        &self.inner.statistics
    }

    /// The engine (maintenance and tools).
    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.inner.engine
    }

    /// Durable rows of table `T`.
    ///
    /// # Errors
    /// Engine and codec errors.
    pub async fn scan<T: Table>(&self, scan: Scan) -> Result<Vec<(T::Key, T::Value)>, StoreError> {
        let rows = self.inner.engine.range(scan.into_span()).await;
        let rows = rows.map_err(|error| in_table::<T>(error.into()))?;
        rows.iter().map(|(key, value)| decode_row::<T>(key, value)).collect()
    }

    /// The durable commits after `cursor`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// Engine and codec errors.
    pub async fn commits_after(
        &self,
        cursor: Position,
        limit: usize,
    ) -> Result<Vec<Arc<Commit>>, StoreError> {
        if let Some(mut commits) = self.inner.feed.recent_after(cursor) {
            commits.truncate(limit);
            return Ok(commits);
        }
        let until = self.visible().next();
        let scan = Scan::prefix::<Stream>(&()).from::<Stream>(&cursor.next()).until::<Stream>(&until);
        let rows = self.scan::<Stream>(scan.limit(limit)).await?;
        Ok(rows
            .into_iter()
            .map(|(position, row)| Arc::new(Commit { position, events: row.events }))
            .collect())
    }

    /// The next snowflake of this server: of this moment, after every earlier one and after `after`.
    pub fn next_snowflake(&self, after: Snowflake) -> Snowflake {
        let now = Snowflake::at(self.inner.world.now().0).0;
        let next = |last: u64| now.max(last + 1).max(after.0 + 1);
        let mut last = self.inner.numbers.snowflake.load(Ordering::Relaxed);
        loop {
            let cell = &self.inner.numbers.snowflake;
            match cell.compare_exchange_weak(last, next(last), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Snowflake(next(last)),
                Err(newer) => last = newer,
            }
        }
    }

    /// Resolves once `position`, which was staged in `epoch`, is durable.
    pub(crate) async fn wait_durable(&self, position: Position, epoch: u64) -> Result<Position, StoreError> {
        let mut progress = self.inner.progress.subscribe();
        loop {
            progress.mark_unchanged();
            {
                let staging = self.inner.staging.lock();
                if staging.stopped {
                    return Err(StoreError::Stopped);
                }
                if staging.epoch != epoch {
                    return Err(StoreError::Conflict);
                }
            }
            if self.visible() >= position {
                return Ok(self.visible());
            }
            if progress.changed().await.is_err() {
                return Err(StoreError::Stopped);
            }
        }
    }

    pub(crate) fn note_conflict(&self) {
        self.inner.statistics.conflicts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn wake_committer(&self) {
        self.inner.work.notify_one();
    }

    /// The staged value of a row: `None` = nothing staged, `Some(None)` = staged as deleted.
    pub(crate) fn staged(&self, key: &RowKey) -> Option<Option<Bytes>> {
        self.inner.staging.lock().overlay.get(key).map(|(_, value)| value.clone())
    }
}

impl Store {
    /// Staged rows whose key satisfies `inside`.
    pub(crate) fn staged_where(&self, inside: impl Fn(&RowKey) -> bool) -> Vec<(RowKey, Option<Bytes>)> {
        let staging = self.inner.staging.lock();
        let rows = staging.overlay.iter().filter(|(key, _)| inside(key));
        rows.map(|(key, (_, value))| (key.clone(), value.clone())).collect()
    }
}

impl Rows for Store {
    async fn raw(&self, key: RowKey) -> Result<Option<Bytes>, StoreError> {
        Ok(self.inner.engine.get(key.family, &key.bytes).await?)
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("visible", &self.visible()).finish_non_exhaustive()
    }
}
