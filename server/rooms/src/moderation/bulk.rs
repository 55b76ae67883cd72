//! Banning many at once: so many in one commit, each of them banned or told why not.

use nexus_event_store::RoomNo;
use nexus_views::{Membership, Permissions};
use ruma::OwnedUserId;

use super::{Channels, Deed, ModerationRefusal, Targets, check_delete, check_reason};
use crate::{
    Actor, Rejection, Rooms, RoomsError,
    decision::{Decide, Decision},
    jobs::Request,
};

/// The most users of one command.
const TARGETS: usize = 200;

/// How many are banned in one commit; each takes up to two events in the guild's room.
const AT_ONCE: usize = 100;

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BulkBan {
    /// Who is banned now and was not before.
    pub banned: Vec<OwnedUserId>,
    /// Who is not, for standing too high, or was before.
    pub failed: Vec<OwnedUserId>,
}

impl Rooms {
    /// Bans up to 200 users. Each hundred is one commit; those who cannot be banned are left out.
    ///
    /// # Errors
    /// Refused without BAN_MEMBERS and MANAGE_GUILD, for no or too many users, and when none of them can be
    /// banned.
    pub async fn bulk_ban(
        &self,
        actor: &Actor,
        guild: RoomNo,
        mut targets: Targets,
        delete_s: u64,
        reason: Option<String>,
    ) -> Result<BulkBan, RoomsError> {
        check_delete(delete_s)?;
        check_reason(reason.as_deref())?;
        targets.sort_unstable();
        targets.dedup();
        if !(1..=TARGETS).contains(&targets.len()) {
            let problem = format!("must be between 1 and {TARGETS} in length");
            return Err(Rejection::BadField { field: "user_ids", problem }.into());
        }
        let mut all = BulkBan::default();
        for targets in targets.chunks(AT_ONCE) {
            let command = BanMany { actor, guild, targets, delete_s, reason: reason.as_deref() };
            let (some, _) = self.run(&command).await?;
            all.banned.extend(some.banned);
            all.failed.extend(some.failed);
        }
        if all.banned.is_empty() { Err(ModerationRefusal::NobodyBanned.into()) } else { Ok(all) }
    }
}

struct BanMany<'a> {
    actor: &'a Actor,
    guild: RoomNo,
    targets: &'a [OwnedUserId],
    delete_s: u64,
    reason: Option<&'a str>,
}

impl Decide for BanMany<'_> {
    type Output = BulkBan;

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.guild]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<BulkBan, RoomsError> {
        let actor = decision.actor_no(&self.actor.user).await?;
        let needed = Permissions::BAN_MEMBERS.with(Permissions::MANAGE_GUILD);
        decision.need_in_guild(self.guild, actor, needed).await?;
        let deed = Deed::Ban { delete_s: self.delete_s };
        let request = Request::new(self.actor, deed.action(), self.reason);
        let mut outcome = BulkBan::default();
        for target in self.targets {
            let number = decision.actor_no(target).await?;
            let row = decision.reader().membership(self.guild, number).await?;
            if row.is_some_and(|row| row.membership == Membership::Ban) {
                outcome.failed.push(target.clone());
                continue;
            }
            match decision.carry_out_deed(deed, self.guild, actor, (target, Channels::ByJob), &request).await
            {
                Ok(_) => outcome.banned.push(target.clone()),
                Err(RoomsError::Rejected(Rejection::Guild(_))) => outcome.failed.push(target.clone()),
                Err(error) => return Err(error),
            }
        }
        Ok(outcome)
    }
}
