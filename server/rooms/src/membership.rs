//! Join, leave, invite; and the profile that member events carry.

use nexus_event_store::{RoomNo, rows::EventPlace};
use nexus_views::{DISCOVERABLE, Membership, Permissions, rows::RoomInfo};
use ruma::{CanonicalJsonObject, CanonicalJsonValue, RoomId, UserId};
use serde_json::json;

use crate::{
    Actor, Appended, Profile, Rooms, RoomsError, Sent,
    content::object,
    decision::{Decide, Decision, NewPdu},
    error::Rejection,
    jobs::{CHANNELS_AT_ONCE, Ending},
    permission::need,
    restricted_join::authorised_by,
};

impl Rooms {
    /// Joins a room; joining again changes nothing.
    ///
    /// # Errors
    /// Refused when the room is unknown or its rules do not let the actor in.
    pub async fn join(
        &self,
        actor: &Actor,
        room: &RoomId,
        reason: Option<String>,
    ) -> Result<Sent, RoomsError> {
        let room = self.known_room(room).await?;
        let profile = self.inner.profiles.profile(&actor.user).await;
        let (appended, position) = self.run(&Join { actor, room, reason, profile }).await?;
        Ok(appended.sent(position))
    }

    /// Leaves a room or declines an invite; leaving a guild leaves its channels.
    ///
    /// # Errors
    /// Refused when the actor has nothing to leave.
    pub async fn leave(
        &self,
        actor: &Actor,
        room: &RoomId,
        reason: Option<String>,
    ) -> Result<Sent, RoomsError> {
        let room = self.known_room(room).await?;
        if let Some(guild) = self.inner.views.guild(room).await?
            && self.inner.views.user_no(&actor.user).await? == Some(guild.owner)
        {
            return Err(RoomsError::forbidden("the owner cannot leave the guild"));
        }
        let held = self.rooms_to_leave(&actor.user, room).await?;
        let (appended, position) = self.run(&Leave { actor, room, held, reason }).await?;
        Ok(appended.sent(position))
    }

    /// What leaving will append to, as far as can be known before: the room and, if it is a guild, those of
    /// its channels that the actor is in.
    pub(crate) async fn rooms_to_leave(
        &self,
        user: &UserId,
        room: RoomNo,
    ) -> Result<Vec<RoomNo>, RoomsError> {
        let views = &self.inner.views;
        let mut rooms = Vec::new();
        if views.guild(room).await?.is_some()
            && views.channels_within(room, CHANNELS_AT_ONCE).await?
            && let Some(user) = views.user_no(user).await?
        {
            for (other, row) in views.rooms_of(user).await? {
                if row.membership == Membership::Join && views.info(other).await?.guild == Some(room) {
                    rooms.push(other);
                }
            }
        }
        rooms.push(room);
        Ok(rooms)
    }

    /// Invites a user.
    ///
    /// # Errors
    /// Refused when the room's rules do not allow it.
    pub async fn invite(
        &self,
        actor: &Actor,
        room: &RoomId,
        target: &UserId,
        reason: Option<String>,
    ) -> Result<Sent, RoomsError> {
        let room = self.known_room(room).await?;
        let profile = self.inner.profiles.profile(target).await;
        let (appended, position) = self.run(&InviteUser { actor, room, target, reason, profile }).await?;
        Ok(appended.sent(position))
    }

