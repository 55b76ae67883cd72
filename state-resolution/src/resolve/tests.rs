//! Unit tests of [`resolve`](super).

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use serde_json::json;

use super::{ResolveError, resolve};
use crate::{
    ResolutionSource, RoomVersion, StateSnapshot,
    support::{Branch, Interned, Room, user},
};

/// Fork a room of each version in the same way and show what of the forks the resolved state has.
fn check(fork: impl Fn(&mut Room, &mut Branch, &mut Branch), expected: Expect) {
    let mut shown = String::new();
    for version in RoomVersion::ALL.into_iter().skip(9) {
        let (mut room, main) = Room::new(version);
        let (mut left, mut right) = (main.clone(), main);
        fork(&mut room, &mut left, &mut right);
        shown.push_str(&format!("version {version}\n"));
        let state = room.resolve(&[left, right], &Interned::in_order(&room));
        for ((kind, key), id) in state {
            let pdu = room.event(&id).unwrap();
            let ts = u64::from(pdu.origin_server_ts().get());
            if ts >= 10 {
                shown.push_str(&format!("  {ts} {kind}|{key} {} by {}\n", pdu.content().get(), pdu.sender()));
            }
        }
    }
    expected.assert_eq(&shown);
}

fn ban(room: &mut Room, branch: &mut Branch, by: &str, whom: &str, ts: u64) {
    room.state(branch, by, "m.room.member", user(whom).as_str(), json!({ "membership": "ban" }), ts);
}

