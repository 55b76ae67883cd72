//! Applications and bots.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use nexus_accounts::AccountError;
use nexus_event_store::Snowflake;

use crate::world::{Fixture, PASSWORD, login_request};

#[tokio::test]
async fn an_application_gets_a_bot_whose_token_clients_can_read() {
    let server = Fixture::new().await;
    let alice = server.join("alice").await.user;
    let application = server.accounts.create_application(alice, "My Bot").await.unwrap();
    assert_eq!((application.name.as_str(), application.owner, application.bot), ("My Bot", alice, None));
    assert_eq!(server.accounts.application(application.id).await.unwrap(), Some(application.clone()));

    let bot = server.accounts.create_bot(alice, application.id).await.unwrap();
    assert!(bot.account.is_bot() && !bot.account.admin);
    assert_eq!(bot.account.snowflake, application.id, "application and bot have one id");
    assert!(bot.account.username().starts_with("my-bot-"), "{}", bot.account.user_id);
    let parts: Vec<&str> = bot.token.split('.').collect();
    assert_eq!(parts.len(), 3);
    assert_eq!(BASE64.decode(parts[0]).unwrap(), application.id.to_string().into_bytes());
    assert_eq!(BASE64.decode(parts[2]).unwrap().len(), 32);

    let login = server.accounts.authenticate(&bot.token).await.unwrap().unwrap();
    assert!(login.is_bot);
    assert_eq!((login.user, login.expires_ms), (bot.account.user, None));
    let found = server.accounts.application_of_bot(login.user).await.unwrap().unwrap();
    assert_eq!((found.id, found.bot), (application.id, Some(login.user)));
    assert_eq!(server.accounts.application_of_bot(alice).await.unwrap(), None);
    let profile = server.accounts.profile(&login.user_id).await.unwrap();
    assert_eq!(profile.display_name.as_deref(), Some("My Bot"));
}

#[tokio::test]
async fn a_reset_revokes_the_token_before() {
    let server = Fixture::new().await;
    let alice = server.join("alice").await.user;
    let id = server.accounts.create_application(alice, "bot").await.unwrap().id;
    let first = server.accounts.create_bot(alice, id).await.unwrap();
    assert!(server.is_good(&first.token).await);
    let second = server.accounts.create_bot(alice, id).await.unwrap();
    assert!(!server.is_good(&first.token).await);
    assert!(server.is_good(&second.token).await);
    assert_eq!(first.account, second.account);
    let server = server.restarted().await;
    assert!(server.is_good(&second.token).await);
}

#[tokio::test]
async fn only_its_owner_has_a_say_over_an_application() {
    let server = Fixture::new().await;
    let alice = server.join("alice").await.user;
    let bob = server.join("bob").await.user;
    let one = server.accounts.create_application(alice, "one").await.unwrap();
    let two = server.accounts.create_application(alice, "two").await.unwrap();
    let error = server.accounts.create_bot(bob, one.id).await.unwrap_err();
    assert!(matches!(error, AccountError::NotYours(id) if id == one.id));
    let error = server.accounts.create_bot(bob, Snowflake(1)).await.unwrap_err();
    assert!(matches!(error, AccountError::UnknownApplication(Snowflake(1))));
    assert_eq!(server.accounts.applications_of(alice).await.unwrap(), [one, two]);
    assert_eq!(server.accounts.applications_of(bob).await.unwrap(), []);
}

#[tokio::test]
async fn nobody_logs_in_as_a_bot_or_takes_its_name() {
    let server = Fixture::new().await;
    let alice = server.join("alice").await.user;
    let id = server.accounts.create_application(alice, "bot").await.unwrap().id;
    let bot = server.accounts.create_bot(alice, id).await.unwrap().account;
    for password in ["", PASSWORD] {
        let error =
            server.accounts.login(login_request(bot.username(), password, "D", false)).await.unwrap_err();
        assert!(matches!(error, AccountError::WrongPassword));
    }
    let taken = server.accounts.check_username(bot.username()).await.unwrap_err();
    assert!(matches!(taken, AccountError::UsernameTaken));
}

#[tokio::test]
async fn an_application_needs_a_name() {
    let server = Fixture::new().await;
    let alice = server.join("alice").await.user;
    let error = server.accounts.create_application(alice, "  ").await.unwrap_err();
    assert!(matches!(error, AccountError::FieldEmpty { field: "name" }));
    let error = server.accounts.create_application(alice, &"x".repeat(101)).await.unwrap_err();
    assert!(matches!(error, AccountError::FieldTooLong { field: "name", .. }));
    assert_eq!(server.accounts.applications_of(alice).await.unwrap(), []);
}
