//! Kick, ban, unban, knock, forget: who may be in a room, and what `/sync` tells of it.

use serde_json::{Value, json};

use crate::world::{Reply, Server, User, next_batch, segment, texts};

async fn act(actor: &User<'_>, deed: &str, room: &str, target: &str) -> Reply {
    let body = json!({ "user_id": target, "reason": "because" });
    actor.call("POST", &format!("/rooms/{}/{deed}", segment(room)), body).await
}

async fn knock(user: &User<'_>, room: &str) -> Reply {
    user.call("POST", &format!("/knock/{}", segment(room)), json!({ "reason": "please" })).await
}

async fn join(user: &User<'_>, room: &str) -> Reply {
    user.call("POST", &format!("/join/{}", segment(room)), json!({})).await
}

async fn forget(user: &User<'_>, room: &str) -> Reply {
    user.call("POST", &format!("/rooms/{}/forget", segment(room)), json!({})).await
}

async fn membership(asker: &User<'_>, room: &str, user: &str) -> Value {
    let path = format!("/rooms/{}/state/m.room.member/{}", segment(room), segment(user));
    asker.get(&path).await.ok()["membership"].clone()
}

fn join_rule(rule: &str) -> Value {
    json!([{ "type": "m.room.join_rules", "state_key": "", "content": { "join_rule": rule } }])
}

#[tokio::test]
async fn kicks_bans_and_their_end() {
    let server = Server::start().await;
    let (alice, bob, eve) =
        (server.register("alice").await, server.register("bob").await, server.register("eve").await);
    for version in 1..=12 {
        let room = alice.create_room(json!({ "room_version": version.to_string() })).await;
        assert_eq!(act(&alice, "kick", &room, &bob.id).await.error(), "403 M_FORBIDDEN", "not there");
        assert_eq!(act(&alice, "unban", &room, &bob.id).await.error(), "403 M_FORBIDDEN", "not banned");
        assert_eq!(act(&alice, "kick", &room, &alice.id).await.error(), "403 M_FORBIDDEN", "oneself");
        bob.join(&room).await;
        eve.join(&room).await;
        assert_eq!(act(&eve, "kick", &room, &bob.id).await.error(), "403 M_FORBIDDEN");
        assert_eq!(act(&eve, "ban", &room, &alice.id).await.error(), "403 M_FORBIDDEN");
        act(&alice, "kick", &room, &bob.id).await.ok();
        assert_eq!(membership(&alice, &room, &bob.id).await, "leave");
        assert_eq!(act(&bob, "kick", &room, &eve.id).await.error(), "403 M_FORBIDDEN", "not in the room");
        bob.join(&room).await;
        act(&alice, "ban", &room, &bob.id).await.ok();
        assert_eq!(membership(&alice, &room, &bob.id).await, "ban");
        assert_eq!(join(&bob, &room).await.error(), "403 M_FORBIDDEN");
        assert_eq!(knock(&bob, &room).await.error(), "403 M_FORBIDDEN");
        assert_eq!(act(&alice, "invite", &room, &bob.id).await.error(), "403 M_FORBIDDEN");
        assert_eq!(act(&alice, "kick", &room, &bob.id).await.error(), "403 M_FORBIDDEN");
        assert_eq!(act(&eve, "unban", &room, &bob.id).await.error(), "403 M_FORBIDDEN");
        act(&alice, "unban", &room, &bob.id).await.ok();
        assert_eq!(membership(&alice, &room, &bob.id).await, "leave");
        bob.join(&room).await;
    }
}

#[tokio::test]
async fn the_same_by_plain_state_events() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room(json!({})).await;
    let set = async |membership: &str| {
        let path = format!("/rooms/{}/state/m.room.member/{}", segment(&room), segment(&bob.id));
        alice.call("PUT", &path, json!({ "membership": membership, "reason": "why" })).await
    };
    bob.join(&room).await;
    set("leave").await.ok();
    assert_eq!(set("leave").await.error(), "403 M_FORBIDDEN", "not there any more");
    set("ban").await.ok();
    assert_eq!(membership(&alice, &room, &bob.id).await, "ban");
    set("leave").await.ok();
    assert_eq!(membership(&alice, &room, &bob.id).await, "leave");
    assert_eq!(set("join").await.error(), "403 M_FORBIDDEN");
    assert_eq!(set("odd").await.error(), "400 M_BAD_JSON");
}

