//! Leaving and deleting guilds.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nexus_rooms::Rejection;
use nexus_views::{Membership, Permissions};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::scene::{actor, missing, play, play_from, text};

#[test]
fn who_leaves_a_guild_leaves_its_channels() {
    play(async |scene| {
        let (guild, other) = (scene.guild("ana").await, scene.guild("ana").await);
        for guild in [&guild, &other] {
            scene.comes_in(guild, "ana", "ben").await;
            scene.send("ben", text(&guild.general, "hello")).await;
        }
        let before = scene.store().visible();
        scene.rooms.leave_guild(&actor("ben"), guild.room.no).await.unwrap();
        assert_eq!(scene.store().visible(), before.next(), "in one commit");
        for room in [&guild.room, &guild.general] {
            assert_eq!(scene.membership(room, "ben").await, Some(Membership::Leave));
        }
        assert_eq!(scene.membership(&guild.voice, "ben").await, None);
        assert_eq!(scene.membership(&other.general, "ben").await, Some(Membership::Join));
        let refusal = scene.refused(scene.rooms.send(&actor("ben"), text(&guild.general, "wait"))).await;
        assert_eq!(refusal, missing(Permissions::VIEW_CHANNEL));
        let refusal = scene.refused(scene.rooms.leave_guild(&actor("ben"), guild.room.no)).await;
        assert_eq!(refusal, Rejection::UnknownGuild);
    });
}

#[test]
fn leaving_one_channel_leaves_no_more() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.rooms.leave(&actor("ana"), &guild.general.id, None).await.unwrap();
        assert_eq!(scene.membership(&guild.general, "ana").await, Some(Membership::Leave));
        assert_eq!(scene.membership(&guild.room, "ana").await, Some(Membership::Join));
        let refusal = scene.refused(scene.rooms.leave(&actor("ana"), &guild.general.id, None)).await;
        assert_eq!(refusal, Rejection::NotMember);
    });
}

#[test]
fn the_owner_cannot_leave() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let refusal = scene.refused(scene.rooms.leave_guild(&actor("ana"), guild.room.no)).await;
        assert!(matches!(refusal, Rejection::Forbidden { .. }), "{refusal:?}");
        let refusal = scene.refused(scene.rooms.leave(&actor("ana"), &guild.room.id, None)).await;
        assert!(matches!(refusal, Rejection::Forbidden { .. }), "as a Matrix room neither: {refusal:?}");
    });
}

/// A message joins its channel, so one that races with leaving could leave its sender behind in there.
#[test]
fn nobody_is_in_a_channel_of_a_guild_they_have_left() {
    for seed in 0..60 {
        play_from(seed, async |scene| {
            let guild = scene.guild("ana").await;
            scene.comes_in(&guild, "ana", "ben").await;
            let steps = (0..3).map(|step| {
                let (rooms, simulation) = (scene.rooms.clone(), scene.simulation.clone());
                let (guild_no, general, voice) = (guild.room.no, guild.general.clone(), guild.voice.clone());
                async move {
                    let pause = std::time::Duration::from_micros(simulation.below(4));
                    nexus_event_store::world::Clock::sleep(&simulation, pause).await;
                    let ben = actor("ben");
                    match step {
                        0 => drop(rooms.send(&ben, text(&general, "bye")).await),
                        1 => drop(rooms.send(&ben, text(&voice, "bye")).await),
                        _ => rooms.leave_guild(&ben, guild_no).await.unwrap(),
                    }
                }
            });
            scene.together(steps).await;
            for room in [&guild.room, &guild.general, &guild.voice] {
                assert_ne!(scene.membership(room, "ben").await, Some(Membership::Join), "seed {seed}");
            }
        });
    }
}

#[test]
fn a_deleted_guild_is_gone_for_everybody() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        scene.send("ben", text(&guild.general, "hello")).await;
        for who in ["ben", "eve"] {
            let refusal = scene.refused(scene.rooms.delete_guild(&actor(who), guild.room.no)).await;
            assert!(matches!(refusal, Rejection::Forbidden { .. }), "{who}: {refusal:?}");
        }
        scene.rooms.delete_guild(&actor("ana"), guild.room.no).await.unwrap();
        assert_eq!(scene.permissions(&guild, "ben").await, Permissions::NONE, "at once");
        scene.jobs_done().await;
        assert!(scene.views().guild(guild.room.no).await.unwrap().is_none());
        for room in [&guild.room, &guild.general, &guild.voice] {
            for who in ["ana", "ben"] {
                assert_ne!(scene.membership(room, who).await, Some(Membership::Join), "{who}");
            }
        }
        let refusal = scene.refused(scene.rooms.send(&actor("ana"), text(&guild.general, "hello?"))).await;
        assert_eq!(refusal, missing(Permissions::VIEW_CHANNEL));
        let refusal = scene.refused(scene.rooms.delete_guild(&actor("ana"), guild.room.no)).await;
        assert_eq!(refusal, Rejection::UnknownGuild);
    });
}

#[test]
fn who_comes_back_comes_back_without_roles() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let plain = scene.permissions(&guild, "ben").await;
        let role =
            json!({ "name": "Mods", "permissions": Permissions::BAN_MEMBERS.0.to_string(), "position": 1 });
        scene.decree(&guild, "nexus.role", "123456789012345678", role).await;
        let ben = json!({ "user": actor("ben").user, "roles": ["123456789012345678"] });
        scene.decree(&guild, "nexus.member", &state_key("ben"), ben).await;
        assert_eq!(scene.permissions(&guild, "ben").await, plain.with(Permissions::BAN_MEMBERS));
        scene.rooms.leave_guild(&actor("ben"), guild.room.no).await.unwrap();
        scene.comes_in(&guild, "ana", "ben").await;
        assert_eq!(scene.permissions(&guild, "ben").await, plain);
    });
}

/// The state key that stewards use for a member.
fn state_key(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(actor(name).user.as_bytes())[..16])
}

#[test]
fn an_invite_to_a_channel_does_not_lead_past_the_guild() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let (ana, eve) = (actor("ana"), actor("eve"));
        let invited = scene.rooms.invite(&ana, &guild.general.id, &eve.user, None);
        assert!(matches!(scene.refused(invited).await, Rejection::Forbidden { .. }));
        scene.comes_in(&guild, "ana", "eve").await;
        scene.rooms.invite(&ana, &guild.general.id, &eve.user, None).await.unwrap();
        scene.rooms.leave_guild(&eve, guild.room.no).await.unwrap();
        let joined = scene.rooms.join(&eve, &guild.general.id, None);
        assert!(matches!(scene.refused(joined).await, Rejection::Forbidden { .. }));
    });
}
