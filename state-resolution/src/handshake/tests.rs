//! Unit tests of [`handshake`](super): the attacks of servers that ask nicely.

use expect_test::expect;
use ruma::{EventId, RoomId, ServerName, signatures::Verified, signatures::verify_event};
use serde_json::{Value, json};

use super::{Handshake, HandshakeRequest, check_handshake, countersign};
use crate::{
    Draft, Pdu, RoomVersion, build,
    support::{TestServer, message_draft, object},
};

const DAVE: &str = "@dave:b.example";

/// An event of `b.example`.
fn sent(version: RoomVersion, kind: &str, state_key: Option<&str>, content: Value) -> Pdu {
    let draft = Draft {
        sender: DAVE.try_into().unwrap(),
        event_type: kind.to_owned(),
        state_key: state_key.map(str::to_owned),
        content: object(content),
        ..message_draft("")
    };
    build(version, draft, &TestServer::new("b.example")).unwrap()
}

fn member(state_key: &str, membership: &str) -> Pdu {
    sent(RoomVersion::V11, "m.room.member", Some(state_key), json!({ "membership": membership }))
}

fn request(about: Handshake) -> HandshakeRequest<'static> {
    HandshakeRequest {
        about,
        origin: <&ServerName>::try_from("b.example").unwrap(),
        room_id: <&RoomId>::try_from("!room:a.example").unwrap(),
        event_id: None,
    }
}

fn verdict(event: &Pdu, request: HandshakeRequest<'_>) -> String {
    check_handshake(event, request).map_or_else(|error| error.to_string(), |()| "fine".to_owned())
}

