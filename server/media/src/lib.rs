//! Media: files that users upload, their thumbnails, and the links under which they are served.
//!
//! **Shapes**: a medium is a row ([`Medium`]) that names a blob; blobs with the same SHA-256 are stored once,
//! as objects behind [`Blobs`] (a local folder or an S3 bucket, through `object_store`). Thumbnails are objects
//! derived from a blob, made when they are asked for.
//! **Units**: sizes in bytes, times in milliseconds since the Unix epoch.
//! **Errors**: [`MediaError`]; what a client did wrong is told apart from what failed here.
//! **Invariant**: a row names only an object that is durable, and an object that no row names is one that
//! [`tables::PendingObjects`] names, so that a crash at any point leaves nothing for ever.

mod blobs;
mod delete;
mod download;
mod error;
mod link;
mod list;
mod picture;
pub mod reply;
mod reserve;
pub mod table_list;
pub mod tables;
mod thumbnail;
mod upload;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use nexus_event_store::{Rows as _, Store, StoreError, UserNo, codec::Text, world::World};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

pub use blobs::{Blobs, S3Bucket};
pub use download::{ByteRange, Content};
pub use error::MediaError;
pub use link::Link;
pub use reserve::Reservation;
pub use thumbnail::{Fit, Thumbnail, ThumbnailSize};
pub use upload::{BodyStream, NewMedium};

use tables::{Blobs as BlobRows, Media as MediaRows};

/// Pictures that are decoded at the same time: each may take some 200 MB for a moment.
const DECODERS: usize = 2;

/// What the operator decided.
#[derive(Clone, Copy, Debug)]
pub struct MediaConfig {
    /// The largest file.
    pub upload_bytes_max: u64,
}

/// An uploaded file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Medium {
    /// The part of its `mxc://` address that follows the server's name.
    pub id: String,
    /// Its size.
    pub bytes: u64,
    /// Its type as its uploader declared it, checked to be one.
    pub content_type: String,
    /// Its name as its uploader gave it, without a path.
    pub file_name: Option<String>,
    /// Who uploaded it.
    pub uploader: UserNo,
    /// When.
    pub created_ms: u64,
    /// The SHA-256 of its content.
    pub sha256: [u8; 32],
    /// Width and height, if it is a picture that is understood here.
    pub pixels: Option<(u32, u32)>,
}

struct Inner {
    store: Store,
    blobs: Blobs,
    config: MediaConfig,
    decoders: Semaphore,
    /// How many uploads each user has under way.
    under_way: Mutex<BTreeMap<UserNo, usize>>,
    /// Read once.
    link_key: OnceLock<[u8; 32]>,
}

/// The media of this server. Cheap to clone.
#[derive(Clone)]
pub struct Media {
    inner: Arc<Inner>,
}

impl Media {
    /// The media whose rows are in `store` and whose content is in `blobs`.
    #[must_use]
    pub fn new(store: Store, blobs: Blobs, config: MediaConfig) -> Self {
        let (decoders, under_way) = (Semaphore::new(DECODERS), Mutex::default());
        Self {
            inner: Arc::new(Inner { store, blobs, config, decoders, under_way, link_key: OnceLock::new() }),
        }
    }

    /// The largest file that is taken.
    #[must_use]
    pub fn upload_bytes_max(&self) -> u64 {
        self.inner.config.upload_bytes_max
    }

    /// The clock and randomness of the store.
    #[must_use]
    pub fn world(&self) -> &World {
        self.inner.store.world()
    }

    fn store(&self) -> &Store {
        &self.inner.store
    }

    /// A medium of this server.
    ///
    /// # Errors
    /// [`MediaError::Unknown`], [`MediaError::NotYetUploaded`] while it is only reserved, the store's.
    pub async fn medium(&self, id: &str) -> Result<Medium, MediaError> {
        let Some(row) = self.store().row::<MediaRows>(&Text::from(id)).await? else {
            return Err(self.why_missing(id).await?);
        };
        let blob =
            self.store().row::<BlobRows>(&row.blob).await?.ok_or(StoreError::Missing { table: "blobs" })?;
        Ok(Medium {
            id: id.to_owned(),
            bytes: blob.bytes,
            content_type: row.content_type,
            file_name: row.file_name,
            uploader: row.uploader,
            created_ms: row.created_ms,
            sha256: row.blob.0,
            pixels: blob.pixels,
        })
    }
}

impl std::fmt::Debug for Media {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Media").field("config", &self.inner.config).finish_non_exhaustive()
    }
}
