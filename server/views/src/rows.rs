//! The tables of the views: what the log looks like to those who read it.
//!
//! All of it is derived from the log by [`project`](crate::project) and can be thrown away and derived
//! again. Values are a version byte and postcard.

use nexus_event_store::{
    EventNo, Position, RoomNo, Snowflake, UserNo, catalogue::numbers, codec::Text, table, versioned_value,
};
use serde::{Deserialize, Serialize};

/// A value whose row of an older version is still read.
macro_rules! upgraded_value {
    ($type:ty, $version:literal, $old_version:literal => $old:ty) => {
        impl nexus_event_store::codec::Value for $type {
            fn encode(&self) -> Vec<u8> {
                nexus_event_store::codec::encode_versioned($version, self)
            }
            fn decode(bytes: &nexus_event_store::Bytes) -> Option<Self> {
                match bytes.split_first()? {
                    (&$version, body) => nexus_event_store::codec::decode_postcard(body),
                    (&$old_version, body) => {
                        nexus_event_store::codec::decode_postcard::<$old>(body).map(Into::into)
                    }
                    _ => None,
                }
            }
        }
    };
}

/// What a user is in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Membership {
    /// In it.
    Join,
    /// Asked in.
    Invite,
    /// Not in it (any more).
    Leave,
    /// Shut out.
    Ban,
    /// Asking to be let in.
    Knock,
}

impl Membership {
    /// Reads the `membership` of a member event.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "join" => Self::Join,
            "invite" => Self::Invite,
            "leave" => Self::Leave,
            "ban" => Self::Ban,
            "knock" => Self::Knock,
            _ => return None,
        })
    }
}

/// A membership.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipRow {
    /// The state of it.
    pub membership: Membership,
    /// The member event.
    pub event: EventNo,
    /// The commit that brought it.
    pub position: Position,
    /// When this membership began, in milliseconds since the Unix epoch by the event's clock; a changed
    /// profile does not begin a new one.
    pub since_ms: u64,
    /// `displayname` of the member event.
    pub display_name: Option<String>,
    /// `avatar_url` of the member event.
    pub avatar_url: Option<String>,
}
versioned_value!(MembershipRow, 1);

/// A message as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRow {
    /// The message's event.
    pub event: EventNo,
    /// Who wrote it.
    pub author: UserNo,
    /// The newest valid edit.
    pub edit: Option<EditRow>,
}
versioned_value!(MessageRow, 1);

/// An edit of a message. Edits are ordered by timestamp, then event id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EditRow {
    /// `origin_server_ts` of the edit.
    pub ts_ms: u64,
    /// Its event id.
    pub event_id: String,
    /// The edit's event.
    pub event: EventNo,
}

/// How an event relates to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RelationKind {
    /// `m.replace`
    Replace,
    /// `m.annotation`
    Annotation,
    /// `m.thread`
    Thread,
    /// `m.reference`
    Reference,
}
versioned_value!(RelationKind, 1);

/// What a channel is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChannelKind {
    /// Messages.
    #[default]
    Text,
    /// Talking.
    Voice,
    /// A heading over other channels.
    Category,
    /// Messages that others may follow.
    Announcement,
    /// Threads only.
    Forum,
    /// Talking before an audience.
    Stage,
}

impl ChannelKind {
    /// All kinds with their names in `nexus.channel`.
    pub const NAMES: [(ChannelKind, &'static str); 6] = [
        (ChannelKind::Text, "text"),
        (ChannelKind::Voice, "voice"),
        (ChannelKind::Category, "category"),
        (ChannelKind::Announcement, "announcement"),
        (ChannelKind::Forum, "forum"),
        (ChannelKind::Stage, "stage"),
    ];

    /// The name in `nexus.channel`.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(kind, _)| *kind == self).map_or("text", |(_, name)| name)
    }

    /// Reads the `kind` of `nexus.channel`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }
}

/// A room at a glance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomInfo {
    /// `m.room.name`.
    pub name: Option<String>,
    /// `m.room.topic`.
    pub topic: Option<String>,
    /// The guild of which this is a channel.
    pub guild: Option<RoomNo>,
    /// Whether it is a guild itself (has `nexus.guild`).
    pub is_guild: bool,
    /// As a channel: its kind.
    pub kind: ChannelKind,
    /// As a channel: its place among its siblings.
    pub position: i64,
    /// As a channel: its category.
    pub parent: Option<RoomNo>,
    /// As a channel: for adults.
    pub nsfw: bool,
    /// As a channel: seconds between two messages of one member.
    pub slowmode_s: u32,
    /// How many users are in it.
    pub joined: u64,
    /// How many are invited.
    pub invited: u64,
}
versioned_value!(RoomInfo, 1);

/// A guild: what `nexus.guild` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuildRow {
    /// The owner.
    pub owner: UserNo,
    /// Discord's feature names.
    pub features: Vec<String>,
    /// Who carries out what members' roles allow: user ids, the home steward among them.
    pub stewards: Vec<String>,
    /// Whether other servers have each event signed by the guild's own server before they take it.
    pub strict: bool,
    /// State keys under which `nexus.member` cannot be read: those members are as if timed out for good.
    pub unread_members: Vec<String>,
}

#[derive(Deserialize)]
struct GuildRowV1 {
    owner: UserNo,
    features: Vec<String>,
}

