//! The whole table: what can go wrong → status, code, message.

use expect_test::expect;
use nexus_accounts::UsernameProblem;
use nexus_event_store::{Snowflake, codec::CodecError};
use nexus_views::Permissions;

use super::*;

fn line(name: &str, error: impl Into<ApiError>) -> String {
    let error = error.into();
    let (status, code, message) = error.shown();
    let tree = error.tree().map(|faults| format!(" {}", faults.into_json())).unwrap_or_default();
    format!("{name} → {} {code} {message}{tree}\n", status.as_u16())
}

#[test]
fn the_table_of_rejections() {
    use Rejection as R;
    let all = [
        R::UnknownRoom,
        R::UnknownGuild,
        R::UnknownChannel,
        R::UnknownMessage,
        R::UnknownUser,
        R::UnknownInvite,
        R::UnknownEvent,
        R::NotMember,
        R::Forbidden { reason: "a rule".to_owned() },
        R::MissingPermission(Permissions::MANAGE_GUILD),
        R::Banned,
        R::BadField { field: "topic", problem: "too odd".to_owned() },
        R::EventTooLarge { bytes: 70_000, limit: 65_536 },
        R::FieldTooLong { field: "type", bytes: 300, limit: 255 },
        R::ThreadExists,
        R::Guild(GuildRefusal::UnknownRole),
        R::Guild(GuildRefusal::UnknownMember),
        R::Guild(GuildRefusal::UnknownOverwrite),
        R::Guild(GuildRefusal::InvalidRole),
        R::Guild(GuildRefusal::RoleTooHigh),
        R::Guild(GuildRefusal::MemberTooHigh),
        R::Guild(GuildRefusal::OnlyAdministrators),
        R::DuplicateReaction,
        R::Moderation(ModerationRefusal::UnknownBan),
        R::Moderation(ModerationRefusal::NobodyBanned),
        R::Moderation(ModerationRefusal::SlowMode { retry_after_ms: 1500 }),
        R::UnsupportedRoomVersion,
        R::RoomInUse,
        R::NotTextChannel,
        R::EmptyMessage,
        R::TooMany { what: "channels", limit: 500 },
        R::TooMany { what: "roles", limit: 250 },
        R::TooMany { what: "permission overwrites", limit: 100 },
        R::TooMany { what: "reactions", limit: 20 },
        R::InvalidState { reason: "no".to_owned() },
    ];
    let table: String = all.into_iter().map(|rejection| line(&format!("{rejection:?}"), rejection)).collect();
    expect![[r#"
        UnknownRoom → 404 10003 Unknown Channel
        UnknownGuild → 404 10004 Unknown Guild
        UnknownChannel → 404 10003 Unknown Channel
        UnknownMessage → 404 10008 Unknown Message
        UnknownUser → 404 10013 Unknown User
        UnknownInvite → 404 10006 Unknown Invite
        UnknownEvent → 404 10008 Unknown Message
        NotMember → 403 50001 Missing Access
        Forbidden { reason: "a rule" } → 403 50013 Missing Permissions
        MissingPermission(Permissions(32)) → 403 50013 Missing Permissions
        Banned → 403 40007 The user is banned from this guild.
        BadField { field: "topic", problem: "too odd" } → 400 50035 Invalid Form Body {"topic":{"_errors":[{"code":"BASE_TYPE_BAD","message":"too odd"}]}}
        EventTooLarge { bytes: 70000, limit: 65536 } → 413 40005 Request entity too large
        FieldTooLong { field: "type", bytes: 300, limit: 255 } → 400 50035 Invalid Form Body {"type":{"_errors":[{"code":"BASE_TYPE_MAX_LENGTH","message":"Has 300 bytes, which is too many."}]}}
        ThreadExists → 400 160004 A thread has already been created for this message
        Guild(UnknownRole) → 404 10011 Unknown Role
        Guild(UnknownMember) → 404 10007 Unknown Member
        Guild(UnknownOverwrite) → 404 10009 Unknown permission overwrite
        Guild(InvalidRole) → 400 50028 Invalid Role
        Guild(RoleTooHigh) → 403 50013 Missing Permissions
        Guild(MemberTooHigh) → 403 50013 Missing Permissions
        Guild(OnlyAdministrators) → 403 50013 Missing Permissions
        DuplicateReaction → 400 0 You have already reacted with this emoji
        Moderation(UnknownBan) → 404 10026 Unknown Ban
        Moderation(NobodyBanned) → 400 500000 Failed to ban users
        Moderation(SlowMode { retry_after_ms: 1500 }) → 429 20016 This action cannot be performed due to slowmode rate limit
        UnsupportedRoomVersion → 400 0 The room's version is not supported
        RoomInUse → 400 0 The name is in use
        NotTextChannel → 400 50008 Cannot send messages in a non-text channel
        EmptyMessage → 400 50006 Cannot send an empty message
        TooMany { what: "channels", limit: 500 } → 400 30013 Maximum number of channels reached (500)
        TooMany { what: "roles", limit: 250 } → 400 30005 Maximum number of roles reached (250)
        TooMany { what: "permission overwrites", limit: 100 } → 400 30060 Maximum number of permission overwrites reached (100)
        TooMany { what: "reactions", limit: 20 } → 403 30010 Maximum number of reactions reached (20)
        InvalidState { reason: "no" } → 400 0 no
    "#]].assert_eq(&table);
}

#[test]
fn the_table_of_account_errors() {
    use AccountError as A;
    let all = [
        A::InvalidUsername { reason: UsernameProblem::Empty },
        A::UsernameTaken,
        A::Reserved,
        A::NoMail,
        A::UnknownProof,
        A::HasEmail,
        A::WeakPassword { bytes_min: 8 },
        A::SecondFactorRequired { ticket: nexus_accounts::Ticket("t".to_owned()) },
        A::WrongCode,
        A::UnknownTicket,
        A::SecondFactorIs { enabled: true },
        A::SecondFactorIs { enabled: false },
        A::InvalidSecret,
        A::BadRegistrationToken("exists already"),
        A::Limited { retry_after: Duration::from_millis(1500) },
        A::Busy,
        A::FieldTooLong { field: "name", bytes_max: 100 },
        A::FieldEmpty { field: "name" },
        A::WrongPassword,
        A::RegistrationClosed,
        A::InviteRequired,
        A::InvalidInvite,
        A::UnknownToken,
        A::ExpiredToken,
        A::TokenReused,
        A::Deactivated,
        A::UnknownUser,
        A::UnknownDevice,
        A::InvalidDevice,
        A::UnknownApplication(Snowflake(1)),
        A::NotYours(Snowflake(1)),
        A::Stopping,
        A::Store(StoreError::Kv(KvError::DiskFull)),
        A::Store(StoreError::Stopped),
        A::Store(StoreError::Codec(CodecError::Key { table: "t" })),
    ];
    let table: String = all.into_iter().map(|error| line(&format!("{error:?}"), error)).collect();
    expect![[r#"
        InvalidUsername { reason: Empty } → 400 50035 Invalid Form Body {"username":{"_errors":[{"code":"USERNAME_INVALID","message":"the username is empty"}]}}
        UsernameTaken → 400 50035 Invalid Form Body {"username":{"_errors":[{"code":"USERNAME_ALREADY_TAKEN","message":"the username is taken"}]}}
        Reserved → 400 50035 Invalid Form Body {"username":{"_errors":[{"code":"USERNAME_INVALID_CONTAINS","message":"the username is reserved"}]}}
        NoMail → 400 0 This server sends no mail, ask its administrator
        UnknownProof → 400 50035 Invalid Form Body {"token":{"_errors":[{"code":"TOKEN_INVALID","message":"the e-mail address was not confirmed, or the link was used before"}]}}
        HasEmail → 400 50035 Invalid Form Body {"email":{"_errors":[{"code":"EMAIL_ALREADY_SET","message":"the account has an e-mail address already, remove it first"}]}}
        WeakPassword { bytes_min: 8 } → 400 50035 Invalid Form Body {"password":{"_errors":[{"code":"PASSWORD_TOO_WEAK","message":"the password has fewer than 8 bytes"}]}}
        SecondFactorRequired { ticket: Ticket } → 400 60008 Invalid two-factor code
        WrongCode → 400 60008 Invalid two-factor code
        UnknownTicket → 400 60006 Invalid two-factor auth ticket
        SecondFactorIs { enabled: true } → 400 60001 This account is already enrolled in two-factor authentication
        SecondFactorIs { enabled: false } → 400 60002 This account is not enrolled in two-factor authentication
        InvalidSecret → 400 60005 Invalid two-factor secret
        BadRegistrationToken("exists already") → 400 50035 Invalid Form Body {"token":{"_errors":[{"code":"TOKEN_INVALID","message":"the registration token exists already"}]}}
        Limited { retry_after: 1.5s } → 429 0 You are being rate limited.
        Busy → 503 0 503: Service Unavailable
        FieldTooLong { field: "name", bytes_max: 100 } → 400 50035 Invalid Form Body {"name":{"_errors":[{"code":"BASE_TYPE_MAX_LENGTH","message":"name is longer than 100 bytes"}]}}
        FieldEmpty { field: "name" } → 400 50035 Invalid Form Body {"name":{"_errors":[{"code":"BASE_TYPE_REQUIRED","message":"name is empty"}]}}
        WrongPassword → 400 50035 Invalid Form Body {"login":{"_errors":[{"code":"INVALID_LOGIN","message":"Login or password is invalid."}]},"password":{"_errors":[{"code":"INVALID_LOGIN","message":"Login or password is invalid."}]}}
        RegistrationClosed → 403 50001 Registration is closed
        InviteRequired → 400 50035 Invalid Form Body {"invite":{"_errors":[{"code":"BASE_TYPE_REQUIRED","message":"registration needs an invite code"}]}}
        InvalidInvite → 400 50035 Invalid Form Body {"invite":{"_errors":[{"code":"INVITE_CODE_INVALID","message":"the invite code is not valid"}]}}
        UnknownToken → 401 0 401: Unauthorized
        ExpiredToken → 401 0 401: Unauthorized
        TokenReused → 401 0 401: Unauthorized
        Deactivated → 400 50035 Invalid Form Body {"login":{"_errors":[{"code":"INVALID_LOGIN","message":"Login or password is invalid."}]},"password":{"_errors":[{"code":"INVALID_LOGIN","message":"Login or password is invalid."}]}}
        UnknownUser → 404 10013 Unknown User
        UnknownDevice → 400 50035 Invalid Form Body {"device":{"_errors":[{"code":"DEVICE_INVALID","message":"the device is unknown"}]}}
        InvalidDevice → 400 50035 Invalid Form Body {"device":{"_errors":[{"code":"DEVICE_INVALID","message":"the device id is not valid"}]}}
        UnknownApplication(Snowflake(1)) → 404 10002 Unknown Application
        NotYours(Snowflake(1)) → 403 20012 You are not authorized to perform this action on this application
        Stopping → 503 0 503: Service Unavailable
        Store(Kv(DiskFull)) → 507 0 507: Insufficient Storage
        Store(Stopped) → 503 0 503: Service Unavailable
        Store(Codec(Key { table: "t" })) → 500 0 500: Internal Server Error
    "#]].assert_eq(&table);
}

#[test]
fn the_table_of_this_crates_own() {
    use ApiError as E;
    let all = [
        E::Unauthorized,
        E::NoSuchPath,
        E::NoSuchMethod,
        E::NotAWebSocket,
        E::NotJson,
        E::TooLarge,
        E::field(&["a", "0"], "CODE", "message"),
        E::Unknown(Unknown::Member),
        E::Unknown(Unknown::Emoji),
        E::NotForBots,
        E::OnlyForBots,
        E::MissingAccess,
        E::NotInVoice,
        E::NotTheAuthor,
        E::Unavailable,
        E::Internal,
    ];
    let table: String = all.into_iter().map(|error| line(&format!("{error:?}"), error)).collect();
    expect![[r#"
        Unauthorized → 401 0 401: Unauthorized
        NoSuchPath → 404 0 404: Not Found
        NoSuchMethod → 405 0 405: Method Not Allowed
        NotAWebSocket → 426 0 426: Upgrade Required
        NotJson → 400 50109 The request body contains invalid JSON.
        TooLarge → 413 40005 Request entity too large
        Form(Faults({"a": Object {"0": Object {"_errors": Array [Object {"code": String("CODE"), "message": String("message")}]}}})) → 400 50035 Invalid Form Body {"a":{"0":{"_errors":[{"code":"CODE","message":"message"}]}}}
        Unknown(Member) → 404 10007 Unknown Member
        Unknown(Emoji) → 400 10014 Unknown Emoji
        NotForBots → 403 20001 Bots cannot use this endpoint
        OnlyForBots → 403 20002 Only bots can use this endpoint
        MissingAccess → 403 50001 Missing Access
        NotInVoice → 400 40032 Target user is not connected to voice.
        NotTheAuthor → 403 50005 Cannot edit a message authored by another user
        Unavailable → 503 0 503: Service Unavailable
        Internal → 500 0 500: Internal Server Error
    "#]].assert_eq(&table);
}
