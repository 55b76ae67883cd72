//! The authorisation rules: may this event be, given the events it cites and a state?
//!
//! Three checks use this module: against the event's own auth events and against the state before it
//! (failing either, the event is rejected), and against the current state (failing, it is soft-failed).
//! [`authorise`] is the first of them, [`authorise_state_only`] the others; [`auth_types`] says what a new
//! event has to cite.
//!
//! **Errors**: [`AuthError`] is a verdict with its reason, not a failure of ours.
//! **Source**: Matrix v1.19, server-server API, "Authorization rules"; the rules are `ruma`'s, see `judged`
//! for where they are helped along.

use std::{collections::BTreeMap, sync::Arc};

use ruma::{
    EventId, OwnedEventId, UserId,
    events::{StateEventType, TimelineEventType},
    state_res::{
        self, auth_types_for_event, check_state_dependent_auth_rules, check_state_independent_auth_rules,
    },
};
use serde::Deserialize;
use serde_json::value::RawValue as RawJsonValue;
use thiserror::Error;

use self::judged::{Found, Judged};
use crate::{Pdu, RoomVersion};

mod judged;

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
    /// It cites an event that was rejected.
    #[error("auth event {event_id} was rejected")]
    RejectedAuthEvent {
        /// The cited event.
        event_id: OwnedEventId,
    },
    /// It cites an event that is not held: nothing can be said of it before that one is.
    #[error("auth event {event_id} is not held")]
    UnknownAuthEvent {
        /// The cited event.
        event_id: OwnedEventId,
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

/// What is known of an event that another one cites.
#[derive(Clone, Debug)]
pub enum Cited {
    /// It was accepted.
    Accepted(Arc<Pdu>),
    /// It was rejected when it came: whatever rests on it is rejected too, whichever way it comes.
    Rejected,
    /// It is not held.
    Unknown,
}

impl From<Option<Arc<Pdu>>> for Cited {
    fn from(event: Option<Arc<Pdu>>) -> Self {
        event.map_or(Cited::Unknown, Cited::Accepted)
    }
}

/// Judge an event by the events it cites and by a state.
///
/// `fetch_event` finds the events it cites (and, where the room id is the create event's, that one);
/// `fetch_state` finds the state event of a type and key.
pub fn authorise<C: Into<Cited>>(
    version: RoomVersion,
    event: &Pdu,
    fetch_event: impl Fn(&EventId) -> C,
    fetch_state: impl Fn(&str, &str) -> Option<Arc<Pdu>>,
) -> Result<(), AuthError> {
    citations(version, event, fetch_event)?;
    authorise_state_only(version, event, fetch_state)
}

/// Judge an event by what it cites alone: the first check on receipt.
pub fn authorise_by_auth_events<C: Into<Cited>>(
    version: RoomVersion,
    event: &Pdu,
    fetch_event: impl Fn(&EventId) -> C,
) -> Result<(), AuthError> {
    let cited = citations(version, event, fetch_event)?;
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
    let rules = &version.rules().authorization;
    check_state_dependent_auth_rules(rules, Judged::new(version, event), |kind: &StateEventType, key| {
        match fetch_state(&kind.to_string(), key) {
            Some(pdu) => Some(Judged::new(version, Found::Held(pdu))),
            None => Judged::absent(kind, event),
        }
    })
    .map_err(|reason| AuthError::State { reason })
}

/// The events that an event cites, the create event that its room id implies included, if it may cite them.
fn citations<C: Into<Cited>>(
    version: RoomVersion,
    event: &Pdu,
    fetch_event: impl Fn(&EventId) -> C,
) -> Result<Vec<Arc<Pdu>>, AuthError> {
    let rules = &version.rules().authorization;
    let implied = match event.event_type() == "m.room.create" {
        true => {
            check_room_version(version, event)?;
            None
        }
        false if version.room_id_is_create_event() => create_event_id(event),
        false => None,
    };
    let mut accepted = BTreeMap::new();
    for id in event.auth_events().iter().chain(&implied) {
        match fetch_event(id).into() {
            Cited::Accepted(pdu) => accepted.insert(id.as_str(), pdu),
            Cited::Rejected => return Err(AuthError::RejectedAuthEvent { event_id: id.clone() }),
            Cited::Unknown => return Err(AuthError::UnknownAuthEvent { event_id: id.clone() }),
        };
    }
    if let Some(create) = implied.as_ref().and_then(|id| accepted.get(id.as_str())) {
        check_is_create(create)?;
    }
    check_state_independent_auth_rules(rules, event, |id| accepted.get(id.as_str()).cloned())
        .map_err(|reason| AuthError::AuthEvents { reason })?;
    Ok(accepted.into_values().collect())
}

/// An event of another type has no room id that could be made of its own id, but nobody checks that.
fn check_is_create(event: &Pdu) -> Result<(), AuthError> {
    if event.event_type() == "m.room.create" {
        return Ok(());
    }
    let reason = format!("the room id names {}, which founds no room", event.event_id());
    Err(AuthError::AuthEvents { reason })
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
