//! Random commands: any user, anything that exists, so that some are refused and many take effect.

use nexus_event_store::RoomNo;
use nexus_rooms::{
    Actor, AddBot, ChannelChanges, ChannelMove, CreateGuild, CreateRoom, GuildChanges, InitialState,
    MemberChanges, NewChannel, NewInvite, NewOverwrite, Preset, Redact, RoleFields, RoomsError, SendEvent,
};
use nexus_state_resolution::RoomVersion;
use nexus_views::{
    ChannelKind, OverwriteTarget, Permissions,
    state_keys::{member_key, overwrite_key},
};
use proptest::prelude::*;
use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedRoomId, RoomAliasId, RoomId, UserId};
use serde_json::{Value, json};

use crate::world::{Known, World};

/// One command: which, by whom, and the digits from which everything else about it is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Command {
    pub(crate) kind: u8,
    pub(crate) who: u8,
    pub(crate) what: u64,
}

pub(crate) fn any_command() -> impl Strategy<Value = Command> {
    (0..200u8, any::<u8>(), any::<u64>()).prop_map(|(kind, who, what)| Command { kind, who, what })
}

const USERS: [&str; 4] = ["ana", "ben", "cem", "dot"];
const EMOJI: [&str; 2] = ["👍", "custom:1"];

/// How far back one mostly looks for a room.
const FEW: usize = 12;

/// Draws choices from a number, digit by digit.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let digit = self.0 % bound as u64;
        self.0 = (self.0 / bound as u64).rotate_right(7) ^ self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        usize::try_from(digit).unwrap()
    }

    pub(crate) fn one_of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    pub(crate) fn user(&mut self) -> &'static str {
        USERS[self.below(USERS.len())]
    }

    /// One of the last `few` more often than not: what is new is what changes.
    pub(crate) fn recent<'a, T>(&mut self, few: usize, items: &'a [T]) -> &'a T {
        let reach = if self.below(4) == 0 { items.len() } else { items.len().min(few) };
        &items[items.len() - 1 - self.below(reach)]
    }
}

fn object(value: Value) -> CanonicalJsonObject {
    match CanonicalJsonValue::try_from(value).unwrap() {
        CanonicalJsonValue::Object(object) => object,
        other => panic!("{other:?} is no object"),
    }
}

impl World {
    /// One guild and one room of each version to begin with.
    pub(crate) async fn found(&mut self) {
        for (who, kind) in [(0, 0), (1, 6), (2, 7), (3, 8)] {
            self.give(&Command { kind, who, what: u64::from(kind) }).await;
        }
    }

    /// Gives one command, whatever becomes of it.
    pub(crate) async fn give(&mut self, command: &Command) {
        let who = USERS[usize::from(command.who) % USERS.len()];
        let mut dice = Dice(command.what);
        match command.kind {
            0..3 => self.make_guild(who).await,
            3..10 => self.make_room(who, &mut dice).await,
            10..24 => self.change_guild(who, &mut dice).await,
            24..36 => self.change_channels(who, &mut dice).await,
            36..60 => self.change_membership(who, &mut dice).await,
            60..64 => {
                let user = self.actor(who);
                self.names.0.lock().insert(user.user.clone(), format!("{who} {}", dice.below(5)));
                let outcome = self.rooms.refresh_profile(&user).await;
                self.after(outcome).await;
            }
            64..68 => self.steward_decides(&mut dice).await,
            68..76 => self.change_permissions(who, &mut dice).await,
            76..84 => self.change_room_state(who, &mut dice).await,
            84..98 => self.say(who, &mut dice).await,
            98..120 => self.converse(who, &mut dice).await,
            120..160 => self.relate(who, &mut dice).await,
            _ => self.redact(who, &mut dice).await,
        }
    }

    /// A guild, with everybody in it.
    async fn make_guild(&mut self, who: &str) {
        let owner = self.actor(who);
        let guild = self.rooms.create_guild(&owner, CreateGuild { name: format!("of {who}") }).await.unwrap();
        let channels = self.rooms.views().channels(guild).await.unwrap();
        let invite = self.rooms.create_invite(&owner, channels[0].room, NewInvite::default()).await.unwrap();
        self.guilds.push(guild);
        self.channels.extend(channels.into_iter().map(|channel| channel.room));
        for user in USERS {
            let outcome = self.rooms.accept_invite(&self.actor(user), &invite.code).await;
            self.after(outcome).await;
        }
    }

