//! Files: hashed while they are copied, synced before they count, private to their owner.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{BackupError, FileEntry, io_error, manifest::hex_digest};

const BUFFER_BYTES: usize = 1 << 20;

/// All files below `folder`, as paths relative to it, in order. Links and devices are no files of ours.
pub(super) fn files_below(folder: &Path) -> Result<Vec<PathBuf>, BackupError> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(below) = open.pop() {
        let at = folder.join(&below);
        for entry in fs::read_dir(&at).map_err(io_error(&at, "read the folder"))? {
            let entry = entry.map_err(io_error(&at, "read the folder"))?;
            let kind = entry.file_type().map_err(io_error(&at, "read the folder"))?;
            let path = below.join(entry.file_name());
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

pub(super) fn make_folder(path: &Path) -> Result<(), BackupError> {
    let made = DirBuilder::new().mode(0o700).recursive(true).create(path);
    made.map_err(io_error(path, "create the folder"))
}

pub(super) fn sync_folder(path: &Path) -> Result<(), BackupError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(io_error(path, "sync the folder"))
}

/// Syncs `path` and every folder between it and `root`.
pub(super) fn sync_up_to(root: &Path, path: &Path) -> Result<(), BackupError> {
    for folder in path.ancestors().take_while(|folder| folder.starts_with(root)) {
        sync_folder(folder)?;
    }
    Ok(())
}

/// Size and hash of a file; `None` if there is none.
pub(super) fn digest(path: &Path) -> Result<Option<(u64, String)>, BackupError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(path, "open the file")(error)),
    };
    let (mut hasher, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; BUFFER_BYTES]);
    loop {
        let read = file.read(&mut buffer).map_err(io_error(path, "read the file"))?;
        if read == 0 {
            return Ok(Some((bytes, hex_digest(&hasher.finalize()))));
        }
        hasher.update(&buffer[..read]);
        bytes += read as u64;
    }
}

/// Whether `path` is the file that `entry` describes.
pub(super) fn is(entry: &FileEntry, path: &Path) -> Result<bool, BackupError> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() && found.len() == entry.bytes => {}
        _ => return Ok(false),
    }
    Ok(digest(path)?.is_some_and(|(_, sha256)| sha256 == entry.sha256))
}

/// Copies a file to a place where none is, synced; its size and hash. `None` if it has gone meanwhile.
pub(super) fn copy(from: &Path, to: &Path) -> Result<Option<(u64, String)>, BackupError> {
    let mut source = match File::open(from) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(from, "open the file")(error)),
    };
    if let Some(folder) = to.parent() {
        make_folder(folder)?;
    }
    let mut target = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(io_error(to, "create the file"))?;
    let (mut hasher, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; BUFFER_BYTES]);
    loop {
        let read = source.read(&mut buffer).map_err(io_error(from, "read the file"))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        bytes += read as u64;
        target.write_all(&buffer[..read]).map_err(io_error(to, "write the file"))?;
    }
    target.sync_all().map_err(io_error(to, "sync the file"))?;
    Ok(Some((bytes, hex_digest(&hasher.finalize()))))
}

/// Writes a small file that appears whole or not at all.
pub(super) fn write_whole(path: &Path, text: &str) -> Result<(), BackupError> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let unfinished = PathBuf::from(unfinished);
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&unfinished, path))
        .map_err(io_error(path, "write the file"))?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// Removes a folder that may not be there.
pub(super) fn remove(folder: &Path) -> Result<(), BackupError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io_error(folder, "remove the folder")(error))
        }
        _ => Ok(()),
    }
}

/// One backup or restore at a time in a data folder; held until dropped, and by nobody after a crash.
pub(super) fn lock(data_dir: &Path) -> Result<File, BackupError> {
    let path = data_dir.join("backup.lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(io_error(&path, "open the file"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(BackupError::Busy(data_dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(io_error(&path, "lock the file")(error)),
    }
}
