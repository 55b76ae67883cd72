//! The server that is killed: clients give it commands of every kind and say what was acknowledged.

use std::{io::Write as _, path::Path, sync::Arc};

use nexus_accounts::{Accounts, AccountsConfig, InviteCheck, NewAccount, PasswordCost, Registration};
use nexus_event_store::{
    Store,
    kv::rocks::{RocksEngine, RocksTuning},
    world::BoxFuture,
};
use nexus_maintenance::purge;
use nexus_rooms::{
    Actor, CreateGuild, CreateRoom, NewChannel, NewInvite, Preset, Profile, Profiles, Redact, Rooms,
    RoomsConfig,
};
use nexus_sim::server::SimulatedSigner;
use nexus_state_resolution::RoomVersion;
use nexus_views::{ChannelKind, Views};
use ruma::{OwnedRoomId, UserId};
use serde_json::json;

use crate::{
    Dice,
    world::{SERVER, message, server_name, system},
};

/// Clients at a time.
const CLIENTS: u64 = 6;

struct NoProfiles;

impl Profiles for NoProfiles {
    fn profile<'a>(&'a self, _: &'a UserId) -> BoxFuture<'a, Profile> {
        Box::pin(std::future::ready(Profile::default()))
    }
}

struct NoInvites;

impl InviteCheck for NoInvites {
    fn is_valid<'a>(&'a self, _: &'a str) -> BoxFuture<'a, bool> {
        Box::pin(std::future::ready(false))
    }
}

/// A server on the store in `folder`.
pub(crate) async fn open(folder: &Path) -> (Rooms, Accounts) {
    let engine = RocksEngine::open(&folder.join("store"), RocksTuning::default()).unwrap();
    let store = Store::open(Arc::new(engine), system(), Arc::new(|error| panic!("{error}"))).await.unwrap();
    store.belongs_to(SERVER).await.unwrap();
    let mut config = AccountsConfig::new(server_name(), Arc::new(NoInvites));
    config.registration = Registration::Open;
    config.password_cost = PasswordCost::Minimum;
    let accounts = Accounts::new(store.clone(), config);
    let signer = Arc::new(SimulatedSigner::new(&server_name(), [7; 32]));
    let config = RoomsConfig { default_version: RoomVersion::V12 };
    (Rooms::new(Views::new(store, server_name()), signer, Arc::new(NoProfiles), config), accounts)
}

/// Says that a command was acknowledged; in one write, so that no kill leaves half a line that looks whole.
fn acknowledge(what: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\nack {what} .\n").as_bytes()).and_then(|()| out.flush()).unwrap();
}

pub(crate) fn live_until_killed(folder: &Path, run: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (rooms, accounts) = open(folder).await;
        let views = rooms.views().clone();
        rooms.start_jobs();
        purge::resume(views.store(), views.caches(), &mut |_| {}).await.unwrap();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let client = Client {
                    rooms: rooms.clone(),
                    accounts: accounts.clone(),
                    name: format!("c{run}x{client}"),
                    dice: Dice((run * CLIENTS + client + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                    sent: Vec::new(),
                    guild: None,
                };
                tokio::spawn(client.live())
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
    });
}

struct Client {
    rooms: Rooms,
    accounts: Accounts,
    name: String,
    dice: Dice,
    sent: Vec<(OwnedRoomId, ruma::OwnedEventId)>,
    guild: Option<(nexus_event_store::RoomNo, OwnedRoomId)>,
}

impl Client {
    fn actor(&self) -> Actor {
        let user = UserId::parse(format!("@{}:{SERVER}", self.name)).unwrap();
        Actor { user, device: "D".to_owned(), reason: None }
    }

    async fn live(mut self) {
        let new = NewAccount {
            username: Some(self.name.clone()),
            password: "correct horse".to_owned(),
            email: None,
            email_proof: None,
            invite: None,
            session: None,
        };
        self.accounts.register(new).await.unwrap();
        acknowledge(&format!("account {}", self.name));
        let room = self.make_room().await;
        for number in 0.. {
            match self.dice.below(26) {
                24 => self.delete_a_guild(number).await,
                25 => self.ban_from_guild(number).await,
                0 => self.make_guild().await,
                1 => drop(self.make_room().await),
                2 => self.make_channel(number).await,
                3 => self.invite_somebody(number).await,
                4 => self.purge_a_room().await,
                5 | 6 => self.redact().await,
                7 => self.rename(number).await,
                8 => self.ban_somebody(&room, number).await,
                _ => self.say(&room, number).await,
            }
        }
    }

    async fn make_room(&mut self) -> OwnedRoomId {
        let new =
            CreateRoom { preset: Preset::PublicChat, name: Some(self.name.clone()), ..CreateRoom::default() };
        let room = self.rooms.create_room(&self.actor(), new).await.unwrap().room_id;
        acknowledge(&format!("room {room}"));
        room
    }

    async fn make_guild(&mut self) {
        let guild =
            self.rooms.create_guild(&self.actor(), CreateGuild { name: "Guild".to_owned() }).await.unwrap();
        let channel = self.rooms.views().channels(guild).await.unwrap()[0].room;
        let channel = self.rooms.views().room_id(channel).await.unwrap();
        self.guild = Some((guild, channel));
        acknowledge(&format!("guild {guild}"));
    }

