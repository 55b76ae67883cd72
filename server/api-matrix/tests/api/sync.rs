//! `/sync`: what is told, when, and only once.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{Server, kinds, message, next_batch, segment, texts};

fn joined<'a>(answer: &'a Value, room: &str) -> &'a Value {
    &answer["rooms"]["join"][room]
}

fn is_silent(answer: &Value) -> bool {
    answer["rooms"] == json!({ "join": {}, "invite": {}, "knock": {}, "leave": {} })
        && answer["account_data"]["events"] == json!([])
}

#[tokio::test]
async fn a_first_sync_has_state_then_timeline() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({ "name": "Room" })).await;
    for number in 0..3 {
        alice.say(&room, &number.to_string()).await;
    }
    let filter = segment(r#"{"room":{"timeline":{"limit":2}}}"#);
    let answer = alice.sync(&format!("filter={filter}")).await;
    let section = joined(&answer, &room);
    assert_eq!(texts(&section["timeline"]["events"]), ["1", "2"]);
    assert_eq!(section["timeline"]["limited"], true);
    let mut state = kinds(&section["state"]["events"]);
    state.sort();
    assert_eq!(
        state,
        [
            "m.room.create",
            "m.room.guest_access",
            "m.room.history_visibility",
            "m.room.join_rules",
            "m.room.member @alice:a.example",
            "m.room.name",
            "m.room.power_levels",
        ]
    );
    let events = section["timeline"]["events"].as_array().unwrap();
    assert!(events.iter().all(|event| event.get("room_id").is_none()));
    assert_eq!(section["summary"]["m.joined_member_count"], 1);
    let prev_batch = section["timeline"]["prev_batch"].as_str().unwrap();
    assert_eq!(alice.messages(&room, &format!("dir=b&from={prev_batch}")).await.0, ["0"]);

    let whole = alice.sync("").await;
    let section = joined(&whole, &room);
    assert_eq!(section["timeline"]["limited"], false);
    assert_eq!(section["state"]["events"], json!([]), "the timeline begins with the room");
    assert_eq!(section["timeline"]["events"][0]["type"], "m.room.create");
}

#[tokio::test]
async fn news_are_told_once() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room(json!({})).await;
    bob.join(&room).await;
    let start = alice.sync("").await;
    assert!(is_silent(&alice.sync_since(&start).await));
    bob.say(&room, "hello").await;
    alice.set_state(&room, "m.room.topic", "", json!({ "topic": "T" })).await;
    let news = alice.sync_since(&start).await;
    let section = joined(&news, &room);
    assert_eq!(kinds(&section["timeline"]["events"]), ["m.room.message", "m.room.topic"]);
    assert_eq!(section["timeline"]["limited"], false);
    assert_eq!(section["state"]["events"], json!([]), "the timeline's state is not repeated");
    assert!(section.get("summary").is_none());
    assert!(is_silent(&alice.sync_since(&news).await));
    let again = alice.sync_since(&start).await;
    let ids = |answer: &Value| {
        let events = joined(answer, &room)["timeline"]["events"].as_array().unwrap().iter();
        events.map(|event| event["event_id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&again), ids(&news), "a lost answer can be had again");
    for query in [
        "since=garbage",
        "since=%00%FF",
        "timeout=soon",
        "filter=%7B",
        "filter=nonesuch",
        "filter=%7B%22room%22%3A5%7D",
    ] {
        let reply = alice.get(&format!("/sync?{query}")).await;
        assert!(reply.status.is_client_error(), "{query}: {}", reply.body);
    }
}

#[tokio::test]
async fn a_gap_is_bridged_by_state() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({})).await;
    let start = alice.sync("").await;
    alice.set_state(&room, "m.room.topic", "", json!({ "topic": "old" })).await;
    alice.set_state(&room, "m.room.topic", "", json!({ "topic": "new" })).await;
    alice.set_state(&room, "org.example.kept", "", json!({})).await;
    for number in 0..3 {
        alice.say(&room, &number.to_string()).await;
    }
    alice.set_state(&room, "org.example.kept", "", json!({ "in": "timeline" })).await;
    let filter = segment(r#"{"room":{"timeline":{"limit":3}}}"#);
    let news = alice.sync(&format!("since={}&filter={filter}", next_batch(&start))).await;
    let section = joined(&news, &room);
    assert_eq!(section["timeline"]["limited"], true);
    assert_eq!(
        kinds(&section["timeline"]["events"]),
        ["m.room.message", "m.room.message", "org.example.kept"]
    );
    let state = &section["state"]["events"];
    assert_eq!(kinds(state), ["m.room.topic", "org.example.kept"]);
    assert_eq!(state[0]["content"], json!({ "topic": "new" }));
    assert_eq!(state[1]["content"], json!({}), "state is of the start of the timeline");
    let prev_batch = section["timeline"]["prev_batch"].as_str().unwrap();
    let older = alice.messages(&room, &format!("dir=b&from={prev_batch}&to={}", next_batch(&start))).await.0;
    assert_eq!(older, ["0"]);
}

#[tokio::test]
async fn state_that_a_filter_hides_in_the_timeline_is_told_before_it() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({})).await;
    let start = alice.sync("").await;
    alice.say(&room, "hello").await;
    alice.set_state(&room, "m.room.topic", "", json!({ "topic": "T" })).await;
    let filter = segment(r#"{"room":{"timeline":{"types":["m.room.message"]}}}"#);
    let news = alice.sync(&format!("since={}&filter={filter}", next_batch(&start))).await;
    let section = joined(&news, &room);
    assert_eq!(kinds(&section["timeline"]["events"]), ["m.room.message"]);
    assert_eq!(kinds(&section["state"]["events"]), ["m.room.topic"]);
}

