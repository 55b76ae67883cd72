//! Unit tests of [`auth`](super).

use expect_test::expect;
use ruma::OwnedEventId;
use serde_json::{Value, json, value::to_raw_value};

use super::{AuthError, auth_types, authorise, authorise_by_auth_events};
use crate::{
    Draft, Pdu, RoomVersion, build,
    support::{Act, Room, TestServer, cited, message_draft, object, user},
};

fn cites(version: RoomVersion, kind: &str, state_key: Option<&str>, content: Value) -> String {
    let content = to_raw_value(&content).unwrap();
    match auth_types(version, kind, &user("alice"), state_key, &content) {
        Ok(pairs) => {
            let pairs: Vec<String> = pairs.iter().map(|(kind, key)| format!("{kind}|{key}")).collect();
            format!("[{}]", pairs.join(" "))
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_an_event_must_cite() {
    let alice = "@alice:a.example";
    let bob = "@bob:a.example";
    let restricted = json!({ "membership": "join", "join_authorised_via_users_server": bob });
    let third_party = json!({ "membership": "invite", "third_party_invite": { "signed": { "token": "t" } } });
    let cases = [
        ("m.room.create", Some(""), json!({})),
        ("m.room.message", None, json!({})),
        ("m.room.member", Some(alice), json!({ "membership": "join" })),
        ("m.room.member", Some(bob), json!({ "membership": "ban" })),
        ("m.room.member", Some(alice), restricted),
        ("m.room.member", Some(bob), third_party),
        ("m.room.member", None, json!({ "membership": "join" })),
        ("m.room.member", Some(alice), json!({})),
    ];
    let mut table = String::new();
    for version in [RoomVersion::V11, RoomVersion::V12] {
        for (kind, state_key, content) in &cases {
            let pairs = cites(version, kind, *state_key, content.clone());
            table.push_str(&format!("{version} {kind} {content} => {pairs}\n"));
        }
    }
    expect![[r#"
        11 m.room.create {} => []
        11 m.room.message {} => [m.room.power_levels| m.room.member|@alice:a.example m.room.create|]
        11 m.room.member {"membership":"join"} => [m.room.power_levels| m.room.member|@alice:a.example m.room.create| m.room.join_rules|]
        11 m.room.member {"membership":"ban"} => [m.room.power_levels| m.room.member|@alice:a.example m.room.create| m.room.member|@bob:a.example]
        11 m.room.member {"join_authorised_via_users_server":"@bob:a.example","membership":"join"} => [m.room.power_levels| m.room.member|@alice:a.example m.room.create| m.room.join_rules| m.room.member|@bob:a.example]
        11 m.room.member {"membership":"invite","third_party_invite":{"signed":{"token":"t"}}} => [m.room.power_levels| m.room.member|@alice:a.example m.room.create| m.room.member|@bob:a.example m.room.join_rules| m.room.third_party_invite|t]
        11 m.room.member {"membership":"join"} => malformed content: missing `state_key` field for `m.room.member` event
        11 m.room.member {} => malformed content: missing or invalid `membership` field in `m.room.member` event: missing field `membership` at line 1 column 2
        12 m.room.create {} => []
        12 m.room.message {} => [m.room.power_levels| m.room.member|@alice:a.example]
        12 m.room.member {"membership":"join"} => [m.room.power_levels| m.room.member|@alice:a.example m.room.join_rules|]
        12 m.room.member {"membership":"ban"} => [m.room.power_levels| m.room.member|@alice:a.example m.room.member|@bob:a.example]
        12 m.room.member {"join_authorised_via_users_server":"@bob:a.example","membership":"join"} => [m.room.power_levels| m.room.member|@alice:a.example m.room.join_rules| m.room.member|@bob:a.example]
        12 m.room.member {"membership":"invite","third_party_invite":{"signed":{"token":"t"}}} => [m.room.power_levels| m.room.member|@alice:a.example m.room.member|@bob:a.example m.room.join_rules| m.room.third_party_invite|t]
        12 m.room.member {"membership":"join"} => malformed content: missing `state_key` field for `m.room.member` event
        12 m.room.member {} => malformed content: missing or invalid `membership` field in `m.room.member` event: missing field `membership` at line 1 column 2
    "#]].assert_eq(&table);
}

#[test]
fn who_may_do_what() {
    let bob = user("bob");
    let join = json!({ "membership": "join" });
    let cases: [(&str, &str, Option<&str>, Value); 9] = [
        ("carol", "m.room.message", None, json!({ "body": "hi" })),
        ("dave", "m.room.message", None, json!({ "body": "hi" })),
        ("dave", "m.room.member", Some("@dave:a.example"), join),
        ("bob", "m.room.topic", Some(""), json!({ "topic": "t" })),
        ("carol", "m.room.topic", Some(""), json!({ "topic": "t" })),
        ("carol", "m.room.member", Some(bob.as_str()), json!({ "membership": "ban" })),
        ("bob", "m.room.member", Some("@carol:a.example"), json!({ "membership": "ban" })),
        ("carol", "m.room.power_levels", Some(""), json!({ "users": { "@carol:a.example": 100 } })),
        ("alice", "x.own", Some("@bob:a.example"), json!({})),
    ];
    let verdicts = |version: RoomVersion| {
        let (room, main) = Room::new(version);
        let mut table = String::new();
        for (sender, kind, state_key, content) in cases.clone() {
            let act = Act { sender, kind, state_key, content, ts: 10 };
            let pdu = room.build_on(&main, act);
            let verdict = room.authorise(&main, &pdu);
            let by_citations = authorise_by_auth_events(version, &pdu, |id| room.event(id));
            assert_eq!(verdict.is_ok(), by_citations.is_ok(), "{pdu:?}");
            let verdict = verdict.map_or_else(|error| error.to_string(), |()| "allowed".to_owned());
            table.push_str(&format!("{sender} {kind} => {verdict}\n"));
        }
        table
    };
    let table = verdicts(RoomVersion::V12);
    expect![[r#"
        carol m.room.message => allowed
        dave m.room.message => forbidden by the state: sender's membership is not `join`
        dave m.room.member => allowed
        bob m.room.topic => allowed
        carol m.room.topic => forbidden by the state: sender does not have enough power to send event of type `m.room.topic`
        carol m.room.member => forbidden by the state: sender does not have enough power to ban target user
        bob m.room.member => allowed
        carol m.room.power_levels => forbidden by the state: sender does not have enough power to send event of type `m.room.power_levels`
        alice x.own => forbidden by the state: sender cannot send event with `state_key` matching another user's ID
    "#]].assert_eq(&table);
    assert_eq!(verdicts(RoomVersion::V10), table);
    assert_eq!(verdicts(RoomVersion::V11), table);
}

fn create(version: RoomVersion, content: Value) -> Result<(), AuthError> {
    let named = (!version.room_id_is_create_event()).then(|| "!room:a.example".try_into().unwrap());
    let draft = Draft {
        room_id: named,
        event_type: "m.room.create".to_owned(),
        state_key: Some(String::new()),
        content: object(content),
        prev_events: vec![],
        auth_events: vec![],
        ..message_draft("")
    };
    let pdu = build(version, draft, &TestServer::new("a.example")).unwrap();
    authorise(version, &pdu, |_| None, |_, _| None)
}

#[test]
fn which_create_events_found_a_room() {
    let alice = "@alice:a.example";
    let cases = [
        (RoomVersion::V10, json!({ "room_version": "10", "creator": alice })),
        (RoomVersion::V10, json!({ "room_version": "10" })),
        (RoomVersion::V11, json!({ "room_version": "11" })),
        (RoomVersion::V11, json!({ "room_version": "12" })),
        (RoomVersion::V11, json!({})),
        (RoomVersion::V12, json!({ "room_version": "12", "additional_creators": [alice] })),
        (RoomVersion::V12, json!({ "room_version": "12", "additional_creators": ["alice"] })),
        (RoomVersion::V12, json!({ "room_version": 12 })),
    ];
    let table: String = cases
        .into_iter()
        .map(|(version, content)| {
            let verdict = create(version, content.clone());
            format!("{version} {content} => {verdict:?}\n")
        })
        .collect();
    expect![[r#"
        10 {"creator":"@alice:a.example","room_version":"10"} => Ok(())
        10 {"room_version":"10"} => Err(AuthEvents { reason: "missing `creator` field in `m.room.create` event" })
        11 {"room_version":"11"} => Ok(())
        11 {"room_version":"12"} => Err(RoomVersion { found: "12" })
        11 {} => Err(RoomVersion { found: "1" })
        12 {"additional_creators":["@alice:a.example"],"room_version":"12"} => Ok(())
        12 {"additional_creators":["alice"],"room_version":"12"} => Err(AuthEvents { reason: "invalid `additional_creators` field in `m.room.create` event: leading sigil is incorrect or missing at line 1 column 32" })
        12 {"room_version":12} => Err(Malformed { reason: "invalid type: integer `12`, expected a string at line 1 column 18" })
    "#]].assert_eq(&table);
}

#[test]
fn citing_what_one_must_not_cite_is_refused() {
    let (room, main) = Room::new(RoomVersion::V12);
    let act = || Act { sender: "bob", kind: "m.room.message", state_key: None, content: json!({}), ts: 9 };
    let honest = room.build_on(&main, act());
    let join_rules = main.state[&("m.room.join_rules".to_owned(), String::new())].clone();
    let with_citations = |auth_events: Vec<OwnedEventId>| {
        let draft = Draft {
            room_id: Some(honest.room_id().to_owned()),
            sender: user("bob"),
            auth_events: room.citations(auth_events.iter()),
            ..message_draft("hi")
        };
        build(RoomVersion::V12, draft, &room.server).unwrap()
    };
    let verdict = |pdu: &Pdu| format!("{:?}", room.authorise(&main, pdu));
    let unknown = Draft {
        room_id: Some(honest.room_id().to_owned()),
        sender: user("bob"),
        auth_events: vec![cited("$unknown")],
        ..message_draft("hi")
    };
    let unknown = build(RoomVersion::V12, unknown, &room.server).unwrap();
    let mut twice = honest.auth_events().to_vec();
    twice.push(twice[0].clone());
    let unexpected = with_citations(vec![join_rules.clone()]);
    let twice = with_citations(twice);
    let table = [verdict(&honest), verdict(&unknown), verdict(&unexpected), verdict(&twice)].join("\n");
    let table = table
        .replace(join_rules.as_str(), "$join_rules")
        .replace(honest.auth_events()[0].as_str(), "$levels");
    expect![[r#"
        Ok(())
        Err(UnknownAuthEvent { event_id: "$unknown" })
        Err(AuthEvents { reason: "unexpected auth event $join_rules with (m.room.join_rules, ) pair" })
        Err(AuthEvents { reason: "duplicate auth event $levels for (m.room.power_levels, ) pair" })"#]]
    .assert_eq(&table);
}
