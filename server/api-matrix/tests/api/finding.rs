//! Aliases, the directory of public rooms, spaces and summaries: how rooms are found.

use serde_json::{Value, json};

use crate::world::{Reply, Server, User, segment};

async fn alias(user: &User<'_>, method: &str, alias: &str, room: &str) -> Reply {
    let path = format!("/directory/room/{}", segment(alias));
    user.call(method, &path, json!({ "room_id": room })).await
}

async fn public_rooms(user: &User<'_>, body: Value) -> Value {
    user.call("POST", "/publicRooms", body).await.ok()
}

fn ids(page: &Value, field: &str) -> Vec<String> {
    let rooms = page[field].as_array().unwrap().iter();
    rooms.map(|room| room["room_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_alias_leads_to_its_room() {
    let server = Server::start().await;
    let (alice, bob, eve) =
        (server.register("alice").await, server.register("bob").await, server.register("eve").await);
    let room = alice.create_room(json!({ "room_alias_name": "home" })).await;
    let named = server.call("GET", "/directory/room/%23home%3Aa.example", Value::Null).await.ok();
    assert_eq!(named, json!({ "room_id": room, "servers": ["a.example"] }), "anybody may ask");
    let canonical = format!("/rooms/{}/state/m.room.canonical_alias", segment(&room));
    assert_eq!(alice.get(&canonical).await.ok(), json!({ "alias": "#home:a.example" }));
    let taken = json!({ "room_alias_name": "home" });
    assert_eq!(alice.call("POST", "/createRoom", taken).await.error(), "400 M_ROOM_IN_USE");
    assert_eq!(alice.get("/joined_rooms").await.ok()["joined_rooms"], json!([room]), "nothing was made");

    bob.join("#home:a.example").await;
    alias(&bob, "PUT", "#bobs/place:a.example", &room).await.ok();
    assert_eq!(alias(&bob, "PUT", "#bobs/place:a.example", &room).await.error(), "409 M_UNKNOWN");
    let all = format!("/rooms/{}/aliases", segment(&room));
    assert_eq!(bob.get(&all).await.ok(), json!({ "aliases": ["#bobs/place:a.example", "#home:a.example"] }));
    assert_eq!(eve.get(&all).await.error(), "403 M_FORBIDDEN");
    assert_eq!(alias(&eve, "PUT", "#eves:a.example", &room).await.error(), "403 M_FORBIDDEN");
    for (name, error) in [
        ("#x:b.example", "400 M_INVALID_PARAM"),
        ("#:a.example", "400 M_INVALID_PARAM"),
        ("#has space:a.example", "400 M_INVALID_PARAM"),
        ("no-hash:a.example", "400 M_INVALID_PARAM"),
        ("#_bridge_x:a.example", "400 M_EXCLUSIVE"),
        ("#nexus:a.example", "400 M_EXCLUSIVE"),
        ("#nexus.x:a.example", "400 M_EXCLUSIVE"),
    ] {
        assert_eq!(alias(&bob, "PUT", name, &room).await.error(), error, "{name}");
    }
    let long = format!("#{}:a.example", "x".repeat(250));
    assert_eq!(alias(&bob, "PUT", &long, &room).await.error(), "400 M_INVALID_PARAM");
    assert_eq!(alias(&bob, "PUT", "#new:a.example", "!nowhere").await.error(), "404 M_NOT_FOUND");
}

#[tokio::test]
async fn who_made_an_alias_or_has_the_power_takes_it_away() {
    let server = Server::start().await;
    let (alice, bob, eve) =
        (server.register("alice").await, server.register("bob").await, server.register("eve").await);
    let room = alice.create_room(json!({ "room_alias_name": "home" })).await;
    bob.join(&room).await;
    eve.join(&room).await;
    for name in ["#one:a.example", "#two:a.example"] {
        alias(&bob, "PUT", name, &room).await.ok();
    }
    assert_eq!(alias(&eve, "DELETE", "#one:a.example", &room).await.error(), "403 M_FORBIDDEN");
    assert_eq!(alias(&bob, "DELETE", "#home:a.example", &room).await.error(), "403 M_FORBIDDEN");
    alias(&bob, "DELETE", "#one:a.example", &room).await.ok();
    alias(&alice, "DELETE", "#two:a.example", &room).await.ok();
    assert_eq!(alias(&bob, "DELETE", "#two:a.example", &room).await.error(), "404 M_NOT_FOUND");
    assert_eq!(alias(&bob, "GET", "#two:a.example", &room).await.error(), "404 M_NOT_FOUND");
    assert_eq!(bob.call("POST", "/join/%23two%3Aa.example", json!({})).await.error(), "404 M_NOT_FOUND");
    // What the room says it is called goes with the alias.
    alias(&alice, "DELETE", "#home:a.example", &room).await.ok();
    let canonical = format!("/rooms/{}/state/m.room.canonical_alias", segment(&room));
    assert_eq!(alice.get(&canonical).await.ok(), json!({}));
}

#[tokio::test]
async fn a_room_is_called_only_what_leads_to_it() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({ "room_alias_name": "home" })).await;
    alice.create_room(json!({ "room_alias_name": "other" })).await;
    let path = format!("/rooms/{}/state/m.room.canonical_alias", segment(&room));
    let set = async |content: Value| alice.call("PUT", &path, content).await;
    for (content, error) in [
        (json!({ "alias": "#other:a.example" }), "400 M_BAD_ALIAS"),
        (json!({ "alias": "#none:a.example" }), "400 M_BAD_ALIAS"),
        (json!({ "alias": "no alias" }), "400 M_INVALID_PARAM"),
        (json!({ "alias": 5 }), "400 M_BAD_JSON"),
        (json!({ "alt_aliases": ["#home:a.example", "#other:a.example"] }), "400 M_BAD_ALIAS"),
        (json!({ "alt_aliases": "x" }), "400 M_BAD_JSON"),
        (json!({ "alt_aliases": [5] }), "400 M_BAD_JSON"),
    ] {
        assert_eq!(set(content.clone()).await.error(), error, "{content}");
    }
    set(json!({ "alias": "#home:a.example", "alt_aliases": ["#home:a.example"] })).await.ok();
    // What it said before may stay, though it leads nowhere now.
    alias(&alice, "DELETE", "#home:a.example", &room).await.ok();
    alias(&alice, "PUT", "#home:a.example", &room).await.ok();
    set(json!({ "alias": "#home:a.example" })).await.ok();
    set(json!({})).await.ok();
    let foreign = json!([{
        "type": "m.room.canonical_alias", "state_key": "", "content": { "alias": "#other:a.example" },
    }]);
    let made = alice.call("POST", "/createRoom", json!({ "initial_state": foreign })).await;
    assert_eq!(made.error(), "400 M_BAD_ALIAS");
}

