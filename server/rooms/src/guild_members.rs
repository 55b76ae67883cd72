//! What a guild says of its members: nickname, roles, timeout. One event a change.
//!
//! **Errors**: [`GuildRefusal`], and missing permissions. **Source**: `discord-api-docs`, "Modify Guild
//! Member"; `nexus.member` in `spec/events.md`.

use std::collections::BTreeSet;

use nexus_event_store::{RoomNo, UserNo};
use nexus_views::{Membership, Permissions, rows::GuildMemberRow};
use ruma::{CanonicalJsonObject, UserId};
use serde_json::json;

use crate::{
    Actor, GuildRefusal, Rooms, RoomsError,
    content::object,
    decision::{Decide, Decision, NewPdu},
    error::Rejection,
    guild_state::user_state_key,
    permission::need,
    permission_change::Affected,
    roles::{Rank, Standing},
};

/// The longest nickname, in characters.
const NICK_CHARS: usize = 32;

/// The longest timeout: 28 days.
const TIMEOUT_MS: u64 = 28 * 24 * 60 * 60 * 1000;

/// More roles than a guild can have.
const ROLES_OF_A_MEMBER: usize = 250;

/// What to change of a member, each if it was given; the inner `None` clears.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberChanges {
    /// A nickname, at most 32 characters; an empty one is none.
    pub nick: Option<Option<String>>,
    /// All roles, by id, and no others.
    pub roles: Option<Vec<u64>>,
    /// Roles to have besides.
    pub more_roles: Vec<u64>,
    /// Roles to have no more.
    pub fewer_roles: Vec<u64>,
    /// Until when the member is timed out, in milliseconds since the Unix epoch.
    pub timeout_until_ms: Option<Option<u64>>,
}

impl Rooms {
    /// Changes what a guild says of a member.
    ///
    /// # Errors
    /// Refused without the permission that each change needs (MANAGE_NICKNAMES or, for oneself,
    /// CHANGE_NICKNAME; MANAGE_ROLES; MODERATE_MEMBERS), for roles that are not below the actor's highest or
    /// are a bot's, and for the name and the timeout of a member who is not below the actor.
    pub async fn update_member(
        &self,
        actor: &Actor,
        guild: RoomNo,
        member: &UserId,
        mut changes: MemberChanges,
    ) -> Result<(), RoomsError> {
        if let Some(nick) = &mut changes.nick {
            *nick = nick.take().map(|nick| nick.trim().to_owned()).filter(|nick| !nick.is_empty());
            if nick.as_ref().is_some_and(|nick| nick.chars().count() > NICK_CHARS) {
                let problem = format!("must be {NICK_CHARS} or fewer in length");
                return Err(Rejection::BadField { field: "nick", problem }.into());
            }
        }
        if changes.roles.as_ref().is_some_and(|roles| roles.len() > ROLES_OF_A_MEMBER) {
            return Err(Rejection::TooMany { what: "roles", limit: ROLES_OF_A_MEMBER }.into());
        }
        self.run(&Update { actor, guild, member, changes }).await.map(drop)
    }
}

/// `nexus.member`
pub(crate) fn guild_member_content(user: &UserId, row: &GuildMemberRow) -> CanonicalJsonObject {
    let roles: Vec<String> = row.roles.iter().map(u64::to_string).collect();
    let mut content = json!({ "user": user, "roles": roles });
    if let Some(nick) = &row.nick {
        content["nick"] = json!(nick);
    }
    if let Some(until) = row.timeout_until_ms {
        content["timeout_until_ms"] = json!(until);
    }
    object(content)
}

struct Update<'a> {
    actor: &'a Actor,
    guild: RoomNo,
    member: &'a UserId,
    changes: MemberChanges,
}

impl Decide for Update<'_> {
    type Output = ();

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.guild]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<(), RoomsError> {
        let standing = decision.standing(self.guild, &self.actor.user).await?;
        // Who is no member does not know the guild.
        if standing.held == Permissions::NONE && !is_member(decision, self.guild, standing.user).await? {
            return Err(Rejection::UnknownGuild.into());
        }
        let target = decision.reader().user_no(self.member).await?.ok_or(GuildRefusal::UnknownMember)?;
        if !is_member(decision, self.guild, target).await? {
            return Err(GuildRefusal::UnknownMember.into());
        }
        let before = decision.guild_member(self.guild, target).await?;
        let mut after = before.clone();
        self.rename(decision, &standing, target, &mut after).await?;
        self.change_roles(decision, &standing, &mut after).await?;
        self.time_out(decision, &standing, target, &mut after).await?;
        if after == before {
            return Ok(());
        }
        let content = guild_member_content(self.member, &after);
        let content = decision.on_behalf_of(self.actor, "member.update", None, content)?;
        let key = user_state_key(self.member);
        let event = NewPdu::state(decision.rooms.steward()?, "nexus.member", key, content);
        decision.append(self.guild, event).await?;
        if after.roles != before.roles {
            decision.after_permission_change(self.guild, Affected::Member(target)).await?;
        }
        Ok(())
    }
}

