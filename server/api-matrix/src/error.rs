//! Every error of this API as status and `errcode`: the one place where they are chosen.
//!
//! **Shapes**: `{"errcode", "error"}` and, where the specification says so, more fields (`soft_logout`, the
//! user-interactive challenge).
//! **Errors**: what is our fault is a 500 (507 for a full disk, 503 for a stopped store), logged here once
//! without anything that a client sent.
//! **Source**: Matrix v1.19, client-server API, "Standard error response".

use std::{borrow::Cow, time::Duration};

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use nexus_accounts::AccountError;
use nexus_event_store::{StoreError, kv::KvError};
use nexus_media::MediaError;
use nexus_rooms::{GuildRefusal, ModerationRefusal, Rejection, RoomRefusal, RoomsError};
use serde_json::{Map, Value};

/// A refusal, ready to be sent.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    errcode: &'static str,
    message: Cow<'static, str>,
    more: Map<String, Value>,
}

impl ApiError {
    fn new(status: StatusCode, errcode: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, errcode, message: message.into(), more: Map::new() }
    }

    pub(crate) fn bad_json(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "M_BAD_JSON", message)
    }

    pub(crate) fn not_json(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "M_NOT_JSON", message)
    }

    pub(crate) fn invalid_param(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "M_INVALID_PARAM", message)
    }

    pub(crate) fn missing_param(name: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "M_MISSING_PARAM", format!("{name} is missing"))
    }

    /// A choice that this server does not know, such as a login type.
    pub(crate) fn unknown_choice(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "M_UNKNOWN", message)
    }

    pub(crate) fn too_large(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "M_TOO_LARGE", message)
    }

    pub(crate) fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "M_UNKNOWN", "the body took too long to arrive")
    }

    pub(crate) fn key_too_large(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "M_KEY_TOO_LARGE", message)
    }

    pub(crate) fn profile_too_large(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "M_PROFILE_TOO_LARGE", message)
    }

    pub(crate) fn invite_blocked() -> Self {
        Self::new(StatusCode::FORBIDDEN, "M_INVITE_BLOCKED", "this user takes no invites")
    }

    pub(crate) fn missing_token() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "M_MISSING_TOKEN", "an access token is needed")
    }

    pub(crate) fn unknown_token() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "M_UNKNOWN_TOKEN", "the access token is not known")
    }

    pub(crate) fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "M_FORBIDDEN", message)
    }

    pub(crate) fn guests_forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "M_GUEST_ACCESS_FORBIDDEN", "this server has no guest accounts")
    }

    pub(crate) fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "M_NOT_FOUND", message)
    }

    pub(crate) fn unrecognized() -> Self {
        Self::new(StatusCode::NOT_FOUND, "M_UNRECOGNIZED", "there is no such endpoint here")
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "M_UNRECOGNIZED", "this endpoint has no such method")
    }

    pub(crate) fn unsupported_room_version() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "M_UNSUPPORTED_ROOM_VERSION",
            "this server does not speak that room version",
        )
    }

    /// Account data that a client may not set in this way (405 by the specification).
    pub(crate) fn managed_account_data() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "M_BAD_JSON", "this account data has its own endpoint")
    }

    /// The user-interactive challenge; an `errcode` only when a stage was tried and failed.
    pub(crate) fn challenge(
        failure: Option<(&'static str, &'static str)>,
        fields: Map<String, Value>,
    ) -> Self {
        let (errcode, message) = failure.unwrap_or(("", ""));
        Self { more: fields, ..Self::new(StatusCode::UNAUTHORIZED, errcode, message) }
    }

    /// Too often in too short a time.
    pub(crate) fn limited(retry_after: Duration) -> Self {
        let wait_ms = u64::try_from(retry_after.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, "M_LIMIT_EXCEEDED", "too many requests");
        refusal.with("retry_after_ms", wait_ms)
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.status.as_u16(), self.errcode, self.message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut body = self.more;
        if !self.errcode.is_empty() {
            body.insert("errcode".to_owned(), self.errcode.into());
            body.insert("error".to_owned(), self.message.into());
        }
        let wait_s = body.get("retry_after_ms").and_then(Value::as_u64).map(|wait_ms| wait_ms.div_ceil(1000));
        let mut response = (self.status, Json(body)).into_response();
        if let Some(wait_s) = wait_s {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait_s));
        }
        response
    }
}

