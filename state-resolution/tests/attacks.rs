//! Attacks that this crate answers by itself, in every room version. The numbers are those of
//! `docs/security.md`; the ones that need a membership request are beside `handshake`.

#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made is a failed test")]

mod support;

use std::sync::Arc;

use nexus_state_resolution::{
    AuthError, Cited, Draft, EVENT_BYTES_MAX, JsonLimits, KeyRing, Pdu, RedactionRefused, RoomVersion,
    Signer as _, Validity, Verified, authorise, authorise_by_auth_events, build, check_format, parse_object,
    redaction_takes_effect, required_signers, verify, verify_reporting, verify_with_keys,
};
use ruma::{OwnedEventId, ServerName, serde::Base64, signatures::PublicKeyMap, signatures::sign_json};
use serde_json::{Value, json};
use support::{
    Act, Branch, Interned, Room, TestServer, cited, message_draft, millis, object, of_version, user,
};

fn message(version: RoomVersion) -> Pdu {
    build(version, of_version(version, message_draft("hi")), &TestServer::new("a.example")).unwrap()
}

fn speak(room: &Room, branch: &Branch, by: &str) -> Pdu {
    let act = Act { sender: by, kind: "m.room.message", state_key: None, content: json!({}), ts: 50 };
    room.build_on(branch, act)
}

/// The room and another one of the same people, whose events are not its own.
fn two_rooms(version: RoomVersion) -> ((Room, Branch), (Room, Branch)) {
    let other = Room::named(version, "!other:a.example");
    (Room::new(version), other)
}

#[test]
fn attack_01_power_of_another_room_counts_nothing() {
    for version in RoomVersion::ALL {
        let ((room, main), (other, elsewhere)) = two_rooms(version);
        let levels = ("m.room.power_levels".to_owned(), String::new());
        let mut borrowed = main.clone();
        borrowed.state.insert(levels.clone(), elsewhere.state[&levels].clone());
        let event = |id: &ruma::EventId| room.event(id).or_else(|| other.event(id));
        let auth_events = borrowed.state.iter().filter(|((kind, key), _)| {
            kind == "m.room.power_levels"
                || (kind == "m.room.create" && !version.room_id_is_create_event())
                || key == user("alice").as_str()
        });
        let draft = Draft {
            room_id: Some(room.events[0].room_id().to_owned()),
            auth_events: auth_events.map(|(_, id)| event(id).unwrap().citation().unwrap()).collect(),
            ..of_version(version, message_draft("hi"))
        };
        let forged = build(version, draft, &room.server).unwrap();
        let said = authorise_by_auth_events(version, &forged, event).unwrap_err();
        assert!(said.to_string().contains("not in the same room"), "version {version}: {said}");
    }
}

#[test]
fn attack_01_a_room_id_made_of_another_event_founds_no_room() {
    let version = RoomVersion::V12;
    let (room, main) = Room::new(version);
    let name = ("m.room.join_rules".to_owned(), String::new());
    let not_create = main.state[&name].as_str().replacen('$', "!", 1);
    let draft = Draft {
        room_id: Some(not_create.as_str().try_into().unwrap()),
        auth_events: vec![],
        ..message_draft("hi")
    };
    let event = build(version, draft, &room.server).unwrap();
    let said = authorise_by_auth_events(version, &event, |id| room.event(id)).unwrap_err();
    assert!(said.to_string().contains("founds no room"), "{said}");
}

#[test]
fn attack_02_what_was_rejected_lets_nothing_in_whichever_way_it_is_fetched() {
    for version in RoomVersion::ALL {
        let (room, main) = Room::new(version);
        let event = speak(&room, &main, "bob");
        for rejected in event.auth_events() {
            let fetch = |id: &ruma::EventId| match id == rejected {
                true => Cited::Rejected,
                false => room.event(id).into(),
            };
            let expected = Err(AuthError::RejectedAuthEvent { event_id: rejected.clone() });
            assert_eq!(authorise_by_auth_events(version, &event, fetch), expected);
            // A state that would allow it makes no difference.
            let by_state = authorise(version, &event, fetch, |kind, key| room.in_state(&main, kind, key));
            assert_eq!(by_state, expected);
        }
        let nothing_held = authorise_by_auth_events(version, &event, |_| Cited::Unknown);
        assert!(matches!(nothing_held, Err(AuthError::UnknownAuthEvent { .. })), "{nothing_held:?}");
    }
}

