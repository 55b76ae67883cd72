//! The auth-chain cover index: what rests on what, without reading events.
//!
//! A room's state events are laid out in chains. An event continues the chain of the one it replaces (the same
//! type and state key), if it cites it and nobody else continues it yet; else it begins a chain, which is
//! named by it. So everything before an event in its chain is in its auth chain, and for each chain the
//! furthest event that is reached says all. What else an event cites is kept beside it, as places.
//!
//! **Shapes**: [`ChainPlaces`] says where an event is, [`Chains`] what is at a place. **Cost**: two rows for a
//! state event, with at most one place for each event it cites (at most ten: the event's format says so), none
//! for any other event, whatever the graph looks like. Nothing is closed transitively: the walk does that.
//! **Source**: docs/adr/2026-11-22-auth-chain-index.md; the idea is Synapse's, its lesson CVE-2024-31208.

mod difference;
mod paths;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    catalogue::{ChainPlaces, Chains, Events},
    error::StoreError,
    ids::{EventNo, KeyNo, RoomNo},
    read::Rows as _,
    tx::Tx,
    versioned_value,
};

pub use difference::{Shared, auth_difference};
pub use paths::paths_between;

/// A place in a room's chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChainPlace {
    /// The chain, named by its first event.
    pub chain: EventNo,
    /// Which event of the chain, from 1.
    pub sequence: u64,
}

/// Where a state event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainPlaceRow {
    /// Its place.
    pub place: ChainPlace,
    /// Its type and state key; 0 where they were not known when it was indexed.
    pub key: KeyNo,
}
versioned_value!(ChainPlaceRow, 1);

/// The event at a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainRow {
    /// The event.
    pub event: EventNo,
    /// Where the events are that it cites, but for the one before it in its chain.
    pub cited: Vec<ChainPlace>,
}
versioned_value!(ChainRow, 1);

/// Enters a state event that cites `cited`, which are events of its room.
///
/// Cited events from before there was an index are entered first.
///
/// # Errors
/// [`StoreError::Missing`] when a cited event is not in the room; engine and codec errors.
pub async fn index(
    tx: &Tx,
    room: RoomNo,
    event: EventNo,
    key: KeyNo,
    cited: &[EventNo],
) -> Result<(), StoreError> {
    let mut places = Vec::with_capacity(cited.len());
    for cited in cited {
        places.push(place_of(tx, room, *cited).await?);
    }
    enter(tx, room, event, key, &places).await
}

/// Where an event is; it is entered if it is not indexed yet.
async fn place_of(tx: &Tx, room: RoomNo, event: EventNo) -> Result<ChainPlaceRow, StoreError> {
    match tx.row::<ChainPlaces>(&(room, event)).await? {
        Some(place) => Ok(place),
        None => enter_older(tx, room, event).await,
    }
}

async fn enter(
    tx: &Tx,
    room: RoomNo,
    event: EventNo,
    key: KeyNo,
    cited: &[ChainPlaceRow],
) -> Result<(), StoreError> {
    let replaced = cited.iter().filter(|row| row.key == key && key != KeyNo::default()).map(|row| row.place);
    let mut place = ChainPlace { chain: event, sequence: 1 };
    let mut continued = None;
    if let Some(last) = replaced.max_by_key(|place| place.sequence) {
        let next = ChainPlace { sequence: last.sequence + 1, ..last };
        if tx.row::<Chains>(&(room, next.chain, next.sequence)).await?.is_none() {
            (place, continued) = (next, Some(last));
        }
    }
    let mut beside: BTreeMap<EventNo, u64> = BTreeMap::new();
    for cited in cited.iter().map(|row| row.place).filter(|cited| continued != Some(*cited)) {
        // The furthest in a chain stands for those before it.
        let furthest = beside.entry(cited.chain).or_default();
        *furthest = cited.sequence.max(*furthest);
    }
    let cited = beside.into_iter().map(|(chain, sequence)| ChainPlace { chain, sequence }).collect();
    tx.put::<ChainPlaces>(&(room, event), &ChainPlaceRow { place, key });
    tx.put::<Chains>(&(room, place.chain, place.sequence), &ChainRow { event, cited });
    Ok(())
}

/// Enters an event from before there was an index, after everything it rests on.
async fn enter_older(tx: &Tx, room: RoomNo, event: EventNo) -> Result<ChainPlaceRow, StoreError> {
    let mut open = vec![event];
    while let Some(&last) = open.last() {
        let row = tx.existing::<Events>(&(room, last)).await?;
        let mut places = Vec::with_capacity(row.auth.len());
        for cited in row.auth {
            match tx.row::<ChainPlaces>(&(room, cited)).await? {
                Some(place) => places.push(place),
                None => open.push(cited),
            }
        }
        if open.last() == Some(&last) {
            open.pop();
            enter(tx, room, last, KeyNo::default(), &places).await?;
        }
    }
    tx.existing::<ChainPlaces>(&(room, event)).await
}

/// The rows of a walk, each read once.
struct Walk<'t> {
    tx: &'t Tx,
    room: RoomNo,
    known: BTreeMap<ChainPlace, ChainRow>,
}

/// For each chain, the furthest place that is reached.
type Reach = BTreeMap<EventNo, u64>;

impl<'t> Walk<'t> {
    fn new(tx: &'t Tx, room: RoomNo) -> Self {
        Self { tx, room, known: BTreeMap::new() }
    }

    async fn place(&self, event: EventNo) -> Result<ChainPlaceRow, StoreError> {
        place_of(self.tx, self.room, event).await
    }

    async fn at(&mut self, place: ChainPlace) -> Result<&ChainRow, StoreError> {
        use std::collections::btree_map::Entry;
        match self.known.entry(place) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => {
                let key = (self.room, place.chain, place.sequence);
                Ok(unknown.insert(self.tx.existing::<Chains>(&key).await?))
            }
        }
    }

    /// Extends a reach by some places and everything behind them; reads what is new to it.
    async fn extend(&mut self, reach: &mut Reach, from: Vec<ChainPlace>) -> Result<(), StoreError> {
        let mut open = from;
        while let Some(place) = open.pop() {
            let before = reach.get(&place.chain).copied().unwrap_or(0);
            if place.sequence <= before {
                continue;
            }
            reach.insert(place.chain, place.sequence);
            for sequence in before + 1..=place.sequence {
                let row = self.at(ChainPlace { sequence, ..place }).await?;
                open.extend(&row.cited);
            }
        }
        Ok(())
    }
}
