//! Is a backup what its manifest says? Every file's size and hash, and nothing besides.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::{BackupError, MANIFEST_FILE, Manifest, OnProgress, files};

/// Reads the manifest of the backup in `folder`.
///
/// # Errors
/// [`BackupError::NotABackup`] where there is none that this program reads.
pub fn load_manifest(folder: &Path) -> Result<Manifest, BackupError> {
    let path = folder.join(MANIFEST_FILE);
    let refuse = |problem: String| BackupError::NotABackup { path: path.clone(), problem };
    let text = fs::read_to_string(&path).map_err(|error| refuse(format!("is no backup: {error}")))?;
    Manifest::parse(&text).map_err(refuse)
}

/// Compares every file with the manifest: the manifest, and a sentence for each thing that is wrong.
///
/// # Errors
/// [`BackupError::NotABackup`]; what the file system refuses.
pub fn verify(folder: &Path, progress: OnProgress<'_>) -> Result<(Manifest, Vec<String>), BackupError> {
    let manifest = load_manifest(folder)?;
    let total = manifest.total_bytes();
    let (mut problems, mut done) = (Vec::new(), 0);
    for entry in &manifest.files {
        let path = folder.join(&entry.path);
        if !path.is_file() {
            problems.push(format!("{}: is missing", entry.path));
        } else if !files::is(entry, &path)? {
            problems.push(format!("{}: is not what was backed up", entry.path));
        }
        done += entry.bytes;
        if !progress(done, total) {
            return Err(BackupError::Interrupted);
        }
    }
    let mut known: BTreeSet<PathBuf> = manifest.files.iter().map(|file| PathBuf::from(&file.path)).collect();
    known.insert(PathBuf::from(MANIFEST_FILE));
    for file in files::files_below(folder)? {
        if !known.contains(&file) {
            problems.push(format!("{}: does not belong to the backup", file.display()));
        }
    }
    Ok((manifest, problems))
}
