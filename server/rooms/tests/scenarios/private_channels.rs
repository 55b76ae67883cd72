//! Private channels: who may not view a channel is not in its room for long, and may not invite there.

use nexus_rooms::NewChannel;
use nexus_views::{Membership, Permissions};
use serde_json::{Value, json};

use crate::scene::{Guild, Room, Scene, actor, play, text};

async fn invite_level(scene: &Scene, channel: &Room) -> i64 {
    let head = scene.views().head(channel.no).await.unwrap();
    let levels =
        scene.views().state_event(channel.no, head.state, "m.room.power_levels", "").await.unwrap().unwrap();
    levels.pdu.content_as::<Value>().unwrap()["invite"].as_i64().unwrap()
}

async fn is_in(scene: &Scene, channel: &Room, name: &str) -> bool {
    scene.membership(channel, name).await == Some(Membership::Join)
}

/// What a command on roles or overwrites does after its events, which are decreed here.
async fn everyone_changed(scene: &Scene, guild: &Guild) {
    scene.rooms.settle_guild(guild.room.no).await.unwrap();
    scene.jobs_done().await;
}

#[test]
fn a_channel_that_turns_private_loses_those_who_may_not_view_it() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        for name in ["ben", "cem"] {
            scene.comes_in(&guild, "ana", name).await;
            scene.send(name, text(&guild.general, "hello")).await;
            scene.send(name, text(&guild.voice, "hello")).await;
        }
        assert_eq!(invite_level(scene, &guild.general).await, 0);
        scene.deny_everyone(&guild, &guild.general, Permissions::VIEW_CHANNEL).await;
        let content = json!({ "channel": guild.general.id, "user": actor("cem").user, "allow": "1024" });
        scene.decree(&guild, "nexus.overwrite", "cem there", content).await;
        everyone_changed(scene, &guild).await;
        assert!(!is_in(scene, &guild.general, "ben").await);
        assert!(is_in(scene, &guild.general, "cem").await, "by an overwrite");
        assert!(is_in(scene, &guild.general, "ana").await, "the owner");
        assert!(is_in(scene, &guild.voice, "ben").await, "elsewhere nothing changes");
        assert_eq!(invite_level(scene, &guild.general).await, 100);
        assert_eq!(invite_level(scene, &guild.voice).await, 0);
        let before = scene.store().visible();
        everyone_changed(scene, &guild).await;
        let events = scene.store().commits_after(before, 100).await.unwrap();
        assert!(events.iter().all(|commit| commit.events.is_empty()), "settled is settled");
        // And back.
        scene.deny_everyone(&guild, &guild.general, Permissions::NONE).await;
        everyone_changed(scene, &guild).await;
        assert_eq!(invite_level(scene, &guild.general).await, 0);
        scene.send("ben", text(&guild.general, "again")).await;
    });
}

#[test]
fn a_guild_whose_everyone_sees_nothing_has_private_channels() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        for room in [&guild.general, &guild.voice] {
            scene.send("ben", text(room, "hello")).await;
        }
        let nothing = json!({ "name": "@everyone", "permissions": "0", "position": 0 });
        scene.decree(&guild, "nexus.role", "everyone", nothing).await;
        everyone_changed(scene, &guild).await;
        for room in [&guild.general, &guild.voice] {
            assert!(!is_in(scene, room, "ben").await);
            assert_eq!(invite_level(scene, room).await, 100);
        }
        assert!(is_in(scene, &guild.room, "ben").await, "a member of the guild still");
        let made = NewChannel { name: "new".to_owned(), ..NewChannel::default() };
        let made = scene.rooms.create_channel(&actor("ana"), guild.room.no, made).await.unwrap();
        assert_eq!(invite_level(scene, &scene.room(made).await).await, 100, "from the start");
    });
}
