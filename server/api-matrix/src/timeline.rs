//! Pages of a room's timeline, as far as a filter and a user's sight let through.
//!
//! A page is read newest or oldest first in chunks until it is full; the filter comes before the limit, so
//! `limited` speaks of what the client would have got.
//!
//! **Bounds**: [`SCAN_MAX`] events are looked at for a page, however few of them match.

use std::sync::Arc;

use nexus_event_store::{NodeHash, RoomNo};
use nexus_views::{Event, TimelineItem, TimelineKey, TimelineSlice, ViewError, Views};

use crate::{access::Sight, filter::EventFilter, ignored::Ignored, token::Gap};

/// How many events are looked at for one page.
const SCAN_MAX: usize = 5_000;

/// The most events read at once.
const CHUNK_MAX: usize = 200;

/// Which part of a timeline.
pub(crate) struct Span {
    /// From here on; `None` = from the beginning.
    pub(crate) from: Option<Gap>,
    /// Up to here; `None` = up to the end.
    pub(crate) to: Option<Gap>,
    /// Whether the newest events are wanted if not all fit.
    pub(crate) newest_first: bool,
}

/// What of it.
pub(crate) struct Choice<'a> {
    /// Which events.
    pub(crate) filter: &'a EventFilter,
    /// How many.
    pub(crate) limit: usize,
    /// Whose eyes; `None` when the reader was in the room throughout.
    pub(crate) sight: Option<&'a mut Sight>,
    /// Who is not heard.
    pub(crate) ignored: &'a Ignored,
}

/// A page.
#[derive(Default)]
pub(crate) struct Page {
    /// What the reader gets, in the order of reading.
    pub(crate) items: Vec<TimelineItem>,
    /// Whether there is more that the reader may have.
    pub(crate) is_limited: bool,
    /// Where reading stopped: everything between there and where it began was looked at. `None` when the
    /// span came to its end.
    pub(crate) stopped: Option<Stop>,
    /// The newest state of what was looked at (reading newest first), and whether any of it changed state.
    pub(crate) end_state: Option<NodeHash>,
    /// Whether a state event or a fork was among what was looked at.
    pub(crate) changed_state: bool,
    /// Whether a member event was.
    pub(crate) changed_members: bool,
}

/// The first item beyond a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    /// Its key.
    pub(crate) key: TimelineKey,
    /// The room's state once it had come.
    pub(crate) state: NodeHash,
}

/// Reads a page of the timeline of `room`.
pub(crate) async fn read_page(
    views: &Views,
    room: RoomNo,
    span: Span,
    mut choice: Choice<'_>,
) -> Result<Page, ViewError> {
    let mut page = Page::default();
    let mut cursor = Cursor::new(&span);
    let mut unseen = SCAN_MAX;
    // One more than fits tells whether there is more.
    let mut wanted = choice.limit.saturating_add(1).min(CHUNK_MAX);
    while unseen > 0 {
        let chunk = views.timeline(room, cursor.slice(wanted)).await?;
        let is_last = chunk.len() < wanted;
        unseen -= chunk.len().min(unseen);
        for item in chunk {
            cursor.pass(item.key);
            let is_full = page.items.len() == choice.limit;
            if is_full {
                page.stopped.get_or_insert(Stop { key: item.key, state: item.state_now });
            } else {
                page.note_state(&item);
            }
            if choice.admits(views, &item).await? {
                if is_full {
                    page.is_limited = true;
                    return Ok(page);
                }
                page.items.push(item);
            }
        }
        if is_last {
            return Ok(page);
        }
        wanted = CHUNK_MAX;
    }
    // Too many were passed over: the client can ask from here on.
    page.is_limited = true;
    if page.stopped.is_none() {
        let next = views.timeline(room, cursor.slice(1)).await?;
        page.stopped = next.first().map(|item| Stop { key: item.key, state: item.state_now });
    }
    Ok(page)
}

/// What is left of a span.
struct Cursor {
    after: Option<TimelineKey>,
    before: Option<TimelineKey>,
    newest_first: bool,
}

impl Cursor {
    fn new(span: &Span) -> Self {
        Self {
            after: span.from.and_then(Gap::last_before),
            before: span.to.map(|gap| gap.0),
            newest_first: span.newest_first,
        }
    }

    fn slice(&self, limit: usize) -> TimelineSlice {
        let Self { after, before, newest_first } = *self;
        TimelineSlice { after, before, newest_first, limit }
    }

    fn pass(&mut self, key: TimelineKey) {
        if self.newest_first {
            self.before = Some(key);
        } else {
            self.after = Some(key);
        }
    }
}

impl Page {
    /// The events of the page.
    pub(crate) fn events(&self) -> Vec<Arc<Event>> {
        self.items.iter().map(|item| Arc::clone(&item.event)).collect()
    }

    fn note_state(&mut self, item: &TimelineItem) {
        self.end_state.get_or_insert(item.state_now);
        // Where the graph is not forked, only an event that changes the state makes these differ.
        self.changed_state |= item.event.pdu.state_key().is_some()
            || item.event.state_before != item.state_now
            || self.end_state != Some(item.state_now);
        self.changed_members |= item.event.pdu.event_type() == "m.room.member";
    }
}

impl Choice<'_> {
    async fn admits(&mut self, views: &Views, item: &TimelineItem) -> Result<bool, ViewError> {
        if !self.filter.admits(&item.event) || self.ignored.hides(&item.event) {
            return Ok(false);
        }
        match &mut self.sight {
            Some(sight) => sight.sees(views, &item.event).await,
            None => Ok(true),
        }
    }
}
