//! A checksum on every row: what was not written by us is never taken for what was.
//!
//! **Shapes**: a stored value is the value's bytes and then four: the CRC-32 of the row's key and the value,
//! little-endian. The key is part of it, so that a row that turns up under another key is found too. RocksDB
//! checks its blocks on every read; this also covers what was damaged before a block was written.
//! **Errors**: [`KvError::Engine`] that names the row; nothing of a damaged row is returned.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;

use super::{Answer, Batch, Engine, Family, KvError, Precondition, Read, Row, Span};
use crate::world::BoxFuture;

const CHECKSUM_BYTES: usize = 4;

fn checksum(key: &[u8], value: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(value);
    hasher.finalize().to_le_bytes()
}

/// A value as it is stored under `key`.
#[must_use]
pub fn seal(key: &[u8], value: &[u8]) -> Bytes {
    let mut sealed = Vec::with_capacity(value.len() + CHECKSUM_BYTES);
    sealed.extend_from_slice(value);
    sealed.extend_from_slice(&checksum(key, value));
    sealed.into()
}

/// The value that is stored under `key`; `None` if it is damaged.
#[must_use]
pub fn unseal(key: &[u8], sealed: &Bytes) -> Option<Bytes> {
    let end = sealed.len().checked_sub(CHECKSUM_BYTES)?;
    (checksum(key, &sealed[..end]) == sealed[end..]).then(|| sealed.slice(..end))
}

/// Bytes in hexadecimal, as messages name keys.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn open_row(key: &[u8], sealed: &Bytes) -> Result<Bytes, KvError> {
    unseal(key, sealed)
        .ok_or_else(|| KvError::Engine(format!("row {} does not match its checksum", hex(key)).into()))
}

/// Says which row or range could not be read; the engine names its files only.
fn naming(what: &[u8]) -> impl Fn(KvError) -> KvError {
    move |error| match error {
        KvError::Engine(text) => KvError::Engine(format!("row {}: {text}", hex(what)).into()),
        other => other,
    }
}

/// Applies `open` to an answer, now or when it comes.
fn then<'a, T, U>(
    answer: Answer<'a, T>,
    open: impl FnOnce(Result<T, KvError>) -> Result<U, KvError> + Send + 'a,
) -> Answer<'a, U>
where
    T: Send + Unpin + 'a,
{
    match answer {
        Answer::Now(result) => Answer::Now(result.map(open)),
        later => Answer::Later(Box::pin(async move { open(later.await) })),
    }
}

fn get<'a>(read: &'a (impl Read + ?Sized), family: Family, key: &'a [u8]) -> Answer<'a, Option<Bytes>> {
    then(read.get(family, key), move |found| {
        found.map_err(naming(key))?.map(|sealed| open_row(key, &sealed)).transpose()
    })
}

fn multi_get<'a>(
    read: &'a (impl Read + ?Sized),
    family: Family,
    keys: &'a [Vec<u8>],
) -> Answer<'a, Vec<Option<Bytes>>> {
    then(read.multi_get(family, keys), move |found| {
        let rows = keys.iter().zip(found?);
        rows.map(|(key, row)| row.map(|sealed| open_row(key, &sealed)).transpose()).collect()
    })
}

fn range(read: &(impl Read + ?Sized), span: Span) -> Answer<'_, Vec<Row>> {
    let from = span.from.clone();
    then(read.range(span), move |found| {
        let rows = found.map_err(naming(&from))?.into_iter();
        rows.map(|(key, sealed)| open_row(&key, &sealed).map(|value| (key, value))).collect()
    })
}

/// An engine whose rows carry checksums; what lies above it sees none of them.
pub struct Sealed {
    inner: Arc<dyn Engine>,
}

impl Sealed {
    /// Puts checksums between `inner` and whoever uses this.
    #[must_use]
    pub fn new(inner: Arc<dyn Engine>) -> Self {
        Self { inner }
    }
}

impl Read for Sealed {
    fn get<'a>(&'a self, family: Family, key: &'a [u8]) -> Answer<'a, Option<Bytes>> {
        get(&*self.inner, family, key)
    }

    fn multi_get<'a>(&'a self, family: Family, keys: &'a [Vec<u8>]) -> Answer<'a, Vec<Option<Bytes>>> {
        multi_get(&*self.inner, family, keys)
    }

    fn range(&self, span: Span) -> Answer<'_, Vec<Row>> {
        range(&*self.inner, span)
    }
}

struct SealedSnapshot(Arc<dyn Read>);

impl Read for SealedSnapshot {
    fn get<'a>(&'a self, family: Family, key: &'a [u8]) -> Answer<'a, Option<Bytes>> {
        get(&*self.0, family, key)
    }

    fn multi_get<'a>(&'a self, family: Family, keys: &'a [Vec<u8>]) -> Answer<'a, Vec<Option<Bytes>>> {
        multi_get(&*self.0, family, keys)
    }

    fn range(&self, span: Span) -> Answer<'_, Vec<Row>> {
        range(&*self.0, span)
    }
}

impl Engine for Sealed {
    fn snapshot(&self) -> Arc<dyn Read> {
        Arc::new(SealedSnapshot(self.inner.snapshot()))
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<(), KvError>> {
        let preconditions = batch.preconditions.into_iter().map(|Precondition { key, expect }| {
            let expect = expect.map(|value| seal(&key.bytes, &value));
            Precondition { key, expect }
        });
        let writes = batch.writes.into_iter().map(|(key, value)| {
            let value = value.map(|value| seal(&key.bytes, &value));
            (key, value)
        });
        self.inner.commit(Batch { preconditions: preconditions.collect(), writes: writes.collect() })
    }

    fn is_exclusive(&self) -> bool {
        self.inner.is_exclusive()
    }

    fn disk_bytes(&self) -> u64 {
        self.inner.disk_bytes()
    }

    fn row_count(&self) -> u64 {
        self.inner.row_count()
    }

    fn compact(&self) -> BoxFuture<'static, Result<(), KvError>> {
        self.inner.compact()
    }

    fn checkpoint(&self, folder: PathBuf) -> BoxFuture<'static, Result<(), KvError>> {
        self.inner.checkpoint(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_of_a_row_is_found() {
        let (key, value) = (b"\x0akey".to_vec(), b"\x01some value");
        let sealed = seal(&key, value);
        assert_eq!(unseal(&key, &sealed).as_deref(), Some(value.as_slice()));
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unseal(&key, &damaged.into()), None, "bit {bit} of the value");
        }
        for bit in 0..key.len() * 8 {
            let mut damaged = key.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unseal(&damaged, &sealed), None, "bit {bit} of the key");
        }
        assert_eq!(unseal(&key, &Bytes::from_static(b"abc")), None, "too short for a checksum");
    }
}
