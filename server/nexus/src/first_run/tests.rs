//! What a first run leaves behind, and what a failed one does not.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::config::load;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn first_run(folder: &Path, environment: &[(&str, &str)]) -> (Loaded, FirstRun) {
    let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    let loaded = load(&folder.join("nexus.toml"), environment).unwrap();
    let mut made = FirstRun::default();
    made.data_folder(&loaded.config.data_dir).unwrap();
    made.config_file(&loaded).unwrap();
    (loaded, made)
}

#[test]
fn files_are_private_and_stay() {
    let folder = tempfile::tempdir().unwrap();
    let (loaded, made) = first_run(folder.path(), &[]);
    made.keep();
    assert_eq!(mode(&loaded.file), 0o600);
    assert_eq!(mode(&loaded.config.data_dir), 0o700);
    assert_eq!(
        fs::read_to_string(&loaded.file).unwrap(),
        TEMPLATE,
        "the defaults are the contract's listing"
    );
    let again = load(&loaded.file, []).unwrap();
    assert!(again.file_exists);
    assert_eq!(again.config.public_url(again.config.http.listen).as_str(), "http://localhost:8080");
    let unfinished = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(unfinished, 2);
}

#[test]
fn the_listing_has_every_key() {
    let folder = tempfile::tempdir().unwrap();
    let (_, made) = first_run(folder.path(), &[]);
    made.keep();
    let written: toml::Table = TEMPLATE.parse().unwrap();
    let mut defaults = toml::Table::try_from(Config::default()).unwrap();
    // The default is to follow `listen`; the file states what that gives.
    defaults["http"]["public_url"] = "http://localhost:8080".into();
    assert_eq!(written, defaults);
}

#[test]
fn the_environment_of_the_first_run_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [
        ("NEXUS_SERVER_NAME", "chat.example.org"),
        ("NEXUS_DATA_DIR", "da\"ta"),
        ("NEXUS_HTTP__LISTEN", "127.0.0.1:9000"),
        ("NEXUS_REGISTRATION__SHARED_SECRET", "hunter2"),
    ];
    let (loaded, made) = first_run(folder.path(), &environment);
    made.keep();
    let again = load(&loaded.file, []).unwrap().config;
    assert_eq!(again.server_name, "chat.example.org");
    assert_eq!(again.data_dir, folder.path().join("da\"ta"));
    assert_eq!(again.public_url(again.http.listen).as_str(), "http://localhost:9000");
    assert!(!fs::read_to_string(&loaded.file).unwrap().contains("hunter2"), "secrets stay where they were");
}

#[test]
fn a_failed_start_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (loaded, made) = first_run(folder.path(), &[]);
    fs::write(loaded.config.data_dir.join("signing.key"), "x").unwrap();
    drop(made);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_was_there_before_survives_a_failed_start() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("nexus.toml"), "").unwrap();
    fs::create_dir(folder.path().join("nexus-data")).unwrap();
    let (_, made) = first_run(folder.path(), &[]);
    drop(made);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/data");
    let error = FirstRun::default().data_folder(&path).unwrap_err().to_string();
    assert_eq!(error, format!("{}: create the data folder", path.display()));
}
