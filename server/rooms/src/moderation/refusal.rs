//! "No" answers of moderation.

use crate::{Rejection, RoomsError};

/// Why a member was not moderated, or may not write now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModerationRefusal {
    /// The target is not banned.
    #[error("unknown ban")]
    UnknownBan,
    /// Of many targets none could be banned.
    #[error("nobody could be banned")]
    NobodyBanned,
    /// The channel is in slow mode and the actor has just written there.
    #[error("slow mode: wait {retry_after_ms} ms")]
    SlowMode {
        /// When the actor may write again, in milliseconds from now.
        retry_after_ms: u64,
    },
}

impl From<ModerationRefusal> for RoomsError {
    fn from(refusal: ModerationRefusal) -> Self {
        Rejection::Moderation(refusal).into()
    }
}
