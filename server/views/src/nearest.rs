//! Places in a timeline: of an event, and of a moment.

use nexus_event_store::{Position, RoomNo};

use crate::{Event, TimelineItem, TimelineKey, TimelineSlice, ViewError, Views};

/// How many neighbours of the place found are compared: clocks of different servers differ.
const NEIGHBOURS: usize = 100;

impl Views {
    /// Where an event stands in its room's timeline.
    ///
    /// # Errors
    /// Store errors.
    pub async fn timeline_key(&self, event: &Event) -> Result<Option<TimelineKey>, ViewError> {
        let before = Position(event.position.0.saturating_sub(1));
        let commit = TimelineSlice {
            after: (event.position > Position::START).then_some(TimelineKey::end_of(before)),
            before: Some(TimelineKey::start_of(event.position.next())),
            newest_first: false,
            limit: usize::from(u8::MAX) + 1,
        };
        let items = self.timeline(event.room, commit).await?;
        Ok(items.into_iter().find(|item| item.event.no == event.no).map(|item| item.key))
    }

    /// Events around the moment `ts_ms` by their own clocks, in timeline order: the one at or after it and
    /// the one before it are among them, as far as clocks follow the timeline. Commits are found by halving.
    ///
    /// # Errors
    /// Store errors.
    pub async fn around_time(&self, room: RoomNo, ts_ms: u64) -> Result<Vec<TimelineItem>, ViewError> {
        let (mut low, mut high) = (0, self.store().visible().0.saturating_add(1));
        while low < high {
            let middle = low + (high - low) / 2;
            let at = TimelineKey::start_of(Position(middle));
            let next = self.next_from(room, at, 1).await?;
            match next.first() {
                Some(item) if time_of(item) < ts_ms => low = item.key.position.0.saturating_add(1),
                // What lies between the middle and the item found holds nothing of this room.
                Some(_) | None => high = middle,
            }
        }
        let place = TimelineKey::start_of(Position(low));
        let earlier =
            TimelineSlice { after: None, before: Some(place), newest_first: true, limit: NEIGHBOURS };
        let mut items = self.timeline(room, earlier).await?;
        items.reverse();
        items.extend(self.next_from(room, place, NEIGHBOURS).await?);
        Ok(items)
    }

    async fn next_from(
        &self,
        room: RoomNo,
        from: TimelineKey,
        limit: usize,
    ) -> Result<Vec<TimelineItem>, ViewError> {
        let before = from.position.0.checked_sub(1).map(|before| TimelineKey::end_of(Position(before)));
        let slice = TimelineSlice { after: before, before: None, newest_first: false, limit };
        self.timeline(room, slice).await
    }
}

fn time_of(item: &TimelineItem) -> u64 {
    item.event.pdu.origin_server_ts().get().into()
}
