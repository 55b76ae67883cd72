//! Where contents are kept: a local folder or an S3 bucket, behind the `object_store` crate.
//!
//! **Shapes**: an object is named `ab/cdef…`, by random bytes of ours and never by anything that a client
//! said, so that no name can lead out of the folder. A thumbnail lies beside its object.
//! **Invariant**: an object is whole and durable when [`Blobs::write`] has given it back: the folder is
//! synced, S3 answers only then.

use std::{path::Path as FilePath, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use object_store::{
    GetOptions, GetRange, ObjectStore, ObjectStoreExt as _,
    aws::{AmazonS3Builder, S3ConditionalPut},
    buffered::BufWriter,
    local::LocalFileSystem,
    memory::InMemory,
    path::Path,
};
use tokio::io::AsyncWriteExt as _;

use crate::MediaError;

/// What is held in memory of an upload before it is sent on; S3 takes no smaller parts.
const S3_PART_BYTES: usize = 5 << 20;
/// The same where any size is taken.
const PART_BYTES: usize = 512 << 10;

/// How to reach a bucket.
#[derive(Clone)]
pub struct S3Bucket {
    /// `https://…` (or `http://…` of a server on a private network); empty for Amazon's own.
    pub endpoint: String,
    /// The bucket, which must exist.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// Who we are.
    pub access_key_id: String,
    /// And how we prove it.
    pub secret_access_key: String,
}

/// The storage of contents. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Blobs {
    objects: Arc<dyn ObjectStore>,
    part_bytes: usize,
}

impl Blobs {
    /// Contents in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// The folder's.
    pub fn in_folder(folder: &FilePath) -> Result<Self, MediaError> {
        std::fs::create_dir_all(folder).map_err(|error| object_store::Error::Generic {
            store: "local folder",
            source: Box::new(error),
        })?;
        let objects = LocalFileSystem::new_with_prefix(folder)?.with_automatic_cleanup(true).with_fsync(true);
        Ok(Self { objects: Arc::new(objects), part_bytes: PART_BYTES })
    }

    /// Contents in a bucket.
    ///
    /// # Errors
    /// What is wrong with the description; nothing is sent yet.
    pub fn in_bucket(bucket: &S3Bucket) -> Result<Self, MediaError> {
        // One provider serves the process; an error says that it has one.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&bucket.bucket)
            .with_region(&bucket.region)
            .with_access_key_id(&bucket.access_key_id)
            .with_secret_access_key(&bucket.secret_access_key)
            // Names are random: nothing is ever written twice, so nothing needs a condition.
            .with_conditional_put(S3ConditionalPut::Disabled);
        if !bucket.endpoint.is_empty() {
            let clear_text = bucket.endpoint.starts_with("http://");
            builder = builder.with_endpoint(&bucket.endpoint).with_allow_http(clear_text);
        }
        Ok(Self { objects: Arc::new(builder.build()?), part_bytes: S3_PART_BYTES })
    }

    /// Contents in memory, for tests.
    #[must_use]
    pub fn in_memory() -> Self {
        Self { objects: Arc::new(InMemory::new()), part_bytes: PART_BYTES }
    }

    /// Begins a new object.
    pub(crate) fn begin(&self, object: &str) -> Writer {
        let path = Path::from(object);
        let writer = BufWriter::with_capacity(Arc::clone(&self.objects), path, self.part_bytes);
        Writer(writer.with_max_concurrency(1))
    }

    /// Writes a small object whole.
    pub(crate) async fn write(&self, object: &str, bytes: Bytes) -> Result<(), MediaError> {
        self.objects.put(&Path::from(object), bytes.into()).await?;
        Ok(())
    }

    /// A small object whole; `None` if it is not there.
    pub(crate) async fn read(&self, object: &str) -> Result<Option<Bytes>, MediaError> {
        match self.objects.get(&Path::from(object)).await {
            Ok(found) => Ok(Some(found.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Bytes `from..to` of an object.
    pub(crate) async fn stream(
        &self,
        object: &str,
        from: u64,
        to: u64,
    ) -> Result<BoxStream<'static, Result<Bytes, MediaError>>, MediaError> {
        if from == to {
            // No store has a range for nothing.
            return Ok(futures_util::stream::empty().boxed());
        }
        let options = GetOptions { range: Some(GetRange::Bounded(from..to)), ..GetOptions::default() };
        let found = self.objects.get_opts(&Path::from(object), options).await?;
        Ok(found.into_stream().map_err(MediaError::from).boxed())
    }

    /// Removes an object and its thumbnails, as far as they are there.
    pub(crate) async fn remove(&self, object: &str) -> Result<(), MediaError> {
        let beside = Path::from(thumbnail_folder(object));
        let thumbnails: Vec<_> = self.objects.list(Some(&beside)).try_collect().await?;
        for path in thumbnails.into_iter().map(|meta| meta.location).chain([Path::from(object)]) {
            match self.objects.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// The folder of an object's thumbnails.
pub(crate) fn thumbnail_folder(object: &str) -> String {
    format!("thumbnails/{object}")
}

/// An object in the making. Dropped unfinished, it leaves at most what [`Blobs::remove`] takes away.
pub(crate) struct Writer(BufWriter);

impl Writer {
    pub(crate) async fn write(&mut self, bytes: Bytes) -> Result<(), MediaError> {
        Ok(self.0.put(bytes).await?)
    }

    pub(crate) async fn finish(mut self) -> Result<(), MediaError> {
        self.0
            .shutdown()
            .await
            .map_err(|error| object_store::Error::Generic { store: "media", source: Box::new(error) }.into())
    }

    pub(crate) async fn abandon(mut self) {
        // What was written is removed with the object's pending row; an error here changes nothing.
        if let Err(error) = self.0.abort().await {
            tracing::debug!(%error, "an unfinished upload could not be taken back at once");
        }
    }
}
