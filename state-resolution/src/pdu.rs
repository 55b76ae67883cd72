//! One event, parsed once and never changed: the [`Pdu`].
//!
//! It keeps the canonical JSON exactly as it was signed, with `hashes` and `signatures` and without
//! `unsigned`, beside the few fields that authorisation, resolution and views ask for.
//! Whoever holds a `Pdu` may rely on its signature having been made or checked here, or on its having
//! been stored after that.
//!
//! **Errors**: [`PduError`] when stored JSON is not an event; for a healthy store that does not happen.
//! **Source**: Matrix v1.19, server-server API, "PDUs" and the room versions' event formats.

use std::fmt;

use ruma::{
    CanonicalJsonObject, EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId,
    UserId,
    canonical_json::{CanonicalJsonFieldError, redact_in_place},
    events::TimelineEventType,
    signatures::reference_hash,
    state_res,
};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::value::RawValue as RawJsonValue;
use thiserror::Error;

use crate::RoomVersion;

/// Why JSON could not be read back as an event.
#[derive(Debug, Error)]
pub enum PduError {
    /// It is not JSON, or a field is missing or of a wrong type.
    #[error("read event {event_id}")]
    Json {
        /// The event.
        event_id: OwnedEventId,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// It names no room, and its room version does not say which it is in.
    #[error("read event {event_id}: it names no room")]
    NoRoom {
        /// The event.
        event_id: OwnedEventId,
    },
    /// It cannot be redacted.
    #[error("redact event {event_id}")]
    Redact {
        /// The event.
        event_id: OwnedEventId,
        /// What is wrong with its fields.
        #[source]
        source: CanonicalJsonFieldError,
    },
    /// It has no reference hash.
    #[error("hash event {event_id}")]
    Hash {
        /// The event.
        event_id: OwnedEventId,
        /// What is wrong with it.
        #[source]
        source: ruma::signatures::JsonError,
    },
}

/// A checked event: an immutable parsed PDU with its id.
///
/// There are three ways to one: [`build`](crate::build()) signs it, [`verify`](crate::verify()) checks foreign JSON,
/// and [`Pdu::from_stored`] reads what one of the two let in before. Nobody writes one down:
///
/// ```compile_fail
/// # let verified: nexus_state_resolution::Pdu = todo!();
/// let forged = nexus_state_resolution::Pdu { json: r#"{"sender":"@victim:a.example"}"#.into(), ..verified };
/// ```
///
/// and what is not yet an event is nothing that the rules could judge:
///
/// ```compile_fail
/// # use nexus_state_resolution::{RoomVersion, authorise_state_only};
/// let received: serde_json::Value = serde_json::json!({ "type": "m.room.create" });
/// authorise_state_only(RoomVersion::V12, &received, |_, _| None);
/// ```
#[derive(Clone)]
pub struct Pdu {
    pub(crate) version: RoomVersion,
    pub(crate) event_id: OwnedEventId,
    pub(crate) room_id: OwnedRoomId,
    /// False only for a create event whose own id is the room's.
    pub(crate) names_room: bool,
    pub(crate) sender: OwnedUserId,
    pub(crate) event_type: Box<str>,
    pub(crate) timeline_type: TimelineEventType,
    pub(crate) state_key: Option<Box<str>>,
    pub(crate) content: Box<RawJsonValue>,
    pub(crate) origin_server_ts: MilliSecondsSinceUnixEpoch,
    pub(crate) prev_events: Vec<OwnedEventId>,
    pub(crate) auth_events: Vec<OwnedEventId>,
    pub(crate) depth: u64,
    pub(crate) redacts: Option<OwnedEventId>,
    pub(crate) json: Box<str>,
}

/// How a list of events holds one of them: its id and, where the room version asks for it, its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Citation {
    pub(crate) event_id: OwnedEventId,
    /// The reference hash in unpadded base64.
    pub(crate) sha256: Option<Box<str>>,
}

impl Citation {
    /// An event whose reference hash is known, in unpadded base64.
    pub fn with_hash(event_id: OwnedEventId, sha256: &str) -> Self {
        Self { event_id, sha256: Some(sha256.into()) }
    }

    /// The cited event.
    pub fn event_id(&self) -> &EventId {
        &self.event_id
    }
}

impl From<OwnedEventId> for Citation {
    /// Sufficient from version 3 on, where the id is the hash.
    fn from(event_id: OwnedEventId) -> Self {
        Self { event_id, sha256: None }
    }
}

