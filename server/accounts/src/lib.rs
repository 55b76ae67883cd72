//! Who may speak here: accounts, sessions, devices, bots, and the small records that belong to a user.
//!
//! Everything is a primary record of the store (tables in `tables.rs`); every change is one decision and
//! is acknowledged only once it is durable. **Shapes**: [`Accounts`] is the whole interface, its methods
//! stand in one file per topic. **Units**: moments are milliseconds since the Unix epoch. **Errors**:
//! [`AccountError`]. **Invariants**: no secret is stored, only Argon2id and SHA-256 hashes; a token that
//! was revoked never authenticates again, whatever is cached.

mod account;
mod account_data;
mod administration;
mod applications;
mod authenticate;
mod cache;
mod deactivate;
mod decide;
mod devices;
mod emails;
mod error;
mod follow_room;
mod gateway_sessions;
mod live;
mod login;
mod mail;
mod mail_proofs;
mod mail_texts;
mod names;
mod passwords;
mod profile;
mod profile_fields;
mod refresh;
mod register;
mod registration_tokens;
mod second_factor;
mod sessions;
pub mod table_list;
mod tables;
mod tags;
mod tokens;

use std::{sync::Arc, time::Duration};

use nexus_event_store::{Store, world::BoxFuture};
use ruma::{OwnedServerName, ServerName};

pub use account::Account;
pub use account_data::AccountDatum;
pub use applications::{Application, Bot};
pub use authenticate::Login;
pub use devices::Device;
pub use error::AccountError;
pub use gateway_sessions::GatewaySession;
pub use live::SessionMark;
pub use login::{LoginRequest, PasswordChange};
pub use mail::{Mail, MailConfig, MailFailure, MailTransport};
pub use mail_proofs::{MailLink, ProofKey, ProofRequest, Purpose};
pub use names::UsernameProblem;
pub use passwords::PasswordCost;
pub use profile::Profile;
pub use register::{NewAccount, Registered, Requirement};
pub use registration_tokens::{NewRegistrationToken, RegistrationToken};
pub use second_factor::Ticket;
pub use sessions::{Session, SessionRequest};

use nexus_rate_limits::RateLimits;

use crate::{cache::LoginCache, mail::MailBell, passwords::Passwords, second_factor::Tickets};

/// Who may register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Everyone.
    Open,
    /// Holders of an invite code.
    Invite,
    /// Nobody (but the first account).
    Closed,
}

/// Knows which invite codes are good; codes belong to guilds, which this crate does not know.
pub trait InviteCheck: Send + Sync {
    /// Whether `code` may be used now.
    fn is_valid<'a>(&'a self, code: &'a str) -> BoxFuture<'a, bool>;
}

/// An [`InviteCheck`] that knows no code.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoInvites;

impl InviteCheck for NoInvites {
    fn is_valid<'a>(&'a self, _: &'a str) -> BoxFuture<'a, bool> {
        Box::pin(std::future::ready(false))
    }
}

/// What the accounts of one server are set up with.
#[derive(Clone)]
pub struct AccountsConfig {
    /// The server in every user id.
    pub server_name: OwnedServerName,
    /// Who may register.
    pub registration: Registration,
    /// How hard passwords are hashed.
    pub password_cost: PasswordCost,
    /// How long the access token of a refreshable session is good.
    pub access_token_life: Duration,
    /// Whether the server can be reached from this machine only.
    pub loopback_only: bool,
    /// What the first account must show when the server can be reached from elsewhere.
    pub setup_token: Option<String>,
    /// Which invite codes let their holder register.
    pub invites: Arc<dyn InviteCheck>,
    /// How many passwords may be hashed at the same time.
    pub hashes_at_once: usize,
    /// How often a wrong password or code may be tried.
    pub limits: RateLimits,
    /// How mail is sent; `None` = it is not.
    pub mail: Option<MailConfig>,
}

impl AccountsConfig {
    /// The defaults of the operator's contract: registration by invite, one hour, loopback only.
    pub fn new(server_name: OwnedServerName, invites: Arc<dyn InviteCheck>) -> Self {
        Self {
            server_name,
            registration: Registration::Invite,
            password_cost: PasswordCost::Owasp,
            access_token_life: Duration::from_secs(3600),
            loopback_only: true,
            setup_token: None,
            invites,
            hashes_at_once: 2,
            limits: RateLimits::off(),
            mail: None,
        }
    }
}

struct Inner {
    config: AccountsConfig,
    passwords: Passwords,
    cache: LoginCache,
    tickets: Tickets,
    bell: MailBell,
}

/// The accounts of one server. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    store: Store,
    inner: Arc<Inner>,
}

impl Accounts {
    /// Accounts kept in `store`.
    pub fn new(store: Store, config: AccountsConfig) -> Self {
        let passwords = Passwords::new(config.password_cost, config.hashes_at_once);
        let (cache, tickets, bell) = (LoginCache::default(), Tickets::default(), MailBell::default());
        Self { store, inner: Arc::new(Inner { config, passwords, cache, tickets, bell }) }
    }

    /// The server in every user id.
    pub fn server_name(&self) -> &ServerName {
        &self.inner.config.server_name
    }

    /// The wall clock in milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64 {
        self.store.world().now().0
    }
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounts")
            .field("server_name", &self.inner.config.server_name)
            .finish_non_exhaustive()
    }
}