#[tokio::test]
async fn state_of_no_shape_is_refused() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({})).await;
    for (kind, content) in [
        ("m.room.create", json!({ "room_version": "12" })),
        ("m.room.server_acl", json!({})),
        ("m.room.server_acl", json!({ "allow": [] })),
        ("m.room.server_acl", json!({ "allow": "*" })),
        ("m.room.server_acl", json!({ "allow": ["*"], "deny": [1] })),
        ("m.room.server_acl", json!({ "allow": ["*"], "allow_ip_literals": "no" })),
        ("m.room.power_levels", json!({ "ban": "50" })),
        ("m.room.power_levels", json!({ "events": { "a.b": "50" } })),
        ("m.room.power_levels", json!({ "users": { "nobody": 5 } })),
        ("m.room.power_levels", json!({ "users": { &alice.id: 100 } })),
    ] {
        let path = format!("/rooms/{}/state/{kind}", segment(&room));
        assert_eq!(alice.call("PUT", &path, content.clone()).await.error(), "400 M_BAD_JSON", "{content}");
    }
    alice
        .set_state(&room, "m.room.server_acl", "", json!({ "allow": ["*"], "deny": ["evil.example"] }))
        .await;
}

#[tokio::test]
async fn the_directory_lists_searches_and_pages() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let mut rooms = Vec::new();
    for (name, topic, kind) in
        [("Tea", "leaves", None), ("Coffee", "beans", None), ("Drinks", "all of them", Some("m.space"))]
    {
        let mut new = json!({ "visibility": "public", "name": name, "topic": topic });
        if let Some(kind) = kind {
            new["creation_content"] = json!({ "type": kind });
        }
        rooms.push(alice.create_room(new).await);
    }
    alice.create_room(json!({ "name": "Hidden" })).await;
    bob.join(&rooms[1]).await;
    let page = public_rooms(&bob, json!({})).await;
    // The busiest first, then the oldest.
    assert_eq!(ids(&page, "chunk"), [&rooms[1], &rooms[0], &rooms[2]].map(String::clone));
    assert_eq!(page["total_room_count_estimate"], 3);
    let coffee = &page["chunk"][0];
    assert_eq!(coffee["num_joined_members"], 2);
    assert_eq!(coffee["join_rule"], "public");
    assert_eq!(coffee["world_readable"], false);
    assert_eq!(page["chunk"][2]["room_type"], "m.space");

    for (filter, expected) in [
        (json!({ "generic_search_term": "COFF" }), vec![&rooms[1]]),
        (json!({ "generic_search_term": "leaves" }), vec![&rooms[0]]),
        (json!({ "generic_search_term": "hidden" }), vec![]),
        (json!({ "room_types": ["m.space"] }), vec![&rooms[2]]),
        (json!({ "room_types": [null] }), vec![&rooms[1], &rooms[0]]),
        (json!({ "room_types": [] }), vec![]),
    ] {
        let found = public_rooms(&bob, json!({ "filter": filter })).await;
        assert_eq!(ids(&found, "chunk"), expected.into_iter().cloned().collect::<Vec<_>>(), "{filter}");
    }

    let first = public_rooms(&bob, json!({ "limit": 1 })).await;
    assert!(first["prev_batch"].is_null());
    let second = public_rooms(&bob, json!({ "limit": 1, "since": first["next_batch"] })).await;
    let third = public_rooms(&bob, json!({ "limit": 1, "since": second["next_batch"] })).await;
    assert_eq!(ids(&third, "chunk"), vec![rooms[2].clone()]);
    assert!(third["next_batch"].is_null());
    let back = public_rooms(&bob, json!({ "limit": 1, "since": third["prev_batch"] })).await;
    assert_eq!(ids(&back, "chunk"), ids(&second, "chunk"));

    assert_eq!(bob.get("/publicRooms?limit=2").await.ok()["chunk"].as_array().unwrap().len(), 2);
    let nobody = server.call("GET", "/publicRooms", Value::Null).await;
    assert_eq!(nobody.error(), "401 M_MISSING_TOKEN");
    assert_eq!(bob.get("/publicRooms?server=b.example").await.error(), "400 M_INVALID_PARAM");
    assert_eq!(bob.get("/publicRooms?since=x").await.error(), "400 M_INVALID_PARAM");
    let odd = json!({ "filter": { "room_types": "m.space" } });
    assert_eq!(bob.call("POST", "/publicRooms", odd).await.error(), "400 M_BAD_JSON");
}