/// The ways into this crate for JSON of others, each with its verdict on the same text.
fn verdicts(version: RoomVersion, json: &str, keys: &PublicKeyMap, ring: &KeyRing) -> Vec<bool> {
    vec![
        verify(version, json, keys).is_ok(),
        verify_reporting(version, json, keys).is_ok(),
        verify_with_keys(version, json, ring, millis(1_700_000_000_001)).is_ok(),
    ]
}

fn ring_of(server: &TestServer, validity: Validity) -> KeyRing {
    let mut ring = KeyRing::default();
    for (id, key) in &server.keys()[server.server_name().as_str()] {
        ring.insert(server.server_name(), id, key.clone(), validity);
    }
    ring
}

#[test]
fn attack_08_no_way_in_leaves_signatures_unchecked() {
    let server = TestServer::new("a.example");
    let (keys, ring) = (server.keys(), ring_of(&server, Validity::Until(millis(u64::MAX >> 12))));
    for version in RoomVersion::ALL {
        let sent = message(version);
        assert_eq!(verdicts(version, sent.json(), &keys, &ring), [true; 3]);
        let forgeries: [fn(&mut Value); 5] = [
            |json| json["signatures"] = json!({}),
            |json| json["signatures"]["a.example"] = json!({}),
            |json| json["signatures"]["a.example"]["ed25519:t1"] = json!("AAAA"),
            |json| json["sender"] = json!("@bob:a.example"),
            |json| json["depth"] = json!(8),
        ];
        for forge in forgeries {
            let mut json: Value = serde_json::from_str(sent.json()).unwrap();
            forge(&mut json);
            assert_eq!(verdicts(version, &json.to_string(), &keys, &ring), [false; 3], "{version} {json}");
        }
    }
}

#[test]
fn attack_09_the_relaying_server_cannot_speak_for_the_senders() {
    let (author, relay) = (TestServer::new("a.example"), TestServer::new("b.example"));
    let mut keys = author.keys();
    keys.extend(relay.keys());
    for version in RoomVersion::ALL {
        let mut event = message(version).to_canonical_object();
        event.remove("signatures");
        let mut signed = event.clone();
        sign_json("b.example", relay.key_pair(), &mut signed).unwrap();
        let json = serde_json::to_string(&signed).unwrap();
        assert!(verify(version, &json, &keys).is_err(), "signed by the relay in version {version}");
        // The relay's key under the author's name.
        let mut posing = event.clone();
        sign_json("a.example", relay.key_pair(), &mut posing).unwrap();
        let json = serde_json::to_string(&posing).unwrap();
        assert!(verify(version, &json, &keys).is_err(), "signed by another's key in version {version}");
        // No key of the author is known: the event waits, it does not pass.
        assert!(verify(version, message(version).json(), &relay.keys()).is_err());
        assert!(verify(version, message(version).json(), &PublicKeyMap::new()).is_err());
    }
}

#[test]
fn attack_09_nobody_chooses_the_id_of_anothers_event() {
    let (ours, theirs) = (TestServer::new("a.example"), TestServer::new("b.example"));
    for version in RoomVersion::ALL {
        let mut event = message(version).to_canonical_object();
        event.remove("signatures");
        event.insert("event_id".to_owned(), "$wanted:b.example".into());
        ruma::signatures::hash_and_sign_event(
            "a.example",
            ours.key_pair(),
            &mut event,
            &version.rules().redaction,
        )
        .unwrap();
        let json = serde_json::to_string(&event).unwrap();
        let mut keys = ours.keys();
        keys.extend(theirs.keys());
        let verified = verify(version, &json, &keys);
        if version.names_its_events() {
            assert!(verified.is_err(), "an id of b.example without its signature");
            assert!(required_signers(version, &json).unwrap().contains(theirs.server_name()));
        } else {
            // The field is one like any other: the id is the hash.
            assert_ne!(verified.unwrap().event_id(), "$wanted:b.example");
        }
    }
}

