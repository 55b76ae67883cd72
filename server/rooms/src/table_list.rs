//! The list of this crate's tables, for maintenance that treats all tables alike.

use nexus_event_store::table_list::TableInfo;

use crate::{
    invites::{ChannelInvites, Invites},
    jobs::Jobs,
    slow_mode::LastWrote,
};

/// The tables of this crate.
#[must_use]
pub fn tables() -> Vec<TableInfo> {
    vec![
        TableInfo::of::<Invites>(),
        TableInfo::of::<ChannelInvites>(),
        TableInfo::of::<Jobs>(),
        TableInfo::of::<LastWrote>(),
    ]
}
