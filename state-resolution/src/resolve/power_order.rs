//! Step 1: power events, in reverse topological power ordering.
//!
//! A power event may take from someone the ability to do something: power levels, join rules, kicks and
//! bans. Those of the full conflicted set, with what they rest on in it, are ordered so that nothing comes
//! before what it cites, and of what could come next, the event of the most powerful sender does; then the
//! earlier one, then the one with the smaller event id.
//!
//! **Source**: Matrix v1.19, room version 2, "Reverse topological power ordering".

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{
    ResolveError,
    facts::{Facts, Level, Membership},
    keys::KeyNo,
    loaded::{Event, Loaded},
    rules::{Power, power_of},
};

/// The power events among `full` and, of what they rest on, all that is in `full`; in order.
pub(super) fn sort(room: &Loaded, full: &[usize]) -> Result<Vec<usize>, ResolveError> {
    let chosen = choose(room, full);
    // Kahn's algorithm: an event is a candidate once everything chosen that it cites has come.
    let mut awaited: Vec<usize> = vec![0; room.events.len()];
    let mut citing: Vec<Vec<usize>> = vec![Vec::new(); room.events.len()];
    let mut candidates = BinaryHeap::new();
    for &event in full.iter().filter(|event| chosen[**event]) {
        for &cited in room.cited(&room.events[event]).iter().filter(|cited| chosen[**cited]) {
            awaited[event] += 1;
            citing[cited].push(event);
        }
        if awaited[event] == 0 {
            candidates.push(Reverse(rank(room, event)?));
        }
    }
    let mut sorted = Vec::new();
    while let Some(Reverse((.., event))) = candidates.pop() {
        for &next in &citing[event] {
            awaited[next] -= 1;
            if awaited[next] == 0 {
                candidates.push(Reverse(rank(room, next)?));
            }
        }
        sorted.push(event);
    }
    Ok(sorted)
}

/// Marks the power events, and what they rest on within the full conflicted set.
fn choose(room: &Loaded, full: &[usize]) -> Vec<bool> {
    let mut in_full = vec![false; room.events.len()];
    full.iter().for_each(|event| in_full[*event] = true);
    let mut chosen = vec![false; room.events.len()];
    let mut open: Vec<usize> =
        full.iter().copied().filter(|event| is_power_event(room, &room.events[*event])).collect();
    while let Some(event) = open.pop() {
        if !std::mem::replace(&mut chosen[event], true) {
            open.extend(
                room.cited(&room.events[event]).iter().filter(|cited| in_full[**cited] && !chosen[**cited]),
            );
        }
    }
    chosen
}

fn is_power_event(room: &Loaded, event: &Event) -> bool {
    if let Facts::Member(member) = room.facts(event) {
        let removes = matches!(member.membership, Ok(Membership::Leave | Membership::Ban));
        return removes && event.sender().as_str() != event.state_key();
    }
    [KeyNo::CREATE, KeyNo::POWER_LEVELS, KeyNo::JOIN_RULES].contains(&event.key)
}

/// What an event is ordered by; no two events share an id, so the number at the end decides nothing.
type Rank<'a> = (Reverse<Power>, ruma::MilliSecondsSinceUnixEpoch, &'a ruma::EventId, usize);

fn rank(room: &Loaded, event: usize) -> Result<Rank<'_>, ResolveError> {
    let pdu = &room.events[event].pdu;
    let power = sender_power(room, &room.events[event])?;
    Ok((Reverse(power), pdu.origin_server_ts(), pdu.event_id(), event))
}

/// The sender's power by the power levels that the event cites, not by any resolved state.
fn sender_power(room: &Loaded, event: &Event) -> Result<Power, ResolveError> {
    let cited = room.cited_as(event, KeyNo::POWER_LEVELS);
    let levels = cited.and_then(|cited| room.levels_of(&room.events[cited]));
    let power = match (room.create_facts(), levels) {
        (Some(create), levels) => match &create.creators {
            Ok(creators) => power_of(room.rules, levels, event.sender(), creators),
            Err(malformed) => Err(*malformed),
        },
        (None, Some(levels)) => levels.level(Level::UsersDefault).map(Power::Level),
        (None, None) => Ok(Power::default()),
    };
    power.map_err(|_| ResolveError::Unreadable { event_id: event.pdu.event_id().to_owned() })
}
