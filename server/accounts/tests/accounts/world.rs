//! A server's accounts in a test: manual clock, seeded randomness, scheduling by the test.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use nexus_accounts::{
    Account, AccountError, Accounts, AccountsConfig, InviteCheck, LoginRequest, NewAccount, PasswordCost,
    Registration, Session, SessionRequest,
};
use nexus_event_store::{
    Store,
    kv::{KvError, memory::MemoryEngine},
    world::{BoxFuture, Clock, CpuPool, Random, Spawn, UnixMs, World},
};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use ruma::server_name;

use crate::scheduling::{HeldDisk, YieldingEngine};

/// 2026-11-22.
const START_MS: u64 = 1_795_305_600_000;

/// The password of every account that [`Fixture::join`] makes.
pub(crate) const PASSWORD: &str = "correct horse";

/// The invite code that is good.
pub(crate) const INVITE: &str = "GOODCODE";

/// Everything a test holds.
pub(crate) struct Fixture {
    pub(crate) accounts: Accounts,
    pub(crate) store: Store,
    pub(crate) disk: HeldDisk,
    engine: MemoryEngine,
    config: AccountsConfig,
    clock: ManualClock,
    starts: u64,
}

/// A clock that goes when it is told to.
#[derive(Clone)]
pub(crate) struct ManualClock(Arc<AtomicU64>);

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

struct SeededRandom(Mutex<ChaCha20Rng>);

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap().fill_bytes(bytes);
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

struct OneInvite;

impl InviteCheck for OneInvite {
    fn is_valid<'a>(&'a self, code: &'a str) -> BoxFuture<'a, bool> {
        Box::pin(std::future::ready(code == INVITE))
    }
}

impl Fixture {
    /// An empty server with open registration.
    pub(crate) async fn new() -> Self {
        Self::with(|config| config.registration = Registration::Open).await
    }

    /// An empty server, set up differently.
    pub(crate) async fn with(change: impl FnOnce(&mut AccountsConfig)) -> Self {
        let mut config = AccountsConfig::new(server_name!("example.org").to_owned(), Arc::new(OneInvite));
        config.password_cost = PasswordCost::Minimum;
        change(&mut config);
        let disk = HeldDisk::new();
        let engine = MemoryEngine::new(Arc::new(disk.clone()));
        Self::start(engine, disk, config, ManualClock(Arc::new(START_MS.into())), 1).await
    }

    /// The same server after `kill -9`: what was not durable is gone, and so is everything in memory.
    pub(crate) async fn restarted(self) -> Self {
        let engine = self.engine.durable(Arc::new(self.disk.clone()));
        Self::start(engine, self.disk, self.config, self.clock, self.starts + 1).await
    }

    /// An empty server with open registration, set up by what it runs in.
    pub(crate) async fn with_world(change: impl FnOnce(&mut AccountsConfig, World)) -> Self {
        let server = Self::new().await;
        let world = server.store.world().clone();
        server.restarted_with(|config| change(config, world)).await
    }

    /// The same server started again with other settings.
    pub(crate) async fn restarted_with(mut self, change: impl FnOnce(&mut AccountsConfig)) -> Self {
        change(&mut self.config);
        self.restarted().await
    }

    /// The parameters of the one password hash on disk.
    pub(crate) fn password_cost_on_disk(&self) -> String {
        let disk = String::from_utf8_lossy(&self.disk_bytes()).into_owned();
        let (_, rest) = disk.split_once("$argon2id$v=19$").unwrap();
        rest.split('$').next().unwrap().to_owned()
    }

    async fn start(
        engine: MemoryEngine,
        disk: HeldDisk,
        config: AccountsConfig,
        clock: ManualClock,
        starts: u64,
    ) -> Self {
        // Each start has its own seed, or its tokens would be those of the one before.
        let world = World {
            clock: Arc::new(clock.clone()),
            random: Arc::new(SeededRandom(Mutex::new(ChaCha20Rng::seed_from_u64(starts)))),
            spawn: Arc::new(TokioSpawn),
            cpu: Arc::new(Inline),
        };
        let on_fatal = Arc::new(|error: &KvError| panic!("the engine failed: {error}"));
        let store = Store::open(Arc::new(YieldingEngine(engine.clone())), world, on_fatal).await.unwrap();
        let accounts = Accounts::new(store.clone(), config.clone());
        Self { accounts, store, disk, engine, config, clock, starts }
    }

    pub(crate) fn advance(&self, duration: Duration) {
        self.clock.0.fetch_add(u64::try_from(duration.as_millis()).unwrap(), Ordering::Relaxed);
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now().0
    }

    /// Registers `name` without a session.
    pub(crate) async fn join(&self, name: &str) -> Account {
        self.accounts.register(new_account(name)).await.unwrap().account
    }

    /// Logs `name` in on `device`.
    pub(crate) async fn login(&self, name: &str, device: &str, refreshable: bool) -> Session {
        self.accounts.login(login_request(name, PASSWORD, device, refreshable)).await.unwrap()
    }

    /// Whether `token` authenticates.
    pub(crate) async fn is_good(&self, token: &str) -> bool {
        match self.accounts.authenticate(token).await {
            Ok(login) => login.is_some(),
            Err(AccountError::ExpiredToken) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// Every byte on disk.
    pub(crate) fn disk_bytes(&self) -> Vec<u8> {
        self.engine.dump().into_iter().flat_map(|((_, key), value)| [key, value.to_vec()].concat()).collect()
    }
}

pub(crate) fn new_account(name: &str) -> NewAccount {
    NewAccount {
        username: Some(name.to_owned()),
        password: PASSWORD.to_owned(),
        email: None,
        email_proof: None,
        invite: None,
        session: None,
    }
}

pub(crate) fn login_request(name: &str, password: &str, device: &str, refreshable: bool) -> LoginRequest {
    let session = SessionRequest { device_id: Some(device.to_owned()), device_name: None, refreshable };
    LoginRequest { login: name.to_owned(), password: password.to_owned(), session }
}
