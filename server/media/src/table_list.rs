//! The list of this crate's tables, for maintenance that treats all tables alike.

use nexus_event_store::table_list::TableInfo;

use crate::tables::{Blobs, LinkKey, Media, PendingObjects, Reservations, UserMedia};

/// The tables of this crate.
#[must_use]
pub fn tables() -> Vec<TableInfo> {
    vec![
        TableInfo::of::<Media>(),
        TableInfo::of::<Blobs>(),
        TableInfo::of::<PendingObjects>(),
        TableInfo::of::<Reservations>(),
        TableInfo::of::<LinkKey>(),
        TableInfo::of::<UserMedia>(),
    ]
}
