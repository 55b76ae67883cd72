//! A backup of a running server.
//!
//! The store is copied from a checkpoint, so what the backup holds is what was durable at one moment. All is
//! written beside the target under another name and renamed when it is whole and synced.

use std::{
    fs,
    path::{Path, PathBuf},
};

use nexus_event_store::{
    Position, Scan, Store, StoreError,
    catalogue::Stream,
    format::FORMAT,
    kv::{
        Read as _,
        rocks::{RocksEngine, RocksTuning},
        sealed::Sealed,
    },
    read::decode_row,
};

use super::{
    BackupError, CONFIG_FILE, FileEntry, KEY_FILE, MANIFEST_FILE, MEDIA_FOLDER, Manifest, OnProgress,
    STORE_FOLDER, files, io_error, is_free, manifest::VERSION,
};

/// What a backup is made of.
#[derive(Clone, Debug)]
pub struct Source {
    /// The data folder of the server.
    pub data_dir: PathBuf,
    /// Its configuration, if it has a file.
    pub config_file: Option<PathBuf>,
    /// Its name.
    pub server_name: String,
    /// The version of the program.
    pub program: String,
}

/// Makes a backup in `target`, which must be empty or not there.
///
/// # Errors
/// See [`BackupError`]; then `target` is as it was.
pub async fn create(
    store: &Store,
    source: &Source,
    target: &Path,
    progress: OnProgress<'_>,
) -> Result<Manifest, BackupError> {
    if !is_free(target)? {
        return Err(BackupError::NotEmpty(target.to_owned()));
    }
    let _lock = files::lock(&source.data_dir)?;
    let checkpoint = source.data_dir.join("backup-checkpoint");
    let mut partial = target.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    // What a backup that was killed has left.
    files::remove(&checkpoint)?;
    files::remove(&partial)?;
    let made = fill(store, source, &checkpoint, &partial, progress).await;
    let cleaned = files::remove(&checkpoint);
    let finished = made.and_then(|manifest| {
        cleaned?;
        fs::rename(&partial, target).map_err(io_error(target, "give the backup its name"))?;
        files::sync_folder(parent(target))?;
        Ok(manifest)
    });
    if finished.is_err() {
        // The error that made us stop matters more than one of tidying up.
        drop(files::remove(&partial));
    }
    finished
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

async fn fill(
    store: &Store,
    source: &Source,
    checkpoint: &Path,
    partial: &Path,
    progress: OnProgress<'_>,
) -> Result<Manifest, BackupError> {
    store.engine().checkpoint(checkpoint.to_owned()).await.map_err(StoreError::from)?;
    let position = newest_position(checkpoint).await?;
    let list = list(source, checkpoint)?;
    let total = list.iter().filter_map(|(from, _)| fs::metadata(from).ok()).map(|file| file.len()).sum();
    files::make_folder(partial)?;
    let (mut entries, mut done) = (Vec::with_capacity(list.len()), 0);
    for (from, name) in list {
        let to = partial.join(&name);
        // A medium that was deleted since the list was made is in no event any more.
        let Some((bytes, sha256)) = files::copy(&from, &to)? else { continue };
        files::sync_up_to(partial, parent(&to))?;
        done += bytes;
        entries.push(FileEntry { path: name, bytes, sha256 });
        if !progress(done, total) {
            return Err(BackupError::Interrupted);
        }
    }
    let manifest = Manifest {
        version: VERSION,
        id: nexus_event_store::kv::sealed::hex(&store.world().random_bytes::<16>()),
        server_name: source.server_name.clone(),
        position: position.0,
        store_format: FORMAT,
        program: source.program.clone(),
        created_ms: store.world().now().0,
        files: entries,
    };
    let text = manifest.to_text().map_err(|error| BackupError::NotABackup {
        path: partial.to_owned(),
        problem: format!("write the manifest: {error}"),
    })?;
    files::write_whole(&partial.join(MANIFEST_FILE), &text)?;
    Ok(manifest)
}

/// What is copied: where it is, and its name in the backup.
fn list(source: &Source, checkpoint: &Path) -> Result<Vec<(PathBuf, String)>, BackupError> {
    let mut list = Vec::new();
    let mut below = |folder: &Path, name: &str| -> Result<(), BackupError> {
        for file in files::files_below(folder)? {
            let text = file.to_str().ok_or_else(|| BackupError::NotABackup {
                path: folder.join(&file),
                problem: "is not named in UTF-8".to_owned(),
            })?;
            // RocksDB's own diary and lock are no data.
            if name == STORE_FOLDER && (text.starts_with("LOG") || text == "LOCK") {
                continue;
            }
            list.push((folder.join(&file), format!("{name}/{text}")));
        }
        Ok(())
    };
    below(checkpoint, STORE_FOLDER)?;
    let media = source.data_dir.join(MEDIA_FOLDER);
    if media.is_dir() {
        below(&media, MEDIA_FOLDER)?;
    }
    list.push((source.data_dir.join(KEY_FILE), KEY_FILE.to_owned()));
    list.extend(source.config_file.clone().map(|file| (file, CONFIG_FILE.to_owned())));
    Ok(list)
}

/// The newest commit in the store of `folder`.
async fn newest_position(folder: &Path) -> Result<Position, BackupError> {
    let raw =
        RocksEngine::open_read_only(folder, folder, RocksTuning::default()).map_err(StoreError::from)?;
    let rows = Sealed::new(std::sync::Arc::new(raw));
    let span = Scan::prefix::<Stream>(&()).reverse().limit(1).into_span();
    let newest = rows.range(span).await.map_err(StoreError::from)?;
    Ok(match newest.first() {
        Some((key, value)) => decode_row::<Stream>(key, value)?.0,
        None => Position::START,
    })
}
