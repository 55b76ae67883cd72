//! Passwords, deactivation, second factors, registration tokens, the shared secret, and limits.

use std::{sync::Arc, time::Duration};

use hmac::{Hmac, Mac as _};
use nexus_accounts::{
    Accounts, Mail, MailConfig, MailFailure, MailTransport, NewRegistrationToken, Registration,
};
use nexus_event_store::world::BoxFuture;
use serde_json::{Value, json};
use sha1::Sha1;
use totp_rs::{Algorithm, TOTP};

use crate::world::{PASSWORD, Server, User, segment};

fn password_auth(user: &User<'_>, password: &str, session: &Value) -> Value {
    let identifier = json!({ "type": "m.id.user", "user": user.id });
    json!({ "type": "m.login.password", "identifier": identifier, "password": password, "session": session })
}

fn login(name: &str, password: &str) -> Value {
    let identifier = json!({ "type": "m.id.user", "user": name });
    json!({ "type": "m.login.password", "identifier": identifier, "password": password })
}

#[tokio::test]
async fn a_new_password_logs_other_devices_out_unless_asked_not_to() {
    let server = Server::start().await;
    let (alice, phone) = (server.register("alice").await, server.login("alice").await);
    let change = |new: &str, auth: Value, keep: bool| json!({ "new_password": new, "auth": auth, "logout_devices": !keep });
    let path = "/account/password";
    let anonymous = server.call("POST", path, json!({ "new_password": "x" })).await;
    assert_eq!(anonymous.error(), "401 M_MISSING_TOKEN");
    let asked = alice.call("POST", path, json!({ "new_password": "another" })).await;
    assert_eq!(asked.body["flows"], json!([{ "stages": ["m.login.password"] }]));
    let session = &asked.body["session"];
    let wrong = alice.call("POST", path, change("another", password_auth(&alice, "no", session), true)).await;
    assert_eq!(wrong.error(), "401 M_FORBIDDEN");
    let right = change("another", password_auth(&alice, PASSWORD, session), true);
    alice.call("POST", path, right).await.ok();
    phone.get("/account/whoami").await.ok();
    let auth = password_auth(&alice, "another", &Value::Null);
    alice.call("POST", path, change("third", auth, false)).await.ok();
    assert_eq!(phone.get("/account/whoami").await.error(), "401 M_UNKNOWN_TOKEN");
    alice.get("/account/whoami").await.ok();
    server.call("POST", "/login", login("alice", "third")).await.ok();
}

#[tokio::test]
async fn attack_45_what_was_confirmed_for_one_body_is_not_done_with_another() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let asked = alice.call("POST", "/account/deactivate", json!({})).await;
    let session = &asked.body["session"];
    for (user, path) in [(&bob, "/account/deactivate"), (&alice, "/account/password")] {
        let body = json!({ "new_password": "x", "auth": password_auth(user, PASSWORD, session) });
        assert_eq!(user.call("POST", path, body).await.error(), "401 M_UNKNOWN", "{path}");
    }
    let skipped = json!({ "auth": { "type": "m.login.dummy", "session": session } });
    assert_eq!(alice.call("POST", "/account/deactivate", skipped).await.error(), "401 M_UNRECOGNIZED");
    let only = json!({ "auth": { "session": session } });
    assert_eq!(alice.call("POST", "/account/deactivate", only).await.error(), "401 -");
    alice.get("/account/whoami").await.ok();
}

#[tokio::test]
async fn attack_47_a_deactivated_user_is_out_for_good() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let body = json!({ "erase": true, "auth": password_auth(&alice, PASSWORD, &Value::Null) });
    let done = alice.call("POST", "/account/deactivate", body).await.ok();
    assert_eq!(done, json!({ "id_server_unbind_result": "no-support" }));
    assert_eq!(alice.get("/account/whoami").await.error(), "401 M_UNKNOWN_TOKEN");
    assert_eq!(server.call("POST", "/login", login("alice", PASSWORD)).await.error(), "403 M_FORBIDDEN");
    let again = json!({ "username": "alice", "password": PASSWORD, "auth": { "type": "m.login.dummy" } });
    assert_eq!(server.call("POST", "/register", again).await.error(), "400 M_USER_IN_USE");
}

#[tokio::test]
async fn what_an_erased_user_wrote_is_shown_to_those_who_were_there() {
    let server = Server::start().await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    let room = alice.create_room(json!({})).await;
    bob.join(&room).await;
    let event = bob.say(&room, "secret").await;
    let body = json!({ "erase": true, "auth": password_auth(&bob, PASSWORD, &Value::Null) });
    bob.call("POST", "/account/deactivate", body).await.ok();
    let eve = server.register("eve").await;
    eve.join(&room).await;
    let path = format!("/rooms/{}/event/{}", segment(&room), segment(&event));
    assert_eq!(alice.get(&path).await.ok()["content"]["body"], "secret");
    let hidden = eve.get(&path).await.ok();
    assert_eq!((&hidden["content"], &hidden["sender"]), (&json!({}), &json!(bob.id)));
    let history = eve.get(&format!("/rooms/{}/messages?dir=b", segment(&room))).await.ok();
    assert!(!history.to_string().contains("secret"), "{history:#}");
}

