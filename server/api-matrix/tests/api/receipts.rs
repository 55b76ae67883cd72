//! Receipts, what is unread, and what hangs on a message.

use serde_json::{Value, json};

use crate::world::{Server, User, message, segment};

async fn receipt(user: &User<'_>, room: &str, kind: &str, event: &str, body: Value) -> crate::world::Reply {
    let path = format!("/rooms/{}/receipt/{kind}/{}", segment(room), segment(event));
    user.call("POST", &path, body).await
}

fn counts(answer: &Value, room: &str) -> (Value, Value) {
    let unread = &answer["rooms"]["join"][room]["unread_notifications"];
    (unread["notification_count"].clone(), unread["highlight_count"].clone())
}

fn receipts(answer: &Value, room: &str) -> Value {
    let events = answer["rooms"]["join"][room]["ephemeral"]["events"].as_array();
    let found = events.into_iter().flatten().find(|event| event["type"] == "m.receipt");
    found.map(|event| event["content"].clone()).unwrap_or_default()
}

#[tokio::test]
async fn receipts_are_told_and_end_what_is_unread() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room(json!({ "preset": "public_chat" })).await;
    bob.join(&room).await;
    let first = alice.say(&room, "one").await;
    let named = json!({ "msgtype": "m.text", "body": "hey bob", "m.mentions": { "user_ids": [bob.id] } });
    let second = alice.send(&room, "m.room.message", "t2", named).await;
    let of_bob = bob.sync("").await;
    assert_eq!(counts(&of_bob, &room), (json!(2), json!(1)));
    let of_alice = alice.sync("").await;
    assert_eq!(counts(&of_alice, &room), (json!(0), json!(0)), "one's own");

    receipt(&bob, &room, "m.read", &first, json!({})).await.ok();
    let told = alice.sync_since(&of_alice).await;
    assert!(receipts(&told, &room)[&first]["m.read"][&bob.id]["ts"].is_number());
    let of_bob = bob.sync_since(&of_bob).await;
    assert_eq!(counts(&of_bob, &room), (json!(1), json!(1)));
    receipt(&bob, &room, "m.read.private", &second, json!({})).await.ok();
    let after = alice.sync_since(&told).await;
    assert_eq!(receipts(&after, &room), Value::Null, "nobody else's business");
    let of_bob = bob.sync_since(&of_bob).await;
    assert_eq!(counts(&of_bob, &room), (json!(0), json!(0)));
    assert!(receipts(&of_bob, &room)[&second]["m.read.private"][&bob.id].is_object());
    // Back is no way.
    receipt(&bob, &room, "m.read.private", &first, json!({})).await.ok();
    assert_eq!(counts(&bob.sync("").await, &room), (json!(0), json!(0)));

    let markers = json!({ "m.fully_read": second, "m.read": second });
    bob.call("POST", &format!("/rooms/{}/read_markers", segment(&room)), markers).await.ok();
    let path = format!("/user/{}/rooms/{}/account_data/m.fully_read", segment(&bob.id), segment(&room));
    assert_eq!(bob.get(&path).await.ok(), json!({ "event_id": second }));

    let odd = [
        receipt(&bob, &room, "m.odd", &first, json!({})).await.error(),
        receipt(&bob, &room, "m.read", "$nowhere", json!({})).await.error(),
        receipt(&bob, &room, "m.read", &first, json!({ "thread_id": 5 })).await.error(),
        receipt(&bob, &room, "m.read", &first, json!({ "thread_id": second })).await.error(),
        receipt(&bob, &room, "m.fully_read", &first, json!({ "thread_id": "main" })).await.error(),
    ];
    let (param, unknown) = ("400 M_INVALID_PARAM", "404 M_NOT_FOUND");
    assert_eq!(odd[1], unknown);
    assert_eq!((odd[0].as_str(), odd[3].as_str(), odd[4].as_str()), (param, param, param));
    assert!(odd[2].starts_with("400 "), "{}", odd[2]);
    let stranger = server.register("stranger").await;
    assert_eq!(receipt(&stranger, &room, "m.read", &first, json!({})).await.error(), "403 M_FORBIDDEN");
}

#[tokio::test]
async fn threads_are_counted_apart_for_who_asks() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room(json!({ "preset": "public_chat" })).await;
    bob.join(&room).await;
    let root = alice.say(&room, "root").await;
    let mut inside = message("inside");
    inside["m.relates_to"] = json!({ "rel_type": "m.thread", "event_id": root });
    let first = alice.send(&room, "m.room.message", "t1", inside.clone()).await;
    let last = alice.send(&room, "m.room.message", "t2", inside).await;
    assert_eq!(counts(&bob.sync("").await, &room), (json!(3), json!(0)), "all together");
    let filter = segment(r#"{"room":{"timeline":{"unread_thread_notifications":true}}}"#);
    let apart = bob.sync(&format!("filter={filter}")).await;
    assert_eq!(counts(&apart, &room), (json!(1), json!(0)));
    let threads = &apart["rooms"]["join"][&room]["unread_thread_notifications"];
    assert_eq!(threads[&root]["notification_count"], 2);

    receipt(&bob, &room, "m.read", &first, json!({ "thread_id": root })).await.ok();
    receipt(&bob, &room, "m.read", &root, json!({ "thread_id": "main" })).await.ok();
    let apart = bob.sync(&format!("filter={filter}")).await;
    assert_eq!(counts(&apart, &room), (json!(0), json!(0)));
    let threads = &apart["rooms"]["join"][&room]["unread_thread_notifications"];
    assert_eq!(threads[&root]["notification_count"], 1);

    let path = format!("/rooms/{}/event/{}", segment(&room), segment(&root));
    let bundle = |event: &Value| event["unsigned"]["m.relations"]["m.thread"].clone();
    let seen = bundle(&bob.get(&path).await.ok());
    assert_eq!((&seen["count"], &seen["current_user_participated"]), (&json!(2), &json!(false)));
    assert_eq!(seen["latest_event"]["event_id"], last);
    assert_eq!(bundle(&alice.get(&path).await.ok())["current_user_participated"], true);
    alice.redact(&room, &last).await;
    let seen = bundle(&bob.get(&path).await.ok());
    assert_eq!((&seen["count"], &seen["latest_event"]["event_id"]), (&json!(1), &json!(first)));
}

#[tokio::test]
async fn pins_of_a_plain_room_are_state_like_any_other() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    // In a room that is no guild's, pins are state like any other.
    let room = alice.create_room(json!({ "preset": "public_chat" })).await;
    bob.join(&room).await;
    let said = bob.say(&room, "pin me").await;
    alice.set_state(&room, "m.room.pinned_events", "", json!({ "pinned": [said] })).await;
    let path = format!("/rooms/{}/state/m.room.pinned_events", segment(&room));
    assert_eq!(bob.get(&path).await.ok()["pinned"], json!([said]));
    let refused = bob.call("PUT", &path, json!({ "pinned": [] })).await;
    assert_eq!(refused.error(), "403 M_FORBIDDEN");
}
