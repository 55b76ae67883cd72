//! Decisions, conflicts, positions and what survives a restart.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::sync::Arc;

use nexus_event_store::{
    Position, Rows as _, Scan, Snowflake, Store, StoreError,
    catalogue::{Meta, Stream, UserNumbers, Users},
    codec::Text,
    feed::Topic,
    kv::memory::{MemoryEngine, PerfectDisk},
};
use nexus_sim::executor::Simulation;

async fn open(simulation: &Simulation, engine: &MemoryEngine) -> Store {
    Store::open(Arc::new(engine.clone()), simulation.world(), Arc::new(|_| {})).await.unwrap()
}

fn in_store(test: impl AsyncFnOnce(&Simulation, &MemoryEngine, Store)) {
    let simulation = Simulation::new(9);
    simulation.run(async {
        let engine = MemoryEngine::new(Arc::new(PerfectDisk));
        let store = open(&simulation, &engine).await;
        test(&simulation, &engine, store).await;
    });
}

#[test]
fn a_decision_on_old_reads_is_refused() {
    in_store(async |_, _, store| {
        let (first, second) = (store.begin(), store.begin());
        for tx in [&first, &second] {
            assert_eq!(tx.row::<Meta>(&Text::from("k")).await.unwrap(), None);
            tx.put::<Meta>(&Text::from("k"), &"mine".to_owned());
        }
        let staged = first.stage().unwrap();
        assert!(matches!(second.stage(), Err(StoreError::Conflict)));
        staged.durable().await.unwrap();
    });
}

#[test]
fn a_staged_decision_is_seen_by_the_next_but_not_by_readers() {
    in_store(async |_, _, store| {
        let tx = store.begin();
        tx.put::<Meta>(&Text::from("k"), &"v".to_owned());
        let staged = tx.stage().unwrap();
        assert_eq!(store.begin().row::<Meta>(&Text::from("k")).await.unwrap().as_deref(), Some("v"));
        assert_eq!(store.row::<Meta>(&Text::from("k")).await.unwrap(), None);
        assert!(store.visible() < staged.position);
        let position = staged.durable().await.unwrap();
        assert_eq!(store.visible(), position);
        assert_eq!(store.row::<Meta>(&Text::from("k")).await.unwrap().as_deref(), Some("v"));
    });
}

#[test]
fn one_of_two_gets_a_new_user_number() {
    in_store(async |_, _, store| {
        let (first, second) = (store.begin(), store.begin());
        first.intern_user("@a:x").await.unwrap();
        second.intern_user("@a:x").await.unwrap();
        let staged = first.stage().unwrap();
        assert!(matches!(second.stage(), Err(StoreError::Conflict)));
        staged.durable().await.unwrap();
        let number = store.row::<UserNumbers>(&Text::from("@a:x")).await.unwrap().unwrap();
        assert_eq!(store.existing::<Users>(&number).await.unwrap(), "@a:x");
    });
}

#[test]
fn positions_and_numbers_go_on_after_a_restart() {
    in_store(async |simulation, engine, store| {
        let tx = store.begin();
        let user = tx.intern_user("@a:x").await.unwrap();
        let last = tx.stage().unwrap().durable().await.unwrap();
        let snowflake = store.next_snowflake(Snowflake::default());
        store.begin().stage().unwrap().durable().await.unwrap();
        drop(store);
        let store = open(simulation, engine).await;
        assert_eq!(store.visible(), last.next());
        let tx = store.begin();
        let other = tx.intern_user("@b:x").await.unwrap();
        assert!(other > user);
        assert_eq!(tx.stage().unwrap().durable().await.unwrap(), last.next().next());
        assert!(store.next_snowflake(Snowflake::default()) > snowflake);
        let stream = store.scan::<Stream>(Scan::prefix::<Stream>(&())).await.unwrap();
        let positions: Vec<Position> = stream.into_iter().map(|(position, _)| position).collect();
        assert_eq!(positions, (1..=last.0 + 2).map(Position).collect::<Vec<_>>());
        let late = store.commits_after(last, 10).await.unwrap();
        assert_eq!(late.len(), 2, "commits from before the restart come from the stream");
    });
}

#[test]
fn snowflakes_grow_when_the_clock_does_not() {
    in_store(async |_, _, store| {
        let first = store.next_snowflake(Snowflake::default());
        assert!(store.next_snowflake(Snowflake::default()) > first);
        let future = Snowflake(first.0 + (1 << 40));
        assert!(store.next_snowflake(future) > future);
        assert!((17..=19).contains(&first.to_string().len()));
    });
}

#[test]
fn only_followers_of_a_topic_are_woken() {
    in_store(async |simulation, _, store| {
        let (mut follower, mut other) = (store.feed().subscribe(), store.feed().subscribe());
        follower.follow(Topic::User(nexus_event_store::UserNo(1)));
        other.follow(Topic::User(nexus_event_store::UserNo(2)));
        let tx = store.begin();
        tx.announce(Topic::User(nexus_event_store::UserNo(1)));
        tx.stage().unwrap().durable().await.unwrap();
        follower.changed().await;
        let world = simulation.world();
        let waited = Arc::new(parking_lot::Mutex::new(false));
        let flag = Arc::clone(&waited);
        world.spawn("other", async move {
            other.changed().await;
            *flag.lock() = true;
        });
        world.clock.sleep(std::time::Duration::from_secs(1)).await;
        assert!(!*waited.lock());
    });
}

#[test]
fn another_format_is_refused() {
    let simulation = Simulation::new(1);
    simulation.run(async {
        let engine = MemoryEngine::new(Arc::new(PerfectDisk));
        let store = open(&simulation, &engine).await;
        let tx = store.begin();
        tx.put::<Meta>(&Text::from("format"), &"99".to_owned());
        tx.stage().unwrap().durable().await.unwrap();
        let again = Store::open(Arc::new(engine), simulation.world(), Arc::new(|_| {})).await;
        assert!(matches!(again, Err(StoreError::Format { found, .. }) if found == "99"));
    });
}

#[test]
fn a_store_belongs_to_one_server_name() {
    in_store(async |simulation, engine, store| {
        store.belongs_to("a.example").await.unwrap();
        store.belongs_to("a.example").await.unwrap();
        let again = open(simulation, engine).await;
        let refused = again.belongs_to("b.example").await;
        assert!(matches!(refused, Err(StoreError::OtherServer { found }) if found == "a.example"));
    });
}
