//! Unit tests of [`resolve_v1`](super).

use std::collections::{BTreeMap, BTreeSet};

use expect_test::{Expect, expect};
use serde_json::json;

use crate::{
    RoomVersion,
    support::{Branch, Interned, Room, user},
};

/// Fork a room of version 1 and show what of the forks the resolved state has; either order of snapshots and
/// any numbering must give the same.
fn check(fork: impl Fn(&mut Room, &mut Branch, &mut Branch), expected: Expect) {
    let (mut room, main) = Room::new(RoomVersion::V1);
    let (mut left, mut right) = (main.clone(), main);
    fork(&mut room, &mut left, &mut right);
    let state = room.resolve(&[left.clone(), right.clone()], &Interned::in_order(&room));
    let count = room.events.len() as u32;
    let reversed = Interned::new(&room, (0..count).rev().collect());
    assert_eq!(room.resolve(&[right, left], &reversed), state);
    let mut shown = String::new();
    for ((kind, key), id) in state {
        let pdu = room.event(&id).unwrap();
        if u64::from(pdu.origin_server_ts().get()) >= 10 {
            shown.push_str(&format!("{kind}|{key} {} by {}\n", pdu.content().get(), pdu.sender()));
        }
    }
    expected.assert_eq(&shown);
}

fn set(room: &mut Room, branch: &mut Branch, by: &str, kind: &str, content: serde_json::Value) {
    room.state(branch, by, kind, "", content, 10);
}

fn membership(room: &mut Room, branch: &mut Branch, by: &str, whom: &str, membership: &str) {
    let content = json!({ "membership": membership });
    room.state(branch, by, "m.room.member", user(whom).as_str(), content, 10);
}

#[test]
fn the_deepest_allowed_event_wins() {
    check(
        |room, left, right| {
            set(room, left, "alice", "m.room.topic", json!({ "topic": "shallow" }));
            set(room, right, "carol", "m.room.name", json!({ "name": "padding" }));
            set(room, right, "bob", "m.room.topic", json!({ "topic": "deep" }));
        },
        expect![[r#"
            m.room.name| {"name":"padding"} by @carol:a.example
            m.room.topic| {"topic":"deep"} by @bob:a.example
        "#]],
    );
}

#[test]
fn a_kick_that_only_one_side_knows_binds_the_other() {
    check(
        |room, left, right| {
            set(room, left, "bob", "m.room.topic", json!({ "topic": "before" }));
            membership(room, right, "alice", "bob", "ban");
            set(room, right, "alice", "m.room.topic", json!({ "topic": "after" }));
        },
        expect![[r#"
            m.room.member|@bob:a.example {"membership":"ban"} by @alice:a.example
            m.room.topic| {"topic":"after"} by @alice:a.example
        "#]],
    );
}

#[test]
fn power_levels_go_up_the_chain_as_far_as_the_rules_allow() {
    let levels = |bob: i64| json!({ "users": { "@alice:a.example": 100, "@bob:a.example": bob }, "state_default": 50 });
    check(
        |room, left, right| {
            set(room, left, "alice", "m.room.power_levels", levels(0));
            set(room, right, "carol", "m.room.name", json!({ "name": "padding" }));
            set(room, right, "bob", "m.room.power_levels", levels(50));
        },
        expect![[r#"
            m.room.name| {"name":"padding"} by @carol:a.example
            m.room.power_levels| {"state_default":50,"users":{"@alice:a.example":100,"@bob:a.example":0}} by @alice:a.example
        "#]],
    );
}

#[test]
fn absence_is_no_opinion() {
    check(
        |room, left, _| set(room, left, "alice", "m.room.topic", json!({ "topic": "only here" })),
        expect![[r#"
            m.room.topic| {"topic":"only here"} by @alice:a.example
        "#]],
    );
}

#[test]
fn where_nothing_is_allowed_the_shallowest_stays() {
    let nobody = BTreeMap::new();
    let (mut room, main) = Room::new(RoomVersion::V1);
    let (mut left, mut right) = (main.clone(), main.clone());
    set(&mut room, &mut left, "alice", "m.room.topic", json!({ "topic": "shallow" }));
    set(&mut room, &mut right, "carol", "m.room.name", json!({ "name": "padding" }));
    set(&mut room, &mut right, "alice", "m.room.topic", json!({ "topic": "deep" }));
    let topic = ("m.room.topic".to_owned(), String::new());
    // States that lack everything that allows the topics.
    let bare = |branch: &Branch| Branch {
        state: branch
            .state
            .iter()
            .filter(|(key, _)| **key == topic)
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
        tip: branch.tip.clone(),
    };
    let state = room.resolve(&[bare(&left), bare(&right)], &Interned::in_order(&room));
    assert_eq!(state.get(&topic), left.state.get(&topic));
    assert_ne!(state, nobody);
    assert_eq!(state.keys().collect::<BTreeSet<_>>(), BTreeSet::from([&topic]));
}