/// What `server` publishes of itself, with a second key that it gave up at `expired`.
fn published(server: &TestServer, until: u64, old: Option<(&TestServer, u64)>) -> Vec<u8> {
    let name = server.server_name().as_str();
    let key = |server: &TestServer| server.keys()[server.server_name().as_str()]["ed25519:t1"].encode();
    let mut keys = json!({
        "server_name": name, "valid_until_ts": until, "verify_keys": { "ed25519:t1": { "key": key(server) } },
        "old_verify_keys": {},
    });
    if let Some((old, expired)) = old {
        keys["old_verify_keys"]["ed25519:old"] = json!({ "key": key(old), "expired_ts": expired });
    }
    let mut keys = object(keys);
    sign_json(name, server.key_pair(), &mut keys).unwrap();
    serde_json::to_vec(&keys).unwrap()
}

#[test]
fn attack_10_a_key_counts_only_while_it_holds() {
    const MADE: u64 = 1_700_000_000_000; // as `message_draft` has it
    const WEEK: u64 = 7 * 24 * 3600 * 1000;
    let server = TestServer::new("a.example");
    let cases = [
        ("holds", Validity::Until(millis(MADE)), MADE, true),
        ("ended a moment before", Validity::Until(millis(MADE - 1)), MADE, false),
        ("given up later", Validity::Expired(millis(MADE)), MADE + 9, true),
        ("given up before", Validity::Expired(millis(MADE - 1)), MADE, false),
        ("claims to hold for ever, event of now", Validity::Until(millis(MADE * 4)), MADE, true),
        (
            "claims to hold for ever, event of next month",
            Validity::Until(millis(MADE * 4)),
            MADE - 4 * WEEK,
            false,
        ),
        ("known to be stolen", Validity::Revoked, MADE, false),
    ];
    for version in RoomVersion::ALL {
        for (name, validity, now, holds) in cases {
            let ring = ring_of(&server, validity);
            let verified = verify_with_keys(version, message(version).json(), &ring, millis(now));
            // Before version 5 only a known theft is a reason.
            let expected = match version.rules().enforce_key_validity {
                true => holds,
                false => validity != Validity::Revoked,
            };
            assert_eq!(verified.is_ok(), expected, "{name} in version {version}");
        }
    }
}

