//! `nexus.actor`: the request of a member that a steward's event carries out.
//!
//! **Shapes**: `{"user", "action", "room", "type", "state_key"?, "ts", "sha256", "signatures"}`, signed as Matrix
//! signs JSON by the server of `user`. It stands for this one event: the room, the type, the state key and the
//! hash of the rest of the content are in what is signed. **Units**: milliseconds since the Unix epoch.
//! **Errors**: [`ActorFault`]. **Source**: `spec/events.md`; examples in `spec/vectors/actor.json`.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use nexus_state_resolution::Pdu;
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedUserId, RoomId, UserId,
    signatures::{Ed25519KeyPair, PublicKeySet, sign_json, verify_json},
};
use sha2::{Digest, Sha256};

/// The field of the content.
pub const FIELD: &str = "nexus.actor";

/// A request may be this much older or newer than the event that carries it out: what is asked is asked now.
pub const FRESH_MS: u64 = 5 * 60 * 1000;

/// Who asked for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActorRequest {
    /// Who.
    pub user: OwnedUserId,
    /// For what, as `spec/events.md` names it.
    pub action: String,
    /// When.
    pub ts_ms: u64,
}

/// Why a request does not stand for the event it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActorFault {
    /// There is none.
    #[error("the event carries no request")]
    Absent,
    /// A field is missing or has the wrong type.
    #[error("the request is malformed")]
    Malformed,
    /// It was made for another room.
    #[error("the request is for another room")]
    OtherRoom,
    /// It was made for another type or state key.
    #[error("the request is for another event")]
    OtherEvent,
    /// It was made for other content.
    #[error("the request is for other content")]
    OtherContent,
    /// It is too old or too new for the event.
    #[error("the request is not of the event's time")]
    Stale,
    /// The server of the user has not signed it, or not this.
    #[error("the request is not signed by the user's server")]
    NotSigned,
}

/// The event that a request is for.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its room.
    pub room: &'a RoomId,
    /// Its type.
    pub event_type: &'a str,
    /// Its state key, if it is state.
    pub state_key: Option<&'a str>,
    /// Its content; a request in it does not count.
    pub content: &'a CanonicalJsonObject,
}

/// A request, signed by the server of `user`: what goes into the content under [`FIELD`].
///
/// # Errors
/// When the content cannot be written or signed.
pub fn sign(
    request: &ActorRequest,
    subject: Subject<'_>,
    key: &Ed25519KeyPair,
) -> Result<CanonicalJsonObject, ActorFault> {
    let text = |text: &str| CanonicalJsonValue::String(text.to_owned());
    let ts = i64::try_from(request.ts_ms).ok().and_then(|ts| ruma::Int::try_from(ts).ok());
    let ts = ts.ok_or(ActorFault::Malformed)?;
    let mut object = CanonicalJsonObject::from([
        ("user".to_owned(), text(request.user.as_str())),
        ("action".to_owned(), text(&request.action)),
        ("room".to_owned(), text(subject.room.as_str())),
        ("type".to_owned(), text(subject.event_type)),
        ("ts".to_owned(), CanonicalJsonValue::Integer(ts)),
        ("sha256".to_owned(), text(&hash(subject.content)?)),
    ]);
    if let Some(key) = subject.state_key {
        object.insert("state_key".to_owned(), text(key));
    }
    sign_json(request.user.server_name().as_str(), key, &mut object).map_err(|_| ActorFault::Malformed)?;
    Ok(object)
}

/// The hash of content without the request in it.
fn hash(content: &CanonicalJsonObject) -> Result<String, ActorFault> {
    let mut rest = content.clone();
    rest.remove(FIELD);
    let rest = serde_json::to_vec(&rest).map_err(|_| ActorFault::Malformed)?;
    Ok(STANDARD_NO_PAD.encode(Sha256::digest(rest)))
}

