//! Threads of a room: messages that hang on another by `m.thread`, and what `nexus.thread` says of them.
//!
//! A thread is named by its root, the message it hangs on; its snowflake is the root's. In a guild's channel
//! each thread has `nexus.thread` state, else it is none that Discord's clients see; in other rooms the
//! relation is all there is. **Bounds**: lists look at [`THREADS_SCANNED`] threads of a room, newest first.

use nexus_event_store::{
    EventNo, RoomNo, Rows as _, Scan, Snowflake, UserNo, catalogue::numbers, rows::EventPlace, table,
    versioned_value,
};
use serde::{Deserialize, Serialize};

use crate::{ViewError, Views, rows::MessageRow};

/// How many threads of a room are looked at for a list.
pub const THREADS_SCANNED: usize = 1000;

/// How many messages of a thread are looked through for one's own.
const PARTS_SCANNED: usize = 200;

/// How long a thread stays open that nobody writes in, unless it says otherwise: three days.
pub const AUTO_ARCHIVE_MINUTES: u32 = 4320;

/// The longest time that a thread stays open without a message: a week.
const AUTO_ARCHIVE_MINUTES_MAX: u64 = 10_080;

/// What `nexus.thread` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadState {
    /// The state event.
    pub event: EventNo,
    /// Its name.
    pub name: String,
    /// Who began it.
    pub owner: UserNo,
    /// When it was begun, milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// Put away by somebody.
    pub archived: bool,
    /// When that last changed, milliseconds since the Unix epoch.
    pub archived_ms: u64,
    /// Only who manages threads may write in it, once it is put away only they may take it out again.
    pub locked: bool,
    /// Members may add others (private threads).
    pub invitable: bool,
    /// Minutes without a message after which it counts as put away.
    pub auto_archive_minutes: u32,
    /// Seconds between two messages of one member.
    pub slowmode_s: u32,
    /// Forum tags.
    pub tags: Vec<u64>,
}

/// A thread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadRow {
    /// What `nexus.thread` says, if it says anything.
    pub state: Option<ThreadState>,
    /// How many events hang on the root.
    pub messages: u64,
    /// The newest of them.
    pub latest: Option<EventNo>,
    /// The newest of them and the state event.
    pub touched: EventNo,
    /// When that came, milliseconds since the Unix epoch.
    pub touched_ms: u64,
}
versioned_value!(ThreadRow, 1);

/// A thread in the order of activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TouchedRow {
    /// Its root.
    pub root: EventNo,
    /// When it was touched, milliseconds since the Unix epoch.
    pub at_ms: u64,
}
versioned_value!(TouchedRow, 1);

/// A member's following of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadMemberRow {
    /// Since when, milliseconds since the Unix epoch.
    pub since_ms: u64,
}
versioned_value!(ThreadMemberRow, 1);

table! {
    /// Threads: (room, root).
    Threads = numbers::THREADS, "threads", (RoomNo, EventNo) => ThreadRow
}
table! {
    /// Messages in threads: (room, root, snowflake).
    ThreadMessages = numbers::THREAD_MESSAGES, "thread_messages", (RoomNo, EventNo, Snowflake) => MessageRow
}
table! {
    /// Threads by what touched them last: (room, event).
    ThreadOrder = numbers::THREAD_ORDER, "thread_order", (RoomNo, EventNo) => TouchedRow
}
table! {
    /// Who follows a thread, a primary record: (room, root, user).
    ThreadMembers = numbers::THREAD_MEMBERS, "thread_members", (RoomNo, EventNo, UserNo) => ThreadMemberRow
}

/// A thread of a guild's channel.
#[derive(Clone, Debug)]
pub struct Thread {
    /// The channel's room.
    pub room: RoomNo,
    /// The message it hangs on.
    pub root: EventNo,
    /// Its snowflake, which is the root's.
    pub id: Snowflake,
    /// What was said of it.
    pub state: ThreadState,
    /// How many messages hang on the root.
    pub messages: u64,
    /// The newest message.
    pub last_message_id: Option<Snowflake>,
    /// Put away, by somebody or by time.
    pub archived: bool,
    /// When that last changed, milliseconds since the Unix epoch.
    pub archived_ms: u64,
    /// Who follows it; counted up to 50.
    pub members: usize,
}

/// Discord counts the members of a thread up to here.
const MEMBERS_COUNTED: usize = 50;

impl Views {
    /// A thread that `nexus.thread` describes.
    ///
    /// # Errors
    /// Store errors.
    pub async fn thread(&self, room: RoomNo, root: EventNo) -> Result<Option<Thread>, ViewError> {
        match self.store.row::<Threads>(&(room, root)).await? {
            Some(row) => self.assembled_thread(room, root, row).await,
            None => Ok(None),
        }
    }

    /// What hangs on an event, in any room.
    ///
    /// # Errors
    /// Store errors.
    pub async fn thread_row(&self, room: RoomNo, root: EventNo) -> Result<Option<ThreadRow>, ViewError> {
        self.store.row::<Threads>(&(room, root)).await
    }