impl From<Rejection> for ApiError {
    fn from(rejection: Rejection) -> Self {
        let (status, errcode) = match &rejection {
            Rejection::UnknownRoom
            | Rejection::UnknownGuild
            | Rejection::UnknownChannel
            | Rejection::UnknownMessage
            | Rejection::UnknownUser
            | Rejection::UnknownInvite
            | Rejection::UnknownEvent => (StatusCode::NOT_FOUND, "M_NOT_FOUND"),
            Rejection::NotMember
            | Rejection::Forbidden { .. }
            | Rejection::MissingPermission(_)
            | Rejection::NotTextChannel
            | Rejection::Banned => (StatusCode::FORBIDDEN, "M_FORBIDDEN"),
            Rejection::BadField { .. } | Rejection::EmptyMessage => (StatusCode::BAD_REQUEST, "M_BAD_JSON"),
            Rejection::EventTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "M_TOO_LARGE"),
            Rejection::FieldTooLong { .. } | Rejection::TooMany { .. } => {
                (StatusCode::BAD_REQUEST, "M_INVALID_PARAM")
            }
            Rejection::ThreadExists => (StatusCode::BAD_REQUEST, "M_INVALID_PARAM"),
            Rejection::Moderation(ModerationRefusal::SlowMode { .. }) => {
                (StatusCode::TOO_MANY_REQUESTS, "M_LIMIT_EXCEEDED")
            }
            Rejection::Moderation(ModerationRefusal::UnknownBan | ModerationRefusal::NobodyBanned) => {
                (StatusCode::FORBIDDEN, "M_FORBIDDEN")
            }
            Rejection::DuplicateReaction => (StatusCode::BAD_REQUEST, "M_DUPLICATE_ANNOTATION"),
            Rejection::UnsupportedRoomVersion => (StatusCode::BAD_REQUEST, "M_UNSUPPORTED_ROOM_VERSION"),
            Rejection::Room(refusal) => of_room(refusal),
            Rejection::Guild(refusal) => of_guild(*refusal),
            Rejection::RoomInUse => (StatusCode::BAD_REQUEST, "M_ROOM_IN_USE"),
            Rejection::InvalidState { .. } => (StatusCode::BAD_REQUEST, "M_INVALID_ROOM_STATE"),
        };
        let refusal = Self::new(status, errcode, rejection.to_string());
        match rejection {
            Rejection::Moderation(ModerationRefusal::SlowMode { retry_after_ms }) => {
                refusal.with("retry_after_ms", retry_after_ms)
            }
            _ => refusal,
        }
    }
}

fn of_guild(refusal: GuildRefusal) -> (StatusCode, &'static str) {
    match refusal {
        GuildRefusal::UnknownRole | GuildRefusal::UnknownMember | GuildRefusal::UnknownOverwrite => {
            (StatusCode::NOT_FOUND, "M_NOT_FOUND")
        }
        GuildRefusal::InvalidRole => (StatusCode::BAD_REQUEST, "M_BAD_STATE"),
        GuildRefusal::RoleTooHigh | GuildRefusal::MemberTooHigh | GuildRefusal::OnlyAdministrators => {
            (StatusCode::FORBIDDEN, "M_FORBIDDEN")
        }
    }
}

fn of_room(refusal: &RoomRefusal) -> (StatusCode, &'static str) {
    match refusal {
        RoomRefusal::CannotAuthoriseJoin => (StatusCode::BAD_REQUEST, "M_UNABLE_TO_AUTHORISE_JOIN"),
        RoomRefusal::CannotGrantJoin => (StatusCode::BAD_REQUEST, "M_UNABLE_TO_GRANT_JOIN"),
        RoomRefusal::StillMember => (StatusCode::BAD_REQUEST, "M_UNKNOWN"),
        RoomRefusal::AliasTaken => (StatusCode::CONFLICT, "M_UNKNOWN"),
        RoomRefusal::UnknownAlias => (StatusCode::NOT_FOUND, "M_NOT_FOUND"),
        RoomRefusal::AliasSyntax { .. } => (StatusCode::BAD_REQUEST, "M_INVALID_PARAM"),
        RoomRefusal::AliasReserved => (StatusCode::BAD_REQUEST, "M_EXCLUSIVE"),
        RoomRefusal::ForeignAlias { .. } => (StatusCode::BAD_REQUEST, "M_BAD_ALIAS"),
    }
}

