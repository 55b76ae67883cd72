//! Settling: who is in a channel's room is brought in line with who may view the channel.
//!
//! Discord-side readers follow permissions at once; these steps only bring Matrix memberships after them,
//! and who may invite into a channel (design §3). They are started by
//! [`after_permission_change`](Decision::after_permission_change).

use nexus_event_store::{NodeHash, RoomNo, Rows, Scan, StoreError, UserNo};
use nexus_views::{
    Membership, OverwriteTarget, Permissions, Place, Reader,
    rows::{GuildChannels, GuildOverwrites, OverwriteRow},
};

use super::{
    Ending, Work,
    actions::Action,
    plan::{ACTIONS, Plan, ROWS},
};
use crate::{
    Rooms, RoomsError,
    decision::{Decide, Decision, NewPdu},
    guild_state::channel_power_levels,
    permission_change::Affected,
};

/// A guild with more channels than this is settled by a job; in a smaller one a member who goes leaves the
/// channels in the same commit.
pub(crate) const CHANNELS_AT_ONCE: usize = 32;

impl Decision<'_> {
    /// A member who is no more leaves the channels of the guild: at once where they are few, else by a job.
    pub(crate) async fn leave_channels(
        &mut self,
        guild: RoomNo,
        user: UserNo,
        ending: Ending,
    ) -> Result<(), RoomsError> {
        let channels = self.tx.scan::<GuildChannels>(Scan::prefix::<GuildChannels>(&guild)).await?;
        if channels.len() > CHANNELS_AT_ONCE {
            self.open_job(guild, Work::SettleMember { user, ending, after: None });
            return Ok(());
        }
        for ((_, channel), ()) in channels {
            // Read for every channel: if the user comes into one meanwhile, this is decided again.
            if self.is_present(channel, user).await? {
                self.end_membership(channel, user, &ending).await?;
            }
        }
        Ok(())
    }

    /// Sets who may invite into a channel: members where @everyone may view it, stewards where not.
    pub(crate) async fn settle_levels(&mut self, guild: RoomNo, channel: RoomNo) -> Result<(), RoomsError> {
        if self.reader().info(channel).await?.guild != Some(guild) {
            return Ok(());
        }
        let overwrites = self.overwrites(channel).await?;
        let open = self.reader().everyone_views(guild, &overwrites).await?;
        let state = self.room(channel).await?.state;
        if !levels_differ(self.reader(), channel, state, open).await? {
            return Ok(());
        }
        let event =
            NewPdu::state(self.rooms.steward()?, "m.room.power_levels", "", channel_power_levels(open));
        self.append(channel, event).await.map(drop)
    }

    pub(crate) async fn is_present(&self, room: RoomNo, user: UserNo) -> Result<bool, RoomsError> {
        let row = self.reader().membership(room, user).await?;
        Ok(row.is_some_and(|row| {
            matches!(row.membership, Membership::Join | Membership::Invite | Membership::Knock)
        }))
    }

    /// Whether one who is a member and nothing more may view a channel with these overwrites.
    pub(crate) async fn everyone_views(
        &self,
        guild: RoomNo,
        overwrites: &[OverwriteRow],
    ) -> Result<bool, RoomsError> {
        Ok(self.reader().everyone_views(guild, overwrites).await?)
    }
}

/// Whether the `invite` level of a channel is not what it is to be.
async fn levels_differ<R: Rows>(
    reader: Reader<'_, R>,
    channel: RoomNo,
    state: NodeHash,
    open: bool,
) -> Result<bool, StoreError> {
    let levels = reader.state_event(channel, state, "m.room.power_levels", "").await?;
    let content: Option<serde_json::Value> = levels.and_then(|event| event.pdu.content_as().ok());
    let invite = content.as_ref().and_then(|content| content["invite"].as_i64());
    let wanted = channel_power_levels(open).get("invite").and_then(|level| level.as_integer()).map(i64::from);
    Ok(invite != wanted)
}

struct SettleGuild {
    guild: RoomNo,
}

impl Decide for SettleGuild {
    type Output = ();

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.guild]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<(), RoomsError> {
        decision.guild(self.guild).await?;
        decision.after_permission_change(self.guild, Affected::Everyone).await
    }
}

impl Rooms {
    /// Brings the channels' memberships of a whole guild in line with its permissions, by a job: for the
    /// operator; commands that change permissions do it themselves.
    ///
    /// # Errors
    /// Refused for what is no guild.
    pub async fn settle_guild(&self, guild: RoomNo) -> Result<(), RoomsError> {
        self.run(&SettleGuild { guild }).await.map(drop)
    }

