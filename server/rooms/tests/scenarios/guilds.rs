//! Making, changing and deleting guilds and channels.

use expect_test::expect;
use nexus_event_store::Scan;
use nexus_rooms::{AddBot, ChannelChanges, CreateGuild, GuildChanges, NewChannel, Rejection};
use nexus_views::{ChannelKind, Membership, Permissions, rows::GuildRoles};
use serde_json::json;

use crate::scene::{actor, missing, play, state, text};

#[test]
fn a_guild_is_a_space_of_the_steward() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let names = [
            (guild.room.id.as_str(), "<guild>"),
            (guild.general.id.as_str(), "<general>"),
            (guild.voice.id.as_str(), "<voice>"),
        ];
        expect![[r#"
            m.room.create "" {"nexus.nonce":"random","room_version":"12","type":"m.space"} by nexus
            m.room.history_visibility "" {"history_visibility":"shared"} by nexus
            m.room.join_rules "" {"allow":[],"join_rule":"restricted"} by nexus
            m.room.member "@ana:sim.example" {"join_authorised_via_users_server":"@nexus:sim.example","membership":"join"} by ana
            m.room.member "@nexus:sim.example" {"membership":"join"} by nexus
            m.room.name "" {"name":"Guild"} by nexus
            m.room.power_levels "" {"ban":100,"events":{},"events_default":100,"invite":0,"kick":100,"redact":100,"state_default":100,"users":{},"users_default":0} by nexus
            m.space.child "<general>" {"via":["sim.example"]} by nexus
            m.space.child "<voice>" {"via":["sim.example"]} by nexus
            nexus.channel "<general>" {"kind":"text","nexus.actor":"channel.create of @ana:sim.example","nsfw":false,"position":0,"slowmode_s":0} by nexus
            nexus.channel "<voice>" {"kind":"voice","nexus.actor":"channel.create of @ana:sim.example","nsfw":false,"position":0,"slowmode_s":0} by nexus
            nexus.guild "" {"features":[],"nexus.actor":"guild.create of @ana:sim.example","owner":"@ana:sim.example","stewards":["@nexus:sim.example"]} by nexus
            nexus.role "everyone" {"name":"@everyone","permissions":"673972814728769","position":0} by nexus
        "#]].assert_eq(&scene.state(&guild.room, &names).await);
        expect![[r#"
            m.room.create "" {"nexus.nonce":"random","room_version":"12"} by nexus
            m.room.history_visibility "" {"history_visibility":"shared"} by nexus
            m.room.join_rules "" {"allow":[{"room_id":"<guild>","type":"m.room_membership"}],"join_rule":"restricted"} by nexus
            m.room.member "@ana:sim.example" {"join_authorised_via_users_server":"@nexus:sim.example","membership":"join"} by ana
            m.room.member "@nexus:sim.example" {"membership":"join"} by nexus
            m.room.name "" {"name":"general"} by nexus
            m.room.power_levels "" {"ban":100,"events":{"m.poll.end":0,"m.poll.response":0,"m.poll.start":0,"m.reaction":0,"m.room.encrypted":0,"m.room.message":0,"m.room.redaction":0,"m.sticker":0,"org.matrix.msc3381.poll.end":0,"org.matrix.msc3381.poll.response":0,"org.matrix.msc3381.poll.start":0},"events_default":100,"invite":0,"kick":100,"redact":100,"state_default":100,"users":{},"users_default":0} by nexus
            m.space.parent "<guild>" {"canonical":true,"via":["sim.example"]} by nexus
        "#]].assert_eq(&scene.state(&guild.general, &names).await);
    });
}

#[test]
fn its_maker_owns_it_and_is_in_its_first_channels() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        for room in [&guild.room, &guild.general, &guild.voice] {
            assert_eq!(scene.membership(room, "ana").await, Some(Membership::Join));
        }
        let row = scene.views().guild(guild.room.no).await.unwrap().unwrap();
        assert_eq!(scene.views().user_id(row.owner).await.unwrap(), actor("ana").user);
        assert_eq!((row.name.as_str(), row.member_count), ("Guild", 1), "the steward is no member");
        assert_eq!(scene.store().visible().0, 1, "all of it is one commit");
    });
}

#[test]
fn owner_member_and_stranger_may_different_things() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        assert_eq!(scene.permissions(&guild, "ana").await, Permissions::ALL);
        assert_eq!(scene.permissions(&guild, "ben").await, Permissions::EVERYONE_DEFAULT);
        assert_eq!(scene.permissions(&guild, "eve").await, Permissions::NONE);
    });
}

#[test]
fn a_guild_needs_a_name() {
    play(async |scene| {
        for name in ["", "x", "  x  ", &"long".repeat(26)] {
            let new = CreateGuild { name: name.to_owned() };
            let refusal = scene.refused(scene.rooms.create_guild(&actor("ana"), new)).await;
            assert!(matches!(refusal, Rejection::BadField { field: "name", .. }), "{name:?}: {refusal:?}");
        }
    });
}

#[test]
fn only_who_may_manage_the_guild_changes_it() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let renamed = || GuildChanges { name: Some("Renamed".to_owned()), ..GuildChanges::default() };
        for who in ["ben", "eve"] {
            let refusal =
                scene.refused(scene.rooms.update_guild(&actor(who), guild.room.no, renamed())).await;
            assert_eq!(refusal, missing(Permissions::MANAGE_GUILD), "{who}");
        }
        scene.rooms.update_guild(&actor("ana"), guild.room.no, renamed()).await.unwrap();
        assert_eq!(scene.views().guild(guild.room.no).await.unwrap().unwrap().name, "Renamed");
    });
}

