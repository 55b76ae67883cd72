//! Overwrites of channels, and channels in their categories.

use std::collections::BTreeMap;

use nexus_rooms::{
    ChannelChanges, ChannelMove, GuildRefusal, MemberChanges, NewChannel, NewOverwrite, Rejection, RoleFields,
};
use nexus_views::{ChannelKind, OverwriteTarget, Permissions};
use serde_json::json;

use crate::scene::{Guild, Room, Scene, actor, missing, play, text};

const EVERYONE: OverwriteTarget = OverwriteTarget::Role(0);
const VIEW: Permissions = Permissions::VIEW_CHANNEL;
const SEND: Permissions = Permissions::SEND_MESSAGES;

fn deny(target: OverwriteTarget, deny: Permissions) -> NewOverwrite {
    NewOverwrite { target, allow: Permissions::NONE, deny }
}

fn allow(target: OverwriteTarget, allow: Permissions) -> NewOverwrite {
    NewOverwrite { target, allow, deny: Permissions::NONE }
}

impl Scene {
    async fn overwrite(&self, who: &str, channel: &Room, overwrite: NewOverwrite) {
        self.rooms.set_overwrite(&actor(who), channel.no, overwrite).await.unwrap();
    }

    async fn member_target(&self, name: &str) -> OverwriteTarget {
        OverwriteTarget::Member(self.views().user_no(&actor(name).user).await.unwrap().unwrap())
    }

    async fn held_in(&self, guild: &Guild, channel: &Room, name: &str) -> Permissions {
        let user = self.views().user_no(&actor(name).user).await.unwrap().unwrap();
        self.views().permissions(guild.room.no, Some(channel.no), user).await.unwrap()
    }

    async fn overwrites(&self, channel: &Room) -> BTreeMap<OverwriteTarget, (u64, u64)> {
        let channel = self.views().channel(channel.no).await.unwrap().unwrap();
        let bits = |known: &nexus_views::Overwrite| (known.target, (known.allow.0, known.deny.0));
        channel.overwrites.iter().map(bits).collect()
    }

    async fn new_channel(&self, guild: &Guild, channel: NewChannel) -> Room {
        let no = self.rooms.create_channel(&actor("ana"), guild.room.no, channel).await.unwrap();
        self.room(no).await
    }

    /// A role with these permissions, held by one member.
    async fn role_of(&self, guild: &Guild, name: &str, permissions: Permissions) -> OverwriteTarget {
        let fields = RoleFields { permissions: Some(permissions), ..RoleFields::default() };
        let ana = actor("ana");
        let role = self.rooms.create_role(&ana, guild.room.no, fields).await.unwrap();
        let changes = MemberChanges { more_roles: vec![role], ..MemberChanges::default() };
        let user = actor(name).user;
        self.rooms.update_member(&ana, guild.room.no, &user, changes).await.unwrap();
        OverwriteTarget::Role(role)
    }
}

fn named(name: &str, kind: ChannelKind) -> NewChannel {
    NewChannel { name: name.to_owned(), kind, ..NewChannel::default() }
}

#[test]
fn overwrites_decide_in_their_channel_only() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        scene.comes_in(&guild, "ana", "cem").await;
        let role = scene.role_of(&guild, "cem", Permissions::NONE).await;
        scene.overwrite("ana", &guild.general, deny(EVERYONE, SEND)).await;
        scene.overwrite("ana", &guild.general, allow(role, SEND)).await;
        let refusal = scene.refused(scene.rooms.send(&actor("ben"), text(&guild.general, "no"))).await;
        assert_eq!(refusal, missing(SEND));
        scene.send("cem", text(&guild.general, "yes")).await;
        scene.send("ben", text(&guild.voice, "elsewhere")).await;
        let ben = scene.member_target("ben").await;
        scene.overwrite("ana", &guild.general, allow(ben, SEND)).await;
        scene.send("ben", text(&guild.general, "now")).await;
        scene.rooms.remove_overwrite(&actor("ana"), guild.general.no, ben).await.unwrap();
        assert!(!scene.held_in(&guild, &guild.general, "ben").await.contains(SEND));
        let ana = actor("ana");
        let gone = scene.rooms.remove_overwrite(&ana, guild.general.no, ben);
        assert_eq!(scene.refused(gone).await, Rejection::Guild(GuildRefusal::UnknownOverwrite));
    });
}

