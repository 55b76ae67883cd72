//! The tables of this crate, and their rows.
//!
//! A user's devices are listed twice: [`Devices`] holds them, [`UserDevices`] names them in one row, so
//! that a decision about all of them (a password change) conflicts with one that adds another.
//! **Invariant**: an access token's row exists exactly while its device row names it.

#![allow(unreachable_pub, reason = "`table!` declares public structs, and their rows are named by them")]

use nexus_event_store::{
    Bytes, Position, Snowflake, UserNo,
    catalogue::numbers,
    codec::{KeyPart, Text, Value, decode_postcard, encode_versioned},
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

table! {
    /// Users whose words are kept from whoever was not there.
    Erased = numbers::ERASED, "erased", UserNo => ()
}
table! {
    /// Deactivated users who have not left all their rooms yet.
    Departures = numbers::DEPARTURES, "departures", UserNo => ()
}
table! {
    /// Tokens that let their holder register.
    RegistrationTokens = numbers::REGISTRATION_TOKENS, "registration_tokens", Text => RegistrationTokenRow
}

/// An account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Somebody has shown that mail to the address reaches them.
    pub email_verified: bool,
    /// The user asked that nobody be shown any more what they wrote.
    pub erased: bool,
}

impl Value for AccountRow {
    fn encode(&self) -> Vec<u8> {
        encode_versioned(2, self)
    }
    fn decode(bytes: &Bytes) -> Option<Self> {
        match bytes.split_first()? {
            (2, body) => decode_postcard(body),
            (1, body) => decode_postcard(body).map(AccountRowV1::upgraded),
            _ => None,
        }
    }
}

/// An account as it was kept before addresses could be verified.
#[derive(Deserialize)]
#[cfg_attr(test, derive(Serialize))]
struct AccountRowV1 {
    user_id: String,
    email: Option<String>,
    password: Option<String>,
    admin: bool,
    application: Option<Snowflake>,
    deactivated: bool,
    created_ms: u64,
}

impl AccountRowV1 {
    fn upgraded(self) -> AccountRow {
        let Self { user_id, email, password, admin, application, deactivated, created_ms } = self;
        AccountRow {
            user_id,
            email,
            password,
            admin,
            application,
            deactivated,
            created_ms,
            ..AccountRow::default()
        }
    }
}

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
    /// When its session last got tokens.
    pub last_used_ms: u64,
}

impl Value for DeviceRow {
    fn encode(&self) -> Vec<u8> {
        encode_versioned(2, self)
    }
    fn decode(bytes: &Bytes) -> Option<Self> {
        match bytes.split_first()? {
            (2, body) => decode_postcard(body),
            (1, body) => decode_postcard(body).map(DeviceRowV1::upgraded),
            _ => None,
        }
    }
}

/// A device as it was kept before the last use was.
#[derive(Deserialize)]
#[cfg_attr(test, derive(Serialize))]
struct DeviceRowV1 {
    created_ms: u64,
    display_name: Option<String>,
    access: Option<TokenHash>,
    previous_access: Option<TokenHash>,
    refresh: Option<RefreshState>,
}

impl DeviceRowV1 {
    fn upgraded(self) -> DeviceRow {
        let Self { created_ms, display_name, access, previous_access, refresh } = self;
        DeviceRow { created_ms, display_name, access, previous_access, refresh, last_used_ms: created_ms }
    }
}

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

/// A registration token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationTokenRow {
    /// How often it may be used; `None` = any number of times.
    pub uses_max: Option<u32>,
    pub uses: u32,
    pub expires_ms: Option<u64>,
    pub created_ms: u64,
}
versioned_value!(RegistrationTokenRow, 1);

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_first_version_are_read() {
        let old = AccountRowV1 {
            user_id: "@a:b".into(),
            email: Some("a@b".into()),
            password: None,
            admin: true,
            application: Some(Snowflake(5)),
            deactivated: false,
            created_ms: 7,
        };
        let bytes = Bytes::from(encode_versioned(1, &old));
        let read = AccountRow::decode(&bytes).unwrap();
        assert_eq!((read.user_id.as_str(), read.admin, read.created_ms), ("@a:b", true, 7));
        assert!(!read.email_verified && !read.erased);
        let device = DeviceRowV1 {
            created_ms: 9,
            display_name: None,
            access: Some(TokenHash([1; 32])),
            previous_access: None,
            refresh: None,
        };
        let read = DeviceRow::decode(&Bytes::from(encode_versioned(1, &device))).unwrap();
        assert_eq!((read.created_ms, read.last_used_ms), (9, 9));
        assert!(read.access == Some(TokenHash([1; 32])));
        assert!(AccountRow::decode(&Bytes::from_static(&[3])).is_none());
    }
}
