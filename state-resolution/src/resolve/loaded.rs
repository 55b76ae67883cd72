//! The events of one resolution: each loaded once, numbered, and its content parsed at most once.
//!
//! [`Loader`] asks the source and knows interned ids; [`Loaded`] is what the algorithm's steps read.
//! **Errors**: [`ResolveError`] when the source lacks an event, or hands out one that cannot be in a state.

use std::{cell::OnceCell, hash::Hash, sync::Arc};

use ruma::{EventId, UserId, room_version_rules::AuthorizationRules};

use super::{
    ResolutionSource, ResolveError,
    citations::{Citations, place},
    facts::{Create, Facts, Kind, Levels},
    keys::{KeyNo, Keys},
};
use crate::{Pdu, RoomVersion, auth::create_event_id, auth_types};

/// An event as the algorithm sees it.
pub(super) struct Event {
    pub(super) pdu: Arc<Pdu>,
    /// Its own type and state key.
    pub(super) key: KeyNo,
    pub(super) kind: Kind,
    facts: OnceCell<Facts>,
    links: Option<Links>,
}

/// What judging an event reads beside itself.
struct Links {
    /// Where the events it cites are.
    cited: (usize, usize),
    /// Its sender's membership.
    sender: KeyNo,
    /// The membership of the user who vouched for a restricted join.
    via: Option<KeyNo>,
}

impl Event {
    pub(super) fn sender(&self) -> &UserId {
        self.pdu.sender()
    }

    pub(super) fn state_key(&self) -> &str {
        // The loader refuses events without one.
        self.pdu.state_key().unwrap_or_default()
    }

    pub(super) fn sender_key(&self) -> Option<KeyNo> {
        self.links.as_ref().map(|links| links.sender)
    }

    pub(super) fn via_key(&self) -> Option<KeyNo> {
        self.links.as_ref().and_then(|links| links.via)
    }
}

/// Events, and what the steps ask of them.
pub(super) struct Loaded {
    pub(super) version: RoomVersion,
    pub(super) rules: &'static AuthorizationRules,
    pub(super) events: Vec<Event>,
    cited: Vec<usize>,
    pub(super) keys: Keys,
    /// The room's create event.
    pub(super) create: Option<usize>,
}

impl Loaded {
    /// Takes an event in.
    fn push(&mut self, pdu: Arc<Pdu>) -> Result<usize, ResolveError> {
        let Some(state_key) = pdu.state_key() else {
            return Err(ResolveError::NotState { event_id: pdu.event_id().to_owned() });
        };
        let key = self.keys.number(pdu.event_type(), state_key);
        let kind = Kind::of(pdu.event_type());
        self.events.push(Event { pdu, key, kind, facts: OnceCell::new(), links: None });
        Ok(self.events.len() - 1)
    }

    /// Notes what an event cites, and numbers the keys that judging it reads.
    fn link(&mut self, event: usize, cited: (usize, usize)) {
        let event = &mut self.events[event];
        let pdu = &event.pdu;
        let is_own = event.kind == Kind::Member && event.state_key() == pdu.sender().as_str();
        let sender =
            if is_own { event.key } else { self.keys.number("m.room.member", pdu.sender().as_str()) };
        let mut via = None;
        if let Facts::Member(member) = event.facts.get_or_init(|| Facts::read(self.rules, event.kind, pdu)) {
            if let Ok(Some(user)) = &member.via {
                via = Some(self.keys.number("m.room.member", user.as_str()));
            }
            if member.by_third_party {
                // Rare, and judged by the general rules: everything they may ask for gets a number.
                let (kind, key) = (pdu.event_type(), pdu.state_key());
                let read = auth_types(self.version, kind, pdu.sender(), key, pdu.content());
                for (kind, state_key) in read.unwrap_or_default() {
                    self.keys.number(&kind, &state_key);
                }
            }
        }
        event.links = Some(Links { cited, sender, via });
    }

    /// The events that an event cites, once it is linked.
    pub(super) fn cited(&self, event: &Event) -> &[usize] {
        event.links.as_ref().map_or(&[], |links| &self.cited[links.cited.0..links.cited.1])
    }

    /// What the rules read in an event's content; parsed on first use.
    pub(super) fn facts<'a>(&self, event: &'a Event) -> &'a Facts {
        event.facts.get_or_init(|| Facts::read(self.rules, event.kind, &event.pdu))
    }

    /// The event of a key among those that an event cites.
    pub(super) fn cited_as(&self, event: &Event, key: KeyNo) -> Option<usize> {
        // Two of one key are refused on receipt; elsewhere the last one counts.
        self.cited(event).iter().rev().copied().find(|cited| self.events[*cited].key == key)
    }

    pub(super) fn levels_of<'a>(&self, event: &'a Event) -> Option<&'a Levels> {
        match self.facts(event) {
            Facts::Levels(levels) => Some(levels),
            _ => None,
        }
    }

    pub(super) fn create_facts(&self) -> Option<&Create> {
        match self.facts(&self.events[self.create?]) {
            Facts::Create(create) => Some(create),
            _ => None,
        }
    }
}

