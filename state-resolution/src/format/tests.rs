//! Unit tests of [`format`](super).

use expect_test::expect;
use ruma::{CanonicalJsonObject, state_res::check_pdu_format};
use serde_json::{Value, json};

use super::{EVENT_BYTES_MAX, check_format};
use crate::{
    RoomVersion, build,
    support::{TestServer, message_draft, object, of_version},
};

fn message() -> CanonicalJsonObject {
    build(RoomVersion::V11, message_draft("hi"), &TestServer::new("a.example")).unwrap().to_canonical_object()
}

/// The verdict on a message with one field replaced, or removed by null.
fn verdict(version: RoomVersion, field: &str, value: Value) -> String {
    let mut event = message();
    if value.is_null() {
        event.remove(field);
    } else {
        event.insert(field.to_owned(), serde_json::from_value(value).unwrap());
    }
    let bytes = serde_json::to_string(&event).unwrap().len();
    match check_format(version, &event, bytes) {
        Ok(()) => "fine".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_the_format_refuses() {
    let many = |count: usize| Value::from(vec!["$id"; count]);
    let cases = [
        ("type", json!("m.room.message")),
        ("type", Value::Null),
        ("type", json!(1)),
        ("type", json!("t".repeat(256))),
        ("sender", json!("alice")),
        ("sender", json!(format!("@{}:a.example", "s".repeat(255)))),
        ("room_id", Value::Null),
        ("room_id", json!("room")),
        ("room_id", json!("!nul\u{0}:a.example")),
        ("state_key", json!("")),
        ("state_key", json!("k".repeat(256))),
        ("state_key", json!(["k"])),
        ("prev_events", many(20)),
        ("prev_events", many(21)),
        ("auth_events", many(10)),
        ("auth_events", many(11)),
        ("auth_events", json!([["$id", { "sha256": "x" }]])),
        ("auth_events", json!(["id"])),
        ("auth_events", json!([format!("${}", "i".repeat(255))])),
        ("depth", json!(-1)),
        ("depth", json!("1")),
        ("origin_server_ts", json!(-1)),
        ("origin_server_ts", Value::Null),
        ("content", json!([])),
        ("hashes", Value::Null),
        ("signatures", json!("none")),
        ("anything", json!({ "else": [1] })),
    ];
    let table: String = cases
        .into_iter()
        .map(|(field, value)| {
            let shown: String = value.to_string().chars().take(40).collect();
            format!("{field} {shown} => {}\n", verdict(RoomVersion::V11, field, value))
        })
        .collect();
    expect![[r#"
        type "m.room.message" => fine
        type null => field type is missing
        type 1 => field type is not a string
        type "ttttttttttttttttttttttttttttttttttttttt => field type has 256 bytes, the limit is 255
        sender "alice" => field sender holds an invalid id
        sender "@ssssssssssssssssssssssssssssssssssssss => field sender has 266 bytes, the limit is 255
        room_id null => field room_id is missing
        room_id "room" => field room_id holds an invalid id
        room_id "!nul\u0000:a.example" => field room_id holds an invalid id
        state_key "" => fine
        state_key "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk => field state_key has 256 bytes, the limit is 255
        state_key ["k"] => field state_key is not a string
        prev_events ["$id","$id","$id","$id","$id","$id","$i => fine
        prev_events ["$id","$id","$id","$id","$id","$id","$i => field prev_events has 21 entries, the limit is 20
        auth_events ["$id","$id","$id","$id","$id","$id","$i => fine
        auth_events ["$id","$id","$id","$id","$id","$id","$i => field auth_events has 11 entries, the limit is 10
        auth_events [["$id",{"sha256":"x"}]] => field auth_events is not a string
        auth_events ["id"] => field auth_events holds an invalid id
        auth_events ["$iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii => field auth_events has 256 bytes, the limit is 255
        depth -1 => field depth is out of range
        depth "1" => field depth is not an integer
        origin_server_ts -1 => field origin_server_ts is out of range
        origin_server_ts null => field origin_server_ts is missing
        content [] => field content is not an object
        hashes null => field hashes is missing
        signatures "none" => field signatures is not an object
        anything {"else":[1]} => fine
    "#]].assert_eq(&table);
}

#[test]
fn a_create_event_names_its_room_only_where_the_version_says_so() {
    let mut event = message();
    event.insert("type".to_owned(), "m.room.create".into());
    let without_room = {
        let mut event = event.clone();
        event.remove("room_id");
        event
    };
    let table: String = RoomVersion::ALL
        .into_iter()
        .map(|version| {
            let named = check_format(version, &event, 100);
            let unnamed = check_format(version, &without_room, 100);
            format!("{version}: named {named:?}, unnamed {unnamed:?}\n")
        })
        .collect();
    expect![[r#"
        1: named Err(Missing { field: "event_id" }), unnamed Err(Missing { field: "room_id" })
        2: named Err(Missing { field: "event_id" }), unnamed Err(Missing { field: "room_id" })
        3: named Ok(()), unnamed Err(Missing { field: "room_id" })
        4: named Ok(()), unnamed Err(Missing { field: "room_id" })
        5: named Ok(()), unnamed Err(Missing { field: "room_id" })
        6: named Ok(()), unnamed Err(Missing { field: "room_id" })
        7: named Ok(()), unnamed Err(Missing { field: "room_id" })
        8: named Ok(()), unnamed Err(Missing { field: "room_id" })
        9: named Ok(()), unnamed Err(Missing { field: "room_id" })
        10: named Ok(()), unnamed Err(Missing { field: "room_id" })
        11: named Ok(()), unnamed Err(Missing { field: "room_id" })
        12: named Err(Forbidden { field: "room_id" }), unnamed Ok(())
    "#]]
    .assert_eq(&table);
}

#[test]
fn the_create_event_is_not_cited_where_the_room_id_implies_it() {
    let mut event = message();
    event.insert("room_id".to_owned(), "!hash".into());
    event.insert("auth_events".to_owned(), serde_json::from_value(json!(["$other", "$hash"])).unwrap());
    assert!(check_format(RoomVersion::V11, &event, 100).is_ok());
    let error = check_format(RoomVersion::V12, &event, 100).unwrap_err();
    expect!["auth_events cite the create event"].assert_eq(&error.to_string());
}

#[test]
fn before_version_3_an_event_names_itself_and_cites_by_hash() {
    let server = TestServer::new("a.example");
    let built = build(RoomVersion::V1, of_version(RoomVersion::V1, message_draft("hi")), &server).unwrap();
    let cases = [
        ("event_id", json!("$opaque:a.example")),
        ("event_id", json!("$hash")),
        ("event_id", json!("opaque:a.example")),
        ("event_id", json!(1)),
        ("event_id", Value::Null),
        ("auth_events", json!([["$id:a.example", {}]])),
        ("auth_events", json!([["$id:a.example", { "sha256": 1 }]])),
        ("auth_events", json!(["$id:a.example"])),
        ("auth_events", json!([["$id:a.example"]])),
        ("auth_events", json!([["$id:a.example", {}, {}]])),
        ("auth_events", json!([["$id:a.example", "hash"]])),
        ("auth_events", json!([[{}, {}]])),
        ("prev_events", json!(vec![json!(["$id:a.example", {}]); 21])),
    ];
    let table: String = cases
        .into_iter()
        .map(|(field, value)| {
            let shown: String = value.to_string().chars().take(40).collect();
            let mut event = built.to_canonical_object();
            event.remove(field);
            if !value.is_null() {
                event.insert(field.to_owned(), serde_json::from_value(value).unwrap());
            }
            let verdict = check_format(RoomVersion::V1, &event, 100);
            format!(
                "{field} {shown} => {}\n",
                verdict.map_or_else(|error| error.to_string(), |()| "fine".into())
            )
        })
        .collect();
    expect![[r#"
        event_id "$opaque:a.example" => fine
        event_id "$hash" => field event_id holds an invalid id
        event_id "opaque:a.example" => field event_id holds an invalid id
        event_id 1 => field event_id is not a string
        event_id null => field event_id is missing
        auth_events [["$id:a.example",{}]] => fine
        auth_events [["$id:a.example",{"sha256":1}]] => fine
        auth_events ["$id:a.example"] => field auth_events is not a list of pairs of event id and hashes
        auth_events [["$id:a.example"]] => field auth_events is not a list of pairs of event id and hashes
        auth_events [["$id:a.example",{},{}]] => field auth_events is not a list of pairs of event id and hashes
        auth_events [["$id:a.example","hash"]] => field auth_events is not a list of pairs of event id and hashes
        auth_events [[{},{}]] => field auth_events is not a string
        prev_events [["$id:a.example",{}],["$id:a.example",{ => field prev_events has 21 entries, the limit is 20
    "#]].assert_eq(&table);
}

#[test]
fn an_event_may_have_65536_bytes_and_no_more() {
    assert!(check_format(RoomVersion::V11, &message(), EVENT_BYTES_MAX).is_ok());
    let error = check_format(RoomVersion::V11, &message(), EVENT_BYTES_MAX + 1).unwrap_err();
    expect!["event has 65537 bytes, the limit is 65536"].assert_eq(&error.to_string());
}

#[test]
fn what_passes_here_passes_rumas_check() {
    for version in RoomVersion::ALL {
        let draft = of_version(version, message_draft("hi"));
        let built = build(version, draft, &TestServer::new("a.example")).unwrap();
        let mut event = built.to_canonical_object();
        event.insert("state_key".to_owned(), "日本".into());
        check_format(version, &event, built.json().len()).unwrap();
        check_pdu_format(&event, &version.rules().event_format).unwrap();
        let nothing = object(json!({}));
        assert!(check_pdu_format(&nothing, &version.rules().event_format).is_err());
        assert!(check_format(version, &nothing, 2).is_err());
    }
}
