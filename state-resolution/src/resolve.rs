//! State resolution over interned ids: several snapshots of a room's state become one.
//!
//! The snapshots are compared as integers; only events in conflict, and the few agreed ones that their
//! authorisation reads, are loaded and handed to `ruma`'s algorithm. The order of interned ids means
//! nothing here: they only key containers, and every tie is broken by event id strings.
//!
//! **Shapes**: in, [`StateSnapshot`]s and a [`ResolutionSource`]; out, one [`StateSnapshot`].
//! **Errors**: [`ResolveError`] when the source lacks an event: a resolution on partial knowledge would
//! disagree with other servers, so there is none.
//! **Source**: Matrix v1.19, room version 2 (algorithm v2) and room version 12 (v2.1).

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    hash::Hash,
    sync::Arc,
};

use ruma::{
    EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, RoomId, UserId,
    events::{StateEventType, TimelineEventType},
    room_version_rules::StateResolutionV2Rules,
    state_res::{self, StateMap, auth_types_for_event, utils::event_id_set::EventIdSet},
};
use serde_json::value::RawValue as RawJsonValue;
use thiserror::Error;

use crate::{
    Pdu, RoomVersion,
    conflict::{Split, auth_difference, subgraph},
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
    /// Everything reachable from `of` along `auth_events`, through every step. Whether `of` itself is
    /// included makes no difference: a state's own events count as part of its auth chain, as they do
    /// for Synapse.
    fn auth_chain(&self, of: &[Id]) -> Option<BTreeSet<Id>>;
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
    /// The source does not hold the event of an id that a snapshot contains.
    #[error("an event of a snapshot is not held")]
    MissingId,
    /// The source cannot tell an auth chain.
    #[error("an auth chain is not held")]
    NoAuthChain,
    /// An event is too malformed for the algorithm.
    #[error("resolve state")]
    Algorithm(#[source] state_res::Error),
}

/// Resolve two or more state snapshots of one room.
pub fn resolve<Id: Copy + Eq + Hash + Ord>(
    version: RoomVersion,
    snapshots: &[StateSnapshot<Id>],
    source: &impl ResolutionSource<Id>,
) -> Result<StateSnapshot<Id>, ResolveError> {
    let Some(rules) = version.rules().state_res.v2_rules() else {
        return resolve_v1(version, snapshots, source);
    };
    let split = Split::new(snapshots);
    let conflicted = split.conflicted_ids();
    if conflicted.is_empty() {
        return Ok(split.unconflicted);
    }
    let loaded = Loaded::new(source);
    let chains = auth_difference(&split, source)?;
    let subgraph = if rules.consider_conflicted_state_subgraph {
        subgraph(&conflicted, &loaded)?
    } else {
        BTreeSet::new()
    };
    let resolved = run(version, rules, &split, &chains, &subgraph, &loaded)?;

    let mut state = StateSnapshot::new();
    for event_id in resolved.into_values() {
        let id = loaded.id_of(&event_id)?;
        let candidate = loaded.event(id)?;
        let key = candidate.pdu.state_key().unwrap_or_default();
        state.insert((candidate.pdu.event_type().to_owned(), key.to_owned()), id);
    }
    state.extend(split.unconflicted);
    Ok(state)
}

/// Hand the conflict, and the agreed state that it reads, to `ruma`.
fn run<Id: Copy + Eq + Hash + Ord, S: ResolutionSource<Id>>(
    version: RoomVersion,
    rules: &StateResolutionV2Rules,
    split: &Split<Id>,
    chains: &[BTreeSet<Id>],
    subgraph: &BTreeSet<Id>,
    loaded: &Loaded<'_, Id, S>,
) -> Result<StateMap<OwnedEventId>, ResolveError> {
    let mut in_question = split.conflicted_ids();
    in_question.extend(chains.iter().flatten());
    in_question.extend(subgraph);
    let agreed = agreed_state_read(version, &in_question, &split.unconflicted, loaded)?;

    let mut maps: Vec<StateMap<OwnedEventId>> = Vec::with_capacity(split.conflicted.len());
    for snapshot in &split.conflicted {
        let mut map = agreed.clone();
        for ((kind, key), id) in snapshot {
            map.insert((state_type(kind), key.clone()), loaded.event(*id)?.pdu.event_id.clone());
        }
        maps.push(map);
    }
    let mut chain_ids = Vec::with_capacity(chains.len());
    for chain in chains {
        chain_ids.push(loaded.event_ids(chain)?);
    }
    let subgraph = loaded.event_ids(subgraph)?;
    let resolved = state_res::resolve(
        &version.rules().authorization,
        rules,
        &maps,
        chain_ids,
        |event_id| loaded.fetch(event_id),
        |_| Some(subgraph.clone()),
    );
    loaded.complain()?;
    resolved.map_err(ResolveError::Algorithm)
}

/// The agreed state that authorising the events in question can read: nothing else of it is loaded.
fn agreed_state_read<Id: Copy + Eq + Hash + Ord, S: ResolutionSource<Id>>(
    version: RoomVersion,
    in_question: &BTreeSet<Id>,
    unconflicted: &StateSnapshot<Id>,
    loaded: &Loaded<'_, Id, S>,
) -> Result<StateMap<OwnedEventId>, ResolveError> {
    let mut keys = BTreeSet::from([
        ("m.room.create".to_owned(), String::new()),
        ("m.room.power_levels".to_owned(), String::new()),
    ]);
    for id in in_question {
        let candidate = loaded.event(*id)?;
        let pdu = &candidate.pdu;
        // Malformed content reads nothing: the algorithm skips such an event.
        let pairs = auth_types_for_event(
            &candidate.event_type,
            pdu.sender(),
            pdu.state_key(),
            pdu.content(),
            &version.rules().authorization,
        )
        .unwrap_or_default();
        keys.extend(pairs.into_iter().map(|(kind, key)| (kind.to_string(), key)));
    }
    let mut map = StateMap::new();
    for key in keys {
        if let Some(id) = unconflicted.get(&key) {
            let event_id = loaded.event(*id)?.pdu.event_id.clone();
            map.insert((state_type(&key.0), key.1), event_id);
        }
    }
    Ok(map)
}

/// `ruma` folds some types into one another (aliases from drafts of the specification). For state they
/// are different keys on every server, so such a type is marked with a byte no real type starts with.
fn state_type(kind: &str) -> StateEventType {
    let known = StateEventType::from(kind);
    if known.to_string() == kind { known } else { StateEventType::from(format!("\0{kind}")) }
}

/// An event as the algorithm sees it.
pub(crate) struct Candidate {
    pdu: Arc<Pdu>,
    event_type: TimelineEventType,
}

impl state_res::Event for Candidate {
    type Id = OwnedEventId;

    fn event_id(&self) -> &Self::Id {
        &self.pdu.event_id
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
        &self.event_type
    }

    fn content(&self) -> &RawJsonValue {
        self.pdu.content()
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
        state_res::Event::rejected(&*self.pdu)
    }
}

/// The events of one resolution, each loaded once, and what was asked for in vain.
pub(crate) struct Loaded<'a, Id, S> {
    source: &'a S,
    events: RefCell<BTreeMap<Id, Arc<Candidate>>>,
    /// Ordered, so that which one an error names does not depend on the order of asking.
    missing: RefCell<BTreeSet<OwnedEventId>>,
}

