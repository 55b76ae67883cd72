//! What follows when permissions change.

use nexus_event_store::{RoomNo, UserNo};

use crate::{RoomsError, decision::Decision};

/// Whom a change of permissions concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Affected {
    /// Everyone: a role.
    Everyone,
    /// Everyone, in one channel: an overwrite.
    Channel(RoomNo),
    /// One member, everywhere: their roles.
    Member(UserNo),
}

impl Decision<'_> {
    /// To be called once the events that change permissions are appended.
    pub(crate) async fn after_permission_change(
        &mut self,
        _guild: RoomNo,
        _affected: Affected,
    ) -> Result<(), RoomsError> {
        Ok(())
    }
}
