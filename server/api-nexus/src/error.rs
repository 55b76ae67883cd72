//! The one mapping from what can go wrong to what Discord's clients understand.
//!
//! **Shapes**: `{"message", "code", "errors"?}` with a status. **Invariants**: 401 is only for tokens that
//! are missing or not good, because client libraries forget their token on it; what failed in the server
//! is logged here, once, and shown without detail. **Source**: `discord-api-docs`, "Opcodes and Status
//! Codes".

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use nexus_accounts::AccountError;
use nexus_event_store::{StoreError, kv::KvError};
use nexus_media::MediaError;
use nexus_rooms::{GuildRefusal, ModerationRefusal, Rejection, RoomsError};
use serde_json::json;

use crate::form::Faults;

/// Something that is not there; Discord has a code for each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    Application,
    Ban,
    Channel,
    Emoji,
    Guild,
    Invite,
    Member,
    Message,
    Overwrite,
    Role,
    User,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ApiError {
    /// No token, or one that is not good.
    Unauthorized,
    /// The login or its password is wrong.
    WrongLogin,
    /// The code of a second factor is not right.
    WrongCode,
    /// A login's second step came too late or too often.
    UnknownTicket,
    /// The second factor is on already, or not on.
    SecondFactorIs { enabled: bool },
    /// The secret of a second factor is none.
    InvalidSecret,
    /// The server sends no mail.
    NoMail,
    /// Who owns guilds cannot delete the account.
    OwnsGuilds,
    /// Too often in too short a time.
    Limited { retry_after: Duration, is_global: bool },
    /// Nobody may register.
    RegistrationClosed,
    /// A path nobody serves.
    NoSuchPath,
    /// A path that is not served by this method.
    NoSuchMethod,
    /// The gateway was asked for without an upgrade to a WebSocket.
    NotAWebSocket,
    /// The body is not JSON, or not UTF-8.
    NotJson,
    /// The body is too large.
    TooLarge,
    /// Fields of the body, query or path do not fit.
    Form(Faults),
    /// What the request is about does not exist.
    Unknown(Unknown),
    /// Bots cannot do this.
    NotForBots,
    /// Only bots can do this.
    OnlyForBots,
    /// The application belongs to somebody else.
    NotYours,
    /// Who asks cannot see it.
    MissingAccess,
    /// Who asks may not do it.
    MissingPermissions,
    /// A role with which this cannot be done.
    InvalidRole,
    /// Who is to be muted or moved is in no voice channel.
    NotInVoice,
    /// Only the author may do this.
    NotTheAuthor,
    /// Messages that are too old to be deleted at once.
    TooOld,
    /// The message has a thread already.
    ThreadExists,
    /// A message without anything in it.
    EmptyMessage,
    /// Messages cannot be sent there.
    NotATextChannel,
    /// Banned from the guild.
    Banned,
    /// Of many users none could be banned.
    NobodyBanned,
    /// The channel is in slow mode and who asks has just written there.
    SlowMode { retry_after_ms: u64 },
    /// More than there may be.
    TooMany { what: &'static str, limit: usize },
    /// Something in the way that is not the request's shape.
    Conflict(String),
    /// The disk is full.
    NoSpace,
    /// The server is going down, or failed.
    Unavailable,
    /// A failure of ours.
    Internal,
}

impl ApiError {
    /// One field of the body, query or path that does not fit.
    pub(crate) fn field(path: &[&str], code: &str, message: &str) -> Self {
        Self::Form(Faults::one(path, code, message))
    }

    /// Status, code and message: the whole table.
    fn shown(&self) -> (StatusCode, u32, String) {
        use StatusCode as S;
        let (status, code, message) = match self {
            Self::Unauthorized => (S::UNAUTHORIZED, 0, "401: Unauthorized"),
            Self::WrongLogin => (S::BAD_REQUEST, 50035, "Invalid Form Body"),
            Self::WrongCode => (S::BAD_REQUEST, 60008, "Invalid two-factor code"),
            Self::UnknownTicket => (S::BAD_REQUEST, 60006, "Invalid two-factor auth ticket"),
            Self::SecondFactorIs { enabled: true } => {
                (S::BAD_REQUEST, 60001, "This account is already enrolled in two-factor authentication")
            }
            Self::SecondFactorIs { enabled: false } => {
                (S::BAD_REQUEST, 60002, "This account is not enrolled in two-factor authentication")
            }
            Self::InvalidSecret => (S::BAD_REQUEST, 60005, "Invalid two-factor secret"),
            Self::NoMail => (S::BAD_REQUEST, 0, "This server sends no mail, ask its administrator"),
            Self::OwnsGuilds => (
                S::BAD_REQUEST,
                40011,
                "You must transfer ownership of any owned guilds before deleting your account",
            ),
            Self::Limited { .. } => (S::TOO_MANY_REQUESTS, 0, "You are being rate limited."),
            Self::RegistrationClosed => (S::FORBIDDEN, 50001, "Registration is closed"),
            Self::NoSuchPath => (S::NOT_FOUND, 0, "404: Not Found"),
            Self::NoSuchMethod => (S::METHOD_NOT_ALLOWED, 0, "405: Method Not Allowed"),
            Self::NotAWebSocket => (S::UPGRADE_REQUIRED, 0, "426: Upgrade Required"),
            Self::NotJson => (S::BAD_REQUEST, 50109, "The request body contains invalid JSON."),
            Self::TooLarge => (S::PAYLOAD_TOO_LARGE, 40005, "Request entity too large"),
            Self::Form(_) => (S::BAD_REQUEST, 50035, "Invalid Form Body"),
            Self::Unknown(Unknown::Application) => (S::NOT_FOUND, 10002, "Unknown Application"),
            Self::Unknown(Unknown::Channel) => (S::NOT_FOUND, 10003, "Unknown Channel"),
            Self::Unknown(Unknown::Guild) => (S::NOT_FOUND, 10004, "Unknown Guild"),
            Self::Unknown(Unknown::Invite) => (S::NOT_FOUND, 10006, "Unknown Invite"),
            Self::Unknown(Unknown::Member) => (S::NOT_FOUND, 10007, "Unknown Member"),
            Self::Unknown(Unknown::Message) => (S::NOT_FOUND, 10008, "Unknown Message"),
            Self::Unknown(Unknown::Overwrite) => (S::NOT_FOUND, 10009, "Unknown permission overwrite"),
            Self::Unknown(Unknown::Role) => (S::NOT_FOUND, 10011, "Unknown Role"),
            Self::Unknown(Unknown::User) => (S::NOT_FOUND, 10013, "Unknown User"),
            Self::Unknown(Unknown::Ban) => (S::NOT_FOUND, 10026, "Unknown Ban"),
            Self::Unknown(Unknown::Emoji) => (S::BAD_REQUEST, 10014, "Unknown Emoji"),
            Self::NotForBots => (S::FORBIDDEN, 20001, "Bots cannot use this endpoint"),
            Self::OnlyForBots => (S::FORBIDDEN, 20002, "Only bots can use this endpoint"),
            Self::NotYours => {
                (S::FORBIDDEN, 20012, "You are not authorized to perform this action on this application")
            }
            Self::MissingAccess => (S::FORBIDDEN, 50001, "Missing Access"),
            Self::MissingPermissions => (S::FORBIDDEN, 50013, "Missing Permissions"),
            Self::InvalidRole => (S::BAD_REQUEST, 50028, "Invalid Role"),
            Self::NotInVoice => (S::BAD_REQUEST, 40032, "Target user is not connected to voice."),
            Self::NotTheAuthor => (S::FORBIDDEN, 50005, "Cannot edit a message authored by another user"),
            Self::TooOld => {
                (S::BAD_REQUEST, 50034, "You can only bulk delete messages that are under 14 days old.")
            }
            Self::ThreadExists => {
                (S::BAD_REQUEST, 160_004, "A thread has already been created for this message")
            }
            Self::EmptyMessage => (S::BAD_REQUEST, 50006, "Cannot send an empty message"),
            Self::NotATextChannel => (S::BAD_REQUEST, 50008, "Cannot send messages in a non-text channel"),
            Self::NobodyBanned => (S::BAD_REQUEST, 500_000, "Failed to ban users"),
            Self::SlowMode { .. } => {
                (S::TOO_MANY_REQUESTS, 20016, "This action cannot be performed due to slowmode rate limit")
            }
            Self::Banned => (S::FORBIDDEN, 40007, "The user is banned from this guild."),
            Self::TooMany { what, limit } => return too_many(what, *limit),
            Self::Conflict(reason) => return (S::BAD_REQUEST, 0, reason.clone()),
            Self::NoSpace => (S::INSUFFICIENT_STORAGE, 0, "507: Insufficient Storage"),
            Self::Unavailable => (S::SERVICE_UNAVAILABLE, 0, "503: Service Unavailable"),
            Self::Internal => (S::INTERNAL_SERVER_ERROR, 0, "500: Internal Server Error"),
        };
        (status, code, message.to_owned())
    }

    fn tree(self) -> Option<Faults> {
        match self {
            Self::Form(faults) => Some(faults),
            Self::WrongLogin => {
                let mut faults = Faults::one(&["login"], "INVALID_LOGIN", WRONG_LOGIN);
                faults.merge(Faults::one(&["password"], "INVALID_LOGIN", WRONG_LOGIN));
                Some(faults)
            }
            _ => None,
        }
    }
}

/// **Source**: `discord-api-docs`, "Rate Limits". Without `Via` discord.py does not try again.
fn limited(retry_after: Duration, is_global: bool) -> Response {
    let seconds = retry_after.as_secs_f64();
    let body = json!({
        "message": "You are being rate limited.",
        "retry_after": (seconds * 1000.0).ceil() / 1000.0,
        "global": is_global,
    });
    let scope = if is_global { "global" } else { "user" };
    let whole = HeaderValue::from(retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0));
    let mut response = (StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, whole);
    headers.insert(header::VIA, HeaderValue::from_static("1.1 nexus"));
    headers.insert(HeaderName::from_static("x-ratelimit-scope"), HeaderValue::from_static(scope));
    if is_global {
        headers.insert(HeaderName::from_static("x-ratelimit-global"), HeaderValue::from_static("true"));
    }
    response
}

