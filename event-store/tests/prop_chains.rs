//! The auth-chain index answers as a plain walk of the graph does, for any graph and any states; its cost for
//! an event is bounded whatever the event cites.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use nexus_event_store::{
    EventNo, KeyNo, NodeHash, Position, RoomNo, Rows as _, Scan, Store, Tx,
    catalogue::{ChainPlaces, Chains, Events},
    chains::{self, Shared},
    codec::Value as _,
    kv::memory::{MemoryEngine, PerfectDisk},
    rows::EventRow,
    trie,
};
use nexus_sim::executor::Simulation;
use proptest::prelude::*;

const ROOM: RoomNo = RoomNo(7);
/// The most events that an event may cite, by its format.
const CITED_MAX: usize = 10;

fn in_store<T>(test: impl AsyncFnOnce(Tx) -> T) -> T {
    let simulation = Simulation::new(1);
    simulation.run(async {
        let engine = Arc::new(MemoryEngine::new(Arc::new(PerfectDisk)));
        let store = Store::open(engine, simulation.world(), Arc::new(|_| {})).await.unwrap();
        test(store.begin()).await
    })
}

/// A graph of state events: event `i + 1` has a key and cites earlier ones.
#[derive(Clone, Debug)]
struct Graph {
    events: Vec<(KeyNo, Vec<EventNo>)>,
}

fn graph() -> impl Strategy<Value = Graph> {
    let event = (1..9_u64, prop::collection::vec(any::<prop::sample::Index>(), 0..5), any::<bool>());
    prop::collection::vec(event, 1..60).prop_map(|drawn| {
        let mut events: Vec<(KeyNo, Vec<EventNo>)> = Vec::new();
        for (key, cited, replaces) in drawn {
            let mut numbers = BTreeSet::new();
            if !events.is_empty() {
                numbers.extend(cited.iter().map(|index| EventNo(index.index(events.len()) as u64 + 1)));
            }
            if replaces && let Some(last) = events.iter().rposition(|(other, _)| other.0 == key) {
                numbers.insert(EventNo(last as u64 + 1));
            }
            events.push((KeyNo(key), numbers.into_iter().collect()));
        }
        Graph { events }
    })
}

impl Graph {
    fn cited(&self, event: EventNo) -> &[EventNo] {
        &self.events[event.0 as usize - 1].1
    }

    fn chain(&self, of: impl IntoIterator<Item = EventNo>) -> BTreeSet<EventNo> {
        let mut seen = BTreeSet::new();
        let mut open: Vec<EventNo> = of.into_iter().collect();
        while let Some(event) = open.pop() {
            if seen.insert(event) {
                open.extend(self.cited(event));
            }
        }
        seen
    }

    /// Writes the events; those before `from` as an older program did, without the index.
    async fn write(&self, tx: &Tx, from: usize) {
        for (index, (key, cited)) in self.events.iter().enumerate() {
            let event = EventNo(index as u64 + 1);
            let row = EventRow {
                event_id: format!("${event}"),
                json: "{}".to_owned(),
                prev: Vec::new(),
                auth: cited.clone(),
                state_before: NodeHash::EMPTY,
                state_after: None,
                position: Position::START,
                snowflake: None,
                redacted_by: None,
                transaction: None,
            };
            tx.put::<Events>(&(ROOM, event), &row);
            if index >= from {
                chains::index(tx, ROOM, event, *key, cited).await.unwrap();
            }
        }
    }
}

/// A state: for each key an event of it, or none.
fn states(count: usize) -> impl Strategy<Value = Vec<Vec<prop::sample::Index>>> {
    let state = prop::collection::vec(any::<prop::sample::Index>(), 9);
    prop::collection::vec(state, count)
}

type State = BTreeMap<KeyNo, EventNo>;

/// States that share most entries, as those of forks do.
fn pick(graph: &Graph, base: &[prop::sample::Index], drawn: &[Vec<prop::sample::Index>]) -> Vec<State> {
    let of_key = |key: u64, index: &prop::sample::Index| {
        let of_key: Vec<EventNo> = (1..=graph.events.len() as u64)
            .map(EventNo)
            .filter(|event| graph.events[event.0 as usize - 1].0 == KeyNo(key))
            .collect();
        let chosen = index.index(of_key.len() + 1);
        of_key.get(chosen).copied()
    };
    let state = |drawn: &Vec<prop::sample::Index>| {
        (1..9)
            .filter_map(|key| {
                let changes = drawn[0].index(8) as u64 + 1;
                let index = if key == changes || key == changes / 2 {
                    &drawn[key as usize]
                } else {
                    &base[key as usize]
                };
                Some((KeyNo(key), of_key(key, index)?))
            })
            .collect()
    };
    drawn.iter().map(state).collect()
}

