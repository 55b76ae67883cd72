//! Reading media, whole or a range of bytes.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use nexus_event_store::{Rows as _, StoreError};

use crate::{
    Media, MediaError, Medium,
    tables::{BlobHash, Blobs as BlobRows},
};

/// Which bytes are asked for: one range of RFC 9110, "Range Requests".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// All of them.
    Whole,
    /// From an offset, up to another one that is included, or to the end.
    From(u64, Option<u64>),
    /// The last so many.
    Last(u64),
}

/// A part of a medium, on its way.
pub struct Content {
    /// The first byte, counted from the start of the medium.
    pub from: u64,
    /// The byte after the last.
    pub to: u64,
    /// The bytes.
    pub stream: BoxStream<'static, Result<Bytes, MediaError>>,
}

impl ByteRange {
    /// The value of a `Range` header. Several ranges, other units and nonsense read as the whole: a server may
    /// always answer so.
    #[must_use]
    pub fn parse(header: &str) -> Self {
        let read = || {
            let (first, last) = header.trim().strip_prefix("bytes=")?.split_once('-')?;
            let number = |text: &str| text.trim().parse::<u64>().ok();
            match (first.trim(), last.trim()) {
                ("", last) => number(last).map(Self::Last),
                (first, "") => number(first).map(|first| Self::From(first, None)),
                (first, last) => {
                    let (first, last) = (number(first)?, number(last)?);
                    (first <= last).then_some(Self::From(first, Some(last)))
                }
            }
        };
        read().unwrap_or(Self::Whole)
    }

    /// The bytes `from..to` of a medium of that size; `None` if none of them exists.
    #[must_use]
    pub fn within(self, bytes: u64) -> Option<(u64, u64)> {
        match self {
            Self::Whole => Some((0, bytes)),
            Self::From(first, _) if first >= bytes => None,
            Self::From(first, None) => Some((first, bytes)),
            Self::From(first, Some(last)) => Some((first, last.saturating_add(1).min(bytes))),
            Self::Last(0) => None,
            Self::Last(_) if bytes == 0 => None,
            Self::Last(count) => Some((bytes.saturating_sub(count), bytes)),
        }
    }
}

impl Media {
    /// The content of a medium.
    ///
    /// # Errors
    /// [`MediaError::OutOfRange`], the storage's, the store's.
    pub async fn content(&self, medium: &Medium, range: ByteRange) -> Result<Content, MediaError> {
        let (from, to) = range.within(medium.bytes).ok_or(MediaError::OutOfRange { bytes: medium.bytes })?;
        let object = self.object_of(medium).await?;
        let stream = self.inner.blobs.stream(&object, from, to).await?;
        Ok(Content { from, to, stream })
    }

    /// The object that holds a medium.
    pub(crate) async fn object_of(&self, medium: &Medium) -> Result<String, MediaError> {
        let blob = self.store().row::<BlobRows>(&BlobHash(medium.sha256)).await?;
        Ok(blob.ok_or(StoreError::Missing { table: "blobs" })?.object)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        for (header, range) in [
            ("bytes=0-0", ByteRange::From(0, Some(0))),
            ("bytes=5-", ByteRange::From(5, None)),
            ("bytes=-5", ByteRange::Last(5)),
            ("bytes=5-4", ByteRange::Whole),
            ("bytes=0-1,3-4", ByteRange::Whole),
            ("lines=1-2", ByteRange::Whole),
            ("bytes=", ByteRange::Whole),
            ("bytes=99999999999999999999-", ByteRange::Whole),
        ] {
            assert_eq!(ByteRange::parse(header), range, "{header}");
        }
        assert_eq!(ByteRange::From(2, Some(u64::MAX)).within(5), Some((2, 5)));
        assert_eq!(ByteRange::From(5, None).within(5), None);
        assert_eq!(ByteRange::Last(9).within(5), Some((0, 5)));
        assert_eq!(ByteRange::Whole.within(0), Some((0, 0)));
    }

    proptest! {
        #[test]
        fn a_range_lies_within(header in "bytes=[0-9]{0,20}-[0-9]{0,20}", bytes in 0u64..1000) {
            if let Some((from, to)) = ByteRange::parse(&header).within(bytes) {
                prop_assert!(from <= to && to <= bytes);
                prop_assert!(from < to || bytes == 0);
            }
        }
    }
}