#[tokio::test]
async fn a_second_factor_is_written_behind_the_password() {
    let server = Server::start().await;
    let alice = server.register("alice").await;
    let totp = TOTP::new_unchecked(Algorithm::SHA1, 6, 0, 30, b"12345678901234567890".to_vec());
    let account = server.accounts.account_by_name("alice").await.unwrap().unwrap();
    let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    let code = totp.generate(server.now_s());
    server.accounts.enable_second_factor(account.user, PASSWORD, secret, &code).await.unwrap();
    server.clock.advance(Duration::from_secs(30));
    let code = totp.generate(server.now_s());
    for wrong in [PASSWORD.to_owned(), format!("{PASSWORD}000000"), format!("nonsense{code}")] {
        assert_eq!(server.call("POST", "/login", login("alice", &wrong)).await.error(), "403 M_FORBIDDEN");
    }
    let both = format!("{PASSWORD}{code}");
    server.call("POST", "/login", login("alice", &both)).await.ok();
    let replayed = server.call("POST", "/login", login("alice", &both)).await;
    assert_eq!(replayed.error(), "403 M_FORBIDDEN");
    // The session is there already: it confirms with the password alone.
    let body = json!({ "new_password": "another", "auth": password_auth(&alice, PASSWORD, &Value::Null) });
    alice.call("POST", "/account/password", body).await.ok();
}

#[tokio::test]
async fn a_registration_token_is_a_stage_and_can_be_looked_up() {
    let server = Server::start_with(|config| config.registration = Registration::Invite).await;
    server.register("first").await;
    let new = NewRegistrationToken { token: Some("Welcome".to_owned()), uses_max: Some(1), expires_ms: None };
    server.accounts.create_registration_token(new).await.unwrap();
    let validity = async |token: &str| {
        let path = format!("/_matrix/client/v1/register/m.login.registration_token/validity?token={token}");
        server.call("GET", &path, Value::Null).await.ok()["valid"].clone()
    };
    assert_eq!((validity("Welcome").await, validity("nonesuch").await), (json!(true), json!(false)));
    let auth = json!({ "type": "m.login.registration_token", "token": "Welcome" });
    let body = json!({ "username": "bob", "password": PASSWORD, "auth": auth });
    server.call("POST", "/register", body.clone()).await.ok();
    assert_eq!(validity("Welcome").await, json!(false), "used up");
    let mut again = body;
    again["username"] = "eve".into();
    assert_eq!(server.call("POST", "/register", again).await.error(), "401 M_UNAUTHORIZED");
}

fn mac(secret: &str, parts: &[&str]) -> String {
    let mut hmac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).unwrap();
    hmac.update(parts.join("\0").as_bytes());
    hmac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn the_shared_secret_registers_as_in_synapse() {
    let server = Server::start_with(|config| config.registration = Registration::Closed).await;
    let path = "/_synapse/admin/v1/register";
    let nonce = async || {
        let reply = server.call("GET", path, Value::Null).await.ok();
        reply["nonce"].as_str().unwrap().to_owned()
    };
    let given = nonce().await;
    let body = |nonce: &str, admin: bool, mac: String| json!({ "nonce": nonce, "username": "ada", "password": PASSWORD, "admin": admin, "mac": mac });
    let forged = body(&given, true, mac("guess", &[&given, "ada", PASSWORD, "admin"]));
    assert_eq!(server.call("POST", path, forged).await.error(), "403 M_FORBIDDEN");
    let spent = body(&given, true, mac("sesame", &[&given, "ada", PASSWORD, "admin"]));
    assert_eq!(server.call("POST", path, spent).await.error(), "400 M_UNKNOWN", "a nonce is good once");
    let given = nonce().await;
    let raised = body(&given, true, mac("sesame", &[&given, "ada", PASSWORD, "notadmin"]));
    assert_eq!(server.call("POST", path, raised).await.error(), "403 M_FORBIDDEN");
    let given = nonce().await;
    let right = body(&given, true, mac("sesame", &[&given, "ada", PASSWORD, "admin"]));
    let made = server.call("POST", path, right).await.ok();
    assert_eq!(made["user_id"], "@ada:a.example");
    assert!(made["access_token"].is_string() && made["home_server"] == "a.example");
    let late = nonce().await;
    server.clock.advance(Duration::from_secs(61));
    let late = body(&late, false, mac("sesame", &[&late, "ada", PASSWORD, "notadmin"]));
    assert_eq!(server.call("POST", path, late).await.error(), "400 M_UNKNOWN");
}

