//! Uploads and downloads through the Matrix API.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::world::{Server, User};

async fn upload(user: &User<'_>, name: &str, bytes: &[u8]) -> String {
    let path = format!("/_matrix/media/v3/upload?filename={name}");
    let made = user.server.raw("POST", &path, Some(&user.token), bytes.to_vec()).await.ok();
    made["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap().to_owned()
}

#[tokio::test]
async fn a_file_goes_up_and_comes_down_with_a_token() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let file = upload(&alice, "notes.txt", b"hello there").await;
    let down = format!("/_matrix/client/v1/media/download/{file}");
    let reply = bob.get(&down).await;
    assert_eq!(reply.headers["content-type"], "text/plain");
    assert_eq!(reply.headers["content-disposition"], "inline; filename=\"notes.txt\"");
    assert_eq!(reply.ok(), "hello there");
    let named = bob.get(&format!("{down}/other.txt")).await;
    assert_eq!(named.headers["content-disposition"], "inline; filename=\"other.txt\"");
    assert_eq!(server.call("GET", &down, Value::Null).await.error(), "401 M_MISSING_TOKEN");
    assert_eq!(bob.get("/_matrix/client/v1/media/config").await.ok()["m.upload.size"], 1 << 20);
    for frozen in ["download", "thumbnail"] {
        let reply = bob.get(&format!("/_matrix/media/v3/{frozen}/{file}")).await;
        assert_eq!(reply.error(), "404 M_NOT_FOUND");
    }
    let thumbnail = format!("/_matrix/client/v1/media/thumbnail/{file}?width=32&height=32");
    assert_eq!(bob.get(&thumbnail).await.error(), "400 M_UNKNOWN");
    assert_eq!(bob.get(&format!("{thumbnail}&method=stretch")).await.error(), "400 M_INVALID_PARAM");
}

#[tokio::test]
async fn an_address_may_be_given_out_before_its_content() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let made = alice.call("POST", "/_matrix/media/v1/create", json!({})).await.ok();
    assert!(made["unused_expires_at"].is_u64());
    let file = made["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap().to_owned();
    let early = bob.get(&format!("/_matrix/client/v1/media/download/{file}?timeout_ms=0")).await;
    assert_eq!(early.error(), "504 M_NOT_YET_UPLOADED");
    let put = format!("/_matrix/media/v3/upload/{file}");
    assert_eq!(bob.call("PUT", &put, json!({})).await.error(), "403 M_FORBIDDEN");
    server.raw("PUT", &put, Some(&alice.token), b"now".to_vec()).await.ok();
    let again = server.raw("PUT", &put, Some(&alice.token), b"now".to_vec()).await;
    assert_eq!(again.error(), "409 M_CANNOT_OVERWRITE_MEDIA");
    assert_eq!(bob.get(&format!("/_matrix/client/v1/media/download/{file}")).await.ok(), "now");
    server.clock.advance(Duration::from_secs(1));
}

#[tokio::test]
async fn attack_39_no_path_leads_out_of_the_media() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let large = vec![0; (1 << 20) + 1];
    let refused = server.raw("POST", "/_matrix/media/v3/upload", Some(&alice.token), large).await;
    assert_eq!(refused.error(), "413 M_TOO_LARGE");
    for path in [
        "a.example/..%2F..%2Fsigning.key",
        "a.example/%2e%2e",
        "..%2F..%2Fetc/passwd",
        "a.example/nothing",
        "b.example/abc",
    ] {
        for call in ["download", "thumbnail"] {
            let query = "?width=9&height=9&timeout_ms=0";
            let reply = alice.get(&format!("/_matrix/client/v1/media/{call}/{path}{query}")).await;
            assert_eq!(reply.error(), "404 M_NOT_FOUND", "{path}");
        }
    }
    let page = upload(&alice, "evil.html", b"<script>alert(1)</script>").await;
    let reply = alice.get(&format!("/_matrix/client/v1/media/download/{page}")).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.headers["content-disposition"], "attachment; filename=\"evil.html\"");
    assert!(reply.headers["content-security-policy"].to_str().unwrap().starts_with("sandbox;"));
}