async fn root(tx: &Tx, state: &State) -> NodeHash {
    let changes = state.iter().map(|(key, event)| (*key, Some(*event))).collect();
    let (root, nodes) = trie::apply(tx, ROOM, NodeHash::EMPTY, changes).await.unwrap();
    tx.put_nodes(ROOM, nodes);
    root
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_auth_difference_is_that_of_a_plain_walk(
        graph in graph(),
        base in prop::collection::vec(any::<prop::sample::Index>(), 9),
        drawn in (2..4_usize).prop_flat_map(states),
        older in 0..60_usize,
    ) {
        let states = pick(&graph, &base, &drawn);
        let keys: BTreeSet<KeyNo> = (1..9)
            .map(KeyNo)
            .filter(|key| states.iter().any(|state| state.get(key) != states[0].get(key)))
            .collect();
        let disputed: Vec<Vec<EventNo>> = states
            .iter()
            .map(|state| keys.iter().filter_map(|key| state.get(key).copied()).collect())
            .collect();
        let chains: Vec<BTreeSet<EventNo>> =
            states.iter().map(|state| graph.chain(state.values().copied())).collect();
        let mut expected: BTreeSet<EventNo> = chains
            .iter()
            .flatten()
            .filter(|event| chains.iter().any(|chain| !chain.contains(*event)))
            .copied()
            .collect();
        let ends: BTreeSet<EventNo> = disputed.iter().flatten().copied().collect();
        // What is in dispute is in the full conflicted set either way.
        expected.extend(&ends);
        let behind = graph.chain(ends.iter().copied());
        let leads = |event: &EventNo| graph.chain([*event]).iter().any(|reached| ends.contains(reached));
        let between: BTreeSet<EventNo> = behind.into_iter().filter(leads).collect();

        in_store(async |tx| {
            graph.write(&tx, older).await;
            let root = root(&tx, &states[0]).await;
            let shared = Shared { root, disputed: &keys };
            let found = chains::auth_difference(&tx, ROOM, shared, &disputed).await.unwrap();
            assert_eq!(found, expected);
            assert_eq!(chains::paths_between(&tx, ROOM, &ends).await.unwrap(), between);
        });
    }

    #[test]
    fn every_event_has_one_place_and_what_it_cites_is_told(graph in graph()) {
        in_store(async |tx| {
            graph.write(&tx, 0).await;
            for (index, (_, cited)) in graph.events.iter().enumerate() {
                let event = EventNo(index as u64 + 1);
                let place = tx.existing::<ChainPlaces>(&(ROOM, event)).await.unwrap().place;
                let row = tx.existing::<Chains>(&(ROOM, place.chain, place.sequence)).await.unwrap();
                assert_eq!(row.event, event);
                let mut told = row.cited.clone();
                if place.sequence > 1 {
                    told.push(chains::ChainPlace { sequence: place.sequence - 1, ..place });
                }
                let mut behind = BTreeSet::new();
                for place in told {
                    let row = tx.existing::<Chains>(&(ROOM, place.chain, place.sequence)).await.unwrap();
                    behind.insert(row.event);
                }
                assert!(behind.is_subset(&cited.iter().copied().collect()));
                assert_eq!(graph.chain(behind), graph.chain(cited.iter().copied()));
            }
        });
    }
}

/// CVE-2024-31208: events that cite as many chains as they may, again and again, made the index of another
/// server grow with the square of the graph. Here each of them costs two rows and no more places than it
/// cites, and a difference between such graphs reads each row once.
#[test]
fn attack_17_many_chains_cost_two_rows_an_event() {
    let mut graph = Graph { events: vec![(KeyNo(1), Vec::new())] };
    // A broad front of chains, then events that tie ten of them together, scattered over all that came before.
    for number in 1..2_000_u64 {
        let cites = (0..CITED_MAX as u64).map(|which| {
            let back = 1 + (number * 2_654_435_761 + which * 40_503) % number.min(700);
            EventNo(number + 1 - back)
        });
        let cites: BTreeSet<EventNo> = cites.collect();
        graph.events.push((KeyNo(2 + number % 900), cites.into_iter().collect()));
    }
    in_store(async |tx| {
        graph.write(&tx, 0).await;
        let places = tx.scan::<ChainPlaces>(Scan::prefix::<ChainPlaces>(&ROOM)).await.unwrap();
        let rows = tx.scan::<Chains>(Scan::prefix::<Chains>(&ROOM)).await.unwrap();
        assert_eq!((places.len(), rows.len()), (graph.events.len(), graph.events.len()));
        for (_, row) in &rows {
            assert!(row.cited.len() <= CITED_MAX, "{row:?}");
            assert!(row.encode().len() <= 8 + 6 * CITED_MAX, "{row:?}");
        }

        let last = EventNo(graph.events.len() as u64);
        let sides = [vec![last], vec![EventNo(last.0 - 1)]];
        let keys = BTreeSet::from([graph.events[last.0 as usize - 1].0, graph.events[last.0 as usize - 2].0]);
        let shared = Shared { root: NodeHash::EMPTY, disputed: &keys };
        let found = chains::auth_difference(&tx, ROOM, shared, &sides).await.unwrap();
        let [left, right] = sides.map(|side| graph.chain(side));
        let mut expected: BTreeSet<EventNo> = left.symmetric_difference(&right).copied().collect();
        expected.extend([last, EventNo(last.0 - 1)]);
        assert_eq!(found, expected);
    });
}
