//! A full disk: writes are refused and leave nothing, reads go on, and all goes on when there is space again.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use nexus_event_store::{
    Position, StoreError,
    kv::{
        KvError,
        memory::{Disk, MemoryEngine},
    },
    world::BoxFuture,
};
use nexus_rooms::{CreateGuild, CreateRoom, RoomsError};
use nexus_sim::{executor::Simulation, server::Server};
use nexus_views::TimelineSlice;
use serde_json::json;

use crate::world::{actor, check, lines, message, server_name};

/// A disk that is full when it is told to be, and takes a moment for each sync.
struct Filling {
    simulation: Simulation,
    full: AtomicBool,
}

impl Disk for Filling {
    fn sync(&self, _: usize) -> BoxFuture<'static, Result<(), KvError>> {
        let full = self.full.load(Ordering::Relaxed);
        let moment = std::time::Duration::from_millis(2);
        let sync = nexus_event_store::world::Clock::sleep(&self.simulation, moment);
        Box::pin(async move {
            sync.await;
            if full { Err(KvError::DiskFull) } else { Ok(()) }
        })
    }
}

fn is_full<T>(outcome: &Result<T, RoomsError>) -> bool {
    matches!(outcome, Err(RoomsError::Store(StoreError::Kv(KvError::DiskFull))))
}

#[test]
fn a_full_disk_refuses_writes_serves_reads_and_recovers() {
    let simulation = Simulation::new(51);
    simulation.run(async {
        let disk = Arc::new(Filling { simulation: simulation.clone(), full: AtomicBool::new(false) });
        let engine = MemoryEngine::new(disk.clone());
        let rooms = Server::start(&simulation, &server_name(), engine.clone()).await.unwrap().rooms;
        let ana = actor("ana");
        let room = rooms.create_room(&ana, CreateRoom::default()).await.unwrap().room_id;
        let number = rooms.views().room_no(&room).await.unwrap().unwrap();
        for round in 0..3 {
            let text =
                |id: usize| message(&room, &format!("{round}-{id}"), json!({ "body": format!("{id}") }));
            rooms.send(&ana, text(0)).await.unwrap();
            let (rows, visible) = (engine.dump(), rooms.views().store().visible());

            disk.full.store(true, Ordering::Relaxed);
            // Many at once, so that some are staged on others that are refused.
            let refused = futures_util::future::join_all((1..20).map(|id| rooms.send(&ana, text(id)))).await;
            assert!(refused.iter().all(is_full), "{refused:?}");
            assert!(is_full(&rooms.create_guild(&ana, CreateGuild { name: "Guild".to_owned() }).await));
            assert!(engine.dump() == rows, "nothing of what was refused is there");
            let all = TimelineSlice { after: None, before: None, newest_first: false, limit: 999 };
            let timeline = rooms.views().timeline(number, all).await.unwrap();
            assert!(timeline.len() > 6, "reads go on");
            assert_eq!(rooms.views().store().visible(), visible);

            disk.full.store(false, Ordering::Relaxed);
            let sent = rooms.send(&ana, text(1)).await.unwrap();
            assert!(!sent.replayed, "what was refused under this id never happened");
            assert_eq!(sent.position, visible.next(), "positions stay consecutive");
        }
        assert!(rooms.views().store().visible() > Position(6));
        let (_, problems) = check(Arc::new(engine), &simulation.world()).await;
        assert!(problems.is_empty(), "{}", lines(&problems));
    });
}
