//! Durable jobs: what a command starts that is too much for its own commit (design invariant 3).
//!
//! The deciding event and a job's row go into one commit, so an acknowledged command is carried out to its
//! end whatever happens to the process. A runner plans a bounded step from what is durable, then carries it
//! out in one commit that also advances the row's cursor, or deletes the row when nothing is left. Every
//! action of a step looks again whether it is still called for, so a step may be planned twice.
//!
//! **Shapes**: key (kind, room, number), so that a job asked for twice is one row. **Errors**: a step that
//! fails is tried again later and holds up no other job. **Source**: `docs/adr/2026-11-22-jobs.md`.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use nexus_event_store::{
    EventNo, RoomNo, Rows as _, Scan, Snowflake, UserNo,
    catalogue::{Table, numbers},
    versioned_value,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::{Actor, Rooms, RoomsError, decision::Decision};

pub(crate) mod actions;
mod plan;
mod runner;
mod settle;

pub(crate) use settle::CHANNELS_AT_ONCE;

/// A job's place: which kind of work, on which room, and what tells it from others of the kind there.
pub(crate) type JobKey = (u8, RoomNo, u64);

/// For whom the steward does something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    /// The user who asked.
    pub(crate) user: String,
    /// The `action` of `nexus.actor`.
    pub(crate) action: String,
    /// Why.
    pub(crate) reason: Option<String>,
}

impl Request {
    pub(crate) fn new(actor: &Actor, action: &str, reason: Option<&str>) -> Self {
        let reason = reason.or(actor.reason.as_deref());
        let (action, reason) = (action.to_owned(), reason.map(str::to_owned));
        Self { user: actor.user.to_string(), action, reason }
    }

    /// Who asked, as commands name them.
    pub(crate) fn actor(&self) -> Result<Actor, RoomsError> {
        let user = ruma::UserId::parse(self.user.as_str())
            .map_err(|error| RoomsError::Internal(error.to_string()))?;
        Ok(Actor { user, device: String::new(), reason: None })
    }
}

/// How memberships of channels end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ending {
    /// The user leaves, having left the guild.
    Own {
        /// Why.
        reason: Option<String>,
    },
    /// The steward takes the user out, as somebody asked.
    Asked(Request),
    /// The steward takes out one who may not view the channel any more.
    Unseen,
}

/// What is left to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Work {
    /// Takes a user out of the channels of the key's guild that the user may not view.
    SettleMember {
        /// The user.
        user: UserNo,
        /// How.
        ending: Ending,
        /// The last room that was looked at.
        after: Option<RoomNo>,
    },
    /// Does so for all members of all channels of the key's guild, and sets who may invite there.
    SettleGuild {
        /// The last channel that is settled.
        after: Option<RoomNo>,
        /// The last member looked at in the channel after that.
        member: Option<UserNo>,
        /// Permissions have changed since it began: from the start once it is through.
        again: bool,
    },
    /// Does so in one channel, which is the key's room.
    SettleChannel {
        /// The last member looked at.
        member: Option<UserNo>,
        /// As above.
        again: bool,
    },
    /// Takes everyone out of the rooms of the key's guild, which was deleted.
    EmptyGuild {
        /// Who deleted it.
        request: Request,
        /// The last channel that is empty.
        after: Option<RoomNo>,
        /// The last member looked at in the room after that: the next channel, or the guild's own.
        member: Option<UserNo>,
    },
    /// Redacts what a user has written in the channels of the key's guild.
    DeleteMessages {
        /// The author.
        user: UserNo,
        /// From here on.
        since: Snowflake,
        /// Who wants it.
        request: Request,
        /// The last channel that is through.
        after: Option<RoomNo>,
        /// The last message looked at in the channel after that.
        message: Option<Snowflake>,
    },
    /// Redacts the reactions to a message in the key's room.
    ClearReactions {
        /// The message.
        target: EventNo,
        /// Only those with this emoji.
        emoji: Option<String>,
        /// Only those up to this event: later ones were put there after it was asked for.
        until: EventNo,
        /// Who wants it.
        request: Request,
    },
    /// Takes the channels of a category that was deleted out of it, in the key's guild.
    FreeChildren {
        /// The category.
        category: RoomNo,
        /// Who deleted it.
        request: Request,
        /// The last channel looked at.
        after: Option<RoomNo>,
    },
    /// Takes inactive members out of the key's guild.
    Prune {
        /// Who has been silent since then is inactive: milliseconds since the Unix epoch.
        silent_since_ms: u64,
        /// Members whose roles are all among these count too.
        roles: Vec<u64>,
        /// Who wants it.
        request: Request,
        /// The last member looked at.
        member: Option<UserNo>,
    },
}

impl Work {
    /// Its name for operators, and the number of its kind in keys.
    pub(crate) fn kind(&self) -> (&'static str, u8) {
        match self {
            Self::SettleMember { .. } => ("settle member", 1),
            Self::SettleGuild { .. } => ("settle guild", 2),
            Self::SettleChannel { .. } => ("settle channel", 3),
            Self::EmptyGuild { .. } => ("empty guild", 4),
            Self::DeleteMessages { .. } => ("delete messages", 5),
            Self::ClearReactions { .. } => ("clear reactions", 6),
            Self::FreeChildren { .. } => ("free children", 7),
            Self::Prune { .. } => ("prune", 8),
        }
    }