/// The fields of the wire form that a `Pdu` keeps parsed; `C` is how it cites other events.
#[derive(Deserialize)]
struct Wire<'a, C> {
    room_id: Option<OwnedRoomId>,
    sender: OwnedUserId,
    #[serde(rename = "type")]
    event_type: Box<str>,
    state_key: Option<Box<str>>,
    #[serde(borrow)]
    content: &'a RawJsonValue,
    origin_server_ts: MilliSecondsSinceUnixEpoch,
    prev_events: Vec<C>,
    auth_events: Vec<C>,
    depth: u64,
    /// Raw, because no rule makes a foreign event invalid for what it writes here.
    #[serde(borrow)]
    redacts: Option<&'a RawJsonValue>,
}

impl Pdu {
    /// Read an event that we stored ourselves or have verified: no hash or signature is checked.
    pub fn from_stored(
        version: RoomVersion,
        event_id: OwnedEventId,
        json: Box<str>,
    ) -> Result<Self, PduError> {
        let wire = match Self::read_wire(version, &json) {
            Ok(wire) => wire,
            Err(source) => return Err(PduError::Json { event_id, source }),
        };
        let names_room = wire.room_id.is_some();
        let room_id = match wire.room_id {
            Some(room_id) => room_id,
            None if &*wire.event_type == "m.room.create" && version.room_id_is_create_event() => {
                room_id_of_create(&event_id).ok_or_else(|| PduError::NoRoom { event_id: event_id.clone() })?
            }
            None => return Err(PduError::NoRoom { event_id }),
        };
        let redacts = redaction_target(version, &wire.event_type, wire.redacts, wire.content);
        Ok(Self {
            version,
            room_id,
            names_room,
            sender: wire.sender,
            timeline_type: TimelineEventType::from(&*wire.event_type),
            event_type: wire.event_type,
            state_key: wire.state_key,
            content: wire.content.to_owned(),
            origin_server_ts: wire.origin_server_ts,
            prev_events: wire.prev_events,
            auth_events: wire.auth_events,
            depth: wire.depth,
            redacts,
            event_id,
            json,
        })
    }

    fn read_wire(version: RoomVersion, json: &str) -> Result<Wire<'_, OwnedEventId>, serde_json::Error> {
        if !version.cites_by_hash() {
            return serde_json::from_str(json);
        }
        let wire: Wire<'_, (OwnedEventId, IgnoredAny)> = serde_json::from_str(json)?;
        let ids = |pairs: Vec<(OwnedEventId, IgnoredAny)>| pairs.into_iter().map(|(id, _)| id).collect();
        Ok(Wire {
            room_id: wire.room_id,
            sender: wire.sender,
            event_type: wire.event_type,
            state_key: wire.state_key,
            content: wire.content,
            origin_server_ts: wire.origin_server_ts,
            prev_events: ids(wire.prev_events),
            auth_events: ids(wire.auth_events),
            depth: wire.depth,
            redacts: wire.redacts,
        })
    }

    /// How another event of the room cites this one.
    pub fn citation(&self) -> Result<Citation, PduError> {
        let event_id = self.event_id.clone();
        if !self.version.cites_by_hash() {
            return Ok(Citation { event_id, sha256: None });
        }
        let hash = reference_hash(&self.parse_object()?, self.version.rules())
            .map_err(|source| PduError::Hash { event_id: self.event_id.clone(), source })?;
        Ok(Citation { event_id, sha256: Some(hash.into_boxed_str()) })
    }

    /// The same event, redacted by the rules of its room version; its id and signatures stay valid.
    pub fn redacted(&self) -> Result<Pdu, PduError> {
        let mut object = self.parse_object()?;
        redact_in_place(&mut object, &self.version.rules().redaction, None)
            .map_err(|source| PduError::Redact { event_id: self.event_id.clone(), source })?;
        let json = serde_json::to_string(&object)
            .map_err(|source| PduError::Json { event_id: self.event_id.clone(), source })?;
        Self::from_stored(self.version, self.event_id.clone(), json.into_boxed_str())
    }

    /// The room version whose rules made this event.
    pub fn version(&self) -> RoomVersion {
        self.version
    }

    /// The event id: the hash of the redacted event, before version 3 what its server chose.
    pub fn event_id(&self) -> &EventId {
        &self.event_id
    }

    /// The room; for a create event that does not name it, derived from the event id.
    pub fn room_id(&self) -> &RoomId {
        &self.room_id
    }

    /// Who sent it.
    pub fn sender(&self) -> &UserId {
        &self.sender
    }

    /// The event type as it is on the wire.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// The event type as `ruma` knows it. Aliases of a type are one here: compare [`Self::event_type`].
    pub fn timeline_type(&self) -> &TimelineEventType {
        &self.timeline_type
    }

    /// The state key; `None` for what is not a state event.
    pub fn state_key(&self) -> Option<&str> {
        self.state_key.as_deref()
    }

    /// The content, unparsed.
    pub fn content(&self) -> &RawJsonValue {
        &self.content
    }

    /// The content as `T`. Foreign content can have any shape: failing to parse is not a broken event.
    pub fn content_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.content.get())
    }

    /// When the sender's server says it was made.
    pub fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        self.origin_server_ts
    }

    /// The events before this one.
    pub fn prev_events(&self) -> &[OwnedEventId] {
        &self.prev_events
    }

    /// The events it cites for its right to be.
    pub fn auth_events(&self) -> &[OwnedEventId] {
        &self.auth_events
    }

    /// The depth its sender claims: an order for history, never a proof.
    pub fn depth(&self) -> u64 {
        self.depth
    }

    /// What a redaction redacts, wherever its room version writes it.
    pub fn redacts(&self) -> Option<&EventId> {
        self.redacts.as_deref()
    }

    /// The canonical JSON as signed and sent, with `hashes` and `signatures`.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The canonical JSON, parsed.
    ///
    /// # Panics
    ///
    /// When the event was read from a store that holds something other than canonical JSON.
    pub fn to_canonical_object(&self) -> CanonicalJsonObject {
        self.parse_object()
            .expect("an event is canonical JSON: it was built or verified before it was stored")
    }

    pub(crate) fn parse_object(&self) -> Result<CanonicalJsonObject, PduError> {
        serde_json::from_str(&self.json)
            .map_err(|source| PduError::Json { event_id: self.event_id.clone(), source })
    }
}

