//! Two-factor authentication, counted passwords, rehashing, and sessions that something waits on.

use std::time::Duration;

use nexus_accounts::{AccountError, PasswordChange, PasswordCost, Ticket};
use nexus_rate_limits::RateLimits;
use totp_rs::{Algorithm, TOTP};

use crate::world::{Fixture, PASSWORD, login_request};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn code(server: &Fixture) -> String {
    let totp = TOTP::new_unchecked(Algorithm::SHA1, 6, 0, 30, b"12345678901234567890".to_vec());
    totp.generate(server.now_ms() / 1000)
}

/// A server on which `ada` has a second factor, and her recovery codes.
async fn with_factor() -> (Fixture, nexus_event_store::UserNo, Vec<String>) {
    let server = Fixture::new().await;
    let user = server.join("ada").await.user;
    let codes = server.accounts.enable_second_factor(user, PASSWORD, SECRET, &code(&server)).await.unwrap();
    (server, user, codes)
}

async fn ticket(server: &Fixture) -> String {
    match server.accounts.login(login_request("ada", PASSWORD, "D", false)).await {
        Err(AccountError::SecondFactorRequired { ticket: Ticket(ticket) }) => ticket,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_login_takes_both_factors() {
    let (server, _, _) = with_factor().await;
    let wrong = server.accounts.login(login_request("ada", "wrong", "D", false)).await.unwrap_err();
    assert!(matches!(wrong, AccountError::WrongPassword), "the second factor is not told to strangers");
    let shown = ticket(&server).await;
    let wrong = server.accounts.login_with_ticket(&shown, "000000").await.unwrap_err();
    assert!(matches!(wrong, AccountError::WrongCode));
    // The code that turned it on was used by that.
    let replayed = server.accounts.login_with_ticket(&shown, &code(&server)).await.unwrap_err();
    assert!(matches!(replayed, AccountError::WrongCode));
    server.advance(Duration::from_secs(30));
    let session = server.accounts.login_with_ticket(&shown, &code(&server)).await.unwrap();
    assert!(server.is_good(&session.access_token).await);
    let spent = server.accounts.login_with_ticket(&shown, &code(&server)).await.unwrap_err();
    assert!(matches!(spent, AccountError::UnknownTicket));
    let replayed =
        server.accounts.login_with_ticket(&ticket(&server).await, &code(&server)).await.unwrap_err();
    assert!(matches!(replayed, AccountError::WrongCode), "a code is good once");
}

#[tokio::test]
async fn a_code_is_good_once_also_at_the_same_moment() {
    let (server, _, _) = with_factor().await;
    server.advance(Duration::from_secs(30));
    let (one, two, now) = (ticket(&server).await, ticket(&server).await, code(&server));
    let (one, two) = tokio::join!(
        server.accounts.login_with_ticket(&one, &now),
        server.accounts.login_with_ticket(&two, &now)
    );
    assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1);
}

#[tokio::test]
async fn a_ticket_ends_after_five_minutes_and_after_five_attempts() {
    let (server, _, _) = with_factor().await;
    let late = ticket(&server).await;
    server.advance(Duration::from_secs(300));
    let refused = server.accounts.login_with_ticket(&late, &code(&server)).await.unwrap_err();
    assert!(matches!(refused, AccountError::UnknownTicket));
    let tried = ticket(&server).await;
    for _ in 0..5 {
        server.accounts.login_with_ticket(&tried, "000000").await.unwrap_err();
    }
    let refused = server.accounts.login_with_ticket(&tried, &code(&server)).await.unwrap_err();
    assert!(matches!(refused, AccountError::UnknownTicket));
}

#[tokio::test]
async fn a_ticket_does_not_survive_a_new_password() {
    let (server, user, _) = with_factor().await;
    let shown = ticket(&server).await;
    let change = PasswordChange { password: "another".to_owned(), keep_device: None, logout_others: true };
    server.accounts.change_password(user, change).await.unwrap();
    server.advance(Duration::from_secs(30));
    let refused = server.accounts.login_with_ticket(&shown, &code(&server)).await.unwrap_err();
    assert!(matches!(refused, AccountError::WrongPassword));
}

#[tokio::test]
async fn a_client_that_knows_only_passwords_is_no_way_around_it() {
    let (server, _, codes) = with_factor().await;
    server.advance(Duration::from_secs(30));
    let request = |password: String| login_request("ada", &password, "D", false);
    for wrong in [PASSWORD.to_owned(), format!("{PASSWORD}000000"), format!("wrong{}", code(&server))] {
        let refused = server.accounts.login_in_one_step(request(wrong)).await.unwrap_err();
        assert!(matches!(refused, AccountError::WrongPassword));
    }
    let right = format!("{PASSWORD}{}", code(&server));
    server.accounts.login_in_one_step(request(right.clone())).await.unwrap();
    let replayed = server.accounts.login_in_one_step(request(right)).await.unwrap_err();
    assert!(matches!(replayed, AccountError::WrongPassword));
    server.accounts.login_in_one_step(request(format!("{PASSWORD}{}", codes[0]))).await.unwrap();
}

#[tokio::test]
async fn recovery_codes_are_good_once_each_and_can_be_renewed() {
    let (server, user, codes) = with_factor().await;
    assert_eq!(codes.len(), 10);
    server.accounts.login_with_ticket(&ticket(&server).await, &codes[3].to_uppercase()).await.unwrap();
    let spent = server.accounts.login_with_ticket(&ticket(&server).await, &codes[3]).await.unwrap_err();
    assert!(matches!(spent, AccountError::WrongCode));
    assert_eq!(server.accounts.recovery_codes_left(user).await.unwrap(), Some(9));
    let renewed = server.accounts.renew_recovery_codes(user, PASSWORD).await.unwrap();
    let old = server.accounts.login_with_ticket(&ticket(&server).await, &codes[0]).await.unwrap_err();
    assert!(matches!(old, AccountError::WrongCode));
    server.accounts.disable_second_factor(user, &renewed[0]).await.unwrap();
    server.login("ada", "D", false).await;
}

#[tokio::test]
async fn turning_it_on_takes_the_password_and_a_code() {
    let server = Fixture::new().await;
    let user = server.join("ada").await.user;
    let enable = |password: &'static str, secret: &'static str, code: String| {
        let accounts = server.accounts.clone();
        async move { accounts.enable_second_factor(user, password, secret, &code).await.unwrap_err() }
    };
    assert!(matches!(enable("wrong", SECRET, code(&server)).await, AccountError::WrongPassword));
    assert!(matches!(enable(PASSWORD, SECRET, "000000".into()).await, AccountError::WrongCode));
    assert!(matches!(enable(PASSWORD, "short", code(&server)).await, AccountError::InvalidSecret));
    server.accounts.enable_second_factor(user, PASSWORD, SECRET, &code(&server)).await.unwrap();
    let twice = enable(PASSWORD, SECRET, code(&server)).await;
    assert!(matches!(twice, AccountError::SecondFactorIs { enabled: true }));
    let off = server.join("bob").await.user;
    let refused = server.accounts.disable_second_factor(off, "000000").await.unwrap_err();
    assert!(matches!(refused, AccountError::SecondFactorIs { enabled: false }));
}

#[tokio::test]
async fn wrong_passwords_and_codes_are_counted_by_account_and_right_ones_are_not() {
    let server = Fixture::with_world(|config, world| config.limits = RateLimits::new(world)).await;
    let accounts = &server.accounts;
    server.join("ada").await;
    for _ in 0..50 {
        server.login("ada", "D", false).await;
    }
    // An unknown name is refused after as many, so that names cannot be found out by it.
    for name in ["ada", "nobody"] {
        let mut wrong = 0;
        let limited = loop {
            match accounts.login(login_request(name, "wrong", "D", false)).await.unwrap_err() {
                AccountError::WrongPassword => wrong += 1,
                other => break other,
            }
        };
        assert!(matches!(limited, AccountError::Limited { .. }), "{limited}");
        assert_eq!(wrong, 10);
    }
    let locked = accounts.login(login_request("ada", PASSWORD, "D", false)).await.unwrap_err();
    assert!(matches!(locked, AccountError::Limited { .. }));
    server.advance(Duration::from_secs(30));
    server.login("ada", "D", false).await;
}

#[tokio::test]
async fn a_login_renews_a_hash_of_other_parameters() {
    let server = Fixture::new().await;
    let user = server.join("ada").await.user;
    let cheap = server.password_cost_on_disk();
    assert!(cheap.starts_with("m=8,"), "{cheap}");
    let server = server.restarted_with(|config| config.password_cost = PasswordCost::Owasp).await;
    assert!(server.accounts.check_password(user, PASSWORD).await.is_ok());
    server.login("ada", "D", false).await;
    assert_eq!(server.password_cost_on_disk(), "m=19456,t=2,p=1");
    server.login("ada", "D", false).await;
}

#[tokio::test]
async fn a_session_that_something_waits_on_is_seen_to_end() {
    let server = Fixture::new().await;
    let user = server.join("ada").await.user;
    let accounts = &server.accounts;
    let (kept, lasting) = (server.login("ada", "KEPT", true).await, server.login("ada", "GONE", false).await);
    let mut kept_mark = accounts.session_of(&kept.access_token).await.unwrap().unwrap();
    let mut mark = accounts.session_of(&lasting.access_token).await.unwrap().unwrap();
    // Refreshing is not ending, even when the old access token is worthless.
    let refreshed = accounts.refresh(kept.refresh_token.as_deref().unwrap()).await.unwrap();
    assert!(server.is_good(&refreshed.access_token).await);
    assert!(accounts.session_of(&kept.access_token).await.unwrap().is_none());
    assert!(accounts.is_live(&mut kept_mark).await.unwrap());
    assert!(accounts.is_live(&mut mark).await.unwrap());

    let mut subscriber = server.store.feed().subscribe();
    subscriber.follow(nexus_event_store::feed::Topic::User(user));
    accounts.delete_device(user, "GONE").await.unwrap();
    subscriber.changed().await;
    assert!(!accounts.is_live(&mut mark).await.unwrap());
    assert!(accounts.is_live(&mut kept_mark).await.unwrap());
    // Another login on the same device is another session.
    server.login("ada", "KEPT", true).await;
    assert!(!accounts.is_live(&mut kept_mark).await.unwrap());
}

#[tokio::test]
async fn attack_47_tokens_have_256_random_bits_and_no_password_is_on_disk() {
    let server = Fixture::new().await;
    server.join("ada").await;
    let mut tokens = std::collections::BTreeSet::new();
    for _ in 0..64 {
        let token = server.login("ada", "D", false).await.access_token;
        let random = token.strip_prefix("nxa_").unwrap();
        assert_eq!(random.len(), 43, "32 bytes in base64");
        assert!(tokens.insert(token));
    }
    // No two share so much as the first six characters: nothing in them counts or tells the time.
    let starts: std::collections::BTreeSet<&str> = tokens.iter().map(|token| &token[4..10]).collect();
    assert_eq!(starts.len(), tokens.len());
    let disk = server.disk_bytes();
    assert!(!disk.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes()));
}

#[tokio::test]
async fn attack_47_a_deactivated_user_gets_in_by_no_path() {
    let (server, user, codes) = with_factor().await;
    server.advance(Duration::from_secs(30));
    let session = server.accounts.login_with_ticket(&ticket(&server).await, &codes[0]).await.unwrap();
    let shown = ticket(&server).await;
    server.accounts.deactivate(user, false).await.unwrap();
    assert!(!server.is_good(&session.access_token).await);
    for refused in [
        server.accounts.login(login_request("ada", PASSWORD, "D", false)).await,
        server.accounts.login_in_one_step(login_request("ada", PASSWORD, "D", false)).await,
        server.accounts.login_with_ticket(&shown, &codes[1]).await,
    ] {
        assert!(matches!(refused.unwrap_err(), AccountError::Deactivated));
    }
}
