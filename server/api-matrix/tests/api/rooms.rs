//! Rooms: creation, sending, state, redaction, history pages, members.

use serde_json::{Value, json};

use crate::world::{Server, kinds, message, segment, texts};

fn room_path(room: &str, rest: &str) -> String {
    format!("/rooms/{}/{rest}", segment(room))
}

#[tokio::test]
async fn creation_takes_what_is_well_formed() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    for (body, error) in [
        (json!({ "name": 5 }), "400 M_BAD_JSON"),
        (json!({ "room_version": 12 }), "400 M_BAD_JSON"),
        (json!({ "room_version": "13" }), "400 M_UNSUPPORTED_ROOM_VERSION"),
        (json!({ "preset": "no_such" }), "400 M_BAD_JSON"),
        (json!({ "visibility": "hidden" }), "400 M_BAD_JSON"),
        (json!({ "invite": "@a:b" }), "400 M_BAD_JSON"),
        (json!({ "invite": ["nobody"] }), "400 M_INVALID_PARAM"),
        (json!({ "initial_state": "x" }), "400 M_BAD_JSON"),
        (json!({ "invite_3pid": [{ "medium": "email", "address": "a@b.c" }] }), "400 M_INVALID_PARAM"),
        (json!({ "creation_content": { "additional_creators": ["nobody"] } }), "400 M_BAD_JSON"),
        (json!({ "creation_content": { "additional_creators": "@a:b" } }), "400 M_BAD_JSON"),
        (json!({ "initial_state": [{ "type": "m.room.create", "content": {} }] }), "400 M_BAD_JSON"),
        (json!({ "room_alias_name": "has space" }), "400 M_INVALID_PARAM"),
        (json!({ "room_alias_name": "with:colon" }), "400 M_INVALID_PARAM"),
        (json!({ "room_alias_name": "_bridged" }), "400 M_EXCLUSIVE"),
        (json!({ "power_level_content_override": { "ban": "50" } }), "400 M_INVALID_ROOM_STATE"),
        (json!({ "initial_state": [{ "type": "a.b" }] }), "400 M_MISSING_PARAM"),
        (json!({ "initial_state": [{ "type": "a.b", "content": { "n": 1.5 } }] }), "400 M_BAD_JSON"),
    ] {
        assert_eq!(alice.call("POST", "/createRoom", body.clone()).await.error(), error, "{body}");
    }
    assert_eq!(alice.get("/joined_rooms").await.ok(), json!({ "joined_rooms": [] }));
    for version in ["10", "11", "12"] {
        let room = alice.create_room(json!({ "room_version": version, "name": "N", "topic": "T" })).await;
        let create = alice.get(&room_path(&room, "state/m.room.create")).await.ok();
        assert_eq!(create["room_version"], version);
        assert_eq!(alice.get(&room_path(&room, "state/m.room.name")).await.ok(), json!({ "name": "N" }));
    }
}

#[tokio::test]
async fn a_transaction_happens_once() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let (room, other) = (alice.create_room(json!({})).await, alice.create_room(json!({})).await);
    let first = alice.send(&room, "m.room.message", "t1", message("one")).await;
    assert_eq!(alice.send(&room, "m.room.message", "t1", message("changed")).await, first);
    assert_ne!(alice.send(&other, "m.room.message", "t1", message("one")).await, first);
    let phone = server.login("alice").await;
    assert_ne!(phone.send(&room, "m.room.message", "t1", message("from the phone")).await, first);
    assert_eq!(alice.messages(&room, "dir=b").await.0, ["from the phone", "one"]);

    let transaction = |event: &Value| event["unsigned"]["transaction_id"].clone();
    let path = room_path(&room, &format!("event/{}", segment(&first)));
    assert_eq!(transaction(&alice.get(&path).await.ok()), "t1");
    assert_eq!(transaction(&phone.get(&path).await.ok()), Value::Null);
}

