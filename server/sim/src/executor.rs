//! A single-threaded executor whose every choice comes from a seed.
//!
//! Ready tasks are polled in random order; when nothing is ready, time jumps to the next timer. There is no
//! other source of time, order or randomness in a simulation. **Invariant**: two runs with one seed make
//! the same choices.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::pin,
    sync::{Arc, Weak},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use nexus_event_store::world::{BoxFuture, Clock, CpuPool, Random, Spawn, UnixMs, World};
use parking_lot::Mutex;
use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

/// Simulated time begins here: 2026-01-01T00:00:00Z.
const EPOCH_MS: u64 = 1_767_225_600_000;

type TaskId = u64;

struct State {
    now: Duration,
    rng: ChaCha8Rng,
    ready: Vec<TaskId>,
    tasks: BTreeMap<TaskId, Option<BoxFuture<'static, ()>>>,
    timers: BTreeMap<(Duration, u64), Waker>,
    next: u64,
    trace: Sha256,
}

/// A simulation. Cheap to clone.
#[derive(Clone)]
pub struct Simulation {
    state: Arc<Mutex<State>>,
}

struct TaskWaker {
    task: TaskId,
    state: Weak<Mutex<State>>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if let Some(state) = self.state.upgrade() {
            let mut state = state.lock();
            if !state.ready.contains(&self.task) {
                state.ready.push(self.task);
            }
        }
    }
}

/// The task that [`Simulation::run`] was given.
const MAIN: TaskId = 0;

impl Simulation {
    /// A simulation that follows `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let state = State {
            now: Duration::ZERO,
            rng: ChaCha8Rng::seed_from_u64(seed),
            ready: Vec::new(),
            tasks: BTreeMap::new(),
            timers: BTreeMap::new(),
            next: 1,
            trace: Sha256::new(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// The world of this simulation.
    #[must_use]
    pub fn world(&self) -> World {
        let parts = Arc::new(self.clone());
        World { clock: parts.clone(), random: parts.clone(), spawn: parts.clone(), cpu: parts }
    }

    /// A number below `bound` (which is not 0).
    pub fn below(&self, bound: u64) -> u64 {
        self.state.lock().rng.next_u64() % bound
    }

    /// Adds a fact to the trace.
    pub fn note(&self, fact: &[u8]) {
        let mut state = self.state.lock();
        let now = state.now;
        state.trace.update(now.as_nanos().to_be_bytes());
        state.trace.update((fact.len() as u64).to_be_bytes());
        state.trace.update(fact);
    }

    /// The hash of everything noted so far, in hexadecimal.
    #[must_use]
    pub fn trace_hash(&self) -> String {
        let digest = self.state.lock().trace.clone().finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Simulated time since the beginning.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.state.lock().now
    }

    /// Ends every task but the running one at once, as when a process is killed: none gets to run again.
    pub fn kill_tasks(&self) {
        let (tasks, timers) = {
            let mut state = self.state.lock();
            let ready = std::mem::take(&mut state.ready);
            state.ready = ready.into_iter().filter(|task| *task == MAIN).collect();
            (std::mem::take(&mut state.tasks), std::mem::take(&mut state.timers))
        };
        // Dropped outside the lock: a task may own wakers and channels that lock it.
        drop((tasks, timers));
    }

    /// Runs `main` to its end.
    ///
    /// # Panics
    /// When nothing can ever happen again and `main` is not done: a deadlock in what is simulated.
    pub fn run<T>(&self, main: impl Future<Output = T>) -> T {
        let mut main = pin!(main);
        self.state.lock().ready.push(MAIN);
        loop {
            let Some(task) = self.next_ready() else {
                assert!(self.advance(), "deadlock: no task is ready and no timer is set");
                continue;
            };
            let waker = Waker::from(Arc::new(TaskWaker { task, state: Arc::downgrade(&self.state) }));
            let mut context = Context::from_waker(&waker);
            if task == MAIN {
                if let Poll::Ready(output) = main.as_mut().poll(&mut context) {
                    return output;
                }
                continue;
            }
            let taken = self.state.lock().tasks.get_mut(&task).and_then(Option::take);
            let Some(mut future) = taken else { continue };
            let done = future.as_mut().poll(&mut context).is_ready();
            let mut state = self.state.lock();
            if done {
                state.tasks.remove(&task);
            } else if let Some(slot) = state.tasks.get_mut(&task) {
                *slot = Some(future);
            }
        }
    }

    fn next_ready(&self) -> Option<TaskId> {
        let mut state = self.state.lock();
        if state.ready.is_empty() {
            return None;
        }
        let count = state.ready.len() as u64;
        let index = usize::try_from(state.rng.next_u64() % count).unwrap_or_default();
        Some(state.ready.swap_remove(index))
    }

    /// Jumps to the next timer; `false` if there is none.
    fn advance(&self) -> bool {
        let mut state = self.state.lock();
        let Some(((at, _), waker)) = state.timers.pop_first() else { return false };
        state.now = state.now.max(at);
        drop(state);
        waker.wake();
        true
    }
}

struct Sleep {
    simulation: Simulation,
    until: Duration,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.simulation.state.lock();
        if state.now >= self.until {
            return Poll::Ready(());
        }
        let number = state.next;
        state.next += 1;
        state.timers.insert((self.until, number), context.waker().clone());
        Poll::Pending
    }
}

impl Clock for Simulation {
    fn now(&self) -> UnixMs {
        UnixMs(EPOCH_MS + u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(Sleep { simulation: self.clone(), until: self.elapsed() + duration })
    }
}

impl Random for Simulation {
    fn fill(&self, bytes: &mut [u8]) {
        self.state.lock().rng.fill_bytes(bytes);
    }
}

impl Spawn for Simulation {
    fn spawn(&self, _: &'static str, task: BoxFuture<'static, ()>) {
        let mut state = self.state.lock();
        let id = state.next;
        state.next += 1;
        state.tasks.insert(id, Some(task));
        state.ready.push(id);
    }
}

impl CpuPool for Simulation {
    fn run(&self, job: Box<dyn FnOnce() + Send + 'static>) {
        Spawn::spawn(self, "cpu", Box::pin(async move { job() }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_jumps_to_what_is_next() {
        let simulation = Simulation::new(1);
        let world = simulation.world();
        simulation.run(async {
            world.clock.sleep(Duration::from_secs(3600)).await;
        });
        assert_eq!(simulation.elapsed(), Duration::from_secs(3600));
    }

    #[test]
    fn one_seed_gives_one_order() {
        let order = |seed| {
            let simulation = Simulation::new(seed);
            let world = simulation.world();
            for number in 0..20u8 {
                let (noted, clock) = (simulation.clone(), world.clock.clone());
                let nap = Duration::from_millis(simulation.below(3));
                world.spawn("note", async move {
                    clock.sleep(nap).await;
                    noted.note(&[number]);
                });
            }
            simulation.run(world.clock.sleep(Duration::from_secs(1)));
            simulation.trace_hash()
        };
        assert_eq!(order(7), order(7));
        assert_ne!(order(7), order(8));
    }
}
