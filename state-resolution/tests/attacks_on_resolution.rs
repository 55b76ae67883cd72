//! Attacks on state resolution and the shape of the graph, by their numbers in `docs/security.md`.

#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made is a failed test")]

mod support;

use nexus_state_resolution::{RoomVersion, resolve};
use serde_json::json;
use support::graph::{Deed, Graph, Numbered, State, oracle, user, versions};

/// Our resolution, which must be `ruma`'s.
fn merge(graph: &Graph, states: &[State]) -> State {
    let resolved = Numbered::in_order(graph).resolve(states).unwrap();
    assert_eq!(Some(&resolved), oracle(graph, states).as_ref());
    resolved
}

fn join_rule(graph: &Graph, state: &State) -> Option<String> {
    let content = graph.content(state, "m.room.join_rules", "")?;
    Some(content["join_rule"].as_str()?.to_owned())
}

fn rule(by: &str, rule: &str, ts: u64) -> Deed {
    Deed::new(by, "m.room.join_rules", "", json!({ "join_rule": rule }), ts)
}

fn topic(by: &str, topic: &str, ts: u64) -> Deed {
    Deed::new(by, "m.room.topic", "", json!({ "topic": topic }), ts)
}

fn levels(graph: &Graph, by: &str, users: &[(&str, i64)], ts: u64) -> Deed {
    Deed::new(by, "m.room.power_levels", "", graph.levels(users), ts)
}

/// CVE-2025-49090, problem A. Bob sets the join rules and then leaves. The states disagree on the join rules
/// and agree that Bob has left. Version 2 replays Bob's old events on that agreement and finds that he may
/// not: the room is left without join rules. Version 2.1 replays them on nothing but what they cite.
#[test]
fn attack_15_hydra_a_conflict_about_the_past_does_not_lose_state() {
    for version in versions() {
        let (mut graph, mut early) = Graph::new(version, 1);
        graph.try_add(&mut early, rule("bob", "invite", 10)).unwrap();
        let mut late = early.clone();
        graph.try_add(&mut late, rule("bob", "public", 11)).unwrap();
        let left = graph.try_add(&mut late.clone(), Deed::member("bob", "bob", "leave", 12)).unwrap();
        let key = ("m.room.member".to_owned(), user("bob").to_string());
        early.insert(key.clone(), left);
        late.insert(key, left);

        let merged = merge(&graph, &[early, late]);
        let expected = version.room_id_is_create_event().then(|| "public".to_owned());
        assert_eq!(join_rule(&graph, &merged), expected, "version {version}");
        assert_eq!(graph.membership(&merged, "bob"), "leave");
    }
}

/// CVE-2025-49090, problem B. Power levels went from the first to the second (which gave Carol her level) to
/// the third (by Carol). The states disagree between the first and the third, while all of them rest on the
/// second: so it is in no difference. Version 2 replays the third on the first, finds Carol powerless, and
/// the room falls back to the first. Version 2.1 replays what lies between, too.
#[test]
fn attack_15_hydra_b_what_lies_between_two_conflicted_events_is_replayed() {
    for version in versions() {
        let (mut graph, first) = Graph::new(version, 2);
        let mut second = first.clone();
        let gave = levels(&graph, "alice", &[("bob", 50), ("carol", 60)], 10);
        graph.try_add(&mut second, gave).unwrap();
        // Somebody's event, in all states, that rests on the second.
        let dave = graph.try_add(&mut second, Deed::member("dave", "dave", "join", 11)).unwrap();
        let mut third = second.clone();
        let by_carol = levels(&graph, "carol", &[("bob", 55), ("carol", 60)], 12);
        let by_carol = graph.try_add(&mut third, by_carol).unwrap();
        let mut fallen = first.clone();
        fallen.insert(("m.room.member".to_owned(), user("dave").to_string()), dave);

        let before = fallen[&("m.room.power_levels".to_owned(), String::new())];
        let merged = merge(&graph, &[fallen, third]);
        let expected = if version.room_id_is_create_event() { by_carol } else { before };
        assert_eq!(merged[&("m.room.power_levels".to_owned(), String::new())], expected, "version {version}");
    }
}