#[test]
fn one_gives_and_takes_only_what_one_has_there() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        scene.role_of(&guild, "ben", Permissions::MANAGE_ROLES).await;
        let ben = actor("ben");
        let set = |overwrite| scene.rooms.set_overwrite(&ben, guild.general.no, overwrite);
        let own = scene.member_target("ben").await;
        let manage = Permissions::MANAGE_MESSAGES;
        assert_eq!(scene.refused(set(allow(own, manage))).await, missing(manage));
        assert_eq!(scene.refused(set(deny(EVERYONE, manage))).await, missing(manage));
        set(deny(EVERYONE, Permissions::ADD_REACTIONS)).await.unwrap();
        // What one has been denied oneself one cannot lift.
        let refusal = scene.refused(set(deny(EVERYONE, Permissions::NONE))).await;
        assert_eq!(refusal, missing(Permissions::ADD_REACTIONS));
        let remove = scene.rooms.remove_overwrite(&ben, guild.general.no, EVERYONE);
        assert_eq!(scene.refused(remove).await, missing(Permissions::ADD_REACTIONS));
        // Who manages permissions in a channel is for administrators to say.
        let refusal = scene.refused(set(allow(own, Permissions::MANAGE_ROLES))).await;
        assert_eq!(refusal, Rejection::Guild(GuildRefusal::OnlyAdministrators));
        let unknown = scene.refused(set(deny(OverwriteTarget::Role(5), SEND))).await;
        assert_eq!(unknown, Rejection::Guild(GuildRefusal::UnknownRole));
        // Bits of the guild as a whole are no matter of a channel.
        scene.overwrite("ana", &guild.general, allow(own, Permissions::ALL)).await;
        assert!(!scene.held_in(&guild, &guild.general, "ben").await.contains(Permissions::ADMINISTRATOR));
        let (allowed, _) = scene.overwrites(&guild.general).await[&own];
        assert_eq!(allowed, Permissions::OF_CHANNELS.0);
    });
}

#[test]
fn a_channel_without_its_viewers_is_unknown_to_them() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let private = NewChannel {
            overwrites: Some(vec![deny(EVERYONE, VIEW)]),
            ..named("private", ChannelKind::Text)
        };
        let private = scene.new_channel(&guild, private).await;
        let refusal = scene.refused(scene.rooms.send(&actor("ben"), text(&private, "hi"))).await;
        assert_eq!(refusal, missing(VIEW));
        assert_eq!(scene.refused(scene.rooms.join(&actor("ben"), &private.id, None)).await, missing(VIEW));
        scene.send("ana", text(&private, "alone")).await;
        let ben = scene.member_target("ben").await;
        scene.overwrite("ana", &private, allow(ben, VIEW)).await;
        scene.send("ben", text(&private, "hi")).await;
    });
}

#[test]
fn a_channel_starts_with_what_its_category_has_and_follows_it() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let category = scene.new_channel(&guild, named("category", ChannelKind::Category)).await;
        scene.overwrite("ana", &category, deny(EVERYONE, SEND)).await;
        let inside = |name: &str| NewChannel { parent: Some(category.no), ..named(name, ChannelKind::Text) };
        let synced = scene.new_channel(&guild, inside("synced")).await;
        let own = NewChannel { overwrites: Some(Vec::new()), ..inside("own") };
        let own = scene.new_channel(&guild, own).await;
        assert_eq!(scene.overwrites(&synced).await, scene.overwrites(&category).await);
        assert!(scene.overwrites(&own).await.is_empty());
        // The category's change reaches those that have what it had.
        scene.overwrite("ana", &category, deny(EVERYONE, SEND.with(Permissions::ADD_REACTIONS))).await;
        assert_eq!(scene.overwrites(&synced).await, scene.overwrites(&category).await);
        assert!(scene.overwrites(&own).await.is_empty());
        // Going into a category changes nothing but where asked for.
        let step = |lock_permissions| ChannelMove {
            channel: guild.general.no,
            position: Some(3),
            parent: Some(Some(category.no)),
            lock_permissions,
        };
        let ana = actor("ana");
        scene.rooms.move_channels(&ana, guild.room.no, vec![step(false)]).await.unwrap();
        assert!(scene.overwrites(&guild.general).await.is_empty());
        scene.rooms.move_channels(&ana, guild.room.no, vec![step(true)]).await.unwrap();
        assert_eq!(scene.overwrites(&guild.general).await, scene.overwrites(&category).await);
        let info = scene.views().info(guild.general.no).await.unwrap();
        assert_eq!((info.parent, info.position), (Some(category.no), 3));
        let ben = actor("ben");
        let moved = scene.rooms.move_channels(&ben, guild.room.no, vec![step(false)]);
        assert_eq!(scene.refused(moved).await, missing(Permissions::MANAGE_CHANNELS));
        // A whole list replaces what was there.
        let changes =
            ChannelChanges { overwrites: Some(vec![deny(EVERYONE, VIEW)]), ..ChannelChanges::default() };
        scene.rooms.update_channel(&ana, guild.general.no, changes).await.unwrap();
        assert_eq!(scene.overwrites(&guild.general).await, BTreeMap::from([(EVERYONE, (0, VIEW.0))]));
    });
}

