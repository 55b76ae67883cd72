//! Kick, ban, unban, timeouts, pruning: who may, and what becomes of the target.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nexus_rooms::{GuildChanges, GuildRefusal, MemberChanges, ModerationRefusal, Prune, Rejection};
use nexus_views::{BansPage, Membership, Permissions};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::time::Duration;

use crate::scene::{Guild, Scene, actor, missing, play, text};

const LOW: &str = "111111111111111111";
const HIGH: &str = "222222222222222222";

fn refused(refusal: GuildRefusal) -> Rejection {
    Rejection::Guild(refusal)
}

fn until(timeout: Option<u64>) -> MemberChanges {
    MemberChanges { timeout_until_ms: Some(timeout), ..MemberChanges::default() }
}

async fn give(scene: &Scene, guild: &Guild, name: &str, role: &str) {
    let content = json!({ "user": actor(name).user, "roles": [role] });
    let key = URL_SAFE_NO_PAD.encode(&Sha256::digest(actor(name).user.as_bytes())[..16]);
    scene.decree(guild, "nexus.member", &key, content).await;
}

/// A guild of ana's with two roles that may moderate: mod and max hold the lower, boss the higher one.
async fn moderated(scene: &Scene) -> Guild {
    let guild = scene.guild("ana").await;
    for name in ["mod", "max", "boss", "ben"] {
        scene.comes_in(&guild, "ana", name).await;
    }
    let bits = Permissions::KICK_MEMBERS
        .with(Permissions::BAN_MEMBERS)
        .with(Permissions::MODERATE_MEMBERS)
        .with(Permissions::MANAGE_GUILD);
    for (role, position) in [(LOW, 1), (HIGH, 2)] {
        let content = json!({ "name": "mods", "permissions": bits.0.to_string(), "position": position });
        scene.decree(&guild, "nexus.role", role, content).await;
    }
    for (name, role) in [("mod", LOW), ("max", LOW), ("boss", HIGH)] {
        give(scene, &guild, name, role).await;
    }
    guild
}

#[test]
fn who_is_kicked_is_out_of_everything_and_may_come_back() {
    play(async |scene| {
        let guild = moderated(scene).await;
        scene.send("ben", text(&guild.general, "hello")).await;
        let why = Some("rude".to_owned());
        scene.rooms.kick_member(&actor("mod"), guild.room.no, &actor("ben").user, why).await.unwrap();
        for room in [&guild.room, &guild.general] {
            assert_eq!(scene.membership(room, "ben").await, Some(Membership::Leave));
        }
        let user = scene.views().user_no(&actor("ben").user).await.unwrap().unwrap();
        let row = scene.views().membership(guild.room.no, user).await.unwrap().unwrap();
        let place = nexus_event_store::rows::EventPlace { room: guild.room.no, event: row.event };
        let event = scene.views().event(place).await.unwrap();
        let content: Value = event.pdu.content_as().unwrap();
        assert_eq!(event.pdu.sender().localpart(), "nexus");
        assert_eq!(content["nexus.actor"]["action"], "member.kick");
        assert_eq!(content["nexus.actor"]["user"], "@mod:sim.example");
        assert_eq!((&content["nexus.reason"], &content["reason"]), (&json!("rude"), &json!("rude")));
        let (moderator, ben) = (actor("mod"), actor("ben"));
        let again = scene.rooms.kick_member(&moderator, guild.room.no, &ben.user, None);
        assert_eq!(scene.refused(again).await, refused(GuildRefusal::UnknownMember));
        scene.comes_in(&guild, "ana", "ben").await;
        assert_eq!(scene.membership(&guild.room, "ben").await, Some(Membership::Join));
    });
}

