//! Messages in channels.

use nexus_rooms::{NewChannel, Rejection};
use nexus_views::{ChannelKind, Membership, Page, Permissions};
use ruma::RoomId;
use serde_json::json;

use crate::scene::{Room, actor, event, missing, play, text};

#[test]
fn who_may_view_a_channel_joins_it_by_writing() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let before = scene.store().visible();
        let sent = scene.send("ben", text(&guild.general, "hello")).await;
        assert_eq!(sent.position, before.next(), "joining and writing are one commit");
        assert_eq!(
            scene.last(&guild.general, 2).await,
            ["ben m.room.member join", "ben m.room.message hello"]
        );
        assert_eq!(scene.membership(&guild.general, "ben").await, Some(Membership::Join));
        let again = scene.send("ben", text(&guild.general, "again")).await;
        assert_eq!(again.position, sent.position.next());
        assert_eq!(
            scene.last(&guild.general, 2).await,
            ["ben m.room.message hello", "ben m.room.message again"]
        );
    });
}

#[test]
fn messages_are_listed_newest_first() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        for body in ["one", "two", "three"] {
            scene.send("ana", text(&guild.general, body)).await;
        }
        let messages = scene.views().messages(guild.general.no, Page::Newest, 2).await.unwrap();
        let bodies =
            messages.iter().map(|message| message.event.pdu.content_as::<serde_json::Value>().unwrap());
        let bodies: Vec<_> = bodies.map(|content| content["body"].clone()).collect();
        assert_eq!(bodies, ["three", "two"]);
        assert!(messages[0].id > messages[1].id);
    });
}

#[test]
fn strangers_and_those_without_the_permission_cannot_write() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let stranger = scene.refused(scene.rooms.send(&actor("eve"), text(&guild.general, "hi"))).await;
        assert_eq!(stranger, missing(Permissions::VIEW_CHANNEL));
        scene.deny_everyone(&guild, &guild.general, Permissions::SEND_MESSAGES).await;
        let quiet = scene.refused(scene.rooms.send(&actor("ben"), text(&guild.general, "hi"))).await;
        assert_eq!(quiet, missing(Permissions::SEND_MESSAGES));
        assert_eq!(scene.membership(&guild.general, "ben").await, None, "not even the join is left");
        scene.send("ana", text(&guild.general, "owners may")).await;
    });
}

#[test]
fn who_is_timed_out_writes_again_when_it_is_over() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let until = scene.store().world().now().0 + 60_000;
        let content = json!({ "user": actor("ben").user, "roles": [], "timeout_until_ms": until });
        scene.decree(&guild, "nexus.member", "ben", content).await;
        let refusal = scene.refused(scene.rooms.send(&actor("ben"), text(&guild.general, "hi"))).await;
        assert_eq!(refusal, missing(Permissions::SEND_MESSAGES));
        scene.wait(std::time::Duration::from_secs(60)).await;
        scene.send("ben", text(&guild.general, "back")).await;
    });
}

#[test]
fn a_category_takes_no_messages() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let new =
            NewChannel { name: "Talk".to_owned(), kind: ChannelKind::Category, ..NewChannel::default() };
        let category = scene.rooms.create_channel(&actor("ana"), guild.room.no, new).await.unwrap();
        let category = scene.room(category).await;
        let refusal = scene.refused(scene.rooms.send(&actor("ana"), text(&category, "hi"))).await;
        assert_eq!(refusal, Rejection::NotTextChannel);
    });
}

#[test]
fn members_send_only_what_channels_are_for() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let odd = event(&guild.general, "org.example.control", json!({}));
        let refusal = scene.refused(scene.rooms.send(&actor("ana"), odd)).await;
        assert!(matches!(refusal, Rejection::Forbidden { .. }), "{refusal:?}");
        let renamed = crate::scene::state(&guild.general, "m.room.name", "", json!({ "name": "mine" }));
        let refusal = scene.refused(scene.rooms.send(&actor("ana"), renamed)).await;
        assert!(matches!(refusal, Rejection::Forbidden { .. }), "{refusal:?}");
        let said = text(&guild.room, "into the guild's own room");
        let refusal = scene.refused(scene.rooms.send(&actor("ana"), said)).await;
        assert!(matches!(refusal, Rejection::Forbidden { .. }), "{refusal:?}");
    });
}

#[test]
fn an_unknown_room_and_an_oversized_event_are_refused() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let nowhere = Room { no: guild.general.no, id: RoomId::parse("!nowhere:sim.example").unwrap() };
        let refusal = scene.refused(scene.rooms.send(&actor("ana"), text(&nowhere, "hi"))).await;
        assert_eq!(refusal, Rejection::UnknownRoom);
        let huge = text(&guild.general, &"x".repeat(65_536));
        let refusal = scene.refused(scene.rooms.send(&actor("ana"), huge)).await;
        assert!(matches!(refusal, Rejection::EventTooLarge { .. }), "{refusal:?}");
    });
}