#[tokio::test]
async fn a_new_room_is_told_whole() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room(json!({})).await;
    alice.say(&room, "before").await;
    let start = bob.sync("").await;
    assert!(is_silent(&start));
    bob.join(&room).await;
    let filter = segment(r#"{"room":{"timeline":{"limit":2}}}"#);
    let news = bob.sync(&format!("since={}&filter={filter}", next_batch(&start))).await;
    let section = joined(&news, &room);
    assert_eq!(kinds(&section["timeline"]["events"]), ["m.room.message", "m.room.member @bob:a.example"]);
    assert!(kinds(&section["state"]["events"]).contains(&"m.room.create".to_owned()));
    assert_eq!(section["summary"]["m.joined_member_count"], 2);
    assert_eq!(section["summary"]["m.heroes"], json!([alice.id]));

    // Leaving and coming back between two syncs is one join; what was said meanwhile is history like any.
    bob.leave(&room).await;
    alice.say(&room, "meanwhile").await;
    bob.join(&room).await;
    let news = bob.sync_since(&news).await;
    assert_eq!(news["rooms"]["leave"], json!({}));
    assert_eq!(texts(&joined(&news, &room)["timeline"]["events"]), ["meanwhile"]);
}

#[tokio::test]
async fn full_state_is_told_at_once() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({})).await;
    let start = alice.sync("").await;
    alice.say(&room, "hello").await;
    let full = alice.sync(&format!("since={}&full_state=true&timeout=30000", next_batch(&start))).await;
    assert_eq!(texts(&joined(&full, &room)["timeline"]["events"]), ["hello"]);
    assert!(kinds(&joined(&full, &room)["state"]["events"]).contains(&"m.room.create".to_owned()));
    let again = alice.sync(&format!("since={}&full_state=true&timeout=30000", next_batch(&full))).await;
    assert_eq!(joined(&again, &room)["timeline"]["events"], json!([]));
    assert_eq!(joined(&again, &room)["state"]["events"].as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn lazy_clients_get_the_members_that_matter() {
    let server = Server::start().await;
    let (alice, bob, carol) =
        (server.register("alice").await, server.register("bob").await, server.register("carol").await);
    let room = alice.create_room(json!({})).await;
    bob.join(&room).await;
    carol.join(&room).await;
    bob.say(&room, "hello").await;
    let filter = segment(r#"{"room":{"timeline":{"limit":1},"state":{"lazy_load_members":true}}}"#);
    let members = |section: &Value| {
        let mut kinds = kinds(&section["state"]["events"]);
        kinds.retain(|kind| kind.starts_with("m.room.member"));
        kinds.sort();
        kinds
    };
    let first = alice.sync(&format!("filter={filter}")).await;
    let expected = ["m.room.member @alice:a.example", "m.room.member @bob:a.example"];
    assert_eq!(members(joined(&first, &room)), expected);
    carol.say(&room, "hi").await;
    let news = alice.sync(&format!("since={}&filter={filter}", next_batch(&first))).await;
    assert_eq!(members(joined(&news, &room)), ["m.room.member @carol:a.example"]);
}

#[tokio::test]
async fn invites_are_stripped_and_can_be_refused() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room(json!({ "preset": "private_chat", "name": "Secret" })).await;
    alice.say(&room, "nobody else may see this").await;
    let start = bob.sync("").await;
    alice.invite(&room, &bob).await;
    let news = bob.sync_since(&start).await;
    let events = &news["rooms"]["invite"][&room]["invite_state"]["events"];
    let shown = kinds(events);
    for kind in [
        "m.room.create",
        "m.room.name",
        "m.room.join_rules",
        "m.room.member @alice:a.example",
        "m.room.member @bob:a.example",
    ] {
        assert!(shown.contains(&kind.to_owned()), "{kind} in {shown:?}");
    }
    assert!(events.as_array().unwrap().iter().all(|event| event.get("event_id").is_none()));
    assert_eq!(bob.sync("").await["rooms"]["invite"][&room], news["rooms"]["invite"][&room]);

    bob.leave(&room).await;
    let news = bob.sync_since(&news).await;
    let section = &news["rooms"]["leave"][&room];
    assert_eq!(kinds(&section["timeline"]["events"]), ["m.room.member @bob:a.example"]);
    assert_eq!(section["timeline"]["events"][0]["content"]["membership"], "leave");
    assert_eq!(section["state"]["events"], json!([]));
    assert_eq!(news["rooms"]["invite"], json!({}));
}

#[tokio::test]
async fn leaving_is_told_once_and_ends_the_timeline() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room(json!({})).await;
    bob.join(&room).await;
    let start = bob.sync("").await;
    alice.say(&room, "goodbye").await;
    bob.leave(&room).await;
    alice.say(&room, "they are gone").await;
    let news = bob.sync_since(&start).await;
    assert_eq!(news["rooms"]["join"], json!({}));
    let section = &news["rooms"]["leave"][&room];
    assert_eq!(kinds(&section["timeline"]["events"]), ["m.room.message", "m.room.member @bob:a.example"]);
    assert!(is_silent(&bob.sync_since(&news).await));
    assert_eq!(bob.sync("").await["rooms"]["leave"], json!({}));
    let filter = segment(r#"{"room":{"include_leave":true,"timeline":{"limit":2}}}"#);
    let all = bob.sync(&format!("filter={filter}")).await;
    let section = &all["rooms"]["leave"][&room];
    assert_eq!(kinds(&section["timeline"]["events"]), ["m.room.message", "m.room.member @bob:a.example"]);
}

#[tokio::test]
async fn typing_is_told_while_it_lasts() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room(json!({})).await;
    bob.join(&room).await;
    let start = alice.sync("").await;
    let path = format!("/rooms/{}/typing/{}", segment(&room), segment(&bob.id));
    bob.call("PUT", &path, json!({ "typing": true, "timeout": 30_000 })).await.ok();
    let news = alice.sync_since(&start).await;
    let event = json!({ "type": "m.typing", "content": { "user_ids": [bob.id] } });
    assert_eq!(joined(&news, &room)["ephemeral"]["events"], json!([event]));
    assert_eq!(joined(&news, &room)["timeline"]["events"], json!([]));
    assert!(is_silent(&alice.sync_since(&news).await));
    bob.call("PUT", &path, json!({ "typing": false })).await.ok();
    let news = alice.sync_since(&news).await;
    assert_eq!(joined(&news, &room)["ephemeral"]["events"][0]["content"]["user_ids"], json!([]));
    for body in [json!({}), json!({ "typing": "yes" })] {
        assert_eq!(bob.call("PUT", &path, body).await.status, 400);
    }
    assert_eq!(alice.call("PUT", &path, json!({ "typing": true })).await.error(), "403 M_FORBIDDEN");
}

