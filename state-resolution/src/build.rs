//! From what a command wants to append to a signed event: the hot path of every send.
//!
//! A [`Draft`] is hashed, signed and named by writing its canonical JSON three times: without `hashes`
//! for the content hash, redacted for signature and id (both are over the same bytes), and whole. Each
//! field is serialised once; the content is not parsed again. A property test holds the result to what
//! `ruma` computes with its general functions. In versions 1 and 2, where a server chooses the id, it is made
//! of the hash of the event without it: unique, and nothing random is needed.
//!
//! **Errors**: [`BuildError`]; nothing is signed that its own room version would refuse for its format.
//! **Source**: Matrix v1.19, server-server API, "Signing Events"; appendices, "Canonical JSON".

use std::collections::BTreeMap;

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId,
    OwnedUserId, ServerName,
    canonical_json::redact_content_in_place,
    events::TimelineEventType,
    room_version_rules::EventIdFormatVersion,
    serde::{
        Base64,
        base64::{Standard, UrlSafe},
    },
    signatures::{Ed25519KeyPair, KeyPair},
};
use serde_json::value::to_raw_value;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::{
    Citation, FormatError, Pdu, RoomVersion,
    format::{DEPTH_MAX, check_draft, check_length, check_size},
    pdu::room_id_of_create,
};

/// What a command wants to append; the caller supplies the graph position.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The room; `None` only for the create event of a version whose room id is that event's id.
    pub room_id: Option<OwnedRoomId>,
    /// Who sends it; a user of the signing server.
    pub sender: OwnedUserId,
    /// The event type.
    pub event_type: String,
    /// The state key, for a state event.
    pub state_key: Option<String>,
    /// The content.
    pub content: CanonicalJsonObject,
    /// What a redaction redacts; written where the room version wants it.
    pub redacts: Option<OwnedEventId>,
    /// When it is made.
    pub origin_server_ts: MilliSecondsSinceUnixEpoch,
    /// The forward extremities it follows.
    pub prev_events: Vec<Citation>,
    /// The state events that allow it.
    pub auth_events: Vec<Citation>,
    /// One more than the greatest depth of `prev_events`. What exceeds the greatest depth there can be counts
    /// as that: somebody may have sent an event that claims it, and the room must go on.
    pub depth: u64,
}

/// Signs as one server.
pub trait Signer: Send + Sync {
    /// The server whose key it is.
    fn server_name(&self) -> &ServerName;
    /// The key.
    fn key_pair(&self) -> &Ed25519KeyPair;
}

/// Why a draft cannot become an event.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The event would be too large.
    #[error("event has {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// The bytes of its canonical JSON.
        bytes: usize,
        /// The most it may have.
        limit: usize,
    },
    /// A field is too long.
    #[error("field {field} has {bytes} bytes, the limit is {limit}")]
    FieldTooLong {
        /// The field.
        field: &'static str,
        /// Its bytes.
        bytes: usize,
        /// The most it may have.
        limit: usize,
    },
    /// It breaks the event format in another way.
    #[error("event format: {0}")]
    Format(FormatError),
    /// The sender is not a user of the server that is to sign.
    #[error("sign for {sender} as another server")]
    ForeignSender {
        /// The sender.
        sender: OwnedUserId,
    },
    /// A value could not be written as JSON.
    #[error("write event as JSON")]
    Json(#[from] serde_json::Error),
}

impl From<FormatError> for BuildError {
    fn from(error: FormatError) -> Self {
        match error {
            FormatError::TooLarge { bytes, limit } => Self::TooLarge { bytes, limit },
            FormatError::FieldTooLong { field, bytes, limit } => Self::FieldTooLong { field, bytes, limit },
            other => Self::Format(other),
        }
    }
}

