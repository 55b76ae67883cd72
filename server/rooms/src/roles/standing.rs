//! Who stands where in a guild: the highest role decides, the owner is above all.

use std::{cmp::Reverse, collections::BTreeMap};

use nexus_event_store::{RoomNo, Rows as _, Scan, UserNo};
use nexus_views::{
    Permissions,
    rows::{GuildMemberRow, GuildMembers, GuildRoles, RoleRow},
};
use ruma::UserId;

use crate::{RoomsError, decision::Decision};

/// A place in the hierarchy. Of two roles at one position the one with the smaller id, the older, is higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    Everyone,
    Role(i64, Reverse<u64>),
    Owner,
}

impl Rank {
    /// The place of a role.
    pub(crate) fn of(role: &RoleRow) -> Self {
        if role.id == 0 { Self::Everyone } else { Self::Role(role.position, Reverse(role.id)) }
    }

    /// The place of the highest of some roles, those that there are.
    fn highest(roles: &BTreeMap<u64, RoleRow>, held: &[u64]) -> Self {
        let ranks = held.iter().filter_map(|id| roles.get(id)).map(Self::of);
        ranks.max().unwrap_or(Self::Everyone)
    }
}

/// What a member is in the guild.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) user: UserNo,
    pub(crate) rank: Rank,
    /// What the member may do in the guild as a whole.
    pub(crate) held: Permissions,
}

impl Decision<'_> {
    /// A guild's roles by id; 0 is @everyone. The caller holds the guild's lock.
    pub(crate) async fn guild_roles(&self, guild: RoomNo) -> Result<BTreeMap<u64, RoleRow>, RoomsError> {
        let rows = self.tx.scan::<GuildRoles>(Scan::prefix::<GuildRoles>(&guild)).await?;
        Ok(rows.into_iter().map(|(_, row)| (row.id, row)).collect())
    }

    /// What the guild says of a member.
    pub(crate) async fn guild_member(
        &self,
        guild: RoomNo,
        user: UserNo,
    ) -> Result<GuildMemberRow, RoomsError> {
        Ok(self.tx.row::<GuildMembers>(&(guild, user)).await?.unwrap_or_default())
    }

    /// What a user is in the guild; one who is no member may do nothing there.
    pub(crate) async fn standing(&self, guild: RoomNo, user: &UserId) -> Result<Standing, RoomsError> {
        let user = self.actor_no(user).await?;
        let rank = self.rank_of(guild, user).await?;
        Ok(Standing { user, rank, held: self.permissions(guild, None, user).await? })
    }

    /// A member's place.
    pub(crate) async fn rank_of(&self, guild: RoomNo, user: UserNo) -> Result<Rank, RoomsError> {
        if self.guild(guild).await?.owner == user {
            return Ok(Rank::Owner);
        }
        let held = self.guild_member(guild, user).await?.roles;
        if held.is_empty() {
            return Ok(Rank::Everyone);
        }
        Ok(Rank::highest(&self.guild_roles(guild).await?, &held))
    }
}