#[test]
fn attack_10_a_notary_neither_makes_up_keys_nor_brings_back_old_ones() {
    let (server, notary) = (TestServer::new("a.example"), TestServer::new("n.example"));
    let name = server.server_name();
    let old = TestServer::new("old.example");
    let mut ring = KeyRing::default();
    ring.learn(name, &published(&server, 1000, Some((&old, 500)))).unwrap();
    let known = ring.clone();

    // A list in the server's name, signed by the notary, with the notary's key or without any of the server.
    let mut lie = object(serde_json::from_slice(&published(&notary, 9000, None)).unwrap());
    lie.insert("server_name".to_owned(), "a.example".into());
    lie.remove("signatures");
    sign_json("n.example", notary.key_pair(), &mut lie).unwrap();
    assert!(ring.learn(name, &serde_json::to_vec(&lie).unwrap()).is_err());
    sign_json("a.example", notary.key_pair(), &mut lie).unwrap();
    let said = ring.learn(name, &serde_json::to_vec(&lie).unwrap()).unwrap_err();
    assert_eq!(said.to_string(), "key ed25519:t1 is another than before");
    assert!(ring.learn(name, &published(&notary, 9000, None)).is_err(), "another server's own list");
    assert!(ring.learn(name, b"{}").is_err());
    assert_eq!(ring, known, "what is refused changes nothing");

    // An answer of before the old key was given up, which its server really signed then.
    let before = |until: u64| {
        let key = old.keys()["old.example"]["ed25519:t1"].encode();
        let current = server.keys()["a.example"]["ed25519:t1"].encode();
        let mut keys = object(json!({
            "server_name": "a.example", "valid_until_ts": until,
            "verify_keys": { "ed25519:old": { "key": key }, "ed25519:t1": { "key": current } },
        }));
        sign_json("a.example", server.key_pair(), &mut keys).unwrap();
        serde_json::to_vec(&keys).unwrap()
    };
    ring.learn(name, &before(9000)).unwrap();
    let valid = ring.valid_for(RoomVersion::V12, millis(600), millis(600));
    assert!(!valid["a.example"].contains_key("ed25519:old"), "given up stays given up");
    assert!(valid["a.example"].contains_key("ed25519:t1"));
    ring.revoke(name, "ed25519:t1");
    ring.learn(name, &published(&server, 90_000, None)).unwrap();
    let valid = ring.valid_for(RoomVersion::V1, millis(600), millis(600));
    assert!(!valid["a.example"].contains_key("ed25519:t1"), "revoked stays revoked");
}

fn redaction_of(room: &Room, branch: &Branch, by: &str, target: &OwnedEventId) -> Pdu {
    let version = room.version;
    let plain = speak(room, branch, by);
    let draft = Draft {
        room_id: Some(room.events[0].room_id().to_owned()),
        sender: user(by),
        event_type: "m.room.redaction".to_owned(),
        content: object(json!({})),
        redacts: Some(target.clone()),
        prev_events: room.citations(plain.prev_events().iter()),
        auth_events: room.citations(plain.auth_events().iter()),
        ..message_draft("")
    };
    build(version, draft, &room.server).unwrap()
}

#[test]
fn attack_11_the_create_event_is_not_redacted_and_loses_no_version_if_it_comes_redacted() {
    for version in RoomVersion::ALL {
        let (room, main) = Room::new(version);
        let create = &room.events[0];
        let redaction = redaction_of(&room, &main, "alice", &create.event_id().to_owned());
        let state = |kind: &str, key: &str| room.in_state(&main, kind, key);
        let verdict = redaction_takes_effect(&redaction, create, state);
        assert_eq!(verdict, Err(RedactionRefused::Create));

        // Another server may serve it redacted all the same: the room goes on by its own version's rules.
        let redacted = Arc::new(create.redacted().unwrap());
        assert_eq!((redacted.version(), redacted.event_id()), (version, create.event_id()));
        assert_eq!(redacted.room_id(), create.room_id());
        let event = speak(&room, &main, "bob");
        let held = |id: &ruma::EventId| match id == create.event_id() {
            true => Some(redacted.clone()),
            false => room.event(id),
        };
        assert_eq!(authorise_by_auth_events(version, &event, held), Ok(()));
    }
}

#[test]
fn attack_11_others_events_need_power() {
    for version in RoomVersion::ALL {
        let (mut room, mut main) = Room::new(version);
        let said = room.act(
            &mut main,
            Act { sender: "carol", kind: "m.room.message", state_key: None, content: json!({}), ts: 9 },
        );
        let said = said.unwrap();
        let (_, (other, _)) = two_rooms(version);
        let state = |kind: &str, key: &str| room.in_state(&main, kind, key);
        // All of the fixture's users are of one server, which may redact what its users said.
        let own = redaction_of(&room, &main, "bob", &said.event_id().to_owned());
        assert_eq!(redaction_takes_effect(&own, &said, state), Ok(()));

        let foreign = foreign_redaction(version, &room, &said);
        assert_eq!(redaction_takes_effect(&foreign, &said, state), Err(RedactionRefused::Forbidden));
        assert_eq!(redaction_takes_effect(&own, &other.events[1], state), Err(RedactionRefused::OtherTarget));
        assert_eq!(redaction_takes_effect(&said, &said, state), Err(RedactionRefused::OtherTarget));
        assert_eq!(redaction_takes_effect(&foreign, &said, |_, _| None), Err(RedactionRefused::Forbidden));
    }
}