#[tokio::test]
async fn members_with_power_list_a_room() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room(json!({})).await;
    let path = format!("/directory/list/room/{}", segment(&room));
    let shown = async || server.call("GET", &path, Value::Null).await.ok()["visibility"].clone();
    assert_eq!(shown().await, "private");
    let public = json!({ "visibility": "public" });
    assert_eq!(bob.call("PUT", &path, public.clone()).await.error(), "403 M_FORBIDDEN");
    bob.join(&room).await;
    assert_eq!(bob.call("PUT", &path, public.clone()).await.error(), "403 M_FORBIDDEN");
    alice.call("PUT", &path, public).await.ok();
    assert_eq!(shown().await, "public");
    alice.call("PUT", &path, json!({ "visibility": "private" })).await.ok();
    assert_eq!(shown().await, "private");
    assert_eq!(alice.call("PUT", &path, json!({ "visibility": "odd" })).await.error(), "400 M_BAD_JSON");
    let nowhere = server.call("GET", "/directory/list/room/!nowhere", Value::Null).await;
    assert_eq!(nowhere.error(), "404 M_NOT_FOUND");
}

async fn child(user: &User<'_>, space: &str, room: &str, more: Value) {
    let mut content = json!({ "via": ["a.example"] });
    for (name, value) in more.as_object().unwrap() {
        content[name] = value.clone();
    }
    user.set_state(space, "m.space.child", room, content).await;
}

async fn hierarchy(user: &User<'_>, space: &str, query: &str) -> Reply {
    let path = format!("/_matrix/client/v1/rooms/{}/hierarchy?{query}", segment(space));
    user.get(&path).await
}

