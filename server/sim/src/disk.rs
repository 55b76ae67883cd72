//! The simulated disk: a sync takes time, and may fail when told to.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use nexus_event_store::{
    kv::{KvError, memory::Disk},
    world::{BoxFuture, Clock},
};

use crate::executor::Simulation;

/// How long a sync takes: between `least` and `most`, drawn anew each time.
#[derive(Clone, Copy, Debug)]
pub struct SyncTime {
    /// The shortest.
    pub least: Duration,
    /// The longest.
    pub most: Duration,
}

/// A disk with a delay and a switch for failure.
pub struct SimulatedDisk {
    simulation: Simulation,
    time: SyncTime,
    broken: AtomicBool,
    syncs: AtomicU64,
}

impl SimulatedDisk {
    /// A disk that works.
    #[must_use]
    pub fn new(simulation: Simulation, time: SyncTime) -> Arc<Self> {
        Arc::new(Self { simulation, time, broken: AtomicBool::new(false), syncs: AtomicU64::new(0) })
    }

    /// From now on every sync fails.
    pub fn break_down(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    /// How many syncs were asked for.
    pub fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }
}

impl Disk for SimulatedDisk {
    fn sync(&self, bytes: usize) -> BoxFuture<'static, Result<(), KvError>> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        let spread = u64::try_from((self.time.most - self.time.least).as_micros()).unwrap_or_default();
        let extra = Duration::from_micros(self.simulation.below(spread + 1));
        let sleep = self.simulation.sleep(self.time.least + extra);
        let broken = self.broken.load(Ordering::Relaxed);
        self.simulation.note(&bytes.to_be_bytes());
        Box::pin(async move {
            sleep.await;
            if broken { Err(KvError::Engine("the simulated disk is broken".into())) } else { Ok(()) }
        })
    }
}