#[test]
fn only_who_may_manage_channels_makes_changes_and_deletes_them() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let (ben, rooms, general) = (actor("ben"), &scene.rooms, guild.general.no);
        let new = || NewChannel { name: "more".to_owned(), ..NewChannel::default() };
        let changes = || ChannelChanges { topic: Some(Some("new".to_owned())), ..ChannelChanges::default() };
        let denied = missing(Permissions::MANAGE_CHANNELS);
        assert_eq!(scene.refused(rooms.create_channel(&ben, guild.room.no, new())).await, denied);
        assert_eq!(scene.refused(rooms.update_channel(&ben, general, changes())).await, denied);
        assert_eq!(scene.refused(rooms.delete_channel(&ben, general)).await, denied);

        let ana = actor("ana");
        let made = rooms.create_channel(&ana, guild.room.no, new()).await.unwrap();
        rooms.update_channel(&ana, made, changes()).await.unwrap();
        assert_eq!(scene.views().info(made).await.unwrap().topic.as_deref(), Some("new"));
        rooms.delete_channel(&ana, made).await.unwrap();
        assert!(scene.views().channel(made).await.unwrap().is_none());
        let made = scene.room(made).await;
        let refusal = scene.refused(rooms.send(&actor("ben"), text(&made, "too late"))).await;
        assert_eq!(refusal, Rejection::NotMember);
    });
}

#[test]
fn channels_lie_in_categories_of_their_own_guild_only() {
    play(async |scene| {
        let (guild, other) = (scene.guild("ana").await, scene.guild("ana").await);
        let ana = actor("ana");
        let category =
            NewChannel { name: "Talk".to_owned(), kind: ChannelKind::Category, ..NewChannel::default() };
        let category = scene.rooms.create_channel(&ana, guild.room.no, category).await.unwrap();
        let below =
            |parent| NewChannel { name: "in".to_owned(), parent: Some(parent), ..NewChannel::default() };
        let made = scene.rooms.create_channel(&ana, guild.room.no, below(category)).await.unwrap();
        assert_eq!(scene.views().info(made).await.unwrap().parent, Some(category));
        for (room, parent) in [(guild.room.no, guild.general.no), (other.room.no, category)] {
            let refusal = scene.refused(scene.rooms.create_channel(&ana, room, below(parent))).await;
            assert!(matches!(refusal, Rejection::BadField { field: "parent_id", .. }), "{refusal:?}");
        }
    });
}

#[test]
fn a_bot_comes_with_a_role_of_what_its_adder_has_to_give() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let add = |permissions| AddBot {
            guild: guild.room.no,
            bot: actor("helper").user,
            name: "Helper".to_owned(),
            permissions,
        };
        let wanted = Permissions::MANAGE_MESSAGES;
        let refusal = scene.refused(scene.rooms.add_bot(&actor("ben"), add(wanted))).await;
        assert_eq!(refusal, missing(Permissions::MANAGE_GUILD));

        // A manager of the guild cannot give what it does not have.
        let bits = Permissions::MANAGE_GUILD.0.to_string();
        scene.decree(&guild, "nexus.role", "101", json!({ "name": "manager", "permissions": bits })).await;
        scene
            .decree(&guild, "nexus.member", "ben", json!({ "user": actor("ben").user, "roles": ["101"] }))
            .await;
        assert_eq!(scene.refused(scene.rooms.add_bot(&actor("ben"), add(wanted))).await, missing(wanted));

        scene.rooms.add_bot(&actor("ana"), add(wanted)).await.unwrap();
        let held = scene.permissions(&guild, "helper").await;
        assert_eq!(held, Permissions::EVERYONE_DEFAULT.with(wanted));
        // Adding it again changes nothing.
        let visible = scene.store().visible();
        scene.rooms.add_bot(&actor("ana"), add(Permissions::ALL)).await.unwrap();
        assert_eq!(scene.store().visible(), visible);
        let roles =
            scene.store().scan::<GuildRoles>(Scan::prefix::<GuildRoles>(&guild.room.no)).await.unwrap();
        assert_eq!(roles.len(), 3, "everyone, manager, the bot's");
    });
}

/// Nobody but a steward makes a room a guild, or a channel of one: who owned the guild would rule there.
#[test]
fn a_room_that_claims_to_be_a_guild_is_none() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.send("ana", text(&guild.general, "among us")).await;
        let own = scene.rooms.create_room(&actor("eve"), Default::default()).await.unwrap();
        let own = scene.room(own.room).await;
        scene.send("eve", state(&own, "nexus.guild", "", json!({ "owner": actor("eve").user }))).await;
        let claim = json!({ "kind": "text", "position": 0 });
        scene.send("eve", state(&own, "nexus.channel", guild.general.id.as_str(), claim)).await;
        let grant = json!({ "channel": guild.general.id, "user": actor("eve").user, "allow": "3072" });
        scene.send("eve", state(&own, "nexus.overwrite", "mine", grant)).await;

        assert!(scene.views().guild(own.no).await.unwrap().is_none());
        assert_eq!(scene.views().info(guild.general.no).await.unwrap().guild, Some(guild.room.no));
        let refusal = scene.refused(scene.rooms.join(&actor("eve"), &guild.general.id, None)).await;
        assert!(matches!(refusal, Rejection::Forbidden { .. }), "{refusal:?}");
        let refusal = scene.refused(scene.rooms.send(&actor("eve"), text(&guild.general, "hello"))).await;
        assert_eq!(refusal, missing(Permissions::VIEW_CHANNEL));
    });
}