    /// Puts the actor's current profile into the member events of all joined rooms.
    ///
    /// # Errors
    /// Store errors; a room whose rules refuse it keeps the old profile.
    pub async fn refresh_profile(&self, actor: &Actor) -> Result<(), RoomsError> {
        let views = &self.inner.views;
        let Some(user) = views.user_no(&actor.user).await? else { return Ok(()) };
        let profile = self.inner.profiles.profile(&actor.user).await;
        for (room, row) in views.rooms_of(user).await? {
            let stale = row.display_name != profile.display_name || row.avatar_url != profile.avatar_url;
            if row.membership == Membership::Join && stale {
                match self.run(&Reprofile { actor, room, profile: &profile }).await {
                    Ok(_) | Err(RoomsError::Rejected(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// The number of a room that this server knows.
    pub(crate) async fn known_room(&self, room: &RoomId) -> Result<RoomNo, RoomsError> {
        Ok(self.inner.views.room_no(room).await?.ok_or(Rejection::UnknownRoom)?)
    }
}

/// The content of a member event.
pub(crate) fn member_content(
    membership: &str,
    profile: &Profile,
    reason: Option<&str>,
) -> CanonicalJsonObject {
    let mut content = object(json!({ "membership": membership }));
    let fields = [
        ("displayname", profile.display_name.as_deref()),
        ("avatar_url", profile.avatar_url.as_deref()),
        ("reason", reason),
    ];
    for (field, value) in fields {
        if let Some(value) = value {
            content.insert(field.to_owned(), CanonicalJsonValue::String(value.to_owned()));
        }
    }
    content
}

impl Decision<'_> {
    /// Lets `user` into a guild's room on the steward's word.
    pub(crate) async fn join_by_steward(
        &mut self,
        room: RoomNo,
        user: &UserId,
        profile: &Profile,
        reason: Option<&str>,
    ) -> Result<Appended, RoomsError> {
        let content = authorised_by(member_content("join", profile, reason), &self.rooms.steward()?);
        self.append(room, NewPdu::state(user.to_owned(), "m.room.member", user.as_str(), content)).await
    }

    /// Lets the actor into a channel that a member of the guild may view.
    pub(crate) async fn join_channel(
        &mut self,
        room: RoomNo,
        user: &UserId,
        profile: &Profile,
    ) -> Result<Appended, RoomsError> {
        let number = self.actor_no(user).await?;
        self.need_in_channel(room, number, Permissions::NONE).await?;
        self.join_by_steward(room, user, profile, None).await
    }
}

struct Join<'a> {
    actor: &'a Actor,
    room: RoomNo,
    reason: Option<String>,
    profile: Profile,
}

impl Decide for Join<'_> {
    type Output = Appended;

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.room]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<Appended, RoomsError> {
        let user = decision.actor_no(&self.actor.user).await?;
        let info: RoomInfo = decision.reader().info(self.room).await?;
        if let Some(guild) = info.guild {
            // An invite to a channel does not let anybody past the guild, nor does a membership that a job
            // has yet to end.
            if decision.permissions(guild, None, user).await? == Permissions::NONE {
                return Err(RoomsError::forbidden("only members of the guild can join its channels"));
            }
            decision.need_in_channel(self.room, user, Permissions::NONE).await?;
        }
        let before = decision.reader().membership(self.room, user).await?;
        if let Some(row) = &before
            && row.membership == Membership::Join
        {
            let place = EventPlace { room: self.room, event: row.event };
            let event = decision.reader().event(place).await?;
            return Ok(Appended {
                room: self.room,
                no: row.event,
                event_id: event.pdu.event_id().to_owned(),
                snowflake: None,
            });
        }
        let invited = before.as_ref().is_some_and(|row| row.membership == Membership::Invite);
        if before.is_some_and(|row| row.membership == Membership::Ban) {
            return Err(Rejection::Banned.into());
        }
        let reason = self.reason.as_deref();
        if info.guild.is_some() {
            return decision.join_channel(self.room, &self.actor.user, &self.profile).await;
        } else if let Some(row) = decision.reader().guild_row(self.room).await? {
            if !invited && !row.features.iter().any(|feature| feature == DISCOVERABLE) {
                return Err(RoomsError::forbidden("an invite to the guild is needed"));
            }
            return decision.join_by_steward(self.room, &self.actor.user, &self.profile, reason).await;
        }
        self.join_plain(decision, invited).await
    }
}

impl Join<'_> {
    /// A room that is no guild's: by its join rules.
    async fn join_plain(&self, decision: &mut Decision<'_>, invited: bool) -> Result<Appended, RoomsError> {
        let content = member_content("join", &self.profile, self.reason.as_deref());
        let state = decision.room(self.room).await?.state;
        let rules = decision.join_rules(self.room, state).await?;
        if rules.is_restricted() && !invited {
            return decision.join_restricted(self.room, &rules, &self.actor.user, content).await;
        }
        let user = self.actor.user.clone();
        let key = user.to_string();
        decision.append(self.room, NewPdu::state(user, "m.room.member", key, content)).await
    }
}

struct Leave<'a> {
    actor: &'a Actor,
    room: RoomNo,
    /// The rooms it will probably append to.
    held: Vec<RoomNo>,
    reason: Option<String>,
}

impl Decide for Leave<'_> {
    type Output = Appended;

    fn rooms(&self) -> Vec<RoomNo> {
        self.held.clone()
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<Appended, RoomsError> {
        let user = decision.actor_no(&self.actor.user).await?;
        if !decision.is_present(self.room, user).await? {
            return Err(Rejection::NotMember.into());
        }
        if decision.reader().guild_row(self.room).await?.is_some() {
            decision.forget_member(self.room, user, &self.actor.user).await?;
            let ending = Ending::Own { reason: self.reason.clone() };
            decision.leave_channels(self.room, user, ending).await?;
        }
        let content = member_content("leave", &Profile::default(), self.reason.as_deref());
        let leaver = self.actor.user.clone();
        let event = NewPdu::state(leaver, "m.room.member", self.actor.user.as_str(), content);
        decision.append(self.room, event).await
    }
}

struct InviteUser<'a> {
    actor: &'a Actor,
    room: RoomNo,
    target: &'a UserId,
    reason: Option<String>,
    profile: Profile,
}

impl Decide for InviteUser<'_> {
    type Output = Appended;

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.room]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<Appended, RoomsError> {
        let actor = decision.actor_no(&self.actor.user).await?;
        let member = decision.reader().membership(self.room, actor).await?;
        if member.is_none_or(|row| row.membership != Membership::Join) {
            return Err(Rejection::NotMember.into());
        }
        let info = decision.reader().info(self.room).await?;
        if let Some(guild) = info.guild.or(info.is_guild.then_some(self.room)) {
            let channel = info.guild.map(|_| self.room);
            let held = decision.permissions(guild, channel, actor).await?;
            need(held, Permissions::CREATE_INSTANT_INVITE)?;
            let target = decision.actor_no(self.target).await?;
            let in_guild = decision.reader().membership(guild, target).await?;
            if channel.is_some() && in_guild.is_none_or(|row| row.membership != Membership::Join) {
                return Err(RoomsError::forbidden(
                    "only members of the guild can be invited to its channels",
                ));
            }
        }
        let content = member_content("invite", &self.profile, self.reason.as_deref());
        let event = NewPdu::state(self.actor.user.clone(), "m.room.member", self.target.as_str(), content);
        decision.append(self.room, event).await
    }
}

struct Reprofile<'a> {
    actor: &'a Actor,
    room: RoomNo,
    profile: &'a Profile,
}

impl Decide for Reprofile<'_> {
    type Output = ();

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.room]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<(), RoomsError> {
        let user = decision.actor_no(&self.actor.user).await?;
        let row = decision.reader().membership(self.room, user).await?;
        if row.is_none_or(|row| row.membership != Membership::Join) {
            return Ok(());
        }
        let content = member_content("join", self.profile, None);
        let event =
            NewPdu::state(self.actor.user.clone(), "m.room.member", self.actor.user.as_str(), content);
        decision.append(self.room, event).await.map(drop)
    }
}
