//! Unit tests of [`verify`](super).

use std::{collections::BTreeMap, error::Error as _};

use expect_test::expect;
use ruma::signatures::PublicKeyMap;
use serde_json::{Value, json};

use super::{Verified, required_signers, verify, verify_reporting};
use crate::{
    Pdu, RoomVersion, build,
    support::{TestServer, message_draft, of_version},
};

fn server() -> TestServer {
    TestServer::new("a.example")
}

fn sent(version: RoomVersion) -> Pdu {
    build(version, of_version(version, message_draft("hi")), &server()).unwrap()
}

/// What a message says after someone changed its JSON on the way.
fn changed(change: impl FnOnce(&mut Value)) -> (Pdu, Result<Verified, super::VerifyError>) {
    let pdu = sent(RoomVersion::V12);
    let mut json: Value = serde_json::from_str(pdu.json()).unwrap();
    change(&mut json);
    let outcome = verify_reporting(RoomVersion::V12, &json.to_string(), &server().keys());
    (pdu, outcome)
}

#[test]
fn what_was_sent_arrives() {
    for version in RoomVersion::ALL {
        let pdu = sent(version);
        assert_eq!(verify(version, pdu.json(), &server().keys()).unwrap(), pdu);
    }
}

#[test]
fn unsigned_and_whitespace_are_no_part_of_the_event() {
    let (pdu, outcome) = changed(|json| json["unsigned"] = json!({ "age": 1, "x": "y".repeat(40_000) }));
    assert_eq!(outcome.unwrap(), Verified::Intact(pdu));
    let pdu = sent(RoomVersion::V12);
    let pretty: Value = serde_json::from_str(pdu.json()).unwrap();
    let pretty = serde_json::to_string_pretty(&pretty).unwrap();
    assert_eq!(verify(RoomVersion::V12, &pretty, &server().keys()).unwrap(), pdu);
}

#[test]
fn changed_content_is_redacted_under_the_same_id() {
    let (pdu, outcome) = changed(|json| json["content"]["body"] = json!("forged"));
    assert_eq!(outcome.unwrap(), Verified::Redacted(pdu.redacted().unwrap()));
    let (pdu, outcome) = changed(|json| json["extra"] = json!(1));
    assert_eq!(outcome.unwrap(), Verified::Redacted(pdu.redacted().unwrap()));
}

#[test]
fn what_is_refused() {
    let signature = |json: &mut Value| json["signatures"]["a.example"]["ed25519:t1"].take();
    type Change = Box<dyn FnOnce(&mut Value)>;
    let cases: [(&str, Change); 8] = [
        ("another sender", Box::new(|json| json["sender"] = json!("@eve:a.example"))),
        ("another server's sender", Box::new(|json| json["sender"] = json!("@eve:b.example"))),
        ("another time", Box::new(|json| json["origin_server_ts"] = json!(1))),
        ("another hash", Box::new(|json| json["hashes"]["sha256"] = json!("x"))),
        ("no signature", Box::new(|json| json["signatures"] = json!({}))),
        (
            "unknown key",
            Box::new(move |json| {
                json["signatures"]["a.example"] = json!({ "ed25519:t2": signature(json) });
            }),
        ),
        ("a float", Box::new(|json| json["content"]["n"] = json!(0.5))),
        ("no depth", Box::new(|json| json["depth"] = json!("7"))),
    ];
    let table: String = cases
        .into_iter()
        .map(|(name, change)| {
            let error = changed(change).1.unwrap_err();
            let source = error.source().map(ToString::to_string).unwrap_or_default();
            format!("{name} => {error}: {source}\n")
        })
        .collect();
    expect![[r#"
        another sender => verify signatures: ed25519 signature verification failed: signature error
        another server's sender => verify signatures: Could not find signatures for entity "b.example"
        another time => verify signatures: ed25519 signature verification failed: signature error
        another hash => verify signatures: ed25519 signature verification failed: signature error
        no signature => verify signatures: Could not find signatures for entity "a.example"
        unknown key => verify signatures: Could not find supported signature for entity "a.example"
        a float => parse event: not an integer between -(2^53)+1 and (2^53)-1: content.n
        no depth => event format: field depth is not an integer
    "#]]
    .assert_eq(&table);
}

#[test]
fn no_keys_no_event() {
    let error = verify(RoomVersion::V12, sent(RoomVersion::V12).json(), &PublicKeyMap::new()).unwrap_err();
    expect![[r#"Could not find public keys for entity "a.example""#]]
        .assert_eq(&error.source().unwrap().to_string());
}

#[test]
fn another_version_does_not_accept_what_its_rules_would_hash_differently() {
    // Version 11 redacts `creator`-only create events differently from version 10.
    let draft = crate::Draft {
        event_type: "m.room.create".to_owned(),
        state_key: Some(String::new()),
        content: crate::support::object(json!({ "creator": "@alice:a.example", "room_version": "10" })),
        ..message_draft("")
    };
    let pdu = build(RoomVersion::V10, draft, &server()).unwrap();
    assert!(verify(RoomVersion::V10, pdu.json(), &server().keys()).is_ok());
    assert!(verify(RoomVersion::V11, pdu.json(), &server().keys()).is_err());
}

#[test]
fn who_must_have_signed() {
    let mut json: Value = serde_json::from_str(sent(RoomVersion::V12).json()).unwrap();
    json["content"]["join_authorised_via_users_server"] = json!("@host:c.example");
    let servers = required_signers(RoomVersion::V12, &json.to_string()).unwrap();
    let names: BTreeMap<_, _> = servers.iter().map(|name| (name.as_str(), ())).collect();
    assert_eq!(names.into_keys().collect::<Vec<_>>(), ["a.example", "c.example"]);
}