/// By a user of another server, without any power here.
fn foreign_redaction(version: RoomVersion, room: &Room, target: &Pdu) -> Pdu {
    let draft = Draft {
        room_id: Some(room.events[0].room_id().to_owned()),
        sender: "@mallory:b.example".try_into().unwrap(),
        event_type: "m.room.redaction".to_owned(),
        content: object(json!({})),
        redacts: Some(target.event_id().to_owned()),
        ..of_version(version, message_draft(""))
    };
    build(version, draft, &TestServer::new("b.example")).unwrap()
}

#[test]
fn attack_11_redactions_in_a_circle_end() {
    for version in RoomVersion::ALL {
        // Two redactions whose ids are each other's targets, as only a store could be made to hold them.
        let raw = |id: &str, target: &str| {
            let mut json: Value = serde_json::from_str(message(version).json()).unwrap();
            json["type"] = json!("m.room.redaction");
            json["redacts"] = json!(target);
            json["content"] = json!({ "redacts": target, "reason": "circle" });
            let id = OwnedEventId::try_from(id).unwrap();
            Pdu::from_stored(version, id, json.to_string().into_boxed_str()).unwrap()
        };
        let (one, other) =
            (raw("$one:a.example", "$other:a.example"), raw("$other:a.example", "$one:a.example"));
        assert_eq!(redaction_takes_effect(&one, &other, |_, _| None), Ok(()));
        assert_eq!(redaction_takes_effect(&other, &one, |_, _| None), Ok(()));
        let (one, other) = (one.redacted().unwrap(), other.redacted().unwrap());
        assert!(!one.json().contains("circle") && !other.json().contains("circle"));
        assert_eq!(one.redacted().unwrap(), one, "there is nothing further to take away");
    }
}

#[test]
fn attack_18_an_event_on_an_old_point_rolls_back_no_ban_and_no_power() {
    for version in RoomVersion::ALL.into_iter().skip(1) {
        for ts in [1, 20, 90] {
            let (mut room, main) = Room::new(version);
            let (mut now, mut old) = (main.clone(), main);
            let ban = json!({ "membership": "ban" });
            room.state(&mut now, "alice", "m.room.member", user("bob").as_str(), ban, 20);
            // Bob pretends to know nothing of it, at any time he likes.
            let kick = json!({ "membership": "leave" });
            room.state(&mut old, "bob", "m.room.member", user("carol").as_str(), kick, ts);
            let levels = room.in_state(&old, "m.room.power_levels", "").unwrap();
            let mut levels: Value = levels.content_as().unwrap();
            levels["users"][user("carol").as_str()] = json!(50);
            room.state(&mut old, "bob", "m.room.power_levels", "", levels, ts);
            room.state(&mut old, "bob", "m.room.join_rules", "", json!({ "join_rule": "invite" }), ts);

            let state = room.resolve(&[now.clone(), old], &Interned::in_order(&room));
            for (kind, key) in [
                ("m.room.member", user("bob").to_string()),
                ("m.room.power_levels", String::new()),
                ("m.room.join_rules", String::new()),
                ("m.room.member", user("carol").to_string()),
                ("m.room.create", String::new()),
            ] {
                let key = (kind.to_owned(), key);
                assert_eq!(state.get(&key), now.state.get(&key), "{kind} in version {version}, sent at {ts}");
            }
        }
    }
}

