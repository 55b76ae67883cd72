//! Uploads: a body streams into a new object while it is hashed, then one commit makes it a medium.
//!
//! **Order**: the object's name is recorded as pending (durable), the object is written and synced, and one
//! commit records the medium and takes the pending row away. Content that is here already is used again, and
//! the second object removed. **Bounds**: [`AT_ONCE`] uploads of a user, each with one part in memory, and none
//! that stands still for [`STALL`].

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use nexus_event_store::{Rows as _, StoreError, Tx, UserNo, codec::Text};
use sha2::{Digest as _, Sha256};

use crate::{
    Media, MediaError, Medium,
    blobs::Writer,
    picture,
    tables::{
        BlobHash, BlobRow, Blobs as BlobRows, Media as MediaRows, MediumRow, PendingObjects, Reservations,
        UserMedia,
    },
};

/// A decision that keeps losing to others is given up after this many attempts.
const ATTEMPTS: usize = 32;
/// What is looked at to learn a picture's size: enough for the metadata that cameras write first.
const HEAD_BYTES: usize = 512 << 10;
/// Uploads that one user may have under way.
const AT_ONCE: usize = 16;
/// An upload of which nothing comes for this long is given up.
const STALL: Duration = Duration::from_secs(60);
/// The longest file name that is kept.
const NAME_BYTES_MAX: usize = 255;
const TYPE_BYTES_MAX: usize = 100;

/// The body of an upload. An error of any kind means that it was cut off.
pub trait BodyStream: Stream<Item = Result<Bytes, axum::Error>> + Send + Unpin {}
impl<S: Stream<Item = Result<Bytes, axum::Error>> + Send + Unpin> BodyStream for S {}

/// What an uploader says of a file.
#[derive(Clone, Debug, Default)]
pub struct NewMedium {
    /// Its type; guessed from the name where there is none, or none that is valid.
    pub content_type: Option<String>,
    /// Its name.
    pub file_name: Option<String>,
}

/// An object that is written, and what is known of its content.
struct Written {
    object: String,
    hash: BlobHash,
    bytes: u64,
    pixels: Option<(u32, u32)>,
}

impl Media {
    /// Takes a file.
    ///
    /// # Errors
    /// [`MediaError::TooLarge`], [`MediaError::Interrupted`], the storage's, the store's. Nothing is kept then.
    pub async fn upload(
        &self,
        uploader: UserNo,
        new: NewMedium,
        body: impl BodyStream,
    ) -> Result<Medium, MediaError> {
        let id = self.random_id();
        let row = self.describe(uploader, new);
        self.take(&id, row, body, false).await
    }

    /// Takes the file of an address that `uploader` had reserved.
    ///
    /// # Errors
    /// Those of [`Media::upload`], and [`MediaError::Unknown`], [`MediaError::NotYours`],
    /// [`MediaError::AlreadyUploaded`].
    pub async fn upload_reserved(
        &self,
        uploader: UserNo,
        id: &str,
        new: NewMedium,
        body: impl BodyStream,
    ) -> Result<Medium, MediaError> {
        if self.store().row::<MediaRows>(&Text::from(id)).await?.is_some() {
            return Err(MediaError::AlreadyUploaded);
        }
        let reserved = self.reservation(id).await?.ok_or(MediaError::Unknown)?;
        if reserved.uploader != uploader {
            return Err(MediaError::NotYours);
        }
        let row = self.describe(uploader, new);
        self.take(id, row, body, true).await
    }

    /// A name that nobody can guess.
    pub(crate) fn random_id(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.world().random_bytes::<18>())
    }

    fn describe(&self, uploader: UserNo, new: NewMedium) -> MediumRow {
        let file_name = new.file_name.as_deref().and_then(clean_name);
        MediumRow {
            blob: BlobHash([0; 32]),
            uploader,
            content_type: content_type(new.content_type.as_deref(), file_name.as_deref()),
            file_name,
            created_ms: self.world().now().0,
        }
    }

    async fn take(
        &self,
        id: &str,
        mut row: MediumRow,
        body: impl BodyStream,
        reserved: bool,
    ) -> Result<Medium, MediaError> {
        let _turn = Turn::take(self, row.uploader)?;
        let object = self.new_object().await?;
        let written = match self.write(object.clone(), body).await {
            Ok(written) => written,
            Err(error) => {
                self.discard(&object).await;
                return Err(error);
            }
        };
        row.blob = written.hash;
        match self.record(id, &row, &written, reserved).await {
            Ok(true) => {}
            // The content was here already.
            Ok(false) => self.discard(&object).await,
            Err(error) => {
                self.discard(&object).await;
                return Err(error);
            }
        }
        Ok(Medium {
            id: id.to_owned(),
            bytes: written.bytes,
            content_type: row.content_type,
            file_name: row.file_name,
            uploader: row.uploader,
            created_ms: row.created_ms,
            sha256: row.blob.0,
            pixels: written.pixels,
        })
    }

    /// The name of a new object, recorded as pending.
    async fn new_object(&self) -> Result<String, MediaError> {
        let name: String =
            self.world().random_bytes::<16>().iter().map(|byte| format!("{byte:02x}")).collect();
        let object = format!("{}/{}", &name[..2], &name[2..]);
        let tx = self.store().begin();
        tx.put::<PendingObjects>(&Text::from(object.as_str()), &self.world().now().0);
        tx.stage()?.durable().await?;
        Ok(object)
    }

    async fn write(&self, object: String, body: impl BodyStream) -> Result<Written, MediaError> {
        let mut writer = self.inner.blobs.begin(&object);
        match self.copy(&mut writer, body).await {
            Ok((hash, bytes, pixels)) => {
                writer.finish().await?;
                Ok(Written { object, hash, bytes, pixels })
            }
            Err(error) => {
                writer.abandon().await;
                Err(error)
            }
        }
    }

    async fn copy(
        &self,
        writer: &mut Writer,
        mut body: impl BodyStream,
    ) -> Result<(BlobHash, u64, Option<(u32, u32)>), MediaError> {
        let limit = self.upload_bytes_max();
        let (mut hash, mut bytes, mut head) = (Sha256::new(), 0u64, Vec::new());
        loop {
            let next = tokio::select! {
                biased;
                next = body.next() => next,
                () = self.world().clock.sleep(STALL) => return Err(MediaError::Interrupted),
            };
            let Some(chunk) = next else { break };
            let chunk = chunk.map_err(|_| MediaError::Interrupted)?;
            bytes += chunk.len() as u64;
            if bytes > limit {
                return Err(MediaError::TooLarge { limit });
            }
            hash.update(&chunk);
            let wanted = HEAD_BYTES.saturating_sub(head.len()).min(chunk.len());
            head.extend_from_slice(&chunk[..wanted]);
            writer.write(chunk).await?;
        }
        Ok((BlobHash(hash.finalize().into()), bytes, picture::size_of(&head)))
    }

    /// Records a medium; tells whether its content is new here.
    async fn record(
        &self,
        id: &str,
        row: &MediumRow,
        written: &Written,
        reserved: bool,
    ) -> Result<bool, MediaError> {
        for _ in 0..ATTEMPTS {
            let tx = self.store().begin();
            let is_new = stage_medium(&tx, id, row, written, reserved).await?;
            match tx.stage() {
                Ok(staged) => match staged.durable().await {
                    Ok(_) => return Ok(is_new),
                    Err(StoreError::Conflict) => {}
                    Err(error) => return Err(error.into()),
                },
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict.into())
    }
}

