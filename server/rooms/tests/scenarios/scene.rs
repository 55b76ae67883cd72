//! The stage of a scenario: a server on simulated time with a disk that needs a moment, and short names for
//! what people do there.

use std::{collections::BTreeSet, fmt::Debug, future::Future, sync::Arc, time::Duration};

use nexus_event_store::{RoomNo, Store, kv::memory::MemoryEngine, world::Clock as _};
use nexus_rooms::{
    Actor, CreateGuild, NewInvite, Redact, Rejection, Rooms, RoomsError, SendEvent, Sent, TxnKey,
};
use nexus_sim::{
    disk::{SimulatedDisk, SyncTime},
    executor::Simulation,
    server::Server,
};
use nexus_views::{
    ChannelKind, Event, Membership, Message, Permissions, TimelineSlice, Views,
    state_keys::{member_key, overwrite_key},
};
use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedRoomId, RoomId, ServerName, UserId};
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// A running server and what it wrote.
pub(crate) struct Scene {
    pub(crate) simulation: Simulation,
    pub(crate) rooms: Rooms,
    pub(crate) engine: MemoryEngine,
}

/// A room by number and id.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    pub(crate) no: RoomNo,
    pub(crate) id: OwnedRoomId,
}

/// A guild with its first channels.
pub(crate) struct Guild {
    pub(crate) room: Room,
    pub(crate) general: Room,
    pub(crate) voice: Room,
}

const DISK: SyncTime = SyncTime { least: Duration::from_micros(200), most: Duration::from_millis(3) };

/// Plays a scenario.
pub(crate) fn play(scenario: impl AsyncFnOnce(&Scene)) {
    play_from(5, scenario);
}

/// Plays a scenario in the order of events that `seed` gives.
pub(crate) fn play_from(seed: u64, scenario: impl AsyncFnOnce(&Scene)) {
    let simulation = Simulation::new(seed);
    simulation.run(async {
        let engine = MemoryEngine::new(SimulatedDisk::new(simulation.clone(), DISK));
        let name = ServerName::parse("sim.example").unwrap();
        let server = Server::start(&simulation, &name, engine.clone()).await.unwrap();
        scenario(&Scene { simulation: simulation.clone(), rooms: server.rooms, engine }).await;
    });
}

pub(crate) fn actor(name: &str) -> Actor {
    let user = UserId::parse(format!("@{name}:sim.example")).unwrap();
    Actor { user, device: "PHONE".to_owned(), reason: None }
}

pub(crate) fn object(value: Value) -> CanonicalJsonObject {
    match CanonicalJsonValue::try_from(value).unwrap() {
        CanonicalJsonValue::Object(object) => object,
        other => panic!("{other:?} is no object"),
    }
}

pub(crate) fn key(id: &str) -> Option<TxnKey> {
    Some(TxnKey { scope: "send".to_owned(), id: id.to_owned() })
}

/// An event that is not state.
pub(crate) fn event(room: &Room, event_type: &str, content: Value) -> SendEvent {
    SendEvent {
        room: room.id.clone(),
        event_type: event_type.to_owned(),
        state_key: None,
        content: object(content),
        txn: None,
    }
}

pub(crate) fn text(room: &Room, body: &str) -> SendEvent {
    event(room, "m.room.message", json!({ "msgtype": "m.text", "body": body }))
}

/// An edit of `target` that makes it say `body`.
pub(crate) fn edit(room: &Room, target: &Sent, body: &str) -> SendEvent {
    let content = json!({
        "msgtype": "m.text",
        "body": format!("* {body}"),
        "m.new_content": { "msgtype": "m.text", "body": body },
        "m.relates_to": { "rel_type": "m.replace", "event_id": target.event_id },
    });
    event(room, "m.room.message", content)
}

pub(crate) fn reaction(room: &Room, target: &Sent, emoji: &str) -> SendEvent {
    let relates = json!({ "rel_type": "m.annotation", "event_id": target.event_id, "key": emoji });
    event(room, "m.reaction", json!({ "m.relates_to": relates }))
}

