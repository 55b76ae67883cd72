//! `nexus admin …`: what it understands.

use clap::{Args, Subcommand};

/// What to do with a running server.
#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Accounts.
    #[command(subcommand)]
    Users(UsersCommand),
    /// Uploaded files.
    #[command(subcommand)]
    Media(MediaCommand),
    /// Registration tokens, which let their holder register.
    #[command(subcommand)]
    Tokens(TokensCommand),
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
    Deactivate {
        #[command(flatten)]
        user: UserArgument,
        /// Also forget the profile, and show nobody any more what the user wrote.
        #[arg(long)]
        erase: bool,
    },
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
    /// Take away the second factor of somebody who has lost it.
    RemoveSecondFactor(UserArgument),
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

/// What to do with uploaded files.
#[derive(Debug, Subcommand)]
pub(crate) enum MediaCommand {
    /// All files, or those of one user.
    List {
        /// A username or a whole user id.
        #[arg(long, value_name = "USER")]
        user: Option<String>,
    },
    /// One file.
    Show(MediumArgument),
    /// Remove a file; messages that have it stay.
    Delete(MediumArgument),
    /// Remove every file that a user has uploaded.
    DeleteOf(UserArgument),
}

/// Which file it is about.
#[derive(Debug, Args)]
pub(crate) struct MediumArgument {
    /// An id, or a whole `mxc://` address.
    #[arg(value_name = "FILE")]
    pub(crate) id: String,
}

/// What to do with registration tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokensCommand {
    /// All registration tokens.
    List,
    /// Make one.
    Create {
        /// The token itself, instead of one made up.
        #[arg(long)]
        token: Option<String>,
        /// How often it may be used; any number of times if not given.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        uses: Option<u32>,
        /// For how many hours it is good; for ever if not given.
        #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(u32).range(1..))]
        expires_in: Option<u32>,
    },
    /// Delete one.
    Revoke {
        /// The token.
        token: String,
    },
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
