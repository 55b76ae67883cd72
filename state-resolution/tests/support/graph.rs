//! Rooms drawn in memory, without hashes and signatures: thousands of events in milliseconds.
//!
//! Resolution never looks at either, so an event is its JSON under an id that the fixture invents. Ids are
//! scattered, so that an order by id is none of time, and a [`Numbered`] room gives events any interned
//! numbers one likes. [`oracle`] is `ruma`'s resolution with all that its callers must bring.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use nexus_state_resolution::{
    Pdu, ResolutionSource, RoomVersion, StateSnapshot, auth_types, authorise_state_only,
};
use ruma::{
    EventId, OwnedEventId, OwnedUserId,
    events::StateEventType,
    state_res::{self, StateMap, utils::event_id_set::EventIdSet},
};
use serde_json::{Value, json, value::to_raw_value};

/// A state: the index of the event of each `(type, state_key)`.
pub type State = BTreeMap<(String, String), usize>;

/// The room versions whose states this crate resolves by version 2 or 2.1 of the algorithm, and whose events
/// name others by plain ids.
pub fn versions() -> Vec<RoomVersion> {
    RoomVersion::ALL
        .into_iter()
        .filter(|version| version.as_str() != "2" && version.rules().state_res.v2_rules().is_some())
        .collect()
}

/// A user id; a name with a colon has its own server.
pub fn user(name: &str) -> OwnedUserId {
    let id = if name.contains(':') { format!("@{name}") } else { format!("@{name}:a.example") };
    OwnedUserId::try_from(id).unwrap()
}

/// What someone does.
#[derive(Clone, Debug)]
pub struct Deed {
    pub by: OwnedUserId,
    pub kind: String,
    pub key: String,
    pub content: Value,
    pub ts: u64,
}

impl Deed {
    pub fn new(by: &str, kind: &str, key: &str, content: Value, ts: u64) -> Self {
        Self { by: user(by), kind: kind.to_owned(), key: key.to_owned(), content, ts }
    }

    pub fn member(by: &str, whom: &str, membership: &str, ts: u64) -> Self {
        let content = json!({ "membership": membership });
        Self::new(by, "m.room.member", user(whom).as_str(), content, ts)
    }
}

/// The events of a room.
pub struct Graph {
    pub version: RoomVersion,
    pub events: Vec<Arc<Pdu>>,
    pub cited: Vec<Vec<usize>>,
    index: HashMap<OwnedEventId, usize>,
    salt: u64,
}

