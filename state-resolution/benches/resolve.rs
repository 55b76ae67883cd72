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
    collections::{BTreeMap, BTreeSet, HashMap},
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion};
use nexus_state_resolution::{
    Conflict, Pdu, ResolutionSource, RoomVersion, StateSnapshot, resolve, resolve_disputed,
};
use ruma::{EventId, OwnedEventId, events::StateEventType, state_res::StateMap};
use serde_json::json;
use support::graph::{Deed, Graph, Numbered, State, by_ruma, typed};

const SIZES: [usize; 3] = [100, 1_000, 10_000];
const VERSIONS: [RoomVersion; 2] = [RoomVersion::V11, RoomVersion::V12];
/// Who was there before the fork.
const MEMBERS: usize = 500;

/// Power levels as clients write them, with a dozen moderators.
fn levels(graph: &Graph, of_carol: i64) -> serde_json::Value {
    let names: Vec<String> = (0..12).map(|number| format!("moderator{number}")).collect();
    let mut users: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 50)).collect();
    users.extend([("bob", 100), ("carol", of_carol)]);
    let mut levels = graph.levels(&users);
    levels["events"] = json!({
        "m.room.avatar": 50, "m.room.canonical_alias": 50, "m.room.encryption": 100,
        "m.room.history_visibility": 100, "m.room.name": 50, "m.room.power_levels": 100,
        "m.room.server_acl": 100, "m.room.tombstone": 100,
    });
    for (field, level) in [("ban", 50), ("kick", 50), ("redact", 50), ("invite", 0), ("events_default", 0)] {
        levels[field] = json!(level);
    }
    levels
}

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
                let changed = levels(graph, (number % 49) as i64);
                Deed::new(moderator, "m.room.power_levels", "", changed, ts)
            }
            45 => Deed::new(moderator, "m.room.topic", "", json!({ "topic": number }), ts),
            _ => {
                let name = format!("{side}{number}");
                let content = json!({
                    "membership": "join",
                    "displayname": format!("Number {number} of the {side}"),
                    "avatar_url": format!("mxc://a.example/{number:032}"),
                });
                Deed::new(&name, "m.room.member", support::graph::user(&name).as_str(), content, ts)
            }
        };
        graph.add(state, deed);
    }
}

/// A room of a version whose two states disagree about so many events.
fn fork(version: RoomVersion, events: usize) -> (Graph, Vec<State>) {
    let (mut graph, mut main) = Graph::new(version, 1);
    let first = levels(&graph, 0);
    graph.add(&mut main, Deed::new("alice", "m.room.power_levels", "", first, 7));
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

/// Events by their numbers, as a store holds them.
struct ByNumber<'a> {
    graph: &'a Graph,
    ids: Numbered<'a>,
    cited: Vec<Vec<u32>>,
}

impl<'a> ByNumber<'a> {
    fn new(graph: &'a Graph) -> Self {
        let interned = |cited: &Vec<usize>| cited.iter().map(|event| *event as u32).collect();
        Self { graph, ids: Numbered::in_order(graph), cited: graph.cited.iter().map(interned).collect() }
    }
}

impl ResolutionSource<u32> for ByNumber<'_> {
    fn pdu(&self, id: u32) -> Option<Arc<Pdu>> {
        self.graph.events.get(id as usize).map(Arc::clone)
    }

    fn id_of(&self, event_id: &EventId) -> Option<u32> {
        self.ids.id_of(event_id)
    }

    fn auth_events(&self, id: u32) -> Option<Vec<u32>> {
        self.cited.get(id as usize).cloned()
    }
}

/// A state as a store holds it: interned keys and events.
type Interned = BTreeMap<u32, u32>;

/// A room's states, with its interned keys.
struct Room<'a> {
    source: ByNumber<'a>,
    keys: HashMap<(String, String), u32>,
    states: Vec<Interned>,
}

impl<'a> Room<'a> {
    fn new(graph: &'a Graph, states: &[State]) -> Self {
        let mut keys = HashMap::new();
        let states = states.iter().map(|state| {
            let entry = |(key, event): (&(String, String), &usize)| {
                let next = keys.len() as u32;
                (*keys.entry(key.clone()).or_insert(next), *event as u32)
            };
            state.iter().map(entry).collect()
        });
        let states = states.collect();
        Self { source: ByNumber::new(graph), keys, states }
    }

