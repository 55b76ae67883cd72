//! Copies of a server that are whole or not there, and their way back.
//!
//! **Shapes**: a backup is a folder with `store/`, `signing.key`, `nexus.toml`, `media/` where there is one, and
//! `manifest.json`, which names every file with its size and SHA-256 and is hashed itself. [`create`] works
//! beside a running server, [`verify`] reads only, [`restore`] makes a data folder out of a backup once.
//! **Errors**: [`BackupError`] names the file. **Invariant**: nothing that exists is ever written over.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

mod create;
mod files;
mod manifest;
mod restore;
mod verify;

pub use create::{Source, create};
pub use manifest::{FileEntry, MANIFEST_FILE, Manifest};
pub use restore::{Outcome, RestoreRecord, Target, restore, unfinished_restore};
pub use verify::{load_manifest, verify};

/// The store's folder in a data folder and in a backup.
pub const STORE_FOLDER: &str = "store";
/// The signing key, likewise.
pub const KEY_FILE: &str = "signing.key";
/// The media, likewise.
pub const MEDIA_FOLDER: &str = "media";
/// The configuration inside a backup.
pub const CONFIG_FILE: &str = "nexus.toml";

/// Why a backup was not made, is not sound, or was not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file system refused.
    #[error("{}: {action}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The store could not be copied or read.
    #[error("copy the store: {0}")]
    Store(#[from] nexus_event_store::StoreError),
    /// The folder for the backup has something in it.
    #[error("{}: is not empty; a backup needs a folder of its own", .0.display())]
    NotEmpty(PathBuf),
    /// Somebody else is at it.
    #[error("{}: another backup or restore is under way", .0.display())]
    Busy(PathBuf),
    /// It is no backup, or not one that this program reads.
    #[error("{}: {problem}", path.display())]
    NotABackup {
        /// The folder or manifest.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Files are not what the manifest says.
    #[error("the backup is damaged: {}", .0.join("; "))]
    Damaged(Vec<String>),
    /// There is a store already, and it is not this backup's.
    #[error("{}: there is a store already; nothing was changed (move it away to restore over it)", .0.display())]
    StoreExists(PathBuf),
    /// There is something else that the restore would have to replace.
    #[error("{}: is there already and is not what the backup has; nothing was changed", .0.display())]
    InTheWay(PathBuf),
    /// Another backup is half restored here.
    #[error("{}: the restore of backup {id} was begun here and not finished", path.display())]
    OtherRestore {
        /// The folder of the unfinished restore.
        path: PathBuf,
        /// Which backup that is.
        id: String,
    },
    /// The backup is another server's.
    #[error("the backup is of the server {found}, the configuration is for {expected}")]
    OtherServer {
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// Whoever was told of the progress asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// Told after each step how many bytes of how many are done; `false` stops.
pub type OnProgress<'a> = &'a mut (dyn FnMut(u64, u64) -> bool + Send);

fn io_error(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io { path, action, source }
}

/// Whether nothing is at `path`, or an empty folder.
fn is_free(path: &Path) -> Result<bool, BackupError> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(io_error(path, "read the folder")(error)),
    }
}
