//! What every engine must do, checked on each of them.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::sync::Arc;

use nexus_event_store::{
    Bytes,
    kv::{
        Batch, Engine, Family, KvError, Precondition, Read, RowKey, Span,
        memory::{MemoryEngine, PerfectDisk},
        rocks::{RocksEngine, RocksTuning},
    },
};
use nexus_sim::executor::Simulation;

/// Runs `check` against every engine; futures are driven by a simulation, which needs no runtime, except
/// where an engine answers from a thread of its own.
fn on_every_engine(check: impl AsyncFn(&dyn Engine)) {
    let folder = tempfile::tempdir().unwrap();
    let engines: [Arc<dyn Engine>; 2] = [
        Arc::new(MemoryEngine::new(Arc::new(PerfectDisk))),
        Arc::new(RocksEngine::open(folder.path(), RocksTuning::default()).unwrap()),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for engine in engines {
        runtime.block_on(check(&*engine));
    }
}

fn key(family: Family, text: &str) -> RowKey {
    RowKey { family, bytes: text.as_bytes().to_vec() }
}

fn put(text: &str, value: &'static str) -> (RowKey, Option<Bytes>) {
    (key(Family::Rows, text), Some(Bytes::from_static(value.as_bytes())))
}

fn writes(writes: Vec<(RowKey, Option<Bytes>)>) -> Batch {
    Batch { preconditions: Vec::new(), writes }
}

async fn value(read: &(impl Read + ?Sized), text: &str) -> Option<String> {
    let found = read.get(Family::Rows, text.as_bytes()).await.unwrap();
    found.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

async fn keys(
    read: &(impl Read + ?Sized),
    from: &str,
    until: Option<&str>,
    reverse: bool,
    limit: usize,
) -> String {
    let until = until.map(|until| until.as_bytes().to_vec());
    let span = Span { family: Family::Rows, from: from.as_bytes().to_vec(), until, reverse, limit };
    let rows = read.range(span).await.unwrap();
    let keys: Vec<String> =
        rows.into_iter().map(|(key, _)| String::from_utf8(key.to_vec()).unwrap()).collect();
    keys.join(" ")
}

#[test]
fn what_is_committed_is_read() {
    on_every_engine(async |engine| {
        assert_eq!(value(engine, "a").await, None);
        engine.commit(writes(vec![put("a", "1"), put("b", "2")])).await.unwrap();
        assert_eq!(value(engine, "a").await.as_deref(), Some("1"));
        engine.commit(writes(vec![put("a", "3"), (key(Family::Rows, "b"), None)])).await.unwrap();
        assert_eq!(value(engine, "a").await.as_deref(), Some("3"));
        assert_eq!(value(engine, "b").await, None);
        let wanted = ["b", "a", "c"].map(|text| text.as_bytes().to_vec());
        let found = engine.multi_get(Family::Rows, &wanted).await.unwrap();
        assert_eq!(found, [None, Some(Bytes::from_static(b"3")), None]);
    });
}

#[test]
fn the_last_write_of_a_batch_wins() {
    on_every_engine(async |engine| {
        let batch = writes(vec![put("a", "1"), (key(Family::Rows, "a"), None), put("a", "2")]);
        engine.commit(batch).await.unwrap();
        assert_eq!(value(engine, "a").await.as_deref(), Some("2"));
    });
}

#[test]
fn families_are_apart() {
    on_every_engine(async |engine| {
        let rows = Family::ALL.map(|family| (key(family, "a"), Some(Bytes::from(family.name()))));
        engine.commit(writes(rows.to_vec())).await.unwrap();
        for family in Family::ALL {
            let found = engine.get(family, b"a").await.unwrap();
            assert_eq!(found.as_deref(), Some(family.name().as_bytes()));
            let all = Span { family, from: Vec::new(), until: None, reverse: false, limit: 9 };
            assert_eq!(engine.range(all).await.unwrap().len(), 1);
        }
    });
}

#[test]
fn ranges_are_ordered_and_bounded() {
    on_every_engine(async |engine| {
        let rows = ["b", "d", "a", "c", "ca"].map(|text| put(text, "x"));
        engine.commit(writes(rows.to_vec())).await.unwrap();
        assert_eq!(keys(engine, "", None, false, 9).await, "a b c ca d");
        assert_eq!(keys(engine, "b", Some("d"), false, 9).await, "b c ca");
        assert_eq!(keys(engine, "b", Some("d"), true, 2).await, "ca c");
        assert_eq!(keys(engine, "bb", None, true, 9).await, "d ca c");
        assert_eq!(keys(engine, "d", Some("b"), false, 9).await, "");
        assert_eq!(keys(engine, "", None, false, 0).await, "");
    });
}

#[test]
fn a_snapshot_stays() {
    on_every_engine(async |engine| {
        engine.commit(writes(vec![put("a", "1")])).await.unwrap();
        let snapshot = engine.snapshot();
        engine.commit(writes(vec![put("a", "2"), put("b", "2")])).await.unwrap();
        assert_eq!(value(&*snapshot, "a").await.as_deref(), Some("1"));
        assert_eq!(keys(&*snapshot, "", None, false, 9).await, "a");
        assert_eq!(value(engine, "a").await.as_deref(), Some("2"));
    });
}

#[test]
fn a_broken_precondition_changes_nothing() {
    on_every_engine(async |engine| {
        engine.commit(writes(vec![put("a", "1")])).await.unwrap();
        let expect = |text: &str, value: Option<&'static str>| Precondition {
            key: key(Family::Rows, text),
            expect: value.map(|value| Bytes::from_static(value.as_bytes())),
        };
        for broken in [expect("a", Some("2")), expect("a", None), expect("b", Some("1"))] {
            let batch =
                Batch { preconditions: vec![expect("a", Some("1")), broken], writes: vec![put("c", "1")] };
            assert!(matches!(engine.commit(batch).await, Err(KvError::Conflict)));
            assert_eq!(value(engine, "c").await, None);
        }
        let fine = vec![expect("a", Some("1")), expect("b", None)];
        engine.commit(Batch { preconditions: fine, writes: vec![put("c", "1")] }).await.unwrap();
        assert_eq!(value(engine, "c").await.as_deref(), Some("1"));
    });
}

#[test]
fn a_folder_is_opened_once_and_keeps_what_it_had() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let engine = RocksEngine::open(folder.path(), RocksTuning::default()).unwrap();
    runtime.block_on(engine.commit(writes(vec![put("a", "1")]))).unwrap();
    assert!(matches!(RocksEngine::open(folder.path(), RocksTuning::default()), Err(KvError::Engine(_))));
    drop(engine);
    let again = RocksEngine::open(folder.path(), RocksTuning::default()).unwrap();
    assert_eq!(runtime.block_on(value(&again, "a")).as_deref(), Some("1"));
}

#[test]
fn a_commit_is_invisible_until_its_sync_is_over() {
    let simulation = Simulation::new(5);
    let sync = std::time::Duration::from_millis(10);
    let time = nexus_sim::disk::SyncTime { least: sync, most: sync };
    let disk = nexus_sim::disk::SimulatedDisk::new(simulation.clone(), time);
    let engine = MemoryEngine::new(disk);
    let world = simulation.world();
    simulation.run(async {
        world.spawn("commit", {
            let commit = engine.commit(writes(vec![put("a", "1")]));
            async move { commit.await.unwrap() }
        });
        world.clock.sleep(sync / 2).await;
        assert_eq!(value(&engine, "a").await, None);
        world.clock.sleep(sync).await;
        assert_eq!(value(&engine, "a").await.as_deref(), Some("1"));
    });
}
