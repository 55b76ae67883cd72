//! The committer: one task that makes whatever is staged durable, group after group.
//!
//! **Invariant**: a group is acknowledged, visible and announced only after the engine has synced it, in the
//! order in which it was staged.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
};

use crate::{
    error::StoreError,
    feed::Commit,
    kv::{Batch, KvError},
    staging::StagedBatch,
    store::Inner,
};

/// The committer writes at most this many staged decisions as one group.
const GROUP_LIMIT: usize = 1024;

/// Writes whatever is staged, group after group, until the store is dropped or fails.
pub(crate) async fn run_committer(inner: Arc<Inner>) {
    loop {
        let group: Vec<StagedBatch> = {
            let mut staging = inner.staging.lock();
            let size = staging.queue.len().min(GROUP_LIMIT);
            staging.queue.drain(..size).collect()
        };
        if group.is_empty() {
            inner.work.notified().await;
            continue;
        }
        match inner.engine.commit(merge(&group, inner.engine.is_exclusive())).await {
            Ok(()) => settle(&inner, group),
            // The engine vouches that nothing was written: refuse, and let later decisions try again.
            Err(error @ KvError::DiskFull) => refuse(&inner, group, &StoreError::Kv(error)),
            Err(error) => {
                inner.staging.lock().stopped = true;
                refuse(&inner, group, &StoreError::Stopped);
                (inner.on_fatal)(&error);
                return;
            }
        }
    }
}

/// One engine batch out of a group. A precondition on a row that the group itself writes earlier was
/// already checked when its decision was staged.
fn merge(group: &[StagedBatch], exclusive: bool) -> Batch {
    let mut batch = Batch::default();
    let mut written = BTreeSet::new();
    for staged in group {
        if !exclusive {
            let outer = staged.preconditions.iter().filter(|condition| !written.contains(&condition.key));
            batch.preconditions.extend(outer.cloned());
            written.extend(staged.writes.iter().map(|(key, _)| key.clone()));
        }
        batch.writes.extend(staged.writes.iter().cloned());
    }
    batch
}

fn settle(inner: &Inner, group: Vec<StagedBatch>) {
    inner.statistics.syncs.fetch_add(1, Ordering::Relaxed);
    inner.statistics.commits.fetch_add(group.len() as u64, Ordering::Relaxed);
    inner.staging.lock().settle(&group);
    for batch in group {
        for action in batch.on_durable {
            action();
        }
        let commit = Arc::new(Commit { position: batch.position, events: batch.events });
        inner.feed.publish(commit, &batch.topics);
        // Whoever asked may have gone; the commit stands.
        drop(batch.done.send(Ok(batch.position)));
    }
    inner.progress.send_replace(());
}

fn refuse(inner: &Inner, group: Vec<StagedBatch>, error: &StoreError) {
    let behind = inner.staging.lock().clear(inner.feed.visible());
    for batch in group.into_iter().chain(behind) {
        drop(batch.done.send(Err(error.clone())));
    }
    inner.progress.send_replace(());
}