#[tokio::test]
async fn edits_and_redactions_show_on_the_event() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    for version in ["10", "12"] {
        let room = alice.create_room(json!({ "room_version": version })).await;
        let event = alice.say(&room, "frist").await;
        let edit = json!({
            "msgtype": "m.text", "body": "* first", "m.new_content": message("first"),
            "m.relates_to": { "rel_type": "m.replace", "event_id": event },
        });
        let edit = alice.send(&room, "m.room.message", "edit", edit).await;
        let path = room_path(&room, &format!("event/{}", segment(&event)));
        let shown = alice.get(&path).await.ok();
        assert_eq!(shown["content"]["body"], "frist");
        let replacement = &shown["unsigned"]["m.relations"]["m.replace"];
        assert_eq!(replacement["event_id"], *edit);
        assert_eq!(replacement["content"]["m.new_content"]["body"], "first");

        let redaction = alice.redact(&room, &event).await;
        let shown = alice.get(&path).await.ok();
        assert_eq!(shown["content"], json!({}));
        assert!(shown["unsigned"].get("m.relations").is_none());
        let because = &shown["unsigned"]["redacted_because"];
        assert_eq!(because["event_id"], *redaction);
        let path = room_path(&room, &format!("event/{}", segment(&redaction)));
        for redaction in [because, &alice.get(&path).await.ok()] {
            let fields = [&redaction["redacts"], &redaction["content"]["redacts"]];
            assert_eq!(fields, [&json!(event), &json!(event)], "version {version}");
            assert_eq!(redaction["content"]["reason"], "because");
        }
    }
}

#[tokio::test]
async fn a_redaction_may_be_sent_like_any_event() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({})).await;
    let event = alice.say(&room, "gone").await;
    alice.send(&room, "m.room.redaction", "t", json!({ "redacts": event })).await;
    assert_eq!(alice.messages(&room, "dir=b").await.0, Vec::<String>::new());
    let path = room_path(&room, "send/m.room.redaction/u");
    assert_eq!(alice.call("PUT", &path, json!({})).await.error(), "400 M_MISSING_PARAM");
    let path = room_path(&room, "redact/$nonesuch/v");
    assert_eq!(alice.call("PUT", &path, json!({})).await.error(), "404 M_NOT_FOUND");
}

#[tokio::test]
async fn a_second_like_reaction_is_refused() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({})).await;
    let event = alice.say(&room, "nice").await;
    let reaction = json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": event, "key": "👍" } });
    alice.send(&room, "m.reaction", "t1", reaction.clone()).await;
    let again = alice.call("PUT", &room_path(&room, "send/m.reaction/t2"), reaction).await;
    assert_eq!(again.error(), "400 M_DUPLICATE_ANNOTATION");
}

#[tokio::test]
async fn history_pages_meet_without_holes() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({})).await;
    for number in 0..7 {
        alice.say(&room, &number.to_string()).await;
    }
    for (dir, mut expected) in
        [("b", ["6", "5", "4", "3", "2", "1", "0"]), ("f", ["0", "1", "2", "3", "4", "5", "6"])]
    {
        for limit in [1, 2, 3, 100] {
            let (mut all, mut from, mut pages) = (Vec::new(), None::<String>, 0);
            loop {
                let from_text = from.map(|from| format!("&from={from}")).unwrap_or_default();
                let (page, end) = alice.messages(&room, &format!("dir={dir}&limit={limit}{from_text}")).await;
                all.extend(page);
                pages += 1;
                assert!(pages < 100, "paging ends");
                match end {
                    Some(end) => from = Some(end),
                    None => break,
                }
            }
            assert_eq!(all, expected, "dir={dir} limit={limit}");
        }
        expected.reverse();
    }
    for query in ["dir=x", "dir=b&limit=many", "dir=b&from=garbage", "dir=b&to=garbage", "dir=b&filter=%7B"] {
        let reply = alice.get(&room_path(&room, &format!("messages?{query}"))).await;
        assert_eq!(reply.status, 400, "{query}: {}", reply.body);
    }
    assert_eq!(alice.get(&room_path(&room, "messages")).await.error(), "400 M_MISSING_PARAM");
    assert_eq!(alice.get(&room_path("!nosuchroom", "messages?dir=b")).await.error(), "403 M_FORBIDDEN");
}

