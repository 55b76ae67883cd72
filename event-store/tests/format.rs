//! Stores of an older format become today's, whatever interrupts that; newer ones are refused.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use nexus_event_store::{
    Bytes, Rows as _, Store, StoreError, UserNo,
    catalogue::{Meta, Users},
    codec::{Text, Value},
    format::{self, FORMAT, Found},
    kv::{
        Batch, Engine, Family, KvError, Read, RowKey,
        memory::{Disk, MemoryEngine, PerfectDisk},
        sealed::unseal,
    },
    read::row_key,
    world::BoxFuture,
};
use nexus_sim::executor::Simulation;

type Dump = Vec<((Family, Vec<u8>), Bytes)>;

/// A disk that works so many times.
struct Failing(AtomicU64);

impl Disk for Failing {
    fn sync(&self, _: usize) -> BoxFuture<'static, Result<(), KvError>> {
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        Box::pin(std::future::ready(match left {
            Ok(_) => Ok(()),
            Err(_) => Err(KvError::Engine("switched off".into())),
        }))
    }
}

/// A store with enough rows for several steps, and what it has on disk.
async fn store_with_rows(simulation: &Simulation) -> Dump {
    let engine = MemoryEngine::new(Arc::new(PerfectDisk));
    let store = Store::open(Arc::new(engine.clone()), simulation.world(), Arc::new(|_| {})).await.unwrap();
    for batch in 0..5 {
        let tx = store.begin();
        for user in 0..400 {
            tx.intern_user(&format!("@user{batch}-{user}:x")).await.unwrap();
        }
        tx.put_nodes(
            nexus_event_store::RoomNo(1),
            [([batch; 16], Bytes::from(vec![0, batch, 1]))]
                .map(|(hash, bytes)| (nexus_event_store::NodeHash(hash), bytes))
                .into(),
        );
        tx.stage().unwrap().durable().await.unwrap();
    }
    engine.dump()
}

/// The same rows as format 1 had them: without checksums.
async fn as_format_1(rows: &Dump, disk: Arc<dyn Disk>) -> MemoryEngine {
    let engine = MemoryEngine::new(Arc::new(PerfectDisk));
    let format_key = row_key::<Meta>(&Text::from("format")).bytes;
    let writes = rows.iter().map(|((family, key), value)| {
        let plain =
            if *key == format_key { "1".to_owned().encode().into() } else { unseal(key, value).unwrap() };
        (RowKey { family: *family, bytes: key.clone() }, Some(plain))
    });
    engine.commit(Batch { preconditions: Vec::new(), writes: writes.collect() }).await.unwrap();
    engine.durable(disk)
}

#[test]
fn format_1_becomes_todays_and_is_read() {
    let simulation = Simulation::new(1);
    simulation.run(async {
        let rows = store_with_rows(&simulation).await;
        let old = as_format_1(&rows, Arc::new(PerfectDisk)).await;
        assert_eq!(format::find(&old).await.unwrap(), Found::Older { format: 1, begun: false });
        let refused = Store::open(Arc::new(old.clone()), simulation.world(), Arc::new(|_| {})).await;
        assert!(matches!(refused, Err(StoreError::Format { found, .. }) if found == "1"));
        let mut steps = Vec::new();
        format::upgrade(&old, |done| steps.push(done)).await.unwrap();
        assert!(old.dump() == rows, "every row as today's program writes it");
        assert!(steps.len() > 3 && steps.is_sorted(), "{steps:?}");
        assert_eq!(format::find(&old).await.unwrap(), Found::Current);
        let store = Store::open(Arc::new(old), simulation.world(), Arc::new(|_| {})).await.unwrap();
        assert_eq!(store.existing::<Users>(&UserNo(1)).await.unwrap(), "@user0-0:x");
    });
}

#[test]
fn an_upgrade_that_was_interrupted_anywhere_is_continued() {
    let simulation = Simulation::new(2);
    simulation.run(async {
        let rows = store_with_rows(&simulation).await;
        for syncs in 0..9 {
            let old = as_format_1(&rows, Arc::new(Failing(AtomicU64::new(syncs)))).await;
            let stopped = format::upgrade(&old, |_| {}).await;
            let rest = old.durable(Arc::new(PerfectDisk));
            if stopped.is_err() {
                assert!(
                    matches!(format::find(&rest).await.unwrap(), Found::Older { format: 1, begun } if begun == (syncs > 0)),
                    "after {syncs} syncs"
                );
                let refused = Store::open(Arc::new(rest.clone()), simulation.world(), Arc::new(|_| {})).await;
                assert!(matches!(refused, Err(StoreError::Format { .. })), "half of it is not served");
            }
            format::upgrade(&rest, |_| {}).await.unwrap();
            assert!(rest.dump() == rows, "after {syncs} syncs");
        }
    });
}

#[test]
fn newer_and_unreadable_formats_are_refused() {
    let simulation = Simulation::new(3);
    simulation.run(async {
        for text in [(FORMAT + 1).to_string(), format!("1-{}", FORMAT + 1), "0".to_owned(), "x".to_owned()] {
            let engine = MemoryEngine::new(Arc::new(PerfectDisk));
            let key = row_key::<Meta>(&Text::from("format"));
            let writes = vec![(key.clone(), Some(text.encode().into()))];
            engine.commit(Batch { preconditions: Vec::new(), writes }).await.unwrap();
            let refused = Store::open(Arc::new(engine.clone()), simulation.world(), Arc::new(|_| {})).await;
            assert!(matches!(refused, Err(StoreError::Format { found, .. }) if found == text));
            assert!(format::upgrade(&engine, |_| {}).await.is_err());
            let row = engine.get(key.family, &key.bytes).await.unwrap().unwrap();
            assert_eq!(String::decode(&row), Some(text), "nothing was changed");
        }
    });
}
