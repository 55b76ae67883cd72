//! The tables of this crate, and their rows. All are primary records.

use nexus_event_store::{
    UserNo,
    catalogue::numbers,
    codec::{KeyPart, Text},
    table, versioned_value,
};
use serde::{Deserialize, Serialize};

/// The SHA-256 of a blob's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlobHash(pub [u8; 32]);

impl KeyPart for BlobHash {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        KeyPart::read(bytes).map(BlobHash)
    }
}

table! {
    /// Media by id.
    Media = numbers::MEDIA, "media", Text => MediumRow
}
table! {
    /// Contents by hash.
    Blobs = numbers::BLOBS, "blobs", BlobHash => BlobRow
}
table! {
    /// Objects that no blob names yet, or no longer: their names, and since when. They are removed at the
    /// next start.
    PendingObjects = numbers::PENDING_OBJECTS, "pending_objects", Text => u64
}
table! {
    /// Addresses given out before their content has come.
    Reservations = numbers::MEDIA_RESERVATIONS, "media_reservations", Text => ReservationRow
}
table! {
    /// The key that signs the links under which attachments are public for a while.
    LinkKey = numbers::MEDIA_LINK_KEY, "media_link_key", () => LinkKeyRow
}
table! {
    /// Whose media are which: (uploader, media id).
    UserMedia = numbers::USER_MEDIA, "user_media", (UserNo, Text) => ()
}

/// A medium.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediumRow {
    /// What it holds.
    pub blob: BlobHash,
    /// Who uploaded it.
    pub uploader: UserNo,
    /// As declared, checked to be a media type.
    pub content_type: String,
    /// As given, without a path.
    pub file_name: Option<String>,
    /// When it was uploaded.
    pub created_ms: u64,
}
versioned_value!(MediumRow, 1);

/// Content, stored once however many media have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRow {
    /// The name of the object that holds it.
    pub object: String,
    /// Its size.
    pub bytes: u64,
    /// How many media name it.
    pub uses: u64,
    /// Width and height of a picture.
    pub pixels: Option<(u32, u32)>,
}
versioned_value!(BlobRow, 1);

/// An address that waits for its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationRow {
    /// Who may fill it.
    pub uploader: UserNo,
    /// Until when.
    pub expires_ms: u64,
}
versioned_value!(ReservationRow, 1);

/// A random key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkKeyRow(pub [u8; 32]);
versioned_value!(LinkKeyRow, 1);