#[tokio::test]
async fn history_pages_are_filtered_before_they_are_cut() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({})).await;
    for number in 0..4 {
        alice.say(&room, &number.to_string()).await;
        alice.set_state(&room, "org.example.noise", "", json!({ "n": number })).await;
    }
    let filter = segment(r#"{"types":["m.room.message"],"lazy_load_members":true}"#);
    let path = room_path(&room, &format!("messages?dir=b&limit=3&filter={filter}"));
    let page = alice.get(&path).await.ok();
    assert_eq!(texts(&page["chunk"]), ["3", "2", "1"]);
    assert_eq!(kinds(&page["state"]), ["m.room.member @alice:a.example"]);
    let between = alice.messages(&room, &format!("dir=b&to={}", page["end"].as_str().unwrap())).await.0;
    assert_eq!(between, ["3", "2", "1"]);
}

#[tokio::test]
async fn member_events_are_membership_commands() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room(json!({})).await;
    let membership = async |user: &str| {
        alice.get(&room_path(&room, &format!("state/m.room.member/{}", segment(user)))).await.ok()["membership"].clone()
    };
    bob.set_state(&room, "m.room.member", &bob.id, json!({ "membership": "join" })).await;
    assert_eq!(membership(&bob.id).await, "join");
    bob.set_state(&room, "m.room.member", &bob.id, json!({ "membership": "join", "displayname": "here" }))
        .await;
    let joined = alice.get(&room_path(&room, "joined_members")).await.ok();
    assert_eq!(joined["joined"][&bob.id]["display_name"], "here", "a profile for one room");
    bob.set_state(&room, "m.room.member", &bob.id, json!({ "membership": "leave" })).await;
    alice
        .set_state(&room, "m.room.member", &bob.id, json!({ "membership": "invite", "reason": "tea" }))
        .await;
    assert_eq!(membership(&bob.id).await, "invite");
    let path = room_path(&room, &format!("state/m.room.member/{}", segment(&alice.id)));
    for content in [json!({}), json!({ "membership": 5 }), json!({ "membership": "frozen" })] {
        assert_eq!(alice.call("PUT", &path, content).await.error(), "400 M_BAD_JSON");
    }
    bob.join(&room).await;
    assert_eq!(bob.call("PUT", &path, json!({ "membership": "leave" })).await.error(), "403 M_FORBIDDEN");
}

#[tokio::test]
async fn members_by_membership() {
    let server = Server::start().await;
    let (alice, bob, carol) =
        (server.register("alice").await, server.register("bob").await, server.register("carol").await);
    let room = alice.create_room(json!({})).await;
    let before = alice.sync("").await;
    bob.join(&room).await;
    alice.invite(&room, &carol).await;
    let members = async |query: &str| {
        let page = alice.get(&room_path(&room, &format!("members{query}"))).await.ok();
        let mut ids: Vec<_> = page["chunk"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["state_key"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids.join(" ")
    };
    assert_eq!(members("").await, "@alice:a.example @bob:a.example @carol:a.example");
    assert_eq!(members("?membership=join").await, "@alice:a.example @bob:a.example");
    assert_eq!(members("?not_membership=join").await, "@carol:a.example");
    assert_eq!(members(&format!("?at={}", before["next_batch"].as_str().unwrap())).await, "@alice:a.example");
    let reply = alice.get(&room_path(&room, "members?membership=king")).await;
    assert_eq!(reply.error(), "400 M_INVALID_PARAM");
    let joined = bob.get(&room_path(&room, "joined_members")).await.ok();
    assert_eq!(joined["joined"].as_object().unwrap().len(), 2);
    assert_eq!(carol.get(&room_path(&room, "joined_members")).await.error(), "403 M_FORBIDDEN");
}