#[test]
fn each_request_takes_its_own_membership() {
    let mut table = String::new();
    for about in [Handshake::Join, Handshake::Leave, Handshake::Knock, Handshake::Invite] {
        for membership in ["join", "leave", "knock", "invite", "ban"] {
            let said = verdict(&member(DAVE, membership), request(about));
            table.push_str(&format!("{about:?} with {membership}: {said}\n"));
        }
    }
    expect![[r#"
        Join with join: fine
        Join with leave: membership is Some("leave"), not join
        Join with knock: membership is Some("knock"), not join
        Join with invite: membership is Some("invite"), not join
        Join with ban: membership is Some("ban"), not join
        Leave with join: membership is Some("join"), not leave
        Leave with leave: fine
        Leave with knock: membership is Some("knock"), not leave
        Leave with invite: membership is Some("invite"), not leave
        Leave with ban: membership is Some("ban"), not leave
        Knock with join: membership is Some("join"), not knock
        Knock with leave: membership is Some("leave"), not knock
        Knock with knock: fine
        Knock with invite: membership is Some("invite"), not knock
        Knock with ban: membership is Some("ban"), not knock
        Invite with join: membership is Some("join"), not invite
        Invite with leave: membership is Some("leave"), not invite
        Invite with knock: membership is Some("knock"), not invite
        Invite with invite: fine
        Invite with ban: membership is Some("ban"), not invite
    "#]]
    .assert_eq(&table);
}

#[test]
fn attack_04_another_room_or_event_than_in_the_path() {
    let join = member(DAVE, "join");
    let other_room = <&RoomId>::try_from("!other:a.example").unwrap();
    let other_event = <&EventId>::try_from("$other").unwrap();
    let named = HandshakeRequest { event_id: Some(join.event_id()), ..request(Handshake::Join) };
    assert_eq!(verdict(&join, named), "fine");
    let elsewhere = HandshakeRequest { room_id: other_room, ..request(Handshake::Join) };
    assert_eq!(verdict(&join, elsewhere), "in another room than the request");
    let misnamed = HandshakeRequest { event_id: Some(other_event), ..request(Handshake::Join) };
    assert_eq!(verdict(&join, misnamed), "another event than the request names");
}

#[test]
fn attack_07_what_is_no_join_does_not_come_through_send_join() {
    let v11 = RoomVersion::V11;
    let join = json!({ "membership": "join" });
    let cases = [
        ("a message", sent(v11, "m.room.message", None, json!({ "body": "hi" }))),
        ("other state", sent(v11, "m.room.power_levels", Some(""), json!({ "users": { DAVE: 100 } }))),
        ("state that looks like one", sent(v11, "x.member", Some(DAVE), join.clone())),
        ("a member event without key", sent(v11, "m.room.member", None, join.clone())),
        ("a join of no user", sent(v11, "m.room.member", Some("dave"), join.clone())),
        ("a join of another user", member("@erin:b.example", "join")),
        ("a ban", member(DAVE, "ban")),
        ("no membership", sent(v11, "m.room.member", Some(DAVE), json!({}))),
        ("a list", sent(v11, "m.room.member", Some(DAVE), json!({ "membership": ["join"] }))),
    ];
    let table: String = cases
        .iter()
        .map(|(name, event)| format!("{name}: {}\n", verdict(event, request(Handshake::Join))))
        .collect();
    expect![[r#"
        a message: not a membership event
        other state: not a membership event
        state that looks like one: not a membership event
        a member event without key: state key is not a user
        a join of no user: state key is not a user
        a join of another user: sender is not the user it is about
        a ban: membership is Some("ban"), not join
        no membership: membership is None, not join
        a list: membership is None, not join
    "#]]
    .assert_eq(&table);
    let relayed = HandshakeRequest {
        origin: <&ServerName>::try_from("c.example").unwrap(),
        ..request(Handshake::Join)
    };
    assert_eq!(verdict(&member(DAVE, "join"), relayed), "sender is not a user of the asking server");
}

#[test]
fn attack_07_what_is_no_knock_does_not_come_through_send_knock() {
    assert_eq!(verdict(&member(DAVE, "knock"), request(Handshake::Knock)), "fine");
    for membership in ["join", "invite", "leave", "ban", "KNOCK"] {
        assert_ne!(verdict(&member(DAVE, membership), request(Handshake::Knock)), "fine");
    }
    let for_another = member("@erin:b.example", "knock");
    assert_eq!(verdict(&for_another, request(Handshake::Knock)), "sender is not the user it is about");
}

#[test]
fn a_restricted_join_has_both_signatures() {
    let ours = TestServer::new("a.example");
    for version in RoomVersion::ALL {
        let content = json!({ "membership": "join", "join_authorised_via_users_server": "@alice:a.example" });
        let join = sent_in(version, content);
        let mut keys = ours.keys();
        keys.extend(TestServer::new("b.example").keys());
        let signed = countersign(&join, &ours);
        if !version.rules().authorization.restricted_join_rule {
            assert_eq!(signed.unwrap_err().to_string(), "no signature of a.example is due");
            continue;
        }
        let before = verify_event(&keys, &join.to_canonical_object(), version.rules());
        assert!(before.is_err(), "one signature does not suffice in version {version}");
        let signed = signed.unwrap();
        let after = verify_event(&keys, &signed.to_canonical_object(), version.rules());
        assert!(matches!(after, Ok(Verified::All)), "{after:?}");
        assert_eq!((signed.event_id(), signed.content().get()), (join.event_id(), join.content().get()));
    }
}

fn sent_in(version: RoomVersion, content: Value) -> Pdu {
    let draft = Draft {
        sender: DAVE.try_into().unwrap(),
        event_type: "m.room.member".to_owned(),
        state_key: Some(DAVE.to_owned()),
        content: object(content),
        ..message_draft("")
    };
    build(version, crate::support::of_version(version, draft), &TestServer::new("b.example")).unwrap()
}

#[test]
fn attack_05_we_sign_no_event_of_others_but_what_is_due() {
    let ours = TestServer::new("a.example");
    let v11 = RoomVersion::V11;
    let via = |user: &str| json!({ "membership": "join", "join_authorised_via_users_server": user });
    let cases = [
        ("an invite of our user", member("@alice:a.example", "invite")),
        ("an invite of another's user", member("@erin:c.example", "invite")),
        ("a ban of our user", member("@alice:a.example", "ban")),
        ("a join of our user", member("@alice:a.example", "join")),
        ("a join our user vouches for", sent(v11, "m.room.member", Some(DAVE), via("@alice:a.example"))),
        ("one for a third", sent(v11, "m.room.member", Some("@erin:c.example"), via("@alice:a.example"))),
        ("one another's user vouches for", sent(v11, "m.room.member", Some(DAVE), via("@erin:c.example"))),
        ("one nobody vouches for", sent(v11, "m.room.member", Some(DAVE), via("alice"))),
        ("a message", sent(v11, "m.room.message", None, via("@alice:a.example"))),
        ("power levels", sent(v11, "m.room.power_levels", Some(""), json!({ "users": { DAVE: 100 } }))),
    ];
    let table: String = cases
        .iter()
        .map(|(name, event)| {
            let said = countersign(event, &ours).map_or_else(|error| error.to_string(), |_| "signed".into());
            format!("{name}: {said}\n")
        })
        .collect();
    expect![[r#"
        an invite of our user: signed
        an invite of another's user: no signature of a.example is due
        a ban of our user: no signature of a.example is due
        a join of our user: no signature of a.example is due
        a join our user vouches for: signed
        one for a third: no signature of a.example is due
        one another's user vouches for: no signature of a.example is due
        one nobody vouches for: no signature of a.example is due
        a message: not a membership event
        power levels: not a membership event
    "#]]
    .assert_eq(&table);
}