const WRONG_LOGIN: &str = "Login or password is invalid.";

fn too_many(what: &str, limit: usize) -> (StatusCode, u32, String) {
    let code = match what {
        "guilds" => 30001,
        "pins" => 30003,
        "roles" => 30005,
        "reactions" => 30010,
        "channels" => 30013,
        "invites" => 30016,
        "permission overwrites" => 30060,
        _ => 0,
    };
    let status = if code == 30010 { StatusCode::FORBIDDEN } else { StatusCode::BAD_REQUEST };
    (status, code, format!("Maximum number of {what} reached ({limit})"))
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Self::Limited { retry_after, is_global } = self {
            return limited(retry_after, is_global);
        }
        let (status, code, message) = self.shown();
        let mut body = json!({ "message": message, "code": code });
        if let Self::SlowMode { retry_after_ms } = self {
            return slow_mode(status, body, retry_after_ms);
        }
        if let Some(faults) = self.tree() {
            body["errors"] = faults.into_json();
        }
        (status, Json(body)).into_response()
    }
}

/// A limit of the channel, not of the client: some libraries wait for it, others hand it to their user.
fn slow_mode(status: StatusCode, mut body: serde_json::Value, retry_after_ms: u64) -> Response {
    let whole_s = retry_after_ms.div_ceil(1000);
    body["global"] = false.into();
    body["retry_after"] = json!(std::time::Duration::from_millis(retry_after_ms).as_secs_f64());
    let headers = [("retry-after", whole_s.to_string()), ("x-ratelimit-scope", "shared".to_owned())];
    // Without it discord.py takes any 429 for a ban by a network in front.
    let via = [("via", "1.1 nexus")];
    (status, headers, via, Json(body)).into_response()
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Kv(KvError::DiskFull) => Self::NoSpace,
            StoreError::Stopped => Self::Unavailable,
            StoreError::Conflict
            | StoreError::Kv(KvError::Conflict | KvError::Engine(_))
            | StoreError::Codec(_)
            | StoreError::Missing { .. }
            | StoreError::Format { .. }
            | StoreError::OtherServer { .. } => {
                tracing::error!(%error, "the store failed a request");
                Self::Internal
            }
        }
    }
}

