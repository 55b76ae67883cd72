//! Replacing rooms: what goes over to the new room, and what becomes of the old one.

use serde_json::{Value, json};

use crate::world::{Reply, Server, User, message, segment};

async fn upgrade(user: &User<'_>, room: &str, body: Value) -> Reply {
    user.call("POST", &format!("/rooms/{}/upgrade", segment(room)), body).await
}

async fn state(user: &User<'_>, room: &str, kind: &str) -> Value {
    let reply = user.get(&format!("/rooms/{}/state/{kind}", segment(room))).await;
    if reply.status.as_u16() == 404 { Value::Null } else { reply.ok() }
}

/// A room with something of everything.
async fn furnished(alice: &User<'_>, version: &str) -> String {
    let room = alice
        .create_room(json!({
            "room_version": version, "name": "Old name", "topic": "Old topic", "visibility": "public",
            "room_alias_name": format!("home{version}"), "creation_content": { "m.federate": false },
            "initial_state": [
                { "type": "m.room.encryption", "state_key": "", "content": { "algorithm": "m.megolm.v1.aes-sha2" } },
                { "type": "m.room.server_acl", "state_key": "", "content": { "allow": ["*"] } },
                { "type": "org.example.own", "state_key": "", "content": { "x": 1 } },
            ],
        }))
        .await;
    alice.set_state(&room, "m.room.avatar", "", json!({ "url": "mxc://a.example/old" })).await;
    room
}

#[tokio::test]
async fn a_room_is_replaced_with_what_belongs_to_it() {
    let server = Server::start().await;
    let (alice, bob, eve) =
        (server.register("alice").await, server.register("bob").await, server.register("eve").await);
    for (old_version, version) in
        [("1", "12"), ("6", "9"), ("10", "12"), ("11", "11"), ("12", "10"), ("12", "3"), ("12", "12")]
    {
        let case = format!("{old_version} to {version}");
        let old = furnished(&alice, old_version).await;
        bob.join(&old).await;
        let ban = json!({ "user_id": eve.id, "reason": "spam" });
        alice.call("POST", &format!("/rooms/{}/ban", segment(&old)), ban).await.ok();
        let levels = state(&alice, &old, "m.room.power_levels").await;

        assert_eq!(upgrade(&bob, &old, json!({ "new_version": version })).await.error(), "403 M_FORBIDDEN");
        let made = upgrade(&alice, &old, json!({ "new_version": version })).await.ok();
        let new = made["replacement_room"].as_str().unwrap().to_owned();

        let create = state(&alice, &new, "m.room.create").await;
        assert_eq!(create["room_version"], version, "{case}");
        assert_eq!(create["predecessor"]["room_id"], old, "{case}");
        assert_eq!(create["m.federate"], false, "{case}");
        assert_eq!(state(&alice, &old, "m.room.tombstone").await["replacement_room"], new, "{case}");
        for kind in
            ["name", "topic", "avatar", "encryption", "server_acl", "join_rules", "history_visibility"]
        {
            let kind = format!("m.room.{kind}");
            assert_eq!(state(&alice, &new, &kind).await, state(&alice, &old, &kind).await, "{case} {kind}");
        }
        assert_eq!(state(&alice, &new, "org.example.own").await, Value::Null);
        let banned = state(&alice, &new, &format!("m.room.member/{}", segment(&eve.id))).await;
        assert_eq!(banned, json!({ "membership": "ban", "reason": "spam" }), "{case}");
        let new_levels = state(&alice, &new, "m.room.power_levels").await;
        let users = if version == "12" { json!({}) } else { json!({ &alice.id: 100 }) };
        assert_eq!(new_levels["users"], users, "{case}");
        assert_eq!(new_levels["events"], levels["events"], "{case}");

        // Names lead to the new room.
        let alias = format!("/directory/room/%23home{old_version}%3Aa.example");
        assert_eq!(server.call("GET", &alias, Value::Null).await.ok()["room_id"], new, "{case}");
        assert_eq!(state(&alice, &old, "m.room.canonical_alias").await, json!({}), "{case}");
        assert!(state(&alice, &new, "m.room.canonical_alias").await["alias"].is_string(), "{case}");
        let listed = alice.get("/publicRooms").await.ok();
        let rooms: Vec<&Value> =
            listed["chunk"].as_array().unwrap().iter().map(|room| &room["room_id"]).collect();
        assert!(rooms.contains(&&json!(new)) && !rooms.contains(&&json!(old)), "{case}");

        // Nobody speaks in the old room any more, nor invites.
        let path = format!("/rooms/{}/send/m.room.message/t{case}", segment(&old));
        assert_eq!(
            bob.call("PUT", &path.replace(' ', "-"), message("hello?")).await.error(),
            "403 M_FORBIDDEN"
        );
        bob.join(&new).await;
        bob.say(&new, &format!("hello {case}")).await;
        alice.call("DELETE", &alias, Value::Null).await.ok();
    }
}

