//! What `build` makes by joining strings equals what `ruma` computes with its general functions, and
//! arrives, reads back and redacts as the same event.

#![allow(clippy::unwrap_used, reason = "a strategy that cannot make its value is a failed test")]

mod support;

use nexus_state_resolution::{
    Citation, Draft, Pdu, RoomVersion, Signer, Verified, build, check_format, verify, verify_reporting,
};
use proptest::prelude::*;
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, EventId, Int, OwnedEventId,
    canonical_json::redact,
    signatures::{Verified as RumaVerified, hash_and_sign_event, reference_hash, verify_event},
    state_res::check_pdu_format,
};
use serde_json::json;
use support::{TestServer, message_draft, millis, object, of_version};

fn json_value() -> impl Strategy<Value = CanonicalJsonValue> {
    let leaf = prop_oneof![
        Just(CanonicalJsonValue::Null),
        any::<bool>().prop_map(CanonicalJsonValue::Bool),
        (-(1_i64 << 53) + 1..1_i64 << 53)
            .prop_map(|number| CanonicalJsonValue::Integer(Int::try_from(number).unwrap())),
        any::<String>().prop_map(CanonicalJsonValue::String),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(CanonicalJsonValue::Array),
            prop::collection::btree_map(any::<String>(), inner, 0..5).prop_map(CanonicalJsonValue::Object),
        ]
    })
}

/// Contents with the keys that redaction treats apart, and with others.
fn content() -> impl Strategy<Value = CanonicalJsonObject> {
    let key = prop_oneof![
        any::<String>(),
        prop::sample::select(vec![
            "membership",
            "join_authorised_via_users_server",
            "third_party_invite",
            "creator",
            "join_rule",
            "allow",
            "users",
            "invite",
            "redacts",
            "history_visibility",
            "aliases",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::btree_map(key, json_value(), 0..6).prop_map(|mut content| {
        // This key names a server that would have to sign as well.
        content.remove("join_authorised_via_users_server");
        let third_party = content.get("third_party_invite").cloned();
        if let Some(value) = third_party {
            let wrapped =
                CanonicalJsonObject::from([("signed".to_owned(), value.clone()), ("x".to_owned(), value)]);
            content.insert("third_party_invite".to_owned(), wrapped.into());
        }
        content
    })
}

fn event_type() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,40}",
        any::<String>().prop_filter("at most 255 bytes", |text| text.len() <= 255),
        prop::sample::select(vec![
            "m.room.member",
            "m.room.create",
            "m.room.join_rules",
            "m.room.power_levels",
            "m.room.history_visibility",
            "m.room.redaction",
            "m.room.aliases",
            "m.room.message",
            "nexus.guild",
        ])
        .prop_map(str::to_owned),
    ]
}

fn event_ids(most: usize) -> impl Strategy<Value = Vec<OwnedEventId>> {
    let id =
        "[A-Za-z0-9_\"\\\\é-]{1,43}".prop_map(|hash| OwnedEventId::try_from(format!("${hash}")).unwrap());
    prop::collection::vec(id, 0..most)
}

fn draft() -> impl Strategy<Value = (RoomVersion, Draft)> {
    let key = prop::option::of(any::<String>().prop_filter("at most 255 bytes", |text| text.len() <= 255));
    let place =
        (0..1_u64 << 53, 0..1_u64 << 53, event_ids(20), event_ids(10), prop::option::of(event_ids(2)));
    (prop::sample::select(RoomVersion::ALL.to_vec()), event_type(), key, content(), place).prop_map(
        |(version, event_type, state_key, mut content, (ts, depth, prev_events, auth_events, redacts))| {
            // Without it, who must have signed cannot be told.
            if event_type == "m.room.member"
                && !content.get("membership").is_some_and(|value| value.is_string())
            {
                content.insert("membership".to_owned(), "invite".into());
            }
            let names_room = event_type != "m.room.create" || !version.room_id_is_create_event();
            let plain = message_draft("");
            let draft = Draft {
                room_id: plain.room_id.clone().filter(|_| names_room),
                event_type,
                state_key,
                content,
                redacts: redacts.and_then(|mut ids| ids.pop()),
                origin_server_ts: millis(ts),
                prev_events: prev_events.into_iter().map(Citation::from).collect(),
                auth_events: auth_events.into_iter().map(Citation::from).collect(),
                depth,
                ..plain
            };
            (version, of_version(version, draft))
        },
    )
}

/// A list of cited events as the version writes it, the hashes being those that [`of_version`] makes up.
fn written(version: RoomVersion, cited: &[Citation]) -> serde_json::Value {
    let entry = |citation: &Citation| match version.cites_by_hash() {
        true => json!([citation.event_id(), { "sha256": "aGFzaA" }]),
        false => json!(citation.event_id()),
    };
    cited.iter().map(entry).collect()
}

