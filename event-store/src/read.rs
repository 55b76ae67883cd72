//! Typed reads, the same for a decision ([`Tx`](crate::tx::Tx)) and for a query ([`Store`](crate::store::Store)).
//!
//! A query sees only what is durable; a decision also sees what is staged before it.

use std::{future::Future, sync::Arc};

use bytes::Bytes;

use crate::{
    catalogue::Table,
    codec::{CodecError, KeyPart, Value, decode_key},
    error::StoreError,
    kv::{Engine, KvError, RowKey, Span},
};

/// Point reads of typed rows.
pub trait Rows: Send + Sync {
    /// The row of `key`, if there is one.
    fn row<T: Table>(&self, key: &T::Key) -> impl Future<Output = Result<Option<T::Value>, StoreError>> + Send
    where
        T::Value: Send,
    {
        let read = self.raw(row_key::<T>(key));
        async move { read.await.map_err(in_table::<T>)?.map(|bytes| decode_value::<T>(&bytes)).transpose() }
    }

    /// The row of `key`, which must be there.
    fn existing<T: Table>(&self, key: &T::Key) -> impl Future<Output = Result<T::Value, StoreError>> + Send
    where
        T::Value: Send,
    {
        let read = self.row::<T>(key);
        async move { read.await?.ok_or(StoreError::Missing { table: T::NAME }) }
    }

    /// The bytes of a row.
    fn raw(&self, key: RowKey) -> impl Future<Output = Result<Option<Bytes>, StoreError>> + Send;
}

/// Says in which table a row cannot be read: the engine knows only its key.
pub(crate) fn in_table<T: Table>(error: StoreError) -> StoreError {
    match error {
        StoreError::Kv(KvError::Engine(text)) => {
            StoreError::Kv(KvError::Engine(format!("table {}, {text}", T::NAME).into()))
        }
        other => other,
    }
}

/// Typed reads straight from an engine: for maintenance of a store that may not open.
#[derive(Clone)]
pub struct EngineRows(pub Arc<dyn Engine>);

impl Rows for EngineRows {
    async fn raw(&self, key: RowKey) -> Result<Option<Bytes>, StoreError> {
        Ok(self.0.get(key.family, &key.bytes).await?)
    }
}

/// The address of a row.
pub fn row_key<T: Table>(key: &T::Key) -> RowKey {
    RowKey { family: T::FAMILY, bytes: prefix_bytes::<T>(key) }
}

fn prefix_bytes<T: Table>(part: &impl KeyPart) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(40);
    bytes.push(T::NUMBER);
    part.write(&mut bytes);
    bytes
}

/// Decodes a value of table `T`.
///
/// # Errors
/// When it has an unknown version or another shape.
pub fn decode_value<T: Table>(bytes: &Bytes) -> Result<T::Value, StoreError> {
    T::Value::decode(bytes)
        .ok_or_else(|| CodecError::Value { table: T::NAME, version: bytes.first().copied() }.into())
}

/// Decodes a row of table `T` as a range returned it.
///
/// # Errors
/// When key or value do not decode.
pub fn decode_row<T: Table>(key: &Bytes, value: &Bytes) -> Result<(T::Key, T::Value), StoreError> {
    let decoded = key.get(1..).and_then(decode_key::<T::Key>).ok_or(CodecError::Key { table: T::NAME })?;
    Ok((decoded, decode_value::<T>(value)?))
}

/// Which rows of a table to read, how many, and in which direction.
#[derive(Clone, Debug)]
pub struct Scan {
    span: Span,
}

impl Scan {
    /// All rows whose key starts with `prefix` (`&()` = the whole table), in key order.
    pub fn prefix<T: Table>(prefix: &impl KeyPart) -> Self {
        let from = prefix_bytes::<T>(prefix);
        let until = successor(&from);
        Self { span: Span { family: T::FAMILY, from, until, reverse: false, limit: usize::MAX } }
    }

    /// Only keys at or after `start` (a key or a longer prefix).
    #[must_use]
    pub fn from<T: Table>(mut self, start: &impl KeyPart) -> Self {
        self.span.from = self.span.from.max(prefix_bytes::<T>(start));
        self
    }

    /// Only keys after everything that starts with `start`.
    #[must_use]
    pub fn after<T: Table>(mut self, start: &impl KeyPart) -> Self {
        if let Some(next) = successor(&prefix_bytes::<T>(start)) {
            self.span.from = self.span.from.max(next);
        }
        self
    }

    /// Only keys before `end`.
    #[must_use]
    pub fn until<T: Table>(mut self, end: &impl KeyPart) -> Self {
        let end = prefix_bytes::<T>(end);
        self.span.until = Some(self.span.until.map_or(end.clone(), |until| until.min(end)));
        self
    }

    /// From the end backward.
    #[must_use]
    pub fn reverse(mut self) -> Self {
        self.span.reverse = true;
        self
    }

    /// At most `limit` rows.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.span.limit = limit;
        self
    }

    /// The untyped form.
    pub fn into_span(self) -> Span {
        self.span
    }
}

/// The smallest byte string after every one that starts with `prefix`.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut next = prefix[..=keep].to_vec();
    next[keep] += 1;
    Some(next)
}
