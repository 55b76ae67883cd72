//! The in-memory engine: the simulator's disk, and the conformance suite's second opinion.
//!
//! Rows live in an immutable-by-copy-on-write ordered map. What counts as "on disk" is injected: a
//! [`Disk`] decides how long a sync takes and whether it fails, so a test can make fsync slow or broken.
//! **Invariant**: a batch becomes visible only after its sync succeeded; [`MemoryEngine::durable`] is what
//! a machine would find after losing power.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use bytes::Bytes;
use parking_lot::RwLock;

use super::{Answer, Batch, Engine, Family, KvError, Read, Row, Span};
use crate::world::BoxFuture;

type Rows = BTreeMap<(Family, Vec<u8>), Bytes>;

/// The medium below the in-memory engine.
pub trait Disk: Send + Sync {
    /// Resolves when a sync of `bytes` bytes has ended, with whether it succeeded.
    fn sync(&self, bytes: usize) -> BoxFuture<'static, Result<(), KvError>>;
}

/// A disk that syncs at once and never fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct PerfectDisk;

impl Disk for PerfectDisk {
    fn sync(&self, _: usize) -> BoxFuture<'static, Result<(), KvError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// An ordered map behind the engine trait.
#[derive(Clone)]
pub struct MemoryEngine {
    rows: Arc<RwLock<Arc<Rows>>>,
    disk: Arc<dyn Disk>,
}

impl MemoryEngine {
    /// An empty engine on `disk`.
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self { rows: Arc::default(), disk }
    }

    /// Another engine that starts from what this one has on disk, as after a crash and a restart.
    #[must_use]
    pub fn durable(&self, disk: Arc<dyn Disk>) -> Self {
        Self { rows: Arc::new(RwLock::new(Arc::clone(&self.rows.read()))), disk }
    }

    /// Every row, in order (tests compare stores by it).
    pub fn dump(&self) -> Vec<((Family, Vec<u8>), Bytes)> {
        self.rows.read().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

impl Read for Arc<Rows> {
    fn get<'a>(&'a self, family: Family, key: &'a [u8]) -> Answer<'a, Option<Bytes>> {
        Answer::now(Ok(BTreeMap::get(self, &(family, key.to_vec())).cloned()))
    }

    fn multi_get<'a>(&'a self, family: Family, keys: &'a [Vec<u8>]) -> Answer<'a, Vec<Option<Bytes>>> {
        Answer::now(Ok(keys.iter().map(|key| BTreeMap::get(self, &(family, key.clone())).cloned()).collect()))
    }

    fn range(&self, span: Span) -> Answer<'_, Vec<Row>> {
        let last = match span.until {
            Some(until) if until <= span.from => return Answer::now(Ok(Vec::new())),
            Some(until) => Bound::Excluded((span.family, until)),
            None => Family::ALL
                .into_iter()
                .find(|family| *family > span.family)
                .map_or(Bound::Unbounded, |family| Bound::Excluded((family, Vec::new()))),
        };
        let rows = BTreeMap::range(self, (Bound::Included((span.family, span.from)), last));
        let row = |((_, key), value): (&(Family, Vec<u8>), &Bytes)| (Bytes::from(key.clone()), value.clone());
        Answer::now(Ok(if span.reverse {
            rows.rev().take(span.limit).map(row).collect()
        } else {
            rows.take(span.limit).map(row).collect()
        }))
    }
}

impl Read for MemoryEngine {
    fn get<'a>(&'a self, family: Family, key: &'a [u8]) -> Answer<'a, Option<Bytes>> {
        Answer::now(Ok(BTreeMap::get(&**self.rows.read(), &(family, key.to_vec())).cloned()))
    }

    fn multi_get<'a>(&'a self, family: Family, keys: &'a [Vec<u8>]) -> Answer<'a, Vec<Option<Bytes>>> {
        let rows = Arc::clone(&self.rows.read());
        Answer::now(Ok(keys
            .iter()
            .map(|key| BTreeMap::get(&rows, &(family, key.clone())).cloned())
            .collect()))
    }

    fn range(&self, span: Span) -> Answer<'_, Vec<Row>> {
        let rows = Arc::clone(&self.rows.read());
        let Answer::Now(result) = rows.range(span) else { unreachable!("a map answers at once") };
        Answer::Now(result)
    }
}

impl Engine for MemoryEngine {
    fn snapshot(&self) -> Arc<dyn Read> {
        Arc::new(Arc::clone(&self.rows.read()))
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<(), KvError>> {
        let engine = self.clone();
        Box::pin(async move {
            let bytes = batch
                .writes
                .iter()
                .map(|(key, value)| key.bytes.len() + value.as_ref().map_or(0, Bytes::len))
                .sum();
            engine.disk.sync(bytes).await?;
            let mut rows = engine.rows.write();
            for precondition in batch.preconditions {
                let key = (precondition.key.family, precondition.key.bytes);
                if BTreeMap::get(&rows, &key) != precondition.expect.as_ref() {
                    return Err(KvError::Conflict);
                }
            }
            let rows = Arc::make_mut(&mut rows);
            for (key, value) in batch.writes {
                let key = (key.family, key.bytes);
                match value {
                    Some(value) => rows.insert(key, value),
                    None => rows.remove(&key),
                };
            }
            Ok(())
        })
    }

    fn is_exclusive(&self) -> bool {
        false
    }

    fn disk_bytes(&self) -> u64 {
        self.rows.read().iter().map(|((_, key), value)| (key.len() + value.len()) as u64).sum()
    }

    fn row_count(&self) -> u64 {
        self.rows.read().len() as u64
    }

    fn compact(&self) -> BoxFuture<'static, Result<(), KvError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
