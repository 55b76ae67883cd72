//! The system's clock, randomness, executor and CPU threads, behind the traits of
//! [`nexus_event_store::world`].
//!
//! **Invariant**: this is the only place of the server that reads a clock or the operating system's
//! randomness; all else takes them as arguments, so that the simulator can replace them.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use nexus_event_store::world::{BoxFuture, Clock, CpuPool, Random, Spawn, UnixMs, World};
use rand_core::{OsRng, TryRngCore as _};
use tokio::runtime::Handle;

type Job = Box<dyn FnOnce() + Send + 'static>;

/// Jobs that may wait for a CPU thread; more are dropped, and whoever waits for them is told.
const JOBS_WAITING_MAX: usize = 1024;

/// The world as this machine has it. `runtime` runs the background tasks.
pub(crate) fn system(runtime: Handle) -> Result<World> {
    Ok(World {
        clock: Arc::new(SystemClock::start()),
        random: Arc::new(SystemRandom),
        spawn: Arc::new(RuntimeSpawn(runtime)),
        cpu: Arc::new(CpuThreads::start()?),
    })
}

struct SystemClock {
    started: Instant,
}

impl SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one system clock that is injected everywhere else")]
    fn start() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one system clock that is injected everywhere else")]
    fn now(&self) -> UnixMs {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        OsRng.try_fill_bytes(bytes).expect("a system without randomness cannot make keys or tokens");
    }
}

struct RuntimeSpawn(Handle);

impl Spawn for RuntimeSpawn {
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        tracing::trace!(task = name, "task started");
        self.0.spawn(task);
    }
}

/// One thread a core, fed from one bounded queue.
struct CpuThreads {
    queue: SyncSender<Job>,
}

impl CpuThreads {
    fn start() -> Result<Self> {
        let (queue, jobs) = sync_channel(JOBS_WAITING_MAX);
        let jobs = Arc::new(Mutex::new(jobs));
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        for number in 0..threads {
            let jobs = jobs.clone();
            std::thread::Builder::new()
                .name(format!("cpu-{number}"))
                .spawn(move || work(&jobs))
                .context("start a CPU thread")?;
        }
        Ok(Self { queue })
    }
}

impl CpuPool for CpuThreads {
    fn run(&self, job: Job) {
        match self.queue.try_send(job) {
            Ok(()) => {}
            // Dropping the job drops its reply channel, which tells the caller that we are too busy.
            Err(TrySendError::Full(_)) => {
                tracing::warn!(jobs_waiting_max = JOBS_WAITING_MAX, "cpu pool is full")
            }
            Err(TrySendError::Disconnected(_)) => tracing::error!("cpu pool has no threads"),
        }
    }
}

/// Runs until the pool is dropped. A job that panics ends alone, not its thread.
fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // The panic hook has logged it, and the dropped reply channel tells the caller.
        drop(std::panic::catch_unwind(AssertUnwindSafe(job)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_cpu_pool_survives_a_panicking_job() {
        let world = system(Handle::current()).unwrap();
        for _ in 0..8 {
            assert_eq!(world.compute(|| -> u32 { panic!("expected by this test") }).await, None);
        }
        assert_eq!(world.compute(|| 6 * 7).await, Some(42));
    }

    #[tokio::test]
    async fn time_and_randomness_move() {
        let world = system(Handle::current()).unwrap();
        let before = world.clock.monotonic();
        world.clock.sleep(Duration::from_millis(2)).await;
        assert!(world.clock.monotonic() > before);
        assert!(world.now() > UnixMs(1_700_000_000_000));
        assert_ne!(world.random_bytes::<32>(), world.random_bytes::<32>());
    }
}
