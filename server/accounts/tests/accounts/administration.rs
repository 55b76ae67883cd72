//! What administrators do: accounts, registration tokens, and that both hold under a race.

use nexus_accounts::{AccountError, NewAccount, NewRegistrationToken, Registration};

use crate::world::{Fixture, PASSWORD, login_request, new_account};

fn invited(name: &str, code: &str) -> NewAccount {
    NewAccount { invite: Some(code.to_owned()), ..new_account(name) }
}

#[tokio::test]
async fn an_administrators_account_needs_no_invite_and_the_first_is_an_admins() {
    let server = Fixture::with(|config| config.registration = Registration::Closed).await;
    assert!(server.accounts.create_account(new_account("ada"), false).await.unwrap().account.admin);
    assert!(!server.accounts.create_account(new_account("bob"), false).await.unwrap().account.admin);
    assert!(server.accounts.create_account(new_account("eve"), true).await.unwrap().account.admin);
    let again = server.accounts.create_account(new_account("bob"), false).await.unwrap_err();
    assert!(matches!(again, AccountError::UsernameTaken));
    let refused = server.accounts.register(new_account("dan")).await.unwrap_err();
    assert!(matches!(refused, AccountError::RegistrationClosed));
}

#[tokio::test]
async fn a_deactivated_account_comes_back_with_a_new_password_only() {
    let server = Fixture::new().await;
    let user = server.join("ada").await.user;
    server.accounts.deactivate(user, true).await.unwrap();
    assert!(server.accounts.account(user).await.unwrap().unwrap().erased);
    let refused = server.accounts.login(login_request("ada", PASSWORD, "D", false)).await.unwrap_err();
    assert!(matches!(refused, AccountError::WrongPassword), "the hash is gone");
    let taken = server.accounts.register(new_account("ada")).await.unwrap_err();
    assert!(matches!(taken, AccountError::UsernameTaken), "the name is kept for ever");
    server.accounts.reactivate(user, "another password").await.unwrap();
    server.accounts.login(login_request("ada", "another password", "D", false)).await.unwrap();
    assert_eq!(server.accounts.departures().await.unwrap(), [user]);
    server.accounts.departed(user).await.unwrap();
    assert_eq!(server.accounts.departures().await.unwrap(), []);
}

#[tokio::test]
async fn a_registration_token_is_good_as_often_and_as_long_as_it_says() {
    let server = Fixture::with(|config| config.registration = Registration::Invite).await;
    server.join("ada").await;
    let expires_ms = Some(server.now_ms() + 1000);
    let new = NewRegistrationToken { token: None, uses_max: Some(2), expires_ms };
    let token = server.accounts.create_registration_token(new).await.unwrap().token;
    assert!(server.accounts.is_valid_invite(&token).await.unwrap());
    server.accounts.register(invited("bob", &token)).await.unwrap();
    // Refused for another reason: it does not count as a use.
    server.accounts.register(invited("bob", &token)).await.unwrap_err();
    assert_eq!(server.accounts.registration_tokens().await.unwrap()[0].uses, 1);
    server.advance(std::time::Duration::from_secs(1));
    let late = server.accounts.register(invited("eve", &token)).await.unwrap_err();
    assert!(matches!(late, AccountError::InvalidInvite));

    let named = NewRegistrationToken { token: Some("Welcome.1".to_owned()), ..Default::default() };
    server.accounts.create_registration_token(named.clone()).await.unwrap();
    let twice = server.accounts.create_registration_token(named).await.unwrap_err();
    assert!(matches!(twice, AccountError::BadRegistrationToken("exists already")));
    server.accounts.register(invited("eve", "Welcome.1")).await.unwrap();
    assert!(server.accounts.revoke_registration_token("Welcome.1").await.unwrap());
    assert!(!server.accounts.revoke_registration_token("Welcome.1").await.unwrap());
    assert!(!server.accounts.is_valid_invite("Welcome.1").await.unwrap());
    let bad = NewRegistrationToken { token: Some("not a token".to_owned()), ..Default::default() };
    assert!(server.accounts.create_registration_token(bad).await.is_err());
}

#[tokio::test]
async fn of_two_uses_of_a_single_token_at_once_one_is_refused() {
    let server = Fixture::with(|config| config.registration = Registration::Invite).await;
    server.join("ada").await;
    let new = NewRegistrationToken { token: Some("once".to_owned()), uses_max: Some(1), expires_ms: None };
    server.accounts.create_registration_token(new).await.unwrap();
    let (bob, eve) = tokio::join!(
        server.accounts.register(invited("bob", "once")),
        server.accounts.register(invited("eve", "once")),
    );
    assert_eq!(usize::from(bob.is_ok()) + usize::from(eve.is_ok()), 1);
    let refused = bob.err().or(eve.err()).unwrap();
    assert!(matches!(refused, AccountError::InvalidInvite), "{refused}");
}

#[tokio::test]
async fn two_first_accounts_at_once_make_one_admin() {
    let server = Fixture::with(|config| config.registration = Registration::Invite).await;
    let (bob, eve) = tokio::join!(
        server.accounts.register(new_account("bob")),
        server.accounts.register(new_account("eve")),
    );
    let refused = [&bob, &eve].iter().filter(|made| made.is_err()).count();
    assert_eq!(refused, 1, "the second needs an invite");
    let made = bob.or(eve).unwrap();
    assert!(made.account.admin);
}
