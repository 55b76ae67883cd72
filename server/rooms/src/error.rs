//! Valid "no" answers, and failures.

use nexus_event_store::StoreError;
use nexus_state_resolution::BuildError;
use nexus_views::Permissions;

use crate::{GuildRefusal, ModerationRefusal, RoomRefusal};

/// Why a command was refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is no such room, or the actor may not know of it.
    #[error("unknown room")]
    UnknownRoom,
    /// There is no such guild.
    #[error("unknown guild")]
    UnknownGuild,
    /// There is no such channel.
    #[error("unknown channel")]
    UnknownChannel,
    /// There is no such message.
    #[error("unknown message")]
    UnknownMessage,
    /// There is no such user.
    #[error("unknown user")]
    UnknownUser,
    /// There is no such invite, or it has ended.
    #[error("unknown invite")]
    UnknownInvite,
    /// There is no such event in the room.
    #[error("unknown event")]
    UnknownEvent,
    /// The actor is not in the room.
    #[error("not a member of the room")]
    NotMember,
    /// The room's rules do not allow it.
    #[error("{reason}")]
    Forbidden {
        /// Which rule.
        reason: String,
    },
    /// The actor's roles do not allow it.
    #[error("missing permission: {0}")]
    MissingPermission(Permissions),
    /// The actor is banned there.
    #[error("banned from the room")]
    Banned,
    /// A field of the command is wrong.
    #[error("{field}: {problem}")]
    BadField {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The event would be too large.
    #[error("event of {bytes} bytes is larger than {limit}")]
    EventTooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// An identifier is too long.
    #[error("{field} of {bytes} bytes is longer than {limit}")]
    FieldTooLong {
        /// Which.
        field: &'static str,
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The message has a thread already.
    #[error("there is a thread on that message already")]
    ThreadExists,
    /// The actor has reacted so already.
    #[error("already reacted with that")]
    DuplicateReaction,
    /// A member was not moderated, or may not write now.
    #[error(transparent)]
    Moderation(#[from] ModerationRefusal),
    /// What only Matrix has words for.
    #[error(transparent)]
    Room(#[from] RoomRefusal),
    /// A role, a member or an overwrite is not to be changed so.
    #[error(transparent)]
    Guild(#[from] GuildRefusal),
    /// No such room version here.
    #[error("unsupported room version")]
    UnsupportedRoomVersion,
    /// The alias is taken.
    #[error("room alias is taken")]
    RoomInUse,
    /// Messages cannot be sent there.
    #[error("not a text channel")]
    NotTextChannel,
    /// A message without anything in it.
    #[error("empty message")]
    EmptyMessage,
    /// A bound is reached.
    #[error("more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// A room cannot be made like this.
    #[error("{reason}")]
    InvalidState {
        /// Why not.
        reason: String,
    },
}

/// A refusal or a failure.
#[derive(Debug, thiserror::Error)]
pub enum RoomsError {
    /// Refused.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The store failed.
    #[error("store")]
    Store(#[from] StoreError),
    /// Something that cannot be went wrong.
    #[error("{0}")]
    Internal(String),
}

impl RoomsError {
    pub(crate) fn forbidden(reason: impl Into<String>) -> Self {
        Rejection::Forbidden { reason: reason.into() }.into()
    }
}

impl From<RoomRefusal> for RoomsError {
    fn from(refusal: RoomRefusal) -> Self {
        Rejection::from(refusal).into()
    }
}

impl From<BuildError> for RoomsError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::TooLarge { bytes, limit } => Rejection::EventTooLarge { bytes, limit }.into(),
            BuildError::FieldTooLong { field, bytes, limit } => {
                Rejection::FieldTooLong { field, bytes, limit }.into()
            }
            BuildError::Format(error) => {
                Rejection::BadField { field: "event", problem: error.to_string() }.into()
            }
            BuildError::ForeignSender { .. } => {
                RoomsError::forbidden("the sender is not a user of this server")
            }
            BuildError::Json(error) => RoomsError::Internal(error.to_string()),
        }
    }
}
