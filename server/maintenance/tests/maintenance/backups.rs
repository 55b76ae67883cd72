//! Backups are whole or not there; a restore happens once and never over newer data.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use nexus_event_store::{
    Position, Store,
    kv::rocks::{RocksEngine, RocksTuning},
};
use nexus_maintenance::backup::{
    BackupError, MANIFEST_FILE, Manifest, Outcome, Source, Target, create, restore, unfinished_restore,
    verify,
};

use crate::world::system;

/// Each on a runtime of its own: a store is closed when its tasks are gone.
fn run<T>(work: impl AsyncFnOnce() -> T) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work())
}

async fn open(data_dir: &Path) -> Store {
    let engine = RocksEngine::open(&data_dir.join("store"), RocksTuning::default()).unwrap();
    Store::open(Arc::new(engine), system(), Arc::new(|_| {})).await.unwrap()
}

/// So many more commits; the newest position.
async fn grow(store: &Store, commits: usize) -> Position {
    let mut last = store.visible();
    for _ in 0..commits {
        let tx = store.begin();
        tx.intern_user(&format!("@user{}:x", last.0)).await.unwrap();
        last = tx.stage().unwrap().durable().await.unwrap();
    }
    last
}

struct Server {
    folder: tempfile::TempDir,
}

impl Server {
    /// A server with a key, a configuration, media and a few commits.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir_all(data.join("media/ab")).unwrap();
        fs::write(data.join("media/ab/picture"), [7; 5000]).unwrap();
        fs::write(data.join("signing.key"), "ed25519 a_key seed\n").unwrap();
        fs::write(folder.path().join("nexus.toml"), "server_name = \"x\"\n").unwrap();
        run(async || grow(&open(&data).await, 10).await);
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn source(&self) -> Source {
        Source {
            data_dir: self.path("data"),
            config_file: Some(self.path("nexus.toml")),
            server_name: "x".to_owned(),
            program: "test".to_owned(),
        }
    }

    /// A backup after `commits` more of them.
    fn back_up(&self, name: &str, commits: usize) -> Manifest {
        let target = self.path(name);
        run(async || {
            let store = open(&self.path("data")).await;
            grow(&store, commits).await;
            create(&store, &self.source(), &target, &mut |_, _| true).await.unwrap()
        })
    }

    fn target(&self, name: &str) -> Target {
        Target {
            data_dir: self.path(name),
            config_file: self.path(&format!("{name}.toml")),
            server_name: None,
        }
    }

    fn restore(&self, backup: &str, name: &str) -> Result<Outcome, BackupError> {
        restore(&self.path(backup), &self.target(name), &mut |_, _| true)
    }
}

