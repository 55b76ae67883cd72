//! What the store costs, as a table: `make bench-store`, or with `ARGS="FOLDER EVENTS MEMBERS"`.
//!
//! Synced commits per second at 1, 8 and 64 writers beside the machine's own rate of syncs; bytes on disk per
//! message and per state event, compacted, everything counted; how long a start takes on many events and many
//! members, after a clean stop and after a kill. Nothing here fails by the clock. The folder must be on the disk
//! to be measured (a memory file system makes every sync free); it is emptied at the end.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program to be watched"
)]

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use nexus_event_store::{
    Store,
    kv::{
        Engine,
        rocks::{RocksEngine, RocksTuning},
    },
    world::{BoxFuture, Clock, CpuPool, Random, Spawn, UnixMs, World},
};
use nexus_rooms::{Actor, CreateRoom, Preset, Profile, Profiles, Rooms, RoomsConfig, SendEvent};
use nexus_sim::server::SimulatedSigner;
use nexus_state_resolution::RoomVersion;
use nexus_views::Views;
use rand_core::{OsRng, TryRngCore as _};
use ruma::{CanonicalJsonValue, OwnedRoomId, OwnedServerName, ServerName, UserId};

const SERVER: &str = "bench.example";

struct System(Instant);

impl Clock for System {
    fn now(&self) -> UnixMs {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        UnixMs(u64::try_from(since.as_millis()).unwrap())
    }
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

impl Random for System {
    fn fill(&self, bytes: &mut [u8]) {
        OsRng.try_fill_bytes(bytes).unwrap();
    }
}

impl Spawn for System {
    fn spawn(&self, _: &'static str, task: BoxFuture<'static, ()>) {
        tokio::runtime::Handle::current().spawn(task);
    }
}

impl CpuPool for System {
    fn run(&self, job: Box<dyn FnOnce() + Send + 'static>) {
        job();
    }
}

struct NoProfiles;

impl Profiles for NoProfiles {
    fn profile<'a>(&'a self, _: &'a UserId) -> BoxFuture<'a, Profile> {
        Box::pin(std::future::ready(Profile::default()))
    }
}

fn server_name() -> OwnedServerName {
    ServerName::parse(SERVER).unwrap()
}

fn actor(name: &str) -> Actor {
    Actor {
        user: UserId::parse(format!("@{name}:{SERVER}")).unwrap(),
        device: "BENCH".to_owned(),
        reason: None,
    }
}

fn run<T>(work: impl AsyncFnOnce() -> T) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(work())
}

async fn open(folder: &Path) -> (Rooms, Arc<dyn Engine>) {
    let engine: Arc<dyn Engine> = Arc::new(RocksEngine::open(folder, RocksTuning::default()).unwrap());
    let parts = Arc::new(System(Instant::now()));
    let world = World { clock: parts.clone(), random: parts.clone(), spawn: parts.clone(), cpu: parts };
    let store = Store::open(Arc::clone(&engine), world, Arc::new(|error| panic!("{error}"))).await.unwrap();
    let signer = Arc::new(SimulatedSigner::new(&server_name(), [7; 32]));
    let config = RoomsConfig { default_version: RoomVersion::V12 };
    (Rooms::new(Views::new(store, server_name()), signer, Arc::new(NoProfiles), config), engine)
}

async fn room(rooms: &Rooms) -> OwnedRoomId {
    let new = CreateRoom { preset: Preset::PublicChat, ..CreateRoom::default() };
    rooms.create_room(&actor("ana"), new).await.unwrap().room_id
}

fn message(room: &OwnedRoomId, number: usize) -> SendEvent {
    let words =
        ["the", "quick", "brown", "fox", "jumps", "over", "lazy", "dogs", "near", "a", "river", "today"];
    let body: Vec<&str> =
        (0..8).map(|word| words[(number * 7 + word * word * 5 + number / 13) % words.len()]).collect();
    let text = |text: String| CanonicalJsonValue::String(text);
    let body = format!("{} {number}", body.join(" "));
    SendEvent {
        room: room.clone(),
        event_type: "m.room.message".to_owned(),
        state_key: None,
        content: [("msgtype".to_owned(), text("m.text".to_owned())), ("body".to_owned(), text(body))].into(),
        txn: Some(nexus_rooms::TxnKey { scope: "send".to_owned(), id: format!("m{number}") }),
    }
}

/// What the disk gives one writer: 4 KiB appended and synced in a loop.
fn syncs_per_second(folder: &Path) -> f64 {
    let path = folder.join("syncs");
    let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
    let (began, mut syncs) = (Instant::now(), 0u32);
    while began.elapsed() < Duration::from_secs(2) {
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
        syncs += 1;
    }
    fs::remove_file(path).unwrap();
    f64::from(syncs) / began.elapsed().as_secs_f64()
}