#[tokio::test]
async fn a_space_is_walked_depth_first_and_cycles_end() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let space = json!({ "creation_content": { "type": "m.space" } });
    let (root, inner) = (alice.create_room(space.clone()).await, alice.create_room(space).await);
    let (one, two) = (alice.create_room(json!({})).await, alice.create_room(json!({})).await);
    let hidden = alice.create_room(json!({ "preset": "private_chat" })).await;
    child(&alice, &root, &two, json!({})).await;
    child(&alice, &root, &hidden, json!({})).await;
    child(&alice, &root, &inner, json!({ "order": "a" })).await;
    child(&alice, &root, "!elsewhere:b.example", json!({})).await;
    child(&alice, &inner, &one, json!({ "suggested": true })).await;
    child(&alice, &inner, &root, json!({})).await;
    child(&alice, &inner, &inner, json!({})).await;
    alice.set_state(&root, "m.space.child", &one, json!({ "via": [] })).await;

    let all = hierarchy(&alice, &root, "").await.ok();
    assert_eq!(ids(&all, "rooms"), [&root, &inner, &one, &two, &hidden].map(String::clone));
    let seen = hierarchy(&bob, &root, "").await.ok();
    assert_eq!(ids(&seen, "rooms"), [&root, &inner, &one, &two].map(String::clone));
    let named = |room: &Value| -> Vec<String> {
        let children = room["children_state"].as_array().unwrap().iter();
        children.map(|child| child["state_key"].as_str().unwrap().to_owned()).collect()
    };
    assert!(named(&all["rooms"][0]).contains(&hidden));
    assert!(!named(&seen["rooms"][0]).contains(&hidden), "not even named");
    assert!(named(&seen["rooms"][0]).contains(&"!elsewhere:b.example".to_owned()));
    assert!(seen["rooms"][0]["children_state"][0]["origin_server_ts"].is_number());

    let shallow = hierarchy(&alice, &root, "max_depth=0").await.ok();
    assert_eq!(ids(&shallow, "rooms"), vec![root.clone()]);
    let shallow = hierarchy(&bob, &root, "max_depth=1").await.ok();
    assert_eq!(ids(&shallow, "rooms"), [&root, &inner, &two].map(String::clone));
    let suggested = hierarchy(&bob, &inner, "suggested_only=true").await.ok();
    assert_eq!(ids(&suggested, "rooms"), [&inner, &one].map(String::clone));

    let first = hierarchy(&bob, &root, "limit=2").await.ok();
    assert_eq!(ids(&first, "rooms"), [&root, &inner].map(String::clone));
    let from = first["next_batch"].as_str().unwrap();
    let second = hierarchy(&bob, &root, &format!("limit=2&from={from}")).await.ok();
    assert_eq!(ids(&second, "rooms"), [&one, &two].map(String::clone));
    assert!(second.get("next_batch").is_none());
    for query in
        [format!("from={from}&max_depth=1"), format!("from={from}&suggested_only=true"), "from=x".into()]
    {
        assert_eq!(hierarchy(&bob, &root, &query).await.error(), "400 M_INVALID_PARAM", "{query}");
    }
    assert_eq!(hierarchy(&bob, &hidden, "").await.error(), "403 M_FORBIDDEN");
    assert_eq!(hierarchy(&bob, "!nowhere", "").await.error(), "403 M_FORBIDDEN");
}

#[tokio::test]
async fn a_summary_is_for_who_may_know_of_the_room() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let open = alice.create_room(json!({ "name": "Open", "room_alias_name": "open" })).await;
    let closed = alice.create_room(json!({ "preset": "private_chat" })).await;
    let rule = json!({ "join_rule": "restricted", "allow": [
        { "type": "m.room_membership", "room_id": open },
    ]});
    let rule = json!([{ "type": "m.room.join_rules", "state_key": "", "content": rule }]);
    let inner = alice.create_room(json!({ "initial_state": rule })).await;
    let path = |room: &str| format!("/_matrix/client/v1/room_summary/{}", segment(room));
    let anonymous = server.call("GET", &path("#open:a.example"), Value::Null).await.ok();
    assert_eq!(anonymous["name"], "Open");
    assert_eq!(anonymous["room_version"], "12");
    assert!(anonymous.get("membership").is_none());
    assert_eq!(bob.get(&path(&open)).await.ok()["membership"], "leave");
    assert_eq!(alice.get(&path(&closed)).await.ok()["membership"], "join");
    assert_eq!(bob.get(&path(&closed)).await.error(), "404 M_NOT_FOUND");
    assert_eq!(bob.get(&path(&inner)).await.error(), "404 M_NOT_FOUND");
    bob.join(&open).await;
    assert_eq!(bob.get(&path(&inner)).await.ok()["allowed_room_ids"], json!([open]));
    alice.invite(&closed, &bob).await;
    assert_eq!(bob.get(&path(&closed)).await.ok()["membership"], "invite");
    assert_eq!(bob.get(&path("!nowhere")).await.error(), "404 M_NOT_FOUND");
}
