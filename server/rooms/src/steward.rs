//! The home steward: the server's own user, who makes a guild's rooms and carries out structural changes
//! for members whose roles allow them (design §3).

use nexus_state_resolution::RoomVersion;
use nexus_views::actor::{ActorRequest, FIELD, Subject, sign};
use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedUserId, RoomId, UserId};
use serde_json::json;

use crate::{
    Actor, Rooms, RoomsError,
    content::object,
    decision::{Decision, NewPdu},
};

/// The localpart of stewards; reserved on every server.
pub const STEWARD_LOCALPART: &str = "nexus";

impl Rooms {
    /// This server's steward.
    pub(crate) fn steward(&self) -> Result<OwnedUserId, RoomsError> {
        UserId::parse_with_server_name(STEWARD_LOCALPART, self.server_name())
            .map_err(|error| RoomsError::Internal(error.to_string()))
    }
}

impl Decision<'_> {
    /// Adds to `content` whose request the steward carries out: `nexus.actor`, to be signed by the actor's
    /// server when it is known for which event.
    pub(crate) fn on_behalf_of(
        &self,
        actor: &Actor,
        action: &str,
        reason: Option<&str>,
        mut content: CanonicalJsonObject,
    ) -> Result<CanonicalJsonObject, RoomsError> {
        if let Some(reason) = reason.or(actor.reason.as_deref()) {
            content.insert("nexus.reason".to_owned(), CanonicalJsonValue::String(reason.to_owned()));
        }
        let request = object(json!({ "user": actor.user, "action": action, "ts": self.now.0 }));
        content.insert(FIELD.to_owned(), CanonicalJsonValue::Object(request));
        Ok(content)
    }

    /// Signs the request in an event of the steward, so that it vouches for this event alone.
    pub(crate) fn sign_request(
        &self,
        version: RoomVersion,
        room_id: &RoomId,
        new: &mut NewPdu,
    ) -> Result<(), RoomsError> {
        // Nobody else sends in the steward's name, so this request is one of ours.
        let Some(CanonicalJsonValue::Object(request)) = new.content.get(FIELD) else { return Ok(()) };
        if new.sender != self.rooms.steward()? || request.contains_key("signatures") {
            return Ok(());
        }
        let internal = |error: &dyn std::fmt::Display| RoomsError::Internal(error.to_string());
        let text = |field: &str| request.get(field).and_then(CanonicalJsonValue::as_str).unwrap_or_default();
        let request = ActorRequest {
            user: UserId::parse(text("user")).map_err(|error| internal(&error))?,
            action: text("action").to_owned(),
            ts_ms: self.now.0,
        };
        if request.user.server_name() != self.rooms.server_name() {
            return Err(RoomsError::Internal(format!("no key to sign a request of {}", request.user)));
        }
        if let Some(target) = new.redacts.as_ref().filter(|_| version.redacts_in_content()) {
            // Where the event will have it.
            let target = CanonicalJsonValue::String(target.to_string());
            new.content.insert("redacts".to_owned(), target);
        }
        let subject = Subject {
            room: room_id,
            event_type: &new.event_type,
            state_key: new.state_key.as_deref(),
            content: &new.content,
        };
        let key = self.rooms.inner.signer.key_pair();
        let signed = sign(&request, subject, key).map_err(|error| internal(&error))?;
        new.content.insert(FIELD.to_owned(), CanonicalJsonValue::Object(signed));
        Ok(())
    }
}
