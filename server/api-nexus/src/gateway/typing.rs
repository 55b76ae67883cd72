//! TYPING_START, which is not in the log: who said since the last look that they are typing.

use nexus_event_store::{RoomNo, UserNo};
use nexus_views::Views;

/// How far a session has been told of typing.
#[derive(Debug)]
pub(crate) struct TypingWatch {
    version: u64,
}

impl TypingWatch {
    /// Whoever types already is told of when they say so again.
    pub(crate) fn new(views: &Views) -> Self {
        Self { version: views.typing_version() }
    }

    /// Who has said in one of `rooms` since the last call that they are typing.
    pub(crate) fn begun(
        &mut self,
        views: &Views,
        rooms: impl Iterator<Item = RoomNo>,
    ) -> Vec<(RoomNo, UserNo)> {
        let version = views.typing_version();
        if version == self.version {
            return Vec::new();
        }
        let claimed =
            |room| views.typing_claimed_since(room, self.version).into_iter().map(move |user| (room, user));
        let begun = rooms.flat_map(claimed).collect();
        self.version = version;
        begun
    }
}
