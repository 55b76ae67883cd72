//! The pipelined committer on a slow or broken disk.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{sync::Arc, time::Duration};

use nexus_event_store::kv::memory::MemoryEngine;
use nexus_rooms::{Actor, CreateRoom, RoomsError, SendEvent};
use nexus_sim::{
    disk::{SimulatedDisk, SyncTime},
    executor::Simulation,
    server::Server,
};
use parking_lot::Mutex;
use ruma::{CanonicalJsonValue, OwnedRoomId, ServerName, UserId};

const SYNC: Duration = Duration::from_millis(10);

fn actor() -> Actor {
    let user = UserId::parse("@writer:sim.example").unwrap();
    Actor { user, device: "SIM".to_owned(), reason: None }
}

fn message(room: &OwnedRoomId, body: String) -> SendEvent {
    SendEvent {
        room: room.clone(),
        event_type: "m.room.message".to_owned(),
        state_key: None,
        content: [("body".to_owned(), CanonicalJsonValue::String(body))].into(),
        txn: None,
    }
}

async fn start(simulation: &Simulation, disk: &Arc<SimulatedDisk>) -> (Server, OwnedRoomId) {
    let name = ServerName::parse("sim.example").unwrap();
    let server = Server::start(simulation, &name, MemoryEngine::new(disk.clone())).await.unwrap();
    let room = server.rooms.create_room(&actor(), CreateRoom::default()).await.unwrap();
    (server, room.room_id)
}

/// 64 writers to one room on a disk that takes 10 ms per sync must get at least 20 times what one event
/// per sync would allow.
#[test]
fn one_busy_room_is_not_limited_to_one_event_per_sync() {
    let simulation = Simulation::new(3);
    let disk = SimulatedDisk::new(simulation.clone(), SyncTime { least: SYNC, most: SYNC });
    let (writers, each) = (64, 50);
    simulation.run(async {
        let (server, room) = start(&simulation, &disk).await;
        let (began, syncs) = (simulation.elapsed(), disk.syncs());
        let done = Arc::new(Mutex::new(0));
        for writer in 0..writers {
            let (rooms, room, done) = (server.rooms.clone(), room.clone(), Arc::clone(&done));
            simulation.world().spawn("writer", async move {
                for number in 0..each {
                    rooms.send(&actor(), message(&room, format!("{writer}/{number}"))).await.unwrap();
                }
                *done.lock() += 1;
            });
        }
        while *done.lock() < writers {
            simulation.world().clock.sleep(Duration::from_millis(1)).await;
        }
        let events = f64::from(writers * each);
        let serial = events * SYNC.as_secs_f64();
        let gain = serial / (simulation.elapsed() - began).as_secs_f64();
        println!("{events} events in {} syncs: {gain:.1} times one event per sync", disk.syncs() - syncs);
        assert!(gain >= 20.0, "only {gain:.1} times");
    });
}

#[test]
fn a_failing_sync_acknowledges_nothing() {
    let simulation = Simulation::new(4);
    let disk = SimulatedDisk::new(simulation.clone(), SyncTime { least: SYNC, most: SYNC });
    simulation.run(async {
        let (server, room) = start(&simulation, &disk).await;
        let visible = server.rooms.views().store().visible();
        disk.break_down();
        let refused = Arc::new(Mutex::new(0));
        for writer in 0..16 {
            let (rooms, room, refused) = (server.rooms.clone(), room.clone(), Arc::clone(&refused));
            simulation.world().spawn("writer", async move {
                let outcome = rooms.send(&actor(), message(&room, writer.to_string())).await;
                assert!(matches!(outcome, Err(RoomsError::Store(_))), "acknowledged on a broken disk");
                *refused.lock() += 1;
            });
        }
        while *refused.lock() < 16 {
            simulation.world().clock.sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(server.rooms.views().store().visible(), visible, "something became visible");
        let late = server.rooms.send(&actor(), message(&room, "late".to_owned())).await;
        assert!(late.is_err(), "acknowledged after the store has stopped");
    });
}
