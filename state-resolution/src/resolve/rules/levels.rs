//! The rules of `m.room.power_levels`: nobody changes what is above them, or to above them.
//!
//! **Source**: Matrix v1.19, "Authorization rules", `m.room.power_levels`.

use std::collections::BTreeMap;

use ruma::Int;

use super::Power;
use crate::resolve::{
    facts::{Creators, Field, Level, Levels, map},
    iterative::View,
};

/// Whether a sender of this power may replace `current` by `new`.
pub(super) fn allowed(
    view: &View<'_>,
    new: &Levels,
    current: Option<&Levels>,
    power: Power,
    creators: &Creators,
) -> Field<bool> {
    let rules = view.room.rules;
    // Every field must be readable, whether or not it changes.
    for level in Level::ALL {
        new.written(level)?;
    }
    let (new_events, new_notifications, new_users) =
        (map(&new.events)?, map(&new.notifications)?, map(&new.users)?);
    if rules.explicitly_privilege_room_creators
        && new_users.is_some_and(|users| creators.all().any(|creator| users.contains_key(creator)))
    {
        return Ok(false);
    }
    let Some(current) = current else { return Ok(true) };

    for level in Level::ALL {
        let (old, new) = (current.written(level)?, new.written(level)?);
        let too_high = |value: Option<Int>| Power::Level(value.unwrap_or_else(|| level.default())) > power;
        if old != new && (too_high(old) || too_high(new)) {
            return Ok(false);
        }
    }
    let above = |_: &_, old: Int| Power::Level(old) > power;
    if !changes_allowed(map(&current.events)?, new_events, power, above) {
        return Ok(false);
    }
    if rules.limit_notifications_power_levels
        && !changes_allowed(map(&current.notifications)?, new_notifications, power, above)
    {
        return Ok(false);
    }
    // Of another user, a level equal to the sender's own is out of reach too.
    let sender = view.event.sender();
    let others = |user: &ruma::OwnedUserId, old: Int| user != sender && Power::Level(old) >= power;
    Ok(changes_allowed(map(&current.users)?, new_users, power, others))
}

/// Whether every entry that differs may be changed: the old value is not `untouchable`, the new one not
/// above the sender.
fn changes_allowed<K: Ord>(
    old: Option<&BTreeMap<K, Int>>,
    new: Option<&BTreeMap<K, Int>>,
    power: Power,
    untouchable: impl Fn(&K, Int) -> bool,
) -> bool {
    let (old, new) = (old.into_iter().flatten(), new.into_iter().flatten());
    let (mut old, mut new) = (old.peekable(), new.peekable());
    // Both are sorted, so one pass meets each key once.
    loop {
        let (before, after) = match (old.peek(), new.peek()) {
            (None, None) => return true,
            (Some((old_key, _)), Some((new_key, _))) if old_key == new_key => (old.next(), new.next()),
            (Some((old_key, _)), Some((new_key, _))) if old_key > new_key => (None, new.next()),
            (Some(_), _) => (old.next(), None),
            (None, Some(_)) => (None, new.next()),
        };
        let changed = before.map(|(_, level)| level) != after.map(|(_, level)| level);
        let kept_out = before.is_some_and(|(key, level)| untouchable(key, *level))
            || after.is_some_and(|(_, level)| Power::Level(*level) > power);
        if changed && kept_out {
            return false;
        }
    }
}