fn position(data_dir: &Path) -> Position {
    run(async || open(data_dir).await.visible())
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_backup_of_a_running_server_is_whole_and_comes_back() {
    let server = Server::new();
    let target = server.path("backup");
    let (manifest, last) = run(async || {
        let store = open(&server.path("data")).await;
        let mut busy = 0;
        // Commits go on between the copied files.
        let manifest = create(&store, &server.source(), &target, &mut |_, _| {
            busy += 1;
            true
        })
        .await
        .unwrap();
        assert!(busy >= 4);
        (manifest, grow(&store, 5).await)
    });
    assert_eq!((manifest.position, manifest.server_name.as_str()), (10, "x"));
    assert_eq!(last, Position(15));
    assert_eq!(names(&target), [MANIFEST_FILE, "media", "nexus.toml", "signing.key", "store"]);
    assert!(
        !server.path("data").join("backup-checkpoint").exists() && !server.path("backup.partial").exists()
    );
    let (read, problems) = verify(&target, &mut |_, _| true).unwrap();
    assert_eq!((read, problems), (manifest, vec![]));

    assert!(
        matches!(server.restore("backup", "new").unwrap(), Outcome::Restored(record) if record.position == 10)
    );
    assert_eq!(position(&server.path("new")), Position(10));
    for file in ["signing.key", "media/ab/picture"] {
        assert_eq!(
            fs::read(server.path("new").join(file)).unwrap(),
            fs::read(server.path("data").join(file)).unwrap()
        );
    }
    assert_eq!(fs::read_to_string(server.path("new.toml")).unwrap(), "server_name = \"x\"\n");
}

#[test]
fn a_backup_is_made_in_an_empty_folder_or_not_at_all() {
    let server = Server::new();
    let target = server.path("backup");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("mine"), "").unwrap();
    run(async || {
        let store = open(&server.path("data")).await;
        let source = server.source();
        let refused = create(&store, &source, &target, &mut |_, _| true).await;
        assert!(matches!(refused, Err(BackupError::NotEmpty(_))));
        assert_eq!(names(&target), ["mine"]);
        fs::remove_file(target.join("mine")).unwrap();
        for stop_at in 0..4 {
            let mut steps = 0;
            let mut progress = |_, _| {
                steps += 1;
                steps <= stop_at
            };
            let stopped = create(&store, &source, &target, &mut progress).await;
            assert!(matches!(stopped, Err(BackupError::Interrupted)));
            assert_eq!(names(&target), Vec::<String>::new());
            assert_eq!(names(server.folder.path()), ["backup", "data", "nexus.toml"]);
        }
        create(&store, &source, &target, &mut |_, _| true).await.unwrap();
        let again = create(&store, &source, &target, &mut |_, _| true).await;
        assert!(matches!(again, Err(BackupError::NotEmpty(_))));
    });
}

#[test]
fn every_damaged_missing_or_added_file_of_a_backup_is_named() {
    let server = Server::new();
    let manifest = server.back_up("backup", 1);
    let target = server.path("backup");
    for entry in &manifest.files {
        let file = target.join(&entry.path);
        let sound = fs::read(&file).unwrap();
        let mut damaged = sound.clone();
        match damaged.last_mut() {
            Some(byte) => *byte ^= 1,
            None => damaged.push(0),
        }
        for change in [Some(damaged), None] {
            match &change {
                Some(bytes) => fs::write(&file, bytes).unwrap(),
                None => fs::remove_file(&file).unwrap(),
            }
            let (_, problems) = verify(&target, &mut |_, _| true).unwrap();
            assert!(problems.len() == 1 && problems[0].starts_with(&entry.path), "{problems:?}");
            assert!(matches!(server.restore("backup", "new"), Err(BackupError::Damaged(_))));
            assert!(!server.path("new").join("store").exists(), "nothing is restored from it");
            fs::write(&file, &sound).unwrap();
        }
    }
    fs::write(target.join("store/extra.sst"), "").unwrap();
    let (_, problems) = verify(&target, &mut |_, _| true).unwrap();
    assert_eq!(problems, ["store/extra.sst: does not belong to the backup"]);
    fs::remove_file(target.join("store/extra.sst")).unwrap();

    let text = fs::read_to_string(target.join(MANIFEST_FILE)).unwrap();
    for (from, to) in
        [("\"position\":11", "\"position\":12"), ("store/", "../s/"), ("\"version\":1", "\"version\":2")]
    {
        assert!(text.contains(from), "{text}");
        fs::write(target.join(MANIFEST_FILE), text.replace(from, to)).unwrap();
        assert!(matches!(verify(&target, &mut |_, _| true), Err(BackupError::NotABackup { .. })), "{to}");
        assert!(server.restore("backup", "new").is_err());
    }
}

