//! A data folder out of a backup: once, whole, and never over newer data.
//!
//! Everything is copied into `restoring/` in the data folder and moved to its place at the end, the store
//! last: its appearance is the moment at which the restore has happened. The store then carries a record
//! (`store/RESTORED`) of the backup it came from, so that the same command given again changes nothing,
//! however far the server has gone on meanwhile. **Invariant**: a store that exists is never touched; what a
//! crash leaves is finished by the same restore and refused to the server and to every other restore.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    BackupError, CONFIG_FILE, FileEntry, KEY_FILE, MANIFEST_FILE, MEDIA_FOLDER, Manifest, OnProgress,
    STORE_FOLDER, files, io_error, verify, verify::load_manifest,
};

/// Where a restore is prepared, in the data folder.
const STAGING: &str = "restoring";
/// In the store: which backup it came from.
const RECORD_FILE: &str = "RESTORED";

/// Where a backup is to be restored to.
#[derive(Clone, Debug)]
pub struct Target {
    /// The data folder.
    pub data_dir: PathBuf,
    /// The configuration file; the backup's is put there if there is none.
    pub config_file: PathBuf,
    /// The name in the configuration, if there is one.
    pub server_name: Option<String>,
}

/// That a store came from a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreRecord {
    /// The backup.
    pub backup: String,
    /// The newest commit that it had.
    pub position: u64,
}

/// What a restore did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The data folder is the backup's now.
    Restored(RestoreRecord),
    /// It was restored from this very backup before; nothing was changed.
    Already(RestoreRecord),
}

/// Whether a restore was begun in `data_dir` and not finished: no server may start there.
#[must_use]
pub fn unfinished_restore(data_dir: &Path) -> bool {
    data_dir.join(STAGING).exists() && !data_dir.join(STORE_FOLDER).exists()
}

/// Restores the backup in `folder`.
///
/// # Errors
/// See [`BackupError`]: nothing that was there before is changed, and the same call goes on where this stopped.
pub fn restore(folder: &Path, target: &Target, progress: OnProgress<'_>) -> Result<Outcome, BackupError> {
    let manifest = load_manifest(folder)?;
    if let Some(expected) = target.server_name.as_ref().filter(|name| **name != manifest.server_name) {
        let (found, expected) = (manifest.server_name, expected.clone());
        return Err(BackupError::OtherServer { found, expected });
    }
    let record = RestoreRecord { backup: manifest.id.clone(), position: manifest.position };
    let staging = target.data_dir.join(STAGING);
    files::make_folder(&target.data_dir)?;
    let _lock = files::lock(&target.data_dir)?;
    if target.data_dir.join(STORE_FOLDER).exists() {
        return match read_record(&target.data_dir) {
            Some(found) if found.backup == record.backup => {
                files::remove(&staging)?;
                Ok(Outcome::Already(found))
            }
            _ => Err(BackupError::StoreExists(target.data_dir.join(STORE_FOLDER))),
        };
    }
    let resumed = is_resumed(&staging, &manifest)?;
    refuse_what_is_in_the_way(&manifest, target, resumed)?;
    let (_, problems) = verify(folder, &mut |_, _| true)?;
    if !problems.is_empty() {
        return Err(BackupError::Damaged(problems));
    }
    prepare(folder, &manifest, &staging, target, progress)?;
    let text = serde_json::to_string(&record).unwrap_or_default();
    files::write_whole(&staging.join(STORE_FOLDER).join(RECORD_FILE), &text)?;
    put_in_place(&staging, target, progress)?;
    files::remove(&staging)?;
    Ok(Outcome::Restored(record))
}

fn read_record(data_dir: &Path) -> Option<RestoreRecord> {
    let text = fs::read_to_string(data_dir.join(STORE_FOLDER).join(RECORD_FILE)).ok()?;
    serde_json::from_str(&text).ok()
}

