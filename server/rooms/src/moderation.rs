//! Kick, ban and unban: what members of a guild may do to those below them.
//!
//! Roles decide, and the hierarchy: nobody touches the owner, an equal, or one who stands higher. The steward
//! writes the deed into the guild's room; from that commit on the target reads nothing of the guild, and the
//! channels' memberships follow by a [job](crate::jobs) where there are many.
//!
//! **Errors**: [`GuildRefusal`] and [`ModerationRefusal`]. **Source**: `discord-api-docs`, "Guild", and "Permission hierarchy".

use nexus_event_store::{RoomNo, Snowflake, UserNo};
use nexus_views::{Membership, Permissions, project::is_steward};
use ruma::{OwnedUserId, UserId};

use crate::{
    Actor, Appended, GuildRefusal, Profile, Rooms, RoomsError, Sent,
    decision::{Decide, Decision, NewPdu},
    jobs::{Ending, Request, Work},
    membership::member_content,
};

mod bulk;
mod prune;
mod refusal;

pub use bulk::BulkBan;
pub use prune::Prune;
pub(crate) use prune::Writers;
pub use refusal::ModerationRefusal;

/// The longest reason, in characters.
pub(crate) const REASON_CHARS: usize = 512;

/// How far back a ban deletes messages at most, in seconds.
const DELETED_S_MAX: u64 = 7 * 24 * 3600;

/// What is done to a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Kick,
    /// With the messages of the last so many seconds.
    Ban {
        delete_s: u64,
    },
    Unban,
}

impl Deed {
    fn needs(self) -> Permissions {
        match self {
            Self::Kick => Permissions::KICK_MEMBERS,
            Self::Ban { .. } | Self::Unban => Permissions::BAN_MEMBERS,
        }
    }

    fn action(self) -> &'static str {
        match self {
            Self::Kick => "member.kick",
            Self::Ban { .. } => "member.ban",
            Self::Unban => "member.unban",
        }
    }

    fn membership(self) -> &'static str {
        match self {
            Self::Kick | Self::Unban => "leave",
            Self::Ban { .. } => "ban",
        }
    }
}

impl Rooms {
    /// Takes a member out of a guild and all its channels.
    ///
    /// # Errors
    /// Refused without KICK_MEMBERS, for who is not there, and for who does not stand below the actor.
    pub async fn kick_member(
        &self,
        actor: &Actor,
        guild: RoomNo,
        target: &UserId,
        reason: Option<String>,
    ) -> Result<(), RoomsError> {
        self.moderate_member(Deed::Kick, actor, guild, target, reason).await.map(drop)
    }

    /// Shuts a user out of a guild, whether they are in it or not, and deletes what they wrote in the last
    /// `delete_s` seconds. Banning the banned changes nothing.
    ///
    /// # Errors
    /// Refused without BAN_MEMBERS, and for a member who does not stand below the actor.
    pub async fn ban_member(
        &self,
        actor: &Actor,
        guild: RoomNo,
        target: &UserId,
        delete_s: u64,
        reason: Option<String>,
    ) -> Result<(), RoomsError> {
        check_delete(delete_s)?;
        self.moderate_member(Deed::Ban { delete_s }, actor, guild, target, reason).await.map(drop)
    }

    /// Lifts a ban.
    ///
    /// # Errors
    /// Refused without BAN_MEMBERS, and for who is not banned.
    pub async fn unban_member(
        &self,
        actor: &Actor,
        guild: RoomNo,
        target: &UserId,
        reason: Option<String>,
    ) -> Result<(), RoomsError> {
        self.moderate_member(Deed::Unban, actor, guild, target, reason).await.map(drop)
    }

    /// The guild that a room is, or is a channel of.
    pub(crate) async fn guild_behind(&self, room: RoomNo) -> Result<Option<RoomNo>, RoomsError> {
        let info = self.inner.views.info(room).await?;
        Ok(info.guild.or(info.is_guild.then_some(room)))
    }

    pub(crate) async fn moderate_member(
        &self,
        deed: Deed,
        actor: &Actor,
        guild: RoomNo,
        target: &UserId,
        reason: Option<String>,
    ) -> Result<Sent, RoomsError> {
        check_reason(reason.as_deref())?;
        let held = match deed {
            Deed::Unban => vec![guild],
            Deed::Kick | Deed::Ban { .. } => self.rooms_to_leave(target, guild).await?,
        };
        let command = Moderate { deed, actor, guild, target, held, reason };
        let (appended, position) = self.run(&command).await?;
        Ok(appended.sent(position))
    }
}

fn check_delete(delete_s: u64) -> Result<(), RoomsError> {
    if delete_s <= DELETED_S_MAX {
        return Ok(());
    }
    let problem = format!("must be at most {DELETED_S_MAX}");
    Err(crate::Rejection::BadField { field: "delete_message_seconds", problem }.into())
}

