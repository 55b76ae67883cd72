//! The list of this crate's tables, for maintenance that treats all tables alike.

use nexus_event_store::table_list::TableInfo;

use crate::audit::Audit;
use crate::names::{MemberOrder, Names};
use crate::pins::Pinned;
use crate::polls::{PollResponses, Polls};
use crate::records::{Aliases, Forgotten, Published, RoomAliases};
use crate::rows::{
    Bans, GuildChannels, GuildMembers, GuildOverwrites, GuildRoles, Guilds, Infos, Members, Memberships,
    Messages, OverwriteChannels, Reactions, Relations,
};
use crate::threads::{ThreadMembers, ThreadMessages, ThreadOrder, Threads};
use crate::unread::{Mentions, ReceiptOrder, Receipts};
use crate::user_words::UserWords;

/// The tables of this crate.
#[must_use]
pub fn tables() -> Vec<TableInfo> {
    vec![
        TableInfo::of::<Audit>(),
        TableInfo::of::<Names>(),
        TableInfo::of::<MemberOrder>(),
        TableInfo::of::<Pinned>(),
        TableInfo::of::<Polls>(),
        TableInfo::of::<PollResponses>(),
        TableInfo::of::<Aliases>(),
        TableInfo::of::<RoomAliases>(),
        TableInfo::of::<Published>(),
        TableInfo::of::<Forgotten>(),
        TableInfo::of::<Memberships>(),
        TableInfo::of::<Members>(),
        TableInfo::of::<Messages>(),
        TableInfo::of::<Reactions>(),
        TableInfo::of::<Relations>(),
        TableInfo::of::<Infos>(),
        TableInfo::of::<Guilds>(),
        TableInfo::of::<GuildChannels>(),
        TableInfo::of::<GuildRoles>(),
        TableInfo::of::<GuildMembers>(),
        TableInfo::of::<Bans>(),
        TableInfo::of::<GuildOverwrites>(),
        TableInfo::of::<OverwriteChannels>(),
        TableInfo::of::<Threads>(),
        TableInfo::of::<ThreadMessages>(),
        TableInfo::of::<ThreadOrder>(),
        TableInfo::of::<ThreadMembers>(),
        TableInfo::of::<Mentions>(),
        TableInfo::of::<Receipts>(),
        TableInfo::of::<ReceiptOrder>(),
        TableInfo::of::<UserWords>(),
    ]
}
