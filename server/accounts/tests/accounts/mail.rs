//! Mails that prove addresses: what is sent, what is told, and that a proof is good once.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use nexus_accounts::{
    AccountError, Mail, MailConfig, MailFailure, MailTransport, NewAccount, PasswordChange, ProofKey,
    ProofRequest, Purpose,
};
use nexus_event_store::world::BoxFuture;
use tokio::sync::Notify;

use crate::world::{Fixture, PASSWORD, login_request, new_account};

/// Keeps the mails, and fails as often as it is told to.
#[derive(Clone, Default)]
struct Post {
    sent: Arc<Mutex<Vec<Mail>>>,
    failures: Arc<Mutex<Vec<MailFailure>>>,
    bell: Arc<Notify>,
}

impl MailTransport for Post {
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), MailFailure>> {
        Box::pin(async move {
            let failure = self.failures.lock().unwrap().pop();
            let outcome = match failure {
                Some(failure) => Err(failure),
                None => {
                    self.sent.lock().unwrap().push(mail);
                    Ok(())
                }
            };
            self.bell.notify_one();
            outcome
        })
    }
}

impl Post {
    /// The next mail.
    async fn next(&self) -> Mail {
        loop {
            let mail = {
                let mut sent = self.sent.lock().unwrap();
                (!sent.is_empty()).then(|| sent.remove(0))
            };
            match mail {
                Some(mail) => return mail,
                None => self.bell.notified().await,
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.sent.lock().unwrap().is_empty()
    }
}

fn token(mail: &Mail) -> String {
    let (_, rest) = mail.text.split_once("https://chat.example/account/mail?token=").unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

async fn server() -> (Fixture, Post) {
    let post = Post::default();
    let transport = Arc::new(post.clone());
    let server = Fixture::with(|config| {
        config.registration = nexus_accounts::Registration::Open;
        config.mail = Some(MailConfig { transport, public_url: "https://chat.example".to_owned() });
    })
    .await;
    server.accounts.start_mail();
    (server, post)
}

fn request(purpose: Purpose, address: &str, send_attempt: u64) -> ProofRequest {
    ProofRequest { purpose, address: address.to_owned(), secret: "s3cret".to_owned(), send_attempt }
}

fn proof(sid: &str) -> ProofKey {
    ProofKey { sid: sid.to_owned(), secret: "s3cret".to_owned() }
}

fn proven(name: &str, proof: ProofKey) -> NewAccount {
    NewAccount { email_proof: Some(proof), ..new_account(name) }
}

/// A verified account.
async fn verified(server: &Fixture, post: &Post, name: &str, address: &str) -> nexus_event_store::UserNo {
    let user = server.join(name).await.user;
    server.accounts.ask_to_verify(user, address).await.unwrap();
    let mail = post.next().await;
    assert_eq!(mail.to, address);
    server.accounts.confirm_mail(&token(&mail)).await.unwrap();
    user
}

#[tokio::test]
async fn attack_48_a_proof_of_an_address_makes_one_account() {
    let (server, post) = server().await;
    let accounts = &server.accounts;
    let sid = accounts.ask_for_proof(request(Purpose::Register, "Ada@example.org", 1)).await.unwrap();
    let early = accounts.register(proven("ada", proof(&sid))).await.unwrap_err();
    assert!(matches!(early, AccountError::UnknownProof), "nothing was proven yet");
    accounts.confirm_mail(&token(&post.next().await)).await.unwrap();
    let stolen = ProofKey { secret: "guess".to_owned(), ..proof(&sid) };
    let refused = accounts.register(proven("eve", stolen)).await.unwrap_err();
    assert!(matches!(refused, AccountError::UnknownProof));

    let (one, two) = tokio::join!(
        accounts.register(proven("ada", proof(&sid))),
        accounts.register(proven("eve", proof(&sid))),
    );
    assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1, "also at the same moment");
    let made = one.or(two).unwrap().account;
    assert_eq!((made.email.as_deref(), made.email_verified), (Some("Ada@example.org"), true));
    let again = accounts.register(proven("third", proof(&sid))).await.unwrap_err();
    assert!(matches!(again, AccountError::UnknownProof));
    // Asking again for the same address tells its owner, and proves nothing.
    let sid = accounts.ask_for_proof(request(Purpose::Register, "ada@example.org", 2)).await.unwrap();
    assert_eq!(post.next().await.subject, "You have an account already");
    assert!(!accounts.is_proven(&proof(&sid), Purpose::Register).await.unwrap());
}

#[tokio::test]
async fn a_lost_password_is_set_by_the_link_once() {
    let (server, post) = server().await;
    let accounts = &server.accounts;
    verified(&server, &post, "ada", "ada@example.org").await;
    let session = server.login("ada", "D", false).await;
    accounts.forgot_password("ADA").await.unwrap();
    let link = token(&post.next().await);
    assert_eq!(accounts.mail_link(&link).await.unwrap().unwrap().purpose, Purpose::NewPassword);
    assert!(matches!(accounts.confirm_mail(&link).await, Err(AccountError::UnknownProof)));
    accounts.reset_password(&link, "another").await.unwrap();
    assert!(!server.is_good(&session.access_token).await, "whoever had the password is out");
    assert_eq!(post.next().await.subject, "Your password was changed");
    let again = accounts.reset_password(&link, "third").await.unwrap_err();
    assert!(matches!(again, AccountError::UnknownProof));
    accounts.login(login_request("ada", "another", "D", false)).await.unwrap();
    accounts.forgot_password("ada@example.org").await.unwrap();
    let link = token(&post.next().await);
    server.advance(Duration::from_secs(3600));
    let late = accounts.reset_password(&link, "third").await.unwrap_err();
    assert!(matches!(late, AccountError::UnknownProof));
}

#[tokio::test]
async fn nobody_learns_whether_an_address_is_known() {
    let (server, post) = server().await;
    for purpose in [Purpose::ConfirmReset, Purpose::NewPassword] {
        let sid = server.accounts.ask_for_proof(request(purpose, "nobody@example.org", 1)).await.unwrap();
        assert!(!sid.is_empty());
    }
    server.accounts.forgot_password("nobody").await.unwrap();
    server.accounts.forgot_password("nobody@example.org").await.unwrap();
    verified(&server, &post, "ada", "ada@example.org").await;
    assert!(post.is_empty(), "only the owner of a known address gets mail");
}

#[tokio::test]
async fn a_new_password_by_a_proof_as_matrix_has_it() {
    let (server, post) = server().await;
    let accounts = &server.accounts;
    verified(&server, &post, "ada", "ada@example.org").await;
    let sid = accounts.ask_for_proof(request(Purpose::ConfirmReset, "ada@example.org", 1)).await.unwrap();
    let link = token(&post.next().await);
    let change = || PasswordChange { password: "another".into(), keep_device: None, logout_others: true };
    let early = accounts.change_password_by_proof(&proof(&sid), change()).await.unwrap_err();
    assert!(matches!(early, AccountError::UnknownProof));
    accounts.confirm_mail(&link).await.unwrap();
    accounts.change_password_by_proof(&proof(&sid), change()).await.unwrap();
    let again = accounts.change_password_by_proof(&proof(&sid), change()).await.unwrap_err();
    assert!(matches!(again, AccountError::UnknownProof));
    accounts.login(login_request("ada", "another", "D", false)).await.unwrap();
}

#[tokio::test]
async fn who_only_claims_an_address_loses_it_to_who_proves_it() {
    let (server, post) = server().await;
    let squatter = NewAccount { email: Some("ada@example.org".to_owned()), ..new_account("eve") };
    let eve = server.accounts.register(squatter).await.unwrap().account;
    assert!(!eve.email_verified);
    let ada = verified(&server, &post, "ada", "ada@example.org").await;
    assert_eq!(server.accounts.account(eve.user).await.unwrap().unwrap().email, None);
    assert!(server.accounts.account(ada).await.unwrap().unwrap().email_verified);
    let session = server.accounts.login(login_request("ada@example.org", PASSWORD, "D", false)).await;
    assert_eq!(session.unwrap().login.user, ada);
    // Another address takes the place of the present one only when it is confirmed.
    server.accounts.ask_to_verify(ada, "lovelace@example.org").await.unwrap();
    let account = server.accounts.account(ada).await.unwrap().unwrap();
    assert_eq!(account.email.as_deref(), Some("ada@example.org"));
    server.accounts.confirm_mail(&token(&post.next().await)).await.unwrap();
    let account = server.accounts.account(ada).await.unwrap().unwrap();
    assert_eq!(account.email.as_deref(), Some("lovelace@example.org"));
    assert!(server.accounts.remove_address(ada, "LOVELACE@example.org").await.unwrap());
    assert!(!server.accounts.remove_address(ada, "lovelace@example.org").await.unwrap());
}

#[tokio::test]
async fn a_mail_is_sent_again_for_a_greater_attempt_and_the_older_link_ends() {
    let (server, post) = server().await;
    let accounts = &server.accounts;
    let ask = |attempt| accounts.ask_for_proof(request(Purpose::Register, "ada@example.org", attempt));
    let sid = ask(1).await.unwrap();
    let first = token(&post.next().await);
    assert_eq!(ask(1).await.unwrap(), sid);
    assert_eq!(ask(2).await.unwrap(), sid);
    let second = token(&post.next().await);
    assert!(post.is_empty());
    assert!(matches!(accounts.confirm_mail(&first).await, Err(AccountError::UnknownProof)));
    accounts.confirm_mail(&second).await.unwrap();
    assert!(matches!(accounts.confirm_mail(&second).await, Err(AccountError::UnknownProof)));
    assert!(accounts.is_proven(&proof(&sid), Purpose::Register).await.unwrap());
    assert!(!accounts.is_proven(&proof(&sid), Purpose::AddAddress).await.unwrap(), "for what it was asked");
}

#[tokio::test]
async fn a_mail_that_cannot_be_sent_is_tried_again_and_no_token_is_on_disk() {
    let (server, post) = server().await;
    let failure = MailFailure { is_permanent: false, reason: "greylisted".to_owned() };
    post.failures.lock().unwrap().push(failure);
    server.accounts.ask_for_proof(request(Purpose::Register, "ada@example.org", 1)).await.unwrap();
    post.bell.notified().await;
    assert!(post.is_empty());
    server.advance(Duration::from_secs(15));
    // Whatever is queued next wakes the task; the clock of the test does not.
    server.accounts.ask_for_proof(request(Purpose::Register, "eve@example.org", 1)).await.unwrap();
    let mut mails = [post.next().await, post.next().await];
    mails.sort_by_key(|mail| mail.to.clone());
    assert_eq!((mails[0].to.as_str(), mails[1].to.as_str()), ("ada@example.org", "eve@example.org"));
    let disk = server.disk_bytes();
    for mail in &mails {
        let token = token(mail);
        assert!(!disk.windows(token.len()).any(|part| part == token.as_bytes()));
    }
    assert!(!disk.windows(6).any(|part| part == b"s3cret"));
}

#[tokio::test]
async fn without_mail_nothing_pretends_to_be_sent() {
    let server = Fixture::new().await;
    let user = server.join("ada").await.user;
    let refused = server.accounts.forgot_password("ada").await.unwrap_err();
    assert!(matches!(refused, AccountError::NoMail));
    let refused = server.accounts.ask_for_proof(request(Purpose::Register, "a@b", 1)).await.unwrap_err();
    assert!(matches!(refused, AccountError::NoMail));
    server.accounts.ask_to_verify(user, "ada@example.org").await.unwrap();
    let account = server.accounts.account(user).await.unwrap().unwrap();
    assert_eq!((account.email.as_deref(), account.email_verified), (Some("ada@example.org"), false));
}
