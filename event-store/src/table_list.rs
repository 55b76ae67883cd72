//! Tables as data: for whoever treats all of them alike (verification, purges, samples of row formats).
//!
//! Each crate lists its own tables; `nexus-maintenance` joins the lists, and a test there fails for a table
//! number of the [catalogue](crate::catalogue) that no list has.

use bytes::Bytes;

use crate::{
    StoreError,
    catalogue::{
        ChainPlaces, Chains, EventPlaces, Events, Heads, Meta, Nodes, RemovedBy, RoomNumbers, RoomSnowflakes,
        Rooms, Snowflakes, StateKeyNumbers, StateKeys, Stream, Table, Timeline, Transactions, UserNumbers,
        UserSnowflakes, Users,
    },
    codec::{KeyPart, Value},
    kv::Family,
    read::decode_row,
};

/// A table without its types.
#[derive(Clone, Copy, Debug)]
pub struct TableInfo {
    /// The first byte of its keys.
    pub number: u8,
    /// For messages and tools.
    pub name: &'static str,
    /// Where its rows lie.
    pub family: Family,
    /// Whether its rows belong to the room that their keys begin with.
    pub room_first: bool,
    /// Reads a row.
    pub decode: fn(&Bytes, &Bytes) -> Result<AnyRow, StoreError>,
}

/// A row without its types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnyRow {
    /// The key in words.
    pub key: String,
    /// The value in words. May hold what is private: not for logs.
    pub value: String,
    /// The value as it would be written today.
    pub encoded: Vec<u8>,
}

impl TableInfo {
    /// Of table `T`.
    #[must_use]
    pub const fn of<T: Table>() -> Self {
        Self {
            number: T::NUMBER,
            name: T::NAME,
            family: T::FAMILY,
            room_first: <T::Key as KeyPart>::ROOM_FIRST,
            decode: any_row::<T>,
        }
    }
}

fn any_row<T: Table>(key: &Bytes, value: &Bytes) -> Result<AnyRow, StoreError> {
    let (key, value) = decode_row::<T>(key, value)?;
    Ok(AnyRow { key: format!("{key:?}"), value: format!("{value:?}"), encoded: value.encode() })
}

/// The tables of the log of record.
#[must_use]
pub fn tables() -> Vec<TableInfo> {
    vec![
        TableInfo::of::<Meta>(),
        TableInfo::of::<Stream>(),
        TableInfo::of::<RoomNumbers>(),
        TableInfo::of::<Rooms>(),
        TableInfo::of::<UserNumbers>(),
        TableInfo::of::<Users>(),
        TableInfo::of::<StateKeyNumbers>(),
        TableInfo::of::<StateKeys>(),
        TableInfo::of::<EventPlaces>(),
        TableInfo::of::<Events>(),
        TableInfo::of::<Heads>(),
        TableInfo::of::<Nodes>(),
        TableInfo::of::<Timeline>(),
        TableInfo::of::<ChainPlaces>(),
        TableInfo::of::<Chains>(),
        TableInfo::of::<Snowflakes>(),
        TableInfo::of::<RoomSnowflakes>(),
        TableInfo::of::<UserSnowflakes>(),
        TableInfo::of::<Transactions>(),
        TableInfo::of::<RemovedBy>(),
    ]
}
