//! The home steward: the server's own user, who makes a guild's rooms and carries out structural changes
//! for members whose roles allow them (design §3).

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedUserId, UserId, signatures::sign_json};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{Actor, Rooms, RoomsError, content::object, decision::Decision};

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
    /// Adds to `content` whose request the steward carries out: `nexus.actor`, signed by the actor's server
    /// over the user, the action, the moment and the hash of the rest of the content, so that it vouches for
    /// this change alone.
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
        let internal = |error: &dyn std::fmt::Display| RoomsError::Internal(error.to_string());
        let rest = serde_json::to_vec(&content).map_err(|error| internal(&error))?;
        let hash = STANDARD_NO_PAD.encode(Sha256::digest(rest));
        let request = json!({ "user": actor.user, "action": action, "ts": self.now.0, "sha256": hash });
        let mut request = object(request);
        let signer = &self.rooms.inner.signer;
        sign_json(signer.server_name().as_str(), signer.key_pair(), &mut request)
            .map_err(|error| internal(&error))?;
        content.insert("nexus.actor".to_owned(), CanonicalJsonValue::Object(request));
        Ok(content)
    }
}
