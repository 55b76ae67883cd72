//! Sessions, passwords, second factors, deletion and limits, as Discord's clients ask for them.

use serde_json::{Value, json};
use totp_rs::{Algorithm, TOTP};

use crate::test_server::{PASSWORD, Reply, Server, User, text};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn code(server: &Server) -> String {
    TOTP::new_unchecked(Algorithm::SHA1, 6, 0, 30, b"12345678901234567890".to_vec()).generate(server.now_s())
}

async fn post(server: &Server, path: &str, body: Value) -> Reply {
    server.raw("POST", path, "", body.to_string().into_bytes()).await
}

async fn login<'a>(server: &'a Server, id: &str, name: &str, password: &str) -> User<'a> {
    let made = post(server, "/auth/login", json!({ "login": name, "password": password })).await.ok();
    User { server, id: id.to_owned(), token: format!("Bearer {}", text(&made["access_token"])) }
}

#[tokio::test]
async fn sessions_are_listed_and_revoked_one_by_one_or_all() {
    let server = Server::start().await;
    let ada = server.register("ada").await;
    let phone = login(&server, &ada.id, "ada", PASSWORD).await;
    let listed = ada.get("/auth/sessions").await;
    let sessions = listed["user_sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    let other = sessions.iter().find(|session| session["is_current"] == false).unwrap();
    assert!(text(&other["approx_last_used_time"]).starts_with("2026-11-22T"));
    let hashes = json!({ "session_id_hashes": [other["id_hash"], "nonesuch"] });
    assert_eq!(ada.call("POST", "/auth/sessions/logout", hashes).await.status, 204);
    assert_eq!(phone.call("GET", "/users/@me", Value::Null).await.status, 401);
    ada.get("/users/@me").await;
    let phone = login(&server, &ada.id, "ada", PASSWORD).await;
    assert_eq!(phone.call("POST", "/auth/logout/all", Value::Null).await.status, 204);
    assert_eq!(ada.call("GET", "/users/@me", Value::Null).await.status, 401);
}

#[tokio::test]
async fn a_new_password_takes_the_old_one_and_ends_other_sessions() {
    let server = Server::start().await;
    let ada = server.register("ada").await;
    let phone = login(&server, &ada.id, "ada", PASSWORD).await;
    let change = async |old: &str| {
        ada.call("PATCH", "/users/@me", json!({ "password": old, "new_password": "another" })).await
    };
    let refused = change("wrong").await;
    assert_eq!(refused.status, 400);
    let fault = &refused.body["errors"]["password"]["_errors"][0]["code"];
    assert_eq!(fault, "PASSWORD_DOES_NOT_MATCH");
    change(PASSWORD).await.ok();
    assert_eq!(phone.call("GET", "/users/@me", Value::Null).await.status, 401);
    ada.get("/users/@me").await;
    login(&server, &ada.id, "ada", "another").await;
    assert_eq!(post(&server, "/auth/forgot", json!({ "login": "ada" })).await.status, 400, "no mail here");
}

#[tokio::test]
async fn a_second_factor_is_asked_for_in_a_second_step() {
    let server = Server::start().await;
    let ada = server.register("ada").await;
    let enable = |code: &str| json!({ "password": PASSWORD, "secret": SECRET, "code": code });
    let path = "/users/@me/mfa/totp/enable";
    assert_eq!(ada.call("POST", path, enable("000000")).await.body["code"], 60008);
    let made = ada.call("POST", path, enable(&code(&server))).await.ok();
    assert_eq!(made["backup_codes"].as_array().unwrap().len(), 10);
    assert_eq!(ada.get("/users/@me").await["mfa_enabled"], true);
    assert_eq!(ada.call("POST", path, enable(&code(&server))).await.body["code"], 60001);

    let asked = post(&server, "/auth/login", json!({ "login": "ada", "password": PASSWORD })).await.ok();
    assert_eq!((&asked["mfa"], &asked["access_token"]), (&json!(true), &Value::Null));
    let finish = async |code: &str| {
        post(&server, "/auth/mfa/totp", json!({ "ticket": asked["ticket"], "code": code })).await
    };
    assert_eq!(finish(&code(&server)).await.body["code"], 60008, "it was used to turn it on");
    server.advance_ms(30_000);
    let session = finish(&code(&server)).await.ok();
    assert!(session["access_token"].is_string() && session["refresh_token"].is_string());
    assert_eq!(finish(&code(&server)).await.body["code"], 60006);

    let codes = json!({ "password": PASSWORD, "regenerate": false });
    let left = ada.call("POST", "/users/@me/mfa/codes", codes).await.ok();
    assert_eq!((&left["backup_codes_left"], &left["backup_codes"]), (&json!(10), &json!([])));
    let off = json!({ "code": made["backup_codes"][0]["code"] });
    let gone = ada.call("POST", "/users/@me/mfa/totp/disable", off).await;
    gone.ok();
    login(&server, &ada.id, "ada", PASSWORD).await;
}

#[tokio::test]
async fn an_account_is_deleted_by_whoever_owns_no_guild() {
    let server = Server::start().await;
    let ada = server.register("ada").await;
    let (guild, _) = ada.make_guild().await;
    let delete =
        async |password: &str| ada.call("POST", "/users/@me/delete", json!({ "password": password })).await;
    assert_eq!(delete("wrong").await.status, 400);
    assert_eq!(delete(PASSWORD).await.body["code"], 40011);
    assert_eq!(ada.call("DELETE", &format!("/guilds/{guild}"), Value::Null).await.status, 204);
    assert_eq!(delete(PASSWORD).await.status, 204);
    assert_eq!(ada.call("GET", "/users/@me", Value::Null).await.status, 401);
    let body = json!({ "login": "ada", "password": PASSWORD });
    assert_eq!(post(&server, "/auth/login", body).await.status, 400);
}

#[tokio::test]
async fn a_bucket_is_told_on_every_call_and_refuses_when_empty() {
    let open = Server::start().await;
    let (_, channel) = open.register("ada").await.make_guild().await;
    let server = open.limited();
    let ada = login(&server, "", "ada", PASSWORD).await;
    let send =
        async || ada.call("POST", &format!("/channels/{channel}/messages"), json!({ "content": "hi" })).await;
    let first = send().await;
    assert_eq!(first.headers["x-ratelimit-limit"], "20");
    assert_eq!(first.headers["x-ratelimit-remaining"], "19");
    assert_eq!(first.headers["x-ratelimit-bucket"], "nexus-send");
    assert_eq!(first.headers["x-ratelimit-reset-after"], "0.200");
    let mut sent = 1;
    let refused = loop {
        let reply = send().await;
        if reply.status != 200 {
            break reply;
        }
        sent += 1;
    };
    assert!((20..25).contains(&sent), "{sent}");
    assert_eq!(refused.status, 429);
    assert_eq!(
        (&refused.body["global"], &refused.body["message"]),
        (&json!(false), &json!("You are being rate limited."))
    );
    let wait_s = refused.body["retry_after"].as_f64().unwrap();
    assert!(wait_s > 0.0 && wait_s <= 0.2, "{wait_s}");
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(refused.headers["via"], "1.1 nexus");
    assert_eq!(refused.headers["x-ratelimit-remaining"], "0");
    server.advance_ms(200);
    send().await.ok();
    // Reading is not sending.
    ada.get(&format!("/channels/{channel}/messages")).await;
}
