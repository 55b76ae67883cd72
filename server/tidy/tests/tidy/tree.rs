//! Finds the files of the source tree.

use std::path::{Path, PathBuf};

/// Folders that hold nothing of ours.
const FOREIGN: [&str; 5] = ["target", "node_modules", "__pycache__", "nexus-data", ".git"];

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let tidy = Path::new(env!("CARGO_MANIFEST_DIR"));
    tidy.ancestors().nth(2).expect("this crate lies two folders below the root").to_owned()
}

/// All files with the extension, as paths relative to the root, sorted.
pub(crate) fn files(extension: &str) -> Vec<PathBuf> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("read a folder of the tree") {
            let path = entry.expect("read a folder's entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_symlink() || FOREIGN.contains(&name) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path.strip_prefix(&root).expect("it was found below the root").to_owned());
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no .{extension} files found: the walk is broken");
    found
}

/// The text of a file of the tree.
pub(crate) fn read(file: &Path) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Whether a source file holds only tests.
pub(crate) fn is_test(file: &Path) -> bool {
    file.ends_with("tests.rs") || file.components().any(|part| part.as_os_str() == "tests")
}

/// The production part of a file: inline tests cut off.
pub(crate) fn production(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or_default()
}
