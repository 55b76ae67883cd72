//! Typing: told to those who look, never in the log.

use std::time::Duration;

use nexus_views::{Membership, Permissions};
use ruma::RoomId;

use crate::{Actor, Rooms, RoomsError, error::Rejection};

impl Rooms {
    /// The actor types for so long from now, or has stopped.
    ///
    /// # Errors
    /// Refused when the actor is not in the room, or may not write in the channel.
    pub async fn typing(
        &self,
        actor: &Actor,
        room: &RoomId,
        timeout: Option<Duration>,
    ) -> Result<(), RoomsError> {
        let views = &self.inner.views;
        let room = self.known_room(room).await?;
        let user = views.user_no(&actor.user).await?.ok_or(Rejection::NotMember)?;
        if let Some(guild) = views.info(room).await?.guild {
            let held = views.permissions(guild, Some(room), user).await?;
            crate::permission::need(held, Permissions::VIEW_CHANNEL.with(Permissions::SEND_MESSAGES))?;
        } else {
            let membership = views.membership(room, user).await?;
            if membership.is_none_or(|row| row.membership != Membership::Join) {
                return Err(Rejection::NotMember.into());
            }
        }
        views.typing_state().set(room, user, timeout);
        Ok(())
    }
}