impl From<AccountError> for ApiError {
    fn from(error: AccountError) -> Self {
        let (status, errcode) = match &error {
            AccountError::InvalidUsername { .. } => (StatusCode::BAD_REQUEST, "M_INVALID_USERNAME"),
            AccountError::UsernameTaken => (StatusCode::BAD_REQUEST, "M_USER_IN_USE"),
            AccountError::InvalidEmail => (StatusCode::BAD_REQUEST, "M_INVALID_PARAM"),
            AccountError::NoMail => (StatusCode::FORBIDDEN, "M_THREEPID_DENIED"),
            AccountError::UnknownProof => (StatusCode::BAD_REQUEST, "M_THREEPID_AUTH_FAILED"),
            AccountError::HasEmail => (StatusCode::FORBIDDEN, "M_THREEPID_DENIED"),
            AccountError::EmailTaken => (StatusCode::BAD_REQUEST, "M_THREEPID_IN_USE"),
            AccountError::Reserved => (StatusCode::BAD_REQUEST, "M_EXCLUSIVE"),
            AccountError::WeakPassword { .. } => (StatusCode::BAD_REQUEST, "M_WEAK_PASSWORD"),
            AccountError::FieldTooLong { .. }
            | AccountError::FieldEmpty { .. }
            | AccountError::InvalidDevice => (StatusCode::BAD_REQUEST, "M_INVALID_PARAM"),
            AccountError::BadRegistrationToken(_) | AccountError::InvalidSecret => {
                (StatusCode::BAD_REQUEST, "M_INVALID_PARAM")
            }
            AccountError::SecondFactorRequired { .. }
            | AccountError::WrongCode
            | AccountError::UnknownTicket
            | AccountError::SecondFactorIs { .. }
            | AccountError::WrongPassword
            | AccountError::RegistrationClosed
            | AccountError::InviteRequired
            | AccountError::InvalidInvite
            | AccountError::NotYours(_) => (StatusCode::FORBIDDEN, "M_FORBIDDEN"),
            AccountError::Deactivated => (StatusCode::FORBIDDEN, "M_USER_DEACTIVATED"),
            AccountError::UnknownToken | AccountError::ExpiredToken | AccountError::TokenReused => {
                (StatusCode::UNAUTHORIZED, "M_UNKNOWN_TOKEN")
            }
            AccountError::UnknownUser | AccountError::UnknownDevice | AccountError::UnknownApplication(_) => {
                (StatusCode::NOT_FOUND, "M_NOT_FOUND")
            }
            AccountError::Limited { retry_after } => return Self::limited(*retry_after),
            AccountError::Stopping | AccountError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "M_UNKNOWN"),
            AccountError::Store(error) => return error.clone().into(),
        };
        let refusal = Self::new(status, errcode, error.to_string());
        if matches!(error, AccountError::ExpiredToken) {
            // The client keeps its device and asks for new tokens.
            return refusal.with("soft_logout", true);
        }
        refusal
    }
}

impl From<RoomsError> for ApiError {
    fn from(error: RoomsError) -> Self {
        match error {
            RoomsError::Rejected(rejection) => rejection.into(),
            RoomsError::Store(error) => error.into(),
            RoomsError::Internal(_) => internal(&error),
        }
    }
}

