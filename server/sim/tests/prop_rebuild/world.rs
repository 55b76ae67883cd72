//! A server whose rooms and events are at hand for random commands, and profiles that change.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use nexus_event_store::{
    Position, RoomNo, Store,
    kv::memory::{MemoryEngine, PerfectDisk},
    world::{BoxFuture, Clock as _},
};
use nexus_rooms::{Actor, Profile, Profiles, Rooms, RoomsConfig, RoomsError};
use nexus_sim::{executor::Simulation, server::SimulatedSigner};
use nexus_state_resolution::RoomVersion;
use nexus_views::Views;
use parking_lot::Mutex;
use ruma::{OwnedEventId, OwnedRoomId, OwnedServerName, OwnedUserId, ServerName, UserId};

/// Names that users go by at the moment.
#[derive(Default)]
pub(crate) struct Names(pub(crate) Mutex<BTreeMap<OwnedUserId, String>>);

impl Profiles for Names {
    fn profile<'a>(&'a self, user: &'a UserId) -> BoxFuture<'a, Profile> {
        let display_name = self.0.lock().get(user).cloned();
        Box::pin(std::future::ready(Profile { display_name, avatar_url: None }))
    }
}

/// An event that is in the log.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) room_id: OwnedRoomId,
    pub(crate) event_id: OwnedEventId,
    pub(crate) sender: OwnedUserId,
}

/// The server and what was made on it so far.
pub(crate) struct World {
    pub(crate) simulation: Simulation,
    pub(crate) rooms: Rooms,
    pub(crate) engine: MemoryEngine,
    pub(crate) names: Arc<Names>,
    /// All rooms: guilds and channels too.
    pub(crate) all_rooms: Vec<(RoomNo, OwnedRoomId)>,
    pub(crate) guilds: Vec<RoomNo>,
    pub(crate) channels: Vec<RoomNo>,
    pub(crate) events: Vec<Known>,
    /// Those that are shown as messages.
    pub(crate) messages: Vec<Known>,
    pub(crate) given: usize,
    pub(crate) refused: usize,
    cursor: Position,
}

impl World {
    pub(crate) async fn start(simulation: &Simulation) -> Self {
        let name: OwnedServerName = ServerName::parse("sim.example").unwrap();
        let engine = MemoryEngine::new(Arc::new(PerfectDisk));
        let store =
            Store::open(Arc::new(engine.clone()), simulation.world(), Arc::new(|_| {})).await.unwrap();
        let signer = Arc::new(SimulatedSigner::new(&name, [7; 32]));
        let names = Arc::<Names>::default();
        let config = RoomsConfig { default_version: RoomVersion::V12 };
        let rooms = Rooms::new(Views::new(store, name), signer, names.clone(), config);
        rooms.start_jobs();
        let mut world = Self {
            simulation: simulation.clone(),
            rooms,
            engine,
            names,
            all_rooms: Vec::new(),
            guilds: Vec::new(),
            channels: Vec::new(),
            events: Vec::new(),
            messages: Vec::new(),
            given: 0,
            refused: 0,
            cursor: Position::START,
        };
        world.found().await;
        world
    }

    pub(crate) fn store(&self) -> &Store {
        self.rooms.views().store()
    }

    pub(crate) fn actor(&self, name: &str) -> Actor {
        let user = UserId::parse(format!("@{name}:sim.example")).unwrap();
        Actor { user, device: "SIM".to_owned(), reason: None }
    }

    /// Notes the outcome of a command, and what it made; some time goes by.
    pub(crate) async fn after<T>(&mut self, outcome: Result<T, RoomsError>) {
        self.given += 1;
        match outcome {
            Ok(_) => {}
            Err(RoomsError::Rejected(_)) => self.refused += 1,
            Err(error) => panic!("not a refusal: {error}"),
        }
        // What a job does later is projected like everything else.
        while !self.rooms.jobs().await.unwrap().is_empty() {
            self.simulation.sleep(Duration::from_micros(100)).await;
        }
        for commit in self.store().commits_after(self.cursor, usize::MAX).await.unwrap() {
            for place in &commit.events {
                let event = self.rooms.views().event(*place).await.unwrap();
                let room_id = event.pdu.room_id().to_owned();
                if event.pdu.event_type() == "m.room.create" {
                    self.all_rooms.push((place.room, room_id.clone()));
                }
                let (event_id, sender) = (event.pdu.event_id().to_owned(), event.pdu.sender().to_owned());
                let known = Known { room_id, event_id, sender };
                self.messages.extend(event.snowflake.is_some().then(|| known.clone()));
                self.events.push(known);
            }
            self.cursor = commit.position;
        }
        // Often less than a millisecond: timestamps repeat.
        let pause = Duration::from_micros(self.simulation.below(1500));
        self.simulation.sleep(pause).await;
    }
}
