//! A room's events in the order they arrived here.

use std::{collections::BTreeSet, sync::Arc};

use nexus_event_store::{NodeHash, Position, RoomNo, Scan, catalogue::Timeline, rows::EventPlace};

use crate::{Event, ViewError, Views};

/// A place in a timeline: the commit and the place within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimelineKey {
    /// The commit.
    pub position: Position,
    /// The place within it.
    pub index: u8,
}

impl TimelineKey {
    /// Before everything in the commit at `position`.
    #[must_use]
    pub fn start_of(position: Position) -> Self {
        Self { position, index: 0 }
    }

    /// After everything in the commit at `position`.
    #[must_use]
    pub fn end_of(position: Position) -> Self {
        Self { position, index: u8::MAX }
    }
}

/// Which part of a timeline to read.
#[derive(Clone, Copy, Debug)]
pub struct TimelineSlice {
    /// Only events after this one.
    pub after: Option<TimelineKey>,
    /// Only events before this one.
    pub before: Option<TimelineKey>,
    /// From the newest backward.
    pub newest_first: bool,
    /// At most so many.
    pub limit: usize,
}

/// An event in its timeline.
#[derive(Clone, Debug)]
pub struct TimelineItem {
    /// Its place.
    pub key: TimelineKey,
    /// The event.
    pub event: Arc<Event>,
    /// The room's state once it had arrived.
    pub state_now: NodeHash,
}

impl Views {
    /// Part of a room's timeline.
    ///
    /// # Errors
    /// Store errors.
    pub async fn timeline(&self, room: RoomNo, slice: TimelineSlice) -> Result<Vec<TimelineItem>, ViewError> {
        let mut scan = Scan::prefix::<Timeline>(&room).limit(slice.limit);
        if let Some(after) = slice.after {
            scan = scan.after::<Timeline>(&(room, after.position, after.index));
        }
        if let Some(before) = slice.before {
            scan = scan.until::<Timeline>(&(room, before.position, before.index));
        }
        if slice.newest_first {
            scan = scan.reverse();
        }
        let mut items = Vec::new();
        for ((_, position, index), row) in self.store.scan::<Timeline>(scan).await? {
            let event = self.event(EventPlace { room, event: row.event }).await?;
            let state_now = row.state_now.unwrap_or(event.state_after);
            items.push(TimelineItem { key: TimelineKey { position, index }, event, state_now });
        }
        Ok(items)
    }

    /// The state a room had once everything up to `position` had arrived; `None` before its creation.
    ///
    /// # Errors
    /// Store errors.
    pub async fn state_at(&self, room: RoomNo, position: Position) -> Result<Option<NodeHash>, ViewError> {
        let slice = TimelineSlice {
            after: None,
            before: Some(TimelineKey::start_of(position.next())),
            newest_first: true,
            limit: 1,
        };
        Ok(self.timeline(room, slice).await?.first().map(|item| item.state_now))
    }

    /// Which of the rooms `among` have events after `since`, up to `until`.
    ///
    /// # Errors
    /// Store errors.
    pub async fn changed_rooms(
        &self,
        among: &BTreeSet<RoomNo>,
        since: Position,
        until: Position,
    ) -> Result<BTreeSet<RoomNo>, ViewError> {
        if since >= until {
            return Ok(BTreeSet::new());
        }
        if let Some(commits) = self.store.feed().recent_after(since)
            && commits.len() <= among.len().max(16)
        {
            let up_to = commits.iter().take_while(|commit| commit.position <= until);
            let touched = up_to.flat_map(|commit| commit.events.iter().map(|place| place.room));
            return Ok(touched.filter(|room| among.contains(room)).collect());
        }
        let mut changed = BTreeSet::new();
        for room in among {
            let slice = TimelineSlice {
                after: Some(TimelineKey::end_of(since)),
                before: Some(TimelineKey::start_of(until.next())),
                newest_first: false,
                limit: 1,
            };
            if !self.timeline(*room, slice).await?.is_empty() {
                changed.insert(*room);
            }
        }
        Ok(changed)
    }
}