/// Whether this very restore was begun before.
fn is_resumed(staging: &Path, manifest: &Manifest) -> Result<bool, BackupError> {
    if !staging.join(MANIFEST_FILE).exists() {
        // Stopped before anything was copied, or not begun.
        files::remove(staging)?;
        return Ok(false);
    }
    let begun = load_manifest(staging)?;
    if begun.id != manifest.id {
        return Err(BackupError::OtherRestore { path: staging.to_owned(), id: begun.id });
    }
    Ok(true)
}

/// Where a file of the backup belongs; the configuration only where there is none.
fn place(entry: &FileEntry, target: &Target) -> PathBuf {
    if entry.path == CONFIG_FILE { target.config_file.clone() } else { target.data_dir.join(&entry.path) }
}

/// What exists and differs is somebody's: it is not replaced.
fn refuse_what_is_in_the_way(manifest: &Manifest, target: &Target, resumed: bool) -> Result<(), BackupError> {
    let key = target.data_dir.join(KEY_FILE);
    if key.exists() {
        let ours = manifest.files.iter().find(|file| file.path == KEY_FILE);
        if !ours.is_some_and(|entry| files::is(entry, &key).unwrap_or(false)) {
            return Err(BackupError::InTheWay(key));
        }
    }
    let media = target.data_dir.join(MEDIA_FOLDER);
    if media.exists() && !resumed {
        return Err(BackupError::InTheWay(media));
    }
    Ok(())
}

/// Copies what is neither prepared nor in its place already.
fn prepare(
    folder: &Path,
    manifest: &Manifest,
    staging: &Path,
    target: &Target,
    progress: OnProgress<'_>,
) -> Result<(), BackupError> {
    let go_on = |done: u64, progress: OnProgress<'_>| match progress(done, manifest.total_bytes()) {
        true => Ok(()),
        false => Err(BackupError::Interrupted),
    };
    files::make_folder(staging)?;
    go_on(0, progress)?;
    if !staging.join(MANIFEST_FILE).exists() {
        let text = fs::read_to_string(folder.join(MANIFEST_FILE));
        let text = text.map_err(io_error(folder, "read the manifest"))?;
        files::write_whole(&staging.join(MANIFEST_FILE), &text)?;
    }
    let mut done = 0;
    for entry in &manifest.files {
        go_on(done, progress)?;
        let prepared = staging.join(&entry.path);
        let in_place = entry.path.starts_with(MEDIA_FOLDER) || entry.path == KEY_FILE;
        let is_done = files::is(entry, &prepared)? || (in_place && files::is(entry, &place(entry, target))?);
        if !is_done {
            if prepared.exists() {
                fs::remove_file(&prepared).map_err(io_error(&prepared, "remove an unfinished copy"))?;
            }
            let copied = files::copy(&folder.join(&entry.path), &prepared)?;
            if copied != Some((entry.bytes, entry.sha256.clone())) {
                return Err(BackupError::Damaged(vec![format!("{}: changed while it was read", entry.path)]));
            }
            files::sync_up_to(staging, prepared.parent().unwrap_or(staging))?;
        }
        done += entry.bytes;
    }
    go_on(done, progress)
}

/// Moves everything to its place, the store last.
fn put_in_place(staging: &Path, target: &Target, progress: OnProgress<'_>) -> Result<(), BackupError> {
    let mut step = || if progress(1, 1) { Ok(()) } else { Err(BackupError::Interrupted) };
    for name in [MEDIA_FOLDER, KEY_FILE] {
        step()?;
        let (from, to) = (staging.join(name), target.data_dir.join(name));
        if from.exists() && !to.exists() {
            fs::rename(&from, &to).map_err(io_error(&to, "move to its place"))?;
        }
    }
    step()?;
    let config = staging.join(CONFIG_FILE);
    if config.exists() && !target.config_file.exists() {
        // It may lie on another file system.
        let text = fs::read_to_string(&config).map_err(io_error(&config, "read the file"))?;
        files::write_whole(&target.config_file, &text)?;
    }
    files::sync_folder(&target.data_dir)?;
    step()?;
    let store = target.data_dir.join(STORE_FOLDER);
    fs::rename(staging.join(STORE_FOLDER), &store).map_err(io_error(&store, "move to its place"))?;
    files::sync_folder(&target.data_dir)?;
    step()
}
