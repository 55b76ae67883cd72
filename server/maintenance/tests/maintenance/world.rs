//! A server that has been lived in: rooms, guilds, accounts and media with rows in as many tables as commands
//! reach, in memory; and the system's time and threads for stores on disk.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use nexus_accounts::{
    Accounts, AccountsConfig, GatewaySession, InviteCheck, LoginRequest, NewAccount, PasswordCost,
    Registration, SessionRequest,
};
use nexus_event_store::{
    Bytes, Position, RoomNo, Store,
    kv::{
        Batch, Engine, Family, RowKey,
        memory::{MemoryEngine, PerfectDisk},
    },
    world::{BoxFuture, Clock, CpuPool, Random, Spawn, UnixMs, World},
};
use nexus_maintenance::verify::{Listener, Problem, Summary, known_keys, verify};
use nexus_rooms::{
    Actor, CreateGuild, CreateRoom, NewChannel, NewInvite, Preset, Redact, Rooms, SendEvent, TxnKey,
};
use nexus_sim::{
    executor::Simulation,
    server::{Server, SimulatedSigner},
};
use nexus_state_resolution::Signer as _;
use nexus_views::ChannelKind;
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedEventId, OwnedRoomId, OwnedServerName, ServerName, UserId,
    serde::{Base64, base64::UrlSafe},
    signatures::PublicKeyMap,
};
use serde_json::{Value, json};

pub(crate) const SERVER: &str = "sim.example";

pub(crate) type Dump = Vec<((Family, Vec<u8>), Bytes)>;

pub(crate) fn server_name() -> OwnedServerName {
    ServerName::parse(SERVER).unwrap()
}

/// The simulated server's key.
pub(crate) fn keys() -> PublicKeyMap {
    let signer = SimulatedSigner::new(&server_name(), [7; 32]);
    let pair = signer.key_pair();
    let key: Base64<UrlSafe> = Base64::new(pair.public_key().to_vec());
    let standard: Base64 = Base64::new(key.into_inner());
    known_keys(SERVER, [(format!("ed25519:{}", pair.version()), standard.encode())])
}

pub(crate) fn actor(name: &str) -> Actor {
    Actor {
        user: UserId::parse(format!("@{name}:{SERVER}")).unwrap(),
        device: "SIM".to_owned(),
        reason: None,
    }
}

pub(crate) fn object(value: Value) -> CanonicalJsonObject {
    match CanonicalJsonValue::try_from(value).unwrap() {
        CanonicalJsonValue::Object(object) => object,
        other => panic!("{other:?} is no object"),
    }
}

pub(crate) fn message(room: &OwnedRoomId, id: &str, content: Value) -> SendEvent {
    SendEvent {
        room: room.clone(),
        event_type: "m.room.message".to_owned(),
        state_key: None,
        content: object(content),
        txn: Some(TxnKey { scope: "send".to_owned(), id: id.to_owned() }),
    }
}

struct AnyInvite;

impl InviteCheck for AnyInvite {
    fn is_valid<'a>(&'a self, _: &'a str) -> BoxFuture<'a, bool> {
        Box::pin(std::future::ready(true))
    }
}

/// What was made.
pub(crate) struct Lived {
    pub(crate) engine: MemoryEngine,
    pub(crate) rooms: Rooms,
    pub(crate) guild: RoomNo,
    pub(crate) channel: OwnedRoomId,
    pub(crate) plain: OwnedRoomId,
}

impl Lived {
    pub(crate) fn store(&self) -> &Store {
        self.rooms.views().store()
    }

    pub(crate) async fn send(&self, who: &str, event: SendEvent) -> OwnedEventId {
        self.rooms.send(&actor(who), event).await.unwrap().event_id
    }
}

