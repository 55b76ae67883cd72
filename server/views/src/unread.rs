//! What a user has not read: computed from the log and how far the user says to have read.
//!
//! A marker is a receipt: of the whole room, of its main timeline, or of one thread. What one has written
//! oneself counts as having read what was there. **Bounds**: a count looks at [`COUNTED`] messages and
//! [`COUNTED`] mentions at most, so it ends there; a list of receipts gives the newest [`RECEIPTS_TOLD`].
//! **Invariant**: a message costs one row for each user it names, one more if it is for all or for roles.

use std::collections::BTreeMap;

use nexus_event_store::{
    EventNo, Position, RoomNo, Rows as _, Scan, Snowflake, UserNo, catalogue::numbers, rows::EventPlace,
    table, versioned_value,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::{
    ViewError, Views,
    rows::{GuildMembers, MessageRow, Messages},
    threads::ThreadMessages,
};

/// No count goes further.
pub const COUNTED: usize = 100;

/// So many messages are looked at first.
const STEP: usize = 8;

/// So many receipts of a room are told at once.
const RECEIPTS_TOLD: usize = 500;

/// So many threads of a room are looked at.
const THREADS_COUNTED: usize = 50;

/// In [`Mentions`]: for everyone, or for roles.
pub(crate) const ALL: UserNo = UserNo(0);

/// What a receipt is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReceiptThread {
    /// The room with all its threads.
    Whole,
    /// What is in no thread.
    Main,
    /// The thread on this root.
    Of(EventNo),
}

impl ReceiptThread {
    /// As a part of a key.
    #[must_use]
    pub fn number(self) -> u64 {
        match self {
            Self::Whole => u64::MAX,
            Self::Main => 0,
            Self::Of(root) => root.0,
        }
    }

    fn of_number(number: u64) -> Self {
        match number {
            u64::MAX => Self::Whole,
            0 => Self::Main,
            root => Self::Of(EventNo(root)),
        }
    }
}

/// `m.read`: others are told.
pub const PUBLIC: u8 = 0;
/// `m.read.private`: only the user's own devices are told.
pub const PRIVATE: u8 = 1;

/// How far a user has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptRow {
    /// The newest event that was read.
    pub event: EventNo,
    /// When, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The commit that wrote it.
    pub position: Position,
}
versioned_value!(ReceiptRow, 1);

/// A message that names somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MentionRow {
    /// The message's event.
    pub event: EventNo,
    /// The thread it is in.
    pub thread: Option<EventNo>,
    /// In a row for all: who wrote it.
    pub author: UserNo,
    /// In a row for all: whether everyone is meant.
    pub everyone: bool,
    /// In a row for all: the roles that are meant.
    pub roles: Vec<u64>,
}
versioned_value!(MentionRow, 1);

table! {
    /// Messages that name a user, a view: (user, room, snowflake); user 0 stands for everyone and roles.
    Mentions = numbers::MENTIONS, "mentions", (UserNo, RoomNo, Snowflake) => MentionRow
}
table! {
    /// How far users have read, a primary record: (room, user, thread, kind).
    Receipts = numbers::RECEIPTS, "receipts", (RoomNo, UserNo, u64, u8) => ReceiptRow
}
table! {
    /// Receipts in the order in which they came, a primary record: (room, commit, user, kind) to the thread.
    ReceiptOrder = numbers::RECEIPT_ORDER, "receipt_order", (RoomNo, Position, UserNo, u8) => u64
}

/// What one has not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// Messages of others.
    pub messages: usize,
    /// Those of them that name the user, everyone or a role of the user's.
    pub mentions: usize,
}

/// A receipt as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Whose.
    pub user: UserNo,
    /// [`PUBLIC`] or [`PRIVATE`].
    pub kind: u8,
    /// What it is for.
    pub thread: ReceiptThread,
    /// The event.
    pub event: EventNo,
    /// When, milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// In which rooms receipts came since the server started, so that nobody needs to look.
#[derive(Debug)]
pub struct ReceiptNews {
    started: Position,
    rooms: Mutex<BTreeMap<RoomNo, Position>>,
}

impl ReceiptNews {
    pub(crate) fn new(started: Position) -> Self {
        Self { started, rooms: Mutex::default() }
    }

    /// A receipt comes in `room` with the commit at `position`.
    pub fn note(&self, room: RoomNo, position: Position) {
        let mut rooms = self.rooms.lock();
        let newest = rooms.entry(room).or_default();
        *newest = (*newest).max(position);
    }
}

/// How far a user has read in a room.
#[derive(Clone, Debug, Default)]
pub struct Markers {
    whole: Option<EventNo>,
    by_thread: BTreeMap<u64, EventNo>,
}

