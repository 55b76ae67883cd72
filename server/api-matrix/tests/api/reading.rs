//! Reading beside the timeline: context, relations, moments, tags, profiles, the user directory.

use serde_json::{Value, json};

use crate::world::{Server, User, message, segment, texts};

fn ids(events: &Value) -> Vec<String> {
    let events = events.as_array().unwrap().iter();
    events.map(|event| event["event_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn context_shows_what_is_around() {
    let server = Server::start().await;
    let (alice, eve) = (server.register("alice").await, server.register("eve").await);
    let room = alice.create_room(json!({})).await;
    let mut said = Vec::new();
    for number in 0..9 {
        said.push(alice.say(&room, &number.to_string()).await);
    }
    let path = format!("/rooms/{}/context/{}", segment(&room), segment(&said[4]));
    let context = alice.get(&format!("{path}?limit=5")).await.ok();
    assert_eq!(context["event"]["event_id"], *said[4]);
    assert_eq!(texts(&context["events_before"]), ["3", "2"]);
    assert_eq!(texts(&context["events_after"]), ["5", "6", "7"]);
    assert!(context["state"].as_array().unwrap().iter().any(|event| event["type"] == "m.room.create"));
    // Its ends are where `/messages` goes on.
    let (start, end) = (context["start"].as_str().unwrap(), context["end"].as_str().unwrap());
    assert_eq!(alice.messages(&room, &format!("dir=b&limit=2&from={start}")).await.0, ["1", "0"]);
    assert_eq!(alice.messages(&room, &format!("dir=f&limit=2&from={end}")).await.0, ["8"]);
    let alone = alice.get(&format!("{path}?limit=0")).await.ok();
    assert_eq!((texts(&alone["events_before"]), texts(&alone["events_after"])), (vec![], vec![]));
    let filter = segment(r#"{"types":["m.room.create"]}"#);
    let filtered = alice.get(&format!("{path}?limit=50&filter={filter}")).await.ok();
    assert_eq!(filtered["events_before"].as_array().unwrap().len(), 1);
    assert_eq!(eve.get(&path).await.error(), "403 M_FORBIDDEN");
    let none = format!("/rooms/{}/context/%24none", segment(&room));
    assert_eq!(alice.get(&none).await.error(), "404 M_NOT_FOUND");
}

#[tokio::test]
async fn relations_are_found_filtered_and_paged() {
    let server = Server::start().await;
    let (alice, eve) = (server.register("alice").await, server.register("eve").await);
    let room = alice.create_room(json!({})).await;
    let root = alice.say(&room, "root").await;
    let relate = async |txn: &str, kind: &str, rel: &str, to: &str| {
        let mut content = message(txn);
        content["m.relates_to"] = json!({ "rel_type": rel, "event_id": to, "key": txn });
        alice.send(&room, kind, txn, content).await
    };
    let first = relate("one", "m.room.message", "m.thread", &root).await;
    let second = relate("two", "m.reaction", "m.annotation", &root).await;
    let third = relate("three", "m.room.message", "m.thread", &root).await;
    let gone = relate("gone", "m.room.message", "m.reference", &root).await;
    let deep = relate("deep", "m.reaction", "m.annotation", &third).await;
    alice.redact(&room, &gone).await;
    let path = format!("/_matrix/client/v1/rooms/{}/relations/{}", segment(&room), segment(&root));
    let get = async |rest: &str| alice.get(&format!("{path}{rest}")).await.ok();
    assert_eq!(ids(&get("").await["chunk"]), [&third, &second, &first].map(String::clone));
    assert_eq!(ids(&get("?dir=f").await["chunk"]), [&first, &second, &third].map(String::clone));
    assert_eq!(ids(&get("/m.thread").await["chunk"]), [&third, &first].map(String::clone));
    assert_eq!(ids(&get("/m.annotation/m.reaction").await["chunk"]), vec![second.clone()]);
    assert_eq!(ids(&get("/m.annotation/m.room.message").await["chunk"]), Vec::<String>::new());
    assert_eq!(ids(&get("/org.example").await["chunk"]), Vec::<String>::new());
    let recursed = get("?recurse=true&dir=f").await;
    assert_eq!(ids(&recursed["chunk"]), [&first, &second, &third, &deep].map(String::clone));
    assert_eq!(recursed["recursion_depth"], 3);
    for (dir, order) in [("b", [&third, &second, &first]), ("f", [&first, &second, &third])] {
        for recurse in [false, true] {
            let mut from = String::new();
            let mut pages = Vec::new();
            loop {
                let page = get(&format!("?dir={dir}&limit=1&recurse={recurse}{from}")).await;
                pages.extend(ids(&page["chunk"]));
                let Some(next) = page["next_batch"].as_str() else { break };
                from = format!("&from={next}");
            }
            pages.retain(|id| *id != deep);
            assert_eq!(pages, order.map(String::clone), "{dir} {recurse}");
        }
    }
    assert_eq!(eve.get(&path).await.error(), "403 M_FORBIDDEN");
    assert_eq!(alice.get(&format!("{path}?dir=x")).await.error(), "400 M_INVALID_PARAM");
    assert_eq!(alice.get(&format!("{path}?from=x")).await.error(), "400 M_INVALID_PARAM");
    let none = format!("/_matrix/client/v1/rooms/{}/relations/%24none", segment(&room));
    assert_eq!(alice.get(&none).await.error(), "404 M_NOT_FOUND");
}

#[tokio::test]
async fn a_moment_has_an_event_on_either_side() {
    let server = Server::start().await;
    let (alice, eve) = (server.register("alice").await, server.register("eve").await);
    let room = alice.create_room(json!({})).await;
    let other = alice.create_room(json!({})).await;
    let mut said = Vec::new();
    for number in 0..40 {
        server.clock.advance(std::time::Duration::from_secs(10));
        alice.say(&other, &number.to_string()).await;
        let event = alice.say(&room, &number.to_string()).await;
        let path = format!("/rooms/{}/event/{}", segment(&room), segment(&event));
        said.push((event, alice.get(&path).await.ok()["origin_server_ts"].as_u64().unwrap()));
    }
    let path = format!("/_matrix/client/v1/rooms/{}/timestamp_to_event", segment(&room));
    let at = async |user: &User<'_>, ts: u64, dir: &str| user.get(&format!("{path}?ts={ts}&dir={dir}")).await;
    for pair in said.windows(2) {
        let ((one, one_ts), (two, two_ts)) = (&pair[0], &pair[1]);
        assert_eq!(at(&alice, one_ts + 1, "f").await.ok()["event_id"], **two);
        assert_eq!(at(&alice, two_ts - 1, "b").await.ok()["event_id"], **one);
        assert_eq!(at(&alice, *one_ts, "f").await.ok()["event_id"], **one);
        assert_eq!(at(&alice, *one_ts, "b").await.ok()["event_id"], **one);
    }
    let last = said.last().unwrap().1;
    assert_eq!(at(&alice, last + 1, "f").await.error(), "404 M_NOT_FOUND");
    assert_eq!(at(&alice, 5, "b").await.error(), "404 M_NOT_FOUND");
    assert_eq!(at(&alice, u64::MAX, "b").await.ok()["origin_server_ts"], last);
    assert_eq!(at(&eve, last, "b").await.error(), "403 M_FORBIDDEN");
    assert_eq!(at(&alice, last, "x").await.error(), "400 M_INVALID_PARAM");
    assert_eq!(alice.get(&path).await.error(), "400 M_MISSING_PARAM");
}

#[tokio::test]
async fn tags_are_put_one_by_one() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room(json!({})).await;
    let path = format!("/user/{}/rooms/{}/tags", segment(&alice.id), segment(&room));
    assert_eq!(alice.get(&path).await.ok(), json!({ "tags": {} }));
    let before = alice.sync("").await;
    alice.call("PUT", &format!("{path}/u.work"), json!({ "order": 1 })).await.ok();
    alice.call("PUT", &format!("{path}/m.favourite"), json!({})).await.ok();
    let expected = json!({ "tags": { "m.favourite": {}, "u.work": { "order": 1 } } });
    assert_eq!(alice.get(&path).await.ok(), expected);
    let told = alice.sync_since(&before).await;
    let data = &told["rooms"]["join"][&room]["account_data"]["events"];
    assert_eq!(*data, json!([{ "type": "m.tag", "content": expected }]));
    alice.call("DELETE", &format!("{path}/u.work"), Value::Null).await.ok();
    alice.call("DELETE", &format!("{path}/u.work"), Value::Null).await.ok();
    assert_eq!(alice.get(&path).await.ok(), json!({ "tags": { "m.favourite": {} } }));
    assert_eq!(bob.get(&path).await.error(), "403 M_FORBIDDEN");
    let long = format!("{path}/{}", "x".repeat(256));
    assert_eq!(alice.call("PUT", &long, json!({})).await.error(), "400 M_INVALID_PARAM");
}

#[tokio::test]
async fn rooms_in_common() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let shared = alice.create_room(json!({})).await;
    alice.create_room(json!({})).await;
    bob.create_room(json!({})).await;
    bob.join(&shared).await;
    let path = |user: &str| format!("/_matrix/client/v1/mutual_rooms?user_id={}", segment(user));
    assert_eq!(alice.get(&path(&bob.id)).await.ok(), json!({ "joined": [shared], "count": 1 }));
    assert_eq!(alice.get(&path("@none:a.example")).await.ok(), json!({ "joined": [], "count": 0 }));
    assert_eq!(alice.get(&path(&alice.id)).await.error(), "400 M_INVALID_PARAM");
    assert_eq!(alice.get("/_matrix/client/v1/mutual_rooms").await.error(), "400 M_MISSING_PARAM");
}

#[tokio::test]
async fn profiles_hold_other_fields() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let path = |key: &str| format!("/profile/{}/{key}", segment(&alice.id));
    let put = async |key: &str, body: Value| alice.call("PUT", &path(key), body).await;
    put("m.tz", json!({ "m.tz": "Europe/Berlin" })).await.ok();
    put("org.example.pets", json!({ "org.example.pets": ["cat", 2] })).await.ok();
    put("displayname", json!({ "displayname": "Al" })).await.ok();
    let expected = json!({ "displayname": "Al", "m.tz": "Europe/Berlin", "org.example.pets": ["cat", 2] });
    let whole = format!("/profile/{}", segment(&alice.id));
    assert_eq!(bob.get(&whole).await.ok(), expected);
    assert_eq!(bob.get(&path("m.tz")).await.ok(), json!({ "m.tz": "Europe/Berlin" }));
    alice.call("DELETE", &path("m.tz"), Value::Null).await.ok();
    assert_eq!(bob.get(&path("m.tz")).await.error(), "404 M_NOT_FOUND");
    assert_eq!(put("m.tz", json!({ "other": 1 })).await.error(), "400 M_MISSING_PARAM");
    assert_eq!(put("Upper", json!({ "Upper": 1 })).await.error(), "400 M_INVALID_PARAM");
    let long = "x".repeat(256);
    assert_eq!(put(&long, json!({ &long: 1 })).await.error(), "400 M_KEY_TOO_LARGE");
    let big = "y".repeat(40_000);
    put("org.example.a", json!({ "org.example.a": &big })).await.ok();
    assert_eq!(
        put("org.example.b", json!({ "org.example.b": &big })).await.error(),
        "400 M_PROFILE_TOO_LARGE"
    );
    put("org.example.a", json!({ "org.example.a": &big })).await.ok();
    let theirs = bob.call("PUT", &path("m.tz"), json!({ "m.tz": "x" })).await;
    assert_eq!(theirs.error(), "403 M_FORBIDDEN");
}

