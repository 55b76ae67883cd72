//! Unit tests of [`build`](super).

use expect_test::{Expect, expect};
use ruma::signatures::{Verified, reference_hash, verify_event};
use serde_json::json;

use super::{BuildError, Draft, build};
use crate::{
    EVENT_BYTES_MAX, RoomVersion,
    support::{TestServer, cited, message_draft, object, of_version, user},
};

fn server() -> TestServer {
    TestServer::new("a.example")
}

fn redaction() -> Draft {
    Draft {
        event_type: "m.room.redaction".to_owned(),
        content: object(json!({ "reason": "spam" })),
        redacts: Some("$target".try_into().unwrap()),
        ..message_draft("")
    }
}

fn create() -> Draft {
    Draft {
        room_id: None,
        event_type: "m.room.create".to_owned(),
        state_key: Some(String::new()),
        content: object(json!({ "room_version": "12" })),
        prev_events: vec![],
        auth_events: vec![],
        depth: 1,
        ..message_draft("")
    }
}

fn check(version: RoomVersion, draft: Draft, expected: Expect) {
    let pdu = build(version, of_version(version, draft), &server()).unwrap();
    expected.assert_eq(&format!("{} in {}\n{}\n", pdu.event_id(), pdu.room_id(), pdu.json()));

    let object = pdu.to_canonical_object();
    if !version.names_its_events() {
        let hash = reference_hash(&object, version.rules()).unwrap();
        assert_eq!(pdu.event_id().as_str(), format!("${hash}"));
    }
    assert!(matches!(verify_event(&server().keys(), &object, version.rules()), Ok(Verified::All)));
}

