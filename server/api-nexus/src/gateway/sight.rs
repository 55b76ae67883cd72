//! Channels that come into a session's view or go out of it when permissions change.
//!
//! What the user saw before a commit is read from the guild's state as it was, what they see now from the
//! views. A session tells the difference as CHANNEL_CREATE and CHANNEL_DELETE; a commit that can make one is
//! never replayed, so the numbers hold. **Bound**: the channels of a guild, for members whose own rights change.

use std::collections::BTreeSet;

use nexus_event_store::{Position, RoomNo};
use nexus_views::PastMember;

use super::{
    fact::{CommitFacts, Rights, What},
    machine::Dispatch,
    session::Session,
};
use crate::error::ApiError;

impl Session {
    /// The dispatches that changed rights make, and forgets what was known of the sight they concern.
    pub(super) async fn changed_sight(
        &mut self,
        position: Position,
        facts: &CommitFacts,
    ) -> Result<Vec<Dispatch>, ApiError> {
        let mut concerned = BTreeSet::new();
        for rights in self.machine.changed_sight(facts) {
            concerned.extend(self.channels_of(rights).await?);
        }
        // What is made or deleted with the commit is told of by its own fact.
        for fact in &facts.facts {
            if let What::ChannelMade(channel) | What::ChannelDeleted(channel) = fact.what {
                concerned.remove(&(fact.guild, channel));
                self.sight.remove(&(fact.guild, channel));
            }
        }
        let mut dispatches = Vec::new();
        let mut past: Option<(RoomNo, Option<PastMember>)> = None;
        for (guild, channel) in concerned {
            self.sight.remove(&(guild, channel));
            if past.as_ref().is_none_or(|(of, _)| *of != guild) {
                past = Some((guild, self.as_was(guild, position).await?));
            }
            let before = match &past {
                Some((_, Some(member))) => self.saw(member, channel).await?,
                _ => false,
            };
            let is_seen = self.sees(guild, channel).await?;
            if before != is_seen {
                dispatches.extend(self.machine.tell_sight(guild, channel, is_seen));
            }
        }
        Ok(dispatches)
    }

    /// The channels whose sight the rights may change for this user.
    async fn channels_of(&self, rights: Rights) -> Result<Vec<(RoomNo, RoomNo)>, ApiError> {
        let views = &self.gateway.inner.objects.views;
        let guild = match rights {
            Rights::Channel(guild, channel) => return Ok(vec![(guild, channel)]),
            Rights::Role(guild, role) => {
                // Who has the role now, also if it has just been deleted.
                if !views.has_role(guild, self.machine.user, role.0).await? {
                    return Ok(Vec::new());
                }
                guild
            }
            Rights::Guild(guild) | Rights::Member(guild, _) => guild,
        };
        let rooms = self.followed.get(&guild).into_iter().flatten();
        Ok(rooms.filter(|room| **room != guild).map(|room| (guild, *room)).collect())
    }

    /// The user in a guild as it was before a commit.
    async fn as_was(&self, guild: RoomNo, position: Position) -> Result<Option<PastMember>, ApiError> {
        let views = &self.gateway.inner.objects.views;
        let before = Position(position.0.saturating_sub(1));
        let Some(root) = views.state_at(guild, before).await? else { return Ok(None) };
        Ok(views.past_member(guild, root, self.machine.user).await?)
    }

    async fn saw(&self, member: &PastMember, channel: RoomNo) -> Result<bool, ApiError> {
        let views = &self.gateway.inner.objects.views;
        Ok(views.could_view(member, &views.room_id(channel).await?).await?)
    }
}