async fn search(user: &User<'_>, term: &str) -> Vec<String> {
    let found = user.call("POST", "/user_directory/search", json!({ "search_term": term })).await.ok();
    let results = found["results"].as_array().unwrap().iter();
    results.map(|result| result["user_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn users_are_found_by_who_may_know_of_them() {
    let server = Server::start().await;
    let (alice, bob, carol) =
        (server.register("alice").await, server.register("bob").await, server.register("carol").await);
    let name = async |user: &User<'_>, name: &str| {
        let path = format!("/profile/{}/displayname", segment(&user.id));
        user.call("PUT", &path, json!({ "displayname": name })).await.ok();
    };
    let private = bob.create_room(json!({ "preset": "private_chat" })).await;
    name(&bob, "Robert Müller").await;
    assert_eq!(search(&alice, "robert").await, Vec::<String>::new(), "nothing in common");
    bob.invite(&private, &alice).await;
    assert_eq!(search(&alice, "robert").await, Vec::<String>::new(), "an invite is not enough");
    alice.join(&private).await;
    for term in ["Rob", "müll", "mül rob", "bob", "@bob:a.example", "@bo"] {
        assert_eq!(search(&alice, term).await, vec![bob.id.clone()], "{term}");
    }
    for term in ["obert", "robert smith", "", "@", "."] {
        assert_eq!(search(&alice, term).await, Vec::<String>::new(), "{term}");
    }
    assert_eq!(search(&carol, "robert").await, Vec::<String>::new());
    assert_eq!(search(&bob, "robert").await, Vec::<String>::new(), "not oneself");

    // A name for one room stays in it; a new name takes the place of the old one.
    let own = json!({ "membership": "join", "displayname": "Secret Agent" });
    bob.set_state(&private, "m.room.member", &bob.id, own).await;
    assert_eq!(search(&alice, "secret").await, Vec::<String>::new());
    name(&bob, "Bobby").await;
    assert_eq!(search(&alice, "robert").await, Vec::<String>::new());
    assert_eq!(search(&alice, "bobby").await, vec![bob.id.clone()]);

    // Who is in a public room is found by everybody.
    bob.create_room(json!({})).await;
    assert_eq!(search(&carol, "bobby").await, vec![bob.id.clone()]);
    let limited = json!({ "search_term": "b", "limit": 1 });
    let found = carol.call("POST", "/user_directory/search", limited).await.ok();
    assert_eq!(found["limited"], false);
    assert_eq!(found["results"][0], json!({ "user_id": bob.id, "display_name": "Bobby" }));
    let missing = carol.call("POST", "/user_directory/search", json!({})).await;
    assert_eq!(missing.error(), "400 M_MISSING_PARAM");
}

#[tokio::test]
async fn who_takes_no_invites_gets_none() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let path = format!("/user/{}/account_data/m.invite_permission_config", segment(&bob.id));
    bob.call("PUT", &path, json!({ "default_action": "block" })).await.ok();
    let room = alice.create_room(json!({})).await;
    let invite =
        alice.call("POST", &format!("/rooms/{}/invite", segment(&room)), json!({ "user_id": bob.id })).await;
    assert_eq!(invite.error(), "403 M_INVITE_BLOCKED");
    let state = format!("/rooms/{}/state/m.room.member/{}", segment(&room), segment(&bob.id));
    let invite = alice.call("PUT", &state, json!({ "membership": "invite" })).await;
    assert_eq!(invite.error(), "403 M_INVITE_BLOCKED");
    let made = alice.call("POST", "/createRoom", json!({ "invite": [bob.id] })).await;
    assert_eq!(made.error(), "403 M_INVITE_BLOCKED");
    bob.call("PUT", &path, json!({ "default_action": "allow" })).await.ok();
    alice.invite(&room, &bob).await;
}

