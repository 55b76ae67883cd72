//! Histories of rooms drawn from numbers: three branches on which five users of two servers try whatever the
//! rules judge, allowed or not, and which are merged and forked again.
//!
//! **Shapes**: each number is one step of [`Saga::play`]; every choice in it is a digit of the number, so that
//! fewer and smaller numbers are simpler histories.

use std::sync::Arc;

use nexus_state_resolution::{AuthError, Citation, Draft, Pdu, RoomVersion, auth_types, build, countersign};
use ruma::{CanonicalJsonObject, OwnedEventId, OwnedUserId, signatures::sign_json};
use serde_json::{Value, json, value::to_raw_value};

use super::{Branch, Room, TestServer, millis, object};
use nexus_state_resolution::Signer as _;

pub const WHO: [&str; 5] =
    ["@alice:a.example", "@bob:a.example", "@carol:a.example", "@dave:b.example", "@erin:b.example"];
pub const BRANCHES: usize = 3;

/// The digits of one number.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = bound as u64;
        let digit = self.0 % bound;
        self.0 /= bound;
        digit as usize
    }

    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// An event somebody tried to add to a branch.
pub struct Attempt {
    pub event: Arc<Pdu>,
    /// The branch before it.
    pub on: Branch,
    pub verdict: Result<(), AuthError>,
}

/// What somebody tries.
struct Deed {
    sender: OwnedUserId,
    kind: &'static str,
    state_key: Option<String>,
    content: Value,
    redacts: Option<OwnedEventId>,
    meddle: Meddle,
}

/// What is wrong with the citations.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meddle {
    Nothing,
    /// One is left out.
    Drop(usize),
    /// One is there twice.
    Double(usize),
    /// One is there that the event does not need.
    Surplus,
}

pub struct Saga {
    pub room: Room,
    other: TestServer,
    pub branches: Vec<Branch>,
    pub attempts: Vec<Attempt>,
}

impl Saga {
    /// Plays a history to its end.
    pub fn play(version: RoomVersion, steps: &[u64]) -> Self {
        let mut saga = Self::begin(version, steps.first().copied().unwrap_or(0));
        for step in steps {
            saga.step(Dice(*step));
        }
        saga
    }

    /// A room by alice, with bob at level 50, carol and dave; all levels said.
    fn begin(version: RoomVersion, seed: u64) -> Self {
        let room = Room::empty(version, TestServer::new("a.example"));
        let mut saga = Self { room, other: TestServer::new("b.example"), branches: vec![], attempts: vec![] };
        let mut main = Branch::default();
        let mut create = json!({ "creator": WHO[0], "room_version": version.as_str() });
        let above_all = version.room_id_is_create_event();
        if above_all && seed.is_multiple_of(3) {
            create["additional_creators"] = json!([WHO[3]]);
        }
        let users = match above_all {
            true => json!({ WHO[1]: 50 }),
            false => json!({ WHO[0]: 100, WHO[1]: 50 }),
        };
        let levels = json!({
            "users": users, "users_default": 0, "events_default": 0, "state_default": 50,
            "ban": 50, "kick": 50, "redact": 50, "invite": 0, "events": { "m.room.name": 0 },
            "notifications": { "room": 50 },
        });
        let first = [
            (0, "m.room.create", "", create),
            (0, "m.room.member", WHO[0], json!({ "membership": "join" })),
            (0, "m.room.power_levels", "", levels),
            (0, "m.room.join_rules", "", json!({ "join_rule": "public" })),
            (1, "m.room.member", WHO[1], json!({ "membership": "join" })),
            (2, "m.room.member", WHO[2], json!({ "membership": "join" })),
            (3, "m.room.member", WHO[3], json!({ "membership": "join" })),
        ];
        for (ts, (by, kind, key, content)) in first.into_iter().enumerate() {
            let deed = Deed::state(WHO[by], kind, key, content);
            main = saga.attempt(&main, deed, ts as u64).expect("a room can begin");
        }
        saga.branches = vec![main; BRANCHES];
        saga
    }

    fn step(&mut self, mut dice: Dice) {
        let branch = dice.below(BRANCHES);
        let deed = match dice.below(20) {
            0..=6 => self.member(&mut dice),
            7..=10 => self.levels(branch, &mut dice),
            11 | 12 => self.join_rule(&mut dice),
            13 => self.message_or_name(&mut dice),
            14 => self.owned_state(&mut dice),
            15 => self.redaction(&mut dice),
            16 => self.token(&mut dice),
            17 => return self.merge(branch, &mut dice),
            _ => return self.adopt(branch, &mut dice),
        };
        let ts = 10 + dice.below(4) as u64;
        let on = self.branches[branch].clone();
        if let Some(moved) = self.attempt(&on, deed, ts) {
            self.branches[branch] = moved;
        }
    }