#[tokio::test]
async fn deeds_need_a_target() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({})).await;
    for deed in ["kick", "ban", "unban"] {
        let path = format!("/rooms/{}/{deed}", segment(&room));
        for (body, error) in [
            (json!({}), "400 M_MISSING_PARAM"),
            (json!({ "user_id": 5 }), "400 M_BAD_JSON"),
            (json!({ "user_id": "bob" }), "400 M_INVALID_PARAM"),
            (json!({ "user_id": "@bob:a.example", "reason": 5 }), "400 M_BAD_JSON"),
        ] {
            assert_eq!(alice.call("POST", &path, body.clone()).await.error(), error, "{deed} {body}");
        }
        let nowhere = format!("/rooms/!nowhere/{deed}");
        let target = json!({ "user_id": "@bob:a.example" });
        assert_eq!(alice.call("POST", &nowhere, target).await.error(), "404 M_NOT_FOUND");
    }
}

#[tokio::test]
async fn a_knock_is_told_and_answered() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    for (version, rule) in [("7", "knock"), ("10", "knock"), ("12", "knock_restricted")] {
        let room = alice
            .create_room(json!({
                "room_version": version, "name": "Behind a door", "initial_state": join_rule(rule),
            }))
            .await;
        assert_eq!(join(&bob, &room).await.status.as_u16(), 403, "no knock, no entry");
        let before = bob.sync("").await;
        knock(&bob, &room).await.ok();
        knock(&bob, &room).await.ok();
        let told = bob.sync_since(&before).await;
        let events = told["rooms"]["knock"][&room]["knock_state"]["events"].as_array().unwrap();
        let own = events.iter().find(|event| event["state_key"] == json!(bob.id)).unwrap();
        assert_eq!(own["content"]["membership"], "knock");
        assert_eq!(own["content"]["reason"], "please");
        assert!(events.iter().any(|event| event["type"] == "m.room.create"));
        assert!(events.iter().any(|event| event["content"]["name"] == "Behind a door"));
        assert!(bob.sync("").await["rooms"]["knock"][&room].is_object(), "a first sync tells of it too");
        assert!(bob.sync_since(&told).await["rooms"]["knock"][&room].is_null(), "once");
        let messages = format!("/rooms/{}/messages?dir=b", segment(&room));
        assert_eq!(bob.get(&messages).await.error(), "403 M_FORBIDDEN", "a knock opens nothing");

        // Turned down; again; taken back; again; let in.
        act(&alice, "kick", &room, &bob.id).await.ok();
        let down = bob.sync_since(&told).await;
        assert!(down["rooms"]["leave"][&room].is_object());
        knock(&bob, &room).await.ok();
        bob.leave(&room).await;
        assert_eq!(membership(&alice, &room, &bob.id).await, "leave");
        knock(&bob, &room).await.ok();
        alice.invite(&room, &bob).await;
        assert_eq!(knock(&bob, &room).await.error(), "403 M_FORBIDDEN", "invited already");
        bob.join(&room).await;
        assert_eq!(knock(&bob, &room).await.error(), "403 M_FORBIDDEN", "in it already");
    }
    let closed = alice.create_room(json!({ "preset": "private_chat" })).await;
    assert_eq!(knock(&bob, &closed).await.error(), "403 M_FORBIDDEN", "the room takes no knocks");
    assert_eq!(knock(&bob, "!nowhere").await.error(), "404 M_NOT_FOUND");
    assert_eq!(knock(&bob, "#nowhere:a.example").await.error(), "404 M_NOT_FOUND");
}

