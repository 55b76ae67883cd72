//! The tables of this crate, and their rows.
//!
//! A user's devices are listed twice: [`Devices`] holds them, [`UserDevices`] names them in one row, so
//! that a decision about all of them (a password change) conflicts with one that adds another.
//! **Invariant**: an access token's row exists exactly while its device row names it.

#![allow(unreachable_pub, reason = "`table!` declares public structs, and their rows are named by them")]

use nexus_event_store::{
    Position, Snowflake, UserNo,
    catalogue::numbers,
    codec::{KeyPart, Text},
    table, versioned_value,
};
use serde::{Deserialize, Serialize};

/// The SHA-256 of a secret: all that is kept of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TokenHash(pub [u8; 32]);

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let start: String = self.0[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        write!(f, "TokenHash({start}…)")
    }
}

impl KeyPart for TokenHash {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        KeyPart::read(bytes).map(TokenHash)
    }
}

table! {
    /// Accounts of this server.
    AccountRows = numbers::ACCOUNTS, "accounts", UserNo => AccountRow
}
table! {
    /// Whose an e-mail address is: (address in lower case).
    Emails = numbers::EMAILS, "emails", Text => UserNo
}
table! {
    /// Devices: (user, device id).
    Devices = numbers::DEVICES, "devices", (UserNo, Text) => DeviceRow
}
table! {
    /// The ids of a user's devices, oldest first.
    UserDevices = numbers::USER_DEVICES, "user_devices", UserNo => DeviceList
}
table! {
    /// Access tokens by hash.
    AccessTokens = numbers::ACCESS_TOKENS, "access_tokens", TokenHash => AccessRow
}
table! {
    /// Refreshable sessions by the hash of what all their refresh tokens have in common.
    RefreshTokens = numbers::REFRESH_TOKENS, "refresh_tokens", TokenHash => FamilyRow
}
table! {
    /// The first account ever made.
    FirstAccount = numbers::FIRST_ACCOUNT, "first_account", () => UserNo
}
table! {
    /// Profiles.
    Profiles = numbers::PROFILES, "profiles", UserNo => ProfileRow
}
table! {
    /// Account data: (user, room id or empty, event type).
    AccountData = numbers::ACCOUNT_DATA, "account_data", (UserNo, String, Text) => DatumRow
}
table! {
    /// Sync filters: (user, filter id).
    Filters = numbers::FILTERS, "filters", (UserNo, Text) => String
}
table! {
    /// Applications.
    Applications = numbers::APPLICATIONS, "applications", Snowflake => ApplicationRow
}
table! {
    /// Which applications a user owns.
    OwnedApplications = numbers::OWNED_APPLICATIONS, "owned_applications", (UserNo, Snowflake) => ()
}
table! {
    /// Gateway sessions that may be resumed.
    GatewaySessions = numbers::GATEWAY_SESSIONS, "gateway_sessions", Text => GatewaySessionRow
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRow {
    pub user_id: String,
    /// As given.
    pub email: Option<String>,
    /// Argon2id in PHC form; bots have none.
    pub password: Option<String>,
    pub admin: bool,
    /// The application whose bot this is.
    pub application: Option<Snowflake>,
    pub deactivated: bool,
    pub created_ms: u64,
}
versioned_value!(AccountRow, 1);

/// A device and the session on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRow {
    pub created_ms: u64,
    pub display_name: Option<String>,
    /// The newest access token.
    pub access: Option<TokenHash>,
    /// The one before it: good until the newest is first used.
    pub previous_access: Option<TokenHash>,
    pub refresh: Option<RefreshState>,
}
versioned_value!(DeviceRow, 1);

/// Which refresh tokens of a session are good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshState {
    /// The key of the session in [`RefreshTokens`].
    pub family: TokenHash,
    pub current: TokenHash,
    /// The one before it: good until its successor is first used.
    pub previous: Option<TokenHash>,
}

/// The device ids of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceList(pub Vec<String>);
versioned_value!(DeviceList, 1);

/// An access token: everything a request needs to know, in one read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRow {
    pub user: UserNo,
    pub user_id: String,
    pub device: String,
    pub is_bot: bool,
    pub expires_ms: Option<u64>,
    /// It replaced another token that is good until this one is first used.
    pub unused_successor: bool,
}
versioned_value!(AccessRow, 1);

/// Where a refreshable session is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FamilyRow {
    pub user: UserNo,
    pub device: String,
}
versioned_value!(FamilyRow, 1);

/// A profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileRow {
    pub display_name: Option<String>,
    pub avatar_url: Option<String>,
}
versioned_value!(ProfileRow, 1);

/// A piece of account data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatumRow {
    /// The commit that wrote it.
    pub position: Position,
    /// A JSON object.
    pub content: String,
}
versioned_value!(DatumRow, 1);

/// An application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplicationRow {
    pub name: String,
    pub description: String,
    pub icon: Option<String>,
    pub owner: UserNo,
    /// The user its bot has, or will have once it is asked for.
    pub bot_user: UserNo,
    pub has_bot: bool,
    pub created_ms: u64,
}
versioned_value!(ApplicationRow, 1);

/// A gateway session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewaySessionRow {
    pub user: UserNo,
    pub device: String,
    pub seq: u64,
    pub position: Position,
    pub state: Vec<u8>,
    pub saved_ms: u64,
}
versioned_value!(GatewaySessionRow, 1);