    async fn make_room(&mut self, who: &str, dice: &mut Dice) {
        let versions = RoomVersion::ALL;
        let presets = [Preset::PublicChat, Preset::PublicChat, Preset::TrustedPrivateChat];
        let forged = InitialState {
            event_type: "nexus.guild".to_owned(),
            state_key: String::new(),
            content: object(json!({ "owner": self.actor(who).user })),
        };
        let room = CreateRoom {
            version: Some(*dice.one_of(&versions)),
            preset: *dice.one_of(&presets),
            name: (dice.below(2) == 0).then(|| "a room".to_owned()),
            topic: (dice.below(2) == 0).then(|| "a topic".to_owned()),
            invite: USERS
                .into_iter()
                .find(|user| *user != who)
                .map(|user| self.actor(user).user)
                .into_iter()
                .collect(),
            initial_state: if dice.below(4) == 0 { vec![forged] } else { Vec::new() },
            ..CreateRoom::default()
        };
        let outcome = self.rooms.create_room(&self.actor(who), room).await;
        let made = outcome.as_ref().map(|made| made.room_id.clone()).unwrap();
        self.after(outcome).await;
        for user in USERS {
            let outcome = self.rooms.join(&self.actor(user), &made, None).await;
            self.after(outcome).await;
        }
    }

    async fn change_guild(&mut self, who: &str, dice: &mut Dice) {
        let guild = *dice.recent(FEW, &self.guilds);
        let (actor, rooms) = (self.actor(who), self.rooms.clone());
        let target = self.actor(dice.user()).user;
        let outcome = match dice.below(12) {
            8 => rooms.kick_member(&actor, guild, &target, None).await,
            9 => {
                // Mostly by the owner, who may.
                let owner = rooms.views().guild(guild).await.unwrap().map(|guild| guild.owner);
                let by = match owner.filter(|_| dice.below(4) > 0) {
                    Some(owner) => Actor { user: rooms.views().user_id(owner).await.unwrap(), ..actor },
                    None => actor,
                };
                rooms.ban_member(&by, guild, &target, 2 * dice.below(2) as u64, None).await
            }
            10 => rooms.unban_member(&actor, guild, &target, None).await,
            11 => {
                let until = self.store().world().now().0 + 5;
                let timeout_until_ms = Some(Some(until));
                let changes = MemberChanges { timeout_until_ms, ..MemberChanges::default() };
                rooms.update_member(&actor, guild, &target, changes).await
            }
            0 | 1 => {
                let name = Some(format!("renamed {}", dice.below(3)));
                let features = Some(vec!["DISCOVERABLE".to_owned(); dice.below(2)]);
                let owner = (dice.below(4) == 0).then(|| self.actor(dice.user()).user);
                rooms.update_guild(&actor, guild, GuildChanges { name, features, owner }).await
            }
            2..5 => {
                let bot = self.actor(&format!("bot{}", dice.below(3))).user;
                let permissions = Permissions(Permissions::MANAGE_MESSAGES.0 * dice.below(2) as u64);
                rooms.add_bot(&actor, AddBot { guild, bot, name: "Bot".to_owned(), permissions }).await
            }
            5 | 6 => rooms.leave_guild(&actor, guild).await,
            _ if dice.below(3) == 0 => rooms.delete_guild(&actor, guild).await,
            _ => return,
        };
        self.after(outcome).await;
    }

