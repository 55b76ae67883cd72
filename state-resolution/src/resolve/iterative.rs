//! Steps 2 and 4: iterative auth checks.
//!
//! Events are taken in order; one that the rules allow by the state so far enters it. Where the state lacks
//! what a rule asks for, the event's own citation of that key stands in.
//!
//! **Source**: Matrix v1.19, room version 2, "Iterative auth checks".

use super::{
    facts::{Facts, JoinRule, Levels, Malformed, Membership},
    keys::KeyNo,
    loaded::{Event, Loaded},
    rules,
};

/// A state in the making: for each key the number of its event.
#[derive(Default)]
pub(super) struct State {
    events: Vec<Option<usize>>,
}

impl State {
    pub(super) fn get(&self, key: KeyNo) -> Option<usize> {
        self.events.get(key.index()).copied().flatten()
    }

    pub(super) fn set(&mut self, key: KeyNo, event: usize) {
        if self.events.len() <= key.index() {
            self.events.resize(key.index() + 1, None);
        }
        self.events[key.index()] = Some(event);
    }
}

/// Apply the events to the state in order, those that are allowed.
pub(super) fn apply(room: &Loaded, order: &[usize], state: &mut State) {
    for &number in order {
        let event = &room.events[number];
        // What cannot be read allows nothing.
        if rules::allowed(&View { room, state, event }).unwrap_or(false) {
            state.set(event.key, number);
        }
    }
}

/// What the rules see: an event, and a state whose gaps the event's citations fill.
pub(super) struct View<'a> {
    pub(super) room: &'a Loaded,
    pub(super) state: &'a State,
    pub(super) event: &'a Event,
}

impl<'a> View<'a> {
    /// The event under a key.
    pub(super) fn find(&self, key: KeyNo) -> Option<&'a Event> {
        if key == KeyNo::CREATE && self.room.version.room_id_is_create_event() {
            return self.room.create.map(|create| &self.room.events[create]);
        }
        let found = self.state.get(key).or_else(|| self.room.cited_as(self.event, key))?;
        Some(&self.room.events[found])
    }

    pub(super) fn levels(&self) -> Option<&'a Levels> {
        self.find(KeyNo::POWER_LEVELS).and_then(|event| self.room.levels_of(event))
    }

    /// The membership under a key; who was never mentioned has left.
    pub(super) fn membership(&self, key: Option<KeyNo>) -> Result<Membership, Malformed> {
        match key.and_then(|key| self.find(key)).map(|event| self.room.facts(event)) {
            Some(Facts::Member(member)) => member.membership,
            _ => Ok(Membership::Leave),
        }
    }

    pub(super) fn join_rule(&self) -> Result<JoinRule, Malformed> {
        match self.find(KeyNo::JOIN_RULES).map(|event| self.room.facts(event)) {
            Some(Facts::JoinRule(rule)) => *rule,
            Some(_) => Err(Malformed),
            // As Synapse and Dendrite have it, see `auth::judged`.
            None => Ok(JoinRule::Invite),
        }
    }
}