    fn merge(&mut self, into: usize, dice: &mut Dice) {
        let from = dice.below(BRANCHES);
        self.branches[into] = self.room.merge(&[self.branches[from].clone(), self.branches[into].clone()]);
    }

    /// Every branch takes over one entry of a state: what criss-cross merges lead to, without their length.
    fn adopt(&mut self, from: usize, dice: &mut Dice) {
        let keys: Vec<_> =
            self.branches[from].state.keys().filter(|(kind, _)| kind != "m.room.create").collect();
        let key = keys[dice.below(keys.len())].clone();
        let id = self.branches[from].state[&key].clone();
        for branch in &mut self.branches {
            branch.state.insert(key.clone(), id.clone());
        }
    }

    /// Builds, judges and records; the branch after it, if it was allowed.
    fn attempt(&mut self, on: &Branch, deed: Deed, ts: u64) -> Option<Branch> {
        let event = Arc::new(self.build(on, &deed, ts));
        let verdict = self.room.authorise(on, &event);
        let moved = verdict.is_ok().then(|| {
            self.room.keep(event.clone());
            let mut moved = on.clone();
            moved.tip = vec![event.event_id().to_owned()];
            if let Some(key) = event.state_key() {
                let key = (event.event_type().to_owned(), key.to_owned());
                moved.state.insert(key, event.event_id().to_owned());
            }
            moved
        });
        self.attempts.push(Attempt { event, on: on.clone(), verdict });
        moved
    }

    fn build(&self, on: &Branch, deed: &Deed, ts: u64) -> Pdu {
        let version = self.room.version;
        let raw = to_raw_value(&deed.content).unwrap();
        let cited =
            auth_types(version, deed.kind, &deed.sender, deed.state_key.as_deref(), &raw).unwrap_or_default();
        let mut auth_events = self.room.citations(cited.iter().filter_map(|key| on.state.get(key)));
        self.meddle(&mut auth_events, on, deed.meddle);
        let depth = on.tip.iter().filter_map(|id| self.room.event(id)).map(|pdu| pdu.depth()).max();
        let draft = Draft {
            room_id: self.room.room_id(deed.kind),
            sender: deed.sender.clone(),
            event_type: deed.kind.to_owned(),
            state_key: deed.state_key.clone(),
            content: object(deed.content.clone()),
            redacts: deed.redacts.clone(),
            origin_server_ts: millis(ts),
            prev_events: self.room.citations(on.tip.iter()),
            auth_events,
            depth: depth.unwrap_or(0) + 1,
        };
        let (server, other) = match deed.sender.server_name() == "a.example" {
            true => (&self.room.server, &self.other),
            false => (&self.other, &self.room.server),
        };
        let event = build(version, draft, server).unwrap();
        // Who vouches for a restricted join signs as well; where nobody has to, nobody does.
        countersign(&event, other).unwrap_or(event)
    }

    fn meddle(&self, cited: &mut Vec<Citation>, on: &Branch, meddle: Meddle) {
        match meddle {
            Meddle::Drop(at) if !cited.is_empty() => {
                cited.remove(at % cited.len());
            }
            Meddle::Double(at) if !cited.is_empty() => {
                cited.push(cited[at % cited.len()].clone());
            }
            Meddle::Surplus => {
                let names = on.state.iter().filter(|((kind, _), _)| kind == "m.room.name").map(|(_, id)| id);
                cited.extend(self.room.citations(names));
            }
            Meddle::Nothing | Meddle::Drop(_) | Meddle::Double(_) => {}
        }
    }

    fn member(&self, dice: &mut Dice) -> Deed {
        let membership = dice.one_of(&["join", "join", "leave", "leave", "ban", "invite", "knock", "odd"]);
        let by = dice.below(WHO.len());
        // Mostly for oneself where that makes sense.
        let whom = match (membership, dice.below(3)) {
            ("join" | "knock", 0 | 1) | ("leave", 0) => by,
            _ => dice.below(WHO.len()),
        };
        let mut content = json!({ "membership": membership });
        match (membership, dice.below(4)) {
            ("join", 0 | 1) => {
                // No server vouches for a join that somebody makes for another.
                let via = if by == whom { dice.one_of(&WHO) } else { WHO[by] };
                content["join_authorised_via_users_server"] = json!(via);
            }
            ("invite", 0) => content["third_party_invite"] = self.third_party(WHO[whom], dice),
            _ => {}
        }
        Deed { meddle: meddling(dice), ..Deed::state(WHO[by], "m.room.member", WHO[whom], content) }
    }