    /// What tells it from other work of its kind on the same room.
    fn number(&self) -> u64 {
        match self {
            Self::SettleMember { user, .. } | Self::DeleteMessages { user, .. } => user.0,
            Self::ClearReactions { target, .. } => target.0,
            Self::FreeChildren { category, .. } => category.0,
            Self::SettleGuild { .. }
            | Self::SettleChannel { .. }
            | Self::EmptyGuild { .. }
            | Self::Prune { .. } => 0,
        }
    }
}

/// An open job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JobRow {
    /// What is left.
    pub(crate) work: Work,
    /// When it was asked for, in milliseconds since the Unix epoch.
    pub(crate) opened_ms: u64,
    /// How many steps were taken.
    pub(crate) steps: u64,
    /// How many actions they held.
    pub(crate) actions: u64,
}
versioned_value!(JobRow, 1);

/// Open jobs: a primary record.
pub(crate) struct Jobs;

impl Table for Jobs {
    const NUMBER: u8 = numbers::JOBS;
    const NAME: &'static str = "jobs";
    type Key = JobKey;
    type Value = JobRow;
}

/// An open job, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobStatus {
    /// Which kind of work.
    pub kind: &'static str,
    /// The guild or room it is about.
    pub room: RoomNo,
    /// When it was asked for, in milliseconds since the Unix epoch.
    pub opened_ms: u64,
    /// How many steps were taken.
    pub steps: u64,
    /// How many things were done in them.
    pub actions: u64,
}

/// Counters of the job runner, for `/metrics`.
#[derive(Debug, Default)]
pub struct JobStatistics {
    /// Jobs that were open when the runner last looked.
    pub open: AtomicU64,
    /// Steps taken.
    pub steps: AtomicU64,
    /// Jobs brought to their end.
    pub finished: AtomicU64,
    /// Steps that failed and are tried again.
    pub failures: AtomicU64,
}

/// What commands and the runner share.
#[derive(Default)]
pub(crate) struct JobBoard {
    wake: Arc<Notify>,
    pub(crate) statistics: Arc<JobStatistics>,
    /// Who has written lately in the guild that is being pruned.
    pub(crate) writers: tokio::sync::Mutex<Option<crate::moderation::Writers>>,
}

/// How many jobs are listed, or looked at in one round.
const LISTED: usize = 1024;

impl Rooms {
    /// Starts the task that carries jobs out, those of an earlier process first. Once for each process.
    pub fn start_jobs(&self) {
        let rooms = self.clone();
        self.inner.views.store().world().spawn("jobs", async move { runner::run(rooms).await });
    }

    /// The open jobs, at most 1024 of them.
    ///
    /// # Errors
    /// Store errors.
    pub async fn jobs(&self) -> Result<Vec<JobStatus>, RoomsError> {
        let status = |((_, room, _), row): (JobKey, JobRow)| JobStatus {
            kind: row.work.kind().0,
            room,
            opened_ms: row.opened_ms,
            steps: row.steps,
            actions: row.actions,
        };
        Ok(self.open_jobs().await?.into_iter().map(status).collect())
    }

    /// Counters of the job runner.
    #[must_use]
    pub fn job_statistics(&self) -> Arc<JobStatistics> {
        Arc::clone(&self.inner.jobs.statistics)
    }

    async fn open_jobs(&self) -> Result<Vec<(JobKey, JobRow)>, RoomsError> {
        let scan = Scan::prefix::<Jobs>(&()).limit(LISTED);
        let open = self.inner.views.store().scan::<Jobs>(scan).await?;
        self.inner.jobs.statistics.open.store(open.len() as u64, Ordering::Relaxed);
        Ok(open)
    }
}

impl Decision<'_> {
    /// Opens a job with this decision. One of the same kind for the same thing that is still open is replaced.
    pub(crate) fn open_job(&mut self, room: RoomNo, work: Work) {
        let key = (work.kind().1, room, work.number());
        self.tx.put::<Jobs>(&key, &JobRow { work, opened_ms: self.now.0, steps: 0, actions: 0 });
        self.wake_jobs();
    }

    /// Opens a job that settles memberships, or lets an open one begin again once it is through: however
    /// often permissions change, it comes to its end.
    pub(crate) async fn settle_again(&mut self, room: RoomNo, mut work: Work) -> Result<(), RoomsError> {
        let key = (work.kind().1, room, work.number());
        let Some(mut row) = self.tx.row::<Jobs>(&key).await? else {
            self.open_job(room, work);
            return Ok(());
        };
        std::mem::swap(&mut row.work, &mut work);
        row.work = match work {
            Work::SettleGuild { after, member, .. } => Work::SettleGuild { after, member, again: true },
            Work::SettleChannel { member, .. } => Work::SettleChannel { member, again: true },
            _ => row.work,
        };
        self.tx.put::<Jobs>(&key, &row);
        Ok(())
    }

    fn wake_jobs(&self) {
        let wake = Arc::clone(&self.rooms.inner.jobs.wake);
        self.tx.on_durable(move || wake.notify_one());
    }
}
