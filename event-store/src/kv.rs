//! The key-value trait: a small ordered, asynchronous store with atomic commits (design §4).
//!
//! **Shapes**: a row is addressed by its [`Family`] (how an engine should tune it) and its key bytes,
//! whose first byte is the table's number in the [catalogue](crate::catalogue). **Errors**: [`KvError`].
//! **Invariants**: a commit is all or nothing; its future resolves only when it is on disk; what it wrote
//! is visible to reads that start afterwards, and nothing of it is visible before it is durable. A commit
//! whose preconditions do not hold changes nothing. Every engine passes `tests/engine_conformance.rs`.

use std::{
    future::Future,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;

use crate::world::BoxFuture;

pub mod memory;
pub mod rocks;
pub mod sealed;

/// Rows that an engine should store and tune alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Small rows, read one by one or in short ranges.
    Rows,
    /// Event JSON: larger, written once, compresses well.
    Events,
    /// Content-addressed nodes: written once, read by exact key, do not compress.
    Nodes,
}

impl Family {
    /// All families.
    pub const ALL: [Family; 3] = [Family::Rows, Family::Events, Family::Nodes];

    /// The name on disk.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Family::Rows => "rows",
            Family::Events => "events",
            Family::Nodes => "nodes",
        }
    }
}

/// A row's address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// Where the row lives.
    pub family: Family,
    /// The table's number, then the encoded key.
    pub bytes: Vec<u8>,
}

/// A key and its value, as a range returns them.
pub type Row = (Bytes, Bytes);

/// Which part of a family to read: keys from `from` (inclusive) up to `until` (exclusive).
#[derive(Clone, Debug)]
pub struct Span {
    /// The family.
    pub family: Family,
    /// The first key.
    pub from: Vec<u8>,
    /// The key after the last one; `None` = to the end of the family.
    pub until: Option<Vec<u8>>,
    /// From the end backward.
    pub reverse: bool,
    /// At most this many rows.
    pub limit: usize,
}

/// What can go wrong in an engine.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KvError {
    /// A precondition of a commit does not hold; nothing was written.
    #[error("a precondition does not hold")]
    Conflict,
    /// The disk is full; nothing was written.
    #[error("the disk is full")]
    DiskFull,
    /// The engine failed; whether a commit took place is unknown.
    #[error("the storage engine failed: {0}")]
    Engine(Arc<str>),
}

/// The outcome of an engine call: at hand at once (embedded engines) or later (remote ones).
#[must_use = "an answer is a future"]
pub enum Answer<'a, T> {
    /// Taken by the first poll.
    Now(Option<Result<T, KvError>>),
    /// Still to come.
    Later(BoxFuture<'a, Result<T, KvError>>),
}

impl<T> Answer<'_, T> {
    /// An answer that is at hand.
    pub fn now(result: Result<T, KvError>) -> Self {
        Answer::Now(Some(result))
    }
}

impl<T: Unpin> Future for Answer<'_, T> {
    type Output = Result<T, KvError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Answer::Now(result) => Poll::Ready(result.take().expect("an answer is polled once")),
            Answer::Later(future) => future.as_mut().poll(context),
        }
    }
}

/// Reads at one moment: now, or that of a snapshot.
pub trait Read: Send + Sync {
    /// One row.
    fn get<'a>(&'a self, family: Family, key: &'a [u8]) -> Answer<'a, Option<Bytes>>;
    /// Several rows of a family, in the order asked.
    fn multi_get<'a>(&'a self, family: Family, keys: &'a [Vec<u8>]) -> Answer<'a, Vec<Option<Bytes>>>;
    /// A bounded range.
    fn range(&self, span: Span) -> Answer<'_, Vec<Row>>;
}

/// What a row must be for a commit to go through; `None` = absent.
#[derive(Clone, Debug)]
pub struct Precondition {
    /// The row.
    pub key: RowKey,
    /// Its expected value.
    pub expect: Option<Bytes>,
}

/// One atomic commit.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Checked against the state before the commit.
    pub preconditions: Vec<Precondition>,
    /// Rows to put (`Some`) or delete (`None`), applied in order.
    pub writes: Vec<(RowKey, Option<Bytes>)>,
}

/// An ordered key-value engine.
pub trait Engine: Read + 'static {
    /// A stable view of the whole store, for as long as it is held.
    fn snapshot(&self) -> Arc<dyn Read>;
    /// Writes `batch`; resolves when it is durable.
    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<(), KvError>>;
    /// Whether this process is the only one that can write, so that what was checked when a batch was
    /// staged still holds when it is written.
    fn is_exclusive(&self) -> bool;
    /// Bytes the store takes on disk, roughly.
    fn disk_bytes(&self) -> u64;
    /// How many rows there are, roughly (for progress bars).
    fn row_count(&self) -> u64 {
        0
    }
    /// Runs compaction over everything (maintenance, benchmarks).
    fn compact(&self) -> BoxFuture<'static, Result<(), KvError>>;
    /// Makes `folder`, which must not exist, another store with what is durable at one moment; writes go on
    /// meanwhile. On the same file system it shares the files that never change. An engine without files
    /// refuses.
    fn checkpoint(&self, _folder: PathBuf) -> BoxFuture<'static, Result<(), KvError>> {
        Box::pin(std::future::ready(Err(KvError::Engine("this engine has no files".into()))))
    }
}
