//! Registration.
//!
//! The first account ever made is the administrator's. On a server that only this machine can reach it
//! needs nothing; elsewhere it needs the setup token that start-up prints, given where an invite code
//! would be. Everybody after it needs what the registration mode says.

use nexus_event_store::{Rows, Tx, UserNo, catalogue::UserNumbers, codec::Text};
use ruma::OwnedUserId;
use subtle::ConstantTimeEq;

use crate::{
    Account, AccountError, Accounts, ProofKey, Purpose, Registration, Session, SessionRequest,
    decide::Decision,
    emails, mail_proofs, names, registration_tokens,
    sessions::Holder,
    tables::{AccountRow, AccountRows, FirstAccount, RegistrationTokenRow},
};

/// Who wants an account.
#[derive(Clone)]
pub struct NewAccount {
    /// The wanted name; `None` makes one up.
    pub username: Option<String>,
    /// The password.
    pub password: String,
    /// An e-mail address, which can then be used to log in.
    pub email: Option<String>,
    /// The proof of an e-mail address, which becomes the account's.
    pub email_proof: Option<ProofKey>,
    /// An invite code, or the setup token.
    pub invite: Option<String>,
    /// The session to start at once.
    pub session: Option<SessionRequest>,
}

/// A new account.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The account.
    pub account: Account,
    /// The session that was asked for.
    pub session: Option<Session>,
}

/// What registering takes at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Nothing but a name and a password.
    Nothing,
    /// An invite code.
    Invite,
    /// The setup token.
    SetupToken,
    /// Nobody may.
    Closed,
}

/// A newcomer is let in.
struct Admission {
    /// Nobody has an account yet.
    first: bool,
    /// The registration token that is used for it.
    token: Option<(Text, RegistrationTokenRow)>,
}

impl Accounts {
    /// Makes an account.
    ///
    /// # Errors
    /// What is wrong with the name, the password, the device or the invite; the store's.
    pub async fn register(&self, new: NewAccount) -> Result<Registered, AccountError> {
        let user_id = match &new.username {
            Some(name) => names::new_user_id(name, self.server_name())?,
            None => names::new_user_id(&self.made_up_name(), self.server_name())?,
        };
        self.inner.passwords.check(&new.password)?;
        let email = new.email.as_deref().map(emails::key).transpose()?;
        if let Some(session) = &new.session {
            session.check()?;
        }
        // Asked here too, so that nobody without an invite makes the server hash.
        self.admit(&self.store, new.invite.as_deref()).await?;
        self.check_free(&self.store, &user_id).await?;
        let password = self.inner.passwords.hash(self.store.world(), &new.password).await?;
        let (new, user_id, email) = (&new, &user_id, &email);
        let password = &password;
        self.decide(|tx| async move {
            let Admission { first, token } = self.admit(&tx, new.invite.as_deref()).await?;
            self.check_free(&tx, user_id).await?;
            if let Some((token, row)) = token {
                registration_tokens::use_up(&tx, &token, row);
            }
            let mut row = self.new_row(user_id, new, password, first);
            if let Some(proof) = &new.email_proof {
                // Used up with the account's own decision: one proof makes one account.
                let proven = self.use_proof(&tx, proof, Purpose::Register).await?;
                row.email = None;
                let made = self.put_newcomer(tx, row, None, new.session.as_ref(), first).await?;
                return with_address(made, &proven.address).await;
            }
            self.put_newcomer(tx, row, email.as_ref(), new.session.as_ref(), first).await
        })
        .await
    }

    /// The row of a new account.
    pub(crate) fn new_row(
        &self,
        user_id: &OwnedUserId,
        new: &NewAccount,
        password: &str,
        admin: bool,
    ) -> AccountRow {
        AccountRow {
            user_id: user_id.to_string(),
            email: new.email.clone(),
            password: Some(password.to_owned()),
            admin,
            created_ms: self.now_ms(),
            ..AccountRow::default()
        }
    }