pub(crate) fn redaction(room: &Room, target: &Sent) -> Redact {
    Redact { room: room.id.clone(), event_id: target.event_id.clone(), reason: None, txn: None }
}

pub(crate) fn state(room: &Room, event_type: &str, state_key: &str, content: Value) -> SendEvent {
    SendEvent { state_key: Some(state_key.to_owned()), ..event(room, event_type, content) }
}

pub(crate) fn missing(permission: Permissions) -> Rejection {
    Rejection::MissingPermission(permission)
}

impl Scene {
    pub(crate) fn views(&self) -> &Views {
        self.rooms.views()
    }

    pub(crate) fn store(&self) -> &Store {
        self.views().store()
    }

    pub(crate) async fn wait(&self, time: Duration) {
        self.simulation.sleep(time).await;
    }

    /// A guild of `owner`.
    pub(crate) async fn guild(&self, owner: &str) -> Guild {
        let new = CreateGuild { name: "Guild".to_owned() };
        let guild = self.rooms.create_guild(&actor(owner), new).await.unwrap();
        let channels = self.views().channels(guild).await.unwrap();
        let of_kind = |kind| {
            let channel = channels.iter().find(|channel| channel.info.kind == kind).unwrap();
            Room { no: channel.room, id: channel.room_id.clone() }
        };
        Guild {
            room: self.room(guild).await,
            general: of_kind(ChannelKind::Text),
            voice: of_kind(ChannelKind::Voice),
        }
    }

    pub(crate) async fn room(&self, no: RoomNo) -> Room {
        Room { no, id: self.views().room_id(no).await.unwrap() }
    }

    /// `name` comes into the guild by an invite of its owner.
    pub(crate) async fn comes_in(&self, guild: &Guild, owner: &str, name: &str) {
        let invite =
            self.rooms.create_invite(&actor(owner), guild.general.no, NewInvite::default()).await.unwrap();
        self.rooms.accept_invite(&actor(name), &invite.code).await.unwrap();
    }

    pub(crate) async fn send(&self, name: &str, event: SendEvent) -> Sent {
        self.rooms.send(&actor(name), event).await.unwrap()
    }

    /// What the steward says of a guild, without a command; members and overwrites under the keys they must
    /// have.
    pub(crate) async fn decree(&self, guild: &Guild, event_type: &str, state_key: &str, content: Value) {
        let text = |field: &str| content[field].as_str();
        let key = match (event_type, text("user"), text("channel")) {
            ("nexus.member", Some(user), _) => member_key(<&UserId>::try_from(user).unwrap()),
            ("nexus.overwrite", user, Some(channel)) => {
                let channel = <&RoomId>::try_from(channel).unwrap();
                overwrite_key(channel, text("role").or(user).unwrap_or(state_key))
            }
            _ => state_key.to_owned(),
        };
        self.send("nexus", state(&guild.room, event_type, &key, content)).await;
    }

    /// Takes permissions from everyone in a channel.
    pub(crate) async fn deny_everyone(&self, guild: &Guild, channel: &Room, denied: Permissions) {
        let content = json!({ "channel": channel.id, "role": "everyone", "deny": denied.0.to_string() });
        self.decree(guild, "nexus.overwrite", "everyone there", content).await;
    }

    pub(crate) async fn membership(&self, room: &Room, name: &str) -> Option<Membership> {
        let user = self.views().user_no(&actor(name).user).await.unwrap()?;
        self.views().membership(room.no, user).await.unwrap().map(|row| row.membership)
    }

    pub(crate) async fn permissions(&self, guild: &Guild, name: &str) -> Permissions {
        let Some(user) = self.views().user_no(&actor(name).user).await.unwrap() else {
            return Permissions::NONE;
        };
        self.views().permissions(guild.room.no, None, user).await.unwrap()
    }

    pub(crate) async fn event(&self, sent: &Sent) -> Arc<Event> {
        self.views().event(sent.place).await.unwrap()
    }

    pub(crate) async fn message(&self, sent: &Sent) -> Option<Message> {
        self.views().message(sent.place.room, sent.snowflake.unwrap()).await.unwrap()
    }

