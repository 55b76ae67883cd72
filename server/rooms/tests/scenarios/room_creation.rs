//! Rooms as Matrix clients make them: the state is exactly this.

use expect_test::{Expect, expect};
use nexus_rooms::{CreateRoom, InitialState, Preset, Rejection};
use nexus_state_resolution::RoomVersion;
use serde_json::{Value, json};

use crate::scene::{actor, object, play};

fn check(new: CreateRoom, expected: Expect) {
    play(async |scene| {
        let made = scene.rooms.create_room(&actor("ana"), new).await.unwrap();
        assert_eq!(scene.store().visible().0, 1, "one commit");
        let room = scene.room(made.room).await;
        assert_eq!(room.id, made.room_id);
        expected.assert_eq(&scene.state(&room, &[(room.id.as_str(), "<room>")]).await);
    });
}

/// Nothing of a room that cannot be is left.
fn check_impossible(new: CreateRoom) {
    play(async |scene| {
        let refusal = scene.refused(scene.rooms.create_room(&actor("ana"), new)).await;
        assert!(matches!(refusal, Rejection::InvalidState { .. }), "{refusal:?}");
    });
}

fn of_version(version: RoomVersion) -> CreateRoom {
    CreateRoom { version: Some(version), ..CreateRoom::default() }
}

fn initial(event_type: &str, state_key: &str, content: Value) -> InitialState {
    InitialState {
        event_type: event_type.to_owned(),
        state_key: state_key.to_owned(),
        content: object(content),
    }
}

