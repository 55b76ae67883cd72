//! Kick, ban and unban: what some members of a room may do to others.
//!
//! In a guild's room and in its channels this is [moderation](crate::moderation) of the guild, whichever of
//! them is named: in a channel everyone is who may view it. Elsewhere power levels decide; whom a kick meets must be there, and only who is
//! banned can be unbanned. A kick also takes back an invite and turns down a knock.
//!
//! **Source**: Matrix v1.19, client-server API, "Leaving rooms", "Banning users in a room".

use nexus_event_store::RoomNo;
use nexus_views::Membership;
use ruma::{RoomId, UserId};

use crate::{
    Actor, Appended, Profile, Rooms, RoomsError, Sent,
    decision::{Decide, Decision, NewPdu},
    error::Rejection,
    membership::member_content,
    moderation::Deed as GuildDeed,
};

/// What is done to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Kick,
    Ban,
    Unban,
}

impl Rooms {
    /// Makes another leave a room, or takes back an invite or turns down a knock.
    ///
    /// # Errors
    /// Refused when the target is not there or the room's rules do not allow it.
    pub async fn kick(
        &self,
        actor: &Actor,
        room: &RoomId,
        target: &UserId,
        reason: Option<String>,
    ) -> Result<Sent, RoomsError> {
        self.moderate(Deed::Kick, actor, room, target, reason).await
    }

    /// Shuts a user out of a room, whether they are there or not.
    ///
    /// # Errors
    /// Refused when the room's rules do not allow it.
    pub async fn ban(
        &self,
        actor: &Actor,
        room: &RoomId,
        target: &UserId,
        reason: Option<String>,
    ) -> Result<Sent, RoomsError> {
        self.moderate(Deed::Ban, actor, room, target, reason).await
    }

    /// Lifts a ban; the user may then join again as anybody may.
    ///
    /// # Errors
    /// Refused when the target is not banned or the room's rules do not allow it.
    pub async fn unban(
        &self,
        actor: &Actor,
        room: &RoomId,
        target: &UserId,
        reason: Option<String>,
    ) -> Result<Sent, RoomsError> {
        self.moderate(Deed::Unban, actor, room, target, reason).await
    }

    /// A member event that says of another that they have left: an unban of who is banned, else a kick.
    pub(crate) async fn remove(
        &self,
        actor: &Actor,
        room: &RoomId,
        target: &UserId,
        reason: Option<String>,
    ) -> Result<Sent, RoomsError> {
        let views = self.views();
        let number = self.known_room(room).await?;
        let membership = match views.user_no(target).await? {
            Some(user) => views.membership(number, user).await?.map(|row| row.membership),
            None => None,
        };
        match membership {
            Some(Membership::Ban) => self.unban(actor, room, target, reason).await,
            _ => self.kick(actor, room, target, reason).await,
        }
    }

    async fn moderate(
        &self,
        deed: Deed,
        actor: &Actor,
        room: &RoomId,
        target: &UserId,
        reason: Option<String>,
    ) -> Result<Sent, RoomsError> {
        let asked = match deed {
            Deed::Kick => GuildDeed::Kick,
            Deed::Ban => GuildDeed::Ban { delete_s: 0 },
            Deed::Unban => GuildDeed::Unban,
        };
        let room = self.known_room(room).await?;
        if let Some(guild) = self.guild_behind(room).await? {
            return self.moderate_member(asked, actor, guild, target, reason).await;
        }
        let (appended, position) = self.run(&Moderate { deed, actor, room, target, reason }).await?;
        Ok(appended.sent(position))
    }
}

struct Moderate<'a> {
    deed: Deed,
    actor: &'a Actor,
    room: RoomNo,
    target: &'a UserId,
    reason: Option<String>,
}

impl Decide for Moderate<'_> {
    type Output = Appended;

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.room]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<Appended, RoomsError> {
        let actor = decision.actor_no(&self.actor.user).await?;
        let own = decision.reader().membership(self.room, actor).await?;
        if own.is_none_or(|row| row.membership != Membership::Join) {
            return Err(Rejection::NotMember.into());
        }
        let info = decision.reader().info(self.room).await?;
        let in_guild = info.is_guild || info.guild.is_some();
        if in_guild && self.actor.user != decision.rooms.steward()? {
            return Err(RoomsError::forbidden("power levels give nobody anything in a guild"));
        }
        let target = decision.reader().user_no(self.target).await?;
        let membership = match target {
            Some(target) => decision.reader().membership(self.room, target).await?,
            None => None,
        };
        let membership = membership.map_or(Membership::Leave, |row| row.membership);
        let present = matches!(membership, Membership::Join | Membership::Invite | Membership::Knock);
        match self.deed {
            Deed::Kick if !present => {
                return Err(RoomsError::forbidden("who is to be kicked is not in the room"));
            }
            Deed::Kick if self.target == self.actor.user => {
                return Err(RoomsError::forbidden("nobody kicks themselves: leave instead"));
            }
            Deed::Unban if membership != Membership::Ban => {
                return Err(RoomsError::forbidden("who is to be unbanned is not banned"));
            }
            Deed::Kick | Deed::Ban | Deed::Unban => {}
        }
        let name = if self.deed == Deed::Ban { "ban" } else { "leave" };
        let content = member_content(name, &Profile::default(), self.reason.as_deref());
        let event = NewPdu::state(self.actor.user.clone(), "m.room.member", self.target.as_str(), content);
        decision.append(self.room, event).await
    }
}
