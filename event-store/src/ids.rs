//! Interned ids and positions: the integers that stand for Matrix identifiers inside one store.
//!
//! Interned order means nothing (design §3); whatever must agree between servers is ordered by the event
//! id string. Numbers are handed out when an event is staged and become known by its commit; gaps are
//! harmless. All are 64 bits big-endian in keys, so that key order is numeric order.

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A room's interned number.
    RoomNo
}
number! {
    /// An event's interned number.
    EventNo
}
number! {
    /// A user's interned number.
    UserNo
}
number! {
    /// The interned number of a (type, state_key) pair.
    KeyNo
}
number! {
    /// A place in the global stream: the number of a commit (design invariant 4).
    Position
}
number! {
    /// A Discord-shaped id: milliseconds since 2015 << 22 | a counter. Local to this server.
    Snowflake
}

impl Position {
    /// Before the first commit.
    pub const START: Position = Position(0);

    /// The position that follows.
    #[must_use]
    pub fn next(self) -> Position {
        Position(self.0 + 1)
    }
}

/// Milliseconds between the Unix epoch and 2015-01-01, where snowflakes begin.
pub const SNOWFLAKE_EPOCH_MS: u64 = 1_420_070_400_000;

impl Snowflake {
    /// The smallest snowflake of a moment (milliseconds since the Unix epoch).
    #[must_use]
    pub fn at(unix_ms: u64) -> Snowflake {
        Snowflake(unix_ms.saturating_sub(SNOWFLAKE_EPOCH_MS) << 22)
    }

    /// The moment in milliseconds since the Unix epoch.
    #[must_use]
    pub fn unix_ms(self) -> u64 {
        (self.0 >> 22) + SNOWFLAKE_EPOCH_MS
    }
}

/// The root of a state snapshot, or of a part of one: a truncated SHA-256 of the node's content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeHash(pub [u8; 16]);

impl NodeHash {
    /// The root of the empty map.
    pub const EMPTY: NodeHash = NodeHash([0; 16]);
}

impl std::fmt::Debug for NodeHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