#[test]
fn a_private_room_of_version_10() {
    check(
        of_version(RoomVersion::V10),
        expect![[r#"
        m.room.create "" {"creator":"@ana:sim.example","room_version":"10"} by ana
        m.room.guest_access "" {"guest_access":"can_join"} by ana
        m.room.history_visibility "" {"history_visibility":"shared"} by ana
        m.room.join_rules "" {"join_rule":"invite"} by ana
        m.room.member "@ana:sim.example" {"membership":"join"} by ana
        m.room.power_levels "" {"ban":50,"events":{"m.room.avatar":50,"m.room.canonical_alias":50,"m.room.encryption":100,"m.room.history_visibility":100,"m.room.name":50,"m.room.power_levels":100,"m.room.server_acl":100,"m.room.tombstone":100},"events_default":0,"invite":0,"kick":50,"redact":50,"state_default":50,"users":{"@ana:sim.example":100},"users_default":0} by ana
    "#]],
    );
}

#[test]
fn a_private_room_of_version_11() {
    check(
        of_version(RoomVersion::V11),
        expect![[r#"
        m.room.create "" {"room_version":"11"} by ana
        m.room.guest_access "" {"guest_access":"can_join"} by ana
        m.room.history_visibility "" {"history_visibility":"shared"} by ana
        m.room.join_rules "" {"join_rule":"invite"} by ana
        m.room.member "@ana:sim.example" {"membership":"join"} by ana
        m.room.power_levels "" {"ban":50,"events":{"m.room.avatar":50,"m.room.canonical_alias":50,"m.room.encryption":100,"m.room.history_visibility":100,"m.room.name":50,"m.room.power_levels":100,"m.room.server_acl":100,"m.room.tombstone":100},"events_default":0,"invite":0,"kick":50,"redact":50,"state_default":50,"users":{"@ana:sim.example":100},"users_default":0} by ana
    "#]],
    );
}

#[test]
fn a_private_room_of_version_12() {
    check(
        of_version(RoomVersion::V12),
        expect![[r#"
        m.room.create "" {"nexus.nonce":"random","room_version":"12"} by ana
        m.room.guest_access "" {"guest_access":"can_join"} by ana
        m.room.history_visibility "" {"history_visibility":"shared"} by ana
        m.room.join_rules "" {"join_rule":"invite"} by ana
        m.room.member "@ana:sim.example" {"membership":"join"} by ana
        m.room.power_levels "" {"ban":50,"events":{"m.room.avatar":50,"m.room.canonical_alias":50,"m.room.encryption":100,"m.room.history_visibility":100,"m.room.name":50,"m.room.power_levels":100,"m.room.server_acl":100,"m.room.tombstone":150},"events_default":0,"invite":0,"kick":50,"redact":50,"state_default":50,"users":{},"users_default":0} by ana
    "#]],
    );
}

#[test]
fn a_public_room_with_name_topic_and_type() {
    let new = CreateRoom {
        preset: Preset::PublicChat,
        name: Some("Square".to_owned()),
        topic: Some("for all".to_owned()),
        creation_content: object(
            json!({ "type": "m.space", "creator": "@eve:sim.example", "m.federate": false }),
        ),
        ..of_version(RoomVersion::V11)
    };
    check(
        new,
        expect![[r#"
        m.room.create "" {"m.federate":false,"room_version":"11","type":"m.space"} by ana
        m.room.guest_access "" {"guest_access":"forbidden"} by ana
        m.room.history_visibility "" {"history_visibility":"shared"} by ana
        m.room.join_rules "" {"join_rule":"public"} by ana
        m.room.member "@ana:sim.example" {"membership":"join"} by ana
        m.room.name "" {"name":"Square"} by ana
        m.room.power_levels "" {"ban":50,"events":{"m.room.avatar":50,"m.room.canonical_alias":50,"m.room.encryption":100,"m.room.history_visibility":100,"m.room.name":50,"m.room.power_levels":100,"m.room.server_acl":100,"m.room.tombstone":100},"events_default":0,"invite":0,"kick":50,"redact":50,"state_default":50,"users":{"@ana:sim.example":100},"users_default":0} by ana
        m.room.topic "" {"m.topic":{"m.text":[{"body":"for all","mimetype":"text/plain"}]},"topic":"for all"} by ana
    "#]],
    );
}

#[test]
fn those_a_creator_trusts_have_the_same_power_in_version_11() {
    let new = CreateRoom {
        preset: Preset::TrustedPrivateChat,
        invite: vec![actor("ben").user],
        is_direct: true,
        ..of_version(RoomVersion::V11)
    };
    check(
        new,
        expect![[r#"
        m.room.create "" {"room_version":"11"} by ana
        m.room.guest_access "" {"guest_access":"can_join"} by ana
        m.room.history_visibility "" {"history_visibility":"shared"} by ana
        m.room.join_rules "" {"join_rule":"invite"} by ana
        m.room.member "@ana:sim.example" {"membership":"join"} by ana
        m.room.member "@ben:sim.example" {"is_direct":true,"membership":"invite"} by ana
        m.room.power_levels "" {"ban":50,"events":{"m.room.avatar":50,"m.room.canonical_alias":50,"m.room.encryption":100,"m.room.history_visibility":100,"m.room.name":50,"m.room.power_levels":100,"m.room.server_acl":100,"m.room.tombstone":100},"events_default":0,"invite":0,"kick":50,"redact":50,"state_default":50,"users":{"@ana:sim.example":100,"@ben:sim.example":100},"users_default":0} by ana
    "#]],
    );
}

#[test]
fn those_a_creator_trusts_are_creators_in_version_12() {
    let new = CreateRoom {
        preset: Preset::TrustedPrivateChat,
        invite: vec![actor("ben").user],
        creation_content: object(json!({ "additional_creators": ["@cem:sim.example"] })),
        ..of_version(RoomVersion::V12)
    };
    check(
        new,
        expect![[r#"
        m.room.create "" {"additional_creators":["@cem:sim.example","@ben:sim.example"],"nexus.nonce":"random","room_version":"12"} by ana
        m.room.guest_access "" {"guest_access":"can_join"} by ana
        m.room.history_visibility "" {"history_visibility":"shared"} by ana
        m.room.join_rules "" {"join_rule":"invite"} by ana
        m.room.member "@ana:sim.example" {"membership":"join"} by ana
        m.room.member "@ben:sim.example" {"membership":"invite"} by ana
        m.room.power_levels "" {"ban":50,"events":{"m.room.avatar":50,"m.room.canonical_alias":50,"m.room.encryption":100,"m.room.history_visibility":100,"m.room.name":50,"m.room.power_levels":100,"m.room.server_acl":100,"m.room.tombstone":150},"events_default":0,"invite":0,"kick":50,"redact":50,"state_default":50,"users":{},"users_default":0} by ana
    "#]],
    );
}

#[test]
fn an_override_replaces_whole_fields_of_the_power_levels() {
    let new = CreateRoom {
        power_level_content_override: Some(object(json!({
            "events": { "m.room.name": 100 },
            "events_default": 10,
            "users": { "@ana:sim.example": 100, "@ben:sim.example": 50 },
        }))),
        ..of_version(RoomVersion::V11)
    };
    check(
        new,
        expect![[r#"
        m.room.create "" {"room_version":"11"} by ana
        m.room.guest_access "" {"guest_access":"can_join"} by ana
        m.room.history_visibility "" {"history_visibility":"shared"} by ana
        m.room.join_rules "" {"join_rule":"invite"} by ana
        m.room.member "@ana:sim.example" {"membership":"join"} by ana
        m.room.power_levels "" {"ban":50,"events":{"m.room.name":100},"events_default":10,"invite":0,"kick":50,"redact":50,"state_default":50,"users":{"@ana:sim.example":100,"@ben:sim.example":50},"users_default":0} by ana
    "#]],
    );
}

#[test]
fn initial_state_stands_in_for_what_the_preset_would_set() {
    let new = CreateRoom {
        initial_state: vec![
            initial("m.room.join_rules", "", json!({ "join_rule": "knock" })),
            initial("m.room.encryption", "", json!({ "algorithm": "m.megolm.v1.aes-sha2" })),
            initial("m.room.name", "", json!({ "name": "by state" })),
            initial("org.example.widget", "one", json!({ "url": "https://example.org" })),
        ],
        name: Some("by name".to_owned()),
        ..of_version(RoomVersion::V12)
    };
    check(
        new,
        expect![[r#"
        m.room.create "" {"nexus.nonce":"random","room_version":"12"} by ana
        m.room.encryption "" {"algorithm":"m.megolm.v1.aes-sha2"} by ana
        m.room.guest_access "" {"guest_access":"can_join"} by ana
        m.room.history_visibility "" {"history_visibility":"shared"} by ana
        m.room.join_rules "" {"join_rule":"knock"} by ana
        m.room.member "@ana:sim.example" {"membership":"join"} by ana
        m.room.name "" {"name":"by name"} by ana
        m.room.power_levels "" {"ban":50,"events":{"m.room.avatar":50,"m.room.canonical_alias":50,"m.room.encryption":100,"m.room.history_visibility":100,"m.room.name":50,"m.room.power_levels":100,"m.room.server_acl":100,"m.room.tombstone":150},"events_default":0,"invite":0,"kick":50,"redact":50,"state_default":50,"users":{},"users_default":0} by ana
        org.example.widget "one" {"url":"https://example.org"} by ana
    "#]],
    );
}

#[test]
fn a_room_that_cannot_be_leaves_nothing() {
    for version in RoomVersion::ALL {
        let member = json!({ "membership": "join" });
        let others_join = vec![initial("m.room.member", "@eve:sim.example", member)];
        check_impossible(CreateRoom { initial_state: others_join, ..of_version(version) });
        let foreign_key = vec![initial("org.example.mine", "@eve:sim.example", json!({}))];
        check_impossible(CreateRoom { initial_state: foreign_key, ..of_version(version) });
        let self_invite = CreateRoom { invite: vec![actor("ana").user], ..of_version(version) };
        check_impossible(self_invite);
    }
    let powerless = object(json!({ "users": { "@ana:sim.example": 0 } }));
    check_impossible(CreateRoom {
        power_level_content_override: Some(powerless),
        ..of_version(RoomVersion::V10)
    });
    // From version 12 on a creator must not be listed.
    let listed = object(json!({ "users": { "@ana:sim.example": 100 } }));
    check_impossible(CreateRoom {
        power_level_content_override: Some(listed),
        ..of_version(RoomVersion::V12)
    });
}

#[test]
fn too_much_at_once_is_refused() {
    let guests = (0..101).map(|number| actor(&format!("guest{number}")).user).collect();
    let states = (0..101).map(|number| initial("org.example.x", &number.to_string(), json!({}))).collect();
    for new in [
        CreateRoom { invite: guests, ..CreateRoom::default() },
        CreateRoom { initial_state: states, ..CreateRoom::default() },
    ] {
        play(async |scene| {
            let refusal = scene.refused(scene.rooms.create_room(&actor("ana"), new)).await;
            assert!(matches!(refusal, Rejection::TooMany { limit: 100, .. }), "{refusal:?}");
        });
    }
}

#[test]
fn initial_state_cannot_smuggle_in_a_redaction() {
    play(async |scene| {
        let smuggled = vec![initial("m.room.redaction", "", json!({ "redacts": "$something" }))];
        let new = CreateRoom { initial_state: smuggled, ..CreateRoom::default() };
        let refusal = scene.refused(scene.rooms.create_room(&actor("ana"), new)).await;
        assert!(matches!(refusal, Rejection::BadField { field: "type", .. }), "{refusal:?}");
    });
}