#[test]
fn a_category_has_an_end() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        let category = scene.new_channel(&guild, named("category", ChannelKind::Category)).await;
        let inside = || NewChannel { parent: Some(category.no), ..named("one", ChannelKind::Text) };
        for _ in 0..50 {
            scene.new_channel(&guild, inside()).await;
        }
        let ana = actor("ana");
        let refusal = scene.refused(scene.rooms.create_channel(&ana, guild.room.no, inside())).await;
        assert_eq!(refusal, Rejection::TooMany { what: "channels in a category", limit: 50 });
        // One change of the category is one commit for all of them.
        let before = scene.store().visible();
        scene.overwrite("ana", &category, deny(EVERYONE, SEND)).await;
        assert_eq!(scene.store().visible().0, before.0 + 1);
        let channels = scene.views().channels(guild.room.no).await.unwrap();
        assert_eq!(channels.iter().filter(|channel| !channel.overwrites.is_empty()).count(), 51);
    });
}

/// What a steward emptied denies, until it is said anew.
#[test]
fn an_emptied_overwrite_closes_the_channel() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let ben = scene.member_target("ben").await;
        scene.overwrite("ana", &guild.general, deny(ben, SEND)).await;
        let key = nexus_views::state_keys::overwrite_key(&guild.general.id, actor("ben").user.as_str());
        scene.decree(&guild, "nexus.overwrite", &key, json!({})).await;
        assert_eq!(scene.held_in(&guild, &guild.general, "ben").await, Permissions::NONE);
        assert_eq!(scene.held_in(&guild, &guild.general, "ana").await, Permissions::ALL);
        scene.overwrite("ana", &guild.general, deny(ben, SEND)).await;
        assert!(scene.held_in(&guild, &guild.general, "ben").await.contains(VIEW));
        // A whole new list puts it right too.
        scene.decree(&guild, "nexus.overwrite", &key, json!({})).await;
        let changes = ChannelChanges { overwrites: Some(Vec::new()), ..ChannelChanges::default() };
        scene.rooms.update_channel(&actor("ana"), guild.general.no, changes).await.unwrap();
        assert!(scene.held_in(&guild, &guild.general, "ben").await.contains(SEND));
    });
}

#[test]
fn an_emptied_member_and_role_give_nothing() {
    play(async |scene| {
        let guild = scene.guild("ana").await;
        scene.comes_in(&guild, "ana", "ben").await;
        let role = scene.role_of(&guild, "ben", Permissions::MANAGE_GUILD).await;
        let OverwriteTarget::Role(id) = role else { panic!() };
        scene.overwrite("ana", &guild.general, deny(role, SEND)).await;
        scene.decree(&guild, "nexus.role", &id.to_string(), json!({})).await;
        let held = scene.held_in(&guild, &guild.general, "ben").await;
        assert!(!held.contains(Permissions::MANAGE_GUILD) && !held.contains(SEND), "{held}");
        let key = nexus_views::state_keys::member_key(&actor("ben").user);
        scene.decree(&guild, "nexus.member", &key, json!({})).await;
        let quiet = VIEW.with(Permissions::READ_MESSAGE_HISTORY);
        assert_eq!(scene.permissions(&guild, "ben").await, quiet);
        let changes = MemberChanges { nick: Some(Some("Ben".to_owned())), ..MemberChanges::default() };
        let user = actor("ben").user;
        scene.rooms.update_member(&actor("ana"), guild.room.no, &user, changes).await.unwrap();
        assert_eq!(scene.permissions(&guild, "ben").await, Permissions::EVERYONE_DEFAULT);
    });
}
