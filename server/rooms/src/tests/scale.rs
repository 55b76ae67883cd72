//! A guild of many members and channels: what a command writes there does not grow with them.
//!
//! The members come by real joins, many in a commit. The small guild is a test of event counts; the large
//! one, on RocksDB and the real clock, is a benchmark that prints a table:
//! `cargo test -p nexus-rooms --lib -- --ignored --nocapture a_large_guild_measured`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use nexus_event_store::{
    Position, RoomNo, Store,
    kv::{
        Engine,
        memory::{MemoryEngine, PerfectDisk},
        rocks::{RocksEngine, RocksTuning},
    },
    world::{BoxFuture, Clock, CpuPool, Random, Spawn, UnixMs, World},
};
use nexus_sim::{executor::Simulation, server::SimulatedSigner};
use nexus_state_resolution::RoomVersion;
use nexus_views::{Membership, Permissions, Views};
use ruma::{OwnedUserId, ServerName, UserId};

use crate::{
    Actor, CreateGuild, NewChannel, Profile, Profiles, RoleFields, Rooms, RoomsConfig, RoomsError,
    decision::{Decide, Decision},
};

/// How many join in one commit.
const JOINS: usize = 240;

struct Nameless;

impl Profiles for Nameless {
    fn profile<'a>(&'a self, _: &'a UserId) -> BoxFuture<'a, Profile> {
        Box::pin(std::future::ready(Profile::default()))
    }
}

fn user(number: usize) -> OwnedUserId {
    UserId::parse(format!("@user{number}:sim.example")).unwrap()
}

fn actor(number: usize) -> Actor {
    Actor { user: user(number), device: "PHONE".to_owned(), reason: None }
}

async fn start(engine: Arc<dyn Engine>, world: World) -> Rooms {
    let name = ServerName::parse("sim.example").unwrap();
    let store = Store::open(engine, world, Arc::new(|_| {})).await.unwrap();
    let config = RoomsConfig { default_version: RoomVersion::V12 };
    let signer = Arc::new(SimulatedSigner::new(&name, [7; 32]));
    Rooms::new(Views::new(store, name), signer, Arc::new(Nameless), config)
}

struct Crowd {
    guild: RoomNo,
    members: std::ops::Range<usize>,
}

impl Decide for Crowd {
    type Output = ();

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.guild]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<(), RoomsError> {
        for number in self.members.clone() {
            decision.join_by_steward(self.guild, &user(number), &Profile::default(), None).await?;
        }
        Ok(())
    }
}

/// User 0's guild. Users 1 and 2 have joined every channel.
async fn wide(rooms: &Rooms, members: usize, channels: usize) -> (RoomNo, Vec<RoomNo>) {
    let guild = rooms.create_guild(&actor(0), CreateGuild { name: "Wide".to_owned() }).await.unwrap();
    for first in (1..members).step_by(JOINS) {
        let members = first..(first + JOINS).min(members);
        rooms.run(&Crowd { guild, members }).await.unwrap();
    }
    let mut made: Vec<RoomNo> =
        rooms.views().channels(guild).await.unwrap().into_iter().map(|channel| channel.room).collect();
    while made.len() < channels {
        let channel = NewChannel { name: format!("c{}", made.len()), ..NewChannel::default() };
        made.push(rooms.create_channel(&actor(0), guild, channel).await.unwrap());
    }
    for room in &made {
        let id = rooms.views().room_id(*room).await.unwrap();
        for number in [1, 2] {
            rooms.join(&actor(number), &id, None).await.unwrap();
        }
    }
    (guild, made)
}

/// Events and commits after a position.
async fn written(rooms: &Rooms, since: Position) -> (usize, usize) {
    let commits = rooms.views().store().commits_after(since, usize::MAX).await.unwrap();
    (commits.iter().map(|commit| commit.events.len()).sum(), commits.len())
}

async fn is_in(rooms: &Rooms, room: RoomNo, number: usize) -> bool {
    let user = rooms.views().user_no(&user(number)).await.unwrap().unwrap();
    let row = rooms.views().membership(room, user).await.unwrap();
    row.is_some_and(|row| row.membership == Membership::Join)
}

fn bits(permissions: Permissions) -> RoleFields {
    RoleFields { permissions: Some(permissions), ..RoleFields::default() }
}

