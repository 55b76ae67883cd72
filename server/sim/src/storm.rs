//! The storm: clients write to the channels of a guild while the server is killed again and again.
//!
//! Oracles: an acknowledged message is there once, under its idempotency key only once whatever was
//! retried, and everyone reads one order, which never changes once read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use nexus_event_store::{RoomNo, StoreError, kv::memory::MemoryEngine, world::Clock};
use nexus_rooms::{Actor, CreateGuild, NewChannel, NewInvite, Rooms, RoomsError, SendEvent, TxnKey};
use nexus_views::{ChannelKind, TimelineSlice};
use parking_lot::Mutex;
use ruma::{CanonicalJsonValue, OwnedEventId, OwnedRoomId, OwnedServerName, ServerName, UserId};

use crate::{
    disk::{SimulatedDisk, SyncTime},
    executor::Simulation,
    server::Server,
};

/// What kind of storm.
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    /// Writers.
    pub clients: usize,
    /// Channels.
    pub channels: usize,
    /// Messages in all.
    pub messages: usize,
    /// How often the server is killed.
    pub kills: usize,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The hash of the whole run.
    pub trace: String,
    /// Messages acknowledged.
    pub acknowledged: usize,
    /// How often a client had to ask again.
    pub retries: usize,
    /// Simulated time.
    pub elapsed: Duration,
}

/// What the clients know, whatever becomes of the server.
#[derive(Clone, Default)]
struct Ledger {
    /// Next message of each client.
    next: Vec<usize>,
    acknowledged: BTreeMap<(usize, usize), OwnedEventId>,
    retries: usize,
}

const DISK: SyncTime = SyncTime { least: Duration::from_micros(200), most: Duration::from_millis(12) };

/// Runs a storm from `seed` and checks its oracles.
///
/// # Errors
/// A sentence that says which oracle was broken, or that the server failed.
pub fn run(seed: u64, storm: Storm) -> Result<Outcome, String> {
    let simulation = Simulation::new(seed);
    simulation.run(storm_in(&simulation, storm)).map_err(|problem| format!("seed {seed}: {problem}"))
}

async fn storm_in(simulation: &Simulation, storm: Storm) -> Result<Outcome, String> {
    let name: OwnedServerName = ServerName::parse("sim.example").map_err(|error| error.to_string())?;
    let disk = || SimulatedDisk::new(simulation.clone(), DISK);
    let mut server = Server::start(simulation, &name, MemoryEngine::new(disk())).await.map_err(failed)?;
    let rooms = prepare(&server.rooms, storm).await.map_err(|error| format!("preparing: {error}"))?;
    let ledger = Arc::new(Mutex::new(Ledger { next: vec![0; storm.clients], ..Ledger::default() }));
    let share = storm.messages / storm.clients;
    for kill in 1..=storm.kills + 1 {
        let goal =
            if kill > storm.kills { storm.messages } else { storm.messages * kill / (storm.kills + 1) };
        start_clients(simulation, &server.rooms, &rooms, &ledger, share);
        while ledger.lock().acknowledged.len() < goal.min(share * storm.clients) {
            simulation.sleep(Duration::from_millis(1)).await;
        }
        if kill <= storm.kills {
            simulation.note(b"kill");
            let remains = server.remains(disk());
            simulation.kill_tasks();
            server = Server::start(simulation, &name, remains).await.map_err(failed)?;
        }
    }
    let ledger = ledger.lock().clone();
    check(&server.rooms, &rooms, &ledger).await?;
    Ok(Outcome {
        trace: simulation.trace_hash(),
        acknowledged: ledger.acknowledged.len(),
        retries: ledger.retries,
        elapsed: simulation.elapsed(),
    })
}

fn failed(error: StoreError) -> String {
    format!("starting the server: {error}")
}

fn actor(client: usize) -> Actor {
    let user = UserId::parse(format!("@client{client}:sim.example")).expect("the name is well formed");
    Actor { user, device: "SIM".to_owned(), reason: None }
}