    /// What an identity server signs for who has a token, or something like it.
    fn third_party(&self, whom: &str, dice: &mut Dice) -> Value {
        let mxid = if dice.below(4) == 0 { WHO[1] } else { whom };
        let mut signed: CanonicalJsonObject = object(json!({ "mxid": mxid, "token": token(dice) }));
        let signer = TestServer::new(dice.one_of(&["id.example", "id.example", "b.example"]));
        sign_json("id.example", signer.key_pair(), &mut signed).unwrap();
        json!({ "display_name": "e...", "signed": signed })
    }

    fn levels(&self, branch: usize, dice: &mut Dice) -> Deed {
        let current = self.room.in_state(&self.branches[branch], "m.room.power_levels", "");
        let mut levels: Value = current.map_or_else(|| json!({}), |pdu| pdu.content_as().unwrap());
        let sender = dice.one_of(&WHO);
        let level = dice.one_of(&[0, 25, 50, 75, 100]);
        let level = match dice.below(8) {
            // Strings are levels only in old versions; other types never.
            0 => json!(level.to_string()),
            1 if dice.below(4) == 0 => json!(["no level"]),
            _ => json!(level),
        };
        let fields = ["users_default", "events_default", "state_default", "ban", "kick", "redact", "invite"];
        match dice.below(8) {
            0..=2 => levels["users"][dice.one_of(&WHO)] = level,
            3 => {
                if let Some(users) = levels["users"].as_object_mut() {
                    users.remove(dice.one_of(&WHO));
                }
            }
            4 => levels["events"][dice.one_of(&["m.room.name", "m.room.power_levels", "x.own"])] = level,
            5 => levels["notifications"][dice.one_of(&["room", "other"])] = level,
            _ => levels[dice.one_of(&fields)] = level,
        }
        Deed { meddle: meddling(dice), ..Deed::state(sender, "m.room.power_levels", "", levels) }
    }

    fn join_rule(&self, dice: &mut Dice) -> Deed {
        let rules = ["public", "invite", "knock", "restricted", "knock_restricted", "private"];
        let content = json!({ "join_rule": dice.one_of(&rules), "allow": [] });
        Deed::state(dice.one_of(&WHO), "m.room.join_rules", "", content)
    }

    fn message_or_name(&self, dice: &mut Dice) -> Deed {
        let sender = dice.one_of(&WHO);
        if dice.below(3) == 0 {
            let deed = Deed::state(sender, "m.room.message", "", json!({ "body": "hi" }));
            return Deed { state_key: None, meddle: meddling(dice), ..deed };
        }
        let kind = dice.one_of(&["m.room.name", "m.room.topic"]);
        Deed { meddle: meddling(dice), ..Deed::state(sender, kind, "", json!({ "name": sender })) }
    }

    /// State under a user's id or a server's name.
    fn owned_state(&self, dice: &mut Dice) -> Deed {
        let sender = dice.one_of(&WHO);
        if dice.below(2) == 0 {
            return Deed::state(sender, "x.own", dice.one_of(&WHO), json!({ "of": sender }));
        }
        let server = dice.one_of(&["a.example", "b.example", ""]);
        Deed::state(sender, "m.room.aliases", server, json!({ "aliases": [] }))
    }

    fn redaction(&self, dice: &mut Dice) -> Deed {
        let target = self.room.events[dice.below(self.room.events.len())].event_id().to_owned();
        let deed = Deed::state(dice.one_of(&WHO), "m.room.redaction", "", json!({ "reason": "spam" }));
        Deed { state_key: None, redacts: Some(target), ..deed }
    }

    fn token(&self, dice: &mut Dice) -> Deed {
        let keys = TestServer::new("id.example").keys();
        let key = keys["id.example"]["ed25519:t1"].encode();
        let content = match dice.below(3) {
            0 => json!({ "public_key": key }),
            1 => json!({ "public_keys": [{ "public_key": key }] }),
            _ => json!({ "public_keys": [] }),
        };
        Deed::state(dice.one_of(&WHO), "m.room.third_party_invite", token(dice), content)
    }
}

fn token(dice: &mut Dice) -> &'static str {
    dice.one_of(&["token1", "token2"])
}

fn meddling(dice: &mut Dice) -> Meddle {
    match dice.below(24) {
        0 => Meddle::Drop(dice.below(5)),
        1 => Meddle::Double(dice.below(5)),
        2 => Meddle::Surplus,
        _ => Meddle::Nothing,
    }
}

impl Deed {
    fn state(sender: &str, kind: &'static str, state_key: &str, content: Value) -> Self {
        Self {
            sender: OwnedUserId::try_from(sender).unwrap(),
            kind,
            state_key: Some(state_key.to_owned()),
            content,
            redacts: None,
            meddle: Meddle::Nothing,
        }
    }
}
