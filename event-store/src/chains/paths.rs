//! The events on paths between some events, for the conflicted state subgraph of room version 12.
//!
//! The walk goes down from each of them and stops at events numbered before the first: an event is numbered
//! after those it cites, so nothing below can lead to one of them.
//!
//! **Source**: MSC4297, "conflicted state subgraph".

use std::collections::{BTreeMap, BTreeSet};

use super::{ChainPlace, Walk};
use crate::{
    error::StoreError,
    ids::{EventNo, RoomNo},
    tx::Tx,
};

/// Every event on a path along citations from one of `ends` to another, both ends included.
///
/// # Errors
/// When a row cannot be read or is not there.
pub async fn paths_between(
    tx: &Tx,
    room: RoomNo,
    ends: &BTreeSet<EventNo>,
) -> Result<BTreeSet<EventNo>, StoreError> {
    let Some(first) = ends.first() else { return Ok(BTreeSet::new()) };
    let mut walk = Walk::new(tx, room);
    let mut open = Vec::with_capacity(ends.len());
    for end in ends {
        open.push(walk.place(*end).await?.place);
    }
    // The events met, in the order of their numbers, with what each cites.
    let mut met: BTreeMap<EventNo, (ChainPlace, Vec<ChainPlace>)> = BTreeMap::new();
    while let Some(place) = open.pop() {
        let row = walk.at(place).await?;
        if row.event < *first || met.contains_key(&row.event) {
            continue;
        }
        let mut cited = row.cited.clone();
        if place.sequence > 1 {
            cited.push(ChainPlace { sequence: place.sequence - 1, ..place });
        }
        open.extend(&cited);
        met.insert(row.event, (place, cited));
    }
    let mut leading: BTreeSet<ChainPlace> = BTreeSet::new();
    let mut between = BTreeSet::new();
    for (event, (place, cited)) in met {
        if ends.contains(&event) || cited.iter().any(|cited| leading.contains(cited)) {
            leading.insert(place);
            between.insert(event);
        }
    }
    Ok(between)
}