#[tokio::test]
async fn whoever_is_too_quick_is_told_when_to_come_back() {
    let server = Server::start_limited().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({})).await;
    let send = async |txn: usize| {
        let path = format!("/rooms/{}/send/m.room.message/{txn}", segment(&room));
        alice.call("PUT", &path, json!({ "msgtype": "m.text", "body": "hi" })).await
    };
    let mut sent = 0;
    let refused = loop {
        let reply = send(sent).await;
        if reply.status != 200 {
            break reply;
        }
        sent += 1;
    };
    assert_eq!(refused.error(), "429 M_LIMIT_EXCEEDED");
    assert!(refused.body["retry_after_ms"].as_u64().is_some_and(|wait| (1..=200).contains(&wait)));
    assert_eq!(refused.headers["retry-after"], "1");
    assert!((20..30).contains(&sent), "{sent}");
    server.clock.advance(Duration::from_millis(200));
    send(sent).await.ok();
    // Nine more accounts from this address, then it has to wait.
    let mut made = 1;
    while server.try_register(&format!("user{made}")).await.status == 200 {
        made += 1;
    }
    assert_eq!(made, 10);
}

/// Hands the mails to the test.
struct Post(tokio::sync::mpsc::UnboundedSender<Mail>);

impl MailTransport for Post {
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), MailFailure>> {
        self.0.send(mail).unwrap();
        Box::pin(std::future::ready(Ok(())))
    }
}

async fn confirm(accounts: &Accounts, mail: Mail) {
    let (_, rest) = mail.text.split_once("token=").unwrap();
    accounts.confirm_mail(rest.split_whitespace().next().unwrap()).await.unwrap();
}

#[tokio::test]
async fn addresses_are_proven_by_mail() {
    let (sender, mut mails) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start_with(|config| {
        let transport = Arc::new(Post(sender));
        config.mail = Some(MailConfig { transport, public_url: "http://a.example".to_owned() });
    })
    .await;
    server.accounts.start_mail();
    let ask =
        |secret: &str| json!({ "client_secret": secret, "email": "ada@example.org", "send_attempt": 1 });
    let bad = server.call("POST", "/register/email/requestToken", ask("not allowed")).await;
    assert_eq!(bad.error(), "400 M_INVALID_PARAM");
    let sid = server.call("POST", "/register/email/requestToken", ask("abc")).await.ok()["sid"].clone();
    let creds = json!({ "sid": sid, "client_secret": "abc" });
    let auth = json!({ "type": "m.login.email.identity", "threepid_creds": creds });
    let mut body = json!({ "username": "ada", "password": PASSWORD, "auth": auth });
    let early = server.call("POST", "/register", body.clone()).await;
    assert_eq!(early.error(), "401 M_UNAUTHORIZED");
    assert_eq!(
        early.body["flows"],
        json!([{ "stages": ["m.login.dummy"] }, { "stages": ["m.login.email.identity"] }])
    );
    confirm(&server.accounts, mails.recv().await.unwrap()).await;
    body["auth"]["session"] = early.body["session"].clone();
    let ada = User::of(&server, server.call("POST", "/register", body.clone()).await.ok());
    let known = ada.get("/account/3pid").await.ok();
    assert_eq!(known["threepids"][0]["address"], "ada@example.org");
    // Attack 48: the same proof makes no second account.
    body["username"] = "eve".into();
    body["auth"]["session"] = Value::Null;
    assert_eq!(server.call("POST", "/register", body).await.error(), "401 M_UNAUTHORIZED");

    let sid =
        server.call("POST", "/account/password/email/requestToken", ask("xyz")).await.ok()["sid"].clone();
    confirm(&server.accounts, mails.recv().await.unwrap()).await;
    let creds = json!({ "sid": sid, "client_secret": "xyz" });
    let auth = json!({ "type": "m.login.email.identity", "threepid_creds": creds });
    let reset = json!({ "new_password": "another", "auth": auth });
    server.call("POST", "/account/password", reset.clone()).await.ok();
    assert_eq!(server.call("POST", "/account/password", reset).await.error(), "401 M_UNAUTHORIZED");
    assert_eq!(ada.get("/account/whoami").await.error(), "401 M_UNKNOWN_TOKEN");
    let again = server.call("POST", "/login", login("ada", "another")).await.ok();
    let ada = User::of(&server, again);
    let gone = json!({ "medium": "email", "address": "ada@example.org" });
    ada.call("POST", "/account/3pid/delete", gone.clone()).await.ok();
    assert_eq!(ada.call("POST", "/account/3pid/delete", gone).await.error(), "404 M_NOT_FOUND");
    assert_eq!(ada.get("/account/3pid").await.ok(), json!({ "threepids": [] }));
}

#[tokio::test]
async fn a_waiting_sync_ends_with_its_session() {
    let server = Server::start().await;
    let (alice, phone) = (server.register("alice").await, server.login("alice").await);
    let next = phone.get("/sync").await.ok()["next_batch"].as_str().unwrap().to_owned();
    let path = format!("/sync?since={next}&timeout=60000");
    let (waited, ()) = tokio::join!(phone.get(&path), async {
        tokio::task::yield_now().await;
        let path = format!("/devices/{}", phone.device);
        let body = json!({ "auth": password_auth(&alice, PASSWORD, &Value::Null) });
        alice.call("DELETE", &path, body).await.ok();
    });
    assert_eq!(waited.error(), "401 M_UNKNOWN_TOKEN");
}
