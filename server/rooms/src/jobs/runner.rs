//! The task that carries jobs out: one step of each open job in turn, until none is left.
//!
//! **Bounds**: one step at a time, each of at most [`plan::ACTIONS`](super::plan::ACTIONS) events' worth. A
//! job whose step failed waits, up to a minute, while the others go on. **Errors**: logged here; only a
//! store that has stopped ends the task.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use nexus_event_store::{RoomNo, Rows as _, StoreError};

use super::{JobKey, JobRow, Jobs, plan::Plan};
use crate::{
    Rooms, RoomsError,
    decision::{Decide, Decision},
};

/// The first wait after a failure; it doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A job that failed: when it is tried again, and how long it was to wait.
struct Waiting {
    until: Duration,
    wait: Duration,
}

pub(super) async fn run(rooms: Rooms) {
    let world = rooms.inner.views.store().world().clone();
    let mut waiting: BTreeMap<JobKey, Waiting> = BTreeMap::new();
    loop {
        let open = match rooms.open_jobs().await {
            Ok(open) => open,
            Err(error) => {
                tracing::error!(%error, "the open jobs cannot be read");
                world.clock.sleep(LONGEST_WAIT).await;
                continue;
            }
        };
        waiting.retain(|key, _| open.iter().any(|(open, _)| open == key));
        let mut stepped = false;
        for (key, row) in &open {
            let now = world.clock.monotonic();
            if waiting.get(key).is_some_and(|waiting| waiting.until > now) {
                continue;
            }
            stepped = true;
            match rooms.step(*key, row).await {
                Ok(()) => {
                    waiting.remove(key);
                }
                Err(RoomsError::Store(StoreError::Stopped)) => return,
                Err(error) => {
                    rooms.inner.jobs.statistics.failures.fetch_add(1, Ordering::Relaxed);
                    let wait = waiting.get(key).map_or(FIRST_WAIT, |last| LONGEST_WAIT.min(last.wait * 2));
                    tracing::warn!(%error, job = row.work.kind().0, room = key.1.0, "a job's step failed");
                    waiting.insert(*key, Waiting { until: now + wait, wait });
                }
            }
        }
        if open.is_empty() {
            rooms.inner.jobs.wake.notified().await;
        } else if !stepped {
            world.clock.sleep(FIRST_WAIT).await;
        }
    }
}

impl Rooms {
    /// Takes one step of a job, unless the job has changed since it was read.
    async fn step(&self, key: JobKey, row: &JobRow) -> Result<(), RoomsError> {
        let plan = self.plan(key.1, &row.work).await?;
        let is_last = plan.next.is_none();
        if !self.run(&Step { key, row, plan }).await?.0 {
            return Ok(());
        }
        let statistics = &self.inner.jobs.statistics;
        statistics.steps.fetch_add(1, Ordering::Relaxed);
        if is_last {
            statistics.finished.fetch_add(1, Ordering::Relaxed);
            let (job, steps) = (row.work.kind().0, row.steps + 1);
            let took_ms = self.inner.views.store().world().now().0.saturating_sub(row.opened_ms);
            tracing::info!(job, room = key.1.0, steps, took_ms, "a job is done");
        }
        Ok(())
    }
}

/// One commit of a job.
struct Step<'a> {
    key: JobKey,
    row: &'a JobRow,
    plan: Plan,
}

impl Decide for Step<'_> {
    /// Whether the step was taken.
    type Output = bool;

    fn rooms(&self) -> Vec<RoomNo> {
        self.plan.actions.iter().flat_map(super::actions::Action::rooms).collect()
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<bool, RoomsError> {
        if decision.tx.row::<Jobs>(&self.key).await?.as_ref() != Some(self.row) {
            return Ok(false);
        }
        for action in &self.plan.actions {
            action.carry_out(decision, &self.row.work).await?;
        }
        match &self.plan.next {
            Some(work) => {
                let actions = self.row.actions + self.plan.actions.len() as u64;
                let row = JobRow { work: work.clone(), steps: self.row.steps + 1, actions, ..*self.row };
                decision.tx.put::<Jobs>(&self.key, &row);
            }
            None => decision.tx.delete::<Jobs>(&self.key),
        }
        Ok(true)
    }
}