    async fn make_channel(&mut self, number: u64) {
        let Some((guild, _)) = self.guild else { return };
        let new = NewChannel { name: format!("n{number}"), kind: ChannelKind::Text, ..NewChannel::default() };
        let channel = self.rooms.create_channel(&self.actor(), guild, new).await.unwrap();
        acknowledge(&format!("channel {guild} {channel}"));
    }

    async fn invite_somebody(&mut self, number: u64) {
        let Some((guild, channel)) = self.guild.clone() else { return };
        let channel = self.rooms.views().room_no(&channel).await.unwrap().unwrap();
        let invite = self.rooms.create_invite(&self.actor(), channel, NewInvite::default()).await.unwrap();
        let user = UserId::parse(format!("@guest{number}.{}:{SERVER}", self.name)).unwrap();
        let guest = Actor { user: user.clone(), device: "D".to_owned(), reason: None };
        self.rooms.accept_invite(&guest, &invite.code).await.unwrap();
        acknowledge(&format!("member {guild} {user}"));
    }

    /// A member, who is in a channel too.
    async fn newcomer(&self, guild: nexus_event_store::RoomNo, number: u64) -> Actor {
        let channel = self.rooms.views().channels(guild).await.unwrap()[0].room;
        let invite = self.rooms.create_invite(&self.actor(), channel, NewInvite::default()).await.unwrap();
        let user = UserId::parse(format!("@new{number}.{}:{SERVER}", self.name)).unwrap();
        let newcomer = Actor { user, device: "D".to_owned(), reason: None };
        self.rooms.accept_invite(&newcomer, &invite.code).await.unwrap();
        let channel = self.rooms.views().room_id(channel).await.unwrap();
        let hello = json!({ "msgtype": "m.text", "body": "hello" });
        self.rooms.send(&newcomer, message(&channel, &format!("hello{number}"), hello)).await.unwrap();
        newcomer
    }

    /// The job of it takes the members out.
    async fn delete_a_guild(&mut self, number: u64) {
        let guild = CreateGuild { name: "short-lived".to_owned() };
        let guild = self.rooms.create_guild(&self.actor(), guild).await.unwrap();
        self.newcomer(guild, number).await;
        self.rooms.delete_guild(&self.actor(), guild).await.unwrap();
        acknowledge(&format!("deleted {guild}"));
    }

    /// The job of it takes the banned one out of the channels.
    async fn ban_from_guild(&mut self, number: u64) {
        let Some((guild, _)) = self.guild else { return };
        let newcomer = self.newcomer(guild, number).await;
        self.rooms.ban_member(&self.actor(), guild, &newcomer.user, 0, None).await.unwrap();
        acknowledge(&format!("banned {guild} {}", newcomer.user));
    }

    async fn ban_somebody(&mut self, room: &OwnedRoomId, number: u64) {
        let user = UserId::parse(format!("@bad{number}.{}:{SERVER}", self.name)).unwrap();
        let bad = Actor { user: user.clone(), device: "D".to_owned(), reason: None };
        self.rooms.join(&bad, room, None).await.unwrap();
        self.rooms.ban(&self.actor(), room, &user, None).await.unwrap();
        acknowledge(&format!("ban {room} {user}"));
    }

    async fn purge_a_room(&mut self) {
        let room = self.make_room().await;
        for number in 0..self.dice.below(30) {
            self.say(&room, 1_000_000 + number).await;
        }
        let views = self.rooms.views();
        purge::purge(views.store(), views.caches(), room.as_str(), &mut |_| {}).await.unwrap();
        self.sent.retain(|(sent_to, _)| *sent_to != room);
        acknowledge(&format!("purge {room}"));
    }

    async fn say(&mut self, room: &OwnedRoomId, number: u64) {
        let body = json!({ "msgtype": "m.text", "body": format!("{}/{number}", self.name) });
        let event = message(room, &format!("{room}{number}"), body);
        let sent = self.rooms.send(&self.actor(), event).await.unwrap();
        acknowledge(&format!("send {room} {} {}", sent.event_id, sent.position));
        self.sent.push((room.clone(), sent.event_id));
    }

    async fn redact(&mut self) {
        if self.sent.is_empty() {
            return;
        }
        let at = usize::try_from(self.dice.below(self.sent.len() as u64)).unwrap();
        let (room, event_id) = self.sent.swap_remove(at);
        let redact = Redact { room, event_id: event_id.clone(), reason: None, txn: None };
        self.rooms.redact(&self.actor(), redact).await.unwrap();
        acknowledge(&format!("redact {event_id}"));
    }

    async fn rename(&mut self, number: u64) {
        let account = self.accounts.account_by_name(&self.name).await.unwrap().unwrap();
        let name = format!("{}-{number}", self.name);
        self.accounts.set_display_name(account.user, Some(name.clone())).await.unwrap();
        acknowledge(&format!("profile {} {name}", self.name));
    }
}
