//! An engine whose reads and a disk whose syncs take as long as a test wants.

use std::sync::Arc;

use nexus_event_store::{
    Bytes,
    kv::{
        Answer, Batch, Engine, Family, KvError, Read, Row, Span,
        memory::{Disk, MemoryEngine},
    },
    world::BoxFuture,
};
use tokio::sync::watch;

/// The in-memory engine, with every point read letting other tasks go first: decisions that are made
/// together interleave.
pub(crate) struct YieldingEngine(pub(crate) MemoryEngine);

impl Read for YieldingEngine {
    fn get<'a>(&'a self, family: Family, key: &'a [u8]) -> Answer<'a, Option<Bytes>> {
        Answer::Later(Box::pin(async move {
            let row = self.0.get(family, key).await;
            tokio::task::yield_now().await;
            row
        }))
    }
    fn multi_get<'a>(&'a self, family: Family, keys: &'a [Vec<u8>]) -> Answer<'a, Vec<Option<Bytes>>> {
        self.0.multi_get(family, keys)
    }
    fn range(&self, span: Span) -> Answer<'_, Vec<Row>> {
        self.0.range(span)
    }
}

impl Engine for YieldingEngine {
    fn snapshot(&self) -> Arc<dyn Read> {
        self.0.snapshot()
    }
    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<(), KvError>> {
        self.0.commit(batch)
    }
    fn is_exclusive(&self) -> bool {
        self.0.is_exclusive()
    }
    fn disk_bytes(&self) -> u64 {
        self.0.disk_bytes()
    }
    fn compact(&self) -> BoxFuture<'static, Result<(), KvError>> {
        self.0.compact()
    }
}

/// A disk whose syncs wait while it is held.
#[derive(Clone)]
pub(crate) struct HeldDisk(watch::Sender<bool>);

impl HeldDisk {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    pub(crate) fn hold(&self, held: bool) {
        self.0.send_replace(held);
    }

    /// Lets go once everything else has come as far as it can without the disk.
    pub(crate) async fn release_later(&self) {
        others_first().await;
        self.hold(false);
    }
}

impl Disk for HeldDisk {
    fn sync(&self, _: usize) -> BoxFuture<'static, Result<(), KvError>> {
        let mut held = self.0.subscribe();
        Box::pin(async move {
            held.wait_for(|held| !held).await.expect("the fixture has the sender");
            Ok(())
        })
    }
}

/// Lets other tasks take more steps than any decision has.
pub(crate) async fn others_first() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}