impl From<AccountError> for ApiError {
    fn from(error: AccountError) -> Self {
        let shown = error.to_string();
        let field = |name: &str, code: &str| Self::field(&[name], code, &shown);
        match error {
            AccountError::InvalidUsername { .. } => field("username", "USERNAME_INVALID"),
            AccountError::UsernameTaken => field("username", "USERNAME_ALREADY_TAKEN"),
            AccountError::InvalidEmail => field("email", "EMAIL_TYPE_INVALID_EMAIL"),
            AccountError::NoMail => Self::NoMail,
            AccountError::UnknownProof => field("token", "TOKEN_INVALID"),
            AccountError::HasEmail => field("email", "EMAIL_ALREADY_SET"),
            AccountError::EmailTaken => field("email", "EMAIL_ALREADY_REGISTERED"),
            AccountError::Reserved => field("username", "USERNAME_INVALID_CONTAINS"),
            AccountError::WrongCode | AccountError::SecondFactorRequired { .. } => Self::WrongCode,
            AccountError::UnknownTicket => Self::UnknownTicket,
            AccountError::SecondFactorIs { enabled } => Self::SecondFactorIs { enabled },
            AccountError::InvalidSecret => Self::InvalidSecret,
            AccountError::BadRegistrationToken(_) => field("token", "TOKEN_INVALID"),
            AccountError::Limited { retry_after } => Self::Limited { retry_after, is_global: false },
            AccountError::WeakPassword { .. } => field("password", "PASSWORD_TOO_WEAK"),
            AccountError::FieldTooLong { field: name, .. } => field(name, "BASE_TYPE_MAX_LENGTH"),
            AccountError::FieldEmpty { field: name } => field(name, "BASE_TYPE_REQUIRED"),
            AccountError::WrongPassword | AccountError::Deactivated => Self::WrongLogin,
            AccountError::RegistrationClosed => Self::RegistrationClosed,
            AccountError::InviteRequired => field("invite", "BASE_TYPE_REQUIRED"),
            AccountError::InvalidInvite => field("invite", "INVITE_CODE_INVALID"),
            AccountError::UnknownToken | AccountError::ExpiredToken | AccountError::TokenReused => {
                Self::Unauthorized
            }
            AccountError::UnknownUser => Self::Unknown(Unknown::User),
            AccountError::UnknownDevice | AccountError::InvalidDevice => field("device", "DEVICE_INVALID"),
            AccountError::UnknownApplication(_) => Self::Unknown(Unknown::Application),
            AccountError::NotYours(_) => Self::NotYours,
            AccountError::Stopping | AccountError::Busy => Self::Unavailable,
            AccountError::Store(error) => error.into(),
        }
    }
}