impl Markers {
    /// The newest event read in the main timeline (`None`) or in a thread.
    #[must_use]
    pub fn of(&self, thread: Option<EventNo>) -> Option<EventNo> {
        let own = self.by_thread.get(&thread.map_or(0, |root| root.0)).copied();
        own.max(self.whole)
    }
}

impl Views {
    /// How far `user` has read in `room`.
    ///
    /// # Errors
    /// Store errors.
    pub async fn markers(&self, room: RoomNo, user: UserNo) -> Result<Markers, ViewError> {
        let mut markers = Markers::default();
        let rows = self.store.scan::<Receipts>(Scan::prefix::<Receipts>(&(room, user))).await?;
        for ((_, _, thread, _), row) in rows {
            let marker = match ReceiptThread::of_number(thread) {
                ReceiptThread::Whole => &mut markers.whole,
                _ => {
                    let known = markers.by_thread.entry(thread).or_insert(row.event);
                    *known = (*known).max(row.event);
                    continue;
                }
            };
            *marker = (*marker).max(Some(row.event));
        }
        Ok(markers)
    }

    /// What `user` has not read in the main timeline of `room`, or in a thread of it.
    ///
    /// # Errors
    /// Store errors.
    pub async fn unread(
        &self,
        room: RoomNo,
        user: UserNo,
        thread: Option<EventNo>,
        markers: &Markers,
    ) -> Result<Unread, ViewError> {
        let marker = markers.of(thread);
        let since = match marker {
            Some(_) => Snowflake::default(),
            // Who never said so is counted from the day of coming.
            None => self.came(room, user).await?,
        };
        let mut unread = Unread::default();
        let mut newest_own = marker;
        // Mostly little is unread: a few rows first, the rest only if they do not settle it.
        for limit in [STEP, COUNTED] {
            let rows = self.newest(room, thread, limit).await?;
            let is_all = rows.len() < limit;
            let is_read = |id: Snowflake, row: &MessageRow| Some(row.event) <= marker || id < since;
            let end = rows.iter().position(|(id, row)| is_read(*id, row) || row.author == user);
            unread.messages = end.unwrap_or(rows.len());
            if let Some((id, row)) = end.and_then(|end| rows.get(end)) {
                newest_own = if is_read(*id, row) { marker } else { Some(row.event) };
            }
            if is_all || end.is_some() {
                break;
            }
        }
        if unread.messages > 0 {
            unread.mentions = self.mentions(room, user, thread, newest_own, since).await?;
        }
        Ok(unread)
    }

    async fn newest(
        &self,
        room: RoomNo,
        thread: Option<EventNo>,
        limit: usize,
    ) -> Result<Vec<(Snowflake, MessageRow)>, ViewError> {
        Ok(match thread {
            None => {
                let scan = Scan::prefix::<Messages>(&room).reverse().limit(limit);
                let rows = self.store.scan::<Messages>(scan).await?;
                rows.into_iter().map(|((_, id), row)| (id, row)).collect()
            }
            Some(root) => {
                let scan = Scan::prefix::<ThreadMessages>(&(room, root)).reverse().limit(limit);
                let rows = self.store.scan::<ThreadMessages>(scan).await?;
                rows.into_iter().map(|((_, _, id), row)| (id, row)).collect()
            }
        })
    }

    /// Since when the user is there: in a guild's channel, since they came into the guild.
    async fn came(&self, room: RoomNo, user: UserNo) -> Result<Snowflake, ViewError> {
        let place = self.info(room).await?.guild.unwrap_or(room);
        let row = self.membership(place, user).await?;
        Ok(row.map_or(Snowflake(u64::MAX), |row| Snowflake::at(row.since_ms)))
    }

    /// Messages of a room that name the user, after an event.
    ///
    /// # Errors
    /// Store errors.
    pub async fn mentions(
        &self,
        room: RoomNo,
        user: UserNo,
        thread: Option<EventNo>,
        after: Option<EventNo>,
        since: Snowflake,
    ) -> Result<usize, ViewError> {
        let mut found = std::collections::BTreeSet::new();
        let mut roles: Option<Vec<u64>> = None;
        for named in [user, ALL] {
            let scan = Scan::prefix::<Mentions>(&(named, room)).reverse().limit(COUNTED);
            for ((_, _, id), row) in self.store.scan::<Mentions>(scan).await? {
                if Some(row.event) <= after || id < since {
                    break;
                }
                if row.thread != thread || row.author == user {
                    continue;
                }
                let mut counts = named == user || row.everyone;
                if !counts && !row.roles.is_empty() {
                    if roles.is_none() {
                        roles = Some(self.roles_in(room, user).await?);
                    }
                    counts = roles.as_ref().is_some_and(|held| held.iter().any(|id| row.roles.contains(id)));
                }
                if counts {
                    found.insert(id);
                }
            }
        }
        Ok(found.len().min(COUNTED))
    }

