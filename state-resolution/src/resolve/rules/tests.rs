//! The rules over parsed facts give the verdicts of the general function, for any content of any event.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::allowed;
use crate::{
    auth_types, authorise_state_only,
    resolve::{
        citations::Citations,
        iterative::{State, View},
        loaded::Loader,
    },
    support::graph::{Deed, Graph, Numbered, user, versions},
};

const USERS: [&str; 4] = ["alice", "bob", "carol", "eve:b.example"];

fn who() -> impl Strategy<Value = &'static str> {
    prop::sample::select(USERS.to_vec())
}

/// A level as it should be, or as somebody wrote it.
fn level() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => prop::sample::select(vec![-1, 0, 10, 49, 50, 51, 99, 100, 101]).prop_map(|level| json!(level)),
        1 => prop::sample::select(vec![json!("50"), json!(null), json!(" 7 "), json!([]), json!("x"), json!(true)]),
    ]
}

fn levels() -> impl Strategy<Value = Value> {
    let names = ["users_default", "events_default", "state_default", "ban", "redact", "kick", "invite"];
    let fields = prop::collection::vec((prop::sample::select(names.to_vec()), level()), 0..4);
    let users = prop::collection::vec((who(), level()), 0..4);
    let kinds = prop::sample::select(vec!["m.room.name", "m.room.power_levels", "m.room.message"]);
    let events = prop::collection::vec((kinds, level()), 0..3);
    let odd = prop::option::weighted(
        0.1,
        (prop::sample::select(vec!["users", "events", "notifications"]), level()),
    );
    (fields, users, events, level(), odd).prop_map(|(fields, users, events, room, odd)| {
        let mut content = json!({ "notifications": { "room": room } });
        for (name, level) in users {
            content["users"][user(name).as_str()] = level;
        }
        for (kind, level) in events {
            content["events"][kind] = level;
        }
        for (name, level) in fields {
            content[name] = level;
        }
        if let Some((name, level)) = odd {
            content[name] = level;
        }
        content
    })
}

fn membership() -> impl Strategy<Value = Value> {
    let known = prop::sample::select(vec!["join", "invite", "leave", "ban", "knock", "strange"]);
    let via =
        prop::option::weighted(0.4, prop_oneof![5 => who().prop_map(|via| json!(user(via))), 1 => level()]);
    let third = prop::option::weighted(
        0.1,
        prop_oneof![
            Just(json!({ "signed": { "token": "t", "mxid": "@carol:a.example", "signatures": {} } })),
            level(),
        ],
    );
    (prop_oneof![9 => known.prop_map(|known| json!(known)), 1 => level()], via, third).prop_map(
        |(membership, via, third)| {
            let mut content = json!({ "membership": membership });
            if let Some(via) = via {
                content["join_authorised_via_users_server"] = via;
            }
            if let Some(third) = third {
                content["third_party_invite"] = third;
            }
            content
        },
    )
}

fn join_rules() -> impl Strategy<Value = Value> {
    let known = ["public", "invite", "knock", "restricted", "knock_restricted", "private"];
    prop_oneof![
        9 => prop::sample::select(known.to_vec()).prop_map(|rule| json!({ "join_rule": rule })),
        1 => level().prop_map(|rule| json!({ "join_rule": rule })),
    ]
}

fn create() -> impl Strategy<Value = Value> {
    let federate = prop::option::of(prop_oneof![Just(json!(false)), Just(json!(true)), level()]);
    (federate, prop_oneof![9 => who().prop_map(|name| json!(user(name))), 1 => level()]).prop_map(
        |(federate, creator)| {
            let mut content = json!({ "creator": creator });
            if let Some(federate) = federate {
                content["m.federate"] = federate;
            }
            content
        },
    )
}

/// An event of any kind that a rule is about.
fn deed() -> impl Strategy<Value = Deed> {
    let of_state = |kind: &'static str, content: BoxedStrategy<Value>| {
        (who(), content).prop_map(move |(by, content)| Deed::new(by, kind, "", content, 20)).boxed()
    };
    let member = (who(), who(), membership())
        .prop_map(|(by, whom, content)| Deed::new(by, "m.room.member", user(whom).as_str(), content, 20));
    let own = (who(), membership())
        .prop_map(|(by, content)| Deed::new(by, "m.room.member", user(by).as_str(), content, 20));
    let keys = prop::sample::select(vec!["", "@bob:a.example", "b.example", "a.example", "@", "t"]);
    let kinds = vec![
        "m.room.name",
        "m.room.third_party_invite",
        "m.room.aliases",
        "m.room.redaction",
        "m.room.member",
    ];
    let other = (who(), prop::sample::select(kinds), keys)
        .prop_map(|(by, kind, key)| Deed::new(by, kind, key, json!({ "membership": "join" }), 20));
    prop_oneof![
        4 => member,
        4 => own,
        4 => of_state("m.room.power_levels", levels().boxed()),
        1 => of_state("m.room.join_rules", join_rules().boxed()),
        2 => other,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parsed_rules_judge_as_the_general_ones(
        version in prop::sample::select(versions()),
        create in prop::option::weighted(0.5, create()),
        levels in prop::option::weighted(0.8, levels()),
        rules in prop::option::weighted(0.9, join_rules()),
        members in prop::collection::vec((who(), membership()), 0..4),
        deed in deed(),
    ) {
        let (mut graph, mut state) = Graph::new(version, 9);
        let mut put = |kind: &str, key: &str, content: Option<Value>| match content {
            Some(content) => {
                let event = graph.push(&Deed::new("alice", kind, key, content, 10), Vec::new());
                state.insert((kind.to_owned(), key.to_owned()), event);
            }
            None => drop(state.remove(&(kind.to_owned(), key.to_owned()))),
        };
        if create.is_some() {
            put("m.room.create", "", create);
        }
        put("m.room.power_levels", "", levels);
        put("m.room.join_rules", "", rules);
        for (name, content) in members {
            put("m.room.member", user(name).as_str(), Some(content));
        }
        let event = graph.add(&mut state.clone(), deed);

        // The general rules read what is cited, and the create event where the room id names it.
        let pdu = &graph.events[event];
        let by_key = |kind: &str, key: &str| {
            if kind == "m.room.create" && version.room_id_is_create_event() {
                return Some(graph.events[0].clone());
            }
            let cited = graph.cited[event].iter().map(|cited| &graph.events[*cited]);
            { cited }.find(|pdu| pdu.event_type() == kind && pdu.state_key() == Some(key)).cloned()
        };
        let read = auth_types(version, pdu.event_type(), pdu.sender(), pdu.state_key(), pdu.content());
        // One that is too malformed to say what it must cite is skipped by resolution.
        let expected = read.is_ok() && authorise_state_only(version, pdu, by_key).is_ok();

        let source = Numbered::in_order(&graph);
        let mut citations = Citations::new(&source);
        let mut loader = Loader::new(version, &mut citations, [event as u32]).unwrap();
        loader.link(0).unwrap();
        loader.find_create(&[0]).unwrap();
        let room = &loader.loaded;
        let view = View { room, state: &State::default(), event: &room.events[0] };
        prop_assert_eq!(allowed(&view).unwrap_or(false), expected, "{}", pdu.json());
    }
}
