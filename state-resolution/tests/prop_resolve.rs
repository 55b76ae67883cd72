//! Random rooms that fork and merge under bans, kicks, joins, power levels and names: the resolved state
//! does not depend on the order of the snapshots or on the numbering of the events, and it is the one that
//! `ruma` gives when it is handed everything without our shortcuts.

#![allow(clippy::unwrap_used, reason = "a strategy that cannot make its value is a failed test")]

mod support;

use std::{
    borrow::Borrow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use nexus_state_resolution::{Pdu, RoomVersion};
use proptest::prelude::*;
use ruma::{
    OwnedEventId,
    events::StateEventType,
    state_res::{self, StateMap, utils::event_id_set::EventIdSet},
};
use serde_json::{Value, json};
use support::{Act, Branch, Interned, Room, user};

const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];
const BRANCHES: usize = 3;

/// One step of a random history; what the rules forbid simply does not happen.
#[derive(Clone, Debug)]
enum Step {
    Member {
        branch: usize,
        by: usize,
        whom: usize,
        membership: &'static str,
        skew: u64,
    },
    Levels {
        branch: usize,
        by: usize,
        whom: usize,
        level: i64,
        state_default: i64,
        skew: u64,
    },
    JoinRule {
        branch: usize,
        by: usize,
        rule: &'static str,
        skew: u64,
    },
    Name {
        branch: usize,
        by: usize,
        skew: u64,
    },
    Merge {
        from: usize,
        into: usize,
    },
    /// One entry of a state is taken over: what criss-cross merges lead to, without their length.
    Adopt {
        from: usize,
        key: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let branch = || 0..BRANCHES;
    let who = || 0..USERS.len();
    // A few moments only, so that ties are broken by event id.
    let skew = || 0..4_u64;
    let membership = prop::sample::select(vec!["join", "leave", "ban", "invite"]);
    let rule = prop::sample::select(vec!["public", "invite"]);
    let level = prop::sample::select(vec![0, 25, 50, 75, 100]);
    let default = prop::sample::select(vec![0, 50, 75]);
    prop_oneof![
        4 => (branch(), who(), who(), membership, skew())
            .prop_map(|(branch, by, whom, membership, skew)| Step::Member { branch, by, whom, membership, skew }),
        3 => (branch(), who(), who(), level, default, skew()).prop_map(
            |(branch, by, whom, level, state_default, skew)| Step::Levels { branch, by, whom, level, state_default, skew }
        ),
        1 => (branch(), who(), rule, skew()).prop_map(|(branch, by, rule, skew)| Step::JoinRule { branch, by, rule, skew }),
        2 => (branch(), who(), skew()).prop_map(|(branch, by, skew)| Step::Name { branch, by, skew }),
        1 => (branch(), branch()).prop_map(|(from, into)| Step::Merge { from, into }),
        3 => (branch(), 0..7_usize).prop_map(|(from, key)| Step::Adopt { from, key }),
    ]
}

/// The branch's power levels with one user's level changed.
fn changed_levels(room: &Room, branch: &Branch, whom: &str, level: i64, state_default: i64) -> Value {
    let current = room.in_state(branch, "m.room.power_levels", "");
    let mut levels: Value = current.map_or_else(|| json!({}), |pdu| pdu.content_as().unwrap());
    levels["users"][user(whom).as_str()] = json!(level);
    levels["state_default"] = json!(state_default);
    levels
}

/// Every branch takes over one entry of a branch's state.
fn adopt(branches: &mut [Branch], from: usize, key: usize) {
    let key = match USERS.get(key) {
        Some(name) => ("m.room.member".to_owned(), user(name).to_string()),
        None => {
            let kinds = ["m.room.power_levels", "m.room.join_rules", "m.room.name"];
            (kinds[key - USERS.len()].to_owned(), String::new())
        }
    };
    if let Some(id) = branches[from].state.get(&key).cloned() {
        for branch in branches {
            branch.state.insert(key.clone(), id.clone());
        }
    }
}

fn play(version: RoomVersion, steps: &[Step]) -> (Room, Vec<Branch>) {
    let (mut room, main) = Room::new(version);
    let mut branches = vec![main; BRANCHES];
    for step in steps {
        let (branch, by, kind, key, content, skew) = match *step {
            Step::Member { branch, by, whom, membership, skew } => (
                branch,
                by,
                "m.room.member",
                user(USERS[whom]).to_string(),
                json!({ "membership": membership }),
                skew,
            ),
            Step::Levels { branch, by, whom, level, state_default, skew } => {
                let levels = changed_levels(&room, &branches[branch], USERS[whom], level, state_default);
                (branch, by, "m.room.power_levels", String::new(), levels, skew)
            }
            Step::JoinRule { branch, by, rule, skew } => {
                (branch, by, "m.room.join_rules", String::new(), json!({ "join_rule": rule }), skew)
            }
            Step::Name { branch, by, skew } => {
                (branch, by, "m.room.name", String::new(), json!({ "name": USERS[by] }), skew)
            }
            Step::Adopt { from, key } => {
                adopt(&mut branches, from, key);
                continue;
            }
            Step::Merge { from, into } => {
                let merged = room.merge(&[branches[from].clone(), branches[into].clone()]);
                // `ruma` reads the absence of join rules otherwise than other servers do.
                if room.in_state(&merged, "m.room.join_rules", "").is_some() {
                    branches[into] = merged;
                }
                continue;
            }
        };
        let act = Act { sender: USERS[by], kind, state_key: Some(&key), content, ts: 10 + skew };
        let mut moved = branches[branch].clone();
        if room.act(&mut moved, act).is_ok() {
            branches[branch] = moved;
        }
    }
    (room, branches)
}

/// `ruma`'s resolution over whole states, with whole auth chains and the subgraph by its definition.
fn oracle(room: &Room, branches: &[Branch]) -> BTreeMap<(String, String), OwnedEventId> {
    let maps: Vec<StateMap<OwnedEventId>> = branches
        .iter()
        .map(|branch| {
            let typed = |((kind, key), id): (&(String, String), &OwnedEventId)| {
                ((StateEventType::from(kind.as_str()), key.clone()), id.clone())
            };
            branch.state.iter().map(typed).collect()
        })
        .collect();
    let chains: Vec<EventIdSet<OwnedEventId>> = branches
        .iter()
        .map(|branch| room.chain(branch.state.values().cloned()).into_iter().collect())
        .collect();
    let rules = room.version.rules();
    state_res::resolve(
        &rules.authorization,
        rules.state_res.v2_rules().unwrap(),
        &maps,
        chains,
        |id| -> Option<Arc<Pdu>> { room.event(id) },
        |conflicted| {
            let ends: BTreeSet<OwnedEventId> = conflicted.values().flatten().cloned().collect();
            let behind = room.chain(ends.iter().cloned());
            let between = behind.into_iter().filter(|id| {
                let id: &ruma::EventId = id.borrow();
                room.chain([id.to_owned()]).iter().any(|reached| ends.contains(reached))
            });
            Some(between.collect())
        },
    )
    .unwrap()
    .into_iter()
    .map(|((kind, key), id)| ((kind.to_string(), key), id))
    .collect()
}

fn version() -> impl Strategy<Value = RoomVersion> {
    // Version 1 resolves otherwise: `ruma` has nothing to compare with.
    prop::sample::select(RoomVersion::ALL[1..].to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn resolution_depends_on_no_order_and_equals_ruma(
        version in version(),
        steps in prop::collection::vec(step(), 0..40),
        shuffle in any::<prop::sample::Selector>(),
    ) {
        let (room, branches) = play(version, &steps);
        let expected = oracle(&room, &branches);
        let mut order: Vec<usize> = (0..BRANCHES).collect();
        for turn in 0..BRANCHES {
            order.rotate_left(1);
            if turn == 1 {
                order.swap(0, 1);
            }
            let reordered: Vec<Branch> = order.iter().map(|index| branches[*index].clone()).collect();
            prop_assert_eq!(&room.resolve(&reordered, &Interned::in_order(&room)), &expected);
        }

        let count = room.events.len() as u32;
        let reversed = Interned::new(&room, (0..count).rev().collect());
        prop_assert_eq!(&room.resolve(&branches, &reversed), &expected);
        // A shuffle: numbers sorted by values that the selector draws.
        let mut drawn: Vec<u32> = (0..count).collect();
        for last in (1..drawn.len()).rev() {
            let other = shuffle.select(0..=last);
            drawn.swap(last, other);
        }
        prop_assert_eq!(&room.resolve(&branches, &Interned::new(&room, drawn)), &expected);

        // A state merged with itself, or with the result, changes nothing.
        prop_assert_eq!(&room.resolve(&[branches[0].clone(), branches[0].clone()], &reversed), &branches[0].state);
        for (key, id) in &branches[0].state {
            if branches.iter().all(|branch| branch.state.get(key) == Some(id)) {
                prop_assert_eq!(expected.get(key), Some(id));
            }
        }
    }

    #[test]
    fn everything_resolved_was_allowed_by_what_it_cites(
        version in version(),
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let (room, branches) = play(version, &steps);
        let state = room.resolve(&branches, &Interned::in_order(&room));
        for ((kind, key), id) in &state {
            let pdu = room.event(id).unwrap();
            prop_assert_eq!((pdu.event_type(), pdu.state_key()), (kind.as_str(), Some(key.as_str())));
            let verdict = nexus_state_resolution::authorise_by_auth_events(version, &pdu, |id| room.event(id));
            prop_assert_eq!(verdict, Ok(()));
        }
    }
}
