//! Knocking: asking to be let into a room.
//!
//! A knock is answered by an invite or a kick, or taken back by leaving; until then it may be repeated.
//!
//! **Source**: Matrix v1.19, client-server API, "Knocking on rooms".

use nexus_event_store::RoomNo;
use nexus_views::Membership;
use ruma::RoomId;

use crate::{
    Actor, Appended, Profile, Rooms, RoomsError, Sent,
    decision::{Decide, Decision, NewPdu},
    error::Rejection,
    membership::member_content,
};

impl Rooms {
    /// Asks to be let into a room.
    ///
    /// # Errors
    /// Refused when the actor is in it, invited or banned, or its rules take no knocks.
    pub async fn knock(
        &self,
        actor: &Actor,
        room: &RoomId,
        reason: Option<String>,
    ) -> Result<Sent, RoomsError> {
        let room = self.known_room(room).await?;
        let profile = self.inner.profiles.profile(&actor.user).await;
        let (appended, position) = self.run(&Knock { actor, room, reason, profile }).await?;
        Ok(appended.sent(position))
    }
}

struct Knock<'a> {
    actor: &'a Actor,
    room: RoomNo,
    reason: Option<String>,
    profile: Profile,
}

impl Decide for Knock<'_> {
    type Output = Appended;

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.room]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<Appended, RoomsError> {
        let user = decision.actor_no(&self.actor.user).await?;
        match decision.reader().membership(self.room, user).await?.map(|row| row.membership) {
            Some(Membership::Ban) => return Err(Rejection::Banned.into()),
            Some(Membership::Join) => return Err(RoomsError::forbidden("already in the room")),
            Some(Membership::Invite) => return Err(RoomsError::forbidden("already invited: join instead")),
            Some(Membership::Leave | Membership::Knock) | None => {}
        }
        let content = member_content("knock", &self.profile, self.reason.as_deref());
        let knocker = self.actor.user.clone();
        let event = NewPdu::state(knocker, "m.room.member", self.actor.user.as_str(), content);
        decision.append(self.room, event).await
    }
}