    /// What the message says now, by its newest edit.
    pub(crate) async fn says(&self, sent: &Sent) -> String {
        let message = self.message(sent).await.unwrap();
        let content = |event: &Event| event.pdu.content_as::<Value>().unwrap();
        let body = match &message.edit {
            Some(edit) => content(edit)["m.new_content"]["body"].clone(),
            None => content(&message.event)["body"].clone(),
        };
        body.as_str().unwrap().to_owned()
    }

    /// Waits until no job is open.
    pub(crate) async fn jobs_done(&self) {
        for _ in 0..10_000 {
            if self.rooms.jobs().await.unwrap().is_empty() {
                return;
            }
            self.wait(Duration::from_millis(1)).await;
        }
        panic!("jobs stay open: {:?}", self.rooms.jobs().await.unwrap());
    }

    /// The timeline, a line an event: sender, type and what it is about.
    pub(crate) async fn timeline(&self, room: &Room) -> Vec<String> {
        let all = TimelineSlice { after: None, before: None, newest_first: false, limit: usize::MAX };
        let items = self.views().timeline(room.no, all).await.unwrap();
        let line = |event: &Event| {
            let content: Value = event.pdu.content_as().unwrap();
            let about = content["body"].as_str().or(content["membership"].as_str()).unwrap_or_default();
            format!("{} {} {about}", event.pdu.sender().localpart(), event.pdu.event_type()).trim().to_owned()
        };
        items.iter().map(|item| line(&item.event)).collect()
    }

    /// Only what has been said, and who came and went, since the room was made.
    pub(crate) async fn last(&self, room: &Room, count: usize) -> Vec<String> {
        let mut timeline = self.timeline(room).await;
        timeline.split_off(timeline.len() - count)
    }

    /// The current state, a line an event; `names` replace ids that differ from run to run.
    pub(crate) async fn state(&self, room: &Room, names: &[(&str, &str)]) -> String {
        let head = self.views().head(room.no).await.unwrap();
        let mut lines = BTreeSet::new();
        for event in self.views().state(room.no, head.state).await.unwrap() {
            let mut content: Value = event.pdu.content_as().unwrap();
            if let Some(request) = content.get_mut("nexus.actor") {
                *request = json!(format!("{} of {}", request["action"], request["user"]).replace('"', ""));
            }
            if let Some(nonce) = content.get_mut("nexus.nonce") {
                *nonce = json!("random");
            }
            let (kind, key) = (event.pdu.event_type(), event.pdu.state_key().unwrap());
            let line = format!("{kind} {key:?} {content} by {}\n", event.pdu.sender().localpart());
            lines.insert(names.iter().fold(line, |line, (id, name)| line.replace(id, name)));
        }
        lines.into_iter().collect()
    }

    /// Gives a command that must be refused, and makes sure that nothing at all was written.
    pub(crate) async fn refused<T: Debug>(
        &self,
        command: impl Future<Output = Result<T, RoomsError>>,
    ) -> Rejection {
        // What earlier commands left to jobs is none of this one's doing.
        self.jobs_done().await;
        let (visible, rows) = (self.store().visible(), self.engine.dump());
        let outcome = command.await;
        // Whatever had been staged would be on disk by then.
        self.wait(DISK.most * 4).await;
        assert_eq!(self.store().visible(), visible, "a refused command made a commit");
        assert!(self.engine.dump() == rows, "a refused command wrote rows");
        match outcome {
            Err(RoomsError::Rejected(rejection)) => rejection,
            other => panic!("not refused: {other:?}"),
        }
    }

    /// Does all of this at once; the outcomes in the order asked.
    pub(crate) async fn together<T: Send + 'static>(
        &self,
        tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
    ) -> Vec<T> {
        let mut pending = Vec::new();
        for task in tasks {
            let (done, outcome) = oneshot::channel();
            pending.push(outcome);
            self.simulation.world().spawn("together", async move { drop(done.send(task.await)) });
        }
        let mut outcomes = Vec::new();
        for outcome in pending {
            outcomes.push(outcome.await.unwrap());
        }
        outcomes
    }
}
