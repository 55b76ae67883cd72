//! Listing a room in the directory of public rooms, or taking it off.
//!
//! A primary record. Guilds list themselves by the feature `DISCOVERABLE`; their channels are not listed.
//!
//! **Source**: Matrix v1.19, client-server API, "Published room directory".

use nexus_event_store::{RoomNo, Rows as _};
use nexus_views::records::Published;
use ruma::RoomId;

use crate::{
    Actor, Rooms, RoomsError,
    decision::{Decide, Decision},
};

impl Rooms {
    /// Lists a room, or takes it off the list.
    ///
    /// # Errors
    /// Refused when the actor is not in the room or could not change its canonical alias.
    pub async fn publish(&self, actor: &Actor, room: &RoomId, listed: bool) -> Result<(), RoomsError> {
        let room = self.known_room(room).await?;
        self.run(&Publish { actor, room, listed }).await.map(drop)
    }
}

struct Publish<'a> {
    actor: &'a Actor,
    room: RoomNo,
    listed: bool,
}

impl Decide for Publish<'_> {
    type Output = ();

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.room]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<(), RoomsError> {
        let info = decision.reader().info(self.room).await?;
        if info.is_guild || info.guild.is_some() {
            return Err(RoomsError::forbidden("a guild is listed by its feature DISCOVERABLE"));
        }
        decision.need_to_set(self.room, &self.actor.user, "m.room.canonical_alias").await?;
        let before = decision.tx.row::<Published>(&self.room).await?.is_some();
        match (before, self.listed) {
            (false, true) => decision.tx.put::<Published>(&self.room, &()),
            (true, false) => decision.tx.delete::<Published>(&self.room),
            (true, true) | (false, false) => {}
        }
        Ok(())
    }
}