/// Lives in a new store for a while.
pub(crate) async fn live(simulation: &Simulation) -> Lived {
    let engine = MemoryEngine::new(Arc::new(PerfectDisk));
    let server = Server::start(simulation, &server_name(), engine.clone()).await.unwrap();
    let rooms = server.rooms;
    rooms.views().store().belongs_to(SERVER).await.unwrap();
    accounts(rooms.views().store()).await;
    let ana = actor("ana");
    let guild = rooms.create_guild(&ana, CreateGuild { name: "Guild".to_owned() }).await.unwrap();
    let new = NewChannel { name: "talk".to_owned(), kind: ChannelKind::Text, ..NewChannel::default() };
    let channel_no = rooms.create_channel(&ana, guild, new).await.unwrap();
    let channel = rooms.views().room_id(channel_no).await.unwrap();
    let invite = rooms.create_invite(&ana, channel_no, NewInvite::default()).await.unwrap();
    rooms.accept_invite(&actor("ben"), &invite.code).await.unwrap();
    let plain = CreateRoom {
        preset: Preset::PublicChat,
        name: Some("plain".to_owned()),
        alias: Some("plain".to_owned()),
        listed: true,
        ..CreateRoom::default()
    };
    let plain = rooms.create_room(&ana, plain).await.unwrap().room_id;
    for number in 0..40 {
        rooms.join(&actor(&format!("guest{number}")), &plain, None).await.unwrap();
    }
    let gone = actor("guest0");
    rooms.leave(&gone, &plain, None).await.unwrap();
    rooms.forget(&gone, &plain).await.unwrap();
    rooms.ban_member(&ana, guild, &actor("troll").user, 0, None).await.unwrap();
    let lived = Lived { engine, rooms, guild, channel, plain };
    for room in [&lived.channel, &lived.plain] {
        talk(&lived, room).await;
    }
    lived
}

async fn accounts(store: &Store) {
    let mut config = AccountsConfig::new(server_name(), Arc::new(AnyInvite));
    config.registration = Registration::Open;
    config.password_cost = PasswordCost::Minimum;
    let accounts = Accounts::new(store.clone(), config);
    let mut users = Vec::new();
    for name in ["ana", "ben"] {
        let new = NewAccount {
            username: Some(name.to_owned()),
            password: "correct horse".to_owned(),
            email: Some(format!("{name}@mail.example")),
            email_proof: None,
            invite: None,
            session: None,
        };
        users.push(accounts.register(new).await.unwrap().account.user);
    }
    let session = SessionRequest {
        device_id: Some("SIM".to_owned()),
        device_name: Some("sim".to_owned()),
        refreshable: true,
    };
    let login = LoginRequest { login: "ana".to_owned(), password: "correct horse".to_owned(), session };
    accounts.login(login).await.unwrap();
    accounts.set_display_name(users[0], Some("Ana".to_owned())).await.unwrap();
    accounts.put_account_data(users[0], None, "m.direct", "{}".to_owned()).await.unwrap();
    accounts.put_filter(users[0], "{}".to_owned()).await.unwrap();
    let application = accounts.create_application(users[0], "robot").await.unwrap();
    accounts.create_bot(users[0], application.id).await.unwrap();
    let session = GatewaySession {
        id: "session".to_owned(),
        user: users[0],
        device: "SIM".to_owned(),
        seq: 3,
        position: Position(1),
        state: vec![1, 2, 3],
    };
    accounts.save_gateway_session(session).await.unwrap();
}

