//! What follows when permissions change: nobody stays in a channel's room who may not view the channel.
//!
//! What Discord-side readers see follows at once; a [job](crate::jobs) settles the rooms.

use nexus_event_store::{RoomNo, UserNo};

use crate::{
    RoomsError,
    decision::Decision,
    jobs::{Ending, Work},
};

/// Whom a change of permissions concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Affected {
    /// Everyone: a role.
    Everyone,
    /// Everyone, in one channel: an overwrite.
    Channel(RoomNo),
    /// One member, everywhere: their roles, or that they own the guild.
    Member(UserNo),
}

impl Decision<'_> {
    /// To be called once the events that change permissions are appended: who may not view a channel any
    /// more is taken out of its room by a job, and the channel's power levels follow.
    pub(crate) async fn after_permission_change(
        &mut self,
        guild: RoomNo,
        affected: Affected,
    ) -> Result<(), RoomsError> {
        match affected {
            Affected::Everyone => {
                let work = Work::SettleGuild { after: None, member: None, again: false };
                self.settle_again(guild, work).await
            }
            Affected::Channel(channel) => {
                self.settle_levels(guild, channel).await?;
                let work = Work::SettleChannel { member: None, again: false };
                self.settle_again(channel, work).await
            }
            Affected::Member(user) => {
                let work = Work::SettleMember { user, ending: Ending::Unseen, after: None };
                self.open_job(guild, work);
                Ok(())
            }
        }
    }
}
