//! The one list of tables: every row in the store belongs to one of these.
//!
//! A table is a unit struct that implements [`Table`]: a number (the first byte of its keys, never reused),
//! a name, a family, a key and a value type. Tables of the log of record are declared here; the crates that
//! own views and records declare theirs with a number from [`numbers`].

use crate::{
    chains::{ChainPlaceRow, ChainRow},
    codec::{KeyPart, Text, Value},
    event_id::EventIdKey,
    ids::{EventNo, KeyNo, NodeHash, Position, RoomNo, Snowflake, UserNo},
    kv::Family,
    rows::{
        EventPlace, EventRow, HeadRow, NodeRow, RemovedRow, RoomRow, SnowflakeRow, StateKeyRow, StreamRow,
        TimelineRow,
    },
};

/// A typed table.
pub trait Table: 'static {
    /// The first byte of every key.
    const NUMBER: u8;
    /// For messages and tools.
    const NAME: &'static str;
    /// How the engine should treat the rows.
    const FAMILY: Family = Family::Rows;
    /// The key.
    type Key: KeyPart;
    /// The value.
    type Value: Value;
}

/// Declares a table.
#[macro_export]
macro_rules! table {
    ($(#[$doc:meta])* $name:ident = $number:expr, $text:literal, $key:ty => $value:ty $(, $family:expr)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl $crate::catalogue::Table for $name {
            const NUMBER: u8 = $number;
            const NAME: &'static str = $text;
            $(const FAMILY: $crate::kv::Family = $family;)?
            type Key = $key;
            type Value = $value;
        }
    };
}

/// The numbers of all tables, so that none is given out twice.
pub mod numbers {
    #![allow(missing_docs, reason = "each constant is documented at the table that carries it")]
    // The log of record.
    pub const META: u8 = 1;
    pub const STREAM: u8 = 2;
    pub const ROOM_NUMBERS: u8 = 3;
    pub const ROOMS: u8 = 4;
    pub const USER_NUMBERS: u8 = 5;
    pub const USERS: u8 = 6;
    pub const STATE_KEY_NUMBERS: u8 = 7;
    pub const STATE_KEYS: u8 = 8;
    pub const EVENT_PLACES: u8 = 9;
    pub const EVENTS: u8 = 10;
    pub const HEADS: u8 = 11;
    pub const NODES: u8 = 12;
    pub const TIMELINE: u8 = 13;
    // Primary records of the log.
    pub const SNOWFLAKES: u8 = 16;
    pub const ROOM_SNOWFLAKES: u8 = 17;
    pub const USER_SNOWFLAKES: u8 = 18;
    pub const TRANSACTIONS: u8 = 19;
    pub const REMOVED: u8 = 20;
    pub const ROLE_SNOWFLAKES: u8 = 21;
    // The log's index.
    pub const CHAIN_PLACES: u8 = 22;
    pub const CHAINS: u8 = 23;
    // Views.
    pub const MEMBERSHIPS: u8 = 32;
    pub const MEMBERS: u8 = 33;
    pub const MESSAGES: u8 = 34;
    pub const REACTIONS: u8 = 35;
    pub const RELATIONS: u8 = 36;
    pub const GUILDS: u8 = 37;
    pub const GUILD_CHANNELS: u8 = 38;
    pub const CHANNELS: u8 = 39;
    pub const GUILD_MEMBERS: u8 = 40;
    pub const GUILD_ROLES: u8 = 41;
    pub const GUILD_OVERWRITES: u8 = 42;
    pub const GUILD_BANS: u8 = 53;
    pub const PINS: u8 = 43;
    pub const THREADS: u8 = 44;
    pub const THREAD_MESSAGES: u8 = 45;
    pub const THREAD_ORDER: u8 = 46;
    pub const MENTIONS: u8 = 47;
    pub const POLLS: u8 = 48;
    pub const POLL_RESPONSES: u8 = 49;
    pub const AUDIT: u8 = 50;
    pub const NAMES: u8 = 51;
    pub const MEMBER_ORDER: u8 = 52;
    pub const OVERWRITE_CHANNELS: u8 = 56;
    pub const USER_WORDS: u8 = 59;
    // Primary records of accounts.
    pub const ACCOUNTS: u8 = 64;
    pub const DEVICES: u8 = 65;
    pub const ACCESS_TOKENS: u8 = 66;
    pub const REFRESH_TOKENS: u8 = 67;
    pub const APPLICATIONS: u8 = 68;
    pub const INVITES: u8 = 69;
    pub const GATEWAY_SESSIONS: u8 = 70;
    pub const FILTERS: u8 = 71;
    pub const PROFILES: u8 = 72;
    pub const OWNED_APPLICATIONS: u8 = 73;
    pub const CHANNEL_INVITES: u8 = 74;
    pub const ACCOUNT_DATA: u8 = 75;
    pub const FIRST_ACCOUNT: u8 = 76;
    pub const USER_DEVICES: u8 = 77;
    pub const EMAILS: u8 = 78;
    // Jobs, and what moderation keeps.
    pub const JOBS: u8 = 100;
    pub const SLOW_MODE: u8 = 101;
    pub const REGISTRATION_TOKENS: u8 = 79;
    pub const MAIL_PROOFS: u8 = 80;
    pub const MAIL_TOKENS: u8 = 81;
    pub const MAIL_QUEUE: u8 = 82;
    pub const SECOND_FACTORS: u8 = 83;
    pub const DEPARTURES: u8 = 84;
    pub const ERASED: u8 = 85;
    // Primary records of who has read what and who follows which thread.
    pub const RECEIPTS: u8 = 106;
    pub const RECEIPT_ORDER: u8 = 107;
    pub const THREAD_MEMBERS: u8 = 108;
    // Primary records of media.
    pub const MEDIA: u8 = 91;
    pub const BLOBS: u8 = 92;
    pub const PENDING_OBJECTS: u8 = 93;
    pub const MEDIA_RESERVATIONS: u8 = 94;
    pub const MEDIA_LINK_KEY: u8 = 95;
    pub const USER_MEDIA: u8 = 96;
    // Primary records of rooms, beside the log.
    pub const ALIASES: u8 = 113;
    pub const ROOM_ALIASES: u8 = 114;
    pub const PUBLISHED: u8 = 115;
    pub const FORGOTTEN: u8 = 116;
    pub const PROFILE_FIELDS: u8 = 117;
}