/// Synapse 1.15.2: a server claims that the state before its event was a handful of entries. What it leaves
/// out is then in conflict, and must survive it.
#[test]
fn attack_16_a_claimed_small_state_removes_nothing() {
    for version in versions() {
        let (mut graph, mut honest) = Graph::new(version, 3);
        let small = honest.clone();
        for number in 0..30 {
            let name = format!("user{number}");
            graph.try_add(&mut honest, Deed::member(&name, &name, "join", 10 + number)).unwrap();
        }
        graph.try_add(&mut honest, topic("bob", "ours", 50)).unwrap();
        graph.try_add(&mut honest, Deed::member("alice", "troll", "ban", 52)).unwrap();

        // As small as it can claim, and smaller still in each key it need not cite.
        let mut claims = vec![small.clone()];
        for key in small.keys().filter(|(kind, _)| kind != "m.room.create") {
            let mut claim = small.clone();
            claim.remove(key);
            claims.push(claim);
        }
        for claim in claims {
            assert!(merge(&graph, &[honest.clone(), claim.clone()]) == honest, "version {version}");
            assert!(merge(&graph, &[claim.clone(), honest.clone(), claim]) == honest, "version {version}");
        }
    }
}

/// Bob is banned. His server then makes events on points of the graph from before, with times from before:
/// a topic, a ban, power levels. None of them undoes the ban, and none of them stands.
#[test]
fn attack_18_backdated_events_of_the_banned_change_nothing() {
    for version in versions() {
        let (mut graph, old) = Graph::new(version, 4);
        let mut now = old.clone();
        graph.try_add(&mut now, topic("alice", "ours", 20)).unwrap();
        graph.try_add(&mut now, Deed::member("alice", "bob", "ban", 21)).unwrap();

        let mut backdated = old.clone();
        graph.try_add(&mut backdated, topic("bob", "theirs", 7)).unwrap();
        graph.try_add(&mut backdated, Deed::member("bob", "carol", "ban", 8)).unwrap();
        let raised = levels(&graph, "bob", &[("bob", 50), ("mallory", 50)], 9);
        graph.try_add(&mut backdated, raised).unwrap();
        graph.try_add(&mut backdated, rule("bob", "invite", 10)).unwrap();

        let merged = merge(&graph, &[now.clone(), backdated]);
        assert_eq!(merged, now, "version {version}");
    }
}

/// MSC4289: Carol, an admin at the level of everyone above her but the creators, is demoted, and then places
/// power levels of her own before that. In version 12 a creator's word comes first whatever the times say.
#[test]
fn attack_18_backdated_levels_do_not_outrun_a_creator() {
    let version = RoomVersion::V12;
    let (mut graph, mut old) = Graph::new(version, 5);
    let admin = levels(&graph, "alice", &[("bob", 50), ("carol", 100)], 10);
    graph.try_add(&mut old, admin).unwrap();
    let mut now = old.clone();
    let demoted = levels(&graph, "alice", &[("bob", 50)], 30);
    graph.try_add(&mut now, demoted).unwrap();

    let mut backdated = old.clone();
    let taken = levels(&graph, "carol", &[("carol", 100)], 11);
    graph.try_add(&mut backdated, taken).unwrap();
    graph.try_add(&mut backdated, Deed::member("carol", "bob", "ban", 12)).unwrap();
    let of_creator = Deed::member("carol", "alice", "ban", 13);
    assert_eq!(graph.try_add(&mut backdated.clone(), of_creator), None, "nobody bans a creator");

    assert_eq!(merge(&graph, &[now.clone(), backdated]), now);
}

