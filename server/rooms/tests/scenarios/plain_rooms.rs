//! Getting into rooms that are no guild's.

use nexus_rooms::{CreateRoom, InitialState, Preset, Rejection};
use nexus_state_resolution::RoomVersion;
use nexus_views::Membership;
use serde_json::json;

use crate::scene::{Room, Scene, actor, object, play, state, text};

const VERSIONS: [RoomVersion; 12] = RoomVersion::ALL;

async fn room(scene: &Scene, new: CreateRoom) -> Room {
    let made = scene.rooms.create_room(&actor("ana"), new).await.unwrap();
    scene.room(made.room).await
}

#[test]
fn a_public_room_is_open_and_joining_twice_is_once() {
    play(async |scene| {
        let room = room(scene, CreateRoom { preset: Preset::PublicChat, ..CreateRoom::default() }).await;
        let first = scene.rooms.join(&actor("ben"), &room.id, None).await.unwrap();
        let visible = scene.store().visible();
        let second = scene.rooms.join(&actor("ben"), &room.id, None).await.unwrap();
        assert_eq!(first.event_id, second.event_id);
        assert_eq!(scene.store().visible(), visible);
        scene.send("ben", text(&room, "hello")).await;
    });
}

#[test]
fn a_private_room_needs_an_invite() {
    for version in VERSIONS {
        play(async |scene| {
            let room = room(scene, CreateRoom { version: Some(version), ..CreateRoom::default() }).await;
            let refusal = scene.refused(scene.rooms.join(&actor("ben"), &room.id, None)).await;
            assert!(matches!(refusal, Rejection::Forbidden { .. }), "{refusal:?}");
            let refusal = scene.refused(scene.rooms.send(&actor("ben"), text(&room, "hello"))).await;
            assert_eq!(refusal, Rejection::NotMember);
            scene.rooms.invite(&actor("ana"), &room.id, &actor("ben").user, None).await.unwrap();
            assert_eq!(scene.membership(&room, "ben").await, Some(Membership::Invite));
            scene.rooms.join(&actor("ben"), &room.id, None).await.unwrap();
            assert_eq!(scene.membership(&room, "ben").await, Some(Membership::Join));
        });
    }
}

#[test]
fn only_who_is_in_a_room_invites() {
    play(async |scene| {
        let room = room(scene, CreateRoom::default()).await;
        let refusal =
            scene.refused(scene.rooms.invite(&actor("eve"), &room.id, &actor("eve").user, None)).await;
        assert_eq!(refusal, Rejection::NotMember);
    });
}

#[test]
fn an_invite_can_be_declined() {
    play(async |scene| {
        let room = room(scene, CreateRoom { invite: vec![actor("ben").user], ..CreateRoom::default() }).await;
        scene.rooms.leave(&actor("ben"), &room.id, None).await.unwrap();
        assert_eq!(scene.membership(&room, "ben").await, Some(Membership::Leave));
        let refusal = scene.refused(scene.rooms.join(&actor("ben"), &room.id, None)).await;
        assert!(matches!(refusal, Rejection::Forbidden { .. }), "{refusal:?}");
    });
}

#[test]
fn who_is_in_one_room_may_come_into_another_that_says_so() {
    let with_the_rule = |version: &RoomVersion| version.rules().authorization.restricted_join_rule;
    for version in VERSIONS.into_iter().filter(with_the_rule) {
        play(async |scene| {
            let lobby = room(scene, CreateRoom { preset: Preset::PublicChat, ..CreateRoom::default() }).await;
            let rule = json!({
                "join_rule": "restricted",
                "allow": [{ "type": "m.room_membership", "room_id": lobby.id }],
            });
            let rule = InitialState {
                event_type: "m.room.join_rules".to_owned(),
                state_key: String::new(),
                content: object(rule),
            };
            let new =
                CreateRoom { version: Some(version), initial_state: vec![rule], ..CreateRoom::default() };
            let inner = room(scene, new).await;
            let refusal = scene.refused(scene.rooms.join(&actor("ben"), &inner.id, None)).await;
            assert!(matches!(refusal, Rejection::Forbidden { .. }), "{refusal:?}");
            scene.rooms.join(&actor("ben"), &lobby.id, None).await.unwrap();
            let sent = scene.rooms.join(&actor("ben"), &inner.id, None).await.unwrap();
            let content: serde_json::Value = scene.event(&sent).await.pdu.content_as().unwrap();
            assert_eq!(content["join_authorised_via_users_server"], json!("@ana:sim.example"));
            // Who left the lobby before stays out.
            scene.rooms.join(&actor("cem"), &lobby.id, None).await.unwrap();
            scene.rooms.leave(&actor("cem"), &lobby.id, None).await.unwrap();
            let refusal = scene.refused(scene.rooms.join(&actor("cem"), &inner.id, None)).await;
            assert!(matches!(refusal, Rejection::Forbidden { .. }), "{refusal:?}");
        });
    }
}

#[test]
fn who_is_banned_stays_out() {
    for version in VERSIONS {
        play(async |scene| {
            let new =
                CreateRoom { version: Some(version), preset: Preset::PublicChat, ..CreateRoom::default() };
            let room = room(scene, new).await;
            scene.rooms.join(&actor("ben"), &room.id, None).await.unwrap();
            let ban = || state(&room, "m.room.member", "@ben:sim.example", json!({ "membership": "ban" }));
            let refusal = scene.refused(scene.rooms.send(&actor("eve"), ban())).await;
            assert_eq!(refusal, Rejection::NotMember);
            scene.send("ana", ban()).await;
            assert_eq!(scene.membership(&room, "ben").await, Some(Membership::Ban));
            let refusal = scene.refused(scene.rooms.join(&actor("ben"), &room.id, None)).await;
            assert_eq!(refusal, Rejection::Banned);
            let refusal = scene.refused(scene.rooms.send(&actor("ben"), text(&room, "hello?"))).await;
            assert_eq!(refusal, Rejection::Banned);
            let refusal =
                scene.refused(scene.rooms.invite(&actor("ana"), &room.id, &actor("ben").user, None)).await;
            assert!(matches!(refusal, Rejection::Forbidden { .. }), "{refusal:?}");
        });
    }
}