impl From<MediaError> for ApiError {
    fn from(error: MediaError) -> Self {
        let (status, errcode) = match &error {
            MediaError::Unknown => (StatusCode::NOT_FOUND, "M_NOT_FOUND"),
            MediaError::NotYetUploaded => (StatusCode::GATEWAY_TIMEOUT, "M_NOT_YET_UPLOADED"),
            MediaError::AlreadyUploaded => (StatusCode::CONFLICT, "M_CANNOT_OVERWRITE_MEDIA"),
            MediaError::NotYours => (StatusCode::FORBIDDEN, "M_FORBIDDEN"),
            MediaError::TooManyReserved { .. } | MediaError::TooManyAtOnce { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "M_LIMIT_EXCEEDED")
            }
            MediaError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "M_TOO_LARGE"),
            MediaError::Interrupted | MediaError::NotAPicture(_) => (StatusCode::BAD_REQUEST, "M_UNKNOWN"),
            MediaError::OutOfRange { .. } => (StatusCode::RANGE_NOT_SATISFIABLE, "M_INVALID_PARAM"),
            MediaError::Storage(_) if error.is_disk_full() => (StatusCode::INSUFFICIENT_STORAGE, "M_UNKNOWN"),
            MediaError::Storage(cause) => {
                tracing::error!(error = %cause, "the media storage failed a request");
                return Self::new(StatusCode::BAD_GATEWAY, "M_UNKNOWN", "the media storage failed");
            }
            MediaError::Store(cause) => return cause.clone().into(),
        };
        Self::new(status, errcode, error.to_string())
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Kv(KvError::DiskFull) => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "M_UNKNOWN", "the server's disk is full")
            }
            StoreError::Stopped => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "M_UNKNOWN", "the server is going down")
            }
            StoreError::Conflict
            | StoreError::Kv(KvError::Conflict | KvError::Engine(_))
            | StoreError::Codec(_)
            | StoreError::Missing { .. }
            | StoreError::Format { .. }
            | StoreError::OtherServer { .. } => internal(&error),
        }
    }
}

/// Logs what only the operator can do something about; the client learns nothing of it.
fn internal(error: &dyn std::error::Error) -> ApiError {
    tracing::error!(error = %error, "request failed");
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "M_UNKNOWN", "the server failed; its log says why")
}

#[cfg(test)]
mod tests {
    use nexus_accounts::UsernameProblem;
    use nexus_event_store::{Snowflake, codec::CodecError};
    use nexus_views::Permissions;

    use super::*;

    fn rejections() -> Vec<Rejection> {
        let text = || "why".to_owned();
        vec![
            Rejection::UnknownRoom,
            Rejection::UnknownGuild,
            Rejection::UnknownChannel,
            Rejection::UnknownMessage,
            Rejection::UnknownUser,
            Rejection::UnknownInvite,
            Rejection::UnknownEvent,
            Rejection::NotMember,
            Rejection::Forbidden { reason: text() },
            Rejection::MissingPermission(Permissions::MANAGE_MESSAGES),
            Rejection::Banned,
            Rejection::BadField { field: "f", problem: text() },
            Rejection::EventTooLarge { bytes: 70_000, limit: 65_536 },
            Rejection::FieldTooLong { field: "f", bytes: 300, limit: 255 },
            Rejection::ThreadExists,
            Rejection::DuplicateReaction,
            Rejection::Moderation(ModerationRefusal::UnknownBan),
            Rejection::Moderation(ModerationRefusal::NobodyBanned),
            Rejection::Moderation(ModerationRefusal::SlowMode { retry_after_ms: 1500 }),
            Rejection::Guild(GuildRefusal::UnknownRole),
            Rejection::Guild(GuildRefusal::UnknownMember),
            Rejection::Guild(GuildRefusal::UnknownOverwrite),
            Rejection::Guild(GuildRefusal::InvalidRole),
            Rejection::Guild(GuildRefusal::RoleTooHigh),
            Rejection::Guild(GuildRefusal::MemberTooHigh),
            Rejection::Guild(GuildRefusal::OnlyAdministrators),
            Rejection::Room(RoomRefusal::CannotAuthoriseJoin),
            Rejection::Room(RoomRefusal::CannotGrantJoin),
            Rejection::Room(RoomRefusal::StillMember),
            Rejection::Room(RoomRefusal::AliasTaken),
            Rejection::Room(RoomRefusal::UnknownAlias),
            Rejection::Room(RoomRefusal::AliasSyntax { reason: text() }),
            Rejection::Room(RoomRefusal::AliasReserved),
            Rejection::Room(RoomRefusal::ForeignAlias { alias: "alias".to_owned() }),
            Rejection::UnsupportedRoomVersion,
            Rejection::RoomInUse,
            Rejection::NotTextChannel,
            Rejection::EmptyMessage,
            Rejection::TooMany { what: "invites", limit: 100 },
            Rejection::InvalidState { reason: text() },
        ]
    }