/// A user's right to one upload, until it is dropped.
struct Turn<'m> {
    media: &'m Media,
    user: UserNo,
}

impl<'m> Turn<'m> {
    fn take(media: &'m Media, user: UserNo) -> Result<Self, MediaError> {
        let mut under_way = media.inner.under_way.lock();
        let count = under_way.entry(user).or_default();
        if *count >= AT_ONCE {
            return Err(MediaError::TooManyAtOnce { limit: AT_ONCE });
        }
        *count += 1;
        Ok(Self { media, user })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut under_way = self.media.inner.under_way.lock();
        match under_way.get_mut(&self.user) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(under_way.remove(&self.user)),
        }
    }
}

async fn stage_medium(
    tx: &Tx,
    id: &str,
    row: &MediumRow,
    written: &Written,
    reserved: bool,
) -> Result<bool, MediaError> {
    let key = Text::from(id);
    if tx.row::<MediaRows>(&key).await?.is_some() {
        return Err(MediaError::AlreadyUploaded);
    }
    if reserved {
        tx.row::<Reservations>(&key).await?.ok_or(MediaError::Unknown)?;
        tx.delete::<Reservations>(&key);
    }
    let found = tx.row::<BlobRows>(&written.hash).await?;
    let is_new = found.is_none();
    let blob = match found {
        Some(blob) => BlobRow { uses: blob.uses + 1, ..blob },
        None => {
            tx.delete::<PendingObjects>(&Text::from(written.object.as_str()));
            BlobRow { object: written.object.clone(), bytes: written.bytes, uses: 1, pixels: written.pixels }
        }
    };
    tx.put::<BlobRows>(&written.hash, &blob);
    tx.put::<MediaRows>(&key, row);
    tx.put::<UserMedia>(&(row.uploader, key), &());
    Ok(is_new)
}

/// A file name without folders, control characters and what else a file system or a header trips over.
fn clean_name(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut clean: String = last.chars().filter(|c| !c.is_control()).collect();
    while clean.len() > NAME_BYTES_MAX {
        clean.pop();
    }
    let clean = clean.trim().trim_start_matches('.').to_owned();
    (!clean.is_empty()).then_some(clean)
}

/// The declared type if it reads as one, else one that the name suggests.
fn content_type(declared: Option<&str>, name: Option<&str>) -> String {
    let token = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let valid = |text: &&str| {
        let essence = text.split(';').next().unwrap_or_default().trim();
        text.len() <= TYPE_BYTES_MAX
            && text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
            && essence.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
    };
    if let Some(declared) = declared.map(str::trim).filter(valid) {
        return declared.to_ascii_lowercase();
    }
    name.and_then(|name| mime_guess::from_path(name).first_raw())
        .unwrap_or("application/octet-stream")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_39_names_lead_nowhere() {
        for (given, kept) in [
            ("../../etc/passwd", Some("passwd")),
            ("..\\..\\boot.ini", Some("boot.ini")),
            ("/", None),
            ("..", None),
            ("a\r\nSet-Cookie: x", Some("aSet-Cookie: x")),
            ("\u{0}", None),
            (" cat.png ", Some("cat.png")),
        ] {
            assert_eq!(clean_name(given).as_deref(), kept, "{given:?}");
        }
        assert!(clean_name(&"é".repeat(300)).is_some_and(|name| name.len() <= NAME_BYTES_MAX));
    }

    #[test]
    fn a_type_is_a_type_or_guessed() {
        for (declared, name, kept) in [
            (Some("image/png"), None, "image/png"),
            (Some("Text/Plain; charset=utf-8"), None, "text/plain; charset=utf-8"),
            (Some("nonsense"), Some("a.jpg"), "image/jpeg"),
            (Some("text/html\r\nX: y"), None, "application/octet-stream"),
            (None, Some("a.webm"), "video/webm"),
            (None, None, "application/octet-stream"),
        ] {
            assert_eq!(content_type(declared, name), kept, "{declared:?} {name:?}");
        }
    }
}