/// syn#14481: during a raid, moderators on two servers flip the join rules hundreds of times while people
/// join and leave, and the servers hear of each other late. The room never loses its join rules or its
/// people, and once both have heard everything they agree, and hearing it again changes nothing.
#[test]
fn attack_19_join_rule_flips_of_a_raid_reset_nothing() {
    for version in [RoomVersion::V11, RoomVersion::V12] {
        let (mut graph, start) = Graph::new(version, 6);
        let mut servers = [start.clone(), start];
        for round in 0..200_u64 {
            for (server, moderator) in ["alice", "bob"].into_iter().enumerate() {
                let state = &mut servers[server];
                let flip =
                    if join_rule(&graph, state).as_deref() == Some("public") { "invite" } else { "public" };
                graph.try_add(state, rule(moderator, flip, 10 + round)).unwrap();
                let raider = format!("raider{round}:{server}.example");
                if graph.try_add(state, Deed::member(&raider, &raider, "join", 10 + round)).is_some() {
                    graph.try_add(state, Deed::member(moderator, &raider, "ban", 10 + round)).unwrap();
                }
            }
            // One of them hears of the other now and then, never both at once.
            if round % 7 == 3 {
                let hearing = (round / 7 % 2) as usize;
                let [one, other] = &servers;
                servers[hearing] = Numbered::in_order(&graph).resolve(&[one.clone(), other.clone()]).unwrap();
            }
            for state in &servers {
                assert!(join_rule(&graph, state).is_some(), "round {round}");
                for name in ["alice", "bob", "carol"] {
                    assert_eq!(graph.membership(state, name), "join", "round {round}");
                }
            }
        }
        let healed = merge(&graph, &servers);
        let [one, other] = servers;
        assert!(merge(&graph, &[other.clone(), one.clone()]) == healed, "version {version}");
        let mut after = healed.clone();
        graph.try_add(&mut after, rule("alice", "invite", 500)).unwrap();
        let settled = merge(&graph, &[after.clone(), healed.clone()]);
        for old in [&after, &healed, &one, &other] {
            assert!(merge(&graph, &[settled.clone(), old.clone()]) == settled, "version {version}");
        }
    }
}

/// Hundreds of states at once, and chains of thousands of power levels: each event is loaded once, its
/// citations read a few times, whatever the shape.
#[test]
fn attack_20_work_is_bounded_by_the_events_in_question() {
    for version in [RoomVersion::V11, RoomVersion::V12] {
        let (mut graph, start) = Graph::new(version, 7);
        let mut states = Vec::new();
        for number in 0..200 {
            let mut state = start.clone();
            let name = format!("user{number}");
            graph.add(&mut state, Deed::member(&name, &name, "join", 10));
            graph.add(&mut state, topic("bob", &name, 11));
            states.push(state);
        }
        let mut deep = start.clone();
        for number in 0..1500 {
            let change = levels(&graph, "alice", &[("bob", 50), ("carol", number % 40)], 12);
            graph.add(&mut deep, change);
        }
        states.push(deep);

        let source = Numbered::in_order(&graph);
        let resolved = source.resolve(&states).unwrap();
        assert_eq!(resolved.len(), start.len() + 200 + 1);
        let events = graph.events.len();
        assert!(source.loaded.get() <= events, "{} of {events} loaded", source.loaded.get());
        assert!(source.walked.get() <= 2 * events, "{} of {events} walked", source.walked.get());
    }
}

/// Where ids are not hashes, events could cite each other. Nothing hangs, and what is not in the circle
/// stands.
#[test]
fn attack_20_a_circle_of_citations_ends() {
    for version in versions() {
        let (mut graph, start) = Graph::new(version, 8);
        let (mut left, mut right) = (start.clone(), start.clone());
        let one = levels(&graph, "alice", &[("bob", 50)], 10);
        let one = graph.add(&mut left, one);
        let other = levels(&graph, "alice", &[("bob", 40)], 11);
        let other = graph.add(&mut right, other);
        graph.cited[one].push(other);
        graph.cited[other].push(one);
        graph.add(&mut left, topic("bob", "left", 12));
        graph.add(&mut right, topic("bob", "right", 13));

        let source = Numbered::in_order(&graph);
        let snapshots = [source.snapshot(&left), source.snapshot(&right)];
        let resolved = source.state(resolve(version, &snapshots, &source).unwrap());
        for name in ["alice", "bob", "carol"] {
            assert_eq!(graph.membership(&resolved, name), "join", "version {version}");
        }
    }
}
