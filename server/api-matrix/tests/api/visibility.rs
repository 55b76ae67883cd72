//! Who may see which part of a room's history.

use serde_json::{Value, json};

use crate::world::{Server, User, segment};

/// A room of alice's with this history visibility, in which things happen around bob's stay.
async fn story(server: &Server, visibility: &str) -> (String, Vec<(&'static str, String)>) {
    let (alice, bob) = (server.login("alice").await, server.login("bob").await);
    let state = json!([{
        "type": "m.room.history_visibility", "state_key": "", "content": { "history_visibility": visibility },
    }]);
    let room = alice.create_room(json!({ "preset": "private_chat", "initial_state": state })).await;
    let mut said = Vec::new();
    said.push(("before", alice.say(&room, "before").await));
    alice.invite(&room, &bob).await;
    said.push(("invited", alice.say(&room, "invited").await));
    bob.join(&room).await;
    said.push(("joined", alice.say(&room, "joined").await));
    bob.leave(&room).await;
    said.push(("after", alice.say(&room, "after").await));
    (room, said)
}

async fn seen_by(user: &User<'_>, room: &str, said: &[(&'static str, String)]) -> String {
    let mut seen = Vec::new();
    for (name, event) in said {
        let reply = user.get(&format!("/rooms/{}/event/{}", segment(room), segment(event))).await;
        match reply.status.as_u16() {
            200 => seen.push(*name),
            404 => assert_eq!(reply.error(), "404 M_NOT_FOUND"),
            _ => assert_eq!(reply.error(), "403 M_FORBIDDEN"),
        }
    }
    let forward = user.get(&format!("/rooms/{}/messages?dir=f&limit=100", segment(room))).await;
    if forward.status == 200 {
        assert_eq!(crate::world::texts(&forward.body["chunk"]), seen, "/messages and /event agree");
    } else {
        assert!(seen.is_empty());
    }
    seen.join(" ")
}

#[tokio::test]
async fn each_visibility_lets_see_its_part() {
    let server = Server::start().await;
    let (alice, bob, carol) =
        (server.register("alice").await, server.register("bob").await, server.register("carol").await);
    for (visibility, bobs, carols) in [
        ("world_readable", "before invited joined after", "before invited joined after"),
        ("shared", "before invited joined", ""),
        ("invited", "invited joined", ""),
        ("joined", "joined", ""),
        ("org.example.unknown", "before invited joined", ""),
    ] {
        let (room, said) = story(&server, visibility).await;
        assert_eq!(seen_by(&alice, &room, &said).await, "before invited joined after", "{visibility}");
        assert_eq!(seen_by(&bob, &room, &said).await, bobs, "{visibility}");
        assert_eq!(seen_by(&carol, &room, &said).await, carols, "{visibility}");
    }
}

#[tokio::test]
async fn who_left_knows_the_state_of_then() {
    let server = Server::start().await;
    let (alice, bob, carol) =
        (server.register("alice").await, server.register("bob").await, server.register("carol").await);
    let room = alice.create_room(json!({ "name": "then" })).await;
    bob.join(&room).await;
    bob.leave(&room).await;
    alice.set_state(&room, "m.room.name", "", json!({ "name": "now" })).await;
    let name = format!("/rooms/{}/state/m.room.name", segment(&room));
    assert_eq!(bob.get(&name).await.ok(), json!({ "name": "then" }));
    assert_eq!(alice.get(&name).await.ok(), json!({ "name": "now" }));
    assert_eq!(carol.get(&name).await.error(), "403 M_FORBIDDEN");
    let all = bob.get(&format!("/rooms/{}/state", segment(&room))).await.ok();
    let names: Vec<&Value> =
        all.as_array().unwrap().iter().filter(|event| event["type"] == "m.room.name").collect();
    assert_eq!(names.len(), 1);
    assert_eq!(names[0]["content"]["name"], "then");
}

#[tokio::test]
async fn an_invite_that_is_refused_after_a_stay_opens_nothing_more() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room(json!({})).await;
    bob.join(&room).await;
    bob.leave(&room).await;
    let content = json!({ "history_visibility": "invited" });
    alice.set_state(&room, "m.room.history_visibility", "", content).await;
    alice.invite(&room, &bob).await;
    alice.say(&room, "while invited").await;
    bob.leave(&room).await;
    let filter = segment(r#"{"room":{"include_leave":true}}"#);
    let left = bob.sync(&format!("filter={filter}")).await["rooms"]["leave"][&room].clone();
    assert_eq!(crate::world::texts(&left["timeline"]["events"]), Vec::<String>::new());
    assert_eq!(bob.messages(&room, "dir=b").await.0, Vec::<String>::new());
}

#[tokio::test]
async fn a_refused_invite_opens_nothing() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room(json!({ "preset": "private_chat" })).await;
    alice.say(&room, "secret").await;
    alice.invite(&room, &bob).await;
    let messages = format!("/rooms/{}/messages?dir=b", segment(&room));
    assert_eq!(bob.get(&messages).await.error(), "403 M_FORBIDDEN");
    bob.leave(&room).await;
    assert_eq!(bob.get(&messages).await.error(), "403 M_FORBIDDEN");
}
