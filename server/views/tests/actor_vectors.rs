//! The examples of `nexus.actor` in `spec/vectors/actor.json`: this code finds what they say.
//!
//! `UPDATE_VECTORS=1` writes the file anew.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{collections::BTreeMap, path::PathBuf};

use nexus_state_resolution::{Pdu, RoomVersion};
use nexus_views::actor::{self, ActorFault, ActorRequest, Subject};
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedEventId, RoomId, UserId, serde::Base64,
    signatures::Ed25519KeyPair,
};
use serde_json::{Value, json};

const ROOM: &str = "!XTsjNEoAOEWoEZIqvCKN5QqTsTTc_aLQJ4PhZQpbbwE";
const TS: u64 = 1_795_305_600_000;

fn key(seed: u8) -> Ed25519KeyPair {
    // The PKCS#8 frame of an Ed25519 key, around 32 bytes of seed.
    let frame = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    Ed25519KeyPair::from_der(&[frame.as_slice(), &[seed; 32]].concat(), "1".to_owned()).unwrap()
}

fn object(value: Value) -> CanonicalJsonObject {
    match CanonicalJsonValue::try_from(value).unwrap() {
        CanonicalJsonValue::Object(object) => object,
        other => panic!("{other:?} is no object"),
    }
}

/// An event with a good request of `user` in it.
fn event(user: &str, event_type: &str, state_key: Option<&str>, content: Value) -> Value {
    let content = object(content);
    let request = ActorRequest {
        user: UserId::parse(user).unwrap(),
        action: "role.update".to_owned(),
        ts_ms: TS - 1000,
    };
    let room = <&RoomId>::try_from(ROOM).unwrap();
    let subject = Subject { room, event_type, state_key, content: &content };
    let request = actor::sign(&request, subject, &key(7)).unwrap();
    let mut content = serde_json::to_value(content).unwrap();
    content["nexus.actor"] = serde_json::to_value(request).unwrap();
    let mut event = json!({
        "room_id": ROOM, "sender": "@nexus:a.example", "type": event_type, "content": content,
        "origin_server_ts": TS, "prev_events": [], "auth_events": [], "depth": 9,
    });
    if let Some(state_key) = state_key {
        event["state_key"] = json!(state_key);
    }
    event
}

fn cases() -> Vec<(&'static str, Value, Result<(), ActorFault>)> {
    let role = || {
        let content = json!({ "name": "mods", "permissions": "8192", "position": 1 });
        event("@ana:a.example", "nexus.role", Some("1795305600000123456"), content)
    };
    let with = |change: &dyn Fn(&mut Value)| {
        let mut event = role();
        change(&mut event);
        event
    };
    let request = |field: &'static str, value: Value| {
        with(&move |event: &mut Value| event["content"]["nexus.actor"][field] = value.clone())
    };
    let redaction = json!({ "redacts": "$target", "reason": "rude", "nexus.reason": "rude" });
    vec![
        ("a role", role(), Ok(())),
        ("a redaction", event("@ana:a.example", "m.room.redaction", None, redaction), Ok(())),
        (
            "letters beyond ASCII",
            event("@ana:a.example", "m.room.name", Some(""), json!({ "name": "Zoë 👋" })),
            Ok(()),
        ),
        (
            "signed by another server besides",
            with(&|event| {
                event["content"]["nexus.actor"]["signatures"]["b.example"] = json!({ "ed25519:x": "AAAA" })
            }),
            Ok(()),
        ),
        (
            "five minutes old",
            with(&|event| event["origin_server_ts"] = json!(TS - 1000 + actor::FRESH_MS)),
            Ok(()),
        ),
        (
            "older than that",
            with(&|event| event["origin_server_ts"] = json!(TS - 1000 + actor::FRESH_MS + 1)),
            Err(ActorFault::Stale),
        ),
        ("from the future", with(&|event| event["origin_server_ts"] = json!(1)), Err(ActorFault::Stale)),
        (
            "no request",
            with(&|event| drop(event["content"].as_object_mut().unwrap().remove("nexus.actor"))),
            Err(ActorFault::Absent),
        ),
        (
            "a request of another type",
            with(&|event| event["content"]["nexus.actor"] = json!("ana")),
            Err(ActorFault::Malformed),
        ),
        ("no user id", request("user", json!("ana")), Err(ActorFault::Malformed)),
        ("a time with a wrong type", request("ts", json!("now")), Err(ActorFault::Malformed)),
        ("no room", request("room", json!(null)), Err(ActorFault::Malformed)),
        ("in another room", with(&|event| event["room_id"] = json!("!other")), Err(ActorFault::OtherRoom)),
        (
            "for another role",
            with(&|event| event["state_key"] = json!("1795305600000123457")),
            Err(ActorFault::OtherEvent),
        ),
        (
            "for another type",
            with(&|event| event["type"] = json!("nexus.member")),
            Err(ActorFault::OtherEvent),
        ),
        (
            "with more permissions",
            with(&|event| event["content"]["permissions"] = json!("8")),
            Err(ActorFault::OtherContent),
        ),
        (
            "with a field more",
            with(&|event| event["content"]["bot"] = json!("@b:a.example")),
            Err(ActorFault::OtherContent),
        ),
        ("of another user", request("user", json!("@eve:a.example")), Err(ActorFault::NotSigned)),
        ("of a user of another server", request("user", json!("@ana:b.example")), Err(ActorFault::NotSigned)),
        ("for another action", request("action", json!("guild.update")), Err(ActorFault::NotSigned)),
        (
            "without a signature",
            with(&|event| {
                drop(event["content"]["nexus.actor"].as_object_mut().unwrap().remove("signatures"))
            }),
            Err(ActorFault::NotSigned),
        ),
    ]
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors/actor.json")
}

fn name(outcome: &Result<(), ActorFault>) -> String {
    match outcome {
        Ok(()) => "good".to_owned(),
        Err(fault) => format!("{fault:?}"),
    }
}

#[test]
fn the_file_has_the_cases() {
    let cases: Vec<Value> = cases()
        .into_iter()
        .map(|(what, event, outcome)| json!({ "what": what, "event": event, "outcome": name(&outcome) }))
        .collect();
    let key = Base64::<ruma::serde::base64::Standard, _>::new(key(7).public_key().to_vec()).encode();
    let file = json!({ "server": "a.example", "keys": { "ed25519:1": key }, "cases": cases });
    let text = serde_json::to_string_pretty(&file).unwrap() + "\n";
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(path(), &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path()).unwrap(), text, "UPDATE_VECTORS=1 writes it anew");
}

#[test]
fn each_case_is_judged_as_the_file_says() {
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path()).unwrap()).unwrap();
    let keys: BTreeMap<String, Base64> = serde_json::from_value(file["keys"].clone()).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.len() > 20);
    for case in cases {
        let event_id = OwnedEventId::try_from("$3oyBrNJ0Hv6Wk7Mls9a6uQKqqLnLZTPTGvPo4lMkRtY").unwrap();
        let pdu = Pdu::from_stored(RoomVersion::V12, event_id, case["event"].to_string().into()).unwrap();
        let outcome = actor::verify(&pdu, &keys).map(drop);
        assert_eq!(name(&outcome), case["outcome"], "{}", case["what"]);
    }
}