/// Messages, an edit, reactions, a thread, a redaction.
async fn talk(lived: &Lived, room: &OwnedRoomId) {
    let text = |body: &str| json!({ "msgtype": "m.text", "body": body });
    let first = lived.send("ana", message(room, "1", text("first"))).await;
    let second = lived.send("ana", message(room, "2", text("second"))).await;
    let edit = json!({
        "msgtype": "m.text", "body": "* changed", "m.new_content": { "msgtype": "m.text", "body": "changed" },
        "m.relates_to": { "rel_type": "m.replace", "event_id": first },
    });
    lived.send("ana", message(room, "3", edit)).await;
    for key in ["👍", "🎉"] {
        let content =
            json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": first, "key": key } });
        let reaction = SendEvent { event_type: "m.reaction".to_owned(), ..message(room, key, content) };
        lived.send("ana", reaction).await;
    }
    let thread = json!({
        "msgtype": "m.text", "body": "in a thread", "m.mentions": { "user_ids": [format!("@ben:{SERVER}")] },
        "m.relates_to": { "rel_type": "m.thread", "event_id": first },
    });
    lived.send("ana", message(room, "4", thread)).await;
    let question = json!({
        "m.poll": {
            "question": { "m.text": [{ "body": "which" }] }, "kind": "m.disclosed", "max_selections": 1,
            "answers": [{ "m.id": "a", "m.text": [{ "body": "A" }] }, { "m.id": "b", "m.text": [{ "body": "B" }] }],
        },
        "m.text": [{ "body": "which" }],
    });
    let poll = SendEvent { event_type: "m.poll.start".to_owned(), ..message(room, "5", question) };
    let poll = lived.send("ana", poll).await;
    let response = json!({
        "m.relates_to": { "rel_type": "m.reference", "event_id": poll }, "m.selections": ["a"],
    });
    lived
        .send("ana", SendEvent { event_type: "m.poll.response".to_owned(), ..message(room, "6", response) })
        .await;
    if *room == lived.plain {
        let pins = SendEvent {
            event_type: "m.room.pinned_events".to_owned(),
            state_key: Some(String::new()),
            ..message(room, "7", json!({ "pinned": [first] }))
        };
        lived.send("ana", pins).await;
    }
    let redact = Redact { room: room.clone(), event_id: second, reason: None, txn: None };
    lived.rooms.redact(&actor("ana"), redact).await.unwrap();
    for number in 0..20u8 {
        lived.send("ana", message(room, &format!("m{number}"), text("more"))).await;
    }
}

/// Keeps what it is told.
#[derive(Default)]
pub(crate) struct Found(pub(crate) Vec<Problem>);

impl Listener for Found {
    fn problem(&mut self, problem: Problem) {
        self.0.push(problem);
    }
    fn rows(&mut self, _: &'static str, _: u64) {}
}

pub(crate) async fn check(raw: Arc<dyn Engine>, world: &World) -> (Summary, Vec<Problem>) {
    let (mut found, scratch) = (Found::default(), Arc::new(MemoryEngine::new(Arc::new(PerfectDisk))));
    let summary = verify(raw, scratch, keys(), world, &mut found).await;
    (summary, found.0)
}

pub(crate) fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

/// Writes rows past every check, as damage does.
pub(crate) async fn write(engine: &dyn Engine, rows: Vec<(RowKey, Option<Bytes>)>) {
    engine.commit(Batch { preconditions: Vec::new(), writes: rows }).await.unwrap();
}

/// A copy of `rows` in memory.
pub(crate) async fn copy(rows: &Dump) -> MemoryEngine {
    let engine = MemoryEngine::new(Arc::new(PerfectDisk));
    let row = |((family, bytes), value): &((Family, Vec<u8>), Bytes)| {
        (RowKey { family: *family, bytes: bytes.clone() }, Some(value.clone()))
    };
    write(&engine, rows.iter().map(row).collect()).await;
    engine
}

/// The system's time and threads, for engines that answer from a thread of their own.
pub(crate) fn system() -> World {
    let parts = Arc::new(System { started: std::time::Instant::now(), drawn: Mutex::new(seed()) });
    World { clock: parts.clone(), random: parts.clone(), spawn: parts.clone(), cpu: parts }
}

/// Another one in each process.
fn seed() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64
}

struct System {
    started: std::time::Instant,
    drawn: Mutex<u64>,
}

impl Clock for System {
    fn now(&self) -> UnixMs {
        UnixMs(1_795_305_600_000 + u64::try_from(self.started.elapsed().as_millis()).unwrap())
    }
    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

impl Random for System {
    /// Different each time, which is all that these tests need.
    fn fill(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let mut drawn = self.drawn.lock().unwrap();
            *drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = drawn.to_be_bytes()[0];
        }
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