    async fn change_channels(&mut self, who: &str, dice: &mut Dice) {
        let (guild, channel) = (*dice.recent(FEW, &self.guilds), *dice.recent(FEW, &self.channels));
        let (actor, rooms) = (self.actor(who), self.rooms.clone());
        let kinds = ChannelKind::NAMES.map(|(kind, _)| kind);
        let outcome = match dice.below(8) {
            0..4 => {
                let parent = (dice.below(3) == 0).then(|| *dice.recent(FEW, &self.channels));
                let new = NewChannel {
                    name: "new".to_owned(),
                    kind: *dice.one_of(&kinds),
                    topic: (dice.below(2) == 0).then(|| "of the channel".to_owned()),
                    parent,
                    nsfw: dice.below(2) == 0,
                    ..NewChannel::default()
                };
                let made = rooms.create_channel(&actor, guild, new).await;
                self.channels.extend(made.as_ref().ok());
                made.map(drop)
            }
            4..7 => {
                let parent = (dice.below(2) == 0).then(|| Some(*dice.recent(FEW, &self.channels)));
                let changes = ChannelChanges {
                    name: (dice.below(2) == 0).then(|| "changed".to_owned()),
                    topic: (dice.below(2) == 0).then_some(None),
                    parent,
                    position: Some(dice.below(9) as i64),
                    ..ChannelChanges::default()
                };
                rooms.update_channel(&actor, channel, changes).await
            }
            _ => rooms.delete_channel(&actor, channel).await,
        };
        self.after(outcome).await;
    }

    async fn change_membership(&mut self, who: &str, dice: &mut Dice) {
        let (actor, rooms) = (self.actor(who), self.rooms.clone());
        let room = dice.recent(FEW, &self.all_rooms).1.clone();
        let target = self.actor(dice.user()).user;
        let outcome = match dice.below(12) {
            0..4 => self.come_by_invite(who, dice).await,
            4..7 => rooms.join(&actor, &room, Some("why not".to_owned())).await.map(drop),
            7 | 8 => rooms.leave(&actor, &room, None).await.map(drop),
            9 => rooms.invite(&actor, &room, &target, None).await.map(drop),
            10 => self.deal_with(who, &room, &target, dice).await,
            _ => {
                let membership = *dice.one_of(&["ban", "leave", "join"]);
                let content = json!({ "membership": membership, "displayname": "as given" });
                self.state(who, room, "m.room.member", target.as_str(), content).await
            }
        };
        self.after(outcome).await;
    }

    /// Kicks, bans, knocks and what follows them; aliases; and now and then a room is replaced.
    async fn deal_with(
        &mut self,
        who: &str,
        room: &RoomId,
        target: &UserId,
        dice: &mut Dice,
    ) -> Result<(), RoomsError> {
        let (actor, rooms) = (self.actor(who), self.rooms.clone());
        let rule = json!({ "join_rule": *dice.one_of(&["knock", "public", "knock_restricted"]) });
        match dice.below(9) {
            0 => rooms.kick(&actor, room, target, Some("why".to_owned())).await.map(drop),
            1 => rooms.ban(&actor, room, target, None).await.map(drop),
            2 => rooms.unban(&actor, room, target, None).await.map(drop),
            3 | 4 => rooms.knock(&actor, room, None).await.map(drop),
            5 => self.state(who, room.to_owned(), "m.room.join_rules", "", rule).await,
            6 => rooms.forget(&actor, room).await,
            7 => {
                let alias = format!("#{}:sim.example", dice.below(20));
                let alias = RoomAliasId::parse(alias).unwrap();
                match dice.below(3) {
                    0 => rooms.delete_alias(&actor, &alias).await,
                    _ => rooms.set_alias(&actor, &alias, room).await,
                }
            }
            _ => {
                let version = *dice.one_of(&RoomVersion::ALL);
                rooms.upgrade(&actor, room, version, Vec::new()).await.map(drop)
            }
        }
    }

    async fn come_by_invite(&self, who: &str, dice: &mut Dice) -> Result<(), RoomsError> {
        let channel = *dice.recent(FEW, &self.channels);
        let maker = self.actor(dice.user());
        let invite = self.rooms.create_invite(&maker, channel, NewInvite::default()).await?;
        self.rooms.accept_invite(&self.actor(who), &invite.code).await.map(drop)
    }

