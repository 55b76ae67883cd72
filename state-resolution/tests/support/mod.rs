//! Fixtures of the unit and property tests: servers with fixed keys, and rooms that fork in memory.
//!
//! **Shapes**: a [`State`] maps `(type, state_key)` to event ids; [`Interned`] gives the same events any
//! numbering one likes, to show that the numbering means nothing.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of the fixtures")]
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made is a failed test")]

pub mod doors;
pub mod graph;
pub mod saga;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use nexus_state_resolution::{
    AuthError, Citation, Draft, Pdu, ResolutionSource, RoomVersion, Signer, StateSnapshot, auth_types,
    authorise, build, resolve,
};
use ruma::{
    CanonicalJsonObject, EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedServerName, OwnedUserId,
    ServerName, UInt,
    serde::Base64,
    signatures::{Ed25519KeyPair, PublicKeyMap, PublicKeySet},
};
use serde_json::{Value, json, value::to_raw_value};

/// A server with a key made from its name.
pub struct TestServer {
    name: OwnedServerName,
    key_pair: Ed25519KeyPair,
}

impl TestServer {
    pub fn new(name: &str) -> Self {
        // The PKCS#8 frame of an Ed25519 key, around 32 bytes of seed.
        let mut document = vec![
            0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
        ];
        document.extend(name.bytes().cycle().take(32));
        Self {
            name: ServerName::parse(name).unwrap(),
            key_pair: Ed25519KeyPair::from_der(&document, "t1".to_owned()).unwrap(),
        }
    }

    pub fn keys(&self) -> PublicKeyMap {
        let key = Base64::new(self.key_pair.public_key().to_vec());
        PublicKeyMap::from([(self.name.to_string(), PublicKeySet::from([("ed25519:t1".to_owned(), key)]))])
    }
}

impl Signer for TestServer {
    fn server_name(&self) -> &ServerName {
        &self.name
    }

    fn key_pair(&self) -> &Ed25519KeyPair {
        &self.key_pair
    }
}

/// JSON text as a canonical object.
pub fn object(value: Value) -> CanonicalJsonObject {
    serde_json::from_value(value).unwrap()
}

pub fn millis(ts: u64) -> MilliSecondsSinceUnixEpoch {
    MilliSecondsSinceUnixEpoch(UInt::try_from(ts).unwrap())
}

pub fn user(name: &str) -> OwnedUserId {
    OwnedUserId::try_from(format!("@{name}:a.example")).unwrap()
}

/// A citation without a hash, as versions from 3 on have them.
pub fn cited(id: &str) -> Citation {
    OwnedEventId::try_from(id).unwrap().into()
}

/// The draft as `version` can have it: before version 3 with a made-up hash beside every cited id.
pub fn of_version(version: RoomVersion, draft: Draft) -> Draft {
    if !version.cites_by_hash() {
        return draft;
    }
    let hashed = |cited: Vec<Citation>| {
        cited.iter().map(|citation| Citation::with_hash(citation.event_id().to_owned(), "aGFzaA")).collect()
    };
    Draft { prev_events: hashed(draft.prev_events), auth_events: hashed(draft.auth_events), ..draft }
}

/// A draft of a message in no particular place.
pub fn message_draft(text: &str) -> Draft {
    Draft {
        room_id: Some("!room:a.example".try_into().unwrap()),
        sender: user("alice"),
        event_type: "m.room.message".to_owned(),
        state_key: None,
        content: object(json!({ "body": text, "msgtype": "m.text" })),
        redacts: None,
        origin_server_ts: millis(1_700_000_000_000),
        prev_events: vec![cited("$prev")],
        auth_events: vec![cited("$auth")],
        depth: 7,
    }
}

/// One branch's view: its state by event ids, and its last event.
#[derive(Clone, Debug, Default)]
pub struct Branch {
    pub state: BTreeMap<(String, String), OwnedEventId>,
    pub tip: Vec<OwnedEventId>,
}

/// What someone does on a branch.
pub struct Act<'a> {
    pub sender: &'a str,
    pub kind: &'a str,
    pub state_key: Option<&'a str>,
    pub content: Value,
    pub ts: u64,
}

