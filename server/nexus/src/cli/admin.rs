//! `nexus admin …`: what it understands.

use clap::{Args, Subcommand};

/// What to do with a running server.
#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Accounts.
    #[command(subcommand)]
    Users(UsersCommand),
    /// Rooms, channels and guilds.
    #[command(subcommand)]
    Rooms(RoomsCommand),
}

/// What to do with accounts. A password is asked for at the terminal, or read as one line from standard
/// input, so that no list of processes shows it.
#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// All accounts.
    List,
    /// One account and its devices.
    Show(UserArgument),
    /// Make an account, whatever the registration mode says.
    Create {
        #[command(flatten)]
        user: UserArgument,
        /// The account may administer the server.
        #[arg(long)]
        admin: bool,
        /// An e-mail address to log in by.
        #[arg(long)]
        email: Option<String>,
    },
    /// Set a new password.
    ResetPassword {
        #[command(flatten)]
        user: UserArgument,
        /// Leave the user's sessions as they are.
        #[arg(long)]
        keep_sessions: bool,
    },
    /// End all sessions and let nobody log in any more.
    Deactivate(UserArgument),
    /// Let a deactivated account log in again, with a new password.
    Reactivate(UserArgument),
    /// Let somebody administer the server.
    MakeAdmin {
        #[command(flatten)]
        user: UserArgument,
        /// No longer.
        #[arg(long)]
        revoke: bool,
    },
    /// Log a user out everywhere.
    RevokeSessions(UserArgument),
}

/// Whom it is about.
#[derive(Debug, Args)]
pub(crate) struct UserArgument {
    /// A username or a whole user id.
    #[arg(value_name = "USER")]
    pub(crate) name: String,
}

/// What to do with rooms.
#[derive(Debug, Subcommand)]
pub(crate) enum RoomsCommand {
    /// All rooms.
    List,
    /// One room.
    Show {
        /// A room id (`!…`) or a snowflake.
        #[arg(value_name = "ROOM")]
        room: String,
    },
    /// Remove a room and all its events from this server for good.
    Purge {
        /// Its room id.
        room: String,
    },
}
