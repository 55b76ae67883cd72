//! Writes rooms and what this crate says of them as lines of JSON, for another implementation to disagree with.
//!
//! `rule_cases ROOMS_PER_VERSION SEED`. **Shapes**: a line is one room: its `version`, `keys` by server and key
//! id, `events` in order, `attempts` (an event, the state it was judged by as event ids, whether it is
//! `allowed`), `resolutions` (`states` and what they resolve to, as lists of event ids). An event is its `id`,
//! its `pdu` and its `redacted` form. `sytest-like-tests/tests/test_synapse_rules.py` shows them to Synapse.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for tests, which prints what they read"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{collections::BTreeMap, io::Write as _};

use nexus_state_resolution::{Pdu, RoomVersion};
use serde_json::{Value, json, value::RawValue};
use support::{
    Branch, Interned, TestServer,
    saga::{BRANCHES, Saga},
};

const STEPS: usize = 60;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>().unwrap());
    let (rooms, seed) = (arguments.next().unwrap_or(10), arguments.next().unwrap_or(1));
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut numbers = Numbers(seed);
    for version in RoomVersion::ALL {
        for _ in 0..rooms {
            let steps: Vec<u64> = (0..STEPS).map(|_| numbers.next()).collect();
            let saga = Saga::play(version, &steps);
            serde_json::to_writer(&mut out, &line(&saga)).unwrap();
            out.write_all(b"\n").unwrap();
        }
    }
    out.flush().unwrap();
}

/// SplitMix64: the same seed gives the same rooms everywhere.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn line(saga: &Saga) -> Value {
    let attempts: Vec<Value> = saga
        .attempts
        .iter()
        .map(|attempt| {
            let reason = attempt.verdict.as_ref().err().map(ToString::to_string);
            json!({
                "event": event(&attempt.event),
                "state": attempt.on.state.values().collect::<Vec<_>>(),
                "allowed": attempt.verdict.is_ok(),
                "reason": reason,
            })
        })
        .collect();
    json!({
        "version": saga.room.version.as_str(),
        "room_id": saga.room.events[0].room_id(),
        "keys": keys(),
        "events": saga.room.events.iter().map(|pdu| event(pdu)).collect::<Vec<_>>(),
        "attempts": attempts,
        "resolutions": resolutions(saga),
    })
}

fn keys() -> BTreeMap<String, BTreeMap<String, String>> {
    let mut keys = BTreeMap::new();
    for name in ["a.example", "b.example"] {
        for (server, set) in TestServer::new(name).keys() {
            keys.insert(server, set.into_iter().map(|(id, key)| (id, key.encode())).collect());
        }
    }
    keys
}

fn event(pdu: &Pdu) -> Value {
    let raw = |json: &str| RawValue::from_string(json.to_owned()).unwrap();
    json!({ "id": pdu.event_id(), "pdu": raw(pdu.json()), "redacted": raw(pdu.redacted().unwrap().json()) })
}

/// All branches at once, and each pair.
fn resolutions(saga: &Saga) -> Vec<Value> {
    let interned = Interned::in_order(&saga.room);
    let mut sets: Vec<Vec<Branch>> = vec![saga.branches.clone()];
    for left in 0..BRANCHES {
        for right in 0..left {
            sets.push(vec![saga.branches[left].clone(), saga.branches[right].clone()]);
        }
    }
    sets.into_iter()
        .map(|branches| {
            let states: Vec<Vec<_>> = branches.iter().map(|branch| branch.state.values().collect()).collect();
            let resolved = saga.room.resolve(&branches, &interned);
            json!({ "states": states, "resolved": resolved.values().collect::<Vec<_>>() })
        })
        .collect()
}
