//! The authorisation rules that depend on the state, over parsed facts.
//!
//! The same rules as [`authorise_state_only`], which reads raw events: resolving a large conflict asks them
//! tens of thousands of times about the same few contents. What differs between room versions is `ruma`'s
//! data. Rare shapes (invites by third parties, the special cases of the oldest versions) go to the general
//! function. The property tests hold both to the same verdicts.
//!
//! **Errors**: [`Malformed`](super::facts::Malformed) where a rule reads what cannot be read; it means "no".
//! **Source**: Matrix v1.19, "Authorization rules" of the room versions.

mod levels;
mod member;

use std::sync::Arc;

use ruma::{Int, UserId, room_version_rules::AuthorizationRules};

use super::{
    facts::{Creators, Facts, Field, Kind, Level, Levels, Membership},
    iterative::View,
};
use crate::authorise_state_only;

/// How much a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Power {
    /// As the power levels say.
    Level(Int),
    /// Of a creator, from room version 12: above every level.
    Infinite,
}

impl Default for Power {
    fn default() -> Self {
        Power::Level(Level::UsersDefault.default())
    }
}

/// What a creator has in older versions while there are no power levels.
const CREATOR_LEVEL: i32 = 100;

/// A user's power by some power levels.
pub(super) fn power_of(
    rules: &AuthorizationRules,
    levels: Option<&Levels>,
    user: &UserId,
    creators: &Creators,
) -> Field<Power> {
    if rules.explicitly_privilege_room_creators && creators.contains(user) {
        return Ok(Power::Infinite);
    }
    match levels {
        Some(levels) => levels.user(user).map(Power::Level),
        None if creators.contains(user) => Ok(Power::Level(Int::from(CREATOR_LEVEL))),
        None => Ok(Power::default()),
    }
}

/// The power that something takes.
fn needed(levels: Option<&Levels>, level: Level) -> Field<Power> {
    levels.map_or(Ok(level.default()), |levels| levels.level(level)).map(Power::Level)
}

/// Whether the rules allow the event by the state.
pub(super) fn allowed(view: &View<'_>) -> Field<bool> {
    let (room, event) = (view.room, view.event);
    if event.kind == Kind::Create {
        return Ok(true);
    }
    let Some(create) = view.find(super::keys::KeyNo::CREATE) else { return Ok(false) };
    let Facts::Create(create) = room.facts(create) else { return Ok(false) };
    if !create.federate? && create.sender.server_name() != event.sender().server_name() {
        return Ok(false);
    }
    let is_old_special_case = match event.kind {
        Kind::Aliases => room.rules.special_case_room_aliases,
        Kind::Redaction => room.rules.special_case_room_redaction,
        _ => false,
    };
    if is_old_special_case {
        return Ok(allowed_in_general(view));
    }
    // Not every rule asks who made the room, so only those that do need it to be readable.
    let creators = create.creators.as_ref().map_err(|malformed| *malformed);
    if let Facts::Member(member) = room.facts(event) {
        return member::allowed(view, member, creators);
    }

    if view.membership(event.sender_key())? != Membership::Join {
        return Ok(false);
    }
    let (levels, creators) = (view.levels(), creators?);
    let power = power_of(room.rules, levels, event.sender(), creators)?;
    if event.kind == Kind::ThirdPartyInvite {
        return Ok(power >= needed(levels, Level::Invite)?);
    }
    let takes = match levels {
        Some(levels) => levels.state_event(event.pdu.event_type())?,
        None => Level::StateDefault.default(),
    };
    if power < Power::Level(takes) {
        return Ok(false);
    }
    if event.state_key().starts_with('@') && event.state_key() != event.sender().as_str() {
        return Ok(false);
    }
    match room.facts(event) {
        Facts::Levels(new) => levels::allowed(view, new, levels, power, creators),
        _ => Ok(true),
    }
}

/// The verdict of the general function on the same event and state.
fn allowed_in_general(view: &View<'_>) -> bool {
    let by_key = |kind: &str, state_key: &str| {
        let found = view.room.keys.find(kind, state_key).and_then(|key| view.find(key));
        found.map(|event| Arc::clone(&event.pdu))
    };
    authorise_state_only(view.room.version, &view.event.pdu, by_key).is_ok()
}

#[cfg(test)]
mod tests;
