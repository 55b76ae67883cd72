//! Registration, sessions, devices, profiles, filters and account data.

use std::time::Duration;

use nexus_accounts::Registration;
use serde_json::{Value, json};

use crate::world::{PASSWORD, Server, User, segment};

fn registration(name: &str) -> Value {
    json!({ "username": name, "password": PASSWORD, "auth": { "type": "m.login.dummy" } })
}

#[tokio::test]
async fn registration_asks_for_its_stage_first() {
    let server = Server::start().await;
    let asked = server.call("POST", "/register", json!({})).await;
    assert_eq!(asked.error(), "401 -");
    assert_eq!(asked.body["flows"], json!([{ "stages": ["m.login.dummy"] }]));
    assert_eq!(asked.body["params"], json!({}));
    let mut body = registration("Alice");
    body["auth"]["session"] = asked.body["session"].clone();
    body["device_id"] = "PHONE".into();
    let alice = server.call("POST", "/register", body.clone()).await.ok();
    assert_eq!((&alice["user_id"], &alice["device_id"]), (&json!("@alice:a.example"), &json!("PHONE")));
    assert!(alice.get("refresh_token").is_none());
    body["username"] = "other".into();
    let again = server.call("POST", "/register", body).await;
    assert_eq!(again.error(), "401 M_UNKNOWN", "a session is good for one registration");
    assert!(again.body["session"].is_string());
}

#[tokio::test]
async fn names_that_cannot_be_had() {
    let server = Server::start().await;
    server.register("alice").await;
    for (name, error) in [
        ("Alice", "400 M_USER_IN_USE"),
        ("al ice", "400 M_INVALID_USERNAME"),
        ("a\u{0}b", "400 M_INVALID_USERNAME"),
        ("", "400 M_INVALID_USERNAME"),
        (&"u".repeat(300), "400 M_INVALID_USERNAME"),
        ("nexus", "400 M_EXCLUSIVE"),
    ] {
        assert_eq!(server.call("POST", "/register", registration(name)).await.error(), error, "{name:?}");
        let path = format!("/register/available?username={}", segment(name));
        assert_eq!(server.call("GET", &path, Value::Null).await.error(), error, "{name:?}");
    }
    let free = server.call("GET", "/register/available?username=bob", Value::Null).await;
    assert_eq!(free.ok(), json!({ "available": true }));
    assert_eq!(server.call("GET", "/register/available", Value::Null).await.error(), "400 M_MISSING_PARAM");
    let guest = server.call("POST", "/register?kind=guest", json!({})).await;
    assert_eq!(guest.error(), "403 M_GUEST_ACCESS_FORBIDDEN");
    let mut wrong = registration("bob");
    wrong["password"] = json!(5);
    assert_eq!(server.call("POST", "/register", wrong).await.error(), "400 M_BAD_JSON");
    let mut quiet = registration("bob");
    quiet["inhibit_login"] = true.into();
    assert_eq!(server.call("POST", "/register", quiet).await.ok(), json!({ "user_id": "@bob:a.example" }));
}

#[tokio::test]
async fn who_may_register_is_a_flow() {
    let server = Server::start_with(|config| config.registration = Registration::Invite).await;
    server.register("first").await;
    let asked = server.call("POST", "/register", json!({})).await;
    assert_eq!(asked.body["flows"], json!([{ "stages": ["m.login.registration_token"] }]));
    assert_eq!(server.call("POST", "/register", registration("bob")).await.error(), "401 M_UNRECOGNIZED");
    let mut body = registration("bob");
    body["auth"] =
        json!({ "type": "m.login.registration_token", "token": "wrong", "session": asked.body["session"] });
    let refused = server.call("POST", "/register", body).await;
    assert_eq!(refused.error(), "401 M_UNAUTHORIZED");
    assert_eq!(refused.body["session"], asked.body["session"], "another attempt may follow");

    let server = Server::start_with(|config| config.registration = Registration::Closed).await;
    server.register("first").await;
    assert_eq!(server.call("POST", "/register", registration("bob")).await.error(), "403 M_FORBIDDEN");
}