    /// Roles, members and overwrites, by whoever may.
    async fn change_permissions(&mut self, who: &str, dice: &mut Dice) {
        let (guild, channel) = (*dice.recent(FEW, &self.guilds), *dice.recent(FEW, &self.channels));
        let (actor, rooms) = (self.actor(who), self.rooms.clone());
        let roles = rooms.views().roles(guild).await.unwrap();
        // The steward may have taken even @everyone away.
        let role = if roles.is_empty() { 7 } else { dice.one_of(&roles).row.id };
        let target = self.actor(dice.user()).user;
        let bits = Permissions::SEND_MESSAGES.with(Permissions::MANAGE_ROLES);
        let fields = RoleFields {
            name: (dice.below(2) == 0).then(|| format!("role {}", dice.below(3))),
            permissions: (dice.below(2) == 0).then_some(bits),
            ..RoleFields::default()
        };
        let user = rooms.views().user_no(&target).await.unwrap().unwrap_or_default();
        let overwrite = NewOverwrite {
            target: *dice.one_of(&[OverwriteTarget::Role(role), OverwriteTarget::Member(user)]),
            allow: Permissions::SEND_MESSAGES,
            deny: Permissions::VIEW_CHANNEL,
        };
        let outcome = match dice.below(10) {
            0 | 1 => rooms.create_role(&actor, guild, fields).await.map(drop),
            2 => rooms.update_role(&actor, guild, role, fields).await,
            3 => rooms.delete_role(&actor, guild, role).await,
            4 => rooms.move_roles(&actor, guild, vec![(role, dice.below(4) as i64)]).await,
            5 | 6 => {
                let changes = MemberChanges {
                    nick: (dice.below(2) == 0).then(|| Some("called".to_owned())),
                    more_roles: vec![role; dice.below(2)],
                    fewer_roles: vec![role; dice.below(2)],
                    ..MemberChanges::default()
                };
                rooms.update_member(&actor, guild, &target, changes).await
            }
            7 => rooms.set_overwrite(&actor, channel, overwrite).await,
            8 => rooms.remove_overwrite(&actor, channel, overwrite.target).await,
            _ => {
                let step = ChannelMove {
                    channel,
                    position: Some(dice.below(5) as i64),
                    parent: None,
                    lock_permissions: dice.below(2) == 0,
                };
                rooms.move_channels(&actor, guild, vec![step]).await
            }
        };
        self.after(outcome).await;
    }

    /// Roles, overwrites and timeouts as a steward of another mind would write them, emptied ones too.
    async fn steward_decides(&mut self, dice: &mut Dice) {
        let guild = *dice.recent(FEW, &self.guilds);
        let room = self.rooms.views().room_id(guild).await.unwrap();
        let user = self.actor(dice.user()).user;
        let role = dice.one_of(&["everyone", "101", "102"]).to_string();
        let bits = || Permissions::SEND_MESSAGES.with(Permissions::MANAGE_MESSAGES).0.to_string();
        let kept = dice.below(4) > 0;
        let emptied = dice.below(8) == 0;
        let (kind, key, content) = match dice.below(3) {
            0 if emptied => ("nexus.role", role, json!({})),
            0 => {
                ("nexus.role", role, json!({ "name": if kept { "role" } else { "" }, "permissions": bits() }))
            }
            1 => {
                let content =
                    json!({ "user": user, "roles": [role], "nick": "nick", "timeout_until_ms": 17 });
                ("nexus.member", member_key(&user), if kept { content } else { json!({}) })
            }
            _ => {
                let channel = *dice.recent(FEW, &self.channels);
                let channel = self.rooms.views().room_id(channel).await.unwrap();
                let mut content = json!({ "channel": channel, "allow": bits(), "deny": "1024" });
                content[if kept { "role" } else { "nobody" }] = json!(role);
                let content = if emptied { json!({}) } else { content };
                ("nexus.overwrite", overwrite_key(&channel, &role), content)
            }
        };
        let outcome = self.state("nexus", room, kind, &key, content).await;
        self.after(outcome).await;
    }

    /// A room's name and topic; and what only a steward may say, by somebody else.
    async fn change_room_state(&mut self, who: &str, dice: &mut Dice) {
        let room = dice.recent(FEW, &self.all_rooms).1.clone();
        let channel = *dice.recent(FEW, &self.channels);
        let channel = self.rooms.views().room_id(channel).await.unwrap();
        let (kind, key, content) = match dice.below(4) {
            0 => ("m.room.name", "", json!({ "name": format!("name {}", dice.below(9)) })),
            1 => ("m.room.topic", "", json!({ "topic": 7 })),
            2 => ("nexus.channel", channel.as_str(), json!({ "kind": "text" })),
            _ => ("nexus.overwrite", "key", json!({ "channel": channel, "role": "everyone", "allow": "8" })),
        };
        let outcome = self.state(who, room, kind, key, content).await;
        self.after(outcome).await;
    }

