//! Unit tests of [`pdu`](super).

use expect_test::expect;
use ruma::{OwnedEventId, signatures::verify_event};
use serde_json::json;

use super::Pdu;
use crate::{
    Draft, RoomVersion, build,
    support::{TestServer, message_draft, object, of_version},
};

fn built(version: RoomVersion, draft: Draft) -> Pdu {
    build(version, of_version(version, draft), &TestServer::new("a.example")).unwrap()
}

fn stored(version: RoomVersion, json: serde_json::Value) -> Result<Pdu, String> {
    let id = OwnedEventId::try_from("$id").unwrap();
    Pdu::from_stored(version, id, json.to_string().into_boxed_str()).map_err(|error| {
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("{error} [{source}]")
    })
}

fn wire(event_type: &str, content: serde_json::Value) -> serde_json::Value {
    json!({
        "type": event_type, "content": content, "sender": "@alice:a.example", "room_id": "!r:a.example",
        "origin_server_ts": 1, "depth": 1, "prev_events": [], "auth_events": [],
    })
}

#[test]
fn what_is_stored_reads_back_equal() {
    for version in RoomVersion::ALL {
        let pdu = built(version, message_draft("日本"));
        let back = Pdu::from_stored(version, pdu.event_id().to_owned(), pdu.json().into()).unwrap();
        assert_eq!(back, pdu);
        assert_eq!(back.content().get(), pdu.content().get());
        assert_eq!(back.prev_events(), pdu.prev_events());
    }
}

#[test]
fn redacting_keeps_id_and_signatures_and_drops_content() {
    let server = TestServer::new("a.example");
    let member = Draft {
        event_type: "m.room.member".to_owned(),
        state_key: Some("@alice:a.example".to_owned()),
        content: object(json!({ "membership": "join", "displayname": "A" })),
        ..message_draft("")
    };
    for version in RoomVersion::ALL {
        for (draft, kept) in [(message_draft("secret"), "{}"), (member.clone(), r#"{"membership":"join"}"#)] {
            let pdu = built(version, draft);
            let redacted = pdu.redacted().unwrap();
            assert_eq!(redacted.event_id(), pdu.event_id());
            assert_eq!(redacted.content().get(), kept);
            assert_ne!(redacted, pdu);
            assert_eq!(redacted.redacted().unwrap(), redacted);
            verify_event(&server.keys(), &redacted.to_canonical_object(), version.rules()).unwrap();
        }
    }
}

#[test]
fn where_a_redaction_names_its_target() {
    let mut both = wire("m.room.redaction", json!({ "redacts": "$inner" }));
    both["redacts"] = json!("$outer");
    let mut bad = wire("m.room.redaction", json!({ "redacts": 7 }));
    bad["redacts"] = json!({ "no": "id" });
    let mut message = wire("m.room.message", json!({ "redacts": "$inner" }));
    message["redacts"] = json!("$outer");

    let mut table = String::new();
    for (name, json) in [("both", both), ("bad", bad), ("message", message)] {
        for version in RoomVersion::ALL {
            let pdu = stored(version, json.clone()).unwrap();
            table.push_str(&format!("{name} {version}: {:?}\n", pdu.redacts()));
        }
    }
    expect![[r#"
        both 1: Some("$outer")
        both 2: Some("$outer")
        both 3: Some("$outer")
        both 4: Some("$outer")
        both 5: Some("$outer")
        both 6: Some("$outer")
        both 7: Some("$outer")
        both 8: Some("$outer")
        both 9: Some("$outer")
        both 10: Some("$outer")
        both 11: Some("$inner")
        both 12: Some("$inner")
        bad 1: None
        bad 2: None
        bad 3: None
        bad 4: None
        bad 5: None
        bad 6: None
        bad 7: None
        bad 8: None
        bad 9: None
        bad 10: None
        bad 11: None
        bad 12: None
        message 1: None
        message 2: None
        message 3: None
        message 4: None
        message 5: None
        message 6: None
        message 7: None
        message 8: None
        message 9: None
        message 10: None
        message 11: None
        message 12: None
    "#]]
    .assert_eq(&table);
}

#[test]
fn a_room_id_is_implied_only_by_a_create_event_of_version_12() {
    let without_room = |event_type: &str| {
        let mut json = wire(event_type, json!({}));
        json.as_object_mut().unwrap().remove("room_id");
        json
    };
    assert_eq!(stored(RoomVersion::V12, without_room("m.room.create")).unwrap().room_id(), "!id");
    let mut table = String::new();
    for (version, event_type) in [(RoomVersion::V12, "m.room.name"), (RoomVersion::V11, "m.room.create")] {
        let error = stored(version, without_room(event_type)).unwrap_err();
        table.push_str(&format!("{version} {event_type}: {error}\n"));
    }
    expect![[r#"
        12 m.room.name: read event $id: it names no room []
        11 m.room.create: read event $id: it names no room []
    "#]]
    .assert_eq(&table);
}

#[test]
fn damaged_json_is_an_error_with_the_event_id() {
    let mut json = wire("m.room.name", json!({}));
    json["sender"] = json!("nobody");
    expect!["read event $id [leading sigil is incorrect or missing at line 1 column 121]"]
        .assert_eq(&stored(RoomVersion::V11, json).unwrap_err());
}

#[test]
fn debug_output_does_not_show_content() {
    let shown = format!("{:?}", built(RoomVersion::V12, message_draft("secret")));
    assert!(!shown.contains("secret"), "{shown}");
}