#[test]
fn nobody_moderates_an_equal_a_higher_one_the_owner_themselves_or_the_steward() {
    play(async |scene| {
        let guild = moderated(scene).await;
        let (rooms, no) = (&scene.rooms, guild.room.no);
        let soon = scene.simulation.world().now().0 + 60_000;
        for (who, whom) in [
            ("mod", "max"),
            ("mod", "boss"),
            ("boss", "ana"),
            ("mod", "mod"),
            ("ana", "ana"),
            ("ana", "nexus"),
        ] {
            let (who, whom) = (actor(who), actor(whom).user);
            let outranked = refused(GuildRefusal::MemberTooHigh);
            assert_eq!(scene.refused(rooms.kick_member(&who, no, &whom, None)).await, outranked, "{whom}");
            assert_eq!(scene.refused(rooms.ban_member(&who, no, &whom, 0, None)).await, outranked, "{whom}");
            if whom.localpart() != "nexus" {
                let refusal = scene.refused(rooms.update_member(&who, no, &whom, until(Some(soon)))).await;
                assert_eq!(refusal, outranked, "{whom}");
            }
        }
        let ben = actor("ben");
        let refusal = scene.refused(rooms.kick_member(&ben, no, &actor("mod").user, None)).await;
        assert_eq!(refusal, missing(Permissions::KICK_MEMBERS));
        let refusal = scene.refused(rooms.ban_member(&ben, no, &actor("mod").user, 0, None)).await;
        assert_eq!(refusal, missing(Permissions::BAN_MEMBERS));
        let refusal = scene.refused(rooms.unban_member(&ben, no, &actor("mod").user, None)).await;
        assert_eq!(refusal, missing(Permissions::BAN_MEMBERS));
        rooms.kick_member(&actor("boss"), no, &actor("mod").user, None).await.unwrap();
        rooms.ban_member(&actor("ana"), no, &actor("boss").user, 0, None).await.unwrap();
    });
}

#[test]
fn who_is_banned_cannot_come_back_until_the_ban_is_lifted() {
    play(async |scene| {
        let guild = moderated(scene).await;
        let (rooms, no, ben) = (&scene.rooms, guild.room.no, actor("ben"));
        let open =
            GuildChanges { features: Some(vec!["DISCOVERABLE".to_owned()]), ..GuildChanges::default() };
        rooms.update_guild(&actor("ana"), no, open).await.unwrap();
        let invite = rooms.create_invite(&actor("ana"), guild.general.no, Default::default()).await.unwrap();
        scene.send("ben", text(&guild.general, "hello")).await;
        rooms.ban_member(&actor("mod"), no, &ben.user, 0, Some("spam".to_owned())).await.unwrap();
        assert_eq!(scene.permissions(&guild, "ben").await, Permissions::NONE);
        assert_eq!(scene.membership(&guild.general, "ben").await, Some(Membership::Leave));
        assert_eq!(scene.refused(rooms.accept_invite(&ben, &invite.code)).await, Rejection::Banned);
        assert_eq!(scene.refused(rooms.join(&ben, &guild.room.id, None)).await, Rejection::Banned);
        let refusal = scene.refused(rooms.join(&ben, &guild.general.id, None)).await;
        assert!(matches!(refusal, Rejection::Forbidden { .. }));
        let refusal = scene.refused(rooms.send(&ben, text(&guild.general, "still here"))).await;
        assert_eq!(refusal, missing(Permissions::VIEW_CHANNEL));
        // A stranger can be banned, and the banned again without effect.
        rooms.ban_member(&actor("mod"), no, &actor("eve").user, 0, None).await.unwrap();
        let before = scene.store().visible();
        rooms.ban_member(&actor("mod"), no, &ben.user, 0, None).await.unwrap();
        assert_eq!(scene.store().visible(), before);
        let bans = scene.views().bans(no, BansPage::After(None), 10).await.unwrap();
        let whose: Vec<String> =
            bans.iter().map(|ban| ban.event.pdu.state_key().unwrap().to_owned()).collect();
        assert_eq!(whose, ["@ben:sim.example", "@eve:sim.example"]);
        rooms.unban_member(&actor("mod"), no, &ben.user, None).await.unwrap();
        let again = scene.refused(rooms.unban_member(&actor("mod"), no, &ben.user, None)).await;
        assert_eq!(again, Rejection::Moderation(ModerationRefusal::UnknownBan));
        assert_eq!(scene.views().bans(no, BansPage::After(None), 10).await.unwrap().len(), 1);
        rooms.accept_invite(&ben, &invite.code).await.unwrap();
    });
}

