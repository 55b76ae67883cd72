//! State resolution of room version 1: by depth, then by the SHA-1 of the event id.
//!
//! Kept for rooms that are as old as Matrix: its results can go back to an older state, which is why every
//! later version has another algorithm. A key counts as conflicted only if two snapshots name different
//! events for it: unlike later, absence is no opinion. Power levels, join rules and members are settled in
//! this order, each by walking from the least depth upwards as long as the rules allow the next event in the
//! state of the one before; everything else takes the deepest event that is allowed.
//!
//! **Errors**: [`ResolveError::MissingId`] when a snapshot names an event that the source does not hold.
//! **Source**: Matrix v1.19, room version 1, "State resolution"; where it is vague, what Synapse does: a
//! differential test in `sytest-like-tests/tests/test_synapse_rules.py` holds the two together.

use std::{cmp::Reverse, collections::BTreeMap, collections::BTreeSet, hash::Hash, sync::Arc};

use sha1::{Digest, Sha1};

use crate::{
    Pdu, ResolutionSource, ResolveError, RoomVersion, StateSnapshot,
    auth::{auth_types, authorise_state_only},
};

type Key = (String, String);
type State = BTreeMap<Key, Arc<Pdu>>;

/// An event that contends for a key.
struct Contender<Id> {
    id: Id,
    pdu: Arc<Pdu>,
}

/// The contenders of every conflicted key.
type Conflict<Id> = BTreeMap<Key, Vec<Contender<Id>>>;

/// Resolve snapshots by the rules of version 1.
pub(crate) fn resolve_v1<Id: Copy + Eq + Hash + Ord>(
    version: RoomVersion,
    snapshots: &[StateSnapshot<Id>],
    source: &impl ResolutionSource<Id>,
) -> Result<StateSnapshot<Id>, ResolveError> {
    let mut named: BTreeMap<&Key, BTreeSet<Id>> = BTreeMap::new();
    for (key, id) in snapshots.iter().flatten() {
        named.entry(key).or_default().insert(*id);
    }
    let load = |id: Id| source.pdu(id).ok_or(ResolveError::MissingId);
    let mut resolved = StateSnapshot::new();
    let mut conflict = Conflict::new();
    for (key, ids) in named {
        match ids.first() {
            Some(only) if ids.len() == 1 => {
                resolved.insert(key.clone(), *only);
            }
            _ => {
                let contend = |id: Id| Ok(Contender { id, pdu: load(id)? });
                let contenders = ids.into_iter().map(contend).collect::<Result<Vec<_>, ResolveError>>()?;
                conflict.insert(key.clone(), shallowest_first(contenders));
            }
        }
    }
    let mut state = agreed_state(version, &conflict, |key| resolved.get(key).copied(), load)?;
    for round in Round::ALL {
        let winners: Vec<(&Key, &Contender<Id>)> = conflict
            .iter()
            .filter(|(key, _)| Round::of(key) == round)
            .filter_map(|(key, contenders)| Some((key, settle(version, round, contenders, &state)?)))
            .collect();
        for (key, winner) in winners {
            state.insert(key.clone(), winner.pdu.clone());
            resolved.insert(key.clone(), winner.id);
        }
    }
    Ok(resolved)
}

/// What is settled together; what one round settles, the next ones are judged by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    PowerLevels,
    JoinRules,
    Members,
    Others,
}

impl Round {
    const ALL: [Round; 4] = [Round::PowerLevels, Round::JoinRules, Round::Members, Round::Others];

    fn of((kind, key): &Key) -> Self {
        match kind.as_str() {
            "m.room.power_levels" if key.is_empty() => Round::PowerLevels,
            "m.room.join_rules" => Round::JoinRules,
            "m.room.member" => Round::Members,
            _ => Round::Others,
        }
    }
}

/// By depth; of the same depth, the greatest hash first.
fn shallowest_first<Id>(mut contenders: Vec<Contender<Id>>) -> Vec<Contender<Id>> {
    contenders.sort_by_cached_key(|contender| {
        let hash: [u8; 20] = Sha1::digest(contender.pdu.event_id().as_str()).into();
        (contender.pdu.depth(), Reverse(hash))
    });
    contenders
}

/// The events of agreed keys that judging the contenders can read.
fn agreed_state<Id: Copy>(
    version: RoomVersion,
    conflict: &Conflict<Id>,
    agreed: impl Fn(&Key) -> Option<Id>,
    load: impl Fn(Id) -> Result<Arc<Pdu>, ResolveError>,
) -> Result<State, ResolveError> {
    let mut state = State::new();
    for contender in conflict.values().flatten() {
        for key in read_by(version, &contender.pdu) {
            if let Some(id) = agreed(&key)
                && !state.contains_key(&key)
            {
                state.insert(key, load(id)?);
            }
        }
    }
    Ok(state)
}

/// What the rules read to judge an event; nothing, for one too malformed to be judged.
fn read_by(version: RoomVersion, pdu: &Pdu) -> Vec<Key> {
    auth_types(version, pdu.event_type(), pdu.sender(), pdu.state_key(), pdu.content()).unwrap_or_default()
}

/// Which of the contenders stays; `None` only of none.
fn settle<'a, Id>(
    version: RoomVersion,
    round: Round,
    contenders: &'a [Contender<Id>],
    state: &State,
) -> Option<&'a Contender<Id>> {
    if round == Round::Others {
        let mut deepest_first = contenders.iter().rev();
        let allowed = deepest_first.find(|contender| is_allowed(version, &contender.pdu, state));
        return allowed.or(contenders.first());
    }
    let mut read = State::new();
    for key in contenders.iter().flat_map(|contender| read_by(version, &contender.pdu)) {
        if let Some(pdu) = state.get(&key) {
            read.insert(key, pdu.clone());
        }
    }
    let (mut stays, deeper) = contenders.split_first()?;
    for next in deeper {
        let key = (stays.pdu.event_type().to_owned(), stays.pdu.state_key().unwrap_or_default().to_owned());
        read.insert(key, stays.pdu.clone());
        if !is_allowed(version, &next.pdu, &read) {
            break;
        }
        stays = next;
    }
    Some(stays)
}

fn is_allowed(version: RoomVersion, pdu: &Pdu, state: &State) -> bool {
    authorise_state_only(version, pdu, |kind, key| state.get(&(kind.to_owned(), key.to_owned())).cloned())
        .is_ok()
}

#[cfg(test)]
mod tests;
