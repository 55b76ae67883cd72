//! State tries: canonical whatever the order, equal to a plain map, with small changes and small diffs.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use nexus_event_store::{
    EventNo, KeyNo, NodeHash, RoomNo, Store, Tx,
    kv::memory::{MemoryEngine, PerfectDisk},
    trie::{self, Change},
};
use nexus_sim::executor::Simulation;
use proptest::prelude::*;

const ROOM: RoomNo = RoomNo(1);

fn in_store<T>(test: impl AsyncFnOnce(Tx) -> T) -> T {
    let simulation = Simulation::new(1);
    simulation.run(async {
        let engine = Arc::new(MemoryEngine::new(Arc::new(PerfectDisk)));
        let store = Store::open(engine, simulation.world(), Arc::new(|_| {})).await.unwrap();
        test(store.begin()).await
    })
}

async fn apply(tx: &Tx, root: NodeHash, changes: Vec<Change>) -> NodeHash {
    let (root, nodes) = trie::apply(tx, ROOM, root, changes).await.unwrap();
    tx.put_nodes(ROOM, nodes);
    root
}

fn changes() -> impl Strategy<Value = Vec<(u64, Option<u64>)>> {
    let event = prop_oneof![4 => (1u64..1000).prop_map(Some), 1 => Just(None)];
    prop::collection::vec((0u64..120, event), 0..160)
}

fn model(changes: &[(u64, Option<u64>)]) -> BTreeMap<KeyNo, EventNo> {
    let mut map = BTreeMap::new();
    for (key, event) in changes {
        match event {
            Some(event) => map.insert(KeyNo(*key), EventNo(*event)),
            None => map.remove(&KeyNo(*key)),
        };
    }
    map
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_by_one_or_at_once_the_root_is_the_same(changes in changes()) {
        let map = model(&changes);
        in_store(async |tx| {
            let mut root = NodeHash::EMPTY;
            for (key, event) in &changes {
                root = apply(&tx, root, vec![(KeyNo(*key), event.map(EventNo))]).await;
            }
            let at_once = map.iter().map(|(key, event)| (*key, Some(*event))).collect();
            assert_eq!(apply(&tx, NodeHash::EMPTY, at_once).await, root);
            assert_eq!(trie::entries(&tx, ROOM, root).await.unwrap(), map);
            for key in (0..120).map(KeyNo) {
                assert_eq!(trie::get(&tx, ROOM, root, key).await.unwrap(), map.get(&key).copied());
            }
            if map.is_empty() {
                assert_eq!(root, NodeHash::EMPTY);
            }
        });
    }

    #[test]
    fn a_diff_is_what_differs(left in changes(), right in changes()) {
        let (left, right) = (model(&left), model(&right));
        in_store(async |tx| {
            let all = |map: &BTreeMap<KeyNo, EventNo>| map.iter().map(|(key, event)| (*key, Some(*event))).collect();
            let left_root = apply(&tx, NodeHash::EMPTY, all(&left)).await;
            let right_root = apply(&tx, NodeHash::EMPTY, all(&right)).await;
            let found = trie::diff(&tx, ROOM, left_root, right_root).await.unwrap();
            let keys: BTreeSet<KeyNo> = left.keys().chain(right.keys()).copied().collect();
            let expected: Vec<_> = keys
                .into_iter()
                .map(|key| (key, left.get(&key).copied(), right.get(&key).copied()))
                .filter(|(_, left, right)| left != right)
                .collect();
            let found: Vec<_> = found.into_iter().map(|difference| (difference.key, difference.left, difference.right)).collect();
            assert_eq!(found, expected);
        });
    }
}

/// A change in a room of 10,000 members writes a few small nodes, not the state.
#[test]
fn a_change_costs_little() {
    in_store(async |tx| {
        let members = (1..=10_000).map(|number| (KeyNo(number), Some(EventNo(number)))).collect();
        let root = apply(&tx, NodeHash::EMPTY, members).await;
        let (changed, nodes) =
            trie::apply(&tx, ROOM, root, vec![(KeyNo(77), Some(EventNo(10_001)))]).await.unwrap();
        assert_ne!(changed, root);
        let bytes: usize = nodes.values().map(|node| node.len()).sum();
        println!("{} nodes, {bytes} bytes", nodes.len());
        assert!(nodes.len() <= 6 && bytes < 1024, "{} nodes, {bytes} bytes", nodes.len());
    });
}