#[test]
fn attack_20_width_and_depth_are_bounded() {
    let server = TestServer::new("a.example");
    for version in RoomVersion::ALL {
        let sent = message(version).to_canonical_object();
        let verdict = |field: &str, value: Value| {
            let mut event = sent.clone();
            event.insert(field.to_owned(), serde_json::from_value(value).unwrap());
            check_format(version, &event, 1000).is_ok()
        };
        let list = |count: usize| match version.cites_by_hash() {
            true => json!(vec![json!(["$id:a.example", { "sha256": "aGFzaA" }]); count]),
            false => json!(vec!["$id"; count]),
        };
        for (field, most) in [("prev_events", 20), ("auth_events", 10)] {
            assert!(verdict(field, list(most)) && !verdict(field, list(most + 1)), "{field} in {version}");
        }
        assert!(verdict("depth", json!((1_u64 << 53) - 1)) && !verdict("depth", json!(-1)));

        // Somebody claims the greatest depth: who builds on it claims the same, and the room goes on.
        for depth in [(1 << 53) - 1, 1 << 53, u64::MAX] {
            let draft = Draft { depth, ..of_version(version, message_draft("after")) };
            let next = build(version, draft, &server).unwrap();
            assert_eq!(next.depth(), (1 << 53) - 1);
            assert_eq!(verify(version, next.json(), &server.keys()).unwrap(), next);
        }
        let wide = Draft { prev_events: vec![cited("$id:a.example"); 21], ..message_draft("") };
        assert!(build(version, wide, &server).is_err());
    }
}

#[test]
fn attack_20_an_event_that_cites_itself_or_what_is_not_there_ends() {
    for version in RoomVersion::ALL {
        let (room, main) = Room::new(version);
        let event = Arc::new(speak(&room, &main, "bob"));
        // Whatever is asked for is the event itself: no walk, one verdict.
        let said = authorise_by_auth_events(version, &event, |_| Some(event.clone()));
        assert!(matches!(said, Err(AuthError::AuthEvents { .. })), "{said:?}");
    }
}