#[test]
fn a_ban_undoes_what_the_banned_did_meanwhile() {
    let fork = |room: &mut Room, left: &mut Branch, right: &mut Branch| {
        ban(room, left, "alice", "bob", 20);
        room.state(right, "bob", "m.room.topic", "", json!({ "topic": "late" }), 30);
        room.state(right, "carol", "m.room.name", "", json!({ "name": "kept" }), 31);
    };
    check(
        fork,
        expect![[r#"
        version 10
          20 m.room.member|@bob:a.example {"membership":"ban"} by @alice:a.example
          31 m.room.name| {"name":"kept"} by @carol:a.example
        version 11
          20 m.room.member|@bob:a.example {"membership":"ban"} by @alice:a.example
          31 m.room.name| {"name":"kept"} by @carol:a.example
        version 12
          20 m.room.member|@bob:a.example {"membership":"ban"} by @alice:a.example
          31 m.room.name| {"name":"kept"} by @carol:a.example
    "#]],
    );
}

#[test]
fn two_names_by_equals_are_settled_by_time() {
    let fork = |room: &mut Room, left: &mut Branch, right: &mut Branch| {
        room.state(left, "bob", "m.room.name", "", json!({ "name": "newer" }), 21);
        room.state(right, "carol", "m.room.name", "", json!({ "name": "older" }), 20);
    };
    check(
        fork,
        expect![[r#"
        version 10
          21 m.room.name| {"name":"newer"} by @bob:a.example
        version 11
          21 m.room.name| {"name":"newer"} by @bob:a.example
        version 12
          21 m.room.name| {"name":"newer"} by @bob:a.example
    "#]],
    );
}

#[test]
fn the_greater_power_is_heard_first() {
    let fork = |room: &mut Room, left: &mut Branch, right: &mut Branch| {
        ban(room, left, "bob", "carol", 20);
        ban(room, right, "alice", "bob", 30);
    };
    check(
        fork,
        expect![[r#"
        version 10
          30 m.room.member|@bob:a.example {"membership":"ban"} by @alice:a.example
        version 11
          30 m.room.member|@bob:a.example {"membership":"ban"} by @alice:a.example
        version 12
          30 m.room.member|@bob:a.example {"membership":"ban"} by @alice:a.example
    "#]],
    );
}

#[test]
fn a_name_of_an_older_mainline_yields_to_a_newer_one() {
    let fork = |room: &mut Room, left: &mut Branch, right: &mut Branch| {
        let mut users = json!({ user("bob").as_str(): 50 });
        if !room.version.room_id_is_create_event() {
            users[user("alice").as_str()] = json!(100);
        }
        let levels = json!({ "users": users, "state_default": 50, "events": { "m.room.name": 0 } });
        room.state(right, "alice", "m.room.power_levels", "", levels, 20);
        room.state(right, "bob", "m.room.name", "", json!({ "name": "after" }), 21);
        room.state(left, "carol", "m.room.name", "", json!({ "name": "before, by a clock ahead" }), 40);
    };
    check(
        fork,
        expect![[r#"
        version 10
          21 m.room.name| {"name":"after"} by @bob:a.example
          20 m.room.power_levels| {"events":{"m.room.name":0},"state_default":50,"users":{"@alice:a.example":100,"@bob:a.example":50}} by @alice:a.example
        version 11
          21 m.room.name| {"name":"after"} by @bob:a.example
          20 m.room.power_levels| {"events":{"m.room.name":0},"state_default":50,"users":{"@alice:a.example":100,"@bob:a.example":50}} by @alice:a.example
        version 12
          21 m.room.name| {"name":"after"} by @bob:a.example
          20 m.room.power_levels| {"events":{"m.room.name":0},"state_default":50,"users":{"@bob:a.example":50}} by @alice:a.example
    "#]],
    );
}

#[test]
fn types_that_ruma_folds_together_stay_apart() {
    let fork = |room: &mut Room, left: &mut Branch, right: &mut Branch| {
        let alias = "org.matrix.call.sdp_stream_metadata_changed";
        room.state(left, "bob", alias, "", json!({ "of": "alias" }), 20);
        room.state(right, "bob", "m.call.sdp_stream_metadata_changed", "", json!({ "of": "name" }), 21);
    };
    check(
        fork,
        expect![[r#"
        version 10
          21 m.call.sdp_stream_metadata_changed| {"of":"name"} by @bob:a.example
          20 org.matrix.call.sdp_stream_metadata_changed| {"of":"alias"} by @bob:a.example
        version 11
          21 m.call.sdp_stream_metadata_changed| {"of":"name"} by @bob:a.example
          20 org.matrix.call.sdp_stream_metadata_changed| {"of":"alias"} by @bob:a.example
        version 12
          21 m.call.sdp_stream_metadata_changed| {"of":"name"} by @bob:a.example
          20 org.matrix.call.sdp_stream_metadata_changed| {"of":"alias"} by @bob:a.example
    "#]],
    );
}

#[test]
fn agreement_and_emptiness_need_no_source() {
    struct Nothing;
    impl ResolutionSource<u8> for Nothing {
        fn pdu(&self, _: u8) -> Option<std::sync::Arc<crate::Pdu>> {
            None
        }
        fn id_of(&self, _: &ruma::EventId) -> Option<u8> {
            None
        }
    }
    let state = |id: u8| StateSnapshot::from([(("m.room.name".to_owned(), String::new()), id)]);
    assert_eq!(resolve(RoomVersion::V12, &[], &Nothing).unwrap(), BTreeMap::new());
    assert_eq!(resolve(RoomVersion::V12, &[state(1), state(1)], &Nothing).unwrap(), state(1));
    let error = resolve(RoomVersion::V12, &[state(1), state(2)], &Nothing).unwrap_err();
    assert!(matches!(error, ResolveError::MissingId), "{error}");
}

#[test]
fn a_missing_auth_event_is_an_error_not_another_result() {
    /// The room without one event.
    struct Holed<'a>(Interned<'a>, u32);
    impl ResolutionSource<u32> for Holed<'_> {
        fn pdu(&self, id: u32) -> Option<std::sync::Arc<crate::Pdu>> {
            self.0.pdu(id)
        }
        fn id_of(&self, event_id: &ruma::EventId) -> Option<u32> {
            self.0.id_of(event_id).filter(|id| *id != self.1)
        }
    }
    for version in RoomVersion::ALL.into_iter().skip(9) {
        let (mut room, main) = Room::new(version);
        let (mut left, mut right) = (main.clone(), main);
        ban(&mut room, &mut left, "alice", "bob", 20);
        room.state(&mut right, "bob", "m.room.topic", "", json!({ "topic": "late" }), 30);
        let interned = Interned::in_order(&room);
        let levels = left.state[&("m.room.power_levels".to_owned(), String::new())].clone();
        let holed = Holed(Interned::in_order(&room), interned.id_of(&levels).unwrap());
        let snapshot = |branch: &Branch| -> StateSnapshot<u32> {
            branch.state.iter().map(|(key, id)| (key.clone(), interned.id_of(id).unwrap())).collect()
        };
        let error = resolve(version, &[snapshot(&left), snapshot(&right)], &holed).unwrap_err();
        assert!(matches!(&error, ResolveError::MissingEvent { event_id } if *event_id == levels), "{error}");
    }
}
