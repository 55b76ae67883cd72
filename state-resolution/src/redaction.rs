//! Whether a redaction that was accepted takes effect.
//!
//! From room version 3 on the rules let anybody send a redaction; whether it empties its target is a second
//! question, asked once both are held. The answer is about one pair of events: redactions of redactions, in a
//! circle or in a long row, are each asked once and lead nowhere further.
//!
//! **Errors**: [`RedactionRefused`]: the redaction stays in the room, its target stays as it is.
//! **Source**: Matrix v1.19, room version 3, "Handling redactions"; version 1, rule for `m.room.redaction`.

use std::sync::Arc;

use ruma::events::room::power_levels::UserPowerLevel;
use ruma::state_res::events::{RoomCreateEvent, RoomPowerLevelsEvent, RoomPowerLevelsIntField};
use thiserror::Error;

use crate::Pdu;

/// Why a redaction does not touch an event.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RedactionRefused {
    /// It is no redaction, or one of another event.
    #[error("not a redaction of this event")]
    OtherTarget,
    /// The two are not in one room.
    #[error("redaction of an event of another room")]
    OtherRoom,
    /// Without its content nobody could tell the room's version and creator any more.
    #[error("create events are not redacted")]
    Create,
    /// The sender has neither the power nor a word in it.
    #[error("sender may not redact this event")]
    Forbidden,
}

/// What a creator has before there are power levels.
const CREATOR_LEVEL: i32 = 100;

/// Whether a redaction empties its target, `fetch_state` being the state before the redaction.
pub fn redaction_takes_effect(
    redaction: &Pdu,
    target: &Pdu,
    fetch_state: impl Fn(&str, &str) -> Option<Arc<Pdu>>,
) -> Result<(), RedactionRefused> {
    if redaction.redacts() != Some(target.event_id()) {
        return Err(RedactionRefused::OtherTarget);
    }
    if redaction.room_id() != target.room_id() || redaction.version() != target.version() {
        return Err(RedactionRefused::OtherRoom);
    }
    if target.event_type() == "m.room.create" {
        return Err(RedactionRefused::Create);
    }
    let is_of_same_server = match redaction.version().names_its_events() {
        // The sender's server may have chosen an id in another's name, but that one had to sign it.
        true => redaction.event_id().server_name() == target.event_id().server_name(),
        false => redaction.sender().server_name() == target.sender().server_name(),
    };
    match is_of_same_server || has_redact_level(redaction, fetch_state) {
        true => Ok(()),
        false => Err(RedactionRefused::Forbidden),
    }
}

/// What cannot be read gives no power.
fn has_redact_level(redaction: &Pdu, fetch_state: impl Fn(&str, &str) -> Option<Arc<Pdu>>) -> bool {
    let rules = &redaction.version().rules().authorization;
    let Some(create) = fetch_state("m.room.create", "").map(RoomCreateEvent::new) else { return false };
    let Ok(creators) = create.creators(rules) else { return false };
    let is_creator = creators.contains(redaction.sender());
    let levels = fetch_state("m.room.power_levels", "").map(RoomPowerLevelsEvent::new);
    let needed = RoomPowerLevelsIntField::Redact;
    let needed = match &levels {
        Some(levels) => levels.get_as_int_or_default(needed, rules),
        None => Ok(needed.default_value()),
    };
    let power = match &levels {
        _ if is_creator && rules.explicitly_privilege_room_creators => Ok(UserPowerLevel::Infinite),
        Some(levels) => levels.user_power_level(redaction.sender(), rules).map(UserPowerLevel::from),
        None if is_creator => Ok(UserPowerLevel::from(ruma::Int::from(CREATOR_LEVEL))),
        None => Ok(UserPowerLevel::from(ruma::Int::from(0))),
    };
    matches!((power, needed), (Ok(power), Ok(needed)) if power >= needed)
}
