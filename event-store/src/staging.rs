//! What is decided and not yet durable: the overlay that later decisions read, and what they may conflict
//! with.
//!
//! **Bounds**: the queue holds one entry per decision that somebody is waiting for; what was written is
//! remembered for [`CONFLICT_WINDOW`] commits. **Invariant**: the overlay has exactly the rows of decisions
//! that are staged and not yet readable from the engine.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use foldhash::quality::SeedableRandomState;
use tokio::sync::oneshot;

use crate::{
    error::StoreError,
    feed::Topic,
    ids::Position,
    kv::{Family, Precondition, RowKey},
    rows::EventPlace,
};

/// A decision that read something older than this many commits ago is decided again.
const CONFLICT_WINDOW: u64 = 1024;

/// A staged decision on its way to the disk.
pub(crate) struct StagedBatch {
    pub(crate) position: Position,
    pub(crate) writes: Vec<(RowKey, Option<Bytes>)>,
    pub(crate) preconditions: Vec<Precondition>,
    pub(crate) events: Vec<EventPlace>,
    pub(crate) topics: Vec<Topic>,
    pub(crate) on_durable: Vec<Box<dyn FnOnce() + Send>>,
    pub(crate) done: oneshot::Sender<Result<Position, StoreError>>,
}

type KeyMap<V> = HashMap<RowKey, V, SeedableRandomState>;

/// What is staged and not yet durable.
pub(crate) struct Staging {
    /// The newest position given out.
    pub(crate) last: Position,
    /// Grows whenever the pipeline was thrown away.
    pub(crate) epoch: u64,
    pub(crate) stopped: bool,
    pub(crate) queue: VecDeque<StagedBatch>,
    pub(crate) overlay: KeyMap<(Position, Option<Bytes>)>,
    /// When rows were last written, within the conflict window.
    written: KeyMap<Position>,
    written_order: VecDeque<(Position, RowKey)>,
}

impl Staging {
    pub(crate) fn new(last: Position, hasher: SeedableRandomState) -> Self {
        Self {
            last,
            epoch: 0,
            stopped: false,
            queue: VecDeque::new(),
            overlay: HashMap::with_hasher(hasher.clone()),
            written: HashMap::with_hasher(hasher.clone()),
            written_order: VecDeque::new(),
        }
    }

    /// Whether `key` was written after `since`, as far as the window reaches.
    pub(crate) fn written_after(&self, key: &RowKey, since: Position) -> bool {
        self.last.0.saturating_sub(since.0) > CONFLICT_WINDOW
            || self.written.get(key).is_some_and(|position| *position > since)
    }

    pub(crate) fn push(&mut self, batch: StagedBatch) {
        self.last = batch.position;
        for (key, value) in &batch.writes {
            // Events and nodes are named by what they hold: nobody decides on their absence.
            if key.family == Family::Rows {
                self.written.insert(key.clone(), batch.position);
                self.written_order.push_back((batch.position, key.clone()));
            }
            self.overlay.insert(key.clone(), (batch.position, value.clone()));
        }
        while let Some((position, _)) = self.written_order.front()
            && position.0 + CONFLICT_WINDOW < batch.position.0
        {
            if let Some((position, key)) = self.written_order.pop_front()
                && self.written.get(&key) == Some(&position)
            {
                self.written.remove(&key);
            }
        }
        self.queue.push_back(batch);
    }

    /// Drops what is now readable from the engine.
    pub(crate) fn settle(&mut self, group: &[StagedBatch]) {
        for batch in group {
            for (key, _) in &batch.writes {
                if self.overlay.get(key).is_some_and(|(position, _)| *position == batch.position) {
                    self.overlay.remove(key);
                }
            }
        }
    }

    /// Throws away everything staged; the caller refuses it.
    pub(crate) fn clear(&mut self, durable: Position) -> Vec<StagedBatch> {
        self.epoch += 1;
        self.last = durable;
        self.overlay.clear();
        self.written.clear();
        self.written_order.clear();
        self.queue.drain(..).collect()
    }
}
