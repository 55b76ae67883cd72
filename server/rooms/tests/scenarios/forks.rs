//! A room whose graph is forked: its states are resolved through the store, tries and index, to what `ruma`
//! makes of whole states and whole auth chains.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use nexus_event_store::{
    EventNo, NodeHash, Position, Rows as _, Tx,
    catalogue::{EventPlaces, Events},
    chains,
    event_id::EventIdKey,
    rows::{EventPlace, EventRow},
    trie,
};
use nexus_rooms::{CreateRoom, Preset, resolve_states};
use nexus_state_resolution::{Pdu, RoomVersion, auth_types};
use nexus_views::Reader;
use ruma::{
    EventId, OwnedEventId,
    events::StateEventType,
    state_res::{self, StateMap, utils::event_id_set::EventIdSet},
};
use serde_json::{Value, json, value::to_raw_value};

use crate::scene::{Room, Scene, actor, play, state};

/// A room and a decision in which it is forked.
struct Fork<'s> {
    scene: &'s Scene,
    room: &'s Room,
    version: RoomVersion,
    tx: Tx,
    events: u64,
}

impl Fork<'_> {
    fn reader(&self) -> Reader<'_, Tx> {
        Reader { rows: &self.tx, caches: self.scene.views().caches() }
    }

    /// Puts an event on top of a state, as if another server had sent it; the state after it.
    async fn add(&mut self, on: NodeHash, by: &str, kind: &str, key: &str, content: Value) -> NodeHash {
        let (reader, room) = (self.reader(), self.room.no);
        let sender = actor(by).user;
        let raw = to_raw_value(&content).unwrap();
        let (mut auth, mut auth_ids) = (Vec::new(), Vec::new());
        for (kind, key) in auth_types(self.version, kind, &sender, Some(key), &raw).unwrap() {
            if let Some(event) = reader.state_event(room, on, &kind, &key).await.unwrap() {
                auth.push(event.no);
                auth_ids.push(event.pdu.event_id().to_owned());
            }
        }
        self.events += 1;
        let mut event_id = format!("$forked{:04}", self.events * 7919 % 10_000);
        if self.version.names_its_events() {
            event_id.push_str(":sim.example");
        }
        let auth_ids: Vec<Value> = auth_ids
            .into_iter()
            .map(|id| if self.version.cites_by_hash() { json!([id, { "sha256": "" }]) } else { json!(id) })
            .collect();
        let json = json!({
            "event_id": event_id,
            "room_id": self.room.id, "sender": sender, "type": kind, "state_key": key, "content": content,
            "origin_server_ts": 2_000_000_000_000_u64 + self.events / 3, "depth": 1000,
            "prev_events": [], "auth_events": auth_ids,
        });
        let no = self.tx.new_event_no();
        let key_no = self.tx.intern_state_key(kind, key).await.unwrap();
        let (after, nodes) = trie::apply(&self.tx, room, on, vec![(key_no, Some(no))]).await.unwrap();
        self.tx.put_nodes(room, nodes);
        chains::index(&self.tx, room, no, key_no, &auth).await.unwrap();
        let row = EventRow {
            event_id: event_id.clone(),
            json: json.to_string(),
            prev: Vec::new(),
            auth,
            state_before: on,
            state_after: Some(after),
            position: Position::START,
            snowflake: None,
            redacted_by: None,
            transaction: None,
        };
        self.tx.put::<Events>(&(room, no), &row);
        self.tx.put::<EventPlaces>(&EventIdKey::from(&*event_id), &EventPlace { room, event: no });
        after
    }

    async fn resolve(&self, states: &[NodeHash]) -> BTreeMap<(String, String), EventNo> {
        let caches = self.scene.views().caches();
        let root = resolve_states(&self.tx, caches, self.room.no, states).await.unwrap();
        let mut turned = states.to_vec();
        turned.reverse();
        assert_eq!(resolve_states(&self.tx, caches, self.room.no, &turned).await.unwrap(), root);
        self.reader().snapshot(self.room.no, root).await.unwrap()
    }

    /// What `ruma` makes of the same states.
    async fn by_ruma(&self, states: &[NodeHash]) -> BTreeMap<(String, String), EventNo> {
        let mut known: BTreeMap<EventNo, (Arc<Pdu>, Vec<EventNo>)> = BTreeMap::new();
        let (mut maps, mut chains) = (Vec::new(), Vec::new());
        for state in states {
            let snapshot = self.reader().snapshot(self.room.no, *state).await.unwrap();
            let mut open: Vec<EventNo> = snapshot.values().copied().collect();
            let mut chain = BTreeSet::new();
            while let Some(no) = open.pop() {
                if chain.insert(no) {
                    let row = self.tx.existing::<Events>(&(self.room.no, no)).await.unwrap();
                    let event_id = OwnedEventId::try_from(row.event_id).unwrap();
                    let pdu = Pdu::from_stored(self.version, event_id, row.json.into_boxed_str()).unwrap();
                    open.extend(&row.auth);
                    known.insert(no, (Arc::new(pdu), row.auth));
                }
            }
            let name = |no: &EventNo| known[no].0.event_id().to_owned();
            let typed = |(key, no): (&(String, String), &EventNo)| {
                ((StateEventType::from(key.0.as_str()), key.1.clone()), name(no))
            };
            maps.push(snapshot.iter().map(typed).collect::<StateMap<OwnedEventId>>());
            chains.push(chain.iter().map(name).collect::<EventIdSet<OwnedEventId>>());
        }
        let by_id: BTreeMap<OwnedEventId, EventNo> =
            known.iter().map(|(no, (pdu, _))| (pdu.event_id().to_owned(), *no)).collect();
        let between = |conflicted: &StateMap<Vec<OwnedEventId>>| {
            let ends: BTreeSet<EventNo> = conflicted.values().flatten().map(|id| by_id[id]).collect();
            // Numbered after what they cite: one pass each way tells what is under and what is above an end.
            let mut under = ends.clone();
            for (no, (_, cited)) in known.iter().rev() {
                if under.contains(no) {
                    under.extend(cited);
                }
            }
            let mut above = ends;
            for (no, (_, cited)) in &known {
                if cited.iter().any(|cited| above.contains(cited)) {
                    above.insert(*no);
                }
            }
            Some(under.intersection(&above).map(|no| known[no].0.event_id().to_owned()).collect())
        };
        let rules = self.version.rules();
        let fetch = |id: &EventId| by_id.get(id).map(|no| Arc::clone(&known[no].0));
        let v2 = rules.state_res.v2_rules().unwrap();
        let resolved = state_res::resolve(&rules.authorization, v2, &maps, chains, fetch, between).unwrap();
        resolved.into_iter().map(|((kind, key), id)| ((kind.to_string(), key), by_id[&id])).collect()
    }
}