pub(crate) fn check_reason(reason: Option<&str>) -> Result<(), RoomsError> {
    if reason.is_none_or(|reason| reason.chars().count() <= REASON_CHARS) {
        return Ok(());
    }
    let problem = format!("must be {REASON_CHARS} or fewer in length");
    Err(crate::Rejection::BadField { field: "reason", problem }.into())
}

/// When who goes leaves the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channels {
    /// In the same commit, if they are few.
    AtOnce,
    /// By a job, for many go at once.
    ByJob,
}

struct Moderate<'a> {
    deed: Deed,
    actor: &'a Actor,
    guild: RoomNo,
    target: &'a UserId,
    /// The rooms it will probably append to.
    held: Vec<RoomNo>,
    reason: Option<String>,
}

impl Decide for Moderate<'_> {
    type Output = Appended;

    fn rooms(&self) -> Vec<RoomNo> {
        self.held.clone()
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<Appended, RoomsError> {
        let actor = decision.actor_no(&self.actor.user).await?;
        decision.need_in_guild(self.guild, actor, self.deed.needs()).await?;
        let request = Request::new(self.actor, self.deed.action(), self.reason.as_deref());
        decision.carry_out_deed(self.deed, self.guild, actor, (self.target, Channels::AtOnce), &request).await
    }
}

impl Decision<'_> {
    /// Does it, for an actor whose permissions suffice; the hierarchy is looked at here.
    async fn carry_out_deed(
        &mut self,
        deed: Deed,
        guild: RoomNo,
        actor: UserNo,
        (target_id, channels): (&UserId, Channels),
        request: &Request,
    ) -> Result<Appended, RoomsError> {
        if is_steward(target_id) {
            return Err(GuildRefusal::MemberTooHigh.into());
        }
        let target = self.actor_no(target_id).await?;
        let row = self.reader().membership(guild, target).await?;
        let before = row.as_ref().map_or(Membership::Leave, |row| row.membership);
        let is_present = matches!(before, Membership::Join | Membership::Invite | Membership::Knock);
        match deed {
            Deed::Kick if !is_present => return Err(GuildRefusal::UnknownMember.into()),
            Deed::Unban if before != Membership::Ban => return Err(ModerationRefusal::UnknownBan.into()),
            Deed::Ban { .. } if let (Membership::Ban, Some(row)) = (before, &row) => {
                return self.known(guild, row.event).await;
            }
            Deed::Kick | Deed::Unban | Deed::Ban { .. } => {}
        }
        if deed != Deed::Unban {
            let (own, theirs) = (self.rank_of(guild, actor).await?, self.rank_of(guild, target).await?);
            if actor == target || theirs >= own {
                return Err(GuildRefusal::MemberTooHigh.into());
            }
        }
        if is_present {
            self.forget_member(guild, target, target_id).await?;
            let ending = Ending::Asked(request.clone());
            match channels {
                Channels::AtOnce => self.leave_channels(guild, target, ending).await?,
                Channels::ByJob => {
                    self.open_job(guild, Work::SettleMember { user: target, ending, after: None });
                }
            }
        }
        if let Deed::Ban { delete_s } = deed
            && delete_s > 0
        {
            let since = Snowflake::at(self.now.0.saturating_sub(delete_s * 1000));
            let (request, user) = (request.clone(), target);
            let work = Work::DeleteMessages { user, since, request, after: None, message: None };
            self.open_job(guild, work);
        }
        let reason = request.reason.as_deref();
        let content = member_content(deed.membership(), &Profile::default(), reason);
        let content = self.on_behalf_of(&request.actor()?, &request.action, reason, content)?;
        let event = NewPdu::state(self.rooms.steward()?, "m.room.member", target_id.as_str(), content);
        self.append(guild, event).await
    }

    /// An event that is there already, as the outcome of a command that changes nothing.
    async fn known(&self, room: RoomNo, no: nexus_event_store::EventNo) -> Result<Appended, RoomsError> {
        let place = nexus_event_store::rows::EventPlace { room, event: no };
        let event_id = self.reader().event(place).await?.pdu.event_id().to_owned();
        Ok(Appended { room, no, event_id, snowflake: None })
    }
}

impl Decision<'_> {
    /// The number of a member of a guild.
    pub(crate) async fn member_no(&self, guild: RoomNo, user: &UserId) -> Result<UserNo, RoomsError> {
        let unknown = || RoomsError::from(GuildRefusal::UnknownMember);
        let number = self.reader().user_no(user).await?.ok_or_else(unknown)?;
        let row = self.reader().membership(guild, number).await?;
        row.filter(|row| row.membership == Membership::Join).map(|_| number).ok_or_else(unknown)
    }
}

/// Users by their ids, for commands on many.
pub(crate) type Targets = Vec<OwnedUserId>;
