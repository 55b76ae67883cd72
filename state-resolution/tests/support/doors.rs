//! Every function of this crate that reads foreign bytes, as one function of bytes each: what the fuzz targets in
//! `fuzz/` and the quick `prop_hostile.rs` throw anything at. They panic when a promise is broken.

use std::{collections::BTreeMap, sync::Arc};

use nexus_state_resolution::{
    EVENT_BYTES_MAX, Handshake, HandshakeRequest, JsonLimits, KeyRing, Pdu, RoomVersion, Signer as _,
    auth_types, authorise, authorise_by_auth_events, authorise_state_only, check_format, check_handshake,
    countersign, parse_object, redaction_takes_effect, required_signers, verify, verify_reporting,
    verify_with_keys,
};
use ruma::{
    CanonicalJsonObject, EventId, OwnedEventId, ServerName, canonical_json::redact,
    signatures::hash_and_sign_event,
};

use super::{TestServer, millis, saga::Saga};

/// Texts to start from: the events of a room of each version, and what a server publishes of its keys.
pub fn samples() -> Vec<Vec<u8>> {
    let keys = r#"{"server_name":"a.example","valid_until_ts":9,"verify_keys":{"ed25519:t1":{"key":"AAAA"}},
        "old_verify_keys":{"ed25519:0":{"key":"AAAA","expired_ts":3}},
        "signatures":{"a.example":{"ed25519:t1":"AAAA"}}}"#;
    let mut samples = vec![keys.as_bytes().to_vec()];
    for version in RoomVersion::ALL {
        let saga = Saga::play(version, &[7, 1 << 40, 0xdead_beef, 16 * 3 + 1, 15 * 3]);
        samples.extend(saga.attempts.iter().map(|attempt| attempt.event.json().as_bytes().to_vec()));
    }
    samples
}

/// The room version that the first byte chooses, and what follows it.
fn versioned(bytes: &[u8]) -> (RoomVersion, &[u8]) {
    let (first, rest) = bytes.split_first().unwrap_or((&0, &[]));
    (RoomVersion::ALL[usize::from(*first) % RoomVersion::ALL.len()], rest)
}

/// JSON that is accepted is canonical once written: it reads back as itself.
pub fn json(bytes: &[u8]) {
    if let Ok(object) = parse_object(bytes, JsonLimits::EVENT) {
        let written = serde_json::to_vec(&object).unwrap();
        assert_eq!(parse_object(&written, JsonLimits { max_bytes: usize::MAX, max_depth: 100 }), Ok(object));
    }
}

/// An event as it comes, and the same with whatever signatures and hashes it would need.
pub fn event(bytes: &[u8]) {
    let (version, json) = versioned(bytes);
    let Ok(text) = std::str::from_utf8(json) else { return };
    let server = TestServer::new("a.example");
    received(version, text, &server);
    let Ok(mut object) = parse_object(json, JsonLimits::EVENT) else { return };
    object.remove("unsigned");
    let signed = hash_and_sign_event("a.example", server.key_pair(), &mut object, &version.rules().redaction);
    if signed.is_ok() {
        received(version, &serde_json::to_string(&object).unwrap(), &server);
    }
}

fn received(version: RoomVersion, text: &str, server: &TestServer) {
    let _ = required_signers(version, text);
    let verdict = verify_reporting(version, text, &server.keys());
    assert_eq!(verify(version, text, &server.keys()).is_ok(), verdict.is_ok());
    let mut ring = KeyRing::default();
    let _ = verify_with_keys(version, text, &ring, millis(1));
    let _ = ring.learn(server.server_name(), text.as_bytes());
    let Ok(verified) = verdict else { return };
    let pdu = verified.into_pdu();
    assert!(pdu.json().len() <= EVENT_BYTES_MAX);
    let object = pdu.to_canonical_object();
    assert_eq!(check_format(version, &object, pdu.json().len()), Ok(()));
    let redacted = pdu.redacted().unwrap();
    assert_eq!(redacted.event_id(), pdu.event_id());
    assert_eq!(redacted.citation().unwrap(), pdu.citation().unwrap());
    assert_eq!(redacted.redacted().unwrap(), redacted);
    assert_eq!(verify(version, pdu.json(), &server.keys()).unwrap(), pdu);
    judged(version, &[pdu]);
}