#[tokio::test]
async fn a_waiting_sync_is_woken() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room(json!({})).await;
    bob.join(&room).await;
    let wait = async |since: &Value| {
        let query = format!("since={}&timeout=60000", next_batch(since));
        tokio::time::timeout(Duration::from_secs(20), alice.sync(&query)).await.unwrap()
    };
    let since = alice.sync("").await;
    let (news, _) = tokio::join!(wait(&since), bob.say(&room, "wake up"));
    assert_eq!(texts(&joined(&news, &room)["timeline"]["events"]), ["wake up"]);

    let path = format!("/rooms/{}/typing/{}", segment(&room), segment(&bob.id));
    let (news, _) = tokio::join!(wait(&news), bob.call("PUT", &path, json!({ "typing": true })));
    assert_eq!(joined(&news, &room)["ephemeral"]["events"].as_array().unwrap().len(), 1);

    let other = bob.create_room(json!({ "preset": "private_chat" })).await;
    let (news, ()) = tokio::join!(wait(&news), bob.invite(&other, &alice));
    assert!(news["rooms"]["invite"].get(&other).is_some());

    let path = format!("/user/{}/account_data/org.example.x", segment(&alice.id));
    let (news, _) = tokio::join!(wait(&news), alice.call("PUT", &path, json!({ "a": 1 })));
    let event = json!({ "type": "org.example.x", "content": { "a": 1 } });
    assert_eq!(news["account_data"]["events"], json!([event]));
    let path = format!("/user/{}/rooms/{}/account_data/org.example.y", segment(&alice.id), segment(&room));
    let (news, _) = tokio::join!(wait(&news), alice.call("PUT", &path, json!({})));
    let event = json!({ "type": "org.example.y", "content": {} });
    assert_eq!(joined(&news, &room)["account_data"]["events"], json!([event]));
}

