//! What one has not read, against a model that looks at every message: whatever is sent, read and redacted.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{sync::Arc, time::Duration};

use nexus_event_store::{
    EventNo, RoomNo, UserNo,
    kv::memory::{MemoryEngine, PerfectDisk},
    rows::EventPlace,
    world::Clock as _,
};
use nexus_rooms::{Actor, CreateGuild, MarkRead, NewInvite, ReceiptKind, Redact, Rooms, SendEvent};
use nexus_sim::{executor::Simulation, server::Server};
use nexus_views::unread::{COUNTED, ReceiptThread};
use proptest::{collection::vec, prelude::*};
use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedEventId, OwnedRoomId, ServerName, UserId};
use serde_json::{Value, json};

const USERS: [&str; 3] = ["ana", "ben", "cem"];

#[derive(Clone, Copy, Debug)]
enum Step {
    /// (who, whom it names: a user, everyone or nobody)
    Say(usize, usize),
    Edit(usize),
    Redact(usize),
    /// (who, which message)
    Read(usize, usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..3usize, 0..5usize).prop_map(|(who, named)| Step::Say(who, named)),
        1 => any::<usize>().prop_map(Step::Edit),
        2 => any::<usize>().prop_map(Step::Redact),
        2 => (0..3usize, any::<usize>()).prop_map(|(who, which)| Step::Read(who, which)),
    ]
}

/// A message as the model knows it.
struct Said {
    event_id: OwnedEventId,
    no: EventNo,
    by: usize,
    names: Vec<usize>,
    is_there: bool,
}

struct World {
    rooms: Rooms,
    channel: RoomNo,
    room_id: OwnedRoomId,
    users: Vec<UserNo>,
    said: Vec<Said>,
    read: [EventNo; 3],
}

fn actor(name: &str) -> Actor {
    Actor {
        user: UserId::parse(format!("@{name}:sim.example")).unwrap(),
        device: "D".to_owned(),
        reason: None,
    }
}

fn object(value: Value) -> CanonicalJsonObject {
    match CanonicalJsonValue::try_from(value).unwrap() {
        CanonicalJsonValue::Object(object) => object,
        other => panic!("{other:?} is no object"),
    }
}

impl World {
    async fn start(simulation: &Simulation) -> Self {
        let name = ServerName::parse("sim.example").unwrap();
        let engine = MemoryEngine::new(Arc::new(PerfectDisk));
        let rooms = Server::start(simulation, &name, engine).await.unwrap().rooms;
        let owner = actor(USERS[0]);
        let guild = rooms.create_guild(&owner, CreateGuild { name: "Guild".to_owned() }).await.unwrap();
        let channels = rooms.views().channels(guild).await.unwrap();
        let channel =
            channels.iter().find(|channel| channel.info.name.as_deref() == Some("general")).unwrap();
        for user in &USERS[1..] {
            let invite = rooms.create_invite(&owner, channel.room, NewInvite::default()).await.unwrap();
            rooms.accept_invite(&actor(user), &invite.code).await.unwrap();
        }
        let mut users = Vec::new();
        for user in USERS {
            users.push(rooms.views().user_no(&actor(user).user).await.unwrap().unwrap());
        }
        let (channel, room_id) = (channel.room, channel.room_id.clone());
        Self { rooms, channel, room_id, users, said: Vec::new(), read: [EventNo(0); 3] }
    }