async fn commits(rooms: &Rooms, writers: usize) -> (f64, f64) {
    let statistics = rooms.views().store().statistics();
    let count =
        |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed) as f64;
    let mut homes = Vec::new();
    for _ in 0..writers {
        homes.push(room(rooms).await);
    }
    let (began, before) = (Instant::now(), (count(&statistics.commits), count(&statistics.syncs)));
    let tasks = homes.into_iter().enumerate().map(|(writer, home)| {
        let rooms = rooms.clone();
        tokio::spawn(async move {
            let mut number = writer * 1_000_000;
            while began.elapsed() < Duration::from_secs(4) {
                rooms.send(&actor("ana"), message(&home, number)).await.unwrap();
                number += 1;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let seconds = began.elapsed().as_secs_f64();
    ((count(&statistics.commits) - before.0) / seconds, (count(&statistics.syncs) - before.1) / seconds)
}

/// Everything in the folder, without what RocksDB reserves ahead.
fn bytes_in(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap());
    files.map(|file| file.len().min(file.blocks() * 512)).sum()
}

async fn compacted(folder: &Path, engine: &Arc<dyn Engine>) -> u64 {
    // Twice: the first flush leaves the log of what came meanwhile.
    engine.compact().await.unwrap();
    engine.compact().await.unwrap();
    let logs = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let log: u64 = logs
        .filter(|path| path.extension().is_some_and(|end| end == "log"))
        .map(|path| path.metadata().unwrap().len())
        .sum();
    // An emptied log is recycled and holds nothing; everything else counts.
    bytes_in(folder) - log.min(bytes_in(folder))
}

async fn in_parallel(tasks: usize, each: impl Fn(usize) -> BoxFuture<'static, ()>) {
    let running: Vec<_> = (0..tasks).map(|task| tokio::spawn(each(task))).collect();
    for task in running {
        task.await.unwrap();
    }
}

const SENDERS: usize = 64;

async fn send_many(rooms: &Rooms, homes: &[OwnedRoomId], events: usize) {
    in_parallel(SENDERS, |task| {
        let (rooms, home) = (rooms.clone(), homes[task % homes.len()].clone());
        Box::pin(async move {
            for number in (task..events).step_by(SENDERS) {
                rooms.send(&actor("ana"), message(&home, number)).await.unwrap();
            }
        })
    })
    .await;
}

async fn join_many(rooms: &Rooms, home: &OwnedRoomId, from: usize, members: usize) {
    in_parallel(SENDERS, |task| {
        let (rooms, home) = (rooms.clone(), home.clone());
        Box::pin(async move {
            for number in (from + task..from + members).step_by(SENDERS) {
                rooms.join(&actor(&format!("member{number}")), &home, None).await.unwrap();
            }
        })
    })
    .await;
}

fn row(what: &str, value: String, aim: &str) {
    println!("| {what} | {value} | {aim} |");
}

fn start_up(folder: &Path, what: &str) {
    let mut times: Vec<f64> = (0..3)
        .map(|_| {
            let began = Instant::now();
            run(async || {
                let (rooms, _engine) = open(folder).await;
                assert!(rooms.views().store().visible().0 > 0);
                began.elapsed().as_secs_f64()
            })
        })
        .collect();
    times.sort_by(f64::total_cmp);
    row(&format!("start on {what}"), format!("{:.3} s", times[1]), "< 1 s");
}

fn main() {
    let mut words = std::env::args().skip(1);
    let folder = PathBuf::from(words.next().unwrap_or_else(|| "/var/tmp/nexus-bench-store".to_owned()));
    let events: usize = words.next().map_or(1_000_000, |word| word.parse().unwrap());
    let members: usize = words.next().map_or(100_000, |word| word.parse().unwrap());
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).unwrap();
    println!("| | measured | aim |\n| --- | --- | --- |");
    row("the disk's syncs by one writer", format!("{:.0}/s", syncs_per_second(&folder)), "");
    for writers in [1, 8, 64] {
        let store = folder.join(format!("commits-{writers}"));
        let (commits, syncs) = run(async || commits(&open(&store).await.0, writers).await);
        row(
            &format!("synced commits, {writers} writers"),
            format!("{commits:.0}/s in {syncs:.0} syncs/s"),
            "",
        );
    }
    per_event(&folder);
    let store = folder.join("large");
    run(async || {
        let (rooms, _) = open(&store).await;
        let began = Instant::now();
        let mut homes = Vec::new();
        for _ in 0..SENDERS {
            homes.push(room(&rooms).await);
        }
        send_many(&rooms, &homes, events.saturating_sub(members)).await;
        join_many(&rooms, &homes[0], 0, members).await;
        row("making that store", format!("{:.0} s", began.elapsed().as_secs_f64()), "");
    });
    start_up(&store, &format!("{events} events, {members} members of one room"));
    fs::remove_dir_all(&folder).unwrap();
}

/// Bytes on disk per message and per join.
fn per_event(folder: &Path) {
    let messages = 50_000;
    let store = folder.join("messages");
    let per_message = run(async || {
        let (rooms, engine) = open(&store).await;
        let mut homes = Vec::new();
        for _ in 0..SENDERS {
            homes.push(room(&rooms).await);
        }
        let before = compacted(&store, &engine).await;
        send_many(&rooms, &homes, messages).await;
        (compacted(&store, &engine).await - before) as f64 / messages as f64
    });
    row("bytes on disk per short message", format!("{per_message:.0}"), "<= 1024");
    let (crowd, joins) = (10_000, 2_000);
    let store = folder.join("crowd");
    run(async || {
        let (rooms, engine) = open(&store).await;
        let home = room(&rooms).await;
        join_many(&rooms, &home, 0, crowd).await;
        let before = compacted(&store, &engine).await;
        join_many(&rooms, &home, crowd, joins).await;
        let bytes = (compacted(&store, &engine).await - before) as f64 / joins as f64;
        let views = rooms.views();
        let room = views.room_no(&home).await.unwrap().unwrap();
        let state = views.head(room).await.unwrap().state;
        let last =
            views.state_event(room, state, "m.room.member", &format!("@member{}:{SERVER}", crowd)).await;
        let pdu = last.unwrap().unwrap().pdu.json().len();
        row(
            &format!("bytes on disk per join of a room of {crowd}"),
            format!("{bytes:.0}, a PDU has {pdu}: {:.2} times", bytes / pdu as f64),
            "<= 2 times",
        );
    });
}
