//! For random histories every way of reading shows what one rule says: the visibility in force when an event
//! came, and who the reader was then and later.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{Server, User, segment, texts};

const VISIBILITIES: [&str; 5] = ["world_readable", "shared", "invited", "joined", "org.example.odd"];

/// What happens next in a room.
#[derive(Clone, Copy, Debug)]
enum Step {
    Say,
    Visibility(usize),
    Invite,
    Join,
    Leave,
    Kick,
    Ban,
    Unban,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Say),
        2 => (0..VISIBILITIES.len()).prop_map(Step::Visibility),
        2 => Just(Step::Invite),
        3 => Just(Step::Join),
        2 => Just(Step::Leave),
        1 => Just(Step::Kick),
        1 => Just(Step::Ban),
        1 => Just(Step::Unban),
    ]
}

/// A message, and what was so when it came.
struct Said {
    text: String,
    event: String,
    visibility: &'static str,
    membership: &'static str,
}

/// The rule, told once more and in other words than the server's.
struct Model {
    said: Vec<Said>,
    visibility: &'static str,
    membership: &'static str,
    /// How many messages had come when the reader's last stay ended.
    left_after: Option<usize>,
}

impl Model {
    fn new() -> Self {
        Self { said: Vec::new(), visibility: "shared", membership: "leave", left_after: None }
    }

    fn turns(&mut self, membership: &'static str) {
        if self.membership == "join" && membership != "join" {
            self.left_after = Some(self.said.len());
        }
        self.membership = membership;
    }

    /// Whether the room can be read at all now.
    fn is_open(&self) -> bool {
        self.membership == "join" || self.visibility == "world_readable" || self.left_after.is_some()
    }

    /// What the reader may see.
    fn visible(&self) -> Vec<&Said> {
        if !self.is_open() {
            return Vec::new();
        }
        let present = self.membership == "join" || self.visibility == "world_readable";
        let end = if present { self.said.len() } else { self.left_after.unwrap_or(0) };
        let was_in_after =
            |index: usize| self.membership == "join" || self.left_after.is_some_and(|left| index < left);
        let sees = |(index, said): &(usize, &Said)| match said.visibility {
            "world_readable" => true,
            "invited" => said.membership == "join" || (said.membership == "invite" && was_in_after(*index)),
            "joined" => said.membership == "join",
            _ => was_in_after(*index),
        };
        self.said[..end].iter().enumerate().filter(sees).map(|(_, said)| said).collect()
    }
}

async fn act(actor: &User<'_>, room: &str, deed: &str, target: Option<&User<'_>>) -> bool {
    let body = target.map_or(json!({}), |user| json!({ "user_id": user.id }));
    let reply = actor.call("POST", &format!("/rooms/{}/{deed}", segment(room)), body).await;
    assert!(matches!(reply.status.as_u16(), 200 | 403), "{deed}: {:#}", reply.body);
    reply.status == 200
}

async fn play(alice: &User<'_>, reader: &User<'_>, room: &str, steps: &[Step]) -> Model {
    let mut model = Model::new();
    for step in steps {
        match step {
            Step::Say => {
                let text = format!("text {}", model.said.len());
                let event = alice.say(room, &text).await;
                let Model { visibility, membership, .. } = model;
                model.said.push(Said { text, event, visibility, membership });
            }
            Step::Visibility(index) => {
                model.visibility = VISIBILITIES[*index];
                let content = json!({ "history_visibility": model.visibility });
                alice.set_state(room, "m.room.history_visibility", "", content).await;
            }
            Step::Invite => {
                if act(alice, room, "invite", Some(reader)).await {
                    model.turns("invite");
                }
            }
            Step::Join => {
                if act(reader, room, "join", None).await {
                    model.turns("join");
                }
            }
            Step::Leave => {
                if act(reader, room, "leave", None).await {
                    model.turns("leave");
                }
            }
            Step::Kick => {
                if act(alice, room, "kick", Some(reader)).await {
                    model.turns("leave");
                }
            }
            Step::Ban => {
                if act(alice, room, "ban", Some(reader)).await {
                    model.turns("ban");
                }
            }
            Step::Unban => {
                if act(alice, room, "unban", Some(reader)).await {
                    model.turns("leave");
                }
            }
        }
    }
    model
}