/// A public room of Ana's with Ben (a moderator), Cleo and Dan in it, before it forks.
async fn forked(scene: &Scene, version: RoomVersion, fork: impl AsyncFnOnce(&mut Fork<'_>, NodeHash)) {
    let new = CreateRoom { version: Some(version), preset: Preset::PublicChat, ..CreateRoom::default() };
    let made = scene.rooms.create_room(&actor("ana"), new).await.unwrap();
    let room = scene.room(made.room).await;
    for name in ["ben", "cleo", "dan"] {
        scene.rooms.join(&actor(name), &room.id, None).await.unwrap();
    }
    let levels = levels(scene, &room, &[("ben", 50)]).await;
    scene.send("ana", state(&room, "m.room.power_levels", "", levels)).await;
    let head = scene.views().head(room.no).await.unwrap();
    let mut forked = Fork { scene, room: &room, version, tx: scene.store().begin(), events: 0 };
    fork(&mut forked, head.state).await;
}

/// The room's power levels with these users' levels.
async fn levels(scene: &Scene, room: &Room, users: &[(&str, i64)]) -> Value {
    let head = scene.views().head(room.no).await.unwrap();
    let current = scene.views().state(room.no, head.state).await.unwrap();
    let current = current.iter().find(|event| event.pdu.event_type() == "m.room.power_levels").unwrap();
    let mut content: Value = current.pdu.content_as().unwrap();
    for (name, level) in users {
        content["users"][actor(name).user.as_str()] = json!(level);
    }
    content
}

fn member(membership: &str) -> Value {
    json!({ "membership": membership })
}

#[test]
fn a_forked_room_is_resolved_through_the_store_as_ruma_does_it() {
    for version in [RoomVersion::V6, RoomVersion::V10, RoomVersion::V11, RoomVersion::V12] {
        play(async |scene| {
            forked(scene, version, async |fork, main| {
                let (ben, cleo, dan, eve) =
                    (actor("ben").user, actor("cleo").user, actor("dan").user, actor("eve").user);
                let promoted = levels(scene, fork.room, &[("ben", 50), ("cleo", 50)]).await;

                // Here Ana bans Ben; there Ben goes on as if nothing were, and Cleo is promoted.
                let mut left = fork.add(main, "ana", "m.room.member", ben.as_str(), member("ban")).await;
                left = fork.add(left, "dan", "m.room.member", dan.as_str(), member("leave")).await;
                left = fork.add(left, "ana", "m.room.topic", "", json!({ "topic": "left" })).await;
                let mut right = fork.add(main, "ben", "m.room.topic", "", json!({ "topic": "right" })).await;
                right = fork.add(right, "ben", "m.room.member", dan.as_str(), member("ban")).await;
                right = fork.add(right, "ana", "m.room.power_levels", "", promoted).await;
                right = fork.add(right, "cleo", "m.room.name", "", json!({ "name": "Cleo's" })).await;
                right = fork.add(right, "eve", "m.room.member", eve.as_str(), member("join")).await;
                // And a third, which closed the door before either.
                let closed = json!({ "join_rule": "invite" });
                let mut third = fork.add(main, "ana", "m.room.join_rules", "", closed).await;
                third = fork.add(third, "cleo", "m.room.member", cleo.as_str(), member("join")).await;

                let two = fork.resolve(&[left, right]).await;
                assert_eq!(two, fork.by_ruma(&[left, right]).await, "version {version}");
                let of = |kind: &str, key: &str| two.get(&(kind.to_owned(), key.to_owned())).copied();
                let banned = of("m.room.member", ben.as_str()).unwrap();
                let row = fork.tx.existing::<Events>(&(fork.room.no, banned)).await.unwrap();
                assert!(row.json.contains("\"ban\""), "{}", row.json);

                for states in [vec![left, third], vec![right, third], vec![left, right, third]] {
                    let ours = fork.resolve(&states).await;
                    assert_eq!(ours, fork.by_ruma(&states).await, "version {version}");
                }
                // What is resolved, resolved again with where it came from, stays.
                let caches = scene.views().caches();
                let states = [left, right, third];
                let merged = resolve_states(&fork.tx, caches, fork.room.no, &states).await.unwrap();
                let again = [merged, left];
                let ours = fork.resolve(&again).await;
                assert_eq!(ours, fork.by_ruma(&again).await, "version {version}");
            })
            .await;
        });
    }
}

#[test]
fn states_that_agree_and_rooms_of_version_1_are_resolved_too() {
    play(async |scene| {
        forked(scene, RoomVersion::V1, async |fork, main| {
            let left = fork.add(main, "ana", "m.room.topic", "", json!({ "topic": "left" })).await;
            let right = fork.add(main, "ana", "m.room.name", "", json!({ "name": "right" })).await;
            let merged = fork.resolve(&[left, right]).await;
            let left = fork.reader().snapshot(fork.room.no, left).await.unwrap();
            let right = fork.reader().snapshot(fork.room.no, right).await.unwrap();
            // In version 1 absence is no opinion.
            assert_eq!(merged, left.into_iter().chain(right).collect());
            let caches = scene.views().caches();
            let same = resolve_states(&fork.tx, caches, fork.room.no, &[main, main]).await.unwrap();
            assert_eq!(same, main);
        })
        .await;
    });
}