    fn account_errors() -> Vec<AccountError> {
        vec![
            AccountError::InvalidUsername { reason: UsernameProblem::Empty },
            AccountError::UsernameTaken,
            AccountError::InvalidEmail,
            AccountError::EmailTaken,
            AccountError::Reserved,
            AccountError::NoMail,
            AccountError::UnknownProof,
            AccountError::HasEmail,
            AccountError::WeakPassword { bytes_min: 8 },
            AccountError::SecondFactorRequired { ticket: nexus_accounts::Ticket("t".to_owned()) },
            AccountError::WrongCode,
            AccountError::UnknownTicket,
            AccountError::SecondFactorIs { enabled: true },
            AccountError::InvalidSecret,
            AccountError::BadRegistrationToken("exists already"),
            AccountError::Limited { retry_after: Duration::from_millis(1500) },
            AccountError::Busy,
            AccountError::FieldTooLong { field: "f", bytes_max: 255 },
            AccountError::FieldEmpty { field: "f" },
            AccountError::WrongPassword,
            AccountError::RegistrationClosed,
            AccountError::InviteRequired,
            AccountError::InvalidInvite,
            AccountError::UnknownToken,
            AccountError::ExpiredToken,
            AccountError::TokenReused,
            AccountError::Deactivated,
            AccountError::UnknownUser,
            AccountError::UnknownDevice,
            AccountError::InvalidDevice,
            AccountError::UnknownApplication(Snowflake(1)),
            AccountError::NotYours(Snowflake(1)),
            AccountError::Stopping,
            AccountError::Store(StoreError::Stopped),
        ]
    }

    fn failures() -> Vec<RoomsError> {
        vec![
            RoomsError::Internal("what".to_owned()),
            StoreError::Conflict.into(),
            StoreError::Kv(KvError::DiskFull).into(),
            StoreError::Kv(KvError::Conflict).into(),
            StoreError::Kv(KvError::Engine("io".into())).into(),
            StoreError::Codec(CodecError::Value { table: "t", version: None }).into(),
            StoreError::Missing { table: "t" }.into(),
            StoreError::Stopped.into(),
            StoreError::Format { found: "2".to_owned(), supported: 1 }.into(),
        ]
    }

    fn line(name: String, error: ApiError) -> String {
        let more: Vec<String> = error.more.iter().map(|(name, value)| format!(" {name}={value}")).collect();
        format!("{name} -> {} {}{}\n", error.status.as_u16(), error.errcode, more.concat())
    }

