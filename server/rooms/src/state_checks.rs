//! State that the authorisation rules let through and that would be wrong all the same: aliases of other
//! rooms, server ACLs of no shape, power levels that no later version reads.
//!
//! Only what local users send is checked; a remote server's event is as it is.
//!
//! **Source**: Matrix v1.19, client-server API: `m.room.canonical_alias`, `m.room.server_acl`,
//! `m.room.power_levels`.

use std::collections::BTreeSet;

use nexus_event_store::RoomNo;
use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedRoomAliasId, UserId};

use crate::{RoomRefusal, RoomsError, decision::Decision, error::Rejection};

/// The most aliases that a room names, and the most entries of an ACL's list.
const ENTRIES_MAX: usize = 1000;

impl Decision<'_> {
    /// Refuses state that must not be, whoever may set it.
    pub(crate) async fn check_state(
        &mut self,
        room: RoomNo,
        event_type: &str,
        state_key: &str,
        content: &CanonicalJsonObject,
    ) -> Result<(), RoomsError> {
        match (event_type, state_key) {
            ("m.room.create", _) => Err(bad("type", "a room is created once")),
            ("m.room.canonical_alias", "") => self.check_aliases(room, content).await,
            ("m.room.server_acl", "") => check_acl(content),
            ("m.room.power_levels", "") => self.check_levels(room, content).await,
            _ => Ok(()),
        }
    }

    /// Whatever a room newly says that it is called must lead to it.
    async fn check_aliases(&mut self, room: RoomNo, content: &CanonicalJsonObject) -> Result<(), RoomsError> {
        let named = named_aliases(content)?;
        if named.is_empty() {
            return Ok(());
        }
        let state = self.room(room).await?.state;
        let before = self.reader().state_event(room, state, "m.room.canonical_alias", "").await?;
        let before: CanonicalJsonObject =
            before.and_then(|event| event.pdu.content_as().ok()).unwrap_or_default();
        let known = named_aliases(&before).unwrap_or_default();
        for alias in named.difference(&known) {
            let id = OwnedRoomAliasId::try_from(alias.as_str())
                .map_err(|error| RoomRefusal::AliasSyntax { reason: format!("{alias}: {error}") })?;
            if self.reader().alias(&id).await?.is_none_or(|row| row.room != room) {
                return Err(RoomRefusal::ForeignAlias { alias: alias.clone() }.into());
            }
        }
        Ok(())
    }

    /// Creators are above all levels: none is given to them. Levels are integers.
    async fn check_levels(&mut self, room: RoomNo, content: &CanonicalJsonObject) -> Result<(), RoomsError> {
        for (field, value) in content {
            let integral = match value {
                CanonicalJsonValue::Object(levels) => {
                    levels.values().all(|level| matches!(level, CanonicalJsonValue::Integer(_)))
                }
                CanonicalJsonValue::Integer(_) => true,
                _ => !LEVELS.contains(&field.as_str()),
            };
            if !integral && LEVELS.contains(&field.as_str()) {
                return Err(bad("content", &format!("{field} must have integers as levels")));
            }
        }
        let Some(CanonicalJsonValue::Object(users)) = content.get("users") else { return Ok(()) };
        let power = self.power(room).await?;
        for user in users.keys() {
            let Ok(user) = <&UserId>::try_from(user.as_str()) else {
                return Err(bad("users", "must have user ids as keys"));
            };
            if power.level_of(user) == i64::MAX {
                return Err(bad("users", "must not name a creator of the room"));
            }
        }
        Ok(())
    }
}

/// The fields of power levels that hold levels.
const LEVELS: [&str; 10] = [
    "ban",
    "events",
    "events_default",
    "invite",
    "kick",
    "notifications",
    "redact",
    "state_default",
    "users",
    "users_default",
];

fn bad(field: &'static str, problem: &str) -> RoomsError {
    Rejection::BadField { field, problem: problem.to_owned() }.into()
}

/// The aliases that content names.
fn named_aliases(content: &CanonicalJsonObject) -> Result<BTreeSet<String>, RoomsError> {
    let mut named = BTreeSet::new();
    match content.get("alias") {
        None | Some(CanonicalJsonValue::Null) => {}
        Some(CanonicalJsonValue::String(alias)) => {
            named.extend((!alias.is_empty()).then(|| alias.clone()));
        }
        Some(_) => return Err(bad("alias", "must be a string")),
    }
    match content.get("alt_aliases") {
        None | Some(CanonicalJsonValue::Null) => {}
        Some(CanonicalJsonValue::Array(others)) if others.len() <= ENTRIES_MAX => {
            for other in others {
                let alias = other.as_str().ok_or_else(|| bad("alt_aliases", "must be strings"))?;
                named.insert(alias.to_owned());
            }
        }
        Some(_) => return Err(bad("alt_aliases", "must be a list of at most 1000 strings")),
    }
    Ok(named)
}

fn check_acl(content: &CanonicalJsonObject) -> Result<(), RoomsError> {
    for field in ["allow", "deny"] {
        let entries = match content.get(field) {
            None => continue,
            Some(CanonicalJsonValue::Array(entries)) => entries,
            Some(_) => return Err(bad(acl(field), "must be a list of server names")),
        };
        if entries.len() > ENTRIES_MAX || entries.iter().any(|entry| entry.as_str().is_none()) {
            return Err(bad(acl(field), "must be a list of at most 1000 server names"));
        }
    }
    match content.get("allow_ip_literals") {
        None | Some(CanonicalJsonValue::Bool(_)) => {}
        Some(_) => return Err(bad("allow_ip_literals", "must be a boolean")),
    }
    // Nobody could ever change such a list again.
    let Some(CanonicalJsonValue::Array(allow)) = content.get("allow") else {
        return Err(bad("allow", "must name the servers that may take part"));
    };
    if allow.is_empty() { Err(bad("allow", "must name the servers that may take part")) } else { Ok(()) }
}

fn acl(field: &str) -> &'static str {
    if field == "allow" { "allow" } else { "deny" }
}
