//! What is told to guilds without being in the log: invites made and deleted, reactions cleared at once.
//!
//! **Bound**: the last [`KEPT`]; a session that was slower than that misses some, as it would have on
//! Discord while disconnected. They have no number of their own.

use std::{collections::VecDeque, sync::Arc};

use nexus_event_store::{RoomNo, UserNo};
use nexus_views::Permissions;
use parking_lot::Mutex;

use super::intents::Intents;

const KEPT: usize = 256;

/// Something to tell.
#[derive(Debug)]
pub(crate) struct Announcement {
    pub(crate) guild: RoomNo,
    pub(crate) channel: RoomNo,
    pub(crate) intent: Intents,
    /// Who is told.
    pub(crate) needs: Permissions,
    pub(crate) name: &'static str,
    pub(crate) d: String,
    /// Nobody else is told.
    pub(crate) only: Option<UserNo>,
}

#[derive(Default)]
struct Ring {
    next: u64,
    last: VecDeque<Arc<Announcement>>,
}

/// The latest announcements.
#[derive(Default)]
pub(crate) struct Announcements(Mutex<Ring>);

impl Announcements {
    /// The number that the next one will have.
    pub(crate) fn next(&self) -> u64 {
        self.0.lock().next
    }

    pub(crate) fn add(&self, announcement: Announcement) {
        let mut ring = self.0.lock();
        ring.next += 1;
        ring.last.push_back(Arc::new(announcement));
        if ring.last.len() > KEPT {
            ring.last.pop_front();
        }
    }

    /// Those from number `from` on, as far as they are kept, and the number to ask for next time.
    pub(crate) fn since(&self, from: u64) -> (Vec<Arc<Announcement>>, u64) {
        let ring = self.0.lock();
        let new = usize::try_from(ring.next.saturating_sub(from)).unwrap_or(usize::MAX);
        let skip = ring.last.len().saturating_sub(new);
        (ring.last.iter().skip(skip).cloned().collect(), ring.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announcement(number: u64) -> Announcement {
        Announcement {
            guild: RoomNo(1),
            channel: RoomNo(2),
            intent: Intents::GUILD_INVITES,
            needs: Permissions::NONE,
            name: "INVITE_CREATE",
            d: number.to_string(),
            only: None,
        }
    }

    #[test]
    fn each_is_given_once_and_old_ones_are_let_go() {
        let announcements = Announcements::default();
        let start = announcements.next();
        (0..300).for_each(|number| announcements.add(announcement(number)));
        let (told, next) = announcements.since(start);
        assert_eq!((told.len(), told[0].d.as_str(), next), (KEPT, "44", 300));
        assert!(announcements.since(next).0.is_empty());
        announcements.add(announcement(300));
        assert_eq!(announcements.since(next).0.len(), 1);
    }
}
