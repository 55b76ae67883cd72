//! Moving roles in the hierarchy.

use std::collections::BTreeMap;

use nexus_event_store::RoomNo;
use nexus_views::{Permissions, rows::RoleRow};

use super::{GuildRefusal, ROLES, Rank};
use crate::{
    Actor, Rejection, RoomsError,
    decision::{Decide, Decision},
    permission::need,
};

pub(super) struct Move<'a> {
    pub(super) actor: &'a Actor,
    pub(super) guild: RoomNo,
    pub(super) moves: Vec<(u64, i64)>,
}

impl Decide for Move<'_> {
    type Output = ();

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.guild]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<(), RoomsError> {
        let standing = decision.standing(self.guild, &self.actor.user).await?;
        need(standing.held, Permissions::MANAGE_ROLES)?;
        if self.moves.len() > ROLES {
            return Err(Rejection::TooMany { what: "roles", limit: ROLES }.into());
        }
        let roles = decision.guild_roles(self.guild).await?;
        let mut moves = BTreeMap::new();
        for (role, position) in &self.moves {
            roles.get(role).ok_or(GuildRefusal::UnknownRole)?;
            if *role == 0 && *position != 0 {
                return Err(GuildRefusal::InvalidRole.into());
            }
            moves.insert(*role, *position);
        }
        moves.remove(&0);
        let before = in_order(&roles);
        let after = reordered(&before, &moves);
        // What is at or above one's own place stays where it is, and nothing passes it.
        let out_of_reach = before
            .iter()
            .filter(|id| roles.get(id).is_some_and(|role| Rank::of(role) >= standing.rank))
            .count();
        let kept = before.len() - out_of_reach;
        if before[kept..] != after[kept..] {
            return Err(GuildRefusal::RoleTooHigh.into());
        }
        for (place, id) in (1..).zip(after) {
            let Some(row) = roles.get(&id).filter(|row| row.position != place) else { continue };
            let moved = RoleRow { position: place, ..row.clone() };
            decision.put_role(self.guild, &moved, (self.actor, "role.move")).await?;
        }
        Ok(())
    }
}

/// The ids of a guild's roles but @everyone, lowest first.
fn in_order(roles: &BTreeMap<u64, RoleRow>) -> Vec<u64> {
    let mut order: Vec<&RoleRow> = roles.values().filter(|role| role.id != 0).collect();
    order.sort_by_key(|role| Rank::of(role));
    order.into_iter().map(|role| role.id).collect()
}

/// The order once each moved role is at its place, 1 being the lowest, and the others close up around them.
fn reordered(order: &[u64], moves: &BTreeMap<u64, i64>) -> Vec<u64> {
    let mut after: Vec<u64> = order.iter().copied().filter(|id| !moves.contains_key(id)).collect();
    let mut moved: Vec<(i64, u64)> =
        order.iter().filter_map(|id| moves.get(id).map(|place| (*place, *id))).collect();
    // Stable: of two that want one place, the lower one stays the lower.
    moved.sort_by_key(|(place, _)| *place);
    for (place, id) in moved {
        let at = usize::try_from(place.saturating_sub(1)).unwrap_or(0).min(after.len());
        after.insert(at, id);
    }
    after
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moved_roles_end_where_they_were_to_be() {
        let order = |moves: &[(u64, i64)]| reordered(&[1, 2, 3, 4], &moves.iter().copied().collect());
        assert_eq!(order(&[]), [1, 2, 3, 4]);
        assert_eq!(order(&[(1, 3)]), [2, 3, 1, 4]);
        assert_eq!(order(&[(4, 1)]), [4, 1, 2, 3]);
        assert_eq!(order(&[(1, 99), (2, -5)]), [2, 3, 4, 1]);
        // All of them, as discord.js sends it.
        assert_eq!(order(&[(4, 1), (3, 2), (2, 3), (1, 4)]), [4, 3, 2, 1]);
        // A stretch of them, as discord.py does: the third goes below the second.
        assert_eq!(order(&[(3, 2), (2, 3)]), [1, 3, 2, 4]);
    }
}
