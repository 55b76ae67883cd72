//! The event format: which fields a PDU has, of which type, and how large it may be.
//!
//! [`check_format`] judges foreign JSON, `check_draft` judges what a command wants to append; both
//! answer with the same [`FormatError`]. `ruma` has such a check too, but it refuses an event of exactly
//! 65,536 bytes, which the specification allows, and leaves `content` and `origin_server_ts` unchecked.
//!
//! **Units**: bytes of UTF-8, of canonical JSON for the whole event.
//! **Source**: Matrix v1.19, client-server API "Size limits"; server-server API, PDU definitions.

use ruma::{CanonicalJsonObject, CanonicalJsonValue, EventId, Int, RoomId, UserId};
use thiserror::Error;

use crate::{Citation, Draft, RoomVersion};

/// The most bytes an event has in federation form: canonical JSON with hashes and signatures.
pub const EVENT_BYTES_MAX: usize = 65_536;

/// The most bytes a sender, room id, event id, type or state key has.
pub const FIELD_BYTES_MAX: usize = 255;

/// The most `prev_events` an event may cite.
pub const PREV_EVENTS_MAX: usize = 20;

/// The most `auth_events` an event may cite.
pub const AUTH_EVENTS_MAX: usize = 10;

/// The greatest depth; what is deeper claims this one too.
pub(crate) const DEPTH_MAX: u64 = (1 << 53) - 1;

/// Why something is not an event of its room version.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FormatError {
    /// The canonical JSON is too long.
    #[error("event has {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The most it may have.
        limit: usize,
    },
    /// A string field is too long.
    #[error("field {field} has {bytes} bytes, the limit is {limit}")]
    FieldTooLong {
        /// The field.
        field: &'static str,
        /// Its length.
        bytes: usize,
        /// The most it may have.
        limit: usize,
    },
    /// A list field has too many entries.
    #[error("field {field} has {count} entries, the limit is {limit}")]
    TooMany {
        /// The field.
        field: &'static str,
        /// The entries it has.
        count: usize,
        /// The most it may have.
        limit: usize,
    },
    /// A required field is absent.
    #[error("field {field} is missing")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// A field is there that this room version forbids.
    #[error("field {field} is forbidden here")]
    Forbidden {
        /// The field.
        field: &'static str,
    },
    /// A field has another JSON type than it must.
    #[error("field {field} is not {expected}")]
    WrongType {
        /// The field.
        field: &'static str,
        /// The type it must have, with its article.
        expected: &'static str,
    },
    /// A field does not hold a valid id.
    #[error("field {field} holds an invalid id")]
    InvalidId {
        /// The field.
        field: &'static str,
    },
    /// A number is outside what the field allows.
    #[error("field {field} is out of range")]
    OutOfRange {
        /// The field.
        field: &'static str,
    },
    /// A cited event lacks the hash that this room version asks for.
    #[error("field {field} cites an event without its hash")]
    NoHash {
        /// The field.
        field: &'static str,
    },
    /// The create event is cited although this room version implies it.
    #[error("auth_events cite the create event")]
    CreateCited,
}

/// Check the event format of `version` on a PDU without `unsigned`.
///
/// `json_bytes` is the length of its canonical JSON.
pub fn check_format(
    version: RoomVersion,
    event: &CanonicalJsonObject,
    json_bytes: usize,
) -> Result<(), FormatError> {
    check_size(json_bytes)?;
    let rules = &version.rules().event_format;

    let event_type = required(event, "type").and_then(|value| short_string(value, "type"))?;
    let sender = required(event, "sender").and_then(|value| short_string(value, "sender"))?;
    <&UserId>::try_from(sender).map_err(|_| FormatError::InvalidId { field: "sender" })?;
    if let Some(state_key) = event.get("state_key") {
        short_string(state_key, "state_key")?;
    }

    let is_create = event_type == "m.room.create";
    let room_id = match event.get("room_id") {
        None if is_create && !rules.require_room_create_room_id => None,
        None => return Err(FormatError::Missing { field: "room_id" }),
        Some(_) if is_create && !rules.require_room_create_room_id => {
            return Err(FormatError::Forbidden { field: "room_id" });
        }
        Some(value) => Some(
            <&RoomId>::try_from(short_string(value, "room_id")?)
                .map_err(|_| FormatError::InvalidId { field: "room_id" })?,
        ),
    };

    if rules.require_event_id {
        let id = required(event, "event_id").and_then(|value| short_string(value, "event_id"))?;
        let named = <&EventId>::try_from(id).ok().and_then(EventId::server_name);
        named.ok_or(FormatError::InvalidId { field: "event_id" })?;
    }
    event_ids(version, event, "prev_events", PREV_EVENTS_MAX)?;
    let auth_events = event_ids(version, event, "auth_events", AUTH_EVENTS_MAX)?;
    check_create_not_cited(version, room_id, auth_events.iter().copied())?;

    natural(event, "depth")?;
    natural(event, "origin_server_ts")?;
    object(event, "content")?;
    object(event, "hashes")?;
    object(event, "signatures")?;
    Ok(())
}

