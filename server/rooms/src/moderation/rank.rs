//! Who stands above whom: by the highest role; the owner above all.

use std::cmp::Reverse;

use nexus_event_store::{RoomNo, Rows as _, UserNo, codec::Text};
use nexus_views::rows::{GuildMembers, GuildRoles};

use super::ModerationRefusal;
use crate::{RoomsError, decision::Decision};

/// A member's place: the owner, or the highest role's position; of equal positions the older role's id, the
/// smaller one, stands higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Role(i64, Reverse<u64>),
    Owner,
}

impl Decision<'_> {
    async fn rank(&self, guild: RoomNo, user: UserNo) -> Result<Rank, RoomsError> {
        if self.guild(guild).await?.owner == user {
            return Ok(Rank::Owner);
        }
        let row = self.tx.row::<GuildMembers>(&(guild, user)).await?.unwrap_or_default();
        let mut highest = Rank::Role(0, Reverse(u64::MAX));
        for id in row.roles {
            if let Some(role) = self.tx.row::<GuildRoles>(&(guild, Text(id.to_string()))).await? {
                highest = highest.max(Rank::Role(role.position, Reverse(id)));
            }
        }
        Ok(highest)
    }

    /// Refuses unless `target` stands below `actor`; one without roles stands below who has any.
    pub(crate) async fn need_above(
        &self,
        guild: RoomNo,
        actor: UserNo,
        target: UserNo,
    ) -> Result<(), RoomsError> {
        let (own, theirs) = (self.rank(guild, actor).await?, self.rank(guild, target).await?);
        if actor != target && own > theirs { Ok(()) } else { Err(ModerationRefusal::Outranked.into()) }
    }
}