#[tokio::test]
async fn additional_creators_are_named_anew() {
    let server = Server::start().await;
    let (alice, bob, carol) =
        (server.register("alice").await, server.register("bob").await, server.register("carol").await);
    let old = alice.create_room(json!({ "creation_content": { "additional_creators": [bob.id] } })).await;
    let body = json!({ "new_version": "12", "additional_creators": [carol.id] });
    let made = upgrade(&alice, &old, body).await.ok();
    let new = made["replacement_room"].as_str().unwrap();
    assert_eq!(state(&alice, new, "m.room.create").await["additional_creators"], json!([carol.id]));
    let body = json!({ "new_version": "11", "additional_creators": [carol.id] });
    let made = upgrade(&alice, new, body).await.ok();
    let newest = made["replacement_room"].as_str().unwrap();
    assert!(state(&alice, newest, "m.room.create").await.get("additional_creators").is_none());
}

#[tokio::test]
async fn a_moderator_replaces_without_gaining() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let levels = json!({ "events": { "m.room.tombstone": 50 }, "users": { &alice.id: 100, &bob.id: 50 } });
    let room = alice
        .create_room(json!({ "room_version": "11", "power_level_content_override": levels, "name": "N" }))
        .await;
    bob.join(&room).await;
    let made = upgrade(&bob, &room, json!({ "new_version": "11" })).await.ok();
    let new = made["replacement_room"].as_str().unwrap();
    let users = state(&bob, new, "m.room.power_levels").await["users"].clone();
    assert_eq!(users, json!({ &alice.id: 100, &bob.id: 50 }));
    assert_eq!(state(&bob, new, "m.room.name").await["name"], "N");
}

#[tokio::test]
async fn what_one_keeps_about_a_room_comes_along() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let old = alice.create_room(json!({})).await;
    bob.join(&old).await;
    let mut datum = Vec::new();
    for user in [&alice, &bob] {
        let tags = format!("/user/{}/rooms/{}/account_data/m.tag", segment(&user.id), segment(&old));
        user.call("PUT", &tags, json!({ "tags": { "m.favourite": { "order": 1 } } })).await.ok();
        let direct = format!("/user/{}/account_data/m.direct", segment(&user.id));
        user.call("PUT", &direct, json!({ "@friend:a.example": [old] })).await.ok();
        datum.push(direct);
    }
    let made = upgrade(&alice, &old, json!({ "new_version": "12" })).await.ok();
    let new = made["replacement_room"].as_str().unwrap();
    let kept = async |user: &User<'_>, room: &str| {
        let tags = format!("/user/{}/rooms/{}/account_data/m.tag", segment(&user.id), segment(room));
        user.get(&tags).await.status.as_u16() == 200
    };
    assert!(kept(&alice, new).await);
    assert!(!kept(&bob, new).await, "not before they come");
    bob.join(new).await;
    assert!(kept(&bob, new).await);
    for (user, direct) in [&alice, &bob].into_iter().zip(&datum) {
        assert_eq!(user.get(direct).await.ok(), json!({ "@friend:a.example": [old, new] }));
    }
    // A predecessor that knows nothing of it gives nothing.
    let claim = json!({ "creation_content": { "predecessor": { "room_id": old, "event_id": "$x" } } });
    let forged = alice.create_room(claim).await;
    bob.join(&forged).await;
    assert!(!kept(&bob, &forged).await);
}

#[tokio::test]
async fn what_cannot_be_replaced_stays() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({})).await;
    for (body, error) in [
        (json!({}), "400 M_MISSING_PARAM"),
        (json!({ "new_version": 12 }), "400 M_BAD_JSON"),
        (json!({ "new_version": "no such" }), "400 M_UNSUPPORTED_ROOM_VERSION"),
        (json!({ "new_version": "12", "additional_creators": ["x"] }), "400 M_INVALID_PARAM"),
    ] {
        assert_eq!(upgrade(&alice, &room, body.clone()).await.error(), error, "{body}");
    }
    assert_eq!(upgrade(&alice, "!nowhere", json!({ "new_version": "12" })).await.error(), "404 M_NOT_FOUND");
    assert_eq!(state(&alice, &room, "m.room.tombstone").await, Value::Null);
}

#[tokio::test]
async fn a_space_keeps_its_children() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let space = alice.create_room(json!({ "creation_content": { "type": "m.space" } })).await;
    alice.set_state(&space, "m.space.child", "!one:a.example", json!({ "via": ["a.example"] })).await;
    alice.set_state(&space, "m.space.child", "!gone:a.example", json!({})).await;
    let made = upgrade(&alice, &space, json!({ "new_version": "12" })).await.ok();
    let new = made["replacement_room"].as_str().unwrap();
    assert_eq!(state(&alice, new, "m.room.create").await["type"], "m.space");
    let child = state(&alice, new, "m.space.child/!one%3Aa.example").await;
    assert_eq!(child, json!({ "via": ["a.example"] }));
    assert_eq!(state(&alice, new, "m.space.child/!gone%3Aa.example").await, Value::Null);
}