impl From<GuildRowV1> for GuildRow {
    fn from(old: GuildRowV1) -> Self {
        let (stewards, unread_members) = (Vec::new(), Vec::new());
        Self { owner: old.owner, features: old.features, stewards, strict: false, unread_members }
    }
}
upgraded_value!(GuildRow, 2, 1 => GuildRowV1);

/// A role: what `nexus.role` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleRow {
    /// The role's id, the same on every server; 0 for @everyone.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// RGB.
    pub color: u32,
    /// Shown apart in the member list.
    pub hoist: bool,
    /// Place in the hierarchy; @everyone is 0.
    pub position: i64,
    /// Permission bits.
    pub permissions: u64,
    /// Anyone may mention it.
    pub mentionable: bool,
    /// Belongs to a bot.
    pub managed: bool,
    /// The bot it belongs to.
    pub bot: Option<UserNo>,
    /// What it says is gone: it gives nothing any more, and goes on denying.
    pub unreadable: bool,
}

#[derive(Deserialize)]
struct RoleRowV1 {
    id: u64,
    name: String,
    color: u32,
    hoist: bool,
    position: i64,
    permissions: u64,
    mentionable: bool,
    managed: bool,
}

impl From<RoleRowV1> for RoleRow {
    fn from(old: RoleRowV1) -> Self {
        let RoleRowV1 { id, name, color, hoist, position, permissions, mentionable, managed } = old;
        let (bot, unreadable) = (None, false);
        Self { id, name, color, hoist, position, permissions, mentionable, managed, bot, unreadable }
    }
}
upgraded_value!(RoleRow, 2, 1 => RoleRowV1);

/// A guild member beyond the membership: what `nexus.member` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuildMemberRow {
    /// Nickname in the guild.
    pub nick: Option<String>,
    /// Role ids.
    pub roles: Vec<u64>,
    /// Timed out until, milliseconds since the Unix epoch.
    pub timeout_until_ms: Option<u64>,
}
versioned_value!(GuildMemberRow, 1);

/// Whom an overwrite is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum OverwriteTarget {
    /// A role id; 0 for @everyone.
    Role(u64),
    /// A member.
    Member(UserNo),
    /// Nobody knows any more: it denies everyone everything.
    Unreadable,
}

/// A permission overwrite: what `nexus.overwrite` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverwriteRow {
    /// Whom it is for.
    pub target: OverwriteTarget,
    /// Bits it allows.
    pub allow: u64,
    /// Bits it denies.
    pub deny: u64,
}
versioned_value!(OverwriteRow, 1);

/// A channel as the keys of its overwrites name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverwriteChannelRow {
    /// The channel.
    pub channel: RoomNo,
    /// The first event that made it one of the guild.
    pub since: EventNo,
}
versioned_value!(OverwriteChannelRow, 1);

table! {
    /// Memberships of a user: (user, room).
    Memberships = numbers::MEMBERSHIPS, "memberships", (UserNo, RoomNo) => MembershipRow
}
table! {
    /// Memberships in a room: (room, user).
    Members = numbers::MEMBERS, "members", (RoomNo, UserNo) => MembershipRow
}
table! {
    /// Messages of a room by snowflake, which is timeline order.
    Messages = numbers::MESSAGES, "messages", (RoomNo, Snowflake) => MessageRow
}
table! {
    /// Reactions: (room, target, emoji, user) to the reaction's event.
    Reactions = numbers::REACTIONS, "reactions", (RoomNo, EventNo, String, UserNo) => EventNo
}
table! {
    /// Relations: (room, parent, child).
    Relations = numbers::RELATIONS, "relations", (RoomNo, EventNo, EventNo) => RelationKind
}
table! {
    /// Rooms at a glance.
    Infos = numbers::CHANNELS, "infos", RoomNo => RoomInfo
}
table! {
    /// Guilds.
    Guilds = numbers::GUILDS, "guilds", RoomNo => GuildRow
}
table! {
    /// The channels of a guild: (guild, channel).
    GuildChannels = numbers::GUILD_CHANNELS, "guild_channels", (RoomNo, RoomNo) => ()
}
table! {
    /// The roles of a guild by their state key.
    GuildRoles = numbers::GUILD_ROLES, "guild_roles", (RoomNo, Text) => RoleRow
}
table! {
    /// What a guild's members have beyond their membership.
    GuildMembers = numbers::GUILD_MEMBERS, "guild_members", (RoomNo, UserNo) => GuildMemberRow
}
/// A ban from a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BanRow {
    /// Who.
    pub user: UserNo,
    /// The member event.
    pub event: EventNo,
}
versioned_value!(BanRow, 1);

table! {
    /// Who is banned from a room, by snowflake.
    Bans = numbers::GUILD_BANS, "bans", (RoomNo, Snowflake) => BanRow
}
table! {
    /// A channel's overwrites by their state key in the guild: (channel, state key).
    GuildOverwrites = numbers::GUILD_OVERWRITES, "guild_overwrites", (RoomNo, Text) => OverwriteRow
}
table! {
    /// Which channel the first part of an overwrite's state key stands for, and the event that made it a
    /// channel: (guild, first part).
    OverwriteChannels = numbers::OVERWRITE_CHANNELS, "overwrite_channels",
        (RoomNo, Text) => OverwriteChannelRow
}
