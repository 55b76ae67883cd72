//! Membership events that come through a door of their own: joining, leaving, knocking, being invited.
//!
//! Another server hands us such an event in a request that is about nothing else, and for two of them it asks
//! for our signature. [`check_handshake`] says whether the event is what the request is about; a server that
//! took or signed something else there would speak for its users without their knowing. [`countersign`] adds
//! our signature, after the same check, so that nothing else can be signed for others.
//!
//! **Errors**: [`HandshakeError`]: answer 400 or 403, and do nothing.
//! **Source**: Matrix v1.19, server-server API: `send_join`, `send_leave`, `send_knock`, `invite`.

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, EventId, RoomId, ServerName, UserId,
    canonical_json::{CanonicalJsonFieldError, redact},
    signatures::KeyPair as _,
};
use serde::Deserialize;
use thiserror::Error;

use crate::{FormatError, Pdu, PduError, Signer, format::check_size};

/// What a request with a membership event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// `send_join`: a user of the asking server joins.
    Join,
    /// `send_leave`: a user of the asking server leaves or declines.
    Leave,
    /// `send_knock`: a user of the asking server knocks.
    Knock,
    /// `invite`: a user of the asking server invites one of ours.
    Invite,
}

/// Why an event is not what its request is about.
#[derive(Debug, Error)]
pub enum HandshakeError {
    /// It is not a membership event.
    #[error("not a membership event")]
    NotMember,
    /// Its membership is another.
    #[error("membership is {found:?}, not {expected}")]
    OtherMembership {
        /// What it is.
        found: Option<String>,
        /// What the request is about.
        expected: &'static str,
    },
    /// It is in another room than the request names.
    #[error("in another room than the request")]
    OtherRoom,
    /// It has another id than the request names.
    #[error("another event than the request names")]
    OtherEvent,
    /// It is about nobody.
    #[error("state key is not a user")]
    NoUser,
    /// It is by somebody else than whom it is about.
    #[error("sender is not the user it is about")]
    OtherUser,
    /// Its sender is not a user of the server that asks.
    #[error("sender is not a user of the asking server")]
    ForeignSender,
    /// It does not concern a user of the server whose signature is wanted.
    #[error("no signature of {server} is due")]
    NoSignatureDue {
        /// That server.
        server: ruma::OwnedServerName,
    },
    /// It cannot be read back.
    #[error("read event")]
    Pdu(#[from] PduError),
    /// It cannot be redacted, hence not signed.
    #[error("redact event")]
    Redact(#[from] CanonicalJsonFieldError),
    /// It would be too large with another signature.
    #[error("event format")]
    Format(#[from] FormatError),
    /// It could not be written as JSON.
    #[error("write event as JSON")]
    Write(#[from] serde_json::Error),
}

impl Handshake {
    fn membership(self) -> &'static str {
        match self {
            Handshake::Join => "join",
            Handshake::Leave => "leave",
            Handshake::Knock => "knock",
            Handshake::Invite => "invite",
        }
    }
}

/// What the request says, apart from the event.
#[derive(Clone, Copy, Debug)]
pub struct HandshakeRequest<'a> {
    /// What it is about.
    pub about: Handshake,
    /// The server that asks, by its verified `Authorization`.
    pub origin: &'a ServerName,
    /// The room in the path.
    pub room_id: &'a RoomId,
    /// The event in the path, where it has one; the event's own is computed, in versions from 3 on.
    pub event_id: Option<&'a EventId>,
}

/// Check that an event is the membership event that the request is about.
pub fn check_handshake(event: &Pdu, request: HandshakeRequest<'_>) -> Result<(), HandshakeError> {
    if event.event_type() != "m.room.member" {
        return Err(HandshakeError::NotMember);
    }
    if event.room_id() != request.room_id {
        return Err(HandshakeError::OtherRoom);
    }
    if request.event_id.is_some_and(|event_id| event_id != event.event_id()) {
        return Err(HandshakeError::OtherEvent);
    }
    let member = Member::of(event);
    if member.membership.as_deref() != Some(request.about.membership()) {
        let expected = request.about.membership();
        return Err(HandshakeError::OtherMembership { found: member.membership, expected });
    }
    let target = target(event)?;
    if request.about != Handshake::Invite && target != event.sender() {
        return Err(HandshakeError::OtherUser);
    }
    if event.sender().server_name() != request.origin {
        return Err(HandshakeError::ForeignSender);
    }
    Ok(())
}

/// Add our signature to another server's event: an invite of one of our users, or a restricted join that
/// one of our users vouches for. Nothing else is signed.
pub fn countersign(event: &Pdu, signer: &dyn Signer) -> Result<Pdu, HandshakeError> {
    let server = signer.server_name();
    if !is_due(event, server)? {
        return Err(HandshakeError::NoSignatureDue { server: server.to_owned() });
    }
    let rules = event.version().rules();
    let mut object = event.parse_object()?;
    let mut redacted = redact(object.clone(), &rules.redaction, None)?;
    redacted.remove("signatures");
    let signature = signer.key_pair().sign(serde_json::to_string(&redacted)?.as_bytes());
    add_signature(&mut object, server, signature.id(), signature.base64());
    let json = serde_json::to_string(&object)?;
    check_size(json.len())?;
    Ok(Pdu::from_stored(event.version(), event.event_id().to_owned(), json.into_boxed_str())?)
}

fn add_signature(event: &mut CanonicalJsonObject, server: &ServerName, key_id: String, signature: String) {
    let mut signatures = take_object(event, "signatures");
    let mut ours = take_object(&mut signatures, server.as_str());
    ours.insert(key_id, CanonicalJsonValue::String(signature));
    signatures.insert(server.to_string(), ours.into());
    event.insert("signatures".to_owned(), signatures.into());
}

/// The object under a key, taken out; an empty one, where there is none.
fn take_object(object: &mut CanonicalJsonObject, key: &str) -> CanonicalJsonObject {
    match object.remove(key) {
        Some(CanonicalJsonValue::Object(found)) => found,
        _ => CanonicalJsonObject::new(),
    }
}

fn is_due(event: &Pdu, server: &ServerName) -> Result<bool, HandshakeError> {
    if event.event_type() != "m.room.member" {
        return Err(HandshakeError::NotMember);
    }
    let member = Member::of(event);
    Ok(match member.membership.as_deref() {
        Some("invite") => target(event)?.server_name() == server,
        Some("join") if event.version().rules().authorization.restricted_join_rule => {
            let via = member.join_authorised_via_users_server.as_deref();
            let via = via.and_then(|user| <&UserId>::try_from(user).ok());
            target(event)? == event.sender() && via.is_some_and(|user| user.server_name() == server)
        }
        _ => false,
    })
}

fn target(event: &Pdu) -> Result<&UserId, HandshakeError> {
    let key = event.state_key().ok_or(HandshakeError::NoUser)?;
    <&UserId>::try_from(key).map_err(|_| HandshakeError::NoUser)
}

/// What a membership event says; a field of the wrong type reads as absent.
#[derive(Default)]
struct Member {
    membership: Option<String>,
    join_authorised_via_users_server: Option<String>,
}

impl Member {
    fn of(event: &Pdu) -> Self {
        #[derive(Deserialize)]
        struct Content {
            membership: Option<serde_json::Value>,
            join_authorised_via_users_server: Option<serde_json::Value>,
        }
        let text = |value: Option<serde_json::Value>| value?.as_str().map(str::to_owned);
        match event.content_as::<Content>() {
            Ok(content) => Self {
                membership: text(content.membership),
                join_authorised_via_users_server: text(content.join_authorised_via_users_server),
            },
            Err(_) => Self::default(),
        }
    }
}

#[cfg(test)]
mod tests;
