//! A server in a test: a clock that is moved by hand, repeatable randomness, an in-memory disk.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::FromRef as _,
    http::{HeaderMap, Request, StatusCode, header::CONTENT_TYPE},
};
use nexus_accounts::{Accounts, AccountsConfig, NoInvites, PasswordCost, Registration};
use nexus_event_store::{
    Store,
    kv::memory::{MemoryEngine, PerfectDisk},
    world::{BoxFuture, Clock, CpuPool, Random, Spawn, UnixMs, World},
};
use nexus_media::{Blobs, Media, MediaConfig};
use nexus_rate_limits::RateLimits;
use nexus_rooms::{Profile, Profiles, Rooms, RoomsConfig};
use nexus_state_resolution::{RoomVersion, Signer};
use nexus_views::Views;
use ruma::{OwnedServerName, ServerName, UserId, server_name, signatures::Ed25519KeyPair};
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::{
    api::{NexusApi, NexusConfig},
    gateway::Gateway,
    router,
};

/// 2026-11-22.
const START_MS: u64 = 1_795_305_600_000;

pub(crate) const PASSWORD: &str = "correct horse";

#[derive(Clone)]
struct ManualClock(Arc<AtomicU64>);

impl Clock for ManualClock {
    fn now(&self) -> UnixMs {
        UnixMs(self.0.load(Ordering::Relaxed))
    }
    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// SplitMix64: the same in every run.
struct SeededRandom(AtomicU64);

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let mut word = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(word ^ (word >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

struct TokioSpawn;

impl Spawn for TokioSpawn {
    fn spawn(&self, _: &'static str, task: BoxFuture<'static, ()>) {
        tokio::runtime::Handle::current().spawn(task);
    }
}

struct Inline;

impl CpuPool for Inline {
    fn run(&self, job: Box<dyn FnOnce() + Send + 'static>) {
        job();
    }
}

struct TestSigner {
    name: OwnedServerName,
    key: Ed25519KeyPair,
}

impl Signer for TestSigner {
    fn server_name(&self) -> &ServerName {
        &self.name
    }
    fn key_pair(&self) -> &Ed25519KeyPair {
        &self.key
    }
}

fn signer() -> TestSigner {
    // The PKCS#8 frame of an Ed25519 key, around 32 bytes of seed.
    let frame = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let key = Ed25519KeyPair::from_der(&[frame.as_slice(), &[7; 32]].concat(), "t1".to_owned()).unwrap();
    TestSigner { name: server_name!("a.example").to_owned(), key }
}

struct AccountProfiles(Accounts);

impl Profiles for AccountProfiles {
    fn profile<'a>(&'a self, user: &'a UserId) -> BoxFuture<'a, Profile> {
        Box::pin(async move {
            let profile = self.0.profile(user).await.unwrap_or_default();
            Profile { display_name: profile.display_name, avatar_url: profile.avatar_url }
        })
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Reply {
    /// The body of a success.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!(self.status.is_success(), "{} {:#}", self.status, self.body);
        self.body
    }

    /// Status and code.
    pub(crate) fn error(&self) -> String {
        format!("{} {}", self.status.as_u16(), self.body["code"])
    }
}

/// A server over one store; [`Server::restarted`] is another over the same.
pub(crate) struct Server {
    router: Router,
    pub(crate) gateway: Gateway,
    pub(crate) views: Views,
    clock: ManualClock,
    store: Store,
    _closing: watch::Sender<bool>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let clock = ManualClock(Arc::new(START_MS.into()));
        let world = World {
            clock: Arc::new(clock.clone()),
            random: Arc::new(SeededRandom(1.into())),
            spawn: Arc::new(TokioSpawn),
            cpu: Arc::new(Inline),
        };
        let engine = MemoryEngine::new(Arc::new(PerfectDisk));
        let store = Store::open(Arc::new(engine), world, Arc::new(|_| {})).await.unwrap();
        Self::over(store, clock, RateLimits::off())
    }

    /// Nothing in memory but the store: what a process has that was started after another was killed.
    pub(crate) fn restarted(&self) -> Self {
        Self::over(self.store.clone(), self.clock.clone(), RateLimits::off())
    }

    /// The same with rate limits.
    pub(crate) fn limited(&self) -> Self {
        let limits = RateLimits::new(self.store.world().clone());
        Self::over(self.store.clone(), self.clock.clone(), limits)
    }

    pub(crate) fn advance_ms(&self, duration_ms: u64) {
        self.clock.0.fetch_add(duration_ms, Ordering::Relaxed);
    }

    /// Seconds since the Unix epoch.
    pub(crate) fn now_s(&self) -> u64 {
        self.clock.0.load(Ordering::Relaxed) / 1000
    }

    fn over(store: Store, clock: ManualClock, limits: RateLimits) -> Self {
        let name = server_name!("a.example").to_owned();
        let views = Views::new(store.clone(), name.clone());
        let mut config = AccountsConfig::new(name.clone(), Arc::new(NoInvites));
        config.registration = Registration::Open;
        config.password_cost = PasswordCost::Minimum;
        let accounts = Accounts::new(store.clone(), config);
        let profiles = Arc::new(AccountProfiles(accounts.clone()));
        let rooms_config = RoomsConfig { default_version: RoomVersion::V12 };
        let rooms = Rooms::new(views.clone(), Arc::new(signer()), profiles, rooms_config);
        rooms.start_jobs();
        let (closing, seen) = watch::channel(false);
        let config = NexusConfig { public_url: "http://a.example".to_owned(), limits };
        let media = Media::new(store.clone(), Blobs::in_memory(), MediaConfig { upload_bytes_max: 1 << 20 });
        let api = NexusApi::new(rooms, views.clone(), accounts, media, config, seen);
        let gateway = Gateway::from_ref(&api);
        Self { router: router(api), gateway, views, clock, store, _closing: closing }
    }

    /// How many files there are.
    pub(crate) async fn media_rows(&self) -> usize {
        use nexus_event_store::Scan;
        use nexus_media::tables::Media;
        self.store.scan::<Media>(Scan::prefix::<Media>(&())).await.unwrap().len()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        self.clock.0.fetch_add(1, Ordering::Relaxed);
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let file = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap_or_else(|_| file())
        };
        Reply { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn raw(&self, method: &str, path: &str, token: &str, body: Vec<u8>) -> Reply {
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v10{path}"))
            .header("Authorization", token)
            .header(CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    /// A new account.
    pub(crate) async fn register(&self, name: &str) -> User<'_> {
        let body = json!({ "username": name, "password": PASSWORD });
        let reply = self.raw("POST", "/auth/register", "", body.to_string().into_bytes()).await;
        let made = reply.ok();
        let token = format!("Bearer {}", text(&made["access_token"]));
        User { server: self, id: text(&made["user"]["id"]), token }
    }
}

/// A string of a reply.
#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no string: {value}")).to_owned()
}

/// Somebody with a token.
#[derive(Clone)]
pub(crate) struct User<'a> {
    pub(crate) server: &'a Server,
    pub(crate) id: String,
    pub(crate) token: String,
}

impl<'a> User<'a> {
    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> Reply {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.server.raw(method, path, &self.token, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.call("GET", path, Value::Null).await.ok()
    }

    /// The same user on a server over the same store.
    pub(crate) fn on<'b>(&self, server: &'b Server) -> User<'b> {
        User { server, id: self.id.clone(), token: self.token.clone() }
    }

    /// A guild with its text channel: both ids.
    pub(crate) async fn make_guild(&self) -> (String, String) {
        let guild = text(&self.call("POST", "/guilds", json!({ "name": "Guild" })).await.ok()["id"]);
        let channels = self.get(&format!("/guilds/{guild}/channels")).await;
        let general = channels.as_array().unwrap().iter().find(|channel| channel["name"] == "general");
        (guild, text(&general.unwrap()["id"]))
    }

    /// A bot in a guild.
    pub(crate) async fn make_bot(&self, guild: &str) -> User<'a> {
        let application = self.call("POST", "/applications", json!({ "name": "helper" })).await.ok();
        let id = text(&application["id"]);
        let bot = self.call("POST", &format!("/applications/{id}/bot"), Value::Null).await.ok();
        let body = json!({ "guild_id": guild, "permissions": "0", "authorize": true });
        self.call("POST", &format!("/oauth2/authorize?client_id={id}&scope=bot"), body).await.ok();
        User { server: self.server, id, token: format!("Bot {}", text(&bot["token"])) }
    }

    pub(crate) async fn join(&self, guild_owner: &User<'_>, channel: &str) {
        let invite = guild_owner.call("POST", &format!("/channels/{channel}/invites"), json!({})).await.ok();
        self.call("POST", &format!("/invites/{}", text(&invite["code"])), json!({})).await.ok();
    }

    /// Sends a message; gives its id.
    pub(crate) async fn say(&self, channel: &str, content: &str) -> String {
        let body = json!({ "content": content });
        text(&self.call("POST", &format!("/channels/{channel}/messages"), body).await.ok()["id"])
    }
}
