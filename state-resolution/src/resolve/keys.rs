//! `(type, state_key)` pairs as small integers of one resolution.
//!
//! The pairs that every rule asks for have fixed numbers; the others are numbered as they are met. Their
//! order means nothing.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use foldhash::{SharedSeed, fast::SeedableRandomState};

/// The number of a `(type, state_key)` pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyNo(u32);

impl KeyNo {
    pub(super) const CREATE: KeyNo = KeyNo(0);
    pub(super) const POWER_LEVELS: KeyNo = KeyNo(1);
    pub(super) const JOIN_RULES: KeyNo = KeyNo(2);

    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

type StateKeys = HashMap<Arc<str>, KeyNo, SeedableRandomState>;

/// The type that most pairs have.
const MEMBER: &str = "m.room.member";

/// The pairs met so far.
pub(super) struct Keys {
    members: StateKeys,
    others: BTreeMap<Arc<str>, StateKeys>,
    names: Vec<(Arc<str>, Arc<str>)>,
    member: Arc<str>,
    hasher: SeedableRandomState,
}

impl Keys {
    /// No pairs yet, with room for the members among so many events. State keys are foreign and hashed: `seed` depends on the ids of the events in
    /// question, so that whoever wants keys to collide would have to find events whose own ids make them.
    pub(super) fn new(seed: u64, events: usize) -> Self {
        let hasher = SeedableRandomState::with_seed(seed, SharedSeed::global_fixed());
        let members = StateKeys::with_capacity_and_hasher(events, hasher.clone());
        let names = Vec::with_capacity(events);
        let mut keys = Self { members, others: BTreeMap::new(), names, member: Arc::from(MEMBER), hasher };
        // In the order of the constants above.
        for kind in ["m.room.create", "m.room.power_levels", "m.room.join_rules"] {
            keys.number(kind, "");
        }
        keys
    }

    /// The number of a pair, given now if it is new.
    pub(super) fn number(&mut self, kind: &str, state_key: &str) -> KeyNo {
        if let Some(number) = self.find(kind, state_key) {
            return number;
        }
        // A resolution is about far fewer than four thousand million keys.
        let number = KeyNo(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        let state_key = Arc::<str>::from(state_key);
        let kind = if kind == MEMBER {
            self.members.insert(Arc::clone(&state_key), number);
            Arc::clone(&self.member)
        } else {
            let kind = Arc::<str>::from(kind);
            let of_kind = self.others.entry(Arc::clone(&kind));
            let of_kind = of_kind.or_insert_with(|| StateKeys::with_hasher(self.hasher.clone()));
            of_kind.insert(Arc::clone(&state_key), number);
            kind
        };
        self.names.push((kind, state_key));
        number
    }

    pub(super) fn find(&self, kind: &str, state_key: &str) -> Option<KeyNo> {
        let of_kind = if kind == MEMBER { &self.members } else { self.others.get(kind)? };
        of_kind.get(state_key).copied()
    }

    pub(super) fn name(&self, key: KeyNo) -> (&str, &str) {
        let (kind, state_key) = &self.names[key.index()];
        (kind, state_key)
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = KeyNo> + use<> {
        (0..u32::try_from(self.names.len()).unwrap_or(u32::MAX)).map(KeyNo)
    }
}