/// Hash and sign a draft, and check its format.
pub fn build(version: RoomVersion, draft: Draft, signer: &dyn Signer) -> Result<Pdu, BuildError> {
    check_draft(version, &draft)?;
    if draft.sender.server_name() != signer.server_name() {
        return Err(BuildError::ForeignSender { sender: draft.sender });
    }
    let rules = version.rules();
    let mut draft = draft;
    draft.depth = draft.depth.min(DEPTH_MAX);
    let top_level_redacts = place_redacts(version, &mut draft);
    let content = to_raw_value(&draft.content)?;
    check_size(content.get().len())?;
    redact_content_in_place(&mut draft.content, &rules.redaction, &draft.event_type);
    let redacted_content = serde_json::to_string(&draft.content)?;

    let mut fields = Fields::write(version, &draft, top_level_redacts)?;
    let mut buffer = String::with_capacity(content.get().len() + fields.bytes() + SEAL_BYTES);
    let chosen_id = if version.names_its_events() {
        fields.join(&mut buffer, content.get(), None, Redacted::No);
        Some(fields.name(&sha256(&buffer), signer.server_name())?)
    } else {
        None
    };
    buffer.clear();
    fields.join(&mut buffer, content.get(), None, Redacted::No);
    let content_hash = Base64::<Standard, _>::new(sha256(&buffer)).encode();

    buffer.clear();
    fields.join(
        &mut buffer,
        &redacted_content,
        Some(Seal { content_hash: &content_hash, signature: None }),
        Redacted::Yes,
    );
    let signature = signer.key_pair().sign(buffer.as_bytes());
    let event_id = match chosen_id {
        Some(event_id) => event_id,
        None => event_id_of_hash(version, sha256(&buffer))?,
    };

    buffer.clear();
    let signature = signature_entry(signer.server_name(), &signature.id(), &signature.base64())?;
    fields.join(
        &mut buffer,
        content.get(),
        Some(Seal { content_hash: &content_hash, signature: Some(&signature) }),
        Redacted::No,
    );
    check_size(buffer.len())?;

    let names_room = draft.room_id.is_some();
    let room_id = draft
        .room_id
        .or_else(|| room_id_of_create(&event_id))
        .ok_or(FormatError::InvalidId { field: "room_id" })?;
    let is_redaction = draft.event_type == "m.room.redaction";
    Ok(Pdu {
        version,
        event_id,
        room_id,
        names_room,
        sender: draft.sender,
        timeline_type: TimelineEventType::from(draft.event_type.as_str()),
        event_type: draft.event_type.into_boxed_str(),
        state_key: draft.state_key.map(String::into_boxed_str),
        content,
        origin_server_ts: draft.origin_server_ts,
        prev_events: draft.prev_events.into_iter().map(|cited| cited.event_id).collect(),
        auth_events: draft.auth_events.into_iter().map(|cited| cited.event_id).collect(),
        depth: draft.depth,
        redacts: draft.redacts.filter(|_| is_redaction),
        json: buffer.into_boxed_str(),
    })
}

fn sha256(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// The id of an event that is named by its reference hash.
fn event_id_of_hash(version: RoomVersion, hash: [u8; 32]) -> Result<OwnedEventId, FormatError> {
    let encoded = match version.rules().event_id_format {
        EventIdFormatVersion::V1 | EventIdFormatVersion::V2 => Base64::<Standard, _>::new(hash).encode(),
        _ => Base64::<UrlSafe, _>::new(hash).encode(),
    };
    OwnedEventId::try_from(format!("${encoded}")).map_err(|_| FormatError::InvalidId { field: "event_id" })
}

/// Room for what `hashes` and `signatures` add; a longer server name costs one reallocation.
const SEAL_BYTES: usize = 320;

/// Put `redacts` where the room version wants it; the answer is what stays at the top level.
fn place_redacts(version: RoomVersion, draft: &mut Draft) -> Option<OwnedEventId> {
    if !version.redacts_in_content() {
        return draft.redacts.clone();
    }
    if let Some(target) = &draft.redacts {
        draft.content.insert("redacts".to_owned(), CanonicalJsonValue::String(target.to_string()));
    }
    None
}

/// Whether the redacted form is meant, which never keeps a top-level `redacts`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Redacted {
    Yes,
    No,
}

/// What hashing and signing add to the fields.
#[derive(Clone, Copy)]
struct Seal<'a> {
    content_hash: &'a str,
    signature: Option<&'a str>,
}

/// The fields of an event as JSON, in the runs that stay together in canonical order:
/// `auth_events` | content | `depth` | `event_id` | hashes | `origin_server_ts`, `prev_events` | `redacts` |
/// `room_id`, `sender` | signatures | `state_key`, `type`.
struct Fields {
    auth_events: String,
    depth: u64,
    /// Empty where the id is no part of the event.
    event_id: String,
    time_and_prev_events: String,
    redacts: String,
    room_and_sender: String,
    state_key_and_type: String,
}