    async fn send(&self, who: usize, content: Value) -> (OwnedEventId, EventNo) {
        let event = SendEvent {
            room: self.room_id.clone(),
            event_type: "m.room.message".to_owned(),
            state_key: None,
            content: object(content),
            txn: None,
        };
        let sent = self.rooms.send(&actor(USERS[who]), event).await.unwrap();
        (sent.event_id, sent.place.event)
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Say(by, named) => {
                // Only the owner may ping everyone.
                let named = if named == 3 && by != 0 { 4 } else { named };
                let mentions = match named {
                    0..3 => json!({ "user_ids": [actor(USERS[named]).user] }),
                    3 => json!({ "room": true }),
                    _ => json!({}),
                };
                let names = match named {
                    0..3 => vec![named],
                    3 => vec![0, 1, 2],
                    _ => Vec::new(),
                };
                let content = json!({ "msgtype": "m.text", "body": "said", "m.mentions": mentions });
                let (event_id, no) = self.send(by, content).await;
                self.said.push(Said { event_id, no, by, names, is_there: true });
            }
            Step::Edit(which) => {
                let Some(said) = self.pick(which) else { return };
                let (by, target) = (self.said[said].by, self.said[said].event_id.clone());
                let everyone = json!({ "user_ids": USERS.map(|user| actor(user).user) });
                let content = json!({
                    "msgtype": "m.text", "body": "* edited", "m.mentions": everyone,
                    "m.new_content": { "msgtype": "m.text", "body": "edited", "m.mentions": everyone },
                    "m.relates_to": { "rel_type": "m.replace", "event_id": target },
                });
                self.send(by, content).await;
            }
            Step::Redact(which) => {
                let Some(said) = self.pick(which) else { return };
                let room = self.room_id.clone();
                let event_id = self.said[said].event_id.clone();
                let redact = Redact { room, event_id, reason: None, txn: None };
                self.rooms.redact(&actor(USERS[0]), redact).await.unwrap();
                self.said[said].is_there = false;
            }
            Step::Read(who, which) => {
                let Some(no) = self.pick(which).map(|said| self.said[said].no) else { return };
                self.mark(who, no).await;
            }
        }
    }

    fn pick(&self, which: usize) -> Option<usize> {
        let there: Vec<usize> = (0..self.said.len()).filter(|at| self.said[*at].is_there).collect();
        (!there.is_empty()).then(|| there[which % there.len()])
    }

    async fn mark(&mut self, who: usize, event: EventNo) {
        let event_place = EventPlace { room: self.channel, event };
        let mark = MarkRead {
            event: event_place,
            thread: ReceiptThread::Whole,
            kind: ReceiptKind::Public,
            may_go_back: false,
        };
        self.rooms.mark_read(&actor(USERS[who]), mark).await.unwrap();
        self.read[who] = self.read[who].max(event);
    }

    /// Messages of others that are there, after what was read and after the newest of one's own.
    fn expected(&self, who: usize) -> (usize, usize) {
        let own = self.said.iter().filter(|said| said.by == who && said.is_there).map(|said| said.no).max();
        let after = self.read[who].max(own.unwrap_or(EventNo(0)));
        let unread =
            || self.said.iter().filter(move |said| said.is_there && said.by != who && said.no > after);
        let mentions = unread().filter(|said| said.names.contains(&who)).count();
        (unread().count().min(COUNTED), mentions.min(COUNTED))
    }

    async fn counted(&self, who: usize) -> (usize, usize) {
        let views = self.rooms.views();
        let markers = views.markers(self.channel, self.users[who]).await.unwrap();
        let unread = views.unread(self.channel, self.users[who], None, &markers).await.unwrap();
        (unread.messages, unread.mentions)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn counts_are_what_a_reader_would_count(seed: u64, steps in vec(any_step(), 1..60)) {
        let simulation = Simulation::new(seed);
        simulation.run(async {
            let mut world = World::start(&simulation).await;
            for step in steps {
                world.step(step).await;
                for (who, name) in USERS.iter().enumerate() {
                    prop_assert_eq!(world.counted(who).await, world.expected(who), "{} after {:?}", name, step);
                }
                simulation.sleep(Duration::from_millis(1)).await;
            }
            // Having read everything, nothing is left.
            if let Some(last) = world.said.last().map(|said| said.no) {
                for who in 0..USERS.len() {
                    world.mark(who, last).await;
                    prop_assert_eq!(world.counted(who).await, (0, 0));
                }
            }
            Ok(())
        })?;
    }
}

#[test]
fn no_count_goes_beyond_its_bound() {
    let simulation = Simulation::new(3);
    simulation.run(async {
        let mut world = World::start(&simulation).await;
        for _ in 0..COUNTED + 20 {
            world.step(Step::Say(0, 1)).await;
        }
        assert_eq!(world.counted(1).await, (COUNTED, COUNTED));
    });
}