impl fmt::Debug for Pdu {
    /// Ids and type only: the content of a message is not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pdu")
            .field("event_id", &self.event_id)
            .field("room_id", &self.room_id)
            .field("event_type", &self.event_type)
            .field("state_key", &self.state_key)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Pdu {
    /// Equal ids do not suffice: a redacted event has the id of the original.
    fn eq(&self, other: &Self) -> bool {
        self.event_id == other.event_id && self.json == other.json
    }
}

impl Eq for Pdu {}

impl state_res::Event for Pdu {
    type Id = OwnedEventId;

    fn event_id(&self) -> &Self::Id {
        &self.event_id
    }

    /// As written: the rules refuse a create event that names its room where the id implies it.
    fn room_id(&self) -> Option<&RoomId> {
        self.names_room.then_some(&*self.room_id)
    }

    fn sender(&self) -> &UserId {
        &self.sender
    }

    fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        self.origin_server_ts
    }

    fn event_type(&self) -> &TimelineEventType {
        &self.timeline_type
    }

    fn content(&self) -> &RawJsonValue {
        &self.content
    }

    fn state_key(&self) -> Option<&str> {
        self.state_key.as_deref()
    }

    fn prev_events(&self) -> Box<dyn DoubleEndedIterator<Item = &Self::Id> + '_> {
        Box::new(self.prev_events.iter())
    }

    fn auth_events(&self) -> Box<dyn DoubleEndedIterator<Item = &Self::Id> + '_> {
        Box::new(self.auth_events.iter())
    }

    fn redacts(&self) -> Option<&Self::Id> {
        self.redacts.as_ref()
    }

    /// A rejected event is never handed to this crate: it enters no state and no auth chain.
    fn rejected(&self) -> bool {
        false
    }
}

/// The room that a create event founds, where its own id is the room's.
pub(crate) fn room_id_of_create(event_id: &EventId) -> Option<OwnedRoomId> {
    let hash = event_id.as_str().strip_prefix('$')?;
    RoomId::parse(format!("!{hash}")).ok()
}

fn redaction_target(
    version: RoomVersion,
    event_type: &str,
    top_level: Option<&RawJsonValue>,
    content: &RawJsonValue,
) -> Option<OwnedEventId> {
    #[derive(Deserialize)]
    struct Content<'a> {
        #[serde(borrow)]
        redacts: Option<&'a RawJsonValue>,
    }
    if event_type != "m.room.redaction" {
        return None;
    }
    let written = if version.redacts_in_content() {
        serde_json::from_str::<Content<'_>>(content.get()).ok()?.redacts
    } else {
        top_level
    };
    serde_json::from_str(written?.get()).ok()
}

#[cfg(test)]
mod tests;