#[tokio::test]
async fn threads_are_listed_by_what_touched_them_last() {
    let server = Server::start().await;
    let (alice, bob, eve) =
        (server.register("alice").await, server.register("bob").await, server.register("eve").await);
    let room = alice.create_room(json!({})).await;
    bob.join(&room).await;
    let answer = async |user: &User<'_>, root: &str, text: &str| {
        let mut content = message(text);
        content["m.relates_to"] = json!({ "rel_type": "m.thread", "event_id": root });
        user.send(&room, "m.room.message", text, content).await
    };
    let (one, two) = (alice.say(&room, "one").await, alice.say(&room, "two").await);
    alice.say(&room, "no thread").await;
    answer(&alice, &one, "a").await;
    answer(&alice, &two, "b").await;
    let last = answer(&bob, &one, "c").await;
    let path = format!("/_matrix/client/v1/rooms/{}/threads", segment(&room));
    let get = async |user: &User<'_>, query: &str| user.get(&format!("{path}?{query}")).await;
    let all = get(&bob, "").await.ok();
    assert_eq!(ids(&all["chunk"]), [&one, &two].map(String::clone));
    assert!(all.get("next_batch").is_none());
    let thread = &all["chunk"][0]["unsigned"]["m.relations"]["m.thread"];
    assert_eq!((&thread["count"], &thread["current_user_participated"]), (&json!(2), &json!(true)));
    assert_eq!(thread["latest_event"]["event_id"], *last);
    assert_eq!(ids(&get(&bob, "include=participated").await.ok()["chunk"]), vec![one.clone()]);
    assert_eq!(ids(&get(&alice, "include=participated").await.ok()["chunk"]).len(), 2);
    let first = get(&bob, "limit=1").await.ok();
    assert_eq!(ids(&first["chunk"]), [one]);
    let next = first["next_batch"].as_str().unwrap();
    let second = get(&bob, &format!("limit=1&from={next}")).await.ok();
    assert_eq!(ids(&second["chunk"]), [two]);
    assert!(second.get("next_batch").is_none());
    assert_eq!(get(&eve, "").await.error(), "403 M_FORBIDDEN");
    assert_eq!(get(&bob, "include=odd").await.error(), "400 M_INVALID_PARAM");
    assert_eq!(get(&bob, "from=odd").await.error(), "400 M_INVALID_PARAM");
}