#[test]
fn a_message_with_text_beyond_ascii() {
    check(
        RoomVersion::V10,
        message_draft("日本 \u{0}\u{1f}\u{7f}\"\\/ 🎉"),
        expect![[r#"
        $jDvnwcMJ731j7uyjIZqze05BTD8ojFWimLZ9OHcDWzU in !room:a.example
        {"auth_events":["$auth"],"content":{"body":"日本 \u0000\u001f\"\\/ 🎉","msgtype":"m.text"},"depth":7,"hashes":{"sha256":"igxCr+WY+Z2xcv1sx/XJRu3ZRLvQkl9wfE5xX45fey4"},"origin_server_ts":1700000000000,"prev_events":["$prev"],"room_id":"!room:a.example","sender":"@alice:a.example","signatures":{"a.example":{"ed25519:t1":"L5/Du7cbJ3ISI6+gu/MOEzG5NPt8O9KYRCl8rQfcPOKhgowyKZhZ/HL5RipHOrtm5dpvejfC1Ksfmy9RzuHJCA"}},"type":"m.room.message"}
    "#]],
    );
}

#[test]
fn a_message_of_version_1_carries_its_id_and_the_hashes_of_what_it_cites() {
    check(
        RoomVersion::V1,
        message_draft("hi"),
        expect![[r#"
        $XzSmup7by829niJlrO4x9w:a.example in !room:a.example
        {"auth_events":[["$auth",{"sha256":"aGFzaA"}]],"content":{"body":"hi","msgtype":"m.text"},"depth":7,"event_id":"$XzSmup7by829niJlrO4x9w:a.example","hashes":{"sha256":"KCuHDI80LEJ2ni4482dJ14ImPqbMfnQAAou94Rom78M"},"origin_server_ts":1700000000000,"prev_events":[["$prev",{"sha256":"aGFzaA"}]],"room_id":"!room:a.example","sender":"@alice:a.example","signatures":{"a.example":{"ed25519:t1":"MRjD2bATRiGMi9xiY/g0PxJxbkH1KjxZUFkXDVN/S3bAoCBbblyPyV+waxOOBja0GAZqEBFgkq607y1O/4GdBw"}},"type":"m.room.message"}
    "#]],
    );
}

#[test]
fn a_message_of_version_3_has_an_id_in_the_standard_alphabet() {
    check(
        RoomVersion::V3,
        message_draft("hi"),
        expect![[r#"
        $Dgk0//utIMIsLt/ZNRMWLYxZb34NYqCaXna26fHj9sE in !room:a.example
        {"auth_events":["$auth"],"content":{"body":"hi","msgtype":"m.text"},"depth":7,"hashes":{"sha256":"YJhujKvxCCuIzl1c/BlwHblurfORTMu+n74L+qL6IwI"},"origin_server_ts":1700000000000,"prev_events":["$prev"],"room_id":"!room:a.example","sender":"@alice:a.example","signatures":{"a.example":{"ed25519:t1":"8CLENgznDKFXEwN2ZjCP9rflMvwoYmYQzd95IeU8OGiAGX2H+eeAQQCBMwXmT9lfnieKl5ayR18PUpcSWujnCQ"}},"type":"m.room.message"}
    "#]],
    );
}

#[test]
fn a_message_of_version_4_has_an_id_in_the_url_safe_alphabet() {
    check(
        RoomVersion::V4,
        message_draft("hi"),
        expect![[r#"
        $Dgk0__utIMIsLt_ZNRMWLYxZb34NYqCaXna26fHj9sE in !room:a.example
        {"auth_events":["$auth"],"content":{"body":"hi","msgtype":"m.text"},"depth":7,"hashes":{"sha256":"YJhujKvxCCuIzl1c/BlwHblurfORTMu+n74L+qL6IwI"},"origin_server_ts":1700000000000,"prev_events":["$prev"],"room_id":"!room:a.example","sender":"@alice:a.example","signatures":{"a.example":{"ed25519:t1":"8CLENgznDKFXEwN2ZjCP9rflMvwoYmYQzd95IeU8OGiAGX2H+eeAQQCBMwXmT9lfnieKl5ayR18PUpcSWujnCQ"}},"type":"m.room.message"}
    "#]],
    );
}

#[test]
fn a_redaction_names_its_target_at_the_top_level_in_version_10() {
    check(
        RoomVersion::V10,
        redaction(),
        expect![[r#"
        $-Ce104jpxA9GgFE4J6XaL0s4t0Fp9NUFFzQpt3JfiQo in !room:a.example
        {"auth_events":["$auth"],"content":{"reason":"spam"},"depth":7,"hashes":{"sha256":"72KRo3f730Mjy1Phbb5n9DlQTjBEbtl5KYd5GgkVuiM"},"origin_server_ts":1700000000000,"prev_events":["$prev"],"redacts":"$target","room_id":"!room:a.example","sender":"@alice:a.example","signatures":{"a.example":{"ed25519:t1":"1sNzljw9B1Zn0b036pKP8HGMXmzt7jDm/ImZ2eguYKnwPCKnMNSphk1RIbLuCY92oVpA4WlgFagTlgnZu0WLDA"}},"type":"m.room.redaction"}
    "#]],
    );
}

#[test]
fn a_redaction_names_its_target_in_the_content_since_version_11() {
    check(
        RoomVersion::V11,
        redaction(),
        expect![[r#"
        $xNbELvk5Dek2X19VSBRbJ-f5dJ4vvP1Eh_vOiuytGqg in !room:a.example
        {"auth_events":["$auth"],"content":{"reason":"spam","redacts":"$target"},"depth":7,"hashes":{"sha256":"5U6ugACsCF6PHcCGkmtqmBB7NT/WZk4ZhbJNCA0hQ8k"},"origin_server_ts":1700000000000,"prev_events":["$prev"],"room_id":"!room:a.example","sender":"@alice:a.example","signatures":{"a.example":{"ed25519:t1":"Jz6Gyofx0YfU5UitiVu/h9kRS/LvcUigfSsc0glLWeoWKhElbQhpgC6bRAgMeEm3D9bj5J4VNRkA3rLP4AH+DA"}},"type":"m.room.redaction"}
    "#]],
    );
}

#[test]
fn a_create_event_of_version_12_founds_the_room_of_its_own_id() {
    check(
        RoomVersion::V12,
        create(),
        expect![[r#"
        $lcG6NzJzxT6CMG1PKuW55n7hex8nkfcoWpNDHaWmiYQ in !lcG6NzJzxT6CMG1PKuW55n7hex8nkfcoWpNDHaWmiYQ
        {"auth_events":[],"content":{"room_version":"12"},"depth":1,"hashes":{"sha256":"yhRZgNLa4Ojrsq+CMa4X8cIWJvERuI4BKbF/9ldOhHw"},"origin_server_ts":1700000000000,"prev_events":[],"sender":"@alice:a.example","signatures":{"a.example":{"ed25519:t1":"LrdJGRsSAqJd6f+1ZmKlc4bwckDBG9gAIJC0v4cG5WMrNWPjUxiwWdK+U7aof0Kcjr+Fuj+FYXZj9agGFkEZDQ"}},"state_key":"","type":"m.room.create"}
    "#]],
    );
}

fn refusal(version: RoomVersion, draft: Draft) -> String {
    build(version, draft, &server()).unwrap_err().to_string()
}

#[test]
fn drafts_that_are_no_events() {
    let plain = || message_draft("hi");
    let long = "x".repeat(256);
    let ids = |count: usize| vec![cited("$id"); count];
    let cases = [
        (RoomVersion::V12, Draft { event_type: long.clone(), ..plain() }),
        (RoomVersion::V12, Draft { state_key: Some(long), ..plain() }),
        (RoomVersion::V12, Draft { room_id: None, ..plain() }),
        (RoomVersion::V11, create()),
        (RoomVersion::V12, Draft { room_id: plain().room_id, ..create() }),
        (RoomVersion::V12, Draft { prev_events: ids(21), ..plain() }),
        (RoomVersion::V12, Draft { auth_events: ids(11), ..plain() }),
        (
            RoomVersion::V12,
            Draft { room_id: Some("!id".try_into().unwrap()), auth_events: ids(1), ..plain() },
        ),
        (RoomVersion::V2, plain()),
        (RoomVersion::V12, Draft { sender: "@eve:b.example".try_into().unwrap(), ..plain() }),
    ];
    let table: String =
        cases.into_iter().map(|(version, draft)| format!("{}\n", refusal(version, draft))).collect();
    expect![[r#"
        field type has 256 bytes, the limit is 255
        field state_key has 256 bytes, the limit is 255
        event format: field room_id is missing
        event format: field room_id is missing
        event format: field room_id is forbidden here
        event format: field prev_events has 21 entries, the limit is 20
        event format: field auth_events has 11 entries, the limit is 10
        event format: auth_events cite the create event
        event format: field prev_events cites an event without its hash
        sign for @eve:b.example as another server
    "#]]
    .assert_eq(&table);
}

#[test]
fn the_largest_event_and_one_byte_more() {
    let empty = build(RoomVersion::V12, message_draft(""), &server()).unwrap().json().len();
    let room = EVENT_BYTES_MAX - empty;
    let largest = build(RoomVersion::V12, message_draft(&"x".repeat(room)), &server()).unwrap();
    assert_eq!(largest.json().len(), EVENT_BYTES_MAX);

    let error = build(RoomVersion::V12, message_draft(&"x".repeat(room + 1)), &server()).unwrap_err();
    assert!(matches!(error, BuildError::TooLarge { bytes: 65_537, limit: 65_536 }), "{error}");
}

#[test]
fn the_parsed_fields_are_those_of_the_draft() {
    let draft = Draft { state_key: Some("key".to_owned()), ..message_draft("hi") };
    let pdu = build(RoomVersion::V11, draft.clone(), &server()).unwrap();
    assert_eq!(pdu.sender(), user("alice"));
    assert_eq!(pdu.event_type(), "m.room.message");
    assert_eq!(pdu.state_key(), Some("key"));
    assert_eq!(pdu.content().get(), r#"{"body":"hi","msgtype":"m.text"}"#);
    assert_eq!(pdu.origin_server_ts(), draft.origin_server_ts);
    assert_eq!(pdu.prev_events(), ["$prev"]);
    assert_eq!(pdu.auth_events(), ["$auth"]);
    assert_eq!((pdu.depth(), pdu.redacts(), pdu.version()), (7, None, RoomVersion::V11));
}