fn scatter(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Graph {
    /// A public room that `alice` made, with `bob` (50) and `carol` in it.
    pub fn new(version: RoomVersion, salt: u64) -> (Self, State) {
        let mut graph = Self { version, events: Vec::new(), cited: Vec::new(), index: HashMap::new(), salt };
        let mut state = State::new();
        let create = json!({ "creator": user("alice"), "room_version": version.as_str() });
        graph.add(&mut state, Deed::new("alice", "m.room.create", "", create, 1));
        graph.add(&mut state, Deed::member("alice", "alice", "join", 2));
        let levels = graph.levels(&[("bob", 50)]);
        graph.add(&mut state, Deed::new("alice", "m.room.power_levels", "", levels, 3));
        let rule = json!({ "join_rule": "public" });
        graph.add(&mut state, Deed::new("alice", "m.room.join_rules", "", rule, 4));
        graph.add(&mut state, Deed::member("bob", "bob", "join", 5));
        graph.add(&mut state, Deed::member("carol", "carol", "join", 6));
        (graph, state)
    }

    /// Power levels with these users beside the creator, who has 100 where that is said.
    pub fn levels(&self, users: &[(&str, i64)]) -> Value {
        let mut levels = json!({ "users": {}, "state_default": 50 });
        if !self.version.room_id_is_create_event() {
            levels["users"][user("alice").as_str()] = json!(100);
        }
        for (name, level) in users {
            levels["users"][user(name).as_str()] = json!(level);
        }
        levels
    }

    /// Adds an event on top of a state, whether or not the state allows it.
    pub fn add(&mut self, state: &mut State, deed: Deed) -> usize {
        let cited = self.citations(state, &deed);
        let event = self.push(&deed, cited);
        state.insert((deed.kind, deed.key), event);
        event
    }

    /// Adds an event if the state allows it.
    pub fn try_add(&mut self, state: &mut State, deed: Deed) -> Option<usize> {
        let cited = self.citations(state, &deed);
        let pdu = self.pdu_of(&deed, &cited);
        let by_key = |kind: &str, key: &str| {
            let index = state.get(&(kind.to_owned(), key.to_owned()))?;
            Some(Arc::clone(&self.events[*index]))
        };
        authorise_state_only(self.version, &pdu, by_key).ok()?;
        let event = self.keep(pdu, cited);
        state.insert((deed.kind, deed.key), event);
        Some(event)
    }

    /// Adds an event that cites what one likes.
    pub fn push(&mut self, deed: &Deed, cited: Vec<usize>) -> usize {
        let pdu = self.pdu_of(deed, &cited);
        self.keep(pdu, cited)
    }

    fn citations(&self, state: &State, deed: &Deed) -> Vec<usize> {
        let content = to_raw_value(&deed.content).unwrap();
        let keys = auth_types(self.version, &deed.kind, &deed.by, Some(&deed.key), &content);
        keys.unwrap_or_default().iter().filter_map(|key| state.get(key).copied()).collect()
    }

    fn pdu_of(&self, deed: &Deed, cited: &[usize]) -> Pdu {
        let number = self.events.len() as u64;
        let id = |events: &[Arc<Pdu>], index: usize| events[index].event_id().to_owned();
        let event_id = format!("${:016x}{number:04x}", scatter(number ^ self.salt));
        let mut event = json!({
            "sender": deed.by, "type": deed.kind, "state_key": deed.key, "content": deed.content,
            "origin_server_ts": deed.ts, "depth": number + 1,
            "prev_events": self.events.last().map(|last| last.event_id()).into_iter().collect::<Vec<_>>(),
            "auth_events": cited.iter().map(|index| id(&self.events, *index)).collect::<Vec<_>>(),
        });
        match self.events.first() {
            Some(create) => event["room_id"] = json!(create.room_id()),
            None if self.version.room_id_is_create_event() => {}
            None => event["room_id"] = json!("!room:a.example"),
        }
        let json = event.to_string().into_boxed_str();
        Pdu::from_stored(self.version, event_id.try_into().unwrap(), json).unwrap()
    }

    fn keep(&mut self, pdu: Pdu, cited: Vec<usize>) -> usize {
        let index = self.events.len();
        self.index.insert(pdu.event_id().to_owned(), index);
        self.events.push(Arc::new(pdu));
        self.cited.push(cited);
        index
    }

    pub fn event(&self, id: &EventId) -> Option<Arc<Pdu>> {
        self.index.get(id).map(|index| Arc::clone(&self.events[*index]))
    }

    /// Everything reachable from these events along citations, themselves included.
    pub fn chain(&self, of: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
        let mut seen = BTreeSet::new();
        let mut open: Vec<usize> = of.into_iter().collect();
        while let Some(event) = open.pop() {
            if seen.insert(event) {
                open.extend(&self.cited[event]);
            }
        }
        seen
    }

    /// What a state says of a key, as JSON.
    pub fn content(&self, state: &State, kind: &str, key: &str) -> Option<Value> {
        let index = state.get(&(kind.to_owned(), key.to_owned()))?;
        self.events[*index].content_as().ok()
    }

    /// Someone's membership in a state.
    pub fn membership(&self, state: &State, name: &str) -> String {
        let content = self.content(state, "m.room.member", user(name).as_str());
        content.map_or("none".to_owned(), |content| content["membership"].as_str().unwrap().to_owned())
    }
}

/// A graph whose events have some interned numbers; counts what it is asked.
pub struct Numbered<'a> {
    pub graph: &'a Graph,
    number_of: Vec<u32>,
    index_of: HashMap<u32, usize>,
    /// How many events were handed out.
    pub loaded: Cell<usize>,
    /// How often citations were handed out.
    pub walked: Cell<usize>,
}

