//! Logins, refreshes and logouts, one rule each.

use std::{sync::atomic::Ordering, time::Duration};

use nexus_accounts::{AccountError, PasswordChange, SessionRequest};

use crate::{
    scheduling::others_first,
    world::{Fixture, PASSWORD, login_request},
};

#[tokio::test]
async fn a_lasting_session_is_good_until_it_is_revoked() {
    let server = Fixture::new().await;
    let alice = server.join("alice").await;
    let session = server.login("@Alice:Example.org", "PHONE", false).await;
    assert!(session.access_token.starts_with("nxa_"));
    assert_eq!((session.refresh_token, session.expires_in), (None, None));
    server.advance(Duration::from_secs(10 * 365 * 86400));
    let login = server.accounts.authenticate(&session.access_token).await.unwrap().unwrap();
    assert_eq!((login.user, login.device.as_str(), login.is_bot), (alice.user, "PHONE", false));
    server.accounts.logout(&login).await.unwrap();
    assert!(!server.is_good(&session.access_token).await);
    assert_eq!(server.accounts.device(alice.user, "PHONE").await.unwrap(), None);
    server.accounts.logout(&login).await.unwrap();
}

#[tokio::test]
async fn an_unknown_user_and_a_wrong_password_are_one_error() {
    let server = Fixture::new().await;
    server.join("alice").await;
    for (name, password) in [("alice", "wrong"), ("bob", PASSWORD), ("no such name", PASSWORD), ("alice", "")]
    {
        let error = server.accounts.login(login_request(name, password, "D", false)).await.unwrap_err();
        assert!(matches!(error, AccountError::WrongPassword), "{name}: {error}");
    }
}

#[tokio::test]
async fn forged_tokens_are_unknown() {
    let server = Fixture::new().await;
    server.join("alice").await;
    let session = server.login("alice", "D", true).await;
    let refresh = session.refresh_token.unwrap();
    let changed = format!("{}x", &session.access_token[..session.access_token.len() - 1]);
    for forged in ["", "nxa_", "\0", &changed, &refresh, &"x".repeat(100_000)] {
        assert!(server.accounts.authenticate(forged).await.unwrap().is_none(), "{forged}");
    }
    for forged in ["", "nxr_", "nxr_AAAA", &session.access_token, &"x".repeat(100_000)] {
        let error = server.accounts.refresh(forged).await.unwrap_err();
        assert!(matches!(error, AccountError::UnknownToken), "{forged}");
    }
    assert!(server.is_good(&session.access_token).await);
}

#[tokio::test]
async fn an_access_token_expires_and_is_refreshed() {
    let server = Fixture::new().await;
    server.join("alice").await;
    let first = server.login("alice", "D", true).await;
    assert_eq!(first.expires_in, Some(Duration::from_secs(3600)));
    assert!(server.is_good(&first.access_token).await);
    server.advance(Duration::from_secs(3600));
    for _ in 0..2 {
        let error = server.accounts.authenticate(&first.access_token).await.unwrap_err();
        assert!(matches!(error, AccountError::ExpiredToken));
    }
    let second = server.accounts.refresh(&first.refresh_token.unwrap()).await.unwrap();
    let login = server.accounts.authenticate(&second.access_token).await.unwrap().unwrap();
    assert_eq!(login.device, "D");
    assert_eq!(login.expires_ms, Some(server.now_ms() + 3_600_000));
}

#[tokio::test]
async fn a_lost_refresh_can_be_repeated_until_its_successor_is_used() {
    let server = Fixture::new().await;
    server.join("alice").await;
    let first = server.login("alice", "D", true).await;
    let old = first.refresh_token.unwrap();
    let lost = server.accounts.refresh(&old).await.unwrap();
    let second = server.accounts.refresh(&old).await.unwrap();
    assert!(!server.is_good(&lost.access_token).await, "the lost answer is void");
    assert!(server.is_good(&first.access_token).await, "the old token is good until then");
    assert!(server.is_good(&second.access_token).await);
    assert!(!server.is_good(&first.access_token).await, "its successor was used");
    assert!(server.is_good(&second.access_token).await);
    let third = server.accounts.refresh(second.refresh_token.as_deref().unwrap()).await.unwrap();
    assert!(server.is_good(&third.access_token).await);
}

#[tokio::test]
async fn using_the_successors_refresh_token_counts_as_use() {
    let server = Fixture::new().await;
    server.join("alice").await;
    let first = server.login("alice", "D", true).await.refresh_token.unwrap();
    let second = server.accounts.refresh(&first).await.unwrap().refresh_token.unwrap();
    let third = server.accounts.refresh(&second).await.unwrap();
    let error = server.accounts.refresh(&first).await.unwrap_err();
    assert!(matches!(error, AccountError::TokenReused));
    assert!(!server.is_good(&third.access_token).await);
}