    pub(super) async fn plan_member(
        &self,
        guild: RoomNo,
        user: UserNo,
        ending: &Ending,
        after: Option<RoomNo>,
    ) -> Result<Plan, RoomsError> {
        let views = &self.inner.views;
        let mut actions = Vec::new();
        let mut last = after;
        for (channel, row) in views.rooms_of(user).await? {
            let is_present =
                matches!(row.membership, Membership::Join | Membership::Invite | Membership::Knock);
            if after.is_some_and(|after| channel <= after) || !is_present {
                continue;
            }
            if actions.len() == ACTIONS {
                let next = Work::SettleMember { user, ending: ending.clone(), after: last };
                return Ok(Plan { actions, next: Some(next) });
            }
            last = Some(channel);
            if views.info(channel).await?.guild == Some(guild)
                && !views.permissions(guild, Some(channel), user).await?.contains(Permissions::VIEW_CHANNEL)
            {
                actions.push(Action::Settle { guild, channel, user });
            }
        }
        Ok(Plan { actions, next: None })
    }

    pub(super) async fn plan_guild(
        &self,
        guild: RoomNo,
        mut after: Option<RoomNo>,
        mut member: Option<UserNo>,
        again: bool,
    ) -> Result<Plan, RoomsError> {
        let mut step = Settling::default();
        while let Some(channel) = self.channel_after(guild, after).await? {
            if step.is_full() {
                let next = Work::SettleGuild { after, member, again };
                return Ok(Plan { actions: step.actions, next: Some(next) });
            }
            member = self.settle_more(&mut step, guild, channel, member).await?;
            if member.is_none() {
                after = Some(channel);
            }
        }
        let restart = Work::SettleGuild { after: None, member: None, again: false };
        Ok(Plan { actions: step.actions, next: again.then_some(restart) })
    }

    pub(super) async fn plan_channel(
        &self,
        channel: RoomNo,
        mut member: Option<UserNo>,
        again: bool,
    ) -> Result<Plan, RoomsError> {
        let mut step = Settling::default();
        let Some(guild) = self.inner.views.info(channel).await?.guild else {
            return Ok(Plan { actions: Vec::new(), next: None });
        };
        loop {
            member = self.settle_more(&mut step, guild, channel, member).await?;
            let next = match member {
                Some(_) if !step.is_full() => continue,
                Some(_) => Some(Work::SettleChannel { member, again }),
                None => again.then_some(Work::SettleChannel { member: None, again: false }),
            };
            return Ok(Plan { actions: step.actions, next });
        }
    }

    /// Looks at some members of a channel after `member`; gives the last one if there are more.
    async fn settle_more(
        &self,
        step: &mut Settling,
        guild: RoomNo,
        channel: RoomNo,
        member: Option<UserNo>,
    ) -> Result<Option<UserNo>, RoomsError> {
        let views = &self.inner.views;
        let scan = Scan::prefix::<GuildOverwrites>(&channel);
        let rows = views.store().scan::<GuildOverwrites>(scan).await?;
        let overwrites: Vec<OverwriteRow> = rows.into_iter().map(|(_, row)| row).collect();
        let open = views.reader().everyone_views(guild, &overwrites).await?;
        step.looked_at += 1;
        if member.is_none() {
            let state = views.head(channel).await?.state;
            if levels_differ(views.reader(), channel, state, open).await? {
                step.actions.push(Action::Levels { guild, channel });
            }
        }
        let denied = |row: &OverwriteRow| {
            row.target == OverwriteTarget::Unreadable
                || Permissions(row.deny).contains(Permissions::VIEW_CHANNEL)
        };
        if open && !overwrites.iter().any(denied) {
            return Ok(None);
        }
        // No more than what the step may still do, so that the cursor is where looking ended.
        let limit = ACTIONS.saturating_sub(step.actions.len()).max(1);
        let (present, last) = self.present_after(channel, member, limit).await?;
        step.looked_at += limit;
        let kind = views.info(channel).await?.kind;
        for user in present {
            let place = Place { kind, in_thread: false, overwrites: &overwrites };
            let held = views.reader().permissions(guild, Some(place), user, self.now_ms()).await?;
            if !held.contains(Permissions::VIEW_CHANNEL) {
                step.actions.push(Action::Settle { guild, channel, user });
            }
        }
        Ok(last)
    }

    fn now_ms(&self) -> u64 {
        self.inner.views.store().world().now().0
    }
}

/// A step that settles, in the making.
#[derive(Default)]
struct Settling {
    actions: Vec<Action>,
    looked_at: usize,
}

impl Settling {
    fn is_full(&self) -> bool {
        self.actions.len() >= ACTIONS || self.looked_at >= ROWS
    }
}
