//! The log of record: events, their graph, state snapshots, positions and primary records, on an ordered
//! key-value engine.
//!
//! Start with [`store`] (how a decision becomes durable), then [`catalogue`] (every table) and [`trie`]
//! (state snapshots). The crate knows nothing of permissions, HTTP or any API's shapes.

pub mod catalogue;
pub mod chains;
pub mod codec;
mod committer;
pub mod error;
pub mod event_id;
pub mod feed;
pub mod format;
pub mod ids;
pub mod kv;
pub mod read;
pub mod rows;
mod staging;
pub mod store;
pub mod table_list;
pub mod trie;
pub mod tx;
pub mod world;

pub use bytes::Bytes;
pub use error::StoreError;
pub use ids::{EventNo, KeyNo, NodeHash, Position, RoomNo, Snowflake, UserNo};
pub use read::{EngineRows, Rows, Scan};
pub use store::Store;
pub use tx::{Staged, Tx};