    #[test]
    fn the_whole_table() {
        let mut table = String::new();
        for rejection in rejections() {
            table += &line(format!("{rejection:?}"), rejection.into());
        }
        for error in account_errors() {
            table += &line(format!("{error:?}"), error.into());
        }
        for error in failures() {
            table += &line(format!("{error:?}"), error.into());
        }
        expect_test::expect![[r#"
            UnknownRoom -> 404 M_NOT_FOUND
            UnknownGuild -> 404 M_NOT_FOUND
            UnknownChannel -> 404 M_NOT_FOUND
            UnknownMessage -> 404 M_NOT_FOUND
            UnknownUser -> 404 M_NOT_FOUND
            UnknownInvite -> 404 M_NOT_FOUND
            UnknownEvent -> 404 M_NOT_FOUND
            NotMember -> 403 M_FORBIDDEN
            Forbidden { reason: "why" } -> 403 M_FORBIDDEN
            MissingPermission(Permissions(8192)) -> 403 M_FORBIDDEN
            Banned -> 403 M_FORBIDDEN
            BadField { field: "f", problem: "why" } -> 400 M_BAD_JSON
            EventTooLarge { bytes: 70000, limit: 65536 } -> 413 M_TOO_LARGE
            FieldTooLong { field: "f", bytes: 300, limit: 255 } -> 400 M_INVALID_PARAM
            ThreadExists -> 400 M_INVALID_PARAM
            DuplicateReaction -> 400 M_DUPLICATE_ANNOTATION
            Moderation(UnknownBan) -> 403 M_FORBIDDEN
            Moderation(NobodyBanned) -> 403 M_FORBIDDEN
            Moderation(SlowMode { retry_after_ms: 1500 }) -> 429 M_LIMIT_EXCEEDED retry_after_ms=1500
            Guild(UnknownRole) -> 404 M_NOT_FOUND
            Guild(UnknownMember) -> 404 M_NOT_FOUND
            Guild(UnknownOverwrite) -> 404 M_NOT_FOUND
            Guild(InvalidRole) -> 400 M_BAD_STATE
            Guild(RoleTooHigh) -> 403 M_FORBIDDEN
            Guild(MemberTooHigh) -> 403 M_FORBIDDEN
            Guild(OnlyAdministrators) -> 403 M_FORBIDDEN
            Room(CannotAuthoriseJoin) -> 400 M_UNABLE_TO_AUTHORISE_JOIN
            Room(CannotGrantJoin) -> 400 M_UNABLE_TO_GRANT_JOIN
            Room(StillMember) -> 400 M_UNKNOWN
            Room(AliasTaken) -> 409 M_UNKNOWN
            Room(UnknownAlias) -> 404 M_NOT_FOUND
            Room(AliasSyntax { reason: "why" }) -> 400 M_INVALID_PARAM
            Room(AliasReserved) -> 400 M_EXCLUSIVE
            Room(ForeignAlias { alias: "alias" }) -> 400 M_BAD_ALIAS
            UnsupportedRoomVersion -> 400 M_UNSUPPORTED_ROOM_VERSION
            RoomInUse -> 400 M_ROOM_IN_USE
            NotTextChannel -> 403 M_FORBIDDEN
            EmptyMessage -> 400 M_BAD_JSON
            TooMany { what: "invites", limit: 100 } -> 400 M_INVALID_PARAM
            InvalidState { reason: "why" } -> 400 M_INVALID_ROOM_STATE
            InvalidUsername { reason: Empty } -> 400 M_INVALID_USERNAME
            UsernameTaken -> 400 M_USER_IN_USE
            InvalidEmail -> 400 M_INVALID_PARAM
            EmailTaken -> 400 M_THREEPID_IN_USE
            Reserved -> 400 M_EXCLUSIVE
            NoMail -> 403 M_THREEPID_DENIED
            UnknownProof -> 400 M_THREEPID_AUTH_FAILED
            HasEmail -> 403 M_THREEPID_DENIED
            WeakPassword { bytes_min: 8 } -> 400 M_WEAK_PASSWORD
            SecondFactorRequired { ticket: Ticket } -> 403 M_FORBIDDEN
            WrongCode -> 403 M_FORBIDDEN
            UnknownTicket -> 403 M_FORBIDDEN
            SecondFactorIs { enabled: true } -> 403 M_FORBIDDEN
            InvalidSecret -> 400 M_INVALID_PARAM
            BadRegistrationToken("exists already") -> 400 M_INVALID_PARAM
            Limited { retry_after: 1.5s } -> 429 M_LIMIT_EXCEEDED retry_after_ms=1500
            Busy -> 503 M_UNKNOWN
            FieldTooLong { field: "f", bytes_max: 255 } -> 400 M_INVALID_PARAM
            FieldEmpty { field: "f" } -> 400 M_INVALID_PARAM
            WrongPassword -> 403 M_FORBIDDEN
            RegistrationClosed -> 403 M_FORBIDDEN
            InviteRequired -> 403 M_FORBIDDEN
            InvalidInvite -> 403 M_FORBIDDEN
            UnknownToken -> 401 M_UNKNOWN_TOKEN
            ExpiredToken -> 401 M_UNKNOWN_TOKEN soft_logout=true
            TokenReused -> 401 M_UNKNOWN_TOKEN
            Deactivated -> 403 M_USER_DEACTIVATED
            UnknownUser -> 404 M_NOT_FOUND
            UnknownDevice -> 404 M_NOT_FOUND
            InvalidDevice -> 400 M_INVALID_PARAM
            UnknownApplication(Snowflake(1)) -> 404 M_NOT_FOUND
            NotYours(Snowflake(1)) -> 403 M_FORBIDDEN
            Stopping -> 503 M_UNKNOWN
            Store(Stopped) -> 503 M_UNKNOWN
            Internal("what") -> 500 M_UNKNOWN
            Store(Conflict) -> 500 M_UNKNOWN
            Store(Kv(DiskFull)) -> 507 M_UNKNOWN
            Store(Kv(Conflict)) -> 500 M_UNKNOWN
            Store(Kv(Engine("io"))) -> 500 M_UNKNOWN
            Store(Codec(Value { table: "t", version: None })) -> 500 M_UNKNOWN
            Store(Missing { table: "t" }) -> 500 M_UNKNOWN
            Store(Stopped) -> 503 M_UNKNOWN
            Store(Format { found: "2", supported: 1 }) -> 500 M_UNKNOWN
        "#]]
        .assert_eq(&table);
    }
}
