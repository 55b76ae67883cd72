//! What the next step of a job holds, read from what is durable: bounded, and without effect by itself.

use nexus_event_store::{EventNo, RoomNo, Scan, Snowflake, UserNo};
use nexus_views::{
    Membership,
    project::is_steward,
    rows::{GuildChannels, Members, Messages, Reactions, Relations},
};

use super::{Request, Work, actions::Action};
use crate::{Rooms, RoomsError};

/// The most a step does: actions, a message's edits counted with it.
pub(super) const ACTIONS: usize = 32;

/// The most rows a step looks at.
pub(super) const ROWS: usize = 2048;

/// The most edits that are redacted along with one message.
const EDITS_MAX: usize = 200;

/// A step.
pub(super) struct Plan {
    /// What to do.
    pub(super) actions: Vec<Action>,
    /// What is left then; `None` = nothing.
    pub(super) next: Option<Work>,
}

impl Rooms {
    /// The next step of `work` on `room`.
    pub(super) async fn plan(&self, room: RoomNo, work: &Work) -> Result<Plan, RoomsError> {
        match work {
            Work::SettleMember { user, ending, after } => self.plan_member(room, *user, ending, *after).await,
            Work::SettleGuild { after, member, again } => {
                self.plan_guild(room, *after, *member, *again).await
            }
            Work::SettleChannel { member, again } => self.plan_channel(room, *member, *again).await,
            Work::EmptyGuild { request, after, member } => {
                self.plan_emptying(room, request, *after, *member).await
            }
            Work::DeleteMessages { .. } => self.plan_deleting(room, work).await,
            Work::ClearReactions { target, emoji, until, .. } => {
                self.plan_clearing(room, (*target, *until), emoji.as_deref(), work).await
            }
            Work::FreeChildren { category, request, after } => {
                self.plan_freeing(room, *category, request, *after).await
            }
            Work::Prune { .. } => self.plan_pruning(room, work).await,
        }
    }

    /// The channel of a guild after `after`, in the order of their numbers.
    pub(crate) async fn channel_after(
        &self,
        guild: RoomNo,
        after: Option<RoomNo>,
    ) -> Result<Option<RoomNo>, RoomsError> {
        let mut scan = Scan::prefix::<GuildChannels>(&guild).limit(1);
        if let Some(after) = after {
            scan = scan.after::<GuildChannels>(&(guild, after));
        }
        let found = self.inner.views.store().scan::<GuildChannels>(scan).await?;
        Ok(found.first().map(|((_, channel), ())| *channel))
    }

    /// Who has to do with a room after `after`, at most `limit` of them, with the last that was looked at;
    /// stewards and those who are gone are left out.
    pub(crate) async fn present_after(
        &self,
        room: RoomNo,
        after: Option<UserNo>,
        limit: usize,
    ) -> Result<(Vec<UserNo>, Option<UserNo>), RoomsError> {
        let mut scan = Scan::prefix::<Members>(&room).limit(limit);
        if let Some(after) = after {
            scan = scan.after::<Members>(&(room, after));
        }
        let rows = self.inner.views.store().scan::<Members>(scan).await?;
        // Fewer than asked for: there are no more.
        let last = rows.last().map(|((_, user), _)| *user).filter(|_| rows.len() == limit);
        let mut present = Vec::new();
        for ((_, user), row) in rows {
            let is_here = matches!(row.membership, Membership::Join | Membership::Invite | Membership::Knock);
            if is_here && !is_steward(&self.inner.views.user_id(user).await?) {
                present.push(user);
            }
        }
        Ok((present, last))
    }

    /// Everyone out, channel after channel, the guild's own room last.
    async fn plan_emptying(
        &self,
        guild: RoomNo,
        request: &Request,
        after: Option<RoomNo>,
        member: Option<UserNo>,
    ) -> Result<Plan, RoomsError> {
        let channel = self.channel_after(guild, after).await?;
        let room = channel.unwrap_or(guild);
        let (present, last) = self.present_after(room, member, ACTIONS).await?;
        let actions = present.into_iter().map(|user| Action::Expel { room, user }).collect();
        let request = request.clone();
        let next = match (last, channel) {
            (Some(_), _) => Some(Work::EmptyGuild { request, after, member: last }),
            (None, Some(_)) => Some(Work::EmptyGuild { request, after: channel, member: None }),
            (None, None) => None,
        };
        Ok(Plan { actions, next })
    }