impl<'a, Id: Copy + Eq + Hash + Ord, S: ResolutionSource<Id>> Loaded<'a, Id, S> {
    fn new(source: &'a S) -> Self {
        Self { source, events: RefCell::default(), missing: RefCell::default() }
    }

    pub(crate) fn source(&self) -> &'a S {
        self.source
    }

    /// The interned ids of the events that an event cites.
    pub(crate) fn auth_events(&self, id: Id) -> Result<Vec<Id>, ResolveError> {
        self.event(id)?.pdu.auth_events().iter().map(|event_id| self.id_of(event_id)).collect()
    }

    fn id_of(&self, event_id: &EventId) -> Result<Id, ResolveError> {
        self.source
            .id_of(event_id)
            .ok_or_else(|| ResolveError::MissingEvent { event_id: event_id.to_owned() })
    }

    fn event(&self, id: Id) -> Result<Arc<Candidate>, ResolveError> {
        if let Some(event) = self.events.borrow().get(&id) {
            return Ok(event.clone());
        }
        let pdu = self.source.pdu(id).ok_or(ResolveError::MissingId)?;
        let event_type = TimelineEventType::from(state_type(pdu.event_type()));
        let event = Arc::new(Candidate { pdu, event_type });
        self.events.borrow_mut().insert(id, event.clone());
        Ok(event)
    }

    fn event_ids(&self, ids: &BTreeSet<Id>) -> Result<EventIdSet<OwnedEventId>, ResolveError> {
        ids.iter().map(|id| Ok(self.event(*id)?.pdu.event_id.clone())).collect()
    }

    fn fetch(&self, event_id: &EventId) -> Option<Arc<Candidate>> {
        let event = self.source.id_of(event_id).and_then(|id| self.event(id).ok());
        if event.is_none() {
            self.missing.borrow_mut().insert(event_id.to_owned());
        }
        event
    }

    fn complain(&self) -> Result<(), ResolveError> {
        match self.missing.borrow_mut().pop_first() {
            Some(event_id) => Err(ResolveError::MissingEvent { event_id }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