/// Events that nobody checked, judged by each other: lines of JSON.
pub fn rules(bytes: &[u8]) {
    let (version, lines) = versioned(bytes);
    let Ok(lines) = std::str::from_utf8(lines) else { return };
    let read = |(index, line): (usize, &str)| {
        let object: CanonicalJsonObject = parse_object(line.as_bytes(), JsonLimits::EVENT).ok()?;
        // Redaction takes whatever parses.
        let _ = redact(object.clone(), &version.rules().redaction, None);
        let id = OwnedEventId::try_from(format!("${index}:a.example")).unwrap();
        Pdu::from_stored(version, id, serde_json::to_string(&object).unwrap().into_boxed_str()).ok()
    };
    let events: Vec<Pdu> = lines.split('\n').take(12).enumerate().filter_map(read).collect();
    judged(version, &events);
}

fn judged(version: RoomVersion, events: &[Pdu]) {
    let held: BTreeMap<&EventId, Arc<Pdu>> =
        events.iter().map(|pdu| (pdu.event_id(), Arc::new(pdu.clone()))).collect();
    let by_id = |id: &EventId| held.get(id).cloned();
    let by_key = |kind: &str, key: &str| {
        held.values().find(|pdu| pdu.event_type() == kind && pdu.state_key() == Some(key)).cloned()
    };
    let asked = HandshakeRequest {
        about: Handshake::Join,
        origin: <&ServerName>::try_from("a.example").unwrap(),
        room_id: <&ruma::RoomId>::try_from("!room:a.example").unwrap(),
        event_id: None,
    };
    for event in events {
        let _ = auth_types(version, event.event_type(), event.sender(), event.state_key(), event.content());
        let by_state = authorise_state_only(version, event, by_key);
        let whole = authorise(version, event, by_id, by_key);
        assert!(whole.is_err() || by_state.is_ok(), "allowed as a whole, but not by the state");
        let _ = authorise_by_auth_events(version, event, by_id);
        let _ = check_handshake(event, asked);
        let _ = countersign(event, &TestServer::new("a.example"));
        let _ = event.citation();
        for target in events {
            let _ = redaction_takes_effect(event, target, by_key);
        }
    }
}

/// A server's published keys.
pub fn keys(bytes: &[u8]) {
    let server = TestServer::new("a.example");
    let mut ring = KeyRing::default();
    let before = ring.clone();
    if ring.learn(server.server_name(), bytes).is_err() {
        assert_eq!(ring, before);
    }
    let Ok(mut object) = parse_object(bytes, JsonLimits::EVENT) else { return };
    if ruma::signatures::sign_json("a.example", server.key_pair(), &mut object).is_ok() {
        let _ = ring.learn(server.server_name(), &serde_json::to_vec(&object).unwrap());
        let _ = ring.valid_for(RoomVersion::V12, millis(1), millis(2));
    }
}

/// A drawn history whose branches are resolved in two orders.
pub fn history(bytes: &[u8]) {
    let (version, steps) = versioned(bytes);
    let steps: Vec<u64> = steps
        .chunks_exact(8)
        .take(60)
        .map(|chunk| chunk.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
        .collect();
    let saga = Saga::play(version, &steps);
    let mut branches = saga.branches.clone();
    let interned = super::Interned::in_order(&saga.room);
    let resolved = saga.room.resolve(&branches, &interned);
    branches.reverse();
    assert_eq!(saga.room.resolve(&branches, &interned), resolved);
}
