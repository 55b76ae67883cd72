//! Drawn histories of every room version, with everything the rules judge, allowed and not: each verdict is
//! `ruma`'s on the plain events, and a server comes to the same rooms in whatever order the events arrive.

#![allow(clippy::unwrap_used, reason = "a strategy that cannot make its value is a failed test")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use nexus_state_resolution::{
    Cited, Pdu, ResolutionSource, RoomVersion, StateSnapshot, authorise, authorise_by_auth_events,
    authorise_state_only, resolve,
};
use proptest::prelude::*;
use ruma::{
    EventId, OwnedEventId,
    state_res::{check_state_dependent_auth_rules, check_state_independent_auth_rules},
};
use support::saga::{Attempt, Saga};

fn history() -> impl Strategy<Value = (RoomVersion, Vec<u64>)> {
    let version = prop::sample::select(RoomVersion::ALL.to_vec());
    (version, prop::collection::vec(any::<u64>(), 0..50))
}

/// `ruma`'s verdict on the events as they are.
fn by_ruma(saga: &Saga, attempt: &Attempt) -> Result<(), String> {
    let rules = &saga.room.version.rules().authorization;
    check_state_independent_auth_rules(rules, &*attempt.event, |id| saga.room.event(id))?;
    check_state_dependent_auth_rules(rules, &*attempt.event, |kind, key| {
        saga.room.in_state(&attempt.on, &kind.to_string(), key)
    })
}

/// Where `ruma` is known to part from other servers, see `auth::judged`.
fn is_known_to_differ(version: RoomVersion, event: &Pdu) -> bool {
    !version.rules().authorization.limit_notifications_power_levels
        && event.event_type() == "m.room.power_levels"
        && event.content().get().contains("no level")
}

/// A server that gets events one by one and knows of each what the rules made of it.
struct Server {
    version: RoomVersion,
    /// In order of arrival, which is also how they are interned.
    events: Vec<Arc<Pdu>>,
    numbers: BTreeMap<OwnedEventId, u32>,
    /// The state after each event that was accepted; none for the others.
    after: BTreeMap<OwnedEventId, Option<StateSnapshot<u32>>>,
}

impl Server {
    fn receive(version: RoomVersion, arriving: &[Arc<Pdu>]) -> Self {
        let mut server =
            Self { version, events: Vec::new(), numbers: BTreeMap::new(), after: BTreeMap::new() };
        let mut waiting: Vec<Arc<Pdu>> = arriving.to_vec();
        loop {
            let (ready, rest): (Vec<_>, Vec<_>) =
                waiting.into_iter().partition(|event| server.holds_what_it_names(event));
            if ready.is_empty() {
                assert!(rest.is_empty(), "events whose ancestors never came");
                return server;
            }
            for event in ready {
                server.judge(event);
            }
            waiting = rest;
        }
    }

    fn holds_what_it_names(&self, event: &Pdu) -> bool {
        event.prev_events().iter().chain(event.auth_events()).all(|id| self.after.contains_key(id))
    }

    fn judge(&mut self, event: Arc<Pdu>) {
        self.numbers.insert(event.event_id().to_owned(), self.events.len() as u32);
        self.events.push(event.clone());
        let before = self.state_before(&event);
        let by_id = |id: &EventId| match self.after.get(id) {
            Some(Some(_)) => Cited::Accepted(self.events[self.numbers[id] as usize].clone()),
            Some(None) => Cited::Rejected,
            None => Cited::Unknown,
        };
        let by_key = |kind: &str, key: &str| {
            before.get(&(kind.to_owned(), key.to_owned())).map(|number| self.events[*number as usize].clone())
        };
        let accepted = authorise_by_auth_events(self.version, &event, by_id).is_ok()
            && authorise_state_only(self.version, &event, by_key).is_ok();
        let after = accepted.then(|| {
            let mut after = before.clone();
            if let Some(key) = event.state_key() {
                let key = (event.event_type().to_owned(), key.to_owned());
                after.insert(key, self.numbers[event.event_id()]);
            }
            after
        });
        self.after.insert(event.event_id().to_owned(), after);
    }

    /// What the events before it resolve to; a rejected one stands for nothing.
    fn state_before(&self, event: &Pdu) -> StateSnapshot<u32> {
        let states: Vec<StateSnapshot<u32>> =
            event.prev_events().iter().filter_map(|id| self.after[id].clone()).collect();
        resolve(self.version, &states, self).unwrap()
    }

    /// Everything it makes of the room, without its own numbers.
    fn view(&self) -> BTreeMap<OwnedEventId, Option<BTreeSet<OwnedEventId>>> {
        let named = |state: &StateSnapshot<u32>| {
            state.values().map(|number| self.events[*number as usize].event_id().to_owned()).collect()
        };
        self.after.iter().map(|(id, after)| (id.clone(), after.as_ref().map(named))).collect()
    }
}

impl ResolutionSource<u32> for Server {
    fn pdu(&self, id: u32) -> Option<Arc<Pdu>> {
        self.events.get(id as usize).cloned()
    }

    fn id_of(&self, event_id: &EventId) -> Option<u32> {
        self.numbers.get(event_id).copied()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_verdict_is_rumas((version, steps) in history()) {
        let saga = Saga::play(version, &steps);
        for attempt in &saga.attempts {
            if is_known_to_differ(version, &attempt.event) {
                continue;
            }
            let ruma = by_ruma(&saga, attempt);
            prop_assert_eq!(attempt.verdict.is_ok(), ruma.is_ok(), "{:?}: ours {:?}, ruma's {:?}",
                attempt.event.json(), attempt.verdict, ruma);
            let again = authorise(version, &attempt.event, |id| saga.room.event(id), |kind, key| {
                saga.room.in_state(&attempt.on, kind, key)
            });
            prop_assert_eq!(&again, &attempt.verdict);
        }
    }

    #[test]
    fn the_order_of_arrival_makes_no_difference(
        (version, steps) in history(),
        shuffle in any::<prop::sample::Selector>(),
    ) {
        let saga = Saga::play(version, &steps);
        let mut arriving: Vec<Arc<Pdu>> = Vec::new();
        for attempt in &saga.attempts {
            if arriving.iter().all(|event| event.event_id() != attempt.event.event_id()) {
                arriving.push(attempt.event.clone());
            }
        }
        let expected = Server::receive(version, &arriving).view();
        prop_assert!(expected.values().any(Option::is_some), "some events are accepted");
        arriving.reverse();
        prop_assert_eq!(&Server::receive(version, &arriving).view(), &expected);
        for last in (1..arriving.len()).rev() {
            let other = shuffle.select(0..=last);
            arriving.swap(last, other);
        }
        prop_assert_eq!(&Server::receive(version, &arriving).view(), &expected);
    }
}
