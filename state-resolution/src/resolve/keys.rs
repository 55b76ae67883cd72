//! `(type, state_key)` pairs as small integers of one resolution.
//!
//! The pairs that every rule asks for have fixed numbers; the others are numbered as they are met. Their
//! order means nothing.

use std::collections::BTreeMap;

/// The number of a `(type, state_key)` pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyNo(usize);

impl KeyNo {
    pub(super) const CREATE: KeyNo = KeyNo(0);
    pub(super) const POWER_LEVELS: KeyNo = KeyNo(1);
    pub(super) const JOIN_RULES: KeyNo = KeyNo(2);

    pub(super) fn index(self) -> usize {
        self.0
    }
}

/// The pairs met so far.
pub(super) struct Keys {
    numbers: BTreeMap<Box<str>, BTreeMap<Box<str>, KeyNo>>,
    names: Vec<(Box<str>, Box<str>)>,
}

impl Keys {
    pub(super) fn new() -> Self {
        let mut keys = Self { numbers: BTreeMap::new(), names: Vec::new() };
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
        let number = KeyNo(self.names.len());
        self.names.push((kind.into(), state_key.into()));
        self.numbers.entry(kind.into()).or_default().insert(state_key.into(), number);
        number
    }

    pub(super) fn find(&self, kind: &str, state_key: &str) -> Option<KeyNo> {
        self.numbers.get(kind)?.get(state_key).copied()
    }

    pub(super) fn name(&self, key: KeyNo) -> (&str, &str) {
        let (kind, state_key) = &self.names[key.0];
        (kind, state_key)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = KeyNo> + use<> {
        (0..self.names.len()).map(KeyNo)
    }
}
