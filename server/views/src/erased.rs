//! Users whose words are kept from whoever was not there.
//!
//! Somebody who leaves the server for good may ask that. The events stay as they are, because those who were in the
//! room have them anyway; whoever was not gets them as if they had been redacted. Who it is, is the accounts' to know:
//! they are told of here at start and when it happens. **Cost**: one look at an empty set, for every server on which
//! nobody has asked for it. **Source**: Matrix v1.19, client-server API, `POST /account/deactivate`, "erase".

use std::collections::BTreeSet;

use parking_lot::RwLock;
use ruma::{OwnedUserId, UserId};

use nexus_event_store::{NodeHash, RoomNo, UserNo};

use crate::{Event, ViewError, Views};

/// Who has asked for it.
#[derive(Debug, Default)]
pub(crate) struct Erased(RwLock<BTreeSet<OwnedUserId>>);

impl Views {
    /// From now on shows what these users wrote only to those who were there.
    pub fn hide_from_newcomers(&self, users: impl IntoIterator<Item = OwnedUserId>) {
        self.erased.0.write().extend(users);
    }

    /// Whether `viewer` may see the content of an event for all its sender's wishes; `None` is nobody in particular.
    ///
    /// # Errors
    /// Store errors.
    pub async fn shows_content(&self, event: &Event, viewer: Option<UserNo>) -> Result<bool, ViewError> {
        if !self.erased.0.read().contains(event.pdu.sender()) {
            return Ok(true);
        }
        let Some(viewer) = viewer else { return Ok(false) };
        let viewer = self.user_id(viewer).await?;
        if viewer == *event.pdu.sender() || self.was_joined(event.room, event.state_before, &viewer).await? {
            return Ok(true);
        }
        // Members of a guild see its channels without joining them.
        let Some(guild) = self.info(event.room).await?.guild else { return Ok(false) };
        match self.state_at(guild, event.position).await? {
            Some(root) => self.was_joined(guild, root, &viewer).await,
            None => Ok(false),
        }
    }

    async fn was_joined(&self, room: RoomNo, root: NodeHash, user: &UserId) -> Result<bool, ViewError> {
        let member = self.state_event(room, root, "m.room.member", user.as_str()).await?;
        let content = member.and_then(|event| event.pdu.content_as::<serde_json::Value>().ok());
        Ok(content.is_some_and(|content| content["membership"] == "join"))
    }
}
