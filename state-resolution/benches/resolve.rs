//! How long it takes to resolve a fork of 100, 1,000 and 10,000 conflicted events: ours beside `ruma`'s.
//!
//! The fork is a join storm under moderation: both sides let people in, kick and ban, flip the join rules and
//! change power levels. Both resolvers start from two state maps and do everything that follows: split the
//! states, find the auth difference (for `ruma` that means whole auth chains, as its interface demands), the
//! conflicted subgraph in version 12, and the resolution itself. Events are in memory, parsed as `Pdu`s.
//!
//! `cargo bench` prints criterion's lines, then one table. How to run it: `docs/benchmarks.md`.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark is a test that prints")]
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it measures, and prints what it measured"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion};
use nexus_state_resolution::{Conflict, RoomVersion, StateSnapshot, resolve};
use ruma::{OwnedEventId, state_res::StateMap};
use serde_json::json;
use support::graph::{Deed, Graph, Numbered, State, by_ruma, typed};

const SIZES: [usize; 3] = [100, 1_000, 10_000];
const VERSIONS: [RoomVersion; 2] = [RoomVersion::V11, RoomVersion::V12];
/// Who was there before the fork.
const MEMBERS: usize = 500;

/// One side of the fork does so many things.
fn storm(graph: &mut Graph, state: &mut State, side: &str, moderator: &str, deeds: usize) {
    for number in 0..deeds {
        let ts = 10_000 + number as u64;
        let deed = match number % 50 {
            10 => Deed::member(moderator, &format!("member{}", number % MEMBERS), "leave", ts),
            20 => Deed::member(moderator, &format!("{side}{}", number - 1), "ban", ts),
            30 | 31 => {
                let rule = if number % 50 == 30 { "invite" } else { "public" };
                Deed::new(moderator, "m.room.join_rules", "", json!({ "join_rule": rule }), ts)
            }
            40 => {
                let changed = graph.levels(&[("bob", 100), ("carol", (number % 49) as i64)]);
                Deed::new(moderator, "m.room.power_levels", "", changed, ts)
            }
            45 => Deed::new(moderator, "m.room.topic", "", json!({ "topic": number }), ts),
            _ => {
                let name = format!("{side}{number}");
                Deed::member(&name, &name, "join", ts)
            }
        };
        graph.add(state, deed);
    }
}

/// A room of a version whose two states disagree about so many events.
fn fork(version: RoomVersion, events: usize) -> (Graph, Vec<State>) {
    let (mut graph, mut main) = Graph::new(version, 1);
    let levels = graph.levels(&[("bob", 100)]);
    graph.add(&mut main, Deed::new("alice", "m.room.power_levels", "", levels, 7));
    for number in 0..MEMBERS {
        let name = format!("member{number}");
        graph.add(&mut main, Deed::member(&name, &name, "join", 8));
    }
    let mut states = vec![main.clone(), main];
    storm(&mut graph, &mut states[0], "left", "alice", events / 2);
    storm(&mut graph, &mut states[1], "right", "bob", events / 2);
    (graph, states)
}

/// What a caller of `ruma` does, with the subgraph found by one walk.
fn ruma(graph: &Graph, states: &[State], typed: &[StateMap<OwnedEventId>]) -> StateMap<OwnedEventId> {
    let subgraph = |ends: &BTreeSet<usize>| {
        let behind = graph.chain(ends.iter().copied());
        // Events were added after what they cite, so one pass from the oldest decides who reaches an end.
        let mut reaches: BTreeMap<usize, bool> = BTreeMap::new();
        for event in behind {
            let cited = graph.cited[event].iter().any(|cited| reaches.get(cited) == Some(&true));
            reaches.insert(event, cited || ends.contains(&event));
        }
        reaches.into_iter().filter_map(|(event, reaches)| reaches.then_some(event)).collect()
    };
    by_ruma(graph, states, typed, subgraph).unwrap()
}

fn ours(source: &Numbered<'_>, snapshots: &[StateSnapshot<u32>]) -> StateSnapshot<u32> {
    resolve(source.graph.version, snapshots, source).unwrap()
}

/// The median of some runs.
fn median(mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..7)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn main() {
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let mut table = String::from(
        "| version | conflicted | in full set | ours | ruma | ratio |\n|---|---|---|---|---|---|\n",
    );
    for version in VERSIONS {
        for events in SIZES {
            let (graph, states) = fork(version, events);
            let source = Numbered::in_order(&graph);
            let snapshots: Vec<_> = states.iter().map(|state| source.snapshot(state)).collect();
            let typed = typed(&graph, &states);
            assert_eq!(ours(&source, &snapshots).len(), ruma(&graph, &states, &typed).len());

            let mut group = criterion.benchmark_group(format!("resolve a join storm, version {version}"));
            group.bench_with_input(BenchmarkId::new("ours", events), &snapshots, |bench, snapshots| {
                bench.iter(|| black_box(ours(&source, snapshots)));
            });
            group.bench_with_input(BenchmarkId::new("ruma", events), &typed, |bench, typed| {
                bench.iter(|| black_box(ruma(&graph, &states, typed)));
            });
            group.finish();

            let conflict = Conflict::of(version, &snapshots, &source).unwrap();
            let full: BTreeSet<u32> = [&conflict.disputed, &conflict.difference, &conflict.subgraph]
                .into_iter()
                .flatten()
                .copied()
                .collect();
            let mine = median(|| {
                black_box(ours(&source, &snapshots));
            });
            let theirs = median(|| {
                black_box(ruma(&graph, &states, &typed));
            });
            table.push_str(&format!(
                "| {version} | {} | {} | {:.2} ms | {:.1} ms | {:.1} |\n",
                conflict.disputed.len(),
                full.len(),
                mine.as_secs_f64() * 1e3,
                theirs.as_secs_f64() * 1e3,
                theirs.as_secs_f64() / mine.as_secs_f64(),
            ));
        }
    }
    criterion.final_summary();
    println!("\n{table}");
}