#[test]
fn a_ban_takes_the_messages_of_the_last_seconds_along() {
    play(async |scene| {
        let guild = moderated(scene).await;
        let old = scene.send("ben", text(&guild.general, "old")).await;
        scene.wait(Duration::from_secs(100)).await;
        let mut recent = Vec::new();
        for number in 0..80 {
            let room = if number % 3 == 0 { &guild.voice } else { &guild.general };
            recent.push(scene.send("ben", text(room, &number.to_string())).await);
        }
        let edit = crate::scene::edit(&guild.voice, &recent[0], "changed");
        let edit = scene.send("ben", edit).await;
        let others = scene.send("max", text(&guild.general, "not mine")).await;
        let why = Some("flood".to_owned());
        scene.rooms.ban_member(&actor("mod"), guild.room.no, &actor("ben").user, 60, why).await.unwrap();
        scene.jobs_done().await;
        for sent in &recent {
            assert!(scene.message(sent).await.is_none());
            assert!(scene.event(sent).await.redacted_by.is_some());
        }
        assert!(scene.event(&edit).await.redacted_by.is_some(), "an edit says what the message said");
        assert!(scene.message(&old).await.is_some());
        assert!(scene.message(&others).await.is_some());
        let by = scene.event(&recent[0]).await.redacted_by.unwrap();
        let place = nexus_event_store::rows::EventPlace { room: guild.voice.no, event: by };
        let content: Value = scene.views().event(place).await.unwrap().pdu.content_as().unwrap();
        assert_eq!(content["nexus.actor"]["action"], "member.ban");
        assert_eq!(content["nexus.reason"], "flood");
    });
}

#[test]
fn a_timeout_silences_until_it_ends_and_outlasts_leaving() {
    play(async |scene| {
        let guild = moderated(scene).await;
        let (rooms, no, ben) = (&scene.rooms, guild.room.no, actor("ben"));
        let now = || scene.simulation.world().now().0;
        let end = now() + 60_000;
        rooms.update_member(&actor("mod"), no, &ben.user, until(Some(end))).await.unwrap();
        let refusal = scene.refused(rooms.send(&ben, text(&guild.general, "but"))).await;
        assert_eq!(refusal, missing(Permissions::SEND_MESSAGES));
        rooms.leave_guild(&ben, no).await.unwrap();
        scene.comes_in(&guild, "ana", "ben").await;
        let refusal = scene.refused(rooms.send(&ben, text(&guild.general, "but"))).await;
        assert_eq!(refusal, missing(Permissions::SEND_MESSAGES), "still, after coming back");
        scene.wait(Duration::from_secs(61)).await;
        scene.send("ben", text(&guild.general, "better now")).await;
        rooms.update_member(&actor("mod"), no, &ben.user, until(Some(now() + 1000))).await.unwrap();
        rooms.update_member(&actor("mod"), no, &ben.user, until(None)).await.unwrap();
        scene.send("ben", text(&guild.general, "thanks")).await;
        let month = now() + 29 * 24 * 3600 * 1000;
        let refusal =
            scene.refused(rooms.update_member(&actor("mod"), no, &ben.user, until(Some(month)))).await;
        assert!(matches!(refusal, Rejection::BadField { field: "communication_disabled_until", .. }));
        let refusal =
            scene.refused(rooms.update_member(&actor("mod"), no, &actor("eve").user, until(None))).await;
        assert_eq!(refusal, refused(GuildRefusal::UnknownMember));
    });
}