#[tokio::test]
async fn logging_in_by_any_of_a_users_names() {
    let server = Server::start().await;
    server.register("alice").await;
    for name in ["alice", "ALICE", "@alice:a.example", "@Alice:A.example"] {
        assert_eq!(server.login(name).await.id, "@alice:a.example");
    }
    let legacy = json!({ "type": "m.login.password", "user": "alice", "password": PASSWORD });
    server.call("POST", "/login", legacy).await.ok();
    let login = |name: &str, password: Value| {
        let identifier = json!({ "type": "m.id.user", "user": name });
        json!({ "type": "m.login.password", "identifier": identifier, "password": password })
    };
    for (body, error) in [
        (login("alice", "wrong".into()), "403 M_FORBIDDEN"),
        (login("nobody", PASSWORD.into()), "403 M_FORBIDDEN"),
        (login("alice", json!([])), "400 M_BAD_JSON"),
        (json!({ "type": 5 }), "400 M_BAD_JSON"),
        (json!({ "type": "org.example.none" }), "400 M_UNKNOWN"),
        (json!({}), "400 M_MISSING_PARAM"),
        (json!({ "type": "m.login.password", "identifier": { "type": "m.id.phone" } }), "400 M_UNKNOWN"),
    ] {
        assert_eq!(server.call("POST", "/login", body.clone()).await.error(), error, "{body}");
    }
}

#[tokio::test]
async fn tokens_expire_are_renewed_and_end() {
    let server = Server::start().await;
    let mut body = registration("alice");
    body["refresh_token"] = true.into();
    let session = server.call("POST", "/register", body).await.ok();
    assert_eq!(session["expires_in_ms"], 3_600_000);
    let alice = User::of(&server, session.clone());
    server.clock.advance(Duration::from_secs(3601));
    let expired = alice.get("/account/whoami").await;
    assert_eq!(
        (expired.error(), &expired.body["soft_logout"]),
        ("401 M_UNKNOWN_TOKEN".to_owned(), &json!(true))
    );

    let refresh = json!({ "refresh_token": session["refresh_token"] });
    let tokens = server.call("POST", "/refresh", refresh).await.ok();
    assert!(tokens["refresh_token"].is_string());
    let alice = User { token: tokens["access_token"].as_str().unwrap().to_owned(), ..alice };
    let whoami = json!({ "user_id": alice.id, "device_id": alice.device, "is_guest": false });
    assert_eq!(alice.get("/account/whoami").await.ok(), whoami);
    let forged = server.call("POST", "/refresh", json!({ "refresh_token": "nonesuch" })).await;
    assert_eq!(forged.error(), "401 M_UNKNOWN_TOKEN");

    let other = server.login("alice").await;
    alice.call("POST", "/logout", Value::Null).await.ok();
    assert_eq!(alice.get("/account/whoami").await.error(), "401 M_UNKNOWN_TOKEN");
    other.call("POST", "/logout/all", json!({})).await.ok();
    assert_eq!(other.get("/account/whoami").await.error(), "401 M_UNKNOWN_TOKEN");
}

