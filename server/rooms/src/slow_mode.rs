//! Slow mode: in such a channel a member writes one message in so many seconds.
//!
//! When a member last wrote is a primary record, kept only while a channel is slow, so that other channels
//! pay nothing for it. The row is read in the message's own decision: two messages at once cannot both pass.

use nexus_event_store::{RoomNo, Rows as _, UserNo, catalogue::numbers, table};
use nexus_views::{Permissions, RoomInfo};

use crate::{ModerationRefusal, RoomsError, decision::Decision};

table! {
    /// When a member last wrote in a slow channel, in milliseconds since the Unix epoch: (channel, member).
    LastWrote = numbers::SLOW_MODE, "last_wrote", (RoomNo, UserNo) => u64
}

/// Whoever has one of these is not held up.
const EXEMPT: Permissions = Permissions(
    Permissions::MANAGE_MESSAGES.0 | Permissions::MANAGE_CHANNELS.0 | Permissions::BYPASS_SLOWMODE.0,
);

impl Decision<'_> {
    /// Refuses a message of a member who has to wait, and else notes that the member writes now.
    pub(crate) async fn pass_slow_mode(
        &mut self,
        channel: RoomNo,
        info: &RoomInfo,
        user: UserNo,
        held: Permissions,
    ) -> Result<(), RoomsError> {
        if info.slowmode_s == 0 || held.0 & EXEMPT.0 != 0 {
            return Ok(());
        }
        let (key, now) = ((channel, user), self.now.0);
        if let Some(last) = self.tx.row::<LastWrote>(&key).await?
            // A clock that was set back holds nobody up.
            && let Some(since) = now.checked_sub(last)
            && let Some(wait) = (u64::from(info.slowmode_s) * 1000).checked_sub(since)
            && wait > 0
        {
            return Err(ModerationRefusal::SlowMode { retry_after_ms: wait }.into());
        }
        self.tx.put::<LastWrote>(&key, &now);
        Ok(())
    }
}
