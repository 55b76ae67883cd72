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

use std::{collections::BTreeMap, hash::Hash, sync::Arc};

use ruma::{EventId, OwnedEventId};
use thiserror::Error;

use self::{citations::Citations, iterative::State, keys::KeyNo, loaded::Loader};
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
    let mut citations = Citations::new(source);
    let conflict = Conflict::of_split(version, &split, &mut citations)?;
    let agreed = |kind: &str, key: &str| split.agreed_event(kind, key);
    let settled = settle(version, &conflict, agreed, &mut citations)?;
    let winners = settled.winners(agreed).map(|winner| {
        let (kind, key) = settled.loader.loaded.keys.name(settled.loader.loaded.events[winner].key);
        ((kind.to_owned(), key.to_owned()), settled.loader.id(winner))
    });
    // 5. What the states agree on stands, whatever the algorithm made of its key.
    Ok(split.agreed.iter().map(|(key, id)| ((*key).clone(), *id)).chain(winners).collect())
}

/// Resolve a conflict whose extent is known: the events of the resolved state, each under its own type and
/// state key, without those that the states agree on. A disputed key that none of them has is gone.
///
/// `agreed` gives the event that all states have under a type and key.
pub fn resolve_conflict<Id: Copy + Eq + Hash + Ord>(
    version: RoomVersion,
    conflict: &Conflict<Id>,
    agreed: impl Fn(&str, &str) -> Option<Id>,
    source: &impl ResolutionSource<Id>,
) -> Result<Vec<Id>, ResolveError> {
    let mut citations = Citations::new(source);
    Ok(settle(version, conflict, &agreed, &mut citations)?.winner_ids(agreed))
}

/// As [`resolve_conflict`], where the states were compared but nothing behind them was: `shared` are the events
/// that all states have, `disputed` for each state its events under all other keys.
pub fn resolve_disputed<Id: Copy + Eq + Hash + Ord>(
    version: RoomVersion,
    shared: impl IntoIterator<Item = Id>,
    disputed: &[Vec<Id>],
    agreed: impl Fn(&str, &str) -> Option<Id>,
    source: &impl ResolutionSource<Id>,
) -> Result<Vec<Id>, ResolveError> {
    let mut citations = Citations::new(source);
    let conflict = Conflict::walk(version, shared, disputed, &mut citations)?;
    Ok(settle(version, &conflict, &agreed, &mut citations)?.winner_ids(agreed))
}

/// What the algorithm came to.
struct Settled<'c, 's, Id, S> {
    loader: Loader<'c, 's, Id, S>,
    state: State,
    /// How many of the loaded events are disputed; they come first.
    disputed: usize,
    /// How many are in the full conflicted set; they come before all others.
    full: usize,
}

impl<Id: Copy + Eq + Hash + Ord, S: ResolutionSource<Id>> Settled<'_, '_, Id, S> {
    /// The events of the resolved state, without those under agreed keys.
    fn winners(&self, agreed: impl Fn(&str, &str) -> Option<Id>) -> impl Iterator<Item = usize> {
        (0..self.full).filter(move |&event| {
            let key = self.loader.loaded.events[event].key;
            let (kind, state_key) = self.loader.loaded.keys.name(key);
            // A disputed event's key is not agreed; of what lies behind the dispute, one must look.
            self.state.get(key) == Some(event) && (event < self.disputed || agreed(kind, state_key).is_none())
        })
    }

    fn winner_ids(&self, agreed: impl Fn(&str, &str) -> Option<Id>) -> Vec<Id> {
        self.winners(agreed).map(|winner| self.loader.id(winner)).collect()
    }
}

/// The algorithm.
fn settle<'c, 's, Id: Copy + Eq + Hash + Ord, S: ResolutionSource<Id>>(
    version: RoomVersion,
    conflict: &Conflict<Id>,
    agreed: impl Fn(&str, &str) -> Option<Id>,
    citations: &'c mut Citations<'s, Id, S>,
) -> Result<Settled<'c, 's, Id, S>, ResolveError> {
    let algorithm = version.rules().state_res.v2_rules().ok_or(ResolveError::Unsupported { version })?;

    // The full conflicted set, with what each of its events cites.
    let behind = conflict.difference.iter().chain(&conflict.subgraph).copied();
    let mut loader = Loader::new(version, citations, conflict.disputed.iter().copied())?;
    let disputed = loader.loaded.events.len();
    for id in behind {
        loader.load(id)?;
    }
    let full: Vec<usize> = (0..loader.loaded.events.len()).collect();
    for &event in &full {
        loader.link(event)?;
    }
    loader.find_create(&full)?;

    // v2 begins with what the states agree on, v2.1 with nothing.
    let mut state = State::default();
    if !algorithm.begin_iterative_auth_checks_with_empty_state_map {
        fill(&mut state, &mut loader, disputed, &agreed)?;
    }

    // 1. and 2.: those events that can take a right from someone, the greatest power first.
    let powers = power_order::sort(&loader.loaded, &full)?;
    iterative::apply(&loader.loaded, &powers, &mut state);

    // 3. and 4.: all others, in the order of the power levels that they rest on.
    let mut is_left = vec![true; full.len()];
    powers.iter().for_each(|event| is_left[*event] = false);
    let left: Vec<usize> = full.iter().copied().filter(|event| is_left[*event]).collect();
    let left = mainline::sort(&mut loader, state.get(KeyNo::POWER_LEVELS), left)?;
    iterative::apply(&loader.loaded, &left, &mut state);

    Ok(Settled { loader, state, full: full.len(), disputed })
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

/// Puts the agreed events into the state under every key that the rules may ask for; the first `disputed` of the
/// loaded events say which keys are not agreed.
fn fill<Id: Copy + Eq + Hash + Ord>(
    state: &mut State,
    loader: &mut Loader<'_, '_, Id, impl ResolutionSource<Id>>,
    disputed: usize,
    agreed: &impl Fn(&str, &str) -> Option<Id>,
) -> Result<(), ResolveError> {
    let room = &loader.loaded;
    let mut is_disputed = vec![false; room.keys.len()];
    room.events[..disputed].iter().for_each(|event| is_disputed[event.key.index()] = true);
    for key in room.keys.all().filter(|key| !is_disputed[key.index()]) {
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
