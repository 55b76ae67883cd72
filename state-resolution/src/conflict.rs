//! What a resolution is about: the keys on which snapshots disagree, and the events behind them.
//!
//! Snapshots are compared as sorted lists of integers; a state of ten thousand members costs one pass.
//!
//! **Shapes**: [`Split`] partitions the snapshots' keys; [`Conflict`] is what the algorithm is about, whoever
//! found it: [`Conflict::of`] walks citations, a store can answer from an index instead.
//! **Errors**: [`ResolveError`] when the source does not hold what the walk needs.
//! **Source**: Matrix v1.19, room version 2 "State resolution"; room version 12, v2.1.

use std::hash::Hash;

use crate::{
    RoomVersion,
    resolve::{ResolutionSource, ResolveError, StateSnapshot, citations::Citations},
};

/// The keys of some snapshots, by whether they agree.
pub(crate) struct Split<'s, Id> {
    /// The same event in every snapshot; sorted by key.
    pub(crate) agreed: Vec<Entry<'s, Id>>,
    /// For each snapshot, its entries under all other keys.
    pub(crate) disputed: Vec<Vec<Entry<'s, Id>>>,
}

/// An entry of a snapshot.
pub(crate) type Entry<'s, Id> = (&'s (String, String), Id);

impl<'s, Id: Copy + Eq> Split<'s, Id> {
    pub(crate) fn new(snapshots: &'s [StateSnapshot<Id>]) -> Self {
        let Some((first, others)) = snapshots.split_first() else {
            return Self { agreed: Vec::new(), disputed: Vec::new() };
        };
        let mut agreed: Vec<Entry<'_, Id>> = first.iter().map(|(key, id)| (key, *id)).collect();
        for other in others {
            // Both sides are sorted by key, so one pass finds what they share.
            let mut entries = other.iter().peekable();
            agreed.retain(|(key, id)| {
                while entries.next_if(|(other_key, _)| other_key < key).is_some() {}
                entries.peek().is_some_and(|(other_key, other_id)| other_key == key && *other_id == id)
            });
        }
        let disputed = snapshots.iter().map(|snapshot| without(snapshot, &agreed)).collect();
        Self { agreed, disputed }
    }

    /// The event that every snapshot has under a key.
    pub(crate) fn agreed_event(&self, kind: &str, key: &str) -> Option<Id> {
        let found = self.agreed.binary_search_by(|((k, s), _)| (k.as_str(), s.as_str()).cmp(&(kind, key)));
        found.ok().and_then(|at| self.agreed.get(at)).map(|(_, id)| *id)
    }
}

/// A snapshot's entries under keys that are not agreed.
fn without<'s, Id: Copy>(snapshot: &'s StateSnapshot<Id>, agreed: &[Entry<'s, Id>]) -> Vec<Entry<'s, Id>> {
    let mut agreed = agreed.iter().peekable();
    let mut left = Vec::new();
    for (key, id) in snapshot {
        while agreed.next_if(|(agreed_key, _)| *agreed_key < key).is_some() {}
        if agreed.peek().is_none_or(|(agreed_key, _)| *agreed_key != key) {
            left.push((key, *id));
        }
    }
    left
}

/// What state resolution is about: the "full conflicted set", by where its events come from. An event may be in
/// more than one part; the order of a part means nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conflict<Id> {
    /// The conflicted state set: every event under a key on which the states disagree.
    pub disputed: Vec<Id>,
    /// The auth difference: events of one state's auth chain that are not in every state's. A state's own
    /// events count as part of its chain: the specification's words leave them out, but Synapse takes them
    /// in, and in version 2.1 it makes a difference that rooms would see.
    pub difference: Vec<Id>,
    /// The conflicted state subgraph, where the room version wants it (v2.1): every event on a path along
    /// `auth_events` from one conflicted event to another.
    pub subgraph: Vec<Id>,
}

impl<Id: Copy + Eq + Hash + Ord> Conflict<Id> {
    /// The conflict of these snapshots, by walking the citations behind all of them.
    ///
    /// # Errors
    /// When the source does not hold an event that the walk meets.
    pub fn of(
        version: RoomVersion,
        snapshots: &[StateSnapshot<Id>],
        source: &impl ResolutionSource<Id>,
    ) -> Result<Self, ResolveError> {
        Self::of_split(version, &Split::new(snapshots), &mut Citations::new(source))
    }

    /// The conflict of states that were compared elsewhere: `agreed` are the events that all of them have,
    /// `disputed` for each of them those under all other keys. Walks the citations behind all of them.
    ///
    /// # Errors
    /// When the source does not hold an event that the walk meets.
    pub fn between(
        version: RoomVersion,
        agreed: impl IntoIterator<Item = Id>,
        disputed: &[Vec<Id>],
        source: &impl ResolutionSource<Id>,
    ) -> Result<Self, ResolveError> {
        Self::walk(version, agreed, disputed, &mut Citations::new(source))
    }

    pub(crate) fn of_split<S: ResolutionSource<Id>>(
        version: RoomVersion,
        split: &Split<'_, Id>,
        citations: &mut Citations<'_, Id, S>,
    ) -> Result<Self, ResolveError> {
        let disputed: Vec<Vec<Id>> =
            split.disputed.iter().map(|entries| entries.iter().map(|(_, id)| *id).collect()).collect();
        Self::walk(version, split.agreed.iter().map(|(_, id)| *id), &disputed, citations)
    }

    pub(crate) fn walk<S: ResolutionSource<Id>>(
        version: RoomVersion,
        agreed: impl IntoIterator<Item = Id>,
        disputed: &[Vec<Id>],
        citations: &mut Citations<'_, Id, S>,
    ) -> Result<Self, ResolveError> {
        if disputed.iter().all(Vec::is_empty) {
            return Ok(Self { disputed: Vec::new(), difference: Vec::new(), subgraph: Vec::new() });
        }
        let difference = citations.difference(agreed, disputed)?;
        let disputed = disputed.concat();
        let wanted = version.rules().state_res.v2_rules();
        let subgraph = if wanted.is_some_and(|rules| rules.consider_conflicted_state_subgraph) {
            citations.between(&disputed)?
        } else {
            Vec::new()
        };
        Ok(Self { disputed, difference, subgraph })
    }
}
