//! Logging in and out, and what else takes a password.

use nexus_event_store::{Rows, UserNo, catalogue::UserNumbers, codec::Text};

use crate::{
    AccountError, Accounts, Login, Session, SessionRequest,
    account::parse_user_id,
    decide::Decision,
    emails, names,
    sessions::{Holder, remove_devices},
    tables::{AccountRow, AccountRows},
};

/// Who wants to log in.
#[derive(Clone)]
pub struct LoginRequest {
    /// A username, a whole user id or an e-mail address, in any case.
    pub login: String,
    /// The password.
    pub password: String,
    /// The session to start.
    pub session: SessionRequest,
}

/// A new password.
#[derive(Clone)]
pub struct PasswordChange {
    /// The password from now on.
    pub password: String,
    /// The device whose session stays in any case.
    pub keep_device: Option<String>,
    /// Whether the other devices are logged out (and deleted).
    pub logout_others: bool,
}

impl Accounts {
    /// Starts a session.
    ///
    /// # Errors
    /// [`AccountError::WrongPassword`] for unknown users and bots, too; [`AccountError::Deactivated`] to
    /// the one who knows the password; [`AccountError::InvalidDevice`]; the store's.
    pub async fn login(&self, request: LoginRequest) -> Result<Session, AccountError> {
        request.session.check()?;
        let found = self.account_row(&request.login).await?;
        let hash = found.as_ref().and_then(|(_, row)| row.password.clone());
        let right = self.inner.passwords.verify(self.store.world(), &request.password, hash).await?;
        let Some((user, row)) = found.filter(|_| right) else { return Err(AccountError::WrongPassword) };
        let holder = &Holder { user, user_id: parse_user_id(&row.user_id)?, bot: None };
        let (row, request) = (&row, &request.session);
        self.decide(|tx| async move {
            let current = tx.row::<AccountRows>(&user).await?;
            // Changed while its hash was computed: what was checked is no longer the password.
            let Some(current) = current.filter(|current| current.password == row.password) else {
                return Err(AccountError::WrongPassword);
            };
            if current.deactivated {
                return Err(AccountError::Deactivated);
            }
            let (session, revoked) = self.start_session(&tx, holder, request).await?;
            Ok(Decision::Commit { tx, value: session, revoked })
        })
        .await
    }

    /// Checks a user's password again, before something that matters.
    ///
    /// # Errors
    /// [`AccountError::WrongPassword`]; the store's.
    pub async fn check_password(&self, user: UserNo, password: &str) -> Result<(), AccountError> {
        let hash = self.store.row::<AccountRows>(&user).await?.and_then(|row| row.password);
        let right = self.inner.passwords.verify(self.store.world(), password, hash).await?;
        if right { Ok(()) } else { Err(AccountError::WrongPassword) }
    }

    /// Sets a password. The caller has checked the old one.
    ///
    /// # Errors
    /// [`AccountError::WeakPassword`], [`AccountError::UnknownUser`] (also for bots); the store's.
    pub async fn change_password(&self, user: UserNo, change: PasswordChange) -> Result<(), AccountError> {
        let hash = &self.inner.passwords.hash(self.store.world(), &change.password).await?;
        let change = &change;
        self.decide(|tx| async move {
            let row = tx.row::<AccountRows>(&user).await?.filter(|row| row.application.is_none());
            let row = AccountRow { password: Some(hash.clone()), ..row.ok_or(AccountError::UnknownUser)? };
            tx.put::<AccountRows>(&user, &row);
            let keep = change.keep_device.as_deref();
            let doomed = |device: &str| change.logout_others && Some(device) != keep;
            let revoked = remove_devices(&tx, user, doomed).await?;
            Ok(Decision::Commit { tx, value: (), revoked })
        })
        .await
    }

    /// Ends all sessions of a user for good.
    ///
    /// # Errors
    /// [`AccountError::UnknownUser`]; the store's.
    pub async fn deactivate(&self, user: UserNo) -> Result<(), AccountError> {
        self.decide(|tx| async move {
            let row = tx.row::<AccountRows>(&user).await?.ok_or(AccountError::UnknownUser)?;
            if let Some(email) = &row.email {
                emails::release(&tx, email);
            }
            tx.put::<AccountRows>(&user, &AccountRow { deactivated: true, email: None, ..row });
            let revoked = remove_devices(&tx, user, |_| true).await?;
            Ok(Decision::Commit { tx, value: (), revoked })
        })
        .await
    }

    /// Ends a session: its device and its tokens are deleted.
    ///
    /// # Errors
    /// The store's.
    pub async fn logout(&self, login: &Login) -> Result<(), AccountError> {
        self.delete_devices(login.user, std::slice::from_ref(&login.device)).await
    }

    /// Ends all sessions of a user.
    ///
    /// # Errors
    /// The store's.
    pub async fn logout_all(&self, user: UserNo) -> Result<(), AccountError> {
        self.decide(|tx| async move {
            let revoked = remove_devices(&tx, user, |_| true).await?;
            Ok(Decision::Commit { tx, value: (), revoked })
        })
        .await
    }

    async fn account_row(&self, login: &str) -> Result<Option<(UserNo, AccountRow)>, AccountError> {
        let user = match names::known_user_id(login, self.server_name()) {
            Some(user_id) => self.store.row::<UserNumbers>(&Text::from(user_id.as_str())).await?,
            None => emails::owner(&self.store, login).await?,
        };
        let Some(user) = user else { return Ok(None) };
        Ok(self.store.row::<AccountRows>(&user).await?.map(|row| (user, row)))
    }
}