#[tokio::test]
async fn devices_are_deleted_with_the_password() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let phone = server.login("alice").await;
    let path = format!("/devices/{}", phone.device);
    alice.call("PUT", &path, json!({ "display_name": "phone" })).await.ok();
    let device = alice.get(&path).await.ok();
    assert_eq!((&device["device_id"], &device["display_name"]), (&json!(phone.device), &json!("phone")));
    assert_eq!(alice.get("/devices/nonesuch").await.error(), "404 M_NOT_FOUND");
    assert_eq!(alice.get("/devices").await.ok()["devices"].as_array().unwrap().len(), 2);

    let asked = alice.call("DELETE", &path, json!({})).await;
    assert_eq!(asked.error(), "401 -");
    assert_eq!(asked.body["flows"], json!([{ "stages": ["m.login.password"] }]));
    let auth = |user: &str, password: &str| {
        let identifier = json!({ "type": "m.id.user", "user": user });
        let session = &asked.body["session"];
        json!({ "auth": {
            "type": "m.login.password", "identifier": identifier, "password": password, "session": session,
        }})
    };
    assert_eq!(alice.call("DELETE", &path, auth("alice", "wrong")).await.error(), "401 M_FORBIDDEN");
    assert_eq!(alice.call("DELETE", &path, auth("bob", PASSWORD)).await.error(), "403 M_FORBIDDEN");
    assert_eq!(
        bob.call("DELETE", &path, auth("bob", PASSWORD)).await.error(),
        "401 M_UNKNOWN",
        "not bob's session"
    );
    alice.call("DELETE", &path, auth("alice", PASSWORD)).await.ok();
    assert_eq!(phone.get("/account/whoami").await.error(), "401 M_UNKNOWN_TOKEN");
}

#[tokio::test]
async fn profiles_are_public_and_own() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room(json!({})).await;
    let path = format!("/profile/{}", segment(&alice.id));
    assert_eq!(bob.get(&path).await.ok(), json!({}));
    alice.call("PUT", &format!("{path}/displayname"), json!({ "displayname": "Alice" })).await.ok();
    assert_eq!(server.call("GET", &path, Value::Null).await.ok(), json!({ "displayname": "Alice" }));
    assert_eq!(bob.get(&format!("{path}/avatar_url")).await.error(), "404 M_NOT_FOUND");
    let foreign = bob.call("PUT", &format!("{path}/displayname"), json!({ "displayname": "x" })).await;
    assert_eq!(foreign.error(), "403 M_FORBIDDEN");
    assert_eq!(bob.get("/profile/@nobody:a.example").await.error(), "404 M_NOT_FOUND");
    let members = alice.get(&format!("/rooms/{}/joined_members", segment(&room))).await.ok();
    assert_eq!(members["joined"][&alice.id]["display_name"], "Alice");
    alice.call("DELETE", &format!("{path}/displayname"), Value::Null).await.ok();
    assert_eq!(bob.get(&path).await.ok(), json!({}));
}

#[tokio::test]
async fn filters_and_account_data_are_kept() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let path = format!("/user/{}/filter", segment(&alice.id));
    let filter = json!({ "room": { "timeline": { "limit": 5 } } });
    let id = alice.call("POST", &path, filter.clone()).await.ok()["filter_id"].as_str().unwrap().to_owned();
    assert_eq!(alice.get(&format!("{path}/{id}")).await.ok(), filter);
    assert_eq!(alice.get(&format!("{path}/nonesuch")).await.error(), "404 M_NOT_FOUND");
    assert_eq!(bob.get(&format!("{path}/{id}")).await.error(), "403 M_FORBIDDEN");
    let bad = alice.call("POST", &path, json!({ "room": 5 })).await;
    assert_eq!(bad.error(), "400 M_BAD_JSON");

    let path = format!("/user/{}/account_data/org.example.x", segment(&alice.id));
    assert_eq!(alice.get(&path).await.error(), "404 M_NOT_FOUND");
    alice.call("PUT", &path, json!({ "a": 1 })).await.ok();
    assert_eq!(alice.get(&path).await.ok(), json!({ "a": 1 }));
    assert_eq!(bob.get(&path).await.error(), "403 M_FORBIDDEN");
    let rules = format!("/user/{}/account_data/m.push_rules", segment(&alice.id));
    assert_eq!(alice.call("PUT", &rules, json!({})).await.error(), "405 M_BAD_JSON");
}

#[tokio::test]
async fn capabilities_say_what_is_there() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let capabilities = alice.get("/capabilities").await.ok()["capabilities"].clone();
    let available: serde_json::Map<String, serde_json::Value> =
        (1..=12).map(|version| (version.to_string(), "stable".into())).collect();
    let versions = json!({ "default": "12", "available": available });
    assert_eq!(capabilities["m.room_versions"], versions);
}
