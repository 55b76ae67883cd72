//! A purged room is gone and nothing else is.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use nexus_event_store::{
    Store,
    kv::{KvError, memory::Disk},
    world::BoxFuture,
};
use nexus_maintenance::purge::{PurgeError, purge, resume, unfinished};
use nexus_sim::executor::Simulation;
use nexus_views::{Views, rebuild::rebuild};

use crate::world::{Dump, Lived, actor, check, lines, live, message, server_name};

/// Rows of each table, but for the stream and `meta`, which a purge adds to.
fn sizes(rows: &Dump) -> BTreeMap<u8, usize> {
    let mut sizes = BTreeMap::new();
    for ((_, key), _) in rows.iter().filter(|((_, key), _)| key[0] > 2) {
        *sizes.entry(key[0]).or_default() += 1;
    }
    sizes
}

fn mentions(rows: &Dump, text: &str) -> usize {
    let holds = |bytes: &[u8]| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    rows.iter().filter(|((_, key), value)| holds(key) || holds(value)).count()
}

async fn purge_plain(lived: &Lived) -> nexus_maintenance::purge::Purged {
    let caches = lived.rooms.views().caches();
    purge(lived.store(), caches, lived.plain.as_str(), &mut |_| {}).await.unwrap()
}

#[test]
fn a_purged_room_is_gone_and_the_store_is_sound() {
    let simulation = Simulation::new(31);
    simulation.run(async {
        let lived = live(&simulation).await;
        let room = lived.rooms.views().room_no(&lived.plain).await.unwrap().unwrap();
        let before = lived.engine.dump();
        let purged = purge_plain(&lived).await;
        assert!(purged.events > 60 && purged.rows > 300, "{purged:?}");
        let after = lived.engine.dump();
        assert!(mentions(&before, lived.plain.as_str()) > 50);
        assert_eq!(mentions(&after, lived.plain.as_str()), 0, "no row names it");
        let starts = |key: &[u8]| key[0] != 1 && key.get(1..9) == Some(&room.0.to_be_bytes());
        let first = nexus_maintenance::tables::tables();
        let left = after.iter().filter(|((_, key), _)| {
            starts(key) && first.iter().any(|table| table.number == key[0] && table.room_first)
        });
        assert_eq!(left.count(), 0, "no row belongs to it");
        for (table, size) in sizes(&after) {
            assert!(size <= sizes(&before)[&table], "table {table} grew");
        }
        let (_, problems) = check(Arc::new(lived.engine.clone()), &simulation.world()).await;
        assert!(problems.is_empty(), "{}", lines(&problems));

        let refused = lived.rooms.join(&actor("ben"), &lived.plain, None).await;
        assert!(refused.is_err(), "it cannot be joined");
        assert!(lived.rooms.views().room_no(&lived.plain).await.unwrap().is_none());
        lived
            .send("ana", message(&lived.channel, "after", serde_json::json!({ "body": "life goes on" })))
            .await;
        let again =
            purge(lived.store(), lived.rooms.views().caches(), lived.plain.as_str(), &mut |_| {}).await;
        assert!(matches!(again, Err(PurgeError::UnknownRoom(_))));
    });
}

#[test]
fn a_rebuild_finds_what_a_purge_has_left() {
    let simulation = Simulation::new(35);
    simulation.run(async {
        let lived = live(&simulation).await;
        let views = |rows: Dump| -> Dump {
            rows.into_iter().filter(|((_, key), _)| (32..64).contains(&key[0])).collect()
        };
        purge_plain(&lived).await;
        let left = views(lived.engine.dump());
        rebuild(lived.store(), |_| {}).await.unwrap();
        let rebuilt = views(lived.engine.dump());
        let only = |these: &Dump, others: &Dump| -> Vec<u8> {
            these.iter().filter(|row| !others.contains(row)).map(|((_, key), _)| key[0]).collect()
        };
        assert_eq!((only(&left, &rebuilt), only(&rebuilt, &left)), (vec![], vec![]), "tables that differ");
    });
}

#[test]
fn other_rooms_are_untouched() {
    let simulation = Simulation::new(32);
    simulation.run(async {
        let lived = live(&simulation).await;
        let channel = lived.rooms.views().room_no(&lived.channel).await.unwrap().unwrap();
        let rows = |lived: &Lived| -> Dump {
            let of_room = |key: &[u8]| key[0] > 2 && key.get(1..9) == Some(&channel.0.to_be_bytes());
            lived.engine.dump().into_iter().filter(|((_, key), _)| of_room(key)).collect()
        };
        let before = rows(&lived);
        assert!(before.len() > 100);
        purge_plain(&lived).await;
        assert!(rows(&lived) == before);
    });
}

#[test]
fn what_a_guild_needs_is_not_purged() {
    let simulation = Simulation::new(33);
    simulation.run(async {
        let lived = live(&simulation).await;
        let caches = lived.rooms.views().caches();
        let guild = lived.rooms.views().room_id(lived.guild).await.unwrap();
        for (room, says) in [(&lived.channel, "delete it from its guild"), (&guild, "delete the guild first")]
        {
            let refused = purge(lived.store(), caches, room.as_str(), &mut |_| {}).await.unwrap_err();
            assert!(refused.to_string().contains(says), "{refused}");
        }
        let channel = lived.rooms.views().room_no(&lived.channel).await.unwrap().unwrap();
        lived.rooms.delete_channel(&actor("ana"), channel).await.unwrap();
        purge(lived.store(), caches, lived.channel.as_str(), &mut |_| {}).await.unwrap();
        let (_, problems) = check(Arc::new(lived.engine.clone()), &simulation.world()).await;
        assert!(problems.is_empty(), "{}", lines(&problems));
    });
}

/// A disk that works so many times.
struct Failing(AtomicU64);

impl Disk for Failing {
    fn sync(&self, _: usize) -> BoxFuture<'static, Result<(), KvError>> {
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        let result = left.map(drop).map_err(|_| KvError::Engine("switched off".into()));
        Box::pin(std::future::ready(result))
    }
}

#[test]
fn a_purge_that_was_killed_anywhere_is_resumed() {
    let simulation = Simulation::new(34);
    simulation.run(async {
        let lived = live(&simulation).await;
        let mut steps = 0;
        loop {
            let engine = lived.engine.durable(Arc::new(Failing(AtomicU64::new(steps))));
            let open = async |engine: &nexus_event_store::kv::memory::MemoryEngine| {
                Store::open(Arc::new(engine.clone()), simulation.world(), Arc::new(|_| {})).await.unwrap()
            };
            let store = open(&engine).await;
            let caches = nexus_views::Caches::default();
            let stopped = purge(&store, &caches, lived.plain.as_str(), &mut |_| {}).await;
            let rest = engine.durable(Arc::new(nexus_event_store::kv::memory::PerfectDisk));
            let store = open(&rest).await;
            assert_eq!(unfinished(&store).await.unwrap().len(), usize::from(stopped.is_err() && steps > 0));
            let views = Views::new(store, server_name());
            resume(views.store(), views.caches(), &mut |_| {}).await.unwrap();
            if steps > 0 {
                assert!(unfinished(views.store()).await.unwrap().is_empty());
                assert_eq!(mentions(&rest.dump(), lived.plain.as_str()), 0, "after {steps} writes");
                let (_, problems) = check(Arc::new(rest), &simulation.world()).await;
                assert!(problems.is_empty(), "after {steps} writes:\n{}", lines(&problems));
            }
            if stopped.is_ok() {
                break;
            }
            steps += 1;
        }
        assert!(steps > 5, "it took {steps} writes");
    });
}