#[tokio::test]
async fn what_is_forgotten_is_not_told_again() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room(json!({})).await;
    assert_eq!(forget(&bob, &room).await.error(), "404 M_NOT_FOUND", "never had to do with it");
    bob.join(&room).await;
    alice.say(&room, "one").await;
    assert_eq!(forget(&bob, &room).await.error(), "400 M_UNKNOWN");
    let before = bob.sync("").await;
    bob.leave(&room).await;
    let with_left = "filter=%7B%22room%22%3A%7B%22include_leave%22%3Atrue%7D%7D";
    assert!(bob.sync(with_left).await["rooms"]["leave"][&room].is_object());
    let messages = format!("/rooms/{}/messages?dir=b", segment(&room));
    assert_eq!(texts(&bob.get(&messages).await.ok()["chunk"]), ["one"]);

    forget(&bob, &room).await.ok();
    forget(&bob, &room).await.ok();
    assert!(bob.sync(with_left).await["rooms"]["leave"][&room].is_null());
    assert!(bob.sync_since(&before).await["rooms"]["leave"][&room].is_null());
    for path in ["messages?dir=b", "state", "members", "state/m.room.create"] {
        let path = format!("/rooms/{}/{path}", segment(&room));
        assert_eq!(bob.get(&path).await.error(), "403 M_FORBIDDEN", "{path}");
    }
    // What others do to who is gone does not bring it back.
    act(&alice, "ban", &room, &bob.id).await.ok();
    assert!(bob.sync_since(&before).await["rooms"]["leave"][&room].is_null());
    act(&alice, "unban", &room, &bob.id).await.ok();
    assert!(bob.sync(with_left).await["rooms"]["leave"][&room].is_null());
    assert_eq!(bob.get(&messages).await.error(), "403 M_FORBIDDEN");
    // Coming back ends the forgetting, for its past as well.
    bob.join(&room).await;
    assert_eq!(texts(&bob.get(&messages).await.ok()["chunk"]), ["one"]);
    bob.leave(&room).await;
    assert_eq!(texts(&bob.get(&messages).await.ok()["chunk"]), ["one"]);
}

#[tokio::test]
async fn ignored_users_are_not_heard() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room(json!({})).await;
    bob.join(&room).await;
    let path = format!("/user/{}/account_data/m.ignored_user_list", segment(&alice.id));
    let users = json!({ "ignored_users": { &bob.id: {} } });
    alice.call("PUT", &path, users).await.ok();
    let before = alice.sync("").await;
    bob.say(&room, "noise").await;
    bob.set_state(&room, "m.room.member", &bob.id, json!({ "membership": "join", "displayname": "B" })).await;
    alice.say(&room, "calm").await;
    let told = alice.sync_since(&before).await;
    let timeline = &told["rooms"]["join"][&room]["timeline"]["events"];
    assert_eq!(texts(timeline), ["calm"]);
    let renamed = |event: &Value| event["content"]["displayname"] == "B";
    assert!(timeline.as_array().unwrap().iter().any(renamed), "state is told");
    assert_eq!(alice.messages(&room, "dir=b").await.0, ["calm"]);
    assert_eq!(bob.messages(&room, "dir=b").await.0, ["calm", "noise"]);

    let other = bob.create_room(json!({})).await;
    bob.invite(&other, &alice).await;
    let told = alice.sync(&format!("since={}", next_batch(&told))).await;
    assert!(told["rooms"]["invite"][&other].is_null(), "nor do their invites come");
    assert!(alice.sync("").await["rooms"]["invite"][&other].is_null());
}

#[tokio::test]
async fn restricted_rooms_say_why_they_stay_shut() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let lobby = alice.create_room(json!({})).await;
    let restricted = |allow: Value| {
        let content = json!({ "join_rule": "restricted", "allow": allow });
        json!({
            "preset": "private_chat",
            "initial_state": [{ "type": "m.room.join_rules", "state_key": "", "content": content }],
        })
    };
    let condition = |room: &str| json!({ "type": "m.room_membership", "room_id": room });
    let inner = alice.create_room(restricted(json!([condition(&lobby)]))).await;
    assert_eq!(join(&bob, &inner).await.error(), "403 M_FORBIDDEN");
    let elsewhere = alice.create_room(restricted(json!([condition("!elsewhere:b.example")]))).await;
    assert_eq!(join(&bob, &elsewhere).await.error(), "400 M_UNABLE_TO_AUTHORISE_JOIN");
    let odd = json!([7, { "type": "m.room_membership" }, condition("no room id"), condition(&lobby)]);
    let odd = alice.create_room(restricted(odd)).await;
    assert_eq!(join(&bob, &odd).await.error(), "403 M_FORBIDDEN");
    bob.join(&lobby).await;
    bob.join(&inner).await;
    bob.join(&odd).await;
    // Whom the room has let in stays when the reason is gone, until they leave.
    bob.leave(&lobby).await;
    bob.set_state(&inner, "m.room.member", &bob.id, json!({ "membership": "join", "displayname": "B" }))
        .await;
    bob.leave(&inner).await;
    assert_eq!(join(&bob, &inner).await.error(), "403 M_FORBIDDEN");
    // With nobody left who could invite, nobody can come in.
    bob.join(&lobby).await;
    alice.leave(&inner).await;
    assert_eq!(join(&bob, &inner).await.error(), "400 M_UNABLE_TO_GRANT_JOIN");
}