/// A guild with its channels, and every client in it.
async fn prepare(rooms: &Rooms, storm: Storm) -> Result<Vec<(RoomNo, OwnedRoomId)>, RoomsError> {
    let owner = actor(0);
    let guild = rooms.create_guild(&owner, CreateGuild { name: "Storm".to_owned() }).await?;
    let mut channels = Vec::new();
    for number in 0..storm.channels {
        let channel =
            NewChannel { name: format!("c{number}"), kind: ChannelKind::Text, ..NewChannel::default() };
        let room = rooms.create_channel(&owner, guild, channel).await?;
        channels.push((room, rooms.views().room_id(room).await?));
    }
    let invite = rooms.create_invite(&owner, channels[0].0, NewInvite::default()).await?;
    for client in 1..storm.clients {
        rooms.accept_invite(&actor(client), &invite.code).await?;
    }
    Ok(channels)
}

/// Every client sends its share, one message after the other, asking again until it is told the outcome.
fn start_clients(
    simulation: &Simulation,
    rooms: &Rooms,
    channels: &[(RoomNo, OwnedRoomId)],
    ledger: &Arc<Mutex<Ledger>>,
    share: usize,
) {
    let clients = ledger.lock().next.len();
    for client in 0..clients {
        let (simulation, rooms) = (simulation.clone(), rooms.clone());
        let (ledger, channels) = (Arc::clone(ledger), channels.to_vec());
        simulation.world().spawn("client", async move {
            loop {
                let message = ledger.lock().next[client];
                if message >= share {
                    return;
                }
                let room = channels[(client * 31 + message) % channels.len()].1.clone();
                match rooms.send(&actor(client), message_event(room, client, message)).await {
                    Ok(sent) => {
                        simulation.note(sent.event_id.as_bytes());
                        let mut ledger = ledger.lock();
                        ledger.acknowledged.insert((client, message), sent.event_id);
                        ledger.next[client] += 1;
                    }
                    Err(_) => ledger.lock().retries += 1,
                }
                let pause = Duration::from_micros(simulation.below(3000));
                simulation.sleep(pause).await;
            }
        });
    }
}

fn message_event(room: OwnedRoomId, client: usize, message: usize) -> SendEvent {
    let text = |text: &str| CanonicalJsonValue::String(text.to_owned());
    let body = format!("{client}/{message}");
    SendEvent {
        room,
        event_type: "m.room.message".to_owned(),
        state_key: None,
        content: [("msgtype".to_owned(), text("m.text")), ("body".to_owned(), text(&body))].into(),
        txn: Some(TxnKey { scope: "send".to_owned(), id: body }),
    }
}

/// The oracles.
async fn check(rooms: &Rooms, channels: &[(RoomNo, OwnedRoomId)], ledger: &Ledger) -> Result<(), String> {
    let views = rooms.views();
    let everything =
        |newest_first| TimelineSlice { after: None, before: None, newest_first, limit: usize::MAX };
    let mut bodies = BTreeSet::new();
    let mut found = BTreeSet::new();
    for (room, room_id) in channels {
        let forward = views.timeline(*room, everything(false)).await.map_err(|error| error.to_string())?;
        let mut backward =
            views.timeline(*room, everything(true)).await.map_err(|error| error.to_string())?;
        backward.reverse();
        let ids = |items: &[nexus_views::TimelineItem]| -> Vec<OwnedEventId> {
            items.iter().map(|item| item.event.pdu.event_id().to_owned()).collect()
        };
        if ids(&forward) != ids(&backward) {
            return Err(format!("{room_id} reads in two orders"));
        }
        let mut last = None;
        for item in forward.iter().filter(|item| item.event.snowflake.is_some()) {
            if last >= item.event.snowflake {
                return Err(format!("{room_id}: snowflakes are not in timeline order"));
            }
            last = item.event.snowflake;
            let content: serde_json::Value =
                item.event.pdu.content_as().map_err(|error| error.to_string())?;
            if !bodies.insert(content["body"].to_string()) {
                return Err(format!("{} is there twice", content["body"]));
            }
            found.insert(item.event.pdu.event_id().to_owned());
        }
    }
    match ledger.acknowledged.iter().find(|(_, event)| !found.contains(*event)) {
        Some(((client, message), _)) => Err(format!("acknowledged message {client}/{message} is lost")),
        None => Ok(()),
    }
}
