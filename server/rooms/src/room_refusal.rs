//! "No" answers that only Matrix has words for: joins by condition, forgetting, aliases.

/// Why a command about a plain room was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoomRefusal {
    /// A room lets in members of another room that this server knows nothing of.
    #[error("this server cannot tell whether a condition of the join rule holds")]
    CannotAuthoriseJoin,
    /// A condition of the join rule holds, but no local member could have invited.
    #[error("nobody on this server may let others into the room")]
    CannotGrantJoin,
    /// What can only be forgotten after leaving.
    #[error("still in the room, invited or knocking")]
    StillMember,
    /// The alias belongs to a room already.
    #[error("the alias is taken")]
    AliasTaken,
    /// No room has the alias.
    #[error("no room has that alias")]
    UnknownAlias,
    /// Not an alias that this server could have.
    #[error("{reason}")]
    AliasSyntax {
        /// What is wrong with it.
        reason: String,
    },
    /// The alias is kept for others.
    #[error("aliases of that form are reserved")]
    AliasReserved,
    /// A room names an alias that is not its own.
    #[error("{alias} is no alias of this room")]
    ForeignAlias {
        /// The alias.
        alias: String,
    },
}
