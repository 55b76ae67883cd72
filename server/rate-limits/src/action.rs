//! What is limited, and how.
//!
//! The numbers let people and ordinary bots do what they do, and stop what only a program that misbehaves
//! does. **Source**: our own, between Discord's (5 messages in 5 seconds a channel, 50 requests a second)
//! and Synapse's defaults.

use std::time::Duration;

/// So many at once, and one more every so often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// At once.
    pub burst: u32,
    /// The time in which one more token comes.
    pub every: Duration,
}

/// Something that is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Any request, whatever else it counts as.
    Request,
    /// Making an account, by address.
    Register,
    /// Asking to log in, by address.
    Login,
    /// A wrong password or second factor, by account.
    WrongPassword,
    /// Asking for a mail, by address of the network.
    Mail,
    /// Asking for a mail, by the address it goes to.
    MailTo,
    /// Trying a token or code that was mailed, or an invite, by address.
    Proof,
    /// Sending into a room.
    Send,
    /// Sending state, pins, reactions, edits and deletions into a room.
    Change,
    /// Joining rooms and guilds.
    Join,
    /// Inviting others, and making invites.
    Invite,
    /// Making rooms, guilds and channels.
    Create,
    /// Changing one's profile.
    Profile,
}

impl Action {
    /// Its limit.
    #[must_use]
    pub const fn limit(self) -> Limit {
        let (burst, every_ms) = match self {
            Self::Request => (200, 20),
            Self::Register => (10, 20_000),
            Self::Login => (30, 2_000),
            Self::WrongPassword => (10, 30_000),
            Self::Mail => (10, 60_000),
            Self::MailTo => (3, 600_000),
            Self::Proof => (20, 5_000),
            Self::Send => (20, 200),
            Self::Change => (40, 100),
            Self::Join => (30, 1_000),
            Self::Invite => (30, 2_000),
            Self::Create => (50, 2_000),
            Self::Profile => (10, 2_000),
        };
        Limit { burst, every: Duration::from_millis(every_ms) }
    }

    /// A word for it that does not change: Discord's clients tell buckets apart by it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Register => "register",
            Self::Login => "login",
            Self::WrongPassword => "wrong-password",
            Self::Mail => "mail",
            Self::MailTo => "mail-to",
            Self::Proof => "proof",
            Self::Send => "send",
            Self::Change => "change",
            Self::Join => "join",
            Self::Invite => "invite",
            Self::Create => "create",
            Self::Profile => "profile",
        }
    }
}
