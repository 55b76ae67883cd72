//! Design invariant 1: throwing every view away and deriving it again gives the rows that were there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{sync::Arc, time::Duration};

use nexus_event_store::{
    Bytes, Store,
    kv::{Batch, Family, RowKey, memory::MemoryEngine},
};
use nexus_sim::{
    disk::{SimulatedDisk, SyncTime},
    executor::Simulation,
};
use nexus_views::rebuild::{RebuildProgress, is_unfinished, rebuild};
use proptest::{collection::vec, prelude::*};

use commands::Command;
use world::World;

mod commands;
mod conversation;
mod world;

type Rows = Vec<((Family, Vec<u8>), Bytes)>;

/// Every row of every view table.
fn view_rows(engine: &MemoryEngine) -> Rows {
    let mut rows = engine.dump();
    rows.retain(|((_, key), _)| key.first().is_some_and(|table| (32..64).contains(table)));
    rows
}

/// What is in one but not in the other, readable enough to find the projection at fault.
fn differences(before: &Rows, after: &Rows) -> String {
    let only = |these: &Rows, others: &Rows, mark: &str| -> String {
        let missing = these.iter().filter(|row| !others.contains(row));
        missing
            .map(|((_, key), value)| format!("{mark} table {} key {:?} value {value:?}\n", key[0], &key[1..]))
            .collect()
    };
    only(before, after, "live   ") + &only(after, before, "rebuilt")
}

async fn run(world: &mut World, commands: &[Command]) {
    for command in commands {
        world.give(command).await;
    }
}

async fn check_rebuild(world: &World) -> Result<(), TestCaseError> {
    let live = view_rows(&world.engine);
    let mut last = None;
    rebuild(world.store(), |progress| last = Some(progress)).await.unwrap();
    let rebuilt = view_rows(&world.engine);
    prop_assert!(live == rebuilt, "the rebuilt views differ:\n{}", differences(&live, &rebuilt));
    let RebuildProgress { done, until, events } = last.unwrap();
    prop_assert_eq!((done, events), (until, world.events.len() as u64));
    prop_assert!(!is_unfinished(world.store()).await.unwrap());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_rebuild_gives_what_was_there(
        seed: u64,
        before in vec(commands::any_command(), 20..200),
        after in vec(commands::any_command(), 0..40),
    ) {
        let simulation = Simulation::new(seed);
        simulation.run(async {
            let mut world = World::start(&simulation).await;
            run(&mut world, &before).await;
            check_rebuild(&world).await?;
            // Life goes on from rebuilt rows as from those that were always there.
            run(&mut world, &after).await;
            check_rebuild(&world).await
        })?;
    }
}

/// A fixed sequence that is long enough for several chunks.
async fn lived_in(simulation: &Simulation) -> World {
    let mut world = World::start(simulation).await;
    for round in 0..1500u64 {
        let command =
            Command { kind: simulation.below(200) as u8, who: round as u8, what: simulation.below(1 << 32) };
        world.give(&command).await;
    }
    world
}

#[test]
fn most_commands_of_a_random_life_take_effect() {
    let simulation = Simulation::new(11);
    simulation.run(async {
        let world = lived_in(&simulation).await;
        let (given, refused) = (world.given, world.refused);
        assert!(refused > given / 20 && refused < given / 2, "{refused} of {given} were refused");
        let tables: std::collections::BTreeSet<u8> =
            view_rows(&world.engine).iter().map(|((_, key), _)| key[0]).collect();
        let missing: Vec<u8> =
            (32..=52).chain([53, 56, 59]).filter(|table| !tables.contains(table)).collect();
        assert!(missing.is_empty(), "every view has rows to compare: {missing:?} have none");
        check_rebuild(&world).await.unwrap();
    });
}

#[test]
fn rows_that_no_event_accounts_for_go() {
    let simulation = Simulation::new(12);
    simulation.run(async {
        let world = lived_in(&simulation).await;
        let live = view_rows(&world.engine);
        let junk =
            |table: u8, family| (RowKey { family, bytes: vec![table, 0xff, 7] }, Some(Bytes::from("junk")));
        let writes = (32..64).flat_map(|table| Family::ALL.map(|family| junk(table, family))).collect();
        world.store().engine().commit(Batch { preconditions: Vec::new(), writes }).await.unwrap();
        assert_ne!(view_rows(&world.engine), live);
        rebuild(world.store(), |_| {}).await.unwrap();
        assert_eq!(view_rows(&world.engine), live);
    });
}

#[test]
fn a_rebuild_that_was_killed_is_told_of_and_run_again() {
    let simulation = Simulation::new(13);
    simulation.run(async {
        let world = lived_in(&simulation).await;
        let live = view_rows(&world.engine);
        let sync = Duration::from_millis(1);
        let disk = || SimulatedDisk::new(simulation.clone(), SyncTime { least: sync, most: sync });
        let slow = world.engine.durable(disk());
        let store = open(&simulation, &slow).await;
        let reached = Arc::new(parking_lot::Mutex::new(None));
        let (task_store, seen) = (store.clone(), Arc::clone(&reached));
        simulation.world().spawn("rebuild", async move {
            let done = rebuild(&task_store, |progress| *seen.lock() = Some(progress)).await;
            assert!(done.is_err(), "it was to be killed");
        });
        while reached.lock().is_none() {
            simulation.world().clock.sleep(Duration::from_micros(100)).await;
        }
        simulation.kill_tasks();
        let progress = reached.lock().unwrap();
        assert!(progress.done < progress.until, "killed in the middle: {progress:?}");

        let rest = slow.durable(disk());
        let store = open(&simulation, &rest).await;
        assert!(is_unfinished(&store).await.unwrap());
        assert_ne!(view_rows(&rest), live);
        rebuild(&store, |_| {}).await.unwrap();
        assert!(!is_unfinished(&store).await.unwrap());
        assert_eq!(differences(&live, &view_rows(&rest)), "");
    });
}

async fn open(simulation: &Simulation, engine: &MemoryEngine) -> Store {
    Store::open(Arc::new(engine.clone()), simulation.world(), Arc::new(|_| {})).await.unwrap()
}
