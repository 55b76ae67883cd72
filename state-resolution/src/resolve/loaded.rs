//! The events of one resolution: each loaded once, numbered, and its content parsed at most once.
//!
//! [`Loader`] asks the source and knows interned ids; [`Loaded`] is what the algorithm's steps read.
//! **Errors**: [`ResolveError`] when the source lacks an event, or hands out one that cannot be in a state.

use std::{cell::OnceCell, collections::HashMap, hash::Hash, sync::Arc};

use foldhash::fast::FixedState;
use ruma::{UserId, room_version_rules::AuthorizationRules};

use super::{
    ResolutionSource, ResolveError,
    facts::{Create, Facts, Levels},
    keys::{KeyNo, Keys},
    missing_citation,
};
use crate::{Pdu, RoomVersion, auth::create_event_id, auth_types};

/// An event as the algorithm sees it.
pub(super) struct Event {
    pub(super) pdu: Arc<Pdu>,
    /// Its own type and state key.
    pub(super) key: KeyNo,
    facts: OnceCell<Facts>,
    links: Option<Links>,
}

/// What judging an event reads beside itself.
struct Links {
    /// The events it cites.
    cited: Vec<usize>,
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

    /// The events it cites, once they are linked.
    pub(super) fn cited(&self) -> &[usize] {
        self.links.as_ref().map_or(&[], |links| &links.cited)
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
    pub(super) keys: Keys,
    /// The room's create event.
    pub(super) create: Option<usize>,
}

impl Loaded {
    /// What the rules read in an event's content; parsed on first use.
    pub(super) fn facts<'a>(&self, event: &'a Event) -> &'a Facts {
        event.facts.get_or_init(|| Facts::read(self.rules, &event.pdu))
    }

    /// The event of a key among those that an event cites.
    pub(super) fn cited_as(&self, event: &Event, key: KeyNo) -> Option<usize> {
        // Two of one key are refused on receipt; elsewhere the last one counts.
        event.cited().iter().rev().copied().find(|cited| self.events[*cited].key == key)
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
pub(super) struct Loader<'s, Id, S> {
    source: &'s S,
    index: HashMap<Id, usize, FixedState>,
    /// The interned id of each loaded event.
    pub(super) ids: Vec<Id>,
    pub(super) loaded: Loaded,
}

impl<'s, Id: Copy + Eq + Hash + Ord, S: ResolutionSource<Id>> Loader<'s, Id, S> {
    pub(super) fn new(version: RoomVersion, source: &'s S) -> Self {
        let rules = &version.rules().authorization;
        let loaded = Loaded { version, rules, events: Vec::new(), keys: Keys::new(), create: None };
        Self { source, index: HashMap::with_hasher(FixedState::default()), ids: Vec::new(), loaded }
    }

    /// Loads an event, if it is not yet.
    pub(super) fn load(&mut self, id: Id) -> Result<usize, ResolveError> {
        if let Some(event) = self.index.get(&id) {
            return Ok(*event);
        }
        let pdu = self.source.pdu(id).ok_or(ResolveError::MissingId)?;
        let Some(state_key) = pdu.state_key() else {
            return Err(ResolveError::NotState { event_id: pdu.event_id().to_owned() });
        };
        let key = self.loaded.keys.number(pdu.event_type(), state_key);
        let event = self.loaded.events.len();
        self.loaded.events.push(Event { pdu, key, facts: OnceCell::new(), links: None });
        self.ids.push(id);
        self.index.insert(id, event);
        Ok(event)
    }

    /// Loads what an event cites, and numbers the keys that judging it reads.
    pub(super) fn link(&mut self, event: usize) -> Result<(), ResolveError> {
        if self.loaded.events[event].links.is_some() {
            return Ok(());
        }
        let id = self.ids[event];
        let ids = self.source.auth_events(id).ok_or_else(|| missing_citation(self.source, id))?;
        let mut cited = Vec::with_capacity(ids.len());
        for id in ids {
            let id = self.load(id)?;
            if !cited.contains(&id) {
                cited.push(id);
            }
        }
        let pdu = Arc::clone(&self.loaded.events[event].pdu);
        let keys = &mut self.loaded.keys;
        let sender = keys.number("m.room.member", pdu.sender().as_str());
        let facts = self.loaded.events[event].facts.get_or_init(|| Facts::read(self.loaded.rules, &pdu));
        let mut via = None;
        if let Facts::Member(member) = facts {
            if let Ok(Some(user)) = &member.via {
                via = Some(keys.number("m.room.member", user.as_str()));
            }
            if member.by_third_party {
                // Rare, and judged by the general rules: everything they may ask for gets a number.
                let read = auth_types(
                    self.loaded.version,
                    pdu.event_type(),
                    pdu.sender(),
                    pdu.state_key(),
                    pdu.content(),
                );
                for (kind, state_key) in read.unwrap_or_default() {
                    keys.number(&kind, &state_key);
                }
            }
        }
        self.loaded.events[event].links = Some(Links { cited, sender, via });
        Ok(())
    }

    /// Finds the room's create event: by the room id where that names it, else among what `of` cite.
    pub(super) fn find_create(&mut self, of: &[usize]) -> Result<(), ResolveError> {
        let Some(first) = of.first() else { return Ok(()) };
        if self.loaded.version.room_id_is_create_event() {
            let named = of.iter().find_map(|event| create_event_id(&*self.loaded.events[*event].pdu));
            if let Some(event_id) = named {
                let id = self.source.id_of(&event_id).ok_or(ResolveError::MissingEvent { event_id })?;
                self.loaded.create = Some(self.load(id)?);
            } else if self.loaded.events[*first].key == KeyNo::CREATE {
                self.loaded.create = Some(*first);
            }
        } else {
            let events = of.iter().map(|event| &self.loaded.events[*event]);
            self.loaded.create = { events }.find_map(|event| self.loaded.cited_as(event, KeyNo::CREATE));
        }
        Ok(())
    }
}