table! {
    /// Facts about the store itself: format version, server name.
    Meta = numbers::META, "meta", Text => String
}
table! {
    /// What each commit held, in order: the global stream.
    Stream = numbers::STREAM, "stream", Position => StreamRow
}
table! {
    /// Room id to number.
    RoomNumbers = numbers::ROOM_NUMBERS, "room_numbers", Text => RoomNo
}
table! {
    /// Rooms.
    Rooms = numbers::ROOMS, "rooms", RoomNo => RoomRow
}
table! {
    /// User id to number.
    UserNumbers = numbers::USER_NUMBERS, "user_numbers", Text => UserNo
}
table! {
    /// User ids.
    Users = numbers::USERS, "users", UserNo => String
}
table! {
    /// (type, state_key) to number.
    StateKeyNumbers = numbers::STATE_KEY_NUMBERS, "state_key_numbers", (String, Text) => KeyNo
}
table! {
    /// (type, state_key) pairs.
    StateKeys = numbers::STATE_KEYS, "state_keys", KeyNo => StateKeyRow
}
table! {
    /// Event id to where the event is.
    EventPlaces = numbers::EVENT_PLACES, "event_places", EventIdKey => EventPlace
}
table! {
    /// Events: what was signed, and where it stands in the graph.
    Events = numbers::EVENTS, "events", (RoomNo, EventNo) => EventRow, Family::Events
}
table! {
    /// Each room's newest point: forward extremities and current state.
    Heads = numbers::HEADS, "heads", RoomNo => HeadRow
}
table! {
    /// Nodes of the state tries.
    Nodes = numbers::NODES, "nodes", (RoomNo, NodeHash) => NodeRow, Family::Nodes
}
table! {
    /// Each room's events in the order they arrived: (room, commit, place in the commit).
    Timeline = numbers::TIMELINE, "timeline", (RoomNo, Position, u8) => TimelineRow
}
table! {
    /// Where each state event is in its room's auth chains.
    ChainPlaces = numbers::CHAIN_PLACES, "chain_places", (RoomNo, EventNo) => ChainPlaceRow
}
table! {
    /// Each room's auth chains: (room, chain, place in the chain).
    Chains = numbers::CHAINS, "chains", (RoomNo, EventNo, u64) => ChainRow
}
table! {
    /// What a snowflake stands for.
    Snowflakes = numbers::SNOWFLAKES, "snowflakes", Snowflake => SnowflakeRow
}
table! {
    /// The snowflake of a room (guild or channel).
    RoomSnowflakes = numbers::ROOM_SNOWFLAKES, "room_snowflakes", RoomNo => Snowflake
}
table! {
    /// The snowflake of a user.
    UserSnowflakes = numbers::USER_SNOWFLAKES, "user_snowflakes", UserNo => Snowflake
}
table! {
    /// Which event a client's transaction id made: (user, device, scope, transaction id).
    Transactions = numbers::TRANSACTIONS, "transactions", (UserNo, String, String, Text) => EventPlace
}
table! {
    /// What each redaction took away: (room, redaction).
    RemovedBy = numbers::REMOVED, "removed", (RoomNo, EventNo) => RemovedRow
}
