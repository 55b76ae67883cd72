//! TYPING_START, which is not in the log: who types now and did not a moment ago.

use std::collections::{BTreeMap, BTreeSet};

use nexus_event_store::{RoomNo, UserNo};
use nexus_views::Views;

/// What a session has been told of typing.
#[derive(Debug)]
pub(crate) struct TypingWatch {
    version: u64,
    told: BTreeMap<RoomNo, BTreeSet<UserNo>>,
}

impl TypingWatch {
    /// Whoever types already is not told of.
    pub(crate) fn new(views: &Views) -> Self {
        Self { version: views.typing_version(), told: BTreeMap::new() }
    }

    /// Who has begun to type in one of `rooms` since the last call.
    pub(crate) fn begun(
        &mut self,
        views: &Views,
        rooms: impl Iterator<Item = RoomNo>,
    ) -> Vec<(RoomNo, UserNo)> {
        let version = views.typing_version();
        if version == self.version {
            return Vec::new();
        }
        let mut begun = Vec::new();
        for room in rooms.filter(|room| views.typing_changed_since(*room, self.version)) {
            let now: BTreeSet<UserNo> = views.typing(room).into_iter().collect();
            let before = self.told.remove(&room).unwrap_or_default();
            begun.extend(now.difference(&before).map(|user| (room, *user)));
            if !now.is_empty() {
                self.told.insert(room, now);
            }
        }
        self.version = version;
        begun
    }
}
