//! Why a request about an account is refused, or failed.

use std::time::Duration;

use nexus_event_store::{Snowflake, StoreError};
use nexus_rate_limits::Limited;

use crate::{names::UsernameProblem, second_factor::Ticket};

/// An error of this crate. All but [`Store`](Self::Store) and [`Stopping`](Self::Stopping) are the
/// caller's doing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AccountError {
    /// The name is not a Matrix localpart.
    #[error("the username {reason}")]
    InvalidUsername {
        /// What is wrong with it.
        reason: UsernameProblem,
    },
    /// Somebody has the name.
    #[error("the username is taken")]
    UsernameTaken,
    /// The e-mail address is not one.
    #[error("the e-mail address is not valid")]
    InvalidEmail,
    /// This server sends no mail.
    #[error("this server sends no mail, ask its administrator")]
    NoMail,
    /// The proof of an address is unknown, not given yet, used up or too old.
    #[error("the e-mail address was not confirmed, or the link was used before")]
    UnknownProof,
    /// The account has an address already.
    #[error("the account has an e-mail address already, remove it first")]
    HasEmail,
    /// Another account has the e-mail address.
    #[error("the e-mail address is taken")]
    EmailTaken,
    /// The name is kept for the server itself.
    #[error("the username is reserved")]
    Reserved,
    /// The password is too short.
    #[error("the password has fewer than {bytes_min} bytes")]
    WeakPassword {
        /// The fewest it may have.
        bytes_min: usize,
    },
    /// A field is too long.
    #[error("{field} is longer than {bytes_max} bytes")]
    FieldTooLong {
        /// Which.
        field: &'static str,
        /// The most it may have.
        bytes_max: usize,
    },
    /// A field is empty that must not be.
    #[error("{field} is empty")]
    FieldEmpty {
        /// Which.
        field: &'static str,
    },
    /// No such user, or another password: the same answer, after the same time.
    #[error("wrong username or password")]
    WrongPassword,
    /// The password is right, and a second factor is needed, too.
    #[error("a second factor is needed")]
    SecondFactorRequired {
        /// What to show together with it.
        ticket: Ticket,
    },
    /// The code of the second factor is not right, or was used before.
    #[error("the code is not valid")]
    WrongCode,
    /// The ticket is unknown, too old, or was tried too often: log in anew.
    #[error("the ticket is not valid")]
    UnknownTicket,
    /// The second factor is on already, or not on.
    #[error("two-factor authentication is {}", if *.enabled { "on already" } else { "not on" })]
    SecondFactorIs {
        /// On or off.
        enabled: bool,
    },
    /// The secret of a second factor is not one.
    #[error("the secret is not base32, or has fewer than 10 bytes")]
    InvalidSecret,
    /// The registration token cannot be made so.
    #[error("the registration token {0}")]
    BadRegistrationToken(&'static str),
    /// Too often in too short a time.
    #[error("too many attempts, try again in {} s", .retry_after.as_secs() + 1)]
    Limited {
        /// When it may be tried again.
        retry_after: Duration,
    },
    /// More passwords are being hashed than the server has strength for.
    #[error("the server is busy, try again soon")]
    Busy,
    /// Nobody may register.
    #[error("registration is closed")]
    RegistrationClosed,
    /// Registration needs an invite code (or the setup token, for the first account).
    #[error("registration needs an invite code")]
    InviteRequired,
    /// The invite code (or setup token) is not good.
    #[error("the invite code is not valid")]
    InvalidInvite,
    /// The token was never given out, or was revoked.
    #[error("the token is unknown")]
    UnknownToken,
    /// The access token was good, but its time is over: refresh.
    #[error("the access token has expired")]
    ExpiredToken,
    /// A refresh token came back after its successor was used: the whole session is revoked.
    #[error("the refresh token was used before, its session is revoked")]
    TokenReused,
    /// The account is deactivated.
    #[error("the account is deactivated")]
    Deactivated,
    /// Nobody here has this id.
    #[error("the user is unknown")]
    UnknownUser,
    /// The user has no such device.
    #[error("the device is unknown")]
    UnknownDevice,
    /// The device id is empty, too long or has control characters.
    #[error("the device id is not valid")]
    InvalidDevice,
    /// There is no such application.
    #[error("application {0} is unknown")]
    UnknownApplication(Snowflake),
    /// The application belongs to somebody else.
    #[error("application {0} belongs to another user")]
    NotYours(Snowflake),
    /// The server is going down.
    #[error("the server is stopping")]
    Stopping,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Limited> for AccountError {
    fn from(limited: Limited) -> Self {
        Self::Limited { retry_after: limited.retry_after }
    }
}
