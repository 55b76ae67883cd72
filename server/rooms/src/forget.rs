//! Forgetting a room: it is not told of any more, and its past is not for this user any more.
//!
//! A primary record of the user's own; a new invite, knock or join ends it.

use nexus_event_store::{RoomNo, feed::Topic};
use nexus_views::{Membership, records::Forgotten};
use ruma::RoomId;

use crate::{
    Actor, RoomRefusal, Rooms, RoomsError,
    decision::{Decide, Decision},
    error::Rejection,
};

impl Rooms {
    /// Forgets a room that the actor is not in any more; forgetting again changes nothing.
    ///
    /// # Errors
    /// [`RoomRefusal::StillMember`]; refused when the actor never had anything to do with the room.
    pub async fn forget(&self, actor: &Actor, room: &RoomId) -> Result<(), RoomsError> {
        let room = self.known_room(room).await?;
        self.run(&Forget { actor, room }).await.map(drop)
    }
}

struct Forget<'a> {
    actor: &'a Actor,
    room: RoomNo,
}

impl Decide for Forget<'_> {
    type Output = ();

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.room]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<(), RoomsError> {
        let user = decision.reader().user_no(&self.actor.user).await?.ok_or(Rejection::UnknownRoom)?;
        let row = decision.reader().membership(self.room, user).await?.ok_or(Rejection::UnknownRoom)?;
        if !matches!(row.membership, Membership::Leave | Membership::Ban) {
            return Err(RoomRefusal::StillMember.into());
        }
        if !decision.reader().is_forgotten(self.room, user, &row).await? {
            decision.tx.put::<Forgotten>(&(user, self.room), &row.event);
            decision.tx.announce(Topic::User(user));
        }
        Ok(())
    }
}