    async fn roles_in(&self, room: RoomNo, user: UserNo) -> Result<Vec<u64>, ViewError> {
        let Some(guild) = self.info(room).await?.guild else { return Ok(Vec::new()) };
        Ok(self.store.row::<GuildMembers>(&(guild, user)).await?.unwrap_or_default().roles)
    }

    /// What `user` has not read in the threads of `room`, those touched last first.
    ///
    /// # Errors
    /// Store errors.
    pub async fn unread_threads(
        &self,
        room: RoomNo,
        user: UserNo,
        markers: &Markers,
    ) -> Result<Vec<(EventNo, Unread)>, ViewError> {
        let mut found = Vec::new();
        for (touched, row) in self.touched_threads(room, None, THREADS_COUNTED).await? {
            if Some(touched) <= markers.whole {
                break;
            }
            let unread = self.unread(room, user, Some(row.root), markers).await?;
            if unread.messages > 0 {
                found.push((row.root, unread));
            }
        }
        Ok(found)
    }

    /// Where it is noted that receipts came.
    #[must_use]
    pub fn receipt_news(&self) -> &std::sync::Arc<ReceiptNews> {
        &self.receipt_news
    }

    /// Whether receipts came in `room` after `since`.
    ///
    /// # Errors
    /// Store errors.
    pub async fn has_receipts_since(&self, room: RoomNo, since: Position) -> Result<bool, ViewError> {
        if let Some(newest) = self.receipt_news.rooms.lock().get(&room) {
            return Ok(*newest > since);
        }
        if since >= self.receipt_news.started {
            return Ok(false);
        }
        let scan = Scan::prefix::<ReceiptOrder>(&room).after::<ReceiptOrder>(&(room, since)).limit(1);
        Ok(!self.store.scan::<ReceiptOrder>(scan).await?.is_empty())
    }

    /// The receipts of a room that came after `since`, up to `until`; of more than fit the newest.
    ///
    /// # Errors
    /// Store errors.
    pub async fn receipts(
        &self,
        room: RoomNo,
        since: Position,
        until: Position,
    ) -> Result<Vec<Receipt>, ViewError> {
        let scan = Scan::prefix::<ReceiptOrder>(&room).after::<ReceiptOrder>(&(room, since));
        let scan = scan.until::<ReceiptOrder>(&(room, until.next())).reverse().limit(RECEIPTS_TOLD);
        let mut receipts = Vec::new();
        for ((_, position, user, kind), thread) in self.store.scan::<ReceiptOrder>(scan).await? {
            // One that was replaced meanwhile is told with the commit that did.
            let row = self.store.row::<Receipts>(&(room, user, thread, kind)).await?;
            if let Some(row) = row.filter(|row| row.position == position) {
                let thread = ReceiptThread::of_number(thread);
                receipts.push(Receipt { user, kind, thread, event: row.event, at_ms: row.at_ms });
            }
        }
        receipts.reverse();
        Ok(receipts)
    }

    /// The newest message of a room's main timeline, or of a thread (its root included), up to an id.
    ///
    /// # Errors
    /// Store errors.
    pub async fn newest_up_to(
        &self,
        room: RoomNo,
        thread: Option<EventNo>,
        id: Snowflake,
    ) -> Result<Option<(EventNo, Snowflake)>, ViewError> {
        let after = Snowflake(id.0.saturating_add(1));
        Ok(match thread {
            None => {
                let scan = Scan::prefix::<Messages>(&room).until::<Messages>(&(room, after));
                let rows = self.store.scan::<Messages>(scan.reverse().limit(1)).await?;
                rows.first().map(|((_, id), row)| (row.event, *id))
            }
            Some(root) => {
                let end = (room, root, after);
                let scan = Scan::prefix::<ThreadMessages>(&(room, root)).until::<ThreadMessages>(&end);
                let rows = self.store.scan::<ThreadMessages>(scan.reverse().limit(1)).await?;
                rows.first().map(|((_, _, id), row)| (row.event, *id)).or(Some((root, id)))
            }
        })
    }

    /// The newest event of a room's timeline at or before `event` that is a message.
    ///
    /// # Errors
    /// Store errors.
    pub async fn snowflake_read(&self, room: RoomNo, event: EventNo) -> Result<Option<Snowflake>, ViewError> {
        if let Some(id) = self.event(EventPlace { room, event }).await?.snowflake {
            return Ok(Some(id));
        }
        let rows = self.newest(room, None, COUNTED).await?;
        Ok(rows.into_iter().find(|(_, row)| row.event <= event).map(|(id, _)| id))
    }
}
