//! What can go wrong in the store.

use crate::{codec::CodecError, kv::KvError};

/// An error of the store.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// What the decision read has changed since: decide again.
    #[error("the decision's reads are out of date")]
    Conflict,
    /// The engine failed.
    #[error(transparent)]
    Kv(KvError),
    /// A row does not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A row that must be there is not: the store is damaged.
    #[error("a row of table {table} is missing")]
    Missing {
        /// The table.
        table: &'static str,
    },
    /// The store has stopped after an engine failure; nothing more is acknowledged.
    #[error("the store has stopped")]
    Stopped,
    /// The store belongs to a server of another name.
    #[error("the store belongs to the server {found}")]
    OtherServer {
        /// That server's name.
        found: String,
    },
    /// The store was written by another version.
    #[error("the store has format {found}, this program reads format {supported}")]
    Format {
        /// What the store says.
        found: String,
        /// What this program writes.
        supported: u32,
    },
}

impl From<KvError> for StoreError {
    fn from(error: KvError) -> Self {
        match error {
            KvError::Conflict => StoreError::Conflict,
            KvError::DiskFull | KvError::Engine(_) => StoreError::Kv(error),
        }
    }
}
