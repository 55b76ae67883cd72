//! The authorisation rules: may this event be, given the events it cites and a state?
//!
//! Three checks use this module: against the event's own auth events and against the state before it
//! (failing either, the event is rejected), and against the current state (failing, it is soft-failed).
//! [`authorise`] is the first of them, [`authorise_state_only`] the others; [`auth_types`] says what a new
//! event has to cite.
//!
//! **Errors**: [`AuthError`] is a verdict with its reason, not a failure of ours.
//! **Source**: Matrix v1.19, server-server API, "Authorization rules"; the rules are `ruma`'s.

use std::sync::Arc;

use ruma::{
    EventId, UserId,
    events::{StateEventType, TimelineEventType},
    state_res::{
        self, auth_types_for_event, check_state_dependent_auth_rules, check_state_independent_auth_rules,
    },
};
use serde::Deserialize;
use serde_json::value::RawValue as RawJsonValue;
use thiserror::Error;

use crate::{Pdu, RoomVersion};

/// Why an event may not be.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AuthError {
    /// Its content lacks what the rules must read.
    #[error("malformed content: {reason}")]
    Malformed {
        /// What is missing or wrong.
        reason: String,
    },
    /// The auth events it cites are not the ones it must cite.
    #[error("auth events: {reason}")]
    AuthEvents {
        /// Which rule it breaks.
        reason: String,
    },
    /// The state does not allow it.
    #[error("forbidden by the state: {reason}")]
    State {
        /// Which rule it breaks.
        reason: String,
    },
    /// It founds a room of another version than it was read with.
    #[error("create event of room version {found}")]
    RoomVersion {
        /// The version its content names; `1` when it names none.
        found: String,
    },
}

/// The `(type, state_key)` pairs that an event of this shape must cite, as far as the state has them.
pub fn auth_types(
    version: RoomVersion,
    event_type: &str,
    sender: &UserId,
    state_key: Option<&str>,
    content: &RawJsonValue,
) -> Result<Vec<(String, String)>, AuthError> {
    let timeline_type = TimelineEventType::from(event_type);
    let pairs =
        auth_types_for_event(&timeline_type, sender, state_key, content, &version.rules().authorization)
            .map_err(|reason| AuthError::Malformed { reason })?;
    Ok(pairs.into_iter().map(|(kind, key)| (kind.to_string(), key)).collect())
}

/// Judge an event by the events it cites and by a state.
///
/// `fetch_event` finds the events it cites (and, where the room id is the create event's, that one);
/// `fetch_state` finds the state event of a type and key.
pub fn authorise(
    version: RoomVersion,
    event: &Pdu,
    fetch_event: impl Fn(&EventId) -> Option<Arc<Pdu>>,
    fetch_state: impl Fn(&str, &str) -> Option<Arc<Pdu>>,
) -> Result<(), AuthError> {
    authorise_citations(version, event, fetch_event)?;
    authorise_state_only(version, event, fetch_state)
}

/// Judge an event by what it cites alone: the first check on receipt.
pub fn authorise_by_auth_events(
    version: RoomVersion,
    event: &Pdu,
    fetch_event: impl Fn(&EventId) -> Option<Arc<Pdu>>,
) -> Result<(), AuthError> {
    authorise_citations(version, event, &fetch_event)?;
    let mut cited: Vec<Arc<Pdu>> = event.auth_events().iter().filter_map(|id| fetch_event(id)).collect();
    if version.room_id_is_create_event() {
        cited.extend(create_event_id(event).and_then(|id| fetch_event(&id)));
    }
    authorise_state_only(version, event, |kind, key| {
        cited.iter().find(|pdu| pdu.event_type() == kind && pdu.state_key() == Some(key)).cloned()
    })
}

/// Judge an event by a state alone, its citations having been judged before.
pub fn authorise_state_only(
    version: RoomVersion,
    event: &Pdu,
    fetch_state: impl Fn(&str, &str) -> Option<Arc<Pdu>>,
) -> Result<(), AuthError> {
    check_state_dependent_auth_rules(&version.rules().authorization, event, |kind: &StateEventType, key| {
        fetch_state(&kind.to_string(), key)
    })
    .map_err(|reason| AuthError::State { reason })
}

fn authorise_citations(
    version: RoomVersion,
    event: &Pdu,
    fetch_event: impl Fn(&EventId) -> Option<Arc<Pdu>>,
) -> Result<(), AuthError> {
    if event.event_type() == "m.room.create" {
        check_room_version(version, event)?;
    }
    check_state_independent_auth_rules(&version.rules().authorization, event, fetch_event)
        .map_err(|reason| AuthError::AuthEvents { reason })
}

/// `ruma` leaves this rule to its caller, who alone knows with which rules the event is read.
fn check_room_version(version: RoomVersion, create: &Pdu) -> Result<(), AuthError> {
    #[derive(Deserialize)]
    struct Content {
        room_version: Option<String>,
    }
    let content: Content =
        create.content_as().map_err(|error| AuthError::Malformed { reason: error.to_string() })?;
    let found = content.room_version.unwrap_or_else(|| "1".to_owned());
    if found != version.as_str() {
        return Err(AuthError::RoomVersion { found });
    }
    Ok(())
}

/// The create event's id, where the room id is made of it.
pub(crate) fn create_event_id(event: &impl state_res::Event) -> Option<ruma::OwnedEventId> {
    EventId::parse(format!("${}", event.room_id()?.strip_sigil())).ok()
}

#[cfg(test)]
mod tests;