async fn is_member(decision: &Decision<'_>, guild: RoomNo, user: UserNo) -> Result<bool, RoomsError> {
    let row = decision.reader().membership(guild, user).await?;
    Ok(row.is_some_and(|row| row.membership == Membership::Join))
}

impl Update<'_> {
    async fn rename(
        &self,
        decision: &Decision<'_>,
        standing: &Standing,
        target: UserNo,
        row: &mut GuildMemberRow,
    ) -> Result<(), RoomsError> {
        let Some(nick) = self.changes.nick.as_ref().filter(|nick| **nick != row.nick) else { return Ok(()) };
        if target == standing.user {
            need(standing.held, Permissions::CHANGE_NICKNAME)?;
        } else {
            need(standing.held, Permissions::MANAGE_NICKNAMES)?;
            self.need_above(decision, standing, target).await?;
        }
        row.nick.clone_from(nick);
        Ok(())
    }

    async fn change_roles(
        &self,
        decision: &Decision<'_>,
        standing: &Standing,
        row: &mut GuildMemberRow,
    ) -> Result<(), RoomsError> {
        let MemberChanges { roles: wanted, more_roles, fewer_roles, .. } = &self.changes;
        if wanted.is_none() && more_roles.is_empty() && fewer_roles.is_empty() {
            return Ok(());
        }
        need(standing.held, Permissions::MANAGE_ROLES)?;
        let roles = decision.guild_roles(self.guild).await?;
        let held: BTreeSet<u64> = row.roles.iter().copied().filter(|id| roles.contains_key(id)).collect();
        let mut after = match wanted {
            Some(wanted) => wanted.iter().copied().collect(),
            None => held.clone(),
        };
        after.extend(more_roles);
        after.retain(|id| !fewer_roles.contains(id));
        let named = more_roles.iter().chain(fewer_roles).chain(&after);
        if named.clone().any(|id| !roles.contains_key(id)) {
            return Err(GuildRefusal::UnknownRole.into());
        }
        if named.copied().any(|id| id == 0) {
            return Err(GuildRefusal::InvalidRole.into());
        }
        for id in held.symmetric_difference(&after) {
            let Some(role) = roles.get(id) else { continue };
            if role.managed {
                return Err(GuildRefusal::InvalidRole.into());
            }
            if Rank::of(role) >= standing.rank {
                return Err(GuildRefusal::RoleTooHigh.into());
            }
        }
        if held != after {
            row.roles = after.into_iter().collect();
        }
        Ok(())
    }

    async fn time_out(
        &self,
        decision: &Decision<'_>,
        standing: &Standing,
        target: UserNo,
        row: &mut GuildMemberRow,
    ) -> Result<(), RoomsError> {
        let now = decision.now.0;
        let Some(until) = self.changes.timeout_until_ms else { return Ok(()) };
        // One that is over is none.
        let until = until.filter(|until| *until > now);
        if until == row.timeout_until_ms.filter(|until| *until > now) {
            return Ok(());
        }
        need(standing.held, Permissions::MODERATE_MEMBERS)?;
        self.need_above(decision, standing, target).await?;
        if until.is_some_and(|until| until - now > TIMEOUT_MS) {
            let problem = "must be within 28 days".to_owned();
            return Err(Rejection::BadField { field: "communication_disabled_until", problem }.into());
        }
        let theirs = decision.permissions(self.guild, None, target).await?;
        if until.is_some() && theirs.contains(Permissions::ADMINISTRATOR) {
            return Err(GuildRefusal::MemberTooHigh.into());
        }
        row.timeout_until_ms = until;
        Ok(())
    }

    async fn need_above(
        &self,
        decision: &Decision<'_>,
        standing: &Standing,
        target: UserNo,
    ) -> Result<(), RoomsError> {
        let theirs = decision.rank_of(self.guild, target).await?;
        if target != standing.user && theirs < standing.rank {
            return Ok(());
        }
        Err(GuildRefusal::MemberTooHigh.into())
    }
}