#[tokio::test]
async fn a_refresh_token_that_comes_back_ends_the_session() {
    let server = Fixture::new().await;
    let alice = server.join("alice").await;
    let other = server.login("alice", "OTHER", true).await;
    let first = server.login("alice", "D", true).await;
    let stolen = first.refresh_token.unwrap();
    let second = server.accounts.refresh(&stolen).await.unwrap();
    assert!(server.is_good(&second.access_token).await);
    let error = server.accounts.refresh(&stolen).await.unwrap_err();
    assert!(matches!(error, AccountError::TokenReused));
    assert!(!server.is_good(&first.access_token).await);
    assert!(!server.is_good(&second.access_token).await);
    for token in [&stolen, second.refresh_token.as_ref().unwrap()] {
        let error = server.accounts.refresh(token).await.unwrap_err();
        assert!(matches!(error, AccountError::UnknownToken), "the session is gone");
    }
    assert!(server.is_good(&other.access_token).await, "other sessions go on");
    assert!(server.accounts.device(alice.user, "D").await.unwrap().is_some(), "the device stays");
}

#[tokio::test]
async fn refreshes_at_the_same_moment_leave_one_good_answer() {
    let server = Fixture::new().await;
    server.join("alice").await;
    let refresh = server.login("alice", "D", true).await.refresh_token.unwrap();
    let (one, other) = tokio::join!(server.accounts.refresh(&refresh), server.accounts.refresh(&refresh));
    assert_eq!(server.store.statistics().conflicts.load(Ordering::Relaxed), 1);
    let (one, other) = (one.unwrap().access_token, other.unwrap().access_token);
    assert_ne!(server.is_good(&one).await, server.is_good(&other).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_use_of_a_successor_may_be_many_at_once() {
    let server = Fixture::new().await;
    server.join("alice").await;
    let first = server.login("alice", "D", true).await;
    let second = server.accounts.refresh(&first.refresh_token.unwrap()).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (accounts, token) = (server.accounts.clone(), second.access_token.clone());
        tasks.spawn(async move { accounts.authenticate(&token).await.unwrap().is_some() });
    }
    assert_eq!(tasks.join_all().await, [true; 16]);
    assert!(!server.is_good(&first.access_token).await);
}

#[tokio::test]
async fn a_device_that_logs_in_again_loses_its_older_tokens_and_keeps_its_name() {
    let server = Fixture::new().await;
    let alice = server.join("alice").await;
    let mut request = login_request("alice", PASSWORD, "D", true);
    request.session.device_name = Some("Phone".to_owned());
    let first = server.accounts.login(request).await.unwrap();
    let created_ms = server.now_ms();
    server.advance(Duration::from_secs(5));
    let second = server.login("alice", "D", false).await;
    assert!(!server.is_good(&first.access_token).await);
    let error = server.accounts.refresh(&first.refresh_token.unwrap()).await.unwrap_err();
    assert!(matches!(error, AccountError::UnknownToken));
    assert!(server.is_good(&second.access_token).await);
    let device = server.accounts.device(alice.user, "D").await.unwrap().unwrap();
    assert_eq!((device.display_name.as_deref(), device.created_ms), (Some("Phone"), created_ms));
}

#[tokio::test]
async fn devices_are_listed_renamed_and_deleted() {
    let server = Fixture::new().await;
    let alice = server.join("alice").await.user;
    let bob = server.join("bob").await.user;
    let mut request = login_request("alice", PASSWORD, "unused", false);
    request.session = SessionRequest::default();
    let made_up = server.accounts.login(request).await.unwrap().login.device;
    assert!(made_up.len() == 10 && made_up.bytes().all(|byte| byte.is_ascii_uppercase()), "{made_up}");
    let session = server.login("alice", "D", false).await;
    server.login("bob", "D", false).await;
    server.accounts.rename_device(alice, "D", Some("Laptop".to_owned())).await.unwrap();
    let error = server.accounts.rename_device(alice, "X", None).await.unwrap_err();
    assert!(matches!(error, AccountError::UnknownDevice));
    let names = |devices: Vec<nexus_accounts::Device>| {
        devices.into_iter().map(|device| (device.id, device.display_name)).collect::<Vec<_>>()
    };
    let mut expected = vec![(made_up.clone(), None), ("D".to_owned(), Some("Laptop".to_owned()))];
    expected.sort();
    assert_eq!(names(server.accounts.devices(alice).await.unwrap()), expected);
    server.accounts.delete_device(alice, "D").await.unwrap();
    assert!(matches!(server.accounts.delete_device(alice, "D").await, Err(AccountError::UnknownDevice)));
    assert!(!server.is_good(&session.access_token).await);
    assert_eq!(names(server.accounts.devices(alice).await.unwrap()), [(made_up, None)]);
    assert_eq!(names(server.accounts.devices(bob).await.unwrap()), [("D".to_owned(), None)]);
}

#[tokio::test]
async fn a_new_password_ends_other_sessions() {
    let server = Fixture::new().await;
    let alice = server.join("alice").await.user;
    let kept = server.login("alice", "KEPT", false).await;
    let other = server.login("alice", "OTHER", true).await;
    assert!(server.is_good(&kept.access_token).await && server.is_good(&other.access_token).await);
    server.accounts.check_password(alice, PASSWORD).await.unwrap();
    let change = PasswordChange {
        password: "battery staple".to_owned(),
        keep_device: Some("KEPT".to_owned()),
        logout_others: true,
    };
    server.accounts.change_password(alice, change).await.unwrap();
    assert!(server.is_good(&kept.access_token).await);
    assert!(!server.is_good(&other.access_token).await);
    let error = server.accounts.login(login_request("alice", PASSWORD, "D", false)).await.unwrap_err();
    assert!(matches!(error, AccountError::WrongPassword));
    server.accounts.login(login_request("alice", "battery staple", "D", false)).await.unwrap();
}

#[tokio::test]
async fn a_session_that_began_before_a_password_change_ends_with_it() {
    let server = Fixture::new().await;
    let alice = server.join("alice").await.user;
    let change = || PasswordChange { password: "new".to_owned(), keep_device: None, logout_others: true };
    let login = || server.accounts.login(login_request("alice", PASSWORD, "D", false));
    // The login is decided but not durable when the password changes.
    server.disk.hold(true);
    let later_change = async {
        others_first().await;
        server.accounts.change_password(alice, change()).await
    };
    let release = async {
        others_first().await;
        server.disk.release_later().await;
    };
    let (session, changed, ()) = tokio::join!(login(), later_change, release);
    changed.unwrap();
    assert!(!server.is_good(&session.unwrap().access_token).await);
    assert!(server.accounts.devices(alice).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_login_that_is_checked_against_an_old_password_fails() {
    let server = Fixture::new().await;
    let alice = server.join("alice").await.user;
    let change = PasswordChange { password: "new".to_owned(), keep_device: None, logout_others: true };
    let login = server.accounts.login(login_request("alice", PASSWORD, "D", false));
    let (session, changed) = tokio::join!(login, server.accounts.change_password(alice, change));
    changed.unwrap();
    match session {
        Ok(session) => assert!(!server.is_good(&session.access_token).await),
        Err(error) => assert!(matches!(error, AccountError::WrongPassword), "{error}"),
    }
    assert!(server.accounts.devices(alice).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_deactivated_user_is_out() {
    let server = Fixture::new().await;
    let alice = server.join("alice").await.user;
    let session = server.login("alice", "D", true).await;
    assert!(server.is_good(&session.access_token).await);
    server.accounts.deactivate(alice, false).await.unwrap();
    assert!(!server.is_good(&session.access_token).await);
    let error = server.accounts.login(login_request("alice", PASSWORD, "D", false)).await.unwrap_err();
    assert!(matches!(error, AccountError::Deactivated));
    let error = server.accounts.login(login_request("alice", "wrong", "D", false)).await.unwrap_err();
    assert!(matches!(error, AccountError::WrongPassword));
    let taken = server.accounts.check_username("alice").await.unwrap_err();
    assert!(matches!(taken, AccountError::UsernameTaken), "the name is not given again");
}

#[tokio::test]
async fn a_user_has_a_bounded_number_of_devices() {
    let server = Fixture::new().await;
    let alice = server.join("alice").await.user;
    let oldest = server.login("alice", "D0", false).await;
    for number in 1..1000 {
        server.login("alice", &format!("D{number}"), false).await;
    }
    assert!(server.is_good(&oldest.access_token).await);
    let newest = server.login("alice", "ONE-MORE", false).await;
    assert!(!server.is_good(&oldest.access_token).await);
    assert!(server.is_good(&newest.access_token).await);
    assert_eq!(server.accounts.devices(alice).await.unwrap().len(), 1000);
}

#[tokio::test]
async fn no_secret_is_on_disk() {
    let server = Fixture::new().await;
    server.join("alice").await;
    let session = server.login("alice", "D", true).await;
    let bytes = server.disk_bytes();
    let contains = |needle: &str| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
    assert!(contains("$argon2id$") && contains("alice"));
    assert!(!contains(PASSWORD));
    assert!(!contains(&session.access_token) && !contains(&session.access_token[4..]));
    assert!(!contains(&session.refresh_token.unwrap()[4..]));
}
