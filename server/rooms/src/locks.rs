//! One decision at a time in a room.
//!
//! Rooms share a fixed number of fair locks by their number, so nothing has to be cleaned up; a command
//! takes those of all its rooms in one order, so two commands cannot wait for each other. A lock is held
//! while deciding, not while waiting for the disk.

use std::{collections::BTreeSet, sync::Arc};

use nexus_event_store::RoomNo;
use tokio::sync::{Mutex, OwnedMutexGuard};

const LOCKS: u64 = 4096;

pub(crate) struct Locks {
    locks: Vec<Arc<Mutex<()>>>,
}

impl Locks {
    pub(crate) fn new() -> Self {
        Self { locks: (0..LOCKS).map(|_| Arc::default()).collect() }
    }

    pub(crate) async fn take(&self, rooms: &[RoomNo]) -> Vec<OwnedMutexGuard<()>> {
        let slots: BTreeSet<usize> =
            rooms.iter().map(|room| usize::try_from(room.0 % LOCKS).unwrap_or_default()).collect();
        let mut held = Vec::with_capacity(slots.len());
        for slot in slots {
            held.push(Arc::clone(&self.locks[slot]).lock_owned().await);
        }
        held
    }
}