    async fn state(
        &self,
        who: &str,
        room: OwnedRoomId,
        event_type: &str,
        key: &str,
        content: Value,
    ) -> Result<(), RoomsError> {
        let (event_type, state_key) = (event_type.to_owned(), Some(key.to_owned()));
        let event = SendEvent { room, event_type, state_key, content: object(content), txn: None };
        self.rooms.send(&self.actor(who), event).await.map(drop)
    }

    pub(crate) async fn send_state(
        &mut self,
        who: &str,
        room: OwnedRoomId,
        event_type: &str,
        key: &str,
        content: Value,
    ) {
        let outcome = self.state(who, room, event_type, key, content).await;
        self.after(outcome).await;
    }

    pub(crate) async fn send(&mut self, who: &str, room: OwnedRoomId, event_type: &str, content: Value) {
        let event_type = event_type.to_owned();
        let event = SendEvent { room, event_type, state_key: None, content: object(content), txn: None };
        let outcome = self.rooms.send(&self.actor(who), event).await;
        self.after(outcome).await;
    }

    async fn say(&mut self, who: &str, dice: &mut Dice) {
        let room = match dice.below(3) {
            0 => dice.recent(FEW, &self.all_rooms).1.clone(),
            _ => self.room_id(*dice.recent(FEW, &self.channels)),
        };
        let kind = *dice.one_of(&["m.room.message", "m.room.message", "m.sticker", "org.example.note"]);
        self.send(who, room, kind, json!({ "body": "text" })).await;
    }

    fn room_id(&self, room: RoomNo) -> OwnedRoomId {
        self.all_rooms.iter().find(|(number, _)| *number == room).unwrap().1.clone()
    }

    /// Edits, reactions, threads and other relations, well formed or not, mostly to something recent.
    async fn relate(&mut self, who: &str, dice: &mut Dice) {
        let known =
            if dice.below(8) == 0 || self.messages.is_empty() { &self.events } else { &self.messages };
        let event = dice.recent(2, known).clone();
        let who = self.somebody(who, &event, dice);
        let Known { room_id: room, event_id: target, .. } = event;
        let emoji = *dice.one_of(&EMOJI);
        let new = json!({ "body": "new" });
        let message = "m.room.message";
        let (kind, relates, new) = match dice.below(12) {
            0..4 => (message, json!({ "rel_type": "m.replace", "event_id": target }), new),
            4 => ("m.sticker", json!({ "rel_type": "m.replace", "event_id": target }), new),
            5 => (message, json!({ "rel_type": "m.replace", "event_id": target }), json!("no object")),
            6..9 => (
                "m.reaction",
                json!({ "rel_type": "m.annotation", "event_id": target, "key": emoji }),
                Value::Null,
            ),
            9 => (
                message,
                json!({ "rel_type": "m.annotation", "event_id": target, "key": emoji }),
                Value::Null,
            ),
            10 => (message, json!({ "rel_type": "m.thread", "event_id": target }), Value::Null),
            _ => ("org.example.note", json!({ "rel_type": "m.reference", "event_id": target }), Value::Null),
        };
        let content = json!({ "body": "* text", "m.relates_to": relates, "m.new_content": new });
        self.send(&who, room, kind, content).await;
    }

    /// Mostly the event's own sender.
    fn somebody(&self, who: &str, event: &Known, dice: &mut Dice) -> String {
        let own = dice.below(4) > 0 && event.sender.localpart() != "nexus";
        if own { event.sender.localpart() } else { who }.to_owned()
    }

    async fn redact(&mut self, who: &str, dice: &mut Dice) {
        let event = dice.recent(3, &self.events).clone();
        let who = self.somebody(who, &event, dice);
        let Known { room_id: room, event_id, .. } = event;
        let redact = Redact { room, event_id, reason: None, txn: None };
        let outcome = self.rooms.redact(&self.actor(&who), redact).await;
        self.after(outcome).await;
    }
}