    async fn plan_deleting(&self, guild: RoomNo, work: &Work) -> Result<Plan, RoomsError> {
        let Work::DeleteMessages { user, since, request, after, message } = work else {
            return Ok(Plan { actions: Vec::new(), next: None });
        };
        let next = |after: Option<RoomNo>, message: Option<Snowflake>| {
            let (user, since, request) = (*user, *since, request.clone());
            Some(Work::DeleteMessages { user, since, request, after, message })
        };
        let Some(channel) = self.channel_after(guild, *after).await? else {
            return Ok(Plan { actions: Vec::new(), next: None });
        };
        let mut scan = Scan::prefix::<Messages>(&channel).limit(ROWS);
        scan = match message {
            Some(message) => scan.after::<Messages>(&(channel, *message)),
            None => scan.from::<Messages>(&(channel, *since)),
        };
        let rows = self.inner.views.store().scan::<Messages>(scan).await?;
        let is_all = rows.len() < ROWS;
        let (mut actions, mut room_left, mut last) = (Vec::new(), ACTIONS + EDITS_MAX, None);
        for ((_, id), row) in rows {
            if row.author == *user {
                let edits = self.relations_of(channel, row.event).await?;
                if edits >= room_left || actions.len() == ACTIONS {
                    return Ok(Plan { actions, next: next(*after, last) });
                }
                room_left -= edits + 1;
                actions.push(Action::Redact { room: channel, event: row.event });
            }
            last = Some(id);
        }
        let next = if is_all { next(Some(channel), None) } else { next(*after, last) };
        Ok(Plan { actions, next })
    }

    /// How many events relate to one, as far as redacting it can matter.
    async fn relations_of(&self, room: RoomNo, event: EventNo) -> Result<usize, RoomsError> {
        let scan = Scan::prefix::<Relations>(&(room, event)).limit(EDITS_MAX);
        Ok(self.inner.views.store().scan::<Relations>(scan).await?.len())
    }

    async fn plan_clearing(
        &self,
        room: RoomNo,
        (target, until): (EventNo, EventNo),
        emoji: Option<&str>,
        work: &Work,
    ) -> Result<Plan, RoomsError> {
        let scan = match emoji {
            Some(emoji) => Scan::prefix::<Reactions>(&(room, target, emoji.to_owned())),
            None => Scan::prefix::<Reactions>(&(room, target)),
        };
        let rows = self.inner.views.store().scan::<Reactions>(scan).await?;
        let mut events: Vec<EventNo> = rows.into_iter().map(|(_, event)| event).collect();
        events.retain(|event| *event <= until);
        let next = (events.len() > ACTIONS).then(|| work.clone());
        let actions = events.into_iter().take(ACTIONS).map(|event| Action::Redact { room, event }).collect();
        Ok(Plan { actions, next })
    }

    async fn plan_freeing(
        &self,
        guild: RoomNo,
        category: RoomNo,
        request: &Request,
        mut after: Option<RoomNo>,
    ) -> Result<Plan, RoomsError> {
        let mut actions = Vec::new();
        while let Some(child) = self.channel_after(guild, after).await? {
            if actions.len() == ACTIONS {
                let next = Work::FreeChildren { category, request: request.clone(), after };
                return Ok(Plan { actions, next: Some(next) });
            }
            if self.inner.views.info(child).await?.parent == Some(category) {
                actions.push(Action::Free { guild, category, child });
            }
            after = Some(child);
        }
        Ok(Plan { actions, next: None })
    }

    async fn plan_pruning(&self, guild: RoomNo, work: &Work) -> Result<Plan, RoomsError> {
        let Work::Prune { silent_since_ms, roles, request, member } = work else {
            return Ok(Plan { actions: Vec::new(), next: None });
        };
        let (mut actions, mut looked_at, mut member) = (Vec::new(), 0, *member);
        while looked_at < ROWS && actions.len() < ACTIONS {
            let (present, last) = self.present_after(guild, member, ACTIONS).await?;
            looked_at += ACTIONS;
            for user in present {
                if self.is_prunable(guild, user, *silent_since_ms, roles).await? {
                    actions.push(Action::Prune { guild, user });
                }
            }
            if last.is_none() {
                return Ok(Plan { actions, next: None });
            }
            member = last;
        }
        let (silent_since_ms, roles, request) = (*silent_since_ms, roles.clone(), request.clone());
        Ok(Plan { actions, next: Some(Work::Prune { silent_since_ms, roles, request, member }) })
    }
}