/// The same event, built with `ruma` alone; where servers choose ids, with the id that was chosen.
fn reference(version: RoomVersion, draft: &Draft, id: &EventId, server: &TestServer) -> CanonicalJsonObject {
    let mut event = object(json!({
        "sender": draft.sender, "type": draft.event_type, "depth": draft.depth,
        "origin_server_ts": draft.origin_server_ts, "prev_events": written(version, &draft.prev_events),
        "auth_events": written(version, &draft.auth_events),
    }));
    if version.names_its_events() {
        event.insert("event_id".to_owned(), id.to_string().into());
    }
    let mut content = draft.content.clone();
    if let Some(target) = &draft.redacts {
        let place = if version.redacts_in_content() { &mut content } else { &mut event };
        place.insert("redacts".to_owned(), target.to_string().into());
    }
    event.insert("content".to_owned(), content.into());
    if let Some(room_id) = &draft.room_id {
        event.insert("room_id".to_owned(), room_id.to_string().into());
    }
    if let Some(key) = &draft.state_key {
        event.insert("state_key".to_owned(), key.clone().into());
    }
    let rules = &version.rules().redaction;
    hash_and_sign_event(server.server_name().as_str(), server.key_pair(), &mut event, rules).unwrap();
    event
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn build_equals_ruma((version, draft) in draft()) {
        let server = TestServer::new("a.example");
        let pdu = build(version, draft.clone(), &server).unwrap();
        let expected = reference(version, &draft, pdu.event_id(), &server);

        prop_assert_eq!(pdu.json(), serde_json::to_string(&expected).unwrap());
        let hash = reference_hash(&expected, version.rules()).unwrap();
        if version.names_its_events() {
            prop_assert_eq!(pdu.event_id().server_name(), Some(server.server_name()));
            prop_assert_eq!(pdu.citation().unwrap(), Citation::with_hash(pdu.event_id().to_owned(), &hash));
        } else {
            prop_assert_eq!(pdu.event_id().as_str(), format!("${hash}"));
        }
        let verified = verify_event(&server.keys(), &expected, version.rules());
        prop_assert!(matches!(verified, Ok(RumaVerified::All)), "{:?}", verified);
        check_pdu_format(&expected, &version.rules().event_format).unwrap();
        check_format(version, &expected, pdu.json().len()).unwrap();
    }

    #[test]
    fn what_is_built_arrives_and_reads_back((version, draft) in draft(), noise in content()) {
        let server = TestServer::new("a.example");
        let pdu = build(version, draft, &server).unwrap();
        prop_assert_eq!(&verify(version, pdu.json(), &server.keys()).unwrap(), &pdu);
        let back = Pdu::from_stored(version, pdu.event_id().to_owned(), pdu.json().into()).unwrap();
        prop_assert_eq!(back.room_id(), pdu.room_id());
        prop_assert_eq!(back.content().get(), pdu.content().get());
        prop_assert_eq!(back.redacts(), pdu.redacts());
        prop_assert_eq!(back.timeline_type(), pdu.timeline_type());
        prop_assert_eq!(back.state_key(), pdu.state_key());

        // `unsigned` is whatever the sending server likes.
        let mut with_unsigned = pdu.to_canonical_object();
        with_unsigned.insert("unsigned".to_owned(), noise.into());
        let json = serde_json::to_string(&with_unsigned).unwrap();
        prop_assert_eq!(verify_reporting(version, &json, &server.keys()).unwrap(), Verified::Intact(pdu));
    }

    #[test]
    fn redaction_keeps_the_id_and_is_rumas((version, draft) in draft(), extra in json_value()) {
        let server = TestServer::new("a.example");
        let pdu = build(version, draft, &server).unwrap();
        let redacted = pdu.redacted().unwrap();
        let expected = redact(pdu.to_canonical_object(), &version.rules().redaction, None).unwrap();
        prop_assert_eq!(redacted.json(), serde_json::to_string(&expected).unwrap());
        prop_assert_eq!(redacted.event_id(), pdu.event_id());
        prop_assert_eq!(redacted.citation().unwrap(), pdu.citation().unwrap());
        prop_assert_eq!(redacted.room_id(), pdu.room_id());

        // An extra key breaks the content hash, so the event arrives redacted, under its id.
        let mut with_extra = pdu.to_canonical_object();
        with_extra.insert("nexus.extra".to_owned(), extra);
        let json = serde_json::to_string(&with_extra).unwrap();
        prop_assert_eq!(verify_reporting(version, &json, &server.keys()).unwrap(), Verified::Redacted(redacted));
    }
}