    /// Writes an account whose name is known to be free, and its first session.
    pub(crate) async fn put_newcomer(
        &self,
        tx: Tx,
        row: AccountRow,
        email: Option<&Text>,
        session: Option<&SessionRequest>,
        first: bool,
    ) -> Result<Decision<Registered>, AccountError> {
        let account = put_account(&tx, &row).await?;
        if let Some(email) = email {
            emails::claim(&tx, email, account.user).await?;
        }
        if first {
            tx.put::<FirstAccount>(&(), &account.user);
        }
        let holder = Holder { user: account.user, user_id: account.user_id.clone(), bot: None };
        let (session, revoked) = match session {
            Some(request) => {
                let (session, revoked) = self.start_session(&tx, &holder, request).await?;
                (Some(session), revoked)
            }
            None => (None, Vec::new()),
        };
        Ok(Decision::Commit { tx, value: Registered { account, session }, revoked })
    }

    /// Whether somebody could register under `name`.
    ///
    /// # Errors
    /// Why not; the store's.
    pub async fn check_username(&self, name: &str) -> Result<(), AccountError> {
        let user_id = names::new_user_id(name, self.server_name())?;
        self.check_free(&self.store, &user_id).await
    }

    /// What registering takes at present.
    ///
    /// # Errors
    /// The store's.
    pub async fn requirement(&self) -> Result<Requirement, AccountError> {
        let first = self.store.row::<FirstAccount>(&()).await?.is_none();
        Ok(self.requirement_for(first))
    }

    /// Whether `code` would be accepted as what [`requirement`](Self::requirement) asks for.
    ///
    /// # Errors
    /// The store's.
    pub async fn is_valid_invite(&self, code: &str) -> Result<bool, AccountError> {
        match self.admit(&self.store, Some(code)).await {
            Ok(_) => Ok(true),
            Err(AccountError::Store(error)) => Err(error.into()),
            Err(_) => Ok(false),
        }
    }

    fn requirement_for(&self, first: bool) -> Requirement {
        let config = &self.inner.config;
        match (first, config.registration) {
            (true, _) if config.loopback_only => Requirement::Nothing,
            (true, _) if config.setup_token.is_some() => Requirement::SetupToken,
            (true, _) | (_, Registration::Closed) => Requirement::Closed,
            (_, Registration::Invite) => Requirement::Invite,
            (_, Registration::Open) => Requirement::Nothing,
        }
    }

    /// Lets a newcomer in, or not.
    async fn admit(&self, rows: &impl Rows, invite: Option<&str>) -> Result<Admission, AccountError> {
        let first = rows.row::<FirstAccount>(&()).await?.is_none();
        let mut token = None;
        let valid = match (self.requirement_for(first), invite) {
            (Requirement::Nothing, _) => true,
            (Requirement::Closed, _) => return Err(AccountError::RegistrationClosed),
            (_, None) => return Err(AccountError::InviteRequired),
            (Requirement::Invite, Some(code)) => {
                token = registration_tokens::usable(rows, code, self.now_ms()).await?;
                token.is_some() || self.inner.config.invites.is_valid(code).await
            }
            (Requirement::SetupToken, Some(token)) => {
                let expected = self.inner.config.setup_token.as_deref().unwrap_or_default();
                bool::from(expected.as_bytes().ct_eq(token.as_bytes()))
            }
        };
        if valid { Ok(Admission { first, token }) } else { Err(AccountError::InvalidInvite) }
    }

    pub(crate) async fn check_free(
        &self,
        rows: &impl Rows,
        user_id: &OwnedUserId,
    ) -> Result<(), AccountError> {
        let Some(user) = rows.row::<UserNumbers>(&Text::from(user_id.as_str())).await? else { return Ok(()) };
        match rows.row::<AccountRows>(&user).await? {
            Some(_) => Err(AccountError::UsernameTaken),
            None => Ok(()),
        }
    }

    fn made_up_name(&self) -> String {
        format!("u{:012x}", self.store.world().random_u64() >> 16)
    }
}

/// Gives a new account the address that was proven.
async fn with_address(
    made: Decision<Registered>,
    address: &str,
) -> Result<Decision<Registered>, AccountError> {
    let Decision::Commit { tx, mut value, revoked } = made else { return Ok(made) };
    mail_proofs::set_address(&tx, value.account.user, address).await?;
    value.account.email = Some(address.to_owned());
    value.account.email_verified = true;
    Ok(Decision::Commit { tx, value, revoked })
}

/// Writes a new account within `tx`.
pub(crate) async fn put_account(tx: &Tx, row: &AccountRow) -> Result<Account, AccountError> {
    let user: UserNo = tx.intern_user(&row.user_id).await?;
    tx.put::<AccountRows>(&user, row);
    Ok(Account::of_row(tx, user, row).await?)
}