impl<'a> Numbered<'a> {
    pub fn in_order(graph: &'a Graph) -> Self {
        Self::new(graph, (0..graph.events.len() as u32).collect())
    }

    /// `number_of[i]` is the interned number of event `i`.
    pub fn new(graph: &'a Graph, number_of: Vec<u32>) -> Self {
        let index_of = number_of.iter().enumerate().map(|(index, number)| (*number, index)).collect();
        Self { graph, number_of, index_of, loaded: Cell::new(0), walked: Cell::new(0) }
    }

    pub fn snapshot(&self, state: &State) -> StateSnapshot<u32> {
        state.iter().map(|(key, index)| (key.clone(), self.number_of[*index])).collect()
    }

    pub fn state(&self, snapshot: StateSnapshot<u32>) -> State {
        snapshot.into_iter().map(|(key, number)| (key, self.index_of[&number])).collect()
    }

    /// The states, resolved by this crate.
    pub fn resolve(&self, states: &[State]) -> Option<State> {
        let snapshots: Vec<_> = states.iter().map(|state| self.snapshot(state)).collect();
        nexus_state_resolution::resolve(self.graph.version, &snapshots, self).ok().map(|s| self.state(s))
    }
}

impl ResolutionSource<u32> for Numbered<'_> {
    fn pdu(&self, id: u32) -> Option<Arc<Pdu>> {
        self.loaded.set(self.loaded.get() + 1);
        self.index_of.get(&id).map(|index| Arc::clone(&self.graph.events[*index]))
    }

    fn id_of(&self, event_id: &EventId) -> Option<u32> {
        self.graph.index.get(event_id).map(|index| self.number_of[*index])
    }

    fn auth_events(&self, id: u32) -> Option<Vec<u32>> {
        self.walked.set(self.walked.get() + 1);
        let index = self.index_of.get(&id)?;
        Some(self.graph.cited[*index].iter().map(|cited| self.number_of[*cited]).collect())
    }
}

/// States as `ruma` wants them.
pub fn typed(graph: &Graph, states: &[State]) -> Vec<StateMap<OwnedEventId>> {
    let typed = |((kind, key), index): (&(String, String), &usize)| {
        ((StateEventType::from(kind.as_str()), key.clone()), graph.events[*index].event_id().to_owned())
    };
    states.iter().map(|state| state.iter().map(typed).collect()).collect()
}

/// `ruma`'s resolution over whole states, with whole auth chains; the subgraph as `subgraph` finds it between
/// the conflicted events.
pub fn by_ruma(
    graph: &Graph,
    states: &[State],
    typed: &[StateMap<OwnedEventId>],
    subgraph: impl Fn(&BTreeSet<usize>) -> BTreeSet<usize>,
) -> Option<StateMap<OwnedEventId>> {
    let name = |index: usize| graph.events[index].event_id().to_owned();
    let chains: Vec<EventIdSet<OwnedEventId>> = states
        .iter()
        .map(|state| graph.chain(state.values().copied()).into_iter().map(name).collect())
        .collect();
    let rules = graph.version.rules();
    let resolved = state_res::resolve(
        &rules.authorization,
        rules.state_res.v2_rules().unwrap(),
        typed,
        chains,
        |id| graph.event(id),
        |conflicted| {
            let ends = conflicted.values().flatten().map(|id| graph.index[id]).collect();
            Some(subgraph(&ends).into_iter().map(name).collect())
        },
    );
    resolved.ok()
}

/// What `ruma` resolves these states to, with the subgraph by its definition.
pub fn oracle(graph: &Graph, states: &[State]) -> Option<State> {
    let by_definition = |ends: &BTreeSet<usize>| {
        let behind = graph.chain(ends.iter().copied());
        let reaches_end = |event: &usize| graph.chain([*event]).iter().any(|reached| ends.contains(reached));
        behind.into_iter().filter(reaches_end).collect()
    };
    let resolved = by_ruma(graph, states, &typed(graph, states), by_definition)?;
    let plain = |((kind, key), id): ((StateEventType, String), OwnedEventId)| {
        ((kind.to_string(), key), graph.index[&id])
    };
    Some(resolved.into_iter().map(plain).collect())
}