#[test]
fn what_a_command_writes_does_not_grow_with_the_guild() {
    let simulation = Simulation::new(9);
    simulation.run(async {
        let rooms = start(Arc::new(MemoryEngine::new(Arc::new(PerfectDisk))), simulation.world()).await;
        let (guild, channels) = wide(&rooms, 2000, 50).await;
        assert_eq!(rooms.views().guild(guild).await.unwrap().unwrap().member_count, 2000);
        let owner = actor(0);
        let visible = || rooms.views().store().visible();

        let before = visible();
        let everyone = Permissions::EVERYONE_DEFAULT.with(Permissions::MENTION_EVERYONE);
        rooms.update_role(&owner, guild, 0, bits(everyone)).await.unwrap();
        assert_eq!(written(&rooms, before).await, (1, 1), "a role edit is one event");

        let before = visible();
        rooms.ban_member(&owner, guild, &user(1), 0, None).await.unwrap();
        assert_eq!(written(&rooms, before).await, (1, 1), "a ban is one event");
        assert!(is_in(&rooms, channels[0], 1).await, "its job has not run");

        let before = visible();
        rooms.start_jobs();
        while !rooms.jobs().await.unwrap().is_empty() {
            simulation.sleep(Duration::from_millis(1)).await;
        }
        let (events, commits) = written(&rooms, before).await;
        assert_eq!(events, channels.len(), "one leave for each channel, and nothing for the other members");
        assert!(commits <= 8, "{commits} commits: a few bounded steps");
        for room in &channels {
            assert!(!is_in(&rooms, *room, 1).await && is_in(&rooms, *room, 2).await);
        }

        // Nobody sees anything any more: the power levels and the last member of each channel.
        let before = visible();
        rooms.update_role(&owner, guild, 0, bits(Permissions::NONE)).await.unwrap();
        while !rooms.jobs().await.unwrap().is_empty() {
            simulation.sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(written(&rooms, before).await.0, 1 + 2 * channels.len());
    });
}

/// The world as it is.
struct Real {
    random: AtomicU64,
}

#[expect(clippy::disallowed_methods, reason = "the benchmark's world is the real one")]
impl Clock for Real {
    fn now(&self) -> UnixMs {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        UnixMs(u64::try_from(since.as_millis()).unwrap())
    }

    fn monotonic(&self) -> Duration {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

impl Random for Real {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let mut word = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            chunk.copy_from_slice(&(word ^ (word >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

impl Spawn for Real {
    #[expect(clippy::disallowed_methods, reason = "the benchmark's world is the real one")]
    fn spawn(&self, _: &'static str, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }
}

impl CpuPool for Real {
    fn run(&self, job: Box<dyn FnOnce() + Send + 'static>) {
        job();
    }
}

fn real_world() -> World {
    let parts = Arc::new(Real { random: 1.into() });
    World { clock: parts.clone(), random: parts.clone(), spawn: parts.clone(), cpu: parts }
}

fn number_of(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a benchmark of minutes"]
async fn a_large_guild_measured() {
    let (members, channels) = (number_of("MEMBERS", 100_000), number_of("CHANNELS", 500));
    let folder = std::env::temp_dir().join(format!("nexus-scale-{}", std::process::id()));
    let engine = RocksEngine::open(&folder, RocksTuning::default()).unwrap();
    let world = real_world();
    let rooms = start(Arc::new(engine), world.clone()).await;
    let now = || world.clock.monotonic();
    let began = now();
    let (guild, made) = wide(&rooms, members, channels).await;
    println!("{members} members, {} channels: built in {:.1} s", made.len(), (now() - began).as_secs_f64());
    let owner = actor(0);
    let jobs_done = async || {
        while !rooms.jobs().await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    rooms.start_jobs();
    jobs_done().await;
    let mut times = Vec::new();
    for round in 0..20 {
        let began = now();
        let color = RoleFields { color: Some(round), ..RoleFields::default() };
        rooms.update_role(&owner, guild, 0, color).await.unwrap();
        times.push(now() - began);
    }
    print_row("a role's colour", &mut times);
    let role = rooms.create_role(&owner, guild, RoleFields::default()).await.unwrap();
    for round in 0..20u64 {
        let began = now();
        let some = Permissions(Permissions::SEND_MESSAGES.0 | (round % 2) << 10);
        rooms.update_role(&owner, guild, role, bits(some)).await.unwrap();
        times.push(now() - began);
    }
    print_row("a role's permissions", &mut times);
    let began = now();
    jobs_done().await;
    println!("| its job, settling everybody | {:.0} ms |", (now() - began).as_secs_f64() * 1e3);
    for number in 10..30 {
        let began = now();
        rooms.ban_member(&owner, guild, &user(number), 0, None).await.unwrap();
        times.push(now() - began);
    }
    print_row("a ban of who is in no channel", &mut times);
    jobs_done().await;
    let began = now();
    rooms.ban_member(&owner, guild, &user(1), 0, None).await.unwrap();
    times.push(now() - began);
    print_row("a ban of who is in all channels", &mut times);
    jobs_done().await;
    println!("| that ban's job done, from the request | {:.0} ms |", (now() - began).as_secs_f64() * 1e3);
    let mut left = 0;
    for room in &made {
        left += usize::from(!is_in(&rooms, *room, 1).await);
    }
    assert_eq!(left, made.len());
    let began = now();
    rooms.update_role(&owner, guild, 0, bits(Permissions::NONE)).await.unwrap();
    times.push(now() - began);
    print_row("nobody may view any channel", &mut times);
    jobs_done().await;
    println!(
        "| its job: {} channels private, member out | {:.0} ms |",
        made.len(),
        (now() - began).as_secs_f64() * 1e3
    );
    drop(rooms);
    drop(std::fs::remove_dir_all(&folder));
}

fn print_row(name: &str, times: &mut Vec<Duration>) {
    times.sort_unstable();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let median = ms(times[times.len() / 2]);
    println!(
        "| {name} | median {median:.1} ms, worst {:.1} ms of {} |",
        ms(times[times.len() - 1]),
        times.len()
    );
    times.clear();
}