/// Loads events from the source.
pub(super) struct Loader<'c, 's, Id, S> {
    citations: &'c mut Citations<'s, Id, S>,
    /// The number of each node's event, once it is loaded.
    event_of: Vec<Option<usize>>,
    /// The node of each loaded event.
    nodes: Vec<usize>,
    pub(super) loaded: Loaded,
}

impl<'c, 's, Id: Copy + Eq + Hash + Ord, S: ResolutionSource<Id>> Loader<'c, 's, Id, S> {
    /// Loads the events in question, each once, whose numbers are then the first ones.
    pub(super) fn new(
        version: RoomVersion,
        citations: &'c mut Citations<'s, Id, S>,
        members: impl IntoIterator<Item = Id>,
    ) -> Result<Self, ResolveError> {
        let mut event_of = vec![None; citations.len()];
        let (mut nodes, mut pdus, mut seed) = (Vec::new(), Vec::new(), 0);
        for id in members {
            let node = citations.node(id);
            if place(&mut event_of, node).is_none() {
                let pdu = citations.source().pdu(id).ok_or(ResolveError::MissingId)?;
                seed = mixed(seed, pdu.event_id());
                event_of[node] = Some(nodes.len());
                nodes.push(node);
                pdus.push(pdu);
            }
        }
        let rules = &version.rules().authorization;
        let keys = Keys::new(seed, pdus.len());
        // What they cite is mostly among them.
        let events = Vec::with_capacity(pdus.len() + pdus.len() / 4);
        let loaded = Loaded { version, rules, events, cited: Vec::new(), keys, create: None };
        let mut loader = Self { citations, event_of, nodes, loaded };
        for pdu in pdus {
            loader.loaded.push(pdu)?;
        }
        Ok(loader)
    }

    /// The interned id of a loaded event.
    pub(super) fn id(&self, event: usize) -> Id {
        self.citations.id(self.nodes[event])
    }

    /// Loads an event, if it is not yet.
    pub(super) fn load(&mut self, id: Id) -> Result<usize, ResolveError> {
        let node = self.citations.node(id);
        self.load_node(node)
    }

    fn load_node(&mut self, node: usize) -> Result<usize, ResolveError> {
        if let Some(event) = *place(&mut self.event_of, node) {
            return Ok(event);
        }
        let pdu = self.citations.source().pdu(self.citations.id(node)).ok_or(ResolveError::MissingId)?;
        let event = self.loaded.push(pdu)?;
        self.event_of[node] = Some(event);
        self.nodes.push(node);
        Ok(event)
    }

    /// Loads what an event cites, and numbers the keys that judging it reads.
    pub(super) fn link(&mut self, event: usize) -> Result<(), ResolveError> {
        if self.loaded.events[event].links.is_some() {
            return Ok(());
        }
        let nodes: CitedNodes = self.citations.cited(self.nodes[event])?.into();
        let from = self.loaded.cited.len();
        for node in nodes {
            let cited = self.load_node(node)?;
            if !self.loaded.cited[from..].contains(&cited) {
                self.loaded.cited.push(cited);
            }
        }
        self.loaded.link(event, (from, self.loaded.cited.len()));
        Ok(())
    }

    /// Finds the room's create event: by the room id where that names it, else among what `of` cite.
    pub(super) fn find_create(&mut self, of: &[usize]) -> Result<(), ResolveError> {
        if !self.loaded.version.room_id_is_create_event() {
            let events = of.iter().map(|event| &self.loaded.events[*event]);
            self.loaded.create = { events }.find_map(|event| self.loaded.cited_as(event, KeyNo::CREATE));
            return Ok(());
        }
        let named = of.iter().find_map(|event| create_event_id(&*self.loaded.events[*event].pdu));
        if let Some(event_id) = named {
            let id = self.citations.source().id_of(&event_id);
            self.loaded.create = Some(self.load(id.ok_or(ResolveError::MissingEvent { event_id })?)?);
        } else {
            // Only the create event itself names no room.
            let events = &self.loaded.events;
            self.loaded.create = of.iter().copied().find(|event| events[*event].key == KeyNo::CREATE);
        }
        Ok(())
    }
}

/// A number that depends on all event ids mixed into it. Where ids are hashes, any bytes of one do.
fn mixed(seed: u64, event_id: &EventId) -> u64 {
    let bytes = event_id.as_str().as_bytes();
    let tail = bytes.last_chunk::<8>().map_or(0, |tail| u64::from_le_bytes(*tail));
    (seed.rotate_left(23) ^ tail).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A copy of the nodes that an event cites, so that loading them may number further nodes.
type CitedNodes = Vec<usize>;