/// A room in memory; every event of every branch is in `events`.
pub struct Room {
    pub version: RoomVersion,
    pub server: TestServer,
    pub events: Vec<Arc<Pdu>>,
    index: BTreeMap<OwnedEventId, usize>,
    /// The room's id, where its first event does not make it.
    name: String,
}

impl Room {
    /// A room without any event, on `server`.
    pub fn empty(version: RoomVersion, server: TestServer) -> Self {
        Self { version, server, name: "!room:a.example".to_owned(), events: vec![], index: BTreeMap::new() }
    }

    /// As [`Room::new`], another room of the same people.
    pub fn named(version: RoomVersion, name: &str) -> (Self, Branch) {
        let mut room = Self::empty(version, TestServer::new("a.example"));
        room.name = name.to_owned();
        Self::furnished(room)
    }

    /// A room that `@alice` made, with `@bob` and `@carol` joined and `@bob` at level 50.
    pub fn new(version: RoomVersion) -> (Self, Branch) {
        Self::furnished(Self::empty(version, TestServer::new("a.example")))
    }

    fn furnished(mut room: Self) -> (Self, Branch) {
        let version = room.version;
        let mut main = Branch::default();
        let alice = user("alice").to_string();
        let users = if version.room_id_is_create_event() {
            json!({ user("bob").as_str(): 50 })
        } else {
            json!({ &alice: 100, user("bob").as_str(): 50 })
        };
        // The name, so that two rooms of version 12 have two ids.
        let create = json!({ "creator": alice, "room_version": version.as_str(), "name": room.name });
        room.state(&mut main, "alice", "m.room.create", "", create, 1);
        room.state(&mut main, "alice", "m.room.member", &alice, json!({ "membership": "join" }), 2);
        let levels = json!({ "users": users, "state_default": 50, "events": { "m.room.name": 0 } });
        room.state(&mut main, "alice", "m.room.power_levels", "", levels, 3);
        room.state(&mut main, "alice", "m.room.join_rules", "", json!({ "join_rule": "public" }), 4);
        for (name, ts) in [("bob", 5), ("carol", 6)] {
            let join = json!({ "membership": "join" });
            room.state(&mut main, name, "m.room.member", user(name).as_str(), join, ts);
        }
        (room, main)
    }

    /// Send a state event that must be allowed.
    pub fn state(
        &mut self,
        branch: &mut Branch,
        sender: &str,
        kind: &str,
        key: &str,
        content: Value,
        ts: u64,
    ) {
        let act = Act { sender, kind, state_key: Some(key), content, ts };
        self.act(branch, act).unwrap();
    }

    /// Build an event on top of a branch, citing the branch's state.
    pub fn build_on(&self, branch: &Branch, act: Act<'_>) -> Pdu {
        let sender = user(act.sender);
        let raw = to_raw_value(&act.content).unwrap();
        let cited = auth_types(self.version, act.kind, &sender, act.state_key, &raw).unwrap();
        let depth = branch.tip.iter().filter_map(|id| self.event(id)).map(|pdu| pdu.depth()).max();
        let draft = Draft {
            room_id: self.room_id(act.kind),
            sender,
            event_type: act.kind.to_owned(),
            state_key: act.state_key.map(str::to_owned),
            content: object(act.content),
            redacts: None,
            origin_server_ts: millis(act.ts),
            prev_events: self.citations(branch.tip.iter()),
            auth_events: self.citations(cited.iter().filter_map(|key| branch.state.get(key))),
            depth: depth.unwrap_or(0) + 1,
        };
        build(self.version, draft, &self.server).unwrap()
    }

