//! Step 3: all other events, in mainline ordering.
//!
//! The mainline of a power levels event is itself, the power levels event it cites, the one that that cites,
//! and so on. An event's place on it is the first of its own such ancestors that lies on the mainline: who
//! rests on an older one comes earlier, those that rest on none first of all; then the earlier one, then the
//! one with the smaller event id.
//!
//! **Source**: Matrix v1.19, room version 2, "Mainline ordering".

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    hash::Hash,
};

use super::{ResolutionSource, ResolveError, keys::KeyNo, loaded::Loader};

/// `events` in the mainline ordering based on `levels`, the resolved power levels event.
pub(super) fn sort<Id: Copy + Eq + Hash + Ord, S: ResolutionSource<Id>>(
    loader: &mut Loader<'_, '_, Id, S>,
    levels: Option<usize>,
    events: Vec<usize>,
) -> Result<Vec<usize>, ResolveError> {
    let mut rests_on = Vec::with_capacity(events.len());
    for event in events {
        rests_on.push((event, cited_levels(loader, event)?));
    }
    let wanted = rests_on.iter().filter_map(|(_, first)| *first).collect();
    let mainline = walk_mainline(loader, levels, wanted)?;
    let mut places = BTreeMap::new();
    let mut ranked = Vec::with_capacity(rests_on.len());
    for (event, first) in rests_on {
        // Counted from the resolved event downward, so the greatest comes first; before it, who is on none.
        let place = place(loader, first, &mainline, &mut places)?.unwrap_or(usize::MAX);
        ranked.push((Reverse(place), event));
    }
    let events = &loader.loaded.events;
    let mut ranked: Vec<_> = ranked
        .into_iter()
        .map(|(place, event)| {
            let pdu = &events[event].pdu;
            (place, pdu.origin_server_ts(), pdu.event_id(), event)
        })
        .collect();
    ranked.sort_unstable();
    Ok(ranked.into_iter().map(|(.., event)| event).collect())
}

/// The power levels event that an event cites.
fn cited_levels<Id: Copy + Eq + Hash + Ord, S: ResolutionSource<Id>>(
    loader: &mut Loader<'_, '_, Id, S>,
    event: usize,
) -> Result<Option<usize>, ResolveError> {
    loader.link(event)?;
    Ok(loader.loaded.cited_as(&loader.loaded.events[event], KeyNo::POWER_LEVELS))
}

/// Each event's place on the mainline, as far down as it takes to meet all that are wanted.
fn walk_mainline<Id: Copy + Eq + Hash + Ord, S: ResolutionSource<Id>>(
    loader: &mut Loader<'_, '_, Id, S>,
    levels: Option<usize>,
    mut wanted: BTreeSet<usize>,
) -> Result<BTreeMap<usize, usize>, ResolveError> {
    let mut mainline = BTreeMap::new();
    let mut next = levels;
    while let Some(levels) = next
        && !wanted.is_empty()
        // Where ids are no hashes (room version 2) a peer could write events that cite each other.
        && !mainline.contains_key(&levels)
    {
        mainline.insert(levels, mainline.len());
        wanted.remove(&levels);
        next = cited_levels(loader, levels)?;
    }
    Ok(mainline)
}

/// The place of the first ancestor on the mainline; `places` remembers those that are not on it themselves.
fn place<Id: Copy + Eq + Hash + Ord, S: ResolutionSource<Id>>(
    loader: &mut Loader<'_, '_, Id, S>,
    first: Option<usize>,
    mainline: &BTreeMap<usize, usize>,
    places: &mut BTreeMap<usize, Option<usize>>,
) -> Result<Option<usize>, ResolveError> {
    let mut passed = Vec::new();
    let mut next = first;
    let found = loop {
        let Some(levels) = next else { break None };
        if let Some(place) = mainline.get(&levels) {
            break Some(*place);
        }
        if let Some(place) = places.get(&levels) {
            break *place;
        }
        // Until it is known it counts as none, which also ends a circle of citations.
        places.insert(levels, None);
        passed.push(levels);
        next = cited_levels(loader, levels)?;
    };
    places.extend(passed.into_iter().map(|levels| (levels, found)));
    Ok(found)
}
