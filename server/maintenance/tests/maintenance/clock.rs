//! The wall clock jumps, backward too: positions, snowflakes, timelines and tokens survive it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use nexus_accounts::{
    AccountError, Accounts, AccountsConfig, InviteCheck, LoginRequest, NewAccount, PasswordCost,
    Registration, SessionRequest,
};
use nexus_event_store::{
    Store,
    kv::memory::{MemoryEngine, PerfectDisk},
    world::{BoxFuture, Clock, UnixMs, World},
};
use nexus_rooms::{CreateGuild, NewInvite, Profile, Profiles, Rooms, RoomsConfig};
use nexus_sim::{executor::Simulation, server::SimulatedSigner};
use nexus_state_resolution::RoomVersion;
use nexus_views::{Page, TimelineSlice, Views};
use ruma::UserId;
use serde_json::json;

use crate::world::{actor, check, lines, message, server_name};

const YEAR_MS: i64 = 365 * 24 * 3600 * 1000;

/// The simulated clock with a hand that somebody turns; monotonic time and sleeps are left alone.
struct Jumping {
    simulation: Simulation,
    by_ms: AtomicI64,
}

impl Clock for Jumping {
    fn now(&self) -> UnixMs {
        UnixMs(self.simulation.now().0.saturating_add_signed(self.by_ms.load(Ordering::Relaxed)))
    }
    fn monotonic(&self) -> Duration {
        self.simulation.monotonic()
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.simulation.sleep(duration)
    }
}

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

fn worlds(simulation: &Simulation) -> (Arc<Jumping>, World) {
    let clock = Arc::new(Jumping { simulation: simulation.clone(), by_ms: AtomicI64::new(0) });
    (clock.clone(), World { clock, ..simulation.world() })
}

async fn open(engine: &MemoryEngine, world: &World) -> Rooms {
    let store = Store::open(Arc::new(engine.clone()), world.clone(), Arc::new(|_| {})).await.unwrap();
    let signer = Arc::new(SimulatedSigner::new(&server_name(), [7; 32]));
    let config = RoomsConfig { default_version: RoomVersion::V12 };
    Rooms::new(Views::new(store, server_name()), signer, Arc::new(NoProfiles), config)
}

#[test]
fn order_survives_a_clock_that_goes_back_and_forth() {
    let simulation = Simulation::new(61);
    simulation.run(async {
        let (clock, world) = worlds(&simulation);
        let engine = MemoryEngine::new(Arc::new(PerfectDisk));
        let mut rooms = open(&engine, &world).await;
        rooms.views().store().belongs_to(server_name().as_str()).await.unwrap();
        let ana = actor("ana");
        let guild = rooms.create_guild(&ana, CreateGuild { name: "Guild".to_owned() }).await.unwrap();
        let channel = rooms.views().channels(guild).await.unwrap()[0].room;
        let room = rooms.views().room_id(channel).await.unwrap();
        let mut sent = Vec::new();
        for (number, years) in [0, -3, 2, -11, 0, 5, -1].into_iter().enumerate() {
            clock.by_ms.store(years * YEAR_MS, Ordering::Relaxed);
            for half in 0..2 {
                let event = message(&room, &format!("{number}-{half}"), json!({ "body": "x" }));
                let done = rooms.send(&ana, event.clone()).await.unwrap();
                assert!(rooms.send(&ana, event).await.unwrap().replayed, "a retry is one message");
                sent.push(done);
            }
            // A restart in another year.
            rooms = open(&engine, &world).await;
        }
        assert!(sent.windows(2).all(|pair| pair[0].position < pair[1].position));
        assert!(
            sent.windows(2).all(|pair| pair[0].snowflake < pair[1].snowflake),
            "snowflakes go on: {sent:?}"
        );
        let views = rooms.views();
        let all = TimelineSlice { after: None, before: None, newest_first: false, limit: 999 };
        let timeline = views.timeline(channel, all).await.unwrap();
        let shown: Vec<_> =
            timeline.iter().filter(|item| item.event.snowflake.is_some()).map(|item| item.event.no).collect();
        assert_eq!(shown, sent.iter().map(|sent| sent.place.event).collect::<Vec<_>>());
        let newest = views.messages(channel, Page::Newest, 100).await.unwrap();
        let ids: Vec<_> = newest.iter().rev().map(|message| Some(message.id)).collect();
        assert_eq!(ids, sent.iter().map(|sent| sent.snowflake).collect::<Vec<_>>());
        // An invite that was made in the future is no longer-lived than one made today.
        clock.by_ms.store(0, Ordering::Relaxed);
        let invite = NewInvite { max_age_s: 60, ..NewInvite::default() };
        let code = rooms.create_invite(&ana, channel, invite).await.unwrap().code;
        clock.by_ms.store(-YEAR_MS, Ordering::Relaxed);
        rooms.accept_invite(&actor("ben"), &code).await.unwrap();
        clock.by_ms.store(YEAR_MS, Ordering::Relaxed);
        assert!(rooms.accept_invite(&actor("cem"), &code).await.is_err(), "it has ended");
        let (_, problems) = check(Arc::new(engine), &simulation.world()).await;
        assert!(problems.is_empty(), "{}", lines(&problems));
    });
}

#[test]
fn tokens_survive_a_clock_that_goes_back_and_forth() {
    let simulation = Simulation::new(62);
    simulation.run(async {
        let (clock, world) = worlds(&simulation);
        let engine = MemoryEngine::new(Arc::new(PerfectDisk));
        let store = Store::open(Arc::new(engine), world, Arc::new(|_| {})).await.unwrap();
        let mut config = AccountsConfig::new(server_name(), Arc::new(NoInvites));
        config.registration = Registration::Open;
        config.password_cost = PasswordCost::Minimum;
        let accounts = Accounts::new(store, config);
        let new = NewAccount {
            username: Some("ana".to_owned()),
            password: "correct horse".to_owned(),
            email: None,
            email_proof: None,
            invite: None,
            session: None,
        };
        accounts.register(new).await.unwrap();
        let login = |refreshable| LoginRequest {
            login: "ana".to_owned(),
            password: "correct horse".to_owned(),
            session: SessionRequest {
                device_id: Some(format!("D{refreshable}")),
                device_name: None,
                refreshable,
            },
        };
        let lasting = accounts.login(login(false)).await.unwrap();
        let short = accounts.login(login(true)).await.unwrap();
        let good = async |token: &str| match accounts.authenticate(token).await {
            Ok(login) => login.is_some(),
            Err(AccountError::ExpiredToken) => false,
            Err(error) => panic!("{error}"),
        };
        for (years, short_is_good) in [(0, true), (-5, true), (1, false), (0, true), (-1, true)] {
            clock.by_ms.store(years * YEAR_MS, Ordering::Relaxed);
            assert!(good(&lasting.access_token).await, "a lasting token, {years} years away");
            assert_eq!(good(&short.access_token).await, short_is_good, "a short one, {years} years away");
        }
        // A session that was refreshed in the wrong year goes on in the right one.
        let refresh = short.refresh_token.clone().unwrap();
        clock.by_ms.store(-YEAR_MS, Ordering::Relaxed);
        let again = accounts.refresh(&refresh).await.unwrap();
        assert!(good(&again.access_token).await);
        clock.by_ms.store(0, Ordering::Relaxed);
        assert!(!good(&again.access_token).await, "issued a year ago by its clock: expired, not revoked");
        let last = accounts.refresh(&again.refresh_token.unwrap()).await.unwrap();
        assert!(good(&last.access_token).await);
    });
}
