//! What a backup says of itself.
//!
//! **Shapes**: `{"manifest": {...}, "sha256": "…"}`; the hash is that of the manifest's text as it stands there,
//! so that a flipped byte in the manifest is found like one in a file.

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// The manifest's name inside a backup.
pub const MANIFEST_FILE: &str = "manifest.json";

/// The version of this file's shape.
pub(super) const VERSION: u32 = 1;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this shape.
    pub version: u32,
    /// A random name for this backup.
    pub id: String,
    /// Whose data it is.
    pub server_name: String,
    /// The newest commit in it.
    pub position: u64,
    /// The format of its store.
    pub store_format: u32,
    /// The version of the program that made it.
    pub program: String,
    /// When, in milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// Its files, by path.
    pub files: Vec<FileEntry>,
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Relative to the backup, with `/`.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Of its content, in hexadecimal.
    pub sha256: String,
}

impl FileEntry {
    /// Whether the path stays inside the folder it is joined to.
    pub(super) fn is_inside(&self) -> bool {
        let path = Path::new(&self.path);
        !self.path.is_empty() && path.components().all(|part| matches!(part, Component::Normal(_)))
    }
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    manifest: Box<RawValue>,
    sha256: String,
}

pub(super) fn hex_digest(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Manifest {
    /// All bytes of all files.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    pub(super) fn to_text(&self) -> Result<String, serde_json::Error> {
        let manifest = serde_json::value::to_raw_value(self)?;
        let sha256 = hex_digest(&Sha256::digest(manifest.get()));
        serde_json::to_string(&Envelope { manifest, sha256 })
    }

    /// Reads a manifest; the error is a sentence.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let envelope: Envelope =
            serde_json::from_str(text).map_err(|error| format!("is no manifest: {error}"))?;
        if hex_digest(&Sha256::digest(envelope.manifest.get())) != envelope.sha256 {
            return Err("the manifest does not match its own hash".to_owned());
        }
        let manifest: Manifest = serde_json::from_str(envelope.manifest.get())
            .map_err(|error| format!("is no manifest: {error}"))?;
        if manifest.version != VERSION {
            return Err(format!("has version {}, this program reads version {VERSION}", manifest.version));
        }
        match manifest.files.iter().find(|file| !file.is_inside()) {
            Some(file) => Err(format!("names a path outside the backup: {}", file.path)),
            None => Ok(manifest),
        }
    }
}
