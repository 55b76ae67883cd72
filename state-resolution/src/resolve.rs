//! State resolution over interned ids: several snapshots of a room's state become one.
//!
//! Versions 2 and 2.1 of the algorithm; version 1 is [`resolve_v1`](crate::resolve_v1). Events are loaded once, their contents parsed once, and everything
//! in between works on small integers. The order of interned ids means nothing here: wherever an order
//! matters it is that of power, time and event id strings.
//!
//! **Shapes**: in, [`StateSnapshot`]s or a [`Conflict`] that was found elsewhere, and a [`ResolutionSource`];
//! out, a [`StateSnapshot`].
//! **Errors**: [`ResolveError`] when the source lacks an event: a resolution on partial knowledge would
//! disagree with other servers, so there is none.
//! **Source**: Matrix v1.19, room version 2 (algorithm v2) and room version 12 (v2.1, MSC4297).

pub(crate) mod citations;
mod facts;
mod iterative;
mod keys;
mod loaded;
mod mainline;
mod power_order;
mod rules;

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::Hash,
    sync::Arc,
};

use ruma::{EventId, OwnedEventId};
use thiserror::Error;

use self::{iterative::State, keys::KeyNo, loaded::Loader};
use crate::{
    Pdu, RoomVersion,
    conflict::{Conflict, Split},
    resolve_v1::resolve_v1,
};

/// A state: for each `(type, state_key)` the interned id of its event.
pub type StateSnapshot<Id> = BTreeMap<(String, String), Id>;

/// What resolution asks of the store.
pub trait ResolutionSource<Id> {
    /// The event of an interned id.
    fn pdu(&self, id: Id) -> Option<Arc<Pdu>>;

    /// The interned id of an event.
    fn id_of(&self, event_id: &EventId) -> Option<Id>;

    /// What an event cites, interned. A store that keeps it so saves parsing whole auth chains.
    fn auth_events(&self, id: Id) -> Option<Vec<Id>> {
        self.pdu(id)?.auth_events().iter().map(|event_id| self.id_of(event_id)).collect()
    }
}

/// Why states cannot be resolved.
#[derive(Debug, Error)]
pub enum ResolveError {
    /// The source does not hold an event that the algorithm needs.
    #[error("event {event_id} is not held")]
    MissingEvent {
        /// The event.
        event_id: OwnedEventId,
    },
    /// The source does not hold the event of an interned id.
    #[error("an event of a snapshot is not held")]
    MissingId,
    /// An event that is part of a state, or cited by one, is no state event.
    #[error("event {event_id} is no state event")]
    NotState {
        /// The event.
        event_id: OwnedEventId,
    },
    /// The levels or the creators that an event's sender has by what it cites cannot be read.
    #[error("the power of the sender of event {event_id} cannot be read")]
    Unreadable {
        /// The event.
        event_id: OwnedEventId,
    },
    /// A room of version 1 is resolved by its whole snapshots: see [`resolve`].
    #[error("room version {version} is resolved by whole snapshots")]
    Unsupported {
        /// The room version.
        version: RoomVersion,
    },
}

/// Resolve two or more state snapshots of one room.
pub fn resolve<Id: Copy + Eq + Hash + Ord>(
    version: RoomVersion,
    snapshots: &[StateSnapshot<Id>],
    source: &impl ResolutionSource<Id>,
) -> Result<StateSnapshot<Id>, ResolveError> {
    if version.rules().state_res.v2_rules().is_none() {
        return resolve_v1(version, snapshots, source);
    }
    let split = Split::new(snapshots);
    let conflict = Conflict::of_split(version, &split, source)?;
    let mut state = resolve_conflict(version, &conflict, |kind, key| split.agreed_event(kind, key), source)?;
    // 5. What the states agree on stands, whatever the algorithm made of its key.
    state.extend(split.agreed.iter().map(|(key, id)| ((*key).clone(), *id)));
    Ok(state)
}

/// Resolve a conflict whose extent is known: the resolved state without what the states agree on.
///
/// `agreed` gives the event that all states have under a type and key. A disputed key that the result
/// lacks has no event in the resolved state.
pub fn resolve_conflict<Id: Copy + Eq + Hash + Ord>(
    version: RoomVersion,
    conflict: &Conflict<Id>,
    agreed: impl Fn(&str, &str) -> Option<Id>,
    source: &impl ResolutionSource<Id>,
) -> Result<StateSnapshot<Id>, ResolveError> {
    let algorithm = version.rules().state_res.v2_rules().ok_or(ResolveError::Unsupported { version })?;
    if conflict.disputed.is_empty() {
        return Ok(StateSnapshot::new());
    }

    // The full conflicted set, with what each of its events cites.
    let mut loader = Loader::new(version, source);
    let members: BTreeSet<Id> = [&conflict.disputed, &conflict.difference, &conflict.subgraph]
        .into_iter()
        .flatten()
        .copied()
        .collect();
    let mut full = Vec::with_capacity(members.len());
    for id in members {
        let event = loader.load(id)?;
        loader.link(event)?;
        full.push(event);
    }
    loader.find_create(&full)?;

    // v2 begins with what the states agree on, v2.1 with nothing.
    let mut state = State::default();
    if !algorithm.begin_iterative_auth_checks_with_empty_state_map {
        fill(&mut state, &mut loader, &agreed)?;
    }

    // 1. and 2.: those events that can take a right from someone, the greatest power first.
    let powers = power_order::sort(&loader.loaded, &full)?;
    iterative::apply(&loader.loaded, &powers, &mut state);

    // 3. and 4.: all others, in the order of the power levels that they rest on.
    let mut is_left = vec![false; loader.loaded.events.len()];
    full.iter().for_each(|event| is_left[*event] = true);
    powers.iter().for_each(|event| is_left[*event] = false);
    let left: Vec<usize> = full.iter().copied().filter(|event| is_left[*event]).collect();
    let left = mainline::sort(&mut loader, state.get(KeyNo::POWER_LEVELS), left)?;
    iterative::apply(&loader.loaded, &left, &mut state);

    // 5. of it all, what is not overruled by agreement.
    let mut resolved = StateSnapshot::new();
    for &event in &full {
        let (id, key) = (loader.ids[event], loader.loaded.events[event].key);
        let (kind, state_key) = loader.loaded.keys.name(key);
        if let Some(winner) = state.get(key)
            && (conflict.disputed.contains(&id) || agreed(kind, state_key).is_none())
        {
            resolved.insert((kind.to_owned(), state_key.to_owned()), loader.ids[winner]);
        }
    }
    Ok(resolved)
}

/// Why the citations of an event could not be told.
fn missing_citation<Id: Copy>(source: &impl ResolutionSource<Id>, id: Id) -> ResolveError {
    let Some(pdu) = source.pdu(id) else { return ResolveError::MissingId };
    let unknown = pdu.auth_events().iter().find(|event_id| source.id_of(event_id).is_none());
    match unknown {
        Some(event_id) => ResolveError::MissingEvent { event_id: event_id.clone() },
        None => ResolveError::MissingId,
    }
}

/// Puts the agreed events into the state under every key that the rules may ask for.
fn fill<Id: Copy + Eq + Hash + Ord>(
    state: &mut State,
    loader: &mut Loader<'_, Id, impl ResolutionSource<Id>>,
    agreed: &impl Fn(&str, &str) -> Option<Id>,
) -> Result<(), ResolveError> {
    for key in loader.loaded.keys.all() {
        let (kind, state_key) = loader.loaded.keys.name(key);
        if let Some(id) = agreed(kind, state_key) {
            let event = loader.load(id)?;
            state.set(key, event);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