impl Fields {
    fn write(
        version: RoomVersion,
        draft: &Draft,
        redacts: Option<OwnedEventId>,
    ) -> Result<Self, serde_json::Error> {
        let auth_events = citations(version, &draft.auth_events)?;
        let time_and_prev_events = format!(
            r#","origin_server_ts":{},"prev_events":{}"#,
            draft.origin_server_ts.get(),
            citations(version, &draft.prev_events)?
        );
        let redacts = match redacts {
            Some(target) => format!(r#","redacts":{}"#, serde_json::to_string(&target)?),
            None => String::new(),
        };
        let sender = serde_json::to_string(&draft.sender)?;
        let room_and_sender = match &draft.room_id {
            Some(room_id) => {
                format!(r#","room_id":{},"sender":{sender}"#, serde_json::to_string(room_id)?)
            }
            None => format!(r#","sender":{sender}"#),
        };
        let event_type = serde_json::to_string(&draft.event_type)?;
        let state_key_and_type = match &draft.state_key {
            Some(key) => {
                format!(r#","state_key":{},"type":{event_type}}}"#, serde_json::to_string(key)?)
            }
            None => format!(r#","type":{event_type}}}"#),
        };
        Ok(Self {
            auth_events,
            depth: draft.depth,
            event_id: String::new(),
            time_and_prev_events,
            redacts,
            room_and_sender,
            state_key_and_type,
        })
    }

    /// Give the event an id of its server's choosing, and write it into the event.
    fn name(&mut self, hash: &[u8; 32], server: &ServerName) -> Result<OwnedEventId, BuildError> {
        // Half of the hash, so that the longest server name leaves room for it.
        let opaque = Base64::<UrlSafe, _>::new(&hash[..16]).encode();
        let id = format!("${opaque}:{server}");
        check_length("event_id", &id)?;
        self.event_id = format!(r#","event_id":{}"#, serde_json::to_string(&id)?);
        Ok(OwnedEventId::try_from(id).map_err(|_| FormatError::InvalidId { field: "event_id" })?)
    }

    fn bytes(&self) -> usize {
        self.auth_events.len()
            + self.event_id.len()
            + self.time_and_prev_events.len()
            + self.redacts.len()
            + self.room_and_sender.len()
            + self.state_key_and_type.len()
    }

    /// Append the canonical JSON of the event to `out`.
    fn join(&self, out: &mut String, content: &str, seal: Option<Seal<'_>>, redacted: Redacted) {
        out.push_str(r#"{"auth_events":"#);
        out.push_str(&self.auth_events);
        out.push_str(r#","content":"#);
        out.push_str(content);
        out.push_str(r#","depth":"#);
        out.push_str(&self.depth.to_string());
        out.push_str(&self.event_id);
        if let Some(seal) = seal {
            out.push_str(r#","hashes":{"sha256":""#);
            out.push_str(seal.content_hash);
            out.push_str(r#""}"#);
        }
        out.push_str(&self.time_and_prev_events);
        if redacted == Redacted::No {
            out.push_str(&self.redacts);
        }
        out.push_str(&self.room_and_sender);
        if let Some(signature) = seal.and_then(|seal| seal.signature) {
            out.push_str(r#","signatures":"#);
            out.push_str(signature);
        }
        out.push_str(&self.state_key_and_type);
    }
}

/// A list of cited events, as the room version writes it.
fn citations(version: RoomVersion, cited: &[Citation]) -> Result<String, serde_json::Error> {
    if !version.cites_by_hash() {
        let ids: Vec<&OwnedEventId> = cited.iter().map(|citation| &citation.event_id).collect();
        return serde_json::to_string(&ids);
    }
    let pairs: Vec<(&OwnedEventId, BTreeMap<&str, &str>)> = cited
        .iter()
        .map(|citation| {
            let hash = citation.sha256.as_deref().unwrap_or_default();
            (&citation.event_id, BTreeMap::from([("sha256", hash)]))
        })
        .collect();
    serde_json::to_string(&pairs)
}

fn signature_entry(server: &ServerName, key_id: &str, signature: &str) -> Result<String, serde_json::Error> {
    let server = serde_json::to_string(server)?;
    let key_id = serde_json::to_string(key_id)?;
    Ok(format!(r#"{{{server}:{{{key_id}:"{signature}"}}}}"#))
}

#[cfg(test)]
mod tests;
