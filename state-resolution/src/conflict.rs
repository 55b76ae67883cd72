//! What a resolution is about: the keys on which snapshots disagree, and the events behind them.
//!
//! Works on interned ids, so that a state of ten thousand members costs a comparison of integers and only
//! the events in conflict are loaded.
//!
//! **Shapes**: [`Split`] partitions the snapshots' keys; [`auth_difference`] and [`subgraph`] are sets of
//! interned ids. **Errors**: [`ResolveError`] when the source does not hold what the walk needs.
//! **Source**: Matrix v1.19, room version 2 "State resolution"; room version 12, v2.1.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::Hash,
};

use crate::resolve::{Loaded, ResolutionSource, ResolveError, StateSnapshot};

/// The keys of some snapshots, by whether they agree.
pub(crate) struct Split<Id> {
    /// The same event in every snapshot.
    pub(crate) unconflicted: StateSnapshot<Id>,
    /// For each snapshot, its events under all other keys.
    pub(crate) conflicted: Vec<StateSnapshot<Id>>,
}

impl<Id: Copy + Eq + Hash + Ord> Split<Id> {
    pub(crate) fn new(snapshots: &[StateSnapshot<Id>]) -> Self {
        let mut unconflicted = StateSnapshot::new();
        let mut conflicted: Vec<StateSnapshot<Id>> = vec![StateSnapshot::new(); snapshots.len()];
        let Some((first, others)) = snapshots.split_first() else {
            return Self { unconflicted, conflicted };
        };
        for (key, id) in first {
            if others.iter().all(|other| other.get(key) == Some(id)) {
                unconflicted.insert(key.clone(), *id);
            }
        }
        for (snapshot, disputed) in snapshots.iter().zip(&mut conflicted) {
            for (key, id) in snapshot {
                if !unconflicted.contains_key(key) {
                    disputed.insert(key.clone(), *id);
                }
            }
        }
        Self { unconflicted, conflicted }
    }

    /// Every event under a disputed key.
    pub(crate) fn conflicted_ids(&self) -> BTreeSet<Id> {
        self.conflicted.iter().flat_map(|snapshot| snapshot.values().copied()).collect()
    }
}

/// For each snapshot, the events of its auth chain that are not in the chain of every snapshot.
///
/// A snapshot's own events count as part of its chain. The specification's words leave them out, but
/// Synapse takes them in, and in version 2.1 it makes a difference that rooms would see.
pub(crate) fn auth_difference<Id: Copy + Eq + Hash + Ord>(
    split: &Split<Id>,
    source: &impl ResolutionSource<Id>,
) -> Result<Vec<BTreeSet<Id>>, ResolveError> {
    // What the agreed events rest on is in every chain, so it is asked for once and taken away.
    let agreed: Vec<Id> = split.unconflicted.values().copied().collect();
    let agreed = with_chain(&agreed, source)?;
    let mut chains = Vec::with_capacity(split.conflicted.len());
    for snapshot in &split.conflicted {
        let disputed: Vec<Id> = snapshot.values().copied().collect();
        let mut chain = with_chain(&disputed, source)?;
        chain.retain(|id| !agreed.contains(id));
        chains.push(chain);
    }
    let mut shared = chains.first().cloned().unwrap_or_default();
    for chain in &chains {
        shared.retain(|id| chain.contains(id));
    }
    for chain in &mut chains {
        chain.retain(|id| !shared.contains(id));
    }
    Ok(chains)
}

/// The conflicted state subgraph: every event on a path along `auth_events` from one conflicted event to
/// another, both ends included.
///
/// Where no conflicted event rests on another, which `auth_chain` tells without loading anything, no
/// walk is made. Else each event behind the conflict is visited once.
pub(crate) fn subgraph<Id: Copy + Eq + Hash + Ord, S: ResolutionSource<Id>>(
    conflicted: &BTreeSet<Id>,
    loaded: &Loaded<'_, Id, S>,
) -> Result<BTreeSet<Id>, ResolveError> {
    if lower_ends(conflicted, loaded)?.is_empty() {
        return Ok(conflicted.clone());
    }
    let mut reaches: BTreeMap<Id, bool> = BTreeMap::new();
    for &start in conflicted {
        let mut stack = vec![(start, Visit::Enter)];
        while let Some((id, visit)) = stack.pop() {
            let parents = match visit {
                Visit::Enter if reaches.contains_key(&id) => continue,
                Visit::Enter | Visit::Leave => loaded.auth_events(id)?,
            };
            match visit {
                Visit::Enter => {
                    // A preliminary answer, so that an event is entered once whatever cites it.
                    reaches.insert(id, conflicted.contains(&id));
                    stack.push((id, Visit::Leave));
                    let unseen = parents.into_iter().filter(|parent| !reaches.contains_key(parent));
                    stack.extend(unseen.map(|parent| (parent, Visit::Enter)));
                }
                Visit::Leave => {
                    if parents.iter().any(|parent| reaches.get(parent) == Some(&true)) {
                        reaches.insert(id, true);
                    }
                }
            }
        }
    }
    Ok(reaches.into_iter().filter_map(|(id, reaches)| reaches.then_some(id)).collect())
}

#[derive(Clone, Copy)]
enum Visit {
    Enter,
    Leave,
}

/// The conflicted events that other conflicted events rest on.
fn lower_ends<Id: Copy + Eq + Hash + Ord, S: ResolutionSource<Id>>(
    conflicted: &BTreeSet<Id>,
    loaded: &Loaded<'_, Id, S>,
) -> Result<BTreeSet<Id>, ResolveError> {
    let mut parents = BTreeSet::new();
    for &id in conflicted {
        parents.extend(loaded.auth_events(id)?);
    }
    let cited: Vec<Id> = parents.iter().copied().collect();
    let below = with_chain(&cited, loaded.source())?;
    Ok(conflicted.intersection(&below).copied().collect())
}

/// Some events and everything that they rest on.
fn with_chain<Id: Copy + Eq + Hash + Ord>(
    ids: &[Id],
    source: &impl ResolutionSource<Id>,
) -> Result<BTreeSet<Id>, ResolveError> {
    let mut chain = source.auth_chain(ids).ok_or(ResolveError::NoAuthChain)?;
    chain.extend(ids);
    Ok(chain)
}
