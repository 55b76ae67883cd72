//! What holds for every endpoint: errors, CORS, paths, bodies.

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use crate::world::{Server, segment};

#[tokio::test]
async fn unknown_paths_and_methods_are_unrecognized() {
    let server = Server::start().await;
    for path in [
        "/_matrix",
        "/_matrix/",
        "/_matrix/nonesuch",
        "/_matrix/client/v3",
        "/_matrix/client/v3/no/such/endpoint",
        "/_matrix/client/v3/rooms/!r/nonesuch",
        "/_matrix/client/v3/rooms/!r/state/a/b/c",
        "/_matrix/client/v3/pushrules/",
        "/_matrix/client/v3/keys/upload",
        "/_matrix/client/v1/nonesuch",
        "/_matrix/client/unstable/org.example/x",
        "/_matrix/media/v3/nonesuch",
        "/_matrix/federation/v1/nonesuch",
        "/_matrix/key/v2/nonesuch",
    ] {
        for method in ["GET", "POST", "PUT", "DELETE"] {
            let reply = server.call(method, path, json!({})).await;
            assert_eq!(reply.error(), "404 M_UNRECOGNIZED", "{method} {path}");
        }
    }
    for (method, path) in [
        ("DELETE", "/login"),
        ("PATCH", "/login"),
        ("PUT", "/register"),
        ("POST", "/sync"),
        ("GET", "/rooms/!r/send/m.room.message/t"),
        ("POST", "/_matrix/client/versions"),
    ] {
        let reply = server.call(method, path, Value::Null).await;
        assert_eq!(reply.error(), "405 M_UNRECOGNIZED", "{method} {path}");
    }
}

#[tokio::test]
async fn cors_headers_are_on_everything() {
    let server = Server::start().await;
    for (method, path) in [
        ("GET", "/_matrix/client/versions"),
        ("GET", "/.well-known/matrix/client"),
        ("GET", "/_matrix/client/v3/sync"),
        ("PUT", "/_matrix/client/v3/login"),
        ("GET", "/_matrix/nonesuch"),
    ] {
        let reply = server.call(method, path, Value::Null).await;
        assert_eq!(reply.headers["access-control-allow-origin"], "*", "{method} {path}");
        assert_eq!(reply.headers["content-type"], "application/json", "{method} {path}");
    }
    for path in
        ["/_matrix/client/v3/sync", "/_matrix/client/v3/rooms/!r/send/m.room.message/t", "/_matrix/nonesuch"]
    {
        let request = Request::options(path)
            .header("Origin", "https://app.example")
            .header("Access-Control-Request-Method", "PUT")
            .header("Access-Control-Request-Headers", "authorization");
        let reply = server.send(request.body(Body::empty()).unwrap()).await;
        assert!(reply.status.is_success(), "{path}: {}", reply.status);
        let allowed = |name: &str| reply.headers[name].to_str().unwrap().to_lowercase();
        assert_eq!(allowed("access-control-allow-methods"), "get,post,put,delete,options");
        assert_eq!(allowed("access-control-allow-headers"), "x-requested-with,content-type,authorization");
    }
}

#[tokio::test]
async fn what_needs_no_token() {
    let server = Server::start().await;
    let versions = server.call("GET", "/_matrix/client/versions", Value::Null).await.ok();
    assert!(versions["versions"].as_array().unwrap().contains(&json!("v1.11")));
    let well_known = server.call("GET", "/.well-known/matrix/client", Value::Null).await.ok();
    assert_eq!(well_known, json!({ "m.homeserver": { "base_url": "http://a.example" } }));
    let flows = server.call("GET", "/login", Value::Null).await.ok();
    assert_eq!(flows, json!({ "flows": [{ "type": "m.login.password" }] }));
}

#[tokio::test]
async fn tokens_are_looked_at_before_anything_else() {
    let server = Server::start().await;
    let path = "/rooms/%FF/send/m.room.message/t";
    assert_eq!(server.raw("PUT", path, None, b"{".to_vec()).await.error(), "401 M_MISSING_TOKEN");
    assert_eq!(server.raw("PUT", path, Some("forged"), b"{".to_vec()).await.error(), "401 M_UNKNOWN_TOKEN");
    let alice = server.register("alice").await;
    let reply = server.raw("PUT", path, Some(&alice.token), b"{".to_vec()).await;
    assert_eq!(reply.error(), "400 M_INVALID_PARAM");
    let query = format!("/account/whoami?access_token={}", alice.token);
    assert_eq!(server.call("GET", &query, Value::Null).await.ok()["user_id"], "@alice:a.example");
}

#[tokio::test]
async fn bad_bodies_are_told_apart() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({})).await;
    let path = format!("/rooms/{}/send/m.room.message/t", segment(&room));
    let before = alice.sync("").await;
    let long = json!({ "msgtype": "m.text", "body": "x".repeat(65_536) }).to_string();
    let cases: [(&[u8], &str); 11] = [
        (b"", "400 M_NOT_JSON"),
        (b"{", "400 M_NOT_JSON"),
        (b"{} {}", "400 M_NOT_JSON"),
        (b"{\"body\":\"\xff\"}", "400 M_NOT_JSON"),
        (b"[]", "400 M_BAD_JSON"),
        (b"{\"n\":1.5}", "400 M_BAD_JSON"),
        (b"{\"n\":9007199254740992}", "400 M_BAD_JSON"),
        (b"{\"n\":1e400}", "400 M_BAD_JSON"),
        (b"{\"msgtype\":5,\"body\":\"x\"}", "400 M_BAD_JSON"),
        (long.as_bytes(), "413 M_TOO_LARGE"),
        (&vec![b' '; 3 << 20], "413 M_TOO_LARGE"),
    ];
    for (body, expected) in cases {
        let reply = server.raw("PUT", &path, Some(&alice.token), body.to_vec()).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(30)]).into_owned();
        assert_eq!(reply.error(), expected, "{shown}");
    }
    assert_eq!(alice.sync_since(&before).await["rooms"]["join"], json!({}), "nothing was stored");
}

#[tokio::test]
async fn path_segments_are_decoded_once() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({})).await;
    for key in ["", "a/b", "100%", "%41", "#x?y", "ключ", "a b+c"] {
        alice.set_state(&room, "org.example.t", key, json!({ "key": key })).await;
        let path = format!("/rooms/{}/state/org.example.t/{}", segment(&room), segment(key));
        assert_eq!(alice.get(&path).await.ok(), json!({ "key": key }));
    }
    let without_slash = format!("/rooms/{}/state/org.example.t", segment(&room));
    assert_eq!(alice.get(&without_slash).await.ok(), json!({ "key": "" }));
    assert_eq!(alice.get(&format!("{without_slash}/nonesuch")).await.error(), "404 M_NOT_FOUND");
    assert_eq!(alice.get(&format!("{without_slash}?format=xml")).await.error(), "400 M_INVALID_PARAM");
    let event = alice.get(&format!("{without_slash}?format=event")).await.ok();
    assert_eq!((event["type"].as_str(), event["room_id"].as_str()), (Some("org.example.t"), Some(&*room)));
}