/// Check what a draft says before anything is hashed; the size is known only afterwards.
pub(crate) fn check_draft(version: RoomVersion, draft: &Draft) -> Result<(), FormatError> {
    let rules = &version.rules().event_format;
    check_length("type", &draft.event_type)?;
    check_length("sender", draft.sender.as_str())?;
    check_length("state_key", draft.state_key.as_deref().unwrap_or_default())?;
    check_length("room_id", draft.room_id.as_ref().map(|id| id.as_str()).unwrap_or_default())?;
    check_length("redacts", draft.redacts.as_ref().map(|id| id.as_str()).unwrap_or_default())?;

    let is_create = draft.event_type == "m.room.create";
    let names_room = !is_create || rules.require_room_create_room_id;
    match (&draft.room_id, names_room) {
        (None, true) => return Err(FormatError::Missing { field: "room_id" }),
        (Some(_), false) => return Err(FormatError::Forbidden { field: "room_id" }),
        (Some(_), true) | (None, false) => {}
    }

    check_citations(version, "prev_events", &draft.prev_events, PREV_EVENTS_MAX)?;
    check_citations(version, "auth_events", &draft.auth_events, AUTH_EVENTS_MAX)?;
    let cited = draft.auth_events.iter().map(|cited| cited.event_id.as_str());
    check_create_not_cited(version, draft.room_id.as_deref(), cited)?;
    Ok(())
}

fn check_citations(
    version: RoomVersion,
    field: &'static str,
    cited: &[Citation],
    limit: usize,
) -> Result<(), FormatError> {
    check_count(field, cited.len(), limit)?;
    for citation in cited {
        check_length(field, citation.event_id.as_str())?;
        if version.cites_by_hash() && citation.sha256.is_none() {
            return Err(FormatError::NoHash { field });
        }
    }
    Ok(())
}

pub(crate) fn check_size(bytes: usize) -> Result<(), FormatError> {
    if bytes > EVENT_BYTES_MAX {
        return Err(FormatError::TooLarge { bytes, limit: EVENT_BYTES_MAX });
    }
    Ok(())
}

fn check_create_not_cited<'a>(
    version: RoomVersion,
    room_id: Option<&RoomId>,
    mut auth_events: impl Iterator<Item = &'a str>,
) -> Result<(), FormatError> {
    if version.rules().event_format.allow_room_create_in_auth_events {
        return Ok(());
    }
    let Some(room_id) = room_id else { return Ok(()) };
    if auth_events.any(|id| id.strip_prefix('$') == Some(room_id.strip_sigil())) {
        return Err(FormatError::CreateCited);
    }
    Ok(())
}

pub(crate) fn check_length(field: &'static str, value: &str) -> Result<(), FormatError> {
    if value.len() > FIELD_BYTES_MAX {
        return Err(FormatError::FieldTooLong { field, bytes: value.len(), limit: FIELD_BYTES_MAX });
    }
    Ok(())
}

fn check_count(field: &'static str, count: usize, limit: usize) -> Result<(), FormatError> {
    if count > limit {
        return Err(FormatError::TooMany { field, count, limit });
    }
    Ok(())
}

fn required<'a>(
    event: &'a CanonicalJsonObject,
    field: &'static str,
) -> Result<&'a CanonicalJsonValue, FormatError> {
    event.get(field).ok_or(FormatError::Missing { field })
}

fn short_string<'a>(value: &'a CanonicalJsonValue, field: &'static str) -> Result<&'a str, FormatError> {
    let text = value.as_str().ok_or(FormatError::WrongType { field, expected: "a string" })?;
    check_length(field, text)?;
    Ok(text)
}

/// A list of cited events, each entry checked.
fn event_ids<'a>(
    version: RoomVersion,
    event: &'a CanonicalJsonObject,
    field: &'static str,
    limit: usize,
) -> Result<Vec<&'a str>, FormatError> {
    let list = required(event, field)?
        .as_array()
        .ok_or(FormatError::WrongType { field, expected: "a list of event ids" })?;
    check_count(field, list.len(), limit)?;
    let mut ids = Vec::with_capacity(list.len());
    for entry in list {
        let id = if version.cites_by_hash() { cited_by_hash(entry, field)? } else { entry };
        let id = short_string(id, field)?;
        <&EventId>::try_from(id).map_err(|_| FormatError::InvalidId { field })?;
        ids.push(id);
    }
    Ok(ids)
}

/// The id of a pair of id and hashes. The hashes are not judged: no server ever compared them.
fn cited_by_hash<'a>(
    entry: &'a CanonicalJsonValue,
    field: &'static str,
) -> Result<&'a CanonicalJsonValue, FormatError> {
    match entry.as_array() {
        Some([id, CanonicalJsonValue::Object(_)]) => Ok(id),
        _ => Err(FormatError::WrongType { field, expected: "a list of pairs of event id and hashes" }),
    }
}

fn natural(event: &CanonicalJsonObject, field: &'static str) -> Result<(), FormatError> {
    let number = required(event, field)?
        .as_integer()
        .ok_or(FormatError::WrongType { field, expected: "an integer" })?;
    if number < Int::from(0) {
        return Err(FormatError::OutOfRange { field });
    }
    Ok(())
}

fn object(event: &CanonicalJsonObject, field: &'static str) -> Result<(), FormatError> {
    match required(event, field)? {
        CanonicalJsonValue::Object(_) => Ok(()),
        _ => Err(FormatError::WrongType { field, expected: "an object" }),
    }
}

#[cfg(test)]
mod tests;