/// Attack 54: a restore that runs twice or rolls back.
#[test]
fn attack_54_a_restore_runs_once_and_never_rolls_back() {
    let server = Server::new();
    let old = server.back_up("old", 0);
    let new = server.back_up("new", 5);
    assert!(old.position < new.position);

    assert!(matches!(server.restore("new", "live").unwrap(), Outcome::Restored(_)));
    let live = server.path("live");
    let further = run(async || grow(&open(&live).await, 7).await);
    // Again, as a unit file or an impatient operator does: what came since stays.
    for _ in 0..2 {
        assert!(
            matches!(server.restore("new", "live").unwrap(), Outcome::Already(record) if record.backup == new.id)
        );
        assert_eq!(position(&live), further);
    }
    // Another backup, older or newer, is refused while there is a store.
    let refused = server.restore("old", "live").unwrap_err();
    assert!(matches!(&refused, BackupError::StoreExists(_)), "{refused}");
    assert_eq!(position(&live), further);
    // So is any over a store that was never restored.
    assert!(matches!(server.restore("new", "data"), Err(BackupError::StoreExists(_))));
    assert_eq!(position(&server.path("data")), Position(15));
    // A backup of the restored server is another backup.
    let source = Source { data_dir: live.clone(), ..server.source() };
    let later = run(async || {
        create(&open(&live).await, &source, &server.path("later"), &mut |_, _| true).await.unwrap()
    });
    assert_eq!(later.position, further.0);
    assert!(later.files.iter().all(|file| !file.path.contains("RESTORED")));
}

/// The other half of attack 54: a restore that was killed is finished by itself and by nothing else.
#[test]
fn attack_54_a_restore_that_was_killed_anywhere_completes_once() {
    let server = Server::new();
    let manifest = server.back_up("backup", 0);
    let other = server.back_up("other", 1);
    for stop_at in 0.. {
        let name = format!("live{stop_at}");
        let target = server.target(&name);
        let mut steps = 0;
        let stopped = restore(&server.path("backup"), &target, &mut |_, _| {
            steps += 1;
            steps <= stop_at
        });
        let restored = target.data_dir.join("store").exists();
        match stopped {
            Ok(outcome) => {
                assert!(matches!(outcome, Outcome::Restored(_)));
                assert!(stop_at > manifest.files.len() as u64, "after {stop_at} steps");
                break;
            }
            Err(error) => assert!(matches!(error, BackupError::Interrupted), "{error}"),
        }
        if !restored {
            assert!(unfinished_restore(&target.data_dir), "a server must not start after {stop_at} steps");
            if stop_at > 0 {
                let refused = server.restore("other", &name).unwrap_err();
                assert!(
                    matches!(&refused, BackupError::OtherRestore { id, .. } if *id == manifest.id),
                    "{refused} after {stop_at} steps; {}",
                    other.id
                );
            }
        }
        let outcome = server.restore("backup", &name).unwrap();
        assert_eq!(matches!(outcome, Outcome::Already(_)), restored);
        assert!(!unfinished_restore(&target.data_dir) && !target.data_dir.join("restoring").exists());
        assert_eq!(position(&target.data_dir), Position(manifest.position));
        assert_eq!(names(&target.data_dir), ["backup.lock", "media", "signing.key", "store"]);
    }
}

#[test]
fn a_restore_replaces_nothing() {
    let server = Server::new();
    server.back_up("backup", 0);
    let other = Target { server_name: Some("y".to_owned()), ..server.target("new") };
    let refused = restore(&server.path("backup"), &other, &mut |_, _| true);
    assert!(matches!(refused, Err(BackupError::OtherServer { .. })));
    for file in ["signing.key", "media/ab/other"] {
        let data = server.path("new");
        fs::create_dir_all(data.join("media/ab")).unwrap();
        fs::write(data.join(file), "mine").unwrap();
        assert!(matches!(server.restore("backup", "new"), Err(BackupError::InTheWay(_))), "{file}");
        assert_eq!(fs::read_to_string(data.join(file)).unwrap(), "mine");
        fs::remove_dir_all(&data).unwrap();
    }
    // A configuration that is there is the operator's.
    fs::write(server.path("new.toml"), "mine").unwrap();
    server.restore("backup", "new").unwrap();
    assert_eq!(fs::read_to_string(server.path("new.toml")).unwrap(), "mine");
}
