//! Scenarios that the implementations of Matrix have long tested themselves with, told anew: who prevails
//! when a room forks, in the words of a small graph language.
//!
//! **Source**: the situations are those of Synapse's and `ruma`'s tests of state resolution version 2; rooms,
//! events and expectations are written here, and `ruma` is asked about each of them as well.

#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made is a failed test")]

mod support;

use nexus_state_resolution::RoomVersion;
use serde_json::json;
use support::graph::{Deed, Graph, Numbered, State, oracle, user, versions};

/// A room in which only Alice has power, with Bob, Carol and Zara in it.
struct Tale {
    graph: Graph,
    start: State,
    clock: u64,
}

impl Tale {
    fn new(version: RoomVersion) -> Self {
        let (mut graph, mut start) = Graph::new(version, 11);
        let alone = graph.levels(&[]);
        graph.try_add(&mut start, Deed::new("alice", "m.room.power_levels", "", alone, 7)).unwrap();
        graph.try_add(&mut start, Deed::member("zara", "zara", "join", 8)).unwrap();
        Self { graph, start, clock: 10 }
    }

    fn now(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn levels(&mut self, on: &mut State, by: &str, users: &[(&str, i64)]) -> usize {
        let (content, now) = (self.graph.levels(users), self.now());
        self.graph.try_add(on, Deed::new(by, "m.room.power_levels", "", content, now)).unwrap()
    }

    fn topic(&mut self, on: &mut State, by: &str) -> usize {
        let now = self.now();
        let content = json!({ "topic": format!("of {by} at {now}") });
        self.graph.try_add(on, Deed::new(by, "m.room.topic", "", content, now)).unwrap()
    }

    fn member(&mut self, on: &mut State, by: &str, whom: &str, membership: &str) -> usize {
        let now = self.now();
        self.graph.try_add(on, Deed::member(by, whom, membership, now)).unwrap()
    }

    fn merge(&self, one: &State, other: &State) -> State {
        let states = [one.clone(), other.clone()];
        let resolved = Numbered::in_order(&self.graph).resolve(&states).unwrap();
        assert_eq!(Some(&resolved), oracle(&self.graph, &states).as_ref());
        resolved
    }

    /// Expects these events in the state, each under its key.
    fn expect(&self, state: &State, events: &[usize]) {
        for event in events {
            let pdu = &self.graph.events[*event];
            let key = (pdu.event_type().to_owned(), pdu.state_key().unwrap().to_owned());
            let found = &self.graph.events[state[&key]];
            assert_eq!(found.content().get(), pdu.content().get(), "{}: {key:?}", self.graph.version);
            assert_eq!(state[&key], *event, "{}: {key:?}", self.graph.version);
        }
    }
}

fn in_every_version(tale: impl Fn(&mut Tale, State)) {
    for version in versions() {
        let mut told = Tale::new(version);
        let start = told.start.clone();
        tale(&mut told, start);
    }
}

#[test]
fn a_ban_by_the_greater_beats_levels_by_the_banned() {
    in_every_version(|tale, mut trunk| {
        let promoted = tale.levels(&mut trunk, "alice", &[("bob", 50)]);
        let (mut left, mut right) = (trunk.clone(), trunk);
        let alice = tale.member(&mut left, "alice", "alice", "join");
        let ban = tale.member(&mut left, "alice", "bob", "ban");
        tale.levels(&mut right, "bob", &[("bob", 50), ("zara", 10)]);
        let merged = tale.merge(&left, &right);
        tale.expect(&merged, &[promoted, alice, ban]);
    });
}

#[test]
fn who_joins_beside_a_closing_door_stays_outside() {
    in_every_version(|tale, trunk| {
        let (mut left, mut right) = (trunk.clone(), trunk);
        let now = tale.now();
        let private = json!({ "join_rule": "private" });
        let closed =
            tale.graph.try_add(&mut left, Deed::new("alice", "m.room.join_rules", "", private, now)).unwrap();
        tale.member(&mut right, "ella", "ella", "join");
        let merged = tale.merge(&left, &right);
        tale.expect(&merged, &[closed]);
        assert_eq!(tale.graph.membership(&merged, "ella"), "none");
    });
}

#[test]
fn levels_that_follow_each_other_are_no_race() {
    in_every_version(|tale, mut trunk| {
        tale.levels(&mut trunk, "alice", &[("bob", 50)]);
        let behind = trunk.clone();
        tale.levels(&mut trunk, "bob", &[("bob", 50), ("carol", 50)]);
        let last = tale.levels(&mut trunk, "carol", &[("bob", 50), ("carol", 0)]);
        let merged = tale.merge(&trunk, &behind);
        tale.expect(&merged, &[last]);
    });
}

#[test]
fn a_demotion_takes_the_topic_of_the_demoted_along() {
    in_every_version(|tale, mut trunk| {
        tale.topic(&mut trunk, "alice");
        tale.levels(&mut trunk, "alice", &[("bob", 50)]);
        let (mut left, mut right) = (trunk.clone(), trunk);
        let kept = tale.topic(&mut left, "alice");
        let demoted = tale.levels(&mut left, "alice", &[("bob", 0)]);
        tale.levels(&mut right, "bob", &[("bob", 50), ("zara", 5)]);
        tale.topic(&mut right, "bob");
        let merged = tale.merge(&left, &right);
        tale.expect(&merged, &[kept, demoted]);
    });
}

#[test]
fn the_topic_of_a_banned_user_falls_back_to_the_one_before() {
    in_every_version(|tale, mut trunk| {
        let first = tale.topic(&mut trunk, "alice");
        let behind = trunk.clone();
        let promoted = tale.levels(&mut trunk, "alice", &[("bob", 50)]);
        tale.topic(&mut trunk, "bob");
        let ban = tale.member(&mut trunk, "alice", "bob", "ban");
        let merged = tale.merge(&trunk, &behind);
        tale.expect(&merged, &[first, ban, promoted]);
    });
}

#[test]
fn what_comes_after_a_merge_prevails_over_what_was_merged() {
    in_every_version(|tale, mut trunk| {
        tale.topic(&mut trunk, "alice");
        tale.levels(&mut trunk, "alice", &[("bob", 50)]);
        let (mut left, mut right) = (trunk.clone(), trunk);
        tale.topic(&mut left, "alice");
        let demoted = tale.levels(&mut left, "alice", &[("bob", 0)]);
        tale.levels(&mut right, "bob", &[("bob", 50), ("zara", 5)]);
        tale.topic(&mut right, "bob");
        let mut joined = tale.merge(&left, &right);
        tale.member(&mut joined, "zara", "zara", "join");
        let behind = joined.clone();
        let last = tale.topic(&mut joined, "alice");
        let merged = tale.merge(&joined, &behind);
        tale.expect(&merged, &[last, demoted]);
    });
}

#[test]
fn a_kick_and_a_return_race_and_the_door_decides() {
    in_every_version(|tale, trunk| {
        let (mut left, mut right) = (trunk.clone(), trunk);
        tale.member(&mut left, "alice", "carol", "leave");
        tale.member(&mut right, "carol", "carol", "join");
        // A kick is a power event and comes first; the door is open, so Carol's join comes after it.
        let merged = tale.merge(&left, &right);
        assert_eq!(tale.graph.membership(&merged, "carol"), "join");
        // A ban closes the door for her.
        let (mut left, mut right) = (merged.clone(), merged);
        tale.member(&mut left, "alice", "carol", "ban");
        let again = json!({ "membership": "join", "displayname": "C" });
        let now = tale.now();
        let carol = user("carol");
        tale.graph
            .try_add(&mut right, Deed::new("carol", "m.room.member", carol.as_str(), again, now))
            .unwrap();
        let merged = tale.merge(&left, &right);
        assert_eq!(tale.graph.membership(&merged, "carol"), "ban");
    });
}