async fn paged(reader: &User<'_>, room: &str, dir: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let mut from = String::new();
    for _ in 0..200 {
        let path = format!("/rooms/{}/messages?dir={dir}&limit=3{from}", segment(room));
        let reply = reader.get(&path).await;
        if reply.status != 200 {
            assert_eq!(reply.error(), "403 M_FORBIDDEN");
            return None;
        }
        found.extend(texts(&reply.body["chunk"]));
        match reply.body["end"].as_str() {
            Some(end) => from = format!("&from={end}"),
            None => return Some(found),
        }
    }
    panic!("paging does not end");
}

async fn check(reader: &User<'_>, room: &str, model: &Model) {
    let expected: Vec<String> = model.visible().iter().map(|said| said.text.clone()).collect();
    let seen: BTreeSet<&str> = expected.iter().map(String::as_str).collect();

    let forward = paged(reader, room, "f").await;
    assert_eq!(forward.is_some(), model.is_open(), "/messages opens");
    assert_eq!(forward.unwrap_or_default(), expected, "/messages forward");
    let mut backward = paged(reader, room, "b").await.unwrap_or_default();
    backward.reverse();
    assert_eq!(backward, expected, "/messages backward");

    for said in &model.said {
        let status = |path: String| async move { reader.get(&path).await.status.as_u16() == 200 };
        let (room, event) = (segment(room), segment(&said.event));
        let may = seen.contains(said.text.as_str());
        assert_eq!(status(format!("/rooms/{room}/event/{event}")).await, may, "/event {}", said.text);
        let relations = format!("/_matrix/client/v1/rooms/{room}/relations/{event}");
        assert_eq!(status(relations).await, may, "/relations {}", said.text);
        let context = reader.get(&format!("/rooms/{room}/context/{event}?limit=200")).await;
        assert_eq!(context.status == 200, may, "/context {}", said.text);
        if may {
            let mut around = texts(&context.body["events_before"]);
            around.reverse();
            around.push(said.text.clone());
            around.extend(texts(&context.body["events_after"]));
            assert_eq!(around, expected, "around {}", said.text);
        }
    }
    check_sync(reader, room, model, &expected).await;
}

async fn check_sync(reader: &User<'_>, room: &str, model: &Model, expected: &[String]) {
    let filter = segment(r#"{"room":{"include_leave":true,"timeline":{"limit":500}}}"#);
    let answer = reader.sync(&format!("filter={filter}")).await;
    let section = |name: &str| answer["rooms"][name][room]["timeline"]["events"].clone();
    match model.membership {
        "join" => assert_eq!(texts(&section("join")), expected, "/sync"),
        "invite" => {
            assert!(section("join").is_null() && section("leave").is_null());
            let state = answer["rooms"]["invite"][room]["invite_state"]["events"].to_string();
            assert!(!state.contains("text "), "an invite shows no messages: {state}");
        }
        _ => {
            let shown = section("leave");
            let shown = if shown == Value::Null { Vec::new() } else { texts(&shown) };
            // The section ends with the stay; what can be read by anybody later is not part of it.
            let stay: Vec<&Said> = model.said[..model.left_after.unwrap_or(0)].iter().collect();
            let known: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
            for text in &shown {
                assert!(known.contains(text.as_str()) || !model.is_open(), "/sync shows {text}");
            }
            let of_stay =
                stay.iter().filter(|said| known.contains(said.text.as_str())).map(|said| said.text.clone());
            for text in of_stay {
                assert!(shown.contains(&text), "/sync of a left room lacks {text}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_way_of_reading_shows_the_same(steps in proptest::collection::vec(any_step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let server = Server::start().await;
            let (alice, bob, carol) =
                (server.register("alice").await, server.register("bob").await, server.register("carol").await);
            let room = alice.create_room(json!({})).await;
            let mut model = play(&alice, &bob, &room, &steps).await;
            check(&bob, &room, &model).await;
            // A stranger, who never had to do with the room.
            for said in &mut model.said {
                said.membership = "leave";
            }
            let stranger = Model { membership: "leave", left_after: None, ..model };
            check_stranger(&carol, &room, &stranger).await;
        });
    }
}

async fn check_stranger(reader: &User<'_>, room: &str, model: &Model) {
    let expected: Vec<String> = model.visible().iter().map(|said| said.text.clone()).collect();
    let forward = paged(reader, room, "f").await;
    assert_eq!(forward.is_some(), model.is_open(), "a stranger's /messages");
    assert_eq!(forward.unwrap_or_default(), expected, "a stranger's /messages");
    let state = reader.get(&format!("/rooms/{}/state", segment(room))).await;
    assert_eq!(state.status == 200, model.is_open(), "a stranger's /state");
}