#[test]
fn a_bulk_ban_tells_who_was_banned_and_who_not() {
    play(async |scene| {
        let guild = moderated(scene).await;
        let (rooms, no) = (&scene.rooms, guild.room.no);
        rooms.ban_member(&actor("ana"), no, &actor("eve").user, 0, None).await.unwrap();
        let names = |names: &[&str]| names.iter().map(|name| actor(name).user).collect::<Vec<_>>();
        let targets = names(&["ben", "boss", "eve", "ana", "zoe", "ben"]);
        let refusal = scene.refused(rooms.bulk_ban(&actor("ben"), no, targets.clone(), 0, None)).await;
        assert!(matches!(refusal, Rejection::MissingPermission(_)));
        let outcome = rooms.bulk_ban(&actor("mod"), no, targets, 0, None).await.unwrap();
        assert_eq!(outcome.banned, names(&["ben", "zoe"]));
        assert_eq!(outcome.failed, names(&["ana", "boss", "eve"]));
        scene.jobs_done().await;
        let too_high = names(&["boss", "ana"]);
        let refusal = scene.refused(rooms.bulk_ban(&actor("mod"), no, too_high, 0, None)).await;
        assert_eq!(refusal, Rejection::Moderation(ModerationRefusal::NobodyBanned));
        let many = (0..201).map(|number| actor(&format!("u{number}")).user).collect();
        let refusal = scene.refused(rooms.bulk_ban(&actor("mod"), no, many, 0, None)).await;
        assert!(matches!(refusal, Rejection::BadField { field: "user_ids", .. }));
        let many = (0..200).map(|number| actor(&format!("u{number}")).user).collect();
        assert_eq!(rooms.bulk_ban(&actor("mod"), no, many, 0, None).await.unwrap().banned.len(), 200);
    });
}

#[test]
fn pruning_takes_the_silent_without_roles() {
    play(async |scene| {
        let guild = moderated(scene).await;
        for name in ["quiet", "talker"] {
            scene.comes_in(&guild, "ana", name).await;
        }
        let day = Duration::from_secs(24 * 3600);
        scene.wait(day * 5).await;
        scene.send("talker", text(&guild.general, "hello")).await;
        scene.comes_in(&guild, "ana", "fresh").await;
        scene.wait(day * 4).await;
        let prune = || Prune { days: 7, roles: Vec::new() };
        let count = scene.rooms.prune_count(&actor("ana"), guild.room.no, &prune()).await.unwrap();
        assert_eq!(count, 2, "ben and quiet");
        scene.rooms.prune(&actor("mod"), guild.room.no, prune(), None).await.unwrap();
        scene.jobs_done().await;
        for (name, stays) in [
            ("ben", false),
            ("quiet", false),
            ("talker", true),
            ("fresh", true),
            ("max", true),
            ("ana", true),
        ] {
            let is_in = scene.membership(&guild.room, name).await == Some(Membership::Join);
            assert_eq!(is_in, stays, "{name}");
        }
        let with_role = Prune { days: 7, roles: vec![LOW.parse().unwrap()] };
        scene.rooms.prune(&actor("mod"), guild.room.no, with_role, None).await.unwrap();
        scene.jobs_done().await;
        assert_eq!(scene.membership(&guild.room, "max").await, Some(Membership::Join), "an equal of mod's");
        let refusal = scene.refused(scene.rooms.prune(&actor("ben"), guild.room.no, prune(), None)).await;
        assert!(matches!(refusal, Rejection::MissingPermission(_)), "{refusal:?}");
        let never = Prune { days: 0, roles: Vec::new() };
        let refusal = scene.refused(scene.rooms.prune(&actor("ana"), guild.room.no, never, None)).await;
        assert!(matches!(refusal, Rejection::BadField { field: "days", .. }));
    });
}

#[test]
fn the_owner_hands_the_guild_over_to_a_member() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let to = |name: &str| GuildChanges { owner: Some(actor(name).user), ..GuildChanges::default() };
        let (rooms, no) = (&scene.rooms, guild.room.no);
        let refusal = scene.refused(rooms.update_guild(&actor("ana"), no, to("eve"))).await;
        assert_eq!(refusal, refused(GuildRefusal::UnknownMember));
        rooms.update_guild(&actor("ana"), no, to("ben")).await.unwrap();
        assert_eq!(scene.permissions(&guild, "ben").await, Permissions::ALL);
        assert_ne!(scene.permissions(&guild, "ana").await, Permissions::ALL);
        scene.jobs_done().await;
        let refusal = scene.refused(rooms.update_guild(&actor("ana"), no, to("ana"))).await;
        assert_eq!(refusal, missing(Permissions::MANAGE_GUILD));
        rooms.leave_guild(&actor("ana"), no).await.unwrap();
    });
}
