//! The values of the log's tables.
//!
//! Every value is a version byte and postcard (see [`codec`](crate::codec)). A field is only ever added
//! together with a new version of its row.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    codec::Value,
    ids::{EventNo, NodeHash, Position, RoomNo, Snowflake, UserNo},
    versioned_value,
};

/// The last numbers given out, as of a commit; read back at start-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Rooms.
    pub room: u64,
    /// Users.
    pub user: u64,
    /// (type, state_key) pairs.
    pub state_key: u64,
    /// Events.
    pub event: u64,
    /// Snowflakes.
    pub snowflake: u64,
}

/// One commit in the global stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamRow {
    /// The events of the commit, in order.
    pub events: Vec<EventPlace>,
    /// The counters after it.
    pub counters: Counters,
}
versioned_value!(StreamRow, 1);

/// Where an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventPlace {
    /// Its room.
    pub room: RoomNo,
    /// Its number.
    pub event: EventNo,
}
versioned_value!(EventPlace, 1);

/// A room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomRow {
    /// The room id.
    pub room_id: String,
    /// The room version, as in the create event.
    pub version: String,
}
versioned_value!(RoomRow, 1);

/// An event and its place in the graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    /// The event id.
    pub event_id: String,
    /// Canonical JSON as signed (federation form), or its redacted form once it was redacted.
    pub json: String,
    /// `prev_events`, interned.
    pub prev: Vec<EventNo>,
    /// `auth_events`, interned.
    pub auth: Vec<EventNo>,
    /// The state snapshot before it.
    pub state_before: NodeHash,
    /// The state snapshot after it; `None` = as before it.
    pub state_after: Option<NodeHash>,
    /// The commit it came with.
    pub position: Position,
    /// Its snowflake, if it is shown as a message.
    pub snowflake: Option<Snowflake>,
    /// The redaction that emptied it.
    pub redacted_by: Option<EventNo>,
    /// The transaction id it was sent with: only its device is told.
    pub transaction: Option<TransactionMark>,
}
versioned_value!(EventRow, 1);

/// Which device sent an event with which transaction id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionMark {
    /// The sender.
    pub user: UserNo,
    /// The device.
    pub device: String,
    /// The transaction id.
    pub id: String,
}

/// A room's newest point.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadRow {
    /// Accepted events that no accepted event refers to yet.
    pub extremities: Vec<EventNo>,
    /// The current state.
    pub state: NodeHash,
    /// The greatest depth of an extremity.
    pub depth: u64,
    /// The newest snowflake in the room's timeline.
    pub last_snowflake: Snowflake,
    /// The commit that made this head.
    pub position: Position,
}
versioned_value!(HeadRow, 1);

/// An event's place in a room's timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineRow {
    /// The event.
    pub event: EventNo,
    /// The room's state once it had arrived; `None` = the state after the event itself. They differ where
    /// the graph was forked.
    pub state_now: Option<NodeHash>,
}
versioned_value!(TimelineRow, 1);

/// A (type, state_key) pair.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StateKeyRow {
    /// The event type.
    pub event_type: String,
    /// The state key.
    pub state_key: String,
}
versioned_value!(StateKeyRow, 1);

/// What a redaction took away, so that whoever follows the log can be told after the content is gone: no
/// message text, only what was pointed at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RemovedRow {
    /// A message.
    Message(Snowflake),
    /// A reaction: the message, the emoji, whose it was.
    Reaction(Snowflake, String, UserNo),
    /// An edit of a message.
    Edit(Snowflake),
    /// Anything else.
    Other,
    /// An edit of a message that was itself removed before.
    EditOfRemoved(Snowflake),
    /// A message in a thread: the message, and the message that the thread hangs on.
    ThreadMessage(Snowflake, Snowflake),
}
versioned_value!(RemovedRow, 1);

/// What a snowflake stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SnowflakeRow {
    /// A message in a timeline.
    Message(EventPlace),
    /// A guild or channel.
    Room(RoomNo),
    /// A user.
    User(UserNo),
}
versioned_value!(SnowflakeRow, 1);

/// An encoded trie node; its own format is [`trie::Node`](crate::trie::Node)'s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow(pub Bytes);

impl Value for NodeRow {
    fn encode(&self) -> Vec<u8> {
        self.0.to_vec()
    }
    fn decode(bytes: &Bytes) -> Option<Self> {
        Some(NodeRow(bytes.clone()))
    }
}
