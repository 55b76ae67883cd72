//! Events as `ruma`'s rules are to see them, where those read them otherwise than other servers do.
//!
//! * `ruma` folds some event types into one another. For the rules each name is a type of its own, so a name
//!   that would be folded is marked with a byte that no name begins with, in `events` of power levels as well.
//! * Before version 6 nothing is said of `notifications` in power levels, yet `ruma` refuses what it cannot
//!   read there: it does not get to see them.
//! * A state without join rules is read as `invite`, as Synapse and Dendrite have it; `ruma` would refuse
//!   even the members' own events.
//!
//! **Source**: the differential test `sytest-like-tests/tests/test_synapse_rules.py` found all three.

use std::{ops::Deref, sync::Arc};

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedEventId, RoomId, UserId,
    events::{StateEventType, TimelineEventType},
    state_res,
};
use serde_json::{
    Map, Value,
    value::{RawValue as RawJsonValue, to_raw_value},
};

use crate::{Pdu, RoomVersion};

/// An event, its type and its content as the rules are to see them.
pub(crate) struct Judged<P> {
    pdu: P,
    kind: TimelineEventType,
    /// In place of the event's own.
    content: Option<Box<RawJsonValue>>,
}

/// Where a state event comes from.
pub(crate) enum Found<'a> {
    Held(Arc<Pdu>),
    /// There is none: some event of the room stands in for it, with another content.
    Absent(&'a Pdu),
}

impl Deref for Found<'_> {
    type Target = Pdu;

    fn deref(&self) -> &Pdu {
        match self {
            Found::Held(pdu) => pdu,
            Found::Absent(pdu) => pdu,
        }
    }
}

impl<P: Deref<Target = Pdu>> Judged<P> {
    pub(crate) fn new(version: RoomVersion, pdu: P) -> Self {
        let content = if pdu.event_type() == "m.room.power_levels" { levels(version, &pdu) } else { None };
        let kind = match pdu.timeline_type().to_string() == pdu.event_type() {
            true => pdu.timeline_type().clone(),
            false => marked(pdu.event_type()).into(),
        };
        Self { pdu, kind, content }
    }
}

impl<'a> Judged<Found<'a>> {
    /// What stands for a state event that is not there: `invite` for join rules, nothing for others.
    pub(crate) fn absent(kind: &StateEventType, event: &'a Pdu) -> Option<Self> {
        if *kind != StateEventType::RoomJoinRules {
            return None;
        }
        let content = to_raw_value(&serde_json::json!({ "join_rule": "invite" })).ok();
        Some(Self { pdu: Found::Absent(event), kind: TimelineEventType::RoomJoinRules, content })
    }
}

/// A name that `ruma` would take for another.
fn marked(name: &str) -> String {
    format!("\0{name}")
}

/// The content of power levels as the rules are to see it, where that is not what it is.
fn levels(version: RoomVersion, pdu: &Pdu) -> Option<Box<RawJsonValue>> {
    let text = pdu.content().get();
    let without_notifications =
        !version.rules().authorization.limit_notifications_power_levels && text.contains("notifications");
    // All names that are folded belong to drafts of the specification.
    let perhaps_folded = text.contains("org.matrix.");
    if !without_notifications && !perhaps_folded {
        return None;
    }
    let mut content: Map<String, Value> = serde_json::from_str(text).ok()?;
    if without_notifications {
        content.remove("notifications");
    }
    if let Some(Value::Object(events)) = content.get_mut("events") {
        let names = std::mem::take(events).into_iter();
        *events = names.map(|(name, level)| (told_apart(name), level)).collect();
    }
    to_raw_value(&content).ok()
}

fn told_apart(name: String) -> String {
    match TimelineEventType::from(name.as_str()).to_string() == name {
        true => name,
        false => marked(&name),
    }
}

impl<P: Deref<Target = Pdu>> state_res::Event for Judged<P> {
    type Id = OwnedEventId;

    fn event_id(&self) -> &Self::Id {
        state_res::Event::event_id(&*self.pdu)
    }

    fn room_id(&self) -> Option<&RoomId> {
        state_res::Event::room_id(&*self.pdu)
    }

    fn sender(&self) -> &UserId {
        self.pdu.sender()
    }

    fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        self.pdu.origin_server_ts()
    }

    fn event_type(&self) -> &TimelineEventType {
        &self.kind
    }

    fn content(&self) -> &RawJsonValue {
        self.content.as_deref().unwrap_or_else(|| self.pdu.content())
    }

    fn state_key(&self) -> Option<&str> {
        self.pdu.state_key()
    }

    fn prev_events(&self) -> Box<dyn DoubleEndedIterator<Item = &Self::Id> + '_> {
        state_res::Event::prev_events(&*self.pdu)
    }

    fn auth_events(&self) -> Box<dyn DoubleEndedIterator<Item = &Self::Id> + '_> {
        state_res::Event::auth_events(&*self.pdu)
    }

    fn redacts(&self) -> Option<&Self::Id> {
        state_res::Event::redacts(&*self.pdu)
    }

    fn rejected(&self) -> bool {
        false
    }
}
