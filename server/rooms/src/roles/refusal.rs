//! "No" answers about roles, members and overwrites.

use crate::{Rejection, RoomsError};

/// Why a role, a member or an overwrite was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuildRefusal {
    /// The guild has no such role.
    #[error("unknown role")]
    UnknownRole,
    /// The user is no member of the guild.
    #[error("unknown member")]
    UnknownMember,
    /// The channel has no such overwrite.
    #[error("unknown permission overwrite")]
    UnknownOverwrite,
    /// @everyone or a bot's role, with which this cannot be done.
    #[error("invalid role")]
    InvalidRole,
    /// The role is not below the actor's highest.
    #[error("the role is not below one's own highest")]
    RoleTooHigh,
    /// The member is not below the actor.
    #[error("the member does not stand below the actor")]
    MemberTooHigh,
    /// The actor must be an administrator to allow or deny that in a channel.
    #[error("only administrators can allow or deny managing permissions")]
    OnlyAdministrators,
}

impl From<GuildRefusal> for RoomsError {
    fn from(refusal: GuildRefusal) -> Self {
        Rejection::Guild(refusal).into()
    }
}
