//! How long it takes to tell the state at an event, in a room with 100,000 state events.
//!
//! The room has 10,000 people who come, go and rename themselves; every state event has its own snapshot in the
//! trie. A lookup reads the row of a random event, and then from its snapshot the entry of a random key, from
//! RocksDB with its checksums, as a query does, without the caches of the layer above.
//!
//! `cargo bench` prints a table. How to run it: `docs/benchmarks.md`.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark is a test that prints")]
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it measures, and prints what it measured"
)]

use std::{
    collections::HashMap,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use nexus_event_store::{
    Bytes, EngineRows, EventNo, KeyNo, NodeHash, Position, RoomNo, Rows, StoreError,
    catalogue::{Events, Nodes},
    codec::Value as _,
    kv::{
        Batch, Engine, RowKey,
        rocks::{RocksEngine, RocksTuning},
        sealed::Sealed,
    },
    read::row_key,
    rows::{EventRow, NodeRow},
    trie,
};

const ROOM: RoomNo = RoomNo(1);
const EVENTS: u64 = 100_000;
const KEYS: u64 = 10_000;
/// Events in one batch while the room is built.
const BATCH: u64 = 500;

/// The rows of a batch in the making over what is written.
struct Building {
    written: EngineRows,
    fresh: HashMap<RowKey, Bytes>,
}

impl Rows for Building {
    async fn raw(&self, key: RowKey) -> Result<Option<Bytes>, StoreError> {
        match self.fresh.get(&key) {
            Some(value) => Ok(Some(value.clone())),
            None => self.written.raw(key).await,
        }
    }
}

fn scatter(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^ (z >> 27)
}

/// Writes the room; the bytes of its nodes.
async fn build(engine: &Arc<dyn Engine>) -> usize {
    let mut building = Building { written: EngineRows(Arc::clone(engine)), fresh: HashMap::new() };
    let (mut root, mut bytes) = (NodeHash::EMPTY, 0);
    for number in 1..=EVENTS {
        // Everybody comes once; then it is anybody's turn.
        let key = if number <= KEYS { number } else { scatter(number) % KEYS + 1 };
        let change = vec![(KeyNo(key), Some(EventNo(number)))];
        let (after, nodes) = trie::apply(&building, ROOM, root, change).await.unwrap();
        for (hash, node) in nodes {
            bytes += node.len() + 25;
            let value = NodeRow(node).encode().into();
            building.fresh.insert(row_key::<Nodes>(&(ROOM, hash)), value);
        }
        let row = EventRow {
            event_id: format!("${number:043}"),
            json: format!("{{\"content\":{{\"membership\":\"join\"}},\"padding\":\"{number:0500}\"}}"),
            prev: vec![EventNo(number - 1)],
            auth: vec![EventNo(1), EventNo(2), EventNo(3)],
            state_before: root,
            state_after: Some(after),
            position: Position(number),
            snowflake: None,
            redacted_by: None,
            transaction: None,
        };
        building.fresh.insert(row_key::<Events>(&(ROOM, EventNo(number))), row.encode().into());
        root = after;
        if number % BATCH == 0 {
            let writes = building.fresh.drain().map(|(key, value)| (key, Some(value))).collect();
            engine.commit(Batch { preconditions: Vec::new(), writes }).await.unwrap();
        }
    }
    bytes
}

async fn state_after(rows: &EngineRows, event: EventNo) -> NodeHash {
    let row = rows.existing::<Events>(&(ROOM, event)).await.unwrap();
    row.state_after.unwrap_or(row.state_before)
}

/// The median and the 99th percentile of `count` times.
async fn times(count: u64, mut run: impl AsyncFnMut(u64)) -> (Duration, Duration) {
    let mut times = Vec::new();
    for number in 0..count {
        let start = Instant::now();
        run(number).await;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let rocks = Arc::new(RocksEngine::open(folder.path(), RocksTuning::default()).unwrap());
    let engine: Arc<dyn Engine> = Arc::new(Sealed::new(rocks));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let start = Instant::now();
        let bytes = build(&engine).await;
        let built = start.elapsed();
        let rows = EngineRows(Arc::clone(&engine));
        let event = |number: u64| EventNo(scatter(number) % EVENTS + 1);
        let key = |number: u64| KeyNo(scatter(number + 1_000_000) % KEYS + 1);

        let one = times(20_000, async |number| {
            let root = state_after(&rows, event(number)).await;
            black_box(trie::get(&rows, ROOM, root, key(number)).await.unwrap());
        });
        let one = one.await;
        let whole = times(50, async |number| {
            let root = state_after(&rows, event(number)).await;
            black_box(trie::entries(&rows, ROOM, root).await.unwrap().len());
        });
        let whole = whole.await;
        let apart = times(200, async |number| {
            let late = EventNo(EVENTS - number);
            let (left, right) =
                (state_after(&rows, late).await, state_after(&rows, EventNo(late.0 - 100)).await);
            black_box(trie::diff(&rows, ROOM, left, right).await.unwrap().len());
        });
        let apart = apart.await;
        println!("{EVENTS} state events over {KEYS} keys, built in {:.1} s", built.as_secs_f64());
        println!(
            "trie nodes: {:.0} bytes an event, keys included, before compression\n",
            bytes as f64 / EVENTS as f64
        );
        println!("| state at a random event | median | 99th percentile |\n|---|---|---|");
        for (name, (median, worst)) in
            [("one entry", one), ("all of it", whole), ("how it differs from 100 events before", apart)]
        {
            println!(
                "| {name} | {:.1} µs | {:.1} µs |",
                median.as_secs_f64() * 1e6,
                worst.as_secs_f64() * 1e6
            );
        }
    });
}