/// Texts that are JSON for some parsers, with what must be said of an event that holds them.
fn hostile() -> Vec<(&'static str, String, bool)> {
    let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    vec![
        ("a plain number", "1".to_owned(), true),
        ("the greatest integer", "9007199254740991".to_owned(), true),
        ("the least integer", "-9007199254740991".to_owned(), true),
        ("one more", "9007199254740992".to_owned(), false),
        ("one less", "-9007199254740992".to_owned(), false),
        ("64 bits", "18446744073709551615".to_owned(), false),
        ("more than 64 bits", "1234567890123456789012345".to_owned(), false),
        ("a fraction", "0.5".to_owned(), false),
        ("an integer as a fraction", "1.0".to_owned(), false),
        ("an exponent", "1e3".to_owned(), false),
        ("an endless exponent", "1e999999".to_owned(), false),
        ("minus zero", "-0".to_owned(), false),
        ("not a number", "NaN".to_owned(), false),
        ("nothing", String::new(), false),
        ("a lone surrogate", r#""\ud800""#.to_owned(), false),
        ("a control character", "\"\u{1}\"".to_owned(), false),
        ("U+0000 in a string", r#""a\u0000b""#.to_owned(), true),
        ("98 levels", deep(97), true),
        ("101 levels", deep(100), false),
        ("a hundred thousand levels", deep(60_000), false),
    ]
}

#[test]
fn attack_32_every_way_in_says_the_same_of_hostile_json() {
    let server = TestServer::new("a.example");
    let (keys, ring) = (server.keys(), ring_of(&server, Validity::Until(millis(u64::MAX >> 12))));
    for version in RoomVersion::ALL {
        let sent = message(version);
        for (name, text, is_fine) in hostile() {
            // In the content, where the hash breaks and the event comes redacted; and in `unsigned`.
            for place in [r#""body":"hi""#, r#""type":"m.room.message""#] {
                let with = match place.starts_with(r#""body"#) {
                    true => sent.json().replace(place, &format!("{place},\"zz\":{text}")),
                    false => sent.json().replace(place, &format!("{place},\"unsigned\":{{\"x\":{text}}}")),
                };
                let parsed = parse_object(with.as_bytes(), JsonLimits::EVENT);
                assert_eq!(parsed.is_ok(), is_fine, "{name} in version {version}: {parsed:?}");
                assert_eq!(
                    verdicts(version, &with, &keys, &ring),
                    [is_fine; 3],
                    "{name} in version {version}"
                );
                assert_eq!(required_signers(version, &with).is_ok(), is_fine, "{name} in version {version}");
            }
        }
    }
}

#[test]
fn attack_32_a_key_written_twice_is_one_key_with_its_last_value() {
    let server = TestServer::new("a.example");
    for version in RoomVersion::ALL {
        let sent = message(version);
        let twice = |first: &str, last: &str| {
            sent.json().replace(r#""body":"hi""#, &format!("\"body\":{first},\"body\":{last}"))
        };
        let kept = verify_reporting(version, &twice("\"forged\"", "\"hi\""), &server.keys()).unwrap();
        assert_eq!(kept, Verified::Intact(sent.clone()), "hash and signature are over the last value");
        let lost = verify_reporting(version, &twice("\"hi\"", "\"forged\""), &server.keys()).unwrap();
        assert!(matches!(lost, Verified::Redacted(_)));
        let sender = sent.json().replace(r#""sender":"#, r#""sender":"@eve:b.example","sender":"#);
        assert_eq!(verify(version, &sender, &server.keys()).unwrap(), sent);
        assert_eq!(required_signers(version, &sender).unwrap().len(), 1);
    }
}

#[test]
fn attack_32_an_event_of_65536_bytes_is_the_largest_everywhere() {
    let server = TestServer::new("a.example");
    let (keys, ring) = (server.keys(), ring_of(&server, Validity::Until(millis(u64::MAX >> 12))));
    for version in RoomVersion::ALL {
        let of_size =
            |text: usize| build(version, of_version(version, message_draft(&"x".repeat(text))), &server);
        let room = EVENT_BYTES_MAX - of_size(0).unwrap().json().len();
        let largest = of_size(room).unwrap();
        assert_eq!(largest.json().len(), EVENT_BYTES_MAX);
        assert_eq!(verdicts(version, largest.json(), &keys, &ring), [true; 3], "version {version}");
        assert!(of_size(room + 1).is_err());
        let larger = largest.json().replace(r#""body":"x"#, r#""body":"xx"#);
        assert_eq!(verdicts(version, &larger, &keys, &ring), [false; 3], "version {version}");
        // Whitespace is no part of the event, up to what is read at all.
        let spaced =
            format!("{}{}", largest.json(), " ".repeat(JsonLimits::EVENT.max_bytes - EVENT_BYTES_MAX));
        assert_eq!(verdicts(version, &spaced, &keys, &ring), [true; 3]);
        assert_eq!(verdicts(version, &format!("{spaced} "), &keys, &ring), [false; 3]);
    }
}

#[test]
fn attack_32_no_id_has_u_0000() {
    let server = TestServer::new("a.example");
    for version in RoomVersion::ALL {
        for (field, id) in [("room_id", "!r\u{0}:a.example"), ("sender", "@al\u{0}ice:a.example")] {
            let mut event = message(version).to_canonical_object();
            event.insert(field.to_owned(), id.into());
            assert!(check_format(version, &event, 1000).is_err(), "{field} in version {version}");
        }
    }
    let key = Base64::parse("AAAA").unwrap();
    let mut ring = KeyRing::default();
    ring.insert(<&ServerName>::try_from("a.example").unwrap(), "ed25519:t1", key, Validity::Revoked);
    assert!(verify_with_keys(RoomVersion::V12, message(RoomVersion::V12).json(), &ring, millis(1)).is_err());
    assert!(verify(RoomVersion::V12, message(RoomVersion::V12).json(), &server.keys()).is_ok());
}