/// What an event says of who asked for it, if that was said of this event; the signature is not looked at.
///
/// # Errors
/// When there is no request, or it is for something else.
pub fn claimed(pdu: &Pdu) -> Result<ActorRequest, ActorFault> {
    let content: CanonicalJsonObject = pdu.content_as().map_err(|_| ActorFault::Malformed)?;
    let subject = Subject {
        room: pdu.room_id(),
        event_type: pdu.event_type(),
        state_key: pdu.state_key(),
        content: &content,
    };
    let request = match content.get(FIELD) {
        Some(CanonicalJsonValue::Object(request)) => request,
        Some(_) => return Err(ActorFault::Malformed),
        None => return Err(ActorFault::Absent),
    };
    read(request, subject, pdu.origin_server_ts().get().into())
}

fn read(
    request: &CanonicalJsonObject,
    subject: Subject<'_>,
    event_ts_ms: u64,
) -> Result<ActorRequest, ActorFault> {
    let text = |field: &str| request.get(field).and_then(CanonicalJsonValue::as_str);
    let user = text("user").and_then(|user| UserId::parse(user).ok()).ok_or(ActorFault::Malformed)?;
    let action = text("action").ok_or(ActorFault::Malformed)?.to_owned();
    let ts_ms = request.get("ts").and_then(CanonicalJsonValue::as_integer).map(i64::from);
    let ts_ms = ts_ms.and_then(|ts| u64::try_from(ts).ok()).ok_or(ActorFault::Malformed)?;
    let (room, kind) = (text("room"), text("type"));
    if room.is_none() || kind.is_none() || text("sha256").is_none() {
        return Err(ActorFault::Malformed);
    }
    if room != Some(subject.room.as_str()) {
        return Err(ActorFault::OtherRoom);
    }
    if kind != Some(subject.event_type) || text("state_key") != subject.state_key {
        return Err(ActorFault::OtherEvent);
    }
    if text("sha256") != Some(hash(subject.content)?.as_str()) {
        return Err(ActorFault::OtherContent);
    }
    if event_ts_ms.abs_diff(ts_ms) > FRESH_MS {
        return Err(ActorFault::Stale);
    }
    Ok(ActorRequest { user, action, ts_ms })
}

/// Who asked for an event, checked in full against the keys of the user's server.
///
/// # Errors
/// As [`claimed`], and when the signature is missing or wrong.
pub fn verify(pdu: &Pdu, keys: &PublicKeySet) -> Result<ActorRequest, ActorFault> {
    let request = claimed(pdu)?;
    let content: CanonicalJsonObject = pdu.content_as().map_err(|_| ActorFault::Malformed)?;
    let Some(CanonicalJsonValue::Object(signed)) = content.get(FIELD) else { return Err(ActorFault::Absent) };
    let server = request.user.server_name().as_str();
    // Only that server's word counts, whoever else has signed.
    let own = signed.get("signatures").and_then(CanonicalJsonValue::as_object);
    let own = own.and_then(|all| all.get(server)).cloned().ok_or(ActorFault::NotSigned)?;
    let mut signed = signed.clone();
    let own = CanonicalJsonObject::from([(server.to_owned(), own)]);
    signed.insert("signatures".to_owned(), CanonicalJsonValue::Object(own));
    let keys = BTreeMap::from([(server.to_owned(), keys.clone())]);
    verify_json(&keys, &signed).map_err(|_| ActorFault::NotSigned)?;
    Ok(request)
}

/// Whom a steward's event may be shown to be by. The event itself is signed by the steward's server, which
/// thereby vouches for its own users; for those of other servers a checked signature is needed, and until
/// there are any, nobody is named.
#[must_use]
pub fn shown_actor(pdu: &Pdu) -> Option<OwnedUserId> {
    if !crate::project::is_steward(pdu.sender()) {
        return None;
    }
    let request = claimed(pdu).ok()?;
    (request.user.server_name() == pdu.sender().server_name()).then_some(request.user)
}
