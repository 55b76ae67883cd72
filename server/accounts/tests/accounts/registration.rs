//! Who gets an account, and who is told what.

use std::sync::atomic::Ordering;

use nexus_accounts::{AccountError, NewAccount, Registration, Requirement, SessionRequest, UsernameProblem};

use crate::world::{Fixture, INVITE, PASSWORD, login_request, new_account};

fn invited(name: &str, code: &str) -> NewAccount {
    NewAccount { invite: Some(code.to_owned()), ..new_account(name) }
}

#[tokio::test]
async fn the_first_account_on_loopback_is_the_admin_and_needs_no_invite() {
    for mode in [Registration::Open, Registration::Invite, Registration::Closed] {
        let server = Fixture::with(|config| config.registration = mode).await;
        assert_eq!(server.accounts.requirement().await.unwrap(), Requirement::Nothing);
        let first = server.join("Alice").await;
        assert!(first.admin);
        assert_eq!(first.user_id, "@alice:example.org");
        assert_eq!(first.username(), "alice");
        assert_eq!(server.accounts.account(first.user).await.unwrap(), Some(first));
    }
}

#[tokio::test]
async fn later_accounts_are_no_admins_and_need_what_the_mode_says() {
    let server = Fixture::with(|config| config.registration = Registration::Invite).await;
    server.join("alice").await;
    assert_eq!(server.accounts.requirement().await.unwrap(), Requirement::Invite);
    let refused = server.accounts.register(new_account("bob")).await.unwrap_err();
    assert!(matches!(refused, AccountError::InviteRequired));
    let refused = server.accounts.register(invited("bob", "BADCODE")).await.unwrap_err();
    assert!(matches!(refused, AccountError::InvalidInvite));
    assert!(server.accounts.is_valid_invite(INVITE).await.unwrap());
    assert!(!server.accounts.is_valid_invite("BADCODE").await.unwrap());
    assert!(!server.accounts.register(invited("bob", INVITE)).await.unwrap().account.admin);

    let server = Fixture::with(|config| config.registration = Registration::Closed).await;
    server.join("alice").await;
    let refused = server.accounts.register(invited("bob", INVITE)).await.unwrap_err();
    assert!(matches!(refused, AccountError::RegistrationClosed));
}

#[tokio::test]
async fn off_loopback_the_first_account_needs_the_setup_token_once() {
    let server = Fixture::with(|config| {
        config.loopback_only = false;
        config.setup_token = Some("SETUP".to_owned());
    })
    .await;
    assert_eq!(server.accounts.requirement().await.unwrap(), Requirement::SetupToken);
    let refused = server.accounts.register(new_account("alice")).await.unwrap_err();
    assert!(matches!(refused, AccountError::InviteRequired));
    let refused = server.accounts.register(invited("alice", INVITE)).await.unwrap_err();
    assert!(matches!(refused, AccountError::InvalidInvite));
    assert!(server.accounts.register(invited("alice", "SETUP")).await.unwrap().account.admin);
    let refused = server.accounts.register(invited("bob", "SETUP")).await.unwrap_err();
    assert!(matches!(refused, AccountError::InvalidInvite));
}

#[tokio::test]
async fn off_loopback_without_a_setup_token_nobody_becomes_admin() {
    let server = Fixture::with(|config| {
        config.registration = Registration::Open;
        config.loopback_only = false;
    })
    .await;
    let refused = server.accounts.register(new_account("alice")).await.unwrap_err();
    assert!(matches!(refused, AccountError::RegistrationClosed));
}

#[tokio::test]
async fn bad_names_and_passwords_are_refused_precisely() {
    let server = Fixture::new().await;
    let refuse = async |name: &str, password: &str| {
        let new = NewAccount { password: password.to_owned(), ..new_account(name) };
        server.accounts.register(new).await.unwrap_err()
    };
    let error = refuse("al ice", PASSWORD).await;
    assert!(
        matches!(error, AccountError::InvalidUsername { reason: UsernameProblem::Character(' ') }),
        "{error}"
    );
    assert!(matches!(refuse("nexus", PASSWORD).await, AccountError::Reserved));
    assert!(matches!(refuse("alice", "").await, AccountError::WeakPassword { .. }));
    let error = refuse("alice", &"x".repeat(1025)).await;
    assert!(matches!(error, AccountError::FieldTooLong { field: "password", bytes_max: 1024 }), "{error}");
    let session = Some(SessionRequest { device_id: Some("a\0b".to_owned()), ..SessionRequest::default() });
    let error = server.accounts.register(NewAccount { session, ..new_account("alice") }).await.unwrap_err();
    assert!(matches!(error, AccountError::InvalidDevice), "{error}");
    assert!(server.accounts.accounts(None, 10).await.unwrap().is_empty(), "nothing was stored");
}

