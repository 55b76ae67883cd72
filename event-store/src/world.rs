//! The world as the core may see it: clock, randomness, task spawning and a CPU pool, all injected.
//!
//! Nothing in the core reads a clock or an entropy source by itself (design invariant 5), so a whole
//! server runs on simulated time from one seed. The only system implementations live in the `nexus`
//! binary; the simulator has its own.
//!
//! **Units**: wall-clock times are milliseconds since the Unix epoch, durations are [`Duration`].
//! **Errors**: none; a world that cannot give time or randomness aborts.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::sync::oneshot;

/// A boxed future that may be moved between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Milliseconds since the Unix epoch. May jump, also backward: never used for ordering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixMs(pub u64);

/// Time, as far as the core needs it.
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> UnixMs;
    /// Time since some fixed moment; never goes backward.
    fn monotonic(&self) -> Duration;
    /// Resolves after `duration`.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// Cryptographically strong randomness (in the simulator: a seeded stream).
pub trait Random: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// Starts background tasks.
pub trait Spawn: Send + Sync {
    /// Runs `task` to its end on the world's executor; `name` is for diagnostics.
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>);
}

/// Runs work that would hold up an async thread (password hashing, bulk verification).
pub trait CpuPool: Send + Sync {
    /// Queues `job`; jobs may run in parallel with each other.
    fn run(&self, job: Box<dyn FnOnce() + Send + 'static>);
}

/// The four together. Cheap to clone.
#[derive(Clone)]
pub struct World {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Task spawning.
    pub spawn: Arc<dyn Spawn>,
    /// Threads for computation.
    pub cpu: Arc<dyn CpuPool>,
}

impl World {
    /// The wall clock in milliseconds since the Unix epoch.
    pub fn now(&self) -> UnixMs {
        self.clock.now()
    }

    /// `N` random bytes.
    pub fn random_bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes);
        bytes
    }

    /// A random 64-bit number.
    pub fn random_u64(&self) -> u64 {
        u64::from_le_bytes(self.random_bytes())
    }

    /// Starts a background task.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn.spawn(name, Box::pin(task));
    }

    /// Runs `job` on the CPU pool and gives its result, or `None` if the pool dropped the job.
    pub async fn compute<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (send, receive) = oneshot::channel();
        // The receiver may be gone because its request was cancelled: then the result is not wanted.
        self.cpu.run(Box::new(move || drop(send.send(job()))));
        receive.await.ok()
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}