#[tokio::test]
async fn a_sync_that_waited_in_vain_moves_on() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let start = alice.sync("").await;
    let elsewhere = bob.create_room(json!({})).await;
    bob.say(&elsewhere, "not for alice").await;
    let late = alice.sync(&format!("since={}&timeout=5", next_batch(&start))).await;
    assert!(is_silent(&late));
    assert_ne!(next_batch(&late), next_batch(&start));
}

#[tokio::test]
async fn who_is_logged_out_while_waiting_hears_nothing_more() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room(json!({})).await;
    bob.join(&room).await;
    let since = bob.sync("").await;
    let path = format!("/sync?since={}&timeout=60000", next_batch(&since));
    let wait = async { tokio::time::timeout(Duration::from_secs(20), bob.get(&path)).await.unwrap() };
    let speak = async {
        bob.call("POST", "/logout", json!({})).await.ok();
        alice.say(&room, "after the logout").await;
    };
    let (reply, ()) = tokio::join!(wait, speak);
    assert_eq!(reply.error(), "401 M_UNKNOWN_TOKEN");
}

#[tokio::test]
async fn own_events_carry_their_transaction_for_their_device_only() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let phone = server.login("alice").await;
    let room = alice.create_room(json!({})).await;
    bob.join(&room).await;
    let since = alice.sync("").await;
    alice.send(&room, "m.room.message", "my-txn", message("hello")).await;
    let transaction = async |device: &crate::world::User<'_>| {
        let news = device.sync_since(&since).await;
        joined(&news, &room)["timeline"]["events"][0]["unsigned"]["transaction_id"].clone()
    };
    assert_eq!(transaction(&alice).await, "my-txn");
    assert_eq!(transaction(&phone).await, Value::Null);
    assert_eq!(transaction(&bob).await, Value::Null);
}