    /// Everything from the two states to the events of the resolved one that they do not share.
    fn resolve(&self) -> Vec<u32> {
        let [left, right] = &self.states[..] else { panic!("two states") };
        let (shared, disputed) = compare(left, right);
        let by_name = |kind: &str, key: &str| {
            let key = self.keys.get(&(kind.to_owned(), key.to_owned()))?;
            left.get(key).copied().filter(|event| right.get(key) == Some(event))
        };
        resolve_disputed(self.source.graph.version, shared, &disputed, by_name, &self.source).unwrap()
    }
}

/// The events that two states share, and what each has beside them: one pass over both.
fn compare(left: &Interned, right: &Interned) -> (Vec<u32>, [Vec<u32>; 2]) {
    let (mut shared, mut beside) = (Vec::new(), [Vec::new(), Vec::new()]);
    let (mut lefts, mut rights) = (left.iter().peekable(), right.iter().peekable());
    loop {
        match (lefts.peek().copied(), rights.peek().copied()) {
            (None, None) => return (shared, beside),
            (Some((key, event)), Some((other_key, other))) if key == other_key => {
                if event == other {
                    shared.push(*event);
                } else {
                    beside[0].push(*event);
                    beside[1].push(*other);
                }
                lefts.next();
                rights.next();
            }
            (Some((key, event)), other) if other.is_none_or(|(other_key, _)| key < other_key) => {
                beside[0].push(*event);
                lefts.next();
            }
            (_, other) => {
                beside[1].extend(other.map(|(_, event)| *event));
                rights.next();
            }
        }
    }
}

/// The same from states that are maps of strings.
fn from_strings(source: &ByNumber<'_>, snapshots: &[StateSnapshot<u32>]) -> StateSnapshot<u32> {
    resolve(source.graph.version, snapshots, source).unwrap()
}

/// The least of some runs: what else the machine did meanwhile only adds to a time.
fn least(mut run: impl FnMut()) -> Duration {
    let times = (0..15).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed()
    });
    times.min().unwrap()
}

fn main() {
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let mut table = String::from(
        "| version | conflicted | full set | ours | ours, from strings | ruma | ratio |\n|---|---|---|---|---|---|---|\n",
    );
    for version in VERSIONS {
        for events in SIZES {
            let (graph, states) = fork(version, events);
            let room = Room::new(&graph, &states);
            let snapshots: Vec<_> = states.iter().map(|state| room.source.ids.snapshot(state)).collect();
            let typed = typed(&graph, &states);
            let expected = ruma(&graph, &states, &typed);
            assert_eq!(from_strings(&room.source, &snapshots).len(), expected.len());
            let is_expected = |event: &u32| {
                let pdu = &graph.events[*event as usize];
                let key = (StateEventType::from(pdu.event_type()), pdu.state_key().unwrap().to_owned());
                expected[&key] == pdu.event_id()
            };
            assert!(room.resolve().iter().all(is_expected));

            let mut group = criterion.benchmark_group(format!("resolve a join storm, version {version}"));
            group.bench_function(BenchmarkId::new("ours", events), |bench| {
                bench.iter(|| black_box(room.resolve()));
            });
            group.bench_function(BenchmarkId::new("ours, from strings", events), |bench| {
                bench.iter(|| black_box(from_strings(&room.source, &snapshots)));
            });
            group.bench_function(BenchmarkId::new("ruma", events), |bench| {
                bench.iter(|| black_box(ruma(&graph, &states, &typed)));
            });
            group.finish();

            let conflict = Conflict::of(version, &snapshots, &room.source).unwrap();
            let parts = [&conflict.disputed, &conflict.difference, &conflict.subgraph];
            let full: BTreeSet<u32> = parts.into_iter().flatten().copied().collect();
            let disputed: BTreeSet<u32> = conflict.disputed.iter().copied().collect();
            let ours = least(|| {
                black_box(room.resolve());
            });
            let strings = least(|| {
                black_box(from_strings(&room.source, &snapshots));
            });
            let theirs = least(|| {
                black_box(ruma(&graph, &states, &typed));
            });
            let ms = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
            table.push_str(&format!(
                "| {version} | {} | {} | {} | {} | {} | {:.1} |\n",
                disputed.len(),
                full.len(),
                ms(ours),
                ms(strings),
                ms(theirs),
                theirs.as_secs_f64() / ours.as_secs_f64(),
            ));
        }
    }
    criterion.final_summary();
    println!("\n{table}");
}
