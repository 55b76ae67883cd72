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
    http::{HeaderMap, Request, StatusCode},
};
use nexus_accounts::{Accounts, AccountsConfig, NoInvites, PasswordCost, Registration};
use nexus_api_matrix::{MatrixApi, MatrixConfig, router};
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
use tower::ServiceExt as _;

/// 2026-11-22.
const START_MS: u64 = 1_795_305_600_000;

/// The password of every account that [`Server::register`] makes.
pub(crate) const PASSWORD: &str = "correct horse";

/// A clock that is moved by hand; sleeping is real, so that waiting requests can be late.
#[derive(Clone)]
pub(crate) struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    pub(crate) fn advance(&self, duration: Duration) {
        self.0.fetch_add(u64::try_from(duration.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

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
    #[expect(clippy::disallowed_methods, reason = "this is the world of the tests")]
    fn spawn(&self, _: &'static str, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
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

impl TestSigner {
    fn new() -> Self {
        // The PKCS#8 frame of an Ed25519 key, around 32 bytes of seed.
        let frame = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        let document = [frame.as_slice(), &[7; 32]].concat();
        let key = Ed25519KeyPair::from_der(&document, "t1".to_owned()).unwrap();
        Self { name: server_name!("a.example").to_owned(), key }
    }
}

impl Signer for TestSigner {
    fn server_name(&self) -> &ServerName {
        &self.name
    }
    fn key_pair(&self) -> &Ed25519KeyPair {
        &self.key
    }
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

/// A running server.
pub(crate) struct Server {
    router: Router,
    pub(crate) accounts: Accounts,
    /// Its commands. Its jobs do not run until a test starts them.
    pub(crate) rooms: Rooms,
    pub(crate) clock: ManualClock,
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
        assert_eq!(self.status, StatusCode::OK, "{:#}", self.body);
        self.body
    }

    /// Status and errcode.
    pub(crate) fn error(&self) -> String {
        let code = self.body["errcode"].as_str().unwrap_or("-");
        assert!(code == "-" || self.body["error"].is_string(), "{:#}", self.body);
        format!("{} {code}", self.status.as_u16())
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// A server with rate limits.
    pub(crate) async fn start_limited() -> Self {
        Self::start_in(|config, world| config.limits = RateLimits::new(world.clone())).await
    }

    pub(crate) async fn start_with(configure: impl FnOnce(&mut AccountsConfig)) -> Self {
        Self::start_in(|config, _| configure(config)).await
    }

    async fn start_in(configure: impl FnOnce(&mut AccountsConfig, &World)) -> Self {
        let clock = ManualClock(Arc::new(START_MS.into()));
        let world = World {
            clock: Arc::new(clock.clone()),
            random: Arc::new(SeededRandom(1.into())),
            spawn: Arc::new(TokioSpawn),
            cpu: Arc::new(Inline),
        };
        let engine = MemoryEngine::new(Arc::new(PerfectDisk));
        let store = Store::open(Arc::new(engine), world, Arc::new(|_| {})).await.unwrap();
        let name = server_name!("a.example").to_owned();
        let views = Views::new(store.clone(), name.clone());
        let mut config = AccountsConfig::new(name, Arc::new(NoInvites));
        config.registration = Registration::Open;
        config.password_cost = PasswordCost::Minimum;
        configure(&mut config, store.world());
        let accounts_limits = config.limits.clone();
        let media = Media::new(store.clone(), Blobs::in_memory(), MediaConfig { upload_bytes_max: 1 << 20 });
        let accounts = Accounts::new(store, config);
        let profiles = Arc::new(AccountProfiles(accounts.clone()));
        let rooms_config = RoomsConfig { default_version: RoomVersion::V12 };
        let rooms = Rooms::new(views.clone(), Arc::new(TestSigner::new()), profiles, rooms_config);
        let config = MatrixConfig {
            public_url: "http://a.example".to_owned(),
            limits: accounts_limits,
            shared_secret: Some("sesame".to_owned()),
            public_directory: false,
        };
        let api = MatrixApi::new(rooms.clone(), views, accounts.clone(), media, config);
        Self { router: router(api), accounts, rooms, clock }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        self.clock.advance(Duration::from_millis(1));
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

    /// A request to the client API, with whatever bytes as its body.
    pub(crate) async fn raw(&self, method: &str, path: &str, token: Option<&str>, body: Vec<u8>) -> Reply {
        let uri = if path.starts_with("/_") || path.starts_with("/.") {
            path.to_owned()
        } else {
            format!("/_matrix/client/v3{path}")
        };
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(token) = token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    /// A request without a token.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> Reply {
        self.raw(method, path, None, bytes(&body)).await
    }

    /// Seconds since the Unix epoch.
    pub(crate) fn now_s(&self) -> u64 {
        self.clock.now().0 / 1000
    }

    /// A new account.
    pub(crate) async fn register(&self, name: &str) -> User<'_> {
        User::of(self, self.try_register(name).await.ok())
    }

    pub(crate) async fn try_register(&self, name: &str) -> Reply {
        let auth = json!({ "type": "m.login.dummy" });
        let body = json!({ "username": name, "password": PASSWORD, "auth": auth });
        self.call("POST", "/register", body).await
    }

    /// Another device of an account.
    pub(crate) async fn login(&self, name: &str) -> User<'_> {
        let identifier = json!({ "type": "m.id.user", "user": name });
        let body = json!({ "type": "m.login.password", "identifier": identifier, "password": PASSWORD });
        User::of(self, self.call("POST", "/login", body).await.ok())
    }
}

fn bytes(body: &Value) -> Vec<u8> {
    if body.is_null() { Vec::new() } else { body.to_string().into_bytes() }
}

/// Percent-encodes a path segment.
pub(crate) fn segment(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

/// A logged-in device.
pub(crate) struct User<'a> {
    pub(crate) server: &'a Server,
    pub(crate) id: String,
    pub(crate) device: String,
    pub(crate) token: String,
}

impl<'a> User<'a> {
    pub(crate) fn of(server: &'a Server, session: Value) -> Self {
        let text = |name: &str| session[name].as_str().unwrap().to_owned();
        Self { server, id: text("user_id"), device: text("device_id"), token: text("access_token") }
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> Reply {
        self.server.raw(method, path, Some(&self.token), bytes(&body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, Value::Null).await
    }

    /// A public room, unless `more` says otherwise.
    pub(crate) async fn create_room(&self, more: Value) -> String {
        let mut body = json!({ "preset": "public_chat" });
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let created = self.call("POST", "/createRoom", body).await.ok();
        created["room_id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn join(&self, room: &str) {
        self.call("POST", &format!("/join/{}", segment(room)), json!({})).await.ok();
    }

    pub(crate) async fn leave(&self, room: &str) {
        self.call("POST", &format!("/rooms/{}/leave", segment(room)), json!({})).await.ok();
    }

    pub(crate) async fn invite(&self, room: &str, user: &User<'_>) {
        let body = json!({ "user_id": user.id });
        self.call("POST", &format!("/rooms/{}/invite", segment(room)), body).await.ok();
    }

    pub(crate) async fn send(&self, room: &str, kind: &str, txn: &str, content: Value) -> String {
        let path = format!("/rooms/{}/send/{kind}/{}", segment(room), segment(txn));
        event_id(&self.call("PUT", &path, content).await.ok())
    }

    pub(crate) async fn say(&self, room: &str, text: &str) -> String {
        self.send(room, "m.room.message", &format!("txn-{text}"), message(text)).await
    }

    pub(crate) async fn set_state(&self, room: &str, kind: &str, key: &str, content: Value) -> String {
        let path = format!("/rooms/{}/state/{kind}/{}", segment(room), segment(key));
        event_id(&self.call("PUT", &path, content).await.ok())
    }

    pub(crate) async fn redact(&self, room: &str, event: &str) -> String {
        let path = format!("/rooms/{}/redact/{}/redact-{}", segment(room), segment(event), segment(event));
        event_id(&self.call("PUT", &path, json!({ "reason": "because" })).await.ok())
    }

    /// One answer of `/sync`; `query` is what follows the question mark.
    pub(crate) async fn sync(&self, query: &str) -> Value {
        self.get(&format!("/sync?{query}")).await.ok()
    }

    /// What is new since an answer of `/sync`.
    pub(crate) async fn sync_since(&self, answer: &Value) -> Value {
        self.sync(&format!("since={}", next_batch(answer))).await
    }

    /// The texts of the messages that `/messages` serves, in its order, and its `end`.
    pub(crate) async fn messages(&self, room: &str, query: &str) -> (Vec<String>, Option<String>) {
        let page = self.get(&format!("/rooms/{}/messages?{query}", segment(room))).await.ok();
        (texts(&page["chunk"]), page["end"].as_str().map(str::to_owned))
    }
}

pub(crate) fn message(text: &str) -> Value {
    json!({ "msgtype": "m.text", "body": text })
}

fn event_id(reply: &Value) -> String {
    reply["event_id"].as_str().unwrap().to_owned()
}

pub(crate) fn next_batch(answer: &Value) -> &str {
    answer["next_batch"].as_str().unwrap()
}

/// The bodies of the messages among events.
pub(crate) fn texts(events: &Value) -> Vec<String> {
    let events = events.as_array().unwrap().iter();
    events.filter_map(|event| event["content"]["body"].as_str().map(str::to_owned)).collect()
}

/// `type` and state key (or nothing) of events.
pub(crate) fn kinds(events: &Value) -> Vec<String> {
    let events = events.as_array().unwrap().iter();
    events
        .map(|event| match event["state_key"].as_str() {
            None | Some("") => event["type"].as_str().unwrap().to_owned(),
            Some(key) => format!("{} {key}", event["type"].as_str().unwrap()),
        })
        .collect()
}