    /// How these events of the room are cited.
    pub fn citations<'a>(&self, ids: impl Iterator<Item = &'a OwnedEventId>) -> Vec<Citation> {
        ids.map(|id| self.event(id).unwrap().citation().unwrap()).collect()
    }

    pub fn room_id(&self, kind: &str) -> Option<ruma::OwnedRoomId> {
        match self.events.first() {
            Some(create) => Some(create.room_id().to_owned()),
            None if kind == "m.room.create" && self.version.room_id_is_create_event() => None,
            None => Some(self.name.as_str().try_into().unwrap()),
        }
    }

    /// Build, authorise against the branch's state and, if allowed, append.
    pub fn act(&mut self, branch: &mut Branch, act: Act<'_>) -> Result<Arc<Pdu>, AuthError> {
        let pdu = Arc::new(self.build_on(branch, act));
        self.authorise(branch, &pdu)?;
        self.keep(pdu.clone());
        branch.tip = vec![pdu.event_id().to_owned()];
        if let Some(key) = pdu.state_key() {
            let key = (pdu.event_type().to_owned(), key.to_owned());
            branch.state.insert(key, pdu.event_id().to_owned());
        }
        Ok(pdu)
    }

    pub fn authorise(&self, branch: &Branch, pdu: &Pdu) -> Result<(), AuthError> {
        authorise(self.version, pdu, |id| self.event(id), |kind, key| self.in_state(branch, kind, key))
    }

    pub fn in_state(&self, branch: &Branch, kind: &str, key: &str) -> Option<Arc<Pdu>> {
        branch.state.get(&(kind.to_owned(), key.to_owned())).and_then(|id| self.event(id))
    }

    pub fn keep(&mut self, pdu: Arc<Pdu>) {
        let next = self.events.len();
        if let std::collections::btree_map::Entry::Vacant(entry) = self.index.entry(pdu.event_id().to_owned())
        {
            entry.insert(next);
            self.events.push(pdu);
        }
    }

    pub fn event(&self, id: &EventId) -> Option<Arc<Pdu>> {
        self.index.get(id).map(|index| self.events[*index].clone())
    }

    pub fn index_of(&self, id: &EventId) -> Option<usize> {
        self.index.get(id).copied()
    }

    /// Everything reachable along `auth_events` from these events, themselves included.
    pub fn chain(&self, of: impl IntoIterator<Item = OwnedEventId>) -> BTreeSet<OwnedEventId> {
        let mut seen = BTreeSet::new();
        let mut open: Vec<OwnedEventId> = of.into_iter().collect();
        while let Some(id) = open.pop() {
            if seen.insert(id.clone()) {
                open.extend(self.event(&id).unwrap().auth_events().iter().cloned());
            }
        }
        seen
    }

    /// Resolve the states of some branches under a numbering of the events.
    pub fn resolve(
        &self,
        branches: &[Branch],
        interned: &Interned<'_>,
    ) -> BTreeMap<(String, String), OwnedEventId> {
        let snapshots: Vec<StateSnapshot<u32>> = branches
            .iter()
            .map(|branch| {
                let number = |id: &OwnedEventId| interned.id_of(id).unwrap();
                branch.state.iter().map(|(key, id)| (key.clone(), number(id))).collect()
            })
            .collect();
        resolve(self.version, &snapshots, interned)
            .unwrap()
            .into_iter()
            .map(|(key, id)| (key, interned.pdu(id).unwrap().event_id().to_owned()))
            .collect()
    }

    /// Branches become one whose state is their resolution.
    pub fn merge(&self, branches: &[Branch]) -> Branch {
        let state = self.resolve(branches, &Interned::in_order(self));
        let tips: BTreeSet<OwnedEventId> = branches.iter().flat_map(|branch| branch.tip.clone()).collect();
        Branch { state, tip: tips.into_iter().collect() }
    }
}

/// A room's events under some numbering.
pub struct Interned<'a> {
    room: &'a Room,
    number_of: Vec<u32>,
    index_of: BTreeMap<u32, usize>,
}

impl<'a> Interned<'a> {
    pub fn in_order(room: &'a Room) -> Self {
        Self::new(room, (0..room.events.len() as u32).collect())
    }

    /// `number_of[i]` is the interned id of event `i`.
    pub fn new(room: &'a Room, number_of: Vec<u32>) -> Self {
        let index_of = number_of.iter().enumerate().map(|(index, number)| (*number, index)).collect();
        Self { room, number_of, index_of }
    }
}

impl ResolutionSource<u32> for Interned<'_> {
    fn pdu(&self, id: u32) -> Option<Arc<Pdu>> {
        self.index_of.get(&id).map(|index| self.room.events[*index].clone())
    }

    fn id_of(&self, event_id: &EventId) -> Option<u32> {
        self.room.index_of(event_id).map(|index| self.number_of[index])
    }
}
