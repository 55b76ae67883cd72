//! The auth difference of some states, from the index and the state tries.
//!
//! The states share most of their entries, and what those rest on is in every chain: so only what the states
//! do not share is walked. Of what one finds so, an event that rests under a shared entry does not belong to
//! the difference. The shared entries of the same keys tell that of nearly all; for those that are left, the
//! shared entries younger than they are looked through.
//!
//! **Source**: Matrix, room version 2, "Auth difference"; a state's own events count as part of its chain.

use std::collections::{BTreeMap, BTreeSet};

use super::{ChainPlace, Reach, Walk};
use crate::{
    error::StoreError,
    ids::{EventNo, KeyNo, NodeHash, RoomNo},
    trie,
    tx::Tx,
};

/// What some states have in common: the entries of one of them, without those keys that are in dispute.
#[derive(Clone, Copy, Debug)]
pub struct Shared<'a> {
    /// One of the states.
    pub root: NodeHash,
    /// The keys on which the states disagree.
    pub disputed: &'a BTreeSet<KeyNo>,
}

/// The events that are in the auth chains of some states, but not of all. `disputed` are, for each state, its
/// events under the disputed keys.
///
/// # Errors
/// When a row cannot be read or is not there.
pub async fn auth_difference(
    tx: &Tx,
    room: RoomNo,
    shared: Shared<'_>,
    disputed: &[Vec<EventNo>],
) -> Result<BTreeSet<EventNo>, StoreError> {
    let mut walk = Walk::new(tx, room);
    let mut reaches: Vec<Reach> = Vec::with_capacity(disputed.len());
    for events in disputed {
        let mut from = Vec::with_capacity(events.len());
        for event in events {
            from.push(walk.place(*event).await?.place);
        }
        let mut reach = Reach::new();
        walk.extend(&mut reach, from).await?;
        reaches.push(reach);
    }
    let candidates = reached_by_some(&mut walk, &reaches).await?;

    // What is in dispute itself is part of the full conflicted set anyway, whatever rests on it.
    let in_dispute: BTreeSet<EventNo> = disputed.iter().flatten().copied().collect();
    let mut open: BTreeMap<EventNo, ChainPlace> = candidates;
    open.retain(|event, _| !in_dispute.contains(event));
    let mut under_shared = Reach::new();
    for round in [Round::SameKeys, Round::Younger] {
        if open.is_empty() {
            break;
        }
        let entries = match round {
            Round::SameKeys => of_same_keys(&walk, shared, &open).await?,
            Round::Younger => younger(&walk, shared, &open).await?,
        };
        walk.extend(&mut under_shared, entries).await?;
        open.retain(|_, place| {
            under_shared.get(&place.chain).is_none_or(|reached| *reached < place.sequence)
        });
    }
    Ok(open.into_keys().chain(in_dispute).collect())
}

/// Which shared entries are looked at.
enum Round {
    SameKeys,
    Younger,
}

/// The events that some states reach and some do not.
async fn reached_by_some(
    walk: &mut Walk<'_>,
    reaches: &[Reach],
) -> Result<BTreeMap<EventNo, ChainPlace>, StoreError> {
    let mut bounds: BTreeMap<EventNo, (u64, u64, usize)> = BTreeMap::new();
    for (chain, sequence) in reaches.iter().flatten() {
        let (least, most, count) = bounds.entry(*chain).or_insert((u64::MAX, 0, 0));
        (*least, *most, *count) = (*sequence.min(least), *sequence.max(most), *count + 1);
    }
    let mut some = BTreeMap::new();
    for (chain, (least, most, count)) in bounds {
        let by_all = if count == reaches.len() { least } else { 0 };
        for sequence in by_all + 1..=most {
            let place = ChainPlace { chain, sequence };
            some.insert(walk.at(place).await?.event, place);
        }
    }
    Ok(some)
}

/// The shared entries under the keys of the events in question.
async fn of_same_keys(
    walk: &Walk<'_>,
    shared: Shared<'_>,
    open: &BTreeMap<EventNo, ChainPlace>,
) -> Result<Vec<ChainPlace>, StoreError> {
    let mut keys = BTreeSet::new();
    for event in open.keys() {
        let key = walk.place(*event).await?.key;
        if key != KeyNo::default() && !shared.disputed.contains(&key) {
            keys.insert(key);
        }
    }
    let mut places = Vec::with_capacity(keys.len());
    for key in keys {
        if let Some(event) = trie::get(walk.tx, walk.room, shared.root, key).await? {
            places.push(walk.place(event).await?.place);
        }
    }
    Ok(places)
}

/// The shared entries that came after the first event in question: only they can rest on one, since an event
/// is numbered after those it cites.
async fn younger(
    walk: &Walk<'_>,
    shared: Shared<'_>,
    open: &BTreeMap<EventNo, ChainPlace>,
) -> Result<Vec<ChainPlace>, StoreError> {
    let Some((first, _)) = open.first_key_value() else { return Ok(Vec::new()) };
    let mut places = Vec::new();
    for (key, event) in trie::entries(walk.tx, walk.room, shared.root).await? {
        if event >= *first && !shared.disputed.contains(&key) {
            places.push(walk.place(event).await?.place);
        }
    }
    Ok(places)
}
