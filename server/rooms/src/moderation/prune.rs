//! Pruning: members without roles who have been silent go, by a job.
//!
//! Silent is who has been in the guild since before the moment and has written nothing in its channels
//! since. Who has written is read once for a job and kept while it runs.

use std::{collections::BTreeSet, sync::Arc};

use nexus_event_store::{RoomNo, Rows as _, Scan, Snowflake, UserNo};
use nexus_views::{
    Membership, Permissions,
    rows::{GuildMembers, Messages},
};

use super::{Deed, check_reason};
use crate::{
    Actor, Rejection, Rooms, RoomsError,
    decision::{Decide, Decision},
    jobs::{Request, Work},
};

const DAYS: std::ops::RangeInclusive<u64> = 1..=30;
const DAY_MS: u64 = 24 * 3600 * 1000;

/// How many rows are read at once.
const ROWS: usize = 4096;

/// Whom to prune.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prune {
    /// For how many days they have been silent, 1 to 30.
    pub days: u64,
    /// Members who have none but these roles count too.
    pub roles: Vec<u64>,
}

/// Who has written in a guild since a moment.
pub(crate) type Writers = (RoomNo, u64, Arc<BTreeSet<UserNo>>);

impl Rooms {
    /// How many members would go.
    ///
    /// # Errors
    /// Refused without MANAGE_GUILD and KICK_MEMBERS, and for a number of days that is not 1 to 30.
    pub async fn prune_count(&self, actor: &Actor, guild: RoomNo, prune: &Prune) -> Result<u64, RoomsError> {
        let silent_since_ms = self.silent_since(prune)?;
        self.run(&MayPrune { actor, guild }).await?;
        let (mut count, mut after) = (0, None);
        loop {
            let (present, last) = self.present_after(guild, after, ROWS).await?;
            for user in present {
                let goes = self.is_prunable(guild, user, silent_since_ms, &prune.roles).await?;
                count += u64::from(goes);
            }
            if last.is_none() {
                return Ok(count);
            }
            after = last;
        }
    }

    /// Takes silent members out of a guild, by a job.
    ///
    /// # Errors
    /// As for [`Rooms::prune_count`].
    pub async fn prune(
        &self,
        actor: &Actor,
        guild: RoomNo,
        prune: Prune,
        reason: Option<String>,
    ) -> Result<(), RoomsError> {
        check_reason(reason.as_deref())?;
        let silent_since_ms = self.silent_since(&prune)?;
        let request = Request::new(actor, "member.prune", reason.as_deref());
        let work = Work::Prune { silent_since_ms, roles: prune.roles, request, member: None };
        self.run(&Start { actor, guild, work }).await.map(drop)
    }

    fn silent_since(&self, prune: &Prune) -> Result<u64, RoomsError> {
        if DAYS.contains(&prune.days) {
            return Ok(self.inner.views.store().world().now().0.saturating_sub(prune.days * DAY_MS));
        }
        let problem = "must be between 1 and 30".to_owned();
        Err(Rejection::BadField { field: "days", problem }.into())
    }

    /// Whether a member goes, by what is durable.
    pub(crate) async fn is_prunable(
        &self,
        guild: RoomNo,
        user: UserNo,
        silent_since_ms: u64,
        roles: &[u64],
    ) -> Result<bool, RoomsError> {
        let views = &self.inner.views;
        let row = views.membership(guild, user).await?;
        let is_old =
            row.is_some_and(|row| row.membership == Membership::Join && row.since_ms < silent_since_ms);
        if !is_old || views.reader().guild_row(guild).await?.is_none_or(|guild| guild.owner == user) {
            return Ok(false);
        }
        let extra = views.store().row::<GuildMembers>(&(guild, user)).await?.unwrap_or_default();
        let has_no_other = extra.roles.iter().all(|role| roles.contains(role));
        Ok(has_no_other && !self.writers_since(guild, silent_since_ms).await?.contains(&user))
    }

    async fn writers_since(&self, guild: RoomNo, since_ms: u64) -> Result<Arc<BTreeSet<UserNo>>, RoomsError> {
        let mut known = self.inner.jobs.writers.lock().await;
        if let Some((of, since, writers)) = &*known
            && (*of, *since) == (guild, since_ms)
        {
            return Ok(Arc::clone(writers));
        }
        let store = self.inner.views.store();
        let (mut writers, mut channel) = (BTreeSet::new(), None);
        while let Some(room) = self.channel_after(guild, channel).await? {
            let mut scan = Scan::prefix::<Messages>(&room).from::<Messages>(&(room, Snowflake::at(since_ms)));
            loop {
                let rows = store.scan::<Messages>(scan.limit(ROWS)).await?;
                writers.extend(rows.iter().map(|(_, row)| row.author));
                let Some((last, _)) = rows.last().filter(|_| rows.len() == ROWS) else { break };
                scan = Scan::prefix::<Messages>(&room).after::<Messages>(last);
            }
            channel = Some(room);
        }
        let writers = Arc::new(writers);
        *known = Some((guild, since_ms, Arc::clone(&writers)));
        Ok(writers)
    }
}

async fn need_prune(decision: &Decision<'_>, actor: &Actor, guild: RoomNo) -> Result<UserNo, RoomsError> {
    let user = decision.actor_no(&actor.user).await?;
    let needed = Permissions::MANAGE_GUILD.with(Permissions::KICK_MEMBERS);
    decision.need_in_guild(guild, user, needed).await?;
    Ok(user)
}

struct MayPrune<'a> {
    actor: &'a Actor,
    guild: RoomNo,
}

impl Decide for MayPrune<'_> {
    type Output = ();

    fn rooms(&self) -> Vec<RoomNo> {
        Vec::new()
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<(), RoomsError> {
        need_prune(decision, self.actor, self.guild).await.map(drop)
    }
}

struct Start<'a> {
    actor: &'a Actor,
    guild: RoomNo,
    work: Work,
}

impl Decide for Start<'_> {
    type Output = ();

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.guild]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<(), RoomsError> {
        need_prune(decision, self.actor, self.guild).await?;
        decision.open_job(self.guild, self.work.clone());
        Ok(())
    }
}

impl Decision<'_> {
    /// Takes one silent member out, unless the member has come to stand above who asked, or has gone.
    pub(crate) async fn prune_member(
        &mut self,
        guild: RoomNo,
        user: UserNo,
        request: &Request,
        (silent_since_ms, roles): (u64, &[u64]),
    ) -> Result<(), RoomsError> {
        let row = self.reader().membership(guild, user).await?;
        let extra = self.tx.row::<GuildMembers>(&(guild, user)).await?.unwrap_or_default();
        let is_old =
            row.is_some_and(|row| row.membership == Membership::Join && row.since_ms < silent_since_ms);
        if !is_old || extra.roles.iter().any(|role| !roles.contains(role)) {
            return Ok(());
        }
        let actor = self.actor_no(&request.actor()?.user).await?;
        let target = self.reader().user_id(user).await?;
        match self.carry_out_deed(Deed::Kick, guild, actor, (&target, super::Channels::ByJob), request).await
        {
            Ok(_) | Err(RoomsError::Rejected(Rejection::Guild(_) | Rejection::UnknownGuild)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