#[tokio::test]
async fn a_name_is_given_once_in_any_case() {
    let server = Fixture::new().await;
    server.accounts.check_username("alice").await.unwrap();
    server.join("alice").await;
    let taken = server.accounts.check_username("ALICE").await.unwrap_err();
    assert!(matches!(taken, AccountError::UsernameTaken));
    let taken = server.accounts.register(new_account("Alice")).await.unwrap_err();
    assert!(matches!(taken, AccountError::UsernameTaken));
    assert!(server.accounts.account_by_name("@Alice:example.org").await.unwrap().is_some());
    assert!(server.accounts.account_by_name("@alice:elsewhere.org").await.unwrap().is_none());
}

#[tokio::test]
async fn of_registrations_at_the_same_moment_one_gets_the_name_and_one_becomes_admin() {
    let server = Fixture::new().await;
    // Held back, all decisions are made before any is durable.
    server.disk.hold(true);
    let (one, other, third, ()) = tokio::join!(
        server.accounts.register(new_account("alice")),
        server.accounts.register(new_account("alice")),
        server.accounts.register(new_account("carol")),
        server.disk.release_later(),
    );
    let conflicts = server.store.statistics().conflicts.load(Ordering::Relaxed);
    assert!(conflicts >= 2, "each found itself the first: {conflicts}");
    let (winner, loser) = if one.is_ok() { (one, other) } else { (other, one) };
    assert!(matches!(loser, Err(AccountError::UsernameTaken)));
    winner.unwrap();
    third.unwrap();
    let admins =
        server.accounts.accounts(None, 10).await.unwrap().into_iter().filter(|account| account.admin);
    assert_eq!(admins.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_registrations_at_once_all_end_well() {
    let server = Fixture::new().await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..64 {
        let accounts = server.accounts.clone();
        tasks.spawn(
            async move { accounts.register(new_account(&format!("user{}", number / 2))).await.is_ok() },
        );
    }
    let successes = tasks.join_all().await.into_iter().filter(|success| *success).count();
    assert_eq!(successes, 32, "each name once");
    let accounts = server.accounts.accounts(None, 100).await.unwrap();
    assert_eq!(accounts.len(), 32);
    assert_eq!(accounts.iter().filter(|account| account.admin).count(), 1);
}

#[tokio::test]
async fn without_a_name_one_is_made_up() {
    let server = Fixture::new().await;
    let new = NewAccount { username: None, ..new_account("") };
    let account = server.accounts.register(new).await.unwrap().account;
    let session =
        server.accounts.login(login_request(account.username(), PASSWORD, "D", false)).await.unwrap();
    assert_eq!(session.login.user, account.user);
}

#[tokio::test]
async fn accounts_survive_a_restart() {
    let server = Fixture::new().await;
    let session = Some(SessionRequest { refreshable: true, ..SessionRequest::default() });
    let registered = server.accounts.register(NewAccount { session, ..new_account("alice") }).await.unwrap();
    let session = registered.session.unwrap();
    let server = server.restarted().await;
    let login = server.accounts.authenticate(&session.access_token).await.unwrap();
    assert_eq!(login, Some(session.login));
    assert_eq!(server.accounts.account(registered.account.user).await.unwrap(), Some(registered.account));
    server.login("alice", "D", false).await;
    assert!(!server.join("bob").await.admin);
}

#[tokio::test]
async fn an_email_address_logs_in_and_belongs_to_one_account() {
    let server = Fixture::new().await;
    let with_email =
        |name: &str, email: &str| NewAccount { email: Some(email.to_owned()), ..new_account(name) };
    let registered = server.accounts.register(with_email("alice", "Alice@Example.org")).await.unwrap();
    assert_eq!(registered.account.email.as_deref(), Some("Alice@Example.org"));
    let taken = server.accounts.register(with_email("bob", "alice@example.ORG")).await.unwrap_err();
    assert!(matches!(taken, AccountError::EmailTaken), "{taken}");
    let bad = server.accounts.register(with_email("bob", "nobody")).await.unwrap_err();
    assert!(matches!(bad, AccountError::InvalidEmail), "{bad}");
    let session =
        server.accounts.login(login_request("alice@example.org", PASSWORD, "D", false)).await.unwrap();
    assert_eq!(session.login.user, registered.account.user);
    server.accounts.deactivate(registered.account.user, false).await.unwrap();
    server.accounts.register(with_email("bob", "alice@example.org")).await.unwrap();
}