    /// Which of the events from `first` to `last` have threads, described or not.
    ///
    /// # Errors
    /// Store errors.
    pub async fn thread_rows_between(
        &self,
        room: RoomNo,
        first: EventNo,
        last: EventNo,
    ) -> Result<Vec<(EventNo, ThreadRow)>, ViewError> {
        let scan = Scan::prefix::<Threads>(&room).from::<Threads>(&(room, first));
        let scan = scan.until::<Threads>(&(room, EventNo(last.0.saturating_add(1)))).limit(THREADS_SCANNED);
        let rows = self.store.scan::<Threads>(scan).await?;
        Ok(rows.into_iter().map(|((_, root), row)| (root, row)).collect())
    }

    async fn assembled_thread(
        &self,
        room: RoomNo,
        root: EventNo,
        row: ThreadRow,
    ) -> Result<Option<Thread>, ViewError> {
        let Some(state) = row.state else { return Ok(None) };
        let Some(id) = self.event(EventPlace { room, event: root }).await?.snowflake else { return Ok(None) };
        let newest = Scan::prefix::<ThreadMessages>(&(room, root)).reverse().limit(1);
        let last_message_id =
            self.store.scan::<ThreadMessages>(newest).await?.first().map(|((_, _, id), _)| *id);
        let now_ms = self.store.world().now().0;
        let ends_ms = row.touched_ms.saturating_add(u64::from(state.auto_archive_minutes) * 60_000);
        let (archived, archived_ms) = match state.archived {
            true => (true, state.archived_ms),
            false if ends_ms <= now_ms => (true, ends_ms),
            false => (false, state.archived_ms),
        };
        let members = Scan::prefix::<ThreadMembers>(&(room, root)).limit(MEMBERS_COUNTED);
        let members = self.store.scan::<ThreadMembers>(members).await?.len();
        let messages = row.messages;
        Ok(Some(Thread { room, root, id, state, messages, last_message_id, archived, archived_ms, members }))
    }

    /// The threads of a channel that are not put away, the last touched first.
    ///
    /// # Errors
    /// Store errors.
    pub async fn active_threads(&self, room: RoomNo) -> Result<Vec<Thread>, ViewError> {
        let oldest_ms = self.store.world().now().0.saturating_sub(AUTO_ARCHIVE_MINUTES_MAX * 60_000);
        let mut threads = Vec::new();
        for touched in self.touched_threads(room, None, THREADS_SCANNED).await? {
            if touched.1.at_ms < oldest_ms {
                break;
            }
            let thread = self.thread(room, touched.1.root).await?;
            threads.extend(thread.filter(|thread| !thread.archived));
        }
        Ok(threads)
    }

    /// The threads of a channel that are put away, the last put away first.
    ///
    /// # Errors
    /// Store errors.
    pub async fn archived_threads(
        &self,
        room: RoomNo,
        before_ms: Option<u64>,
    ) -> Result<Vec<Thread>, ViewError> {
        let mut threads = Vec::new();
        for touched in self.touched_threads(room, None, THREADS_SCANNED).await? {
            let thread = self.thread(room, touched.1.root).await?;
            let fits = |thread: &Thread| {
                thread.archived && before_ms.is_none_or(|before| thread.archived_ms < before)
            };
            threads.extend(thread.filter(fits));
        }
        threads.sort_by_key(|thread| std::cmp::Reverse((thread.archived_ms, thread.id)));
        Ok(threads)
    }

    /// Threads by what touched them last, newest first, before `before`.
    ///
    /// # Errors
    /// Store errors.
    pub async fn touched_threads(
        &self,
        room: RoomNo,
        before: Option<EventNo>,
        limit: usize,
    ) -> Result<Vec<(EventNo, TouchedRow)>, ViewError> {
        let mut scan = Scan::prefix::<ThreadOrder>(&room).reverse().limit(limit);
        if let Some(before) = before {
            scan = scan.until::<ThreadOrder>(&(room, before));
        }
        let rows = self.store.scan::<ThreadOrder>(scan).await?;
        Ok(rows.into_iter().map(|((_, event), row)| (event, row)).collect())
    }

    /// Whether one of the newest messages of a thread is the user's, or the user follows it.
    ///
    /// # Errors
    /// Store errors.
    pub async fn takes_part(&self, room: RoomNo, root: EventNo, user: UserNo) -> Result<bool, ViewError> {
        if self.thread_member(room, root, user).await?.is_some() {
            return Ok(true);
        }
        let newest = Scan::prefix::<ThreadMessages>(&(room, root)).reverse().limit(PARTS_SCANNED);
        Ok(self.store.scan::<ThreadMessages>(newest).await?.iter().any(|(_, row)| row.author == user))
    }

    /// Who follows a thread, by number after `after`.
    ///
    /// # Errors
    /// Store errors.
    pub async fn thread_members(
        &self,
        room: RoomNo,
        root: EventNo,
        limit: usize,
    ) -> Result<Vec<(UserNo, ThreadMemberRow)>, ViewError> {
        let scan = Scan::prefix::<ThreadMembers>(&(room, root)).limit(limit);
        let rows = self.store.scan::<ThreadMembers>(scan).await?;
        Ok(rows.into_iter().map(|((_, _, user), row)| (user, row)).collect())
    }

    /// Since when a user follows a thread.
    ///
    /// # Errors
    /// Store errors.
    pub async fn thread_member(
        &self,
        room: RoomNo,
        root: EventNo,
        user: UserNo,
    ) -> Result<Option<ThreadMemberRow>, ViewError> {
        self.store.row::<ThreadMembers>(&(room, root, user)).await
    }
}
