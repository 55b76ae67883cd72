//! Thumbnails, made when first asked for and kept beside their object.
//!
//! **Invariant**: there are at most [`SIZES`] thumbnails of a blob, whatever clients ask for.

use bytes::Bytes;

use crate::{Media, MediaError, Medium, blobs::thumbnail_folder, picture};

/// Larger files get no thumbnail: they would have to be held in memory.
const SOURCE_BYTES_MAX: u64 = 64 << 20;

/// How a thumbnail fills its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Whole, within the size.
    Scale,
    /// Cut to the size's proportions.
    Crop,
}

/// Which thumbnail is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThumbnailSize {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Whether it may be cut.
    pub fit: Fit,
}

/// A thumbnail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    /// `image/png` or `image/jpeg`.
    pub content_type: &'static str,
    /// The picture.
    pub bytes: Bytes,
}

const fn scale(width: u32, height: u32) -> ThumbnailSize {
    ThumbnailSize { width, height, fit: Fit::Scale }
}

const fn crop(side: u32) -> ThumbnailSize {
    ThumbnailSize { width: side, height: side, fit: Fit::Crop }
}

/// The thumbnails there are, smallest first.
const SIZES: [ThumbnailSize; 12] = [
    crop(32),
    crop(64),
    crop(96),
    crop(128),
    crop(256),
    crop(512),
    scale(128, 128),
    scale(320, 240),
    scale(640, 480),
    scale(800, 600),
    scale(1280, 960),
    scale(2048, 2048),
];

impl ThumbnailSize {
    /// The smallest one there is that is as large as this one, or the largest.
    fn nearest(self) -> Self {
        let mut same = SIZES.iter().filter(|size| size.fit == self.fit);
        let large = |size: &&Self| size.width >= self.width && size.height >= self.height;
        same.clone().find(large).or(same.next_back()).copied().unwrap_or(self)
    }

    fn name(self) -> String {
        let fit = match self.fit {
            Fit::Scale => "scale",
            Fit::Crop => "crop",
        };
        format!("{}x{}-{fit}", self.width, self.height)
    }
}

impl Media {
    /// A thumbnail of about the size asked for.
    ///
    /// # Errors
    /// [`MediaError::NotAPicture`], the storage's, the store's.
    pub async fn thumbnail(&self, medium: &Medium, wanted: ThumbnailSize) -> Result<Thumbnail, MediaError> {
        if medium.pixels.is_none() {
            return Err(MediaError::NotAPicture("it is no PNG, JPEG, GIF or WebP"));
        }
        if medium.bytes > SOURCE_BYTES_MAX {
            return Err(MediaError::NotAPicture("its file is too large"));
        }
        let size = wanted.nearest();
        let object = self.object_of(medium).await?;
        let name = format!("{}/{}", thumbnail_folder(&object), size.name());
        if let Some(bytes) = self.inner.blobs.read(&name).await? {
            return Ok(Thumbnail { content_type: type_of(&bytes), bytes });
        }
        // Few at a time: each holds a decoded picture. The semaphore is never closed.
        let _permit = self.inner.decoders.acquire().await.ok();
        let source = self.inner.blobs.read(&object).await?.ok_or(MediaError::Unknown)?;
        let copy = self.world().compute(move || picture::shrink(&source, size)).await;
        let copy = copy.unwrap_or(Err("the server is stopping")).map_err(MediaError::NotAPicture)?;
        let thumbnail = Thumbnail { content_type: copy.content_type, bytes: copy.bytes.into() };
        if let Err(error) = self.inner.blobs.write(&name, thumbnail.bytes.clone()).await {
            // It can be made again.
            tracing::warn!(%error, "a thumbnail could not be kept");
        }
        Ok(thumbnail)
    }
}

fn type_of(bytes: &[u8]) -> &'static str {
    if bytes.starts_with(b"\x89PNG") { "image/png" } else { "image/jpeg" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_size_is_served_by_one_of_few() {
        assert_eq!(crop(1).nearest(), crop(32));
        assert_eq!(crop(97).nearest(), crop(128));
        assert_eq!(crop(9999).nearest(), crop(512));
        assert_eq!(scale(320, 241).nearest(), scale(640, 480));
        assert_eq!(scale(0, 0).nearest(), scale(128, 128));
        assert_eq!(scale(u32::MAX, 1).nearest(), scale(2048, 2048));
    }
}