impl From<MediaError> for ApiError {
    fn from(error: MediaError) -> Self {
        match error {
            MediaError::Unknown | MediaError::NotYetUploaded => Self::NoSuchPath,
            MediaError::TooLarge { .. } => Self::TooLarge,
            MediaError::Interrupted => Self::NotJson,
            MediaError::TooManyAtOnce { .. } => {
                Self::Limited { retry_after: Duration::from_secs(1), is_global: false }
            }
            MediaError::Store(cause) => cause.into(),
            full @ MediaError::Storage(_) if full.is_disk_full() => Self::NoSpace,
            other => {
                tracing::error!(error = %other, "the media storage failed a request");
                Self::Internal
            }
        }
    }
}

impl From<RoomsError> for ApiError {
    fn from(error: RoomsError) -> Self {
        match error {
            RoomsError::Rejected(rejection) => rejection.into(),
            RoomsError::Store(error) => error.into(),
            RoomsError::Internal(reason) => {
                tracing::error!(%reason, "a command failed");
                Self::Internal
            }
        }
    }
}

impl From<Rejection> for ApiError {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::UnknownRoom | Rejection::UnknownChannel => Self::Unknown(Unknown::Channel),
            Rejection::UnknownGuild => Self::Unknown(Unknown::Guild),
            Rejection::UnknownMessage | Rejection::UnknownEvent => Self::Unknown(Unknown::Message),
            Rejection::UnknownUser => Self::Unknown(Unknown::User),
            Rejection::UnknownInvite => Self::Unknown(Unknown::Invite),
            Rejection::NotMember => Self::MissingAccess,
            Rejection::Forbidden { .. } | Rejection::MissingPermission(_) => Self::MissingPermissions,
            Rejection::Banned => Self::Banned,
            Rejection::BadField { field, problem } => Self::field(&[field], "BASE_TYPE_BAD", &problem),
            Rejection::EventTooLarge { .. } => Self::TooLarge,
            Rejection::FieldTooLong { field, bytes, .. } => Self::field(
                &[field],
                "BASE_TYPE_MAX_LENGTH",
                &format!("Has {bytes} bytes, which is too many."),
            ),
            Rejection::ThreadExists => Self::ThreadExists,
            Rejection::DuplicateReaction => {
                Self::Conflict("You have already reacted with this emoji".to_owned())
            }
            Rejection::Moderation(ModerationRefusal::UnknownBan) => Self::Unknown(Unknown::Ban),
            Rejection::Moderation(ModerationRefusal::NobodyBanned) => Self::NobodyBanned,
            Rejection::Moderation(ModerationRefusal::SlowMode { retry_after_ms }) => {
                Self::SlowMode { retry_after_ms }
            }
            Rejection::UnsupportedRoomVersion => {
                Self::Conflict("The room's version is not supported".to_owned())
            }
            Rejection::Guild(refusal) => match refusal {
                GuildRefusal::UnknownRole => Self::Unknown(Unknown::Role),
                GuildRefusal::UnknownMember => Self::Unknown(Unknown::Member),
                GuildRefusal::UnknownOverwrite => Self::Unknown(Unknown::Overwrite),
                GuildRefusal::InvalidRole => Self::InvalidRole,
                GuildRefusal::RoleTooHigh
                | GuildRefusal::MemberTooHigh
                | GuildRefusal::OnlyAdministrators => Self::MissingPermissions,
            },
            Rejection::Room(refusal) => Self::Conflict(refusal.to_string()),
            Rejection::RoomInUse => Self::Conflict("The name is in use".to_owned()),
            Rejection::NotTextChannel => Self::NotATextChannel,
            Rejection::EmptyMessage => Self::EmptyMessage,
            Rejection::TooMany { what, limit } => Self::TooMany { what, limit },
            Rejection::InvalidState { reason } => Self::Conflict(reason),
        }
    }
}

#[cfg(test)]
mod tests;
