//! Simulated time stands still while nothing waits, so what is made in one command is made in one millisecond.

use std::{collections::BTreeSet, sync::Arc};

use nexus_event_store::kv::memory::{MemoryEngine, PerfectDisk};
use nexus_rooms::{Actor, CreateGuild, CreateRoom};
use nexus_sim::{executor::Simulation, server::Server};
use ruma::{ServerName, UserId};

/// From version 12 a room's id is the hash of its create event, which says little.
#[test]
fn rooms_made_in_the_same_millisecond_are_different_rooms() {
    let simulation = Simulation::new(3);
    simulation.run(async {
        let name = ServerName::parse("sim.example").unwrap();
        let engine = MemoryEngine::new(Arc::new(PerfectDisk));
        let server = Server::start(&simulation, &name, engine).await.unwrap();
        let user = UserId::parse("@owner:sim.example").unwrap();
        let actor = Actor { user, device: "SIM".to_owned(), reason: None };
        let guild =
            server.rooms.create_guild(&actor, CreateGuild { name: "Guild".to_owned() }).await.unwrap();
        let views = server.rooms.views();
        let channels = views.channels(guild).await.unwrap();
        let mut ids: BTreeSet<_> = channels.into_iter().map(|channel| channel.room_id).collect();
        for _ in 0..2 {
            ids.insert(server.rooms.create_room(&actor, CreateRoom::default()).await.unwrap().room_id);
        }
        ids.insert(views.room_id(guild).await.unwrap());
        assert_eq!(ids.len(), 5, "two channels, two rooms and the guild");
    });
}
