//! What relates to an event: edits, reactions, threads, references.

use nexus_event_store::{EventNo, RoomNo, Scan};

use crate::{
    ViewError, Views,
    rows::{RelationKind, Relations},
};

/// Which of them.
#[derive(Clone, Copy, Debug)]
pub struct RelationSlice {
    /// Only those after this one, in the order of arrival.
    pub after: Option<EventNo>,
    /// Only those before this one.
    pub before: Option<EventNo>,
    /// From the newest backward.
    pub newest_first: bool,
    /// At most so many.
    pub limit: usize,
}

impl Views {
    /// What relates to an event, in the order of arrival. What is redacted relates to nothing.
    ///
    /// # Errors
    /// Store errors.
    pub async fn related(
        &self,
        room: RoomNo,
        parent: EventNo,
        slice: RelationSlice,
    ) -> Result<Vec<(EventNo, RelationKind)>, ViewError> {
        let mut scan = Scan::prefix::<Relations>(&(room, parent)).limit(slice.limit);
        if let Some(after) = slice.after {
            scan = scan.after::<Relations>(&(room, parent, after));
        }
        if let Some(before) = slice.before {
            scan = scan.until::<Relations>(&(room, parent, before));
        }
        if slice.newest_first {
            scan = scan.reverse();
        }
        let rows = self.store().scan::<Relations>(scan).await?;
        Ok(rows.into_iter().map(|((_, _, child), kind)| (child, kind)).collect())
    }
}
