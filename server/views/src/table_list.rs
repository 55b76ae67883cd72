//! The list of the views' tables, for maintenance that treats all tables alike.

use nexus_event_store::table_list::TableInfo;

use crate::{
    records::{Aliases, Forgotten, Published, RoomAliases},
    rows::{
        Bans, GuildChannels, GuildMembers, GuildOverwrites, GuildRoles, Guilds, Infos, Members, Memberships,
        Messages, OverwriteChannels, Reactions, Relations,
    },
    user_words::UserWords,
};

/// The tables of this crate.
#[must_use]
pub fn tables() -> Vec<TableInfo> {
    vec![
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
        TableInfo::of::<GuildOverwrites>(),
        TableInfo::of::<Bans>(),
        TableInfo::of::<OverwriteChannels>(),
        TableInfo::of::<UserWords>(),
        TableInfo::of::<Aliases>(),
        TableInfo::of::<RoomAliases>(),
        TableInfo::of::<Published>(),
        TableInfo::of::<Forgotten>(),
    ]
}
