//! Logging in and out, and what else takes a password.

use nexus_event_store::{Rows, UserNo, catalogue::UserNumbers, codec::Text};
use nexus_rate_limits::{Action, Key, name_key};

use crate::{
    AccountError, Accounts, Login, Session, SessionRequest,
    account::parse_user_id,
    decide::Decision,
    emails, names,
    second_factor::{self, SecondFactors},
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

/// Somebody whose password was right, as the account stood then.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) user: UserNo,
    row: AccountRow,
}

impl Accounts {
    /// Starts a session.
    ///
    /// # Errors
    /// [`AccountError::WrongPassword`] for unknown users and bots, too; [`AccountError::Deactivated`] to
    /// the one who knows the password; [`AccountError::SecondFactorRequired`] with what
    /// [`login_with_ticket`](Self::login_with_ticket) takes; [`AccountError::InvalidDevice`],
    /// [`AccountError::Limited`], [`AccountError::Busy`]; the store's.
    pub async fn login(&self, request: LoginRequest) -> Result<Session, AccountError> {
        request.session.check()?;
        let found = self.account_row(&request.login).await?;
        let known = self.known(&request.login, &request.password, found).await?;
        match self.finish_login(&known, &request.session, None).await {
            Err(AccountError::WrongCode) => {
                let ticket = self.issue_ticket(known, request.session);
                Err(AccountError::SecondFactorRequired { ticket })
            }
            result => result,
        }
    }

    /// Starts a session for a client that can only ask for a password: whoever has a second factor writes
    /// its code behind the password.
    ///
    /// # Errors
    /// As [`login`](Self::login), but [`AccountError::WrongPassword`] for a missing or wrong code, too.
    pub async fn login_in_one_step(&self, request: LoginRequest) -> Result<Session, AccountError> {
        request.session.check()?;
        let found = self.account_row(&request.login).await?;
        let needs_code = match &found {
            Some((user, _)) => self.has_second_factor(*user).await?,
            None => false,
        };
        if !needs_code {
            let known = self.known(&request.login, &request.password, found).await?;
            return match self.finish_login(&known, &request.session, None).await {
                // Turned on at this very moment.
                Err(AccountError::WrongCode) => Err(AccountError::WrongPassword),
                result => result,
            };
        }
        let (password, code) =
            second_factor::split_code(&request.password).unwrap_or((&request.password, ""));
        let known = self.known(&request.login, password, found).await?;
        match self.login_with_code(&known, &request.session, code).await {
            Err(AccountError::WrongCode) => Err(AccountError::WrongPassword),
            result => result,
        }
    }

    /// Checks a password, in the same time whether or not there is such an account. Wrong ones are counted,
    /// and so are passwords for names that nobody has, so that both are refused after as many.
    async fn known(
        &self,
        login: &str,
        password: &str,
        found: Option<(UserNo, AccountRow)>,
    ) -> Result<Known, AccountError> {
        let key = match &found {
            Some((user, _)) => Key::User(*user),
            None => name_key(&login.trim().to_lowercase()),
        };
        let hash = found.as_ref().and_then(|(_, row)| row.password.clone());
        self.verify_counted(key, password, hash).await?;
        let (user, row) = found.ok_or(AccountError::WrongPassword)?;
        Ok(self.with_current_hash(Known { user, row }, password).await)
    }

    /// The password's only check: a token is taken for it, and given back if it is right.
    async fn verify_counted(
        &self,
        key: Key,
        password: &str,
        hash: Option<String>,
    ) -> Result<(), AccountError> {
        let limits = &self.inner.config.limits;
        limits.take(Action::WrongPassword, key)?;
        let right = self.inner.passwords.verify(self.store.world(), password, hash).await;
        if !matches!(right, Ok(false)) {
            limits.give_back(Action::WrongPassword, key);
        }
        if right? { Ok(()) } else { Err(AccountError::WrongPassword) }
    }

    /// Hashes the password anew if it was hashed with other parameters than those of today.
    async fn with_current_hash(&self, known: Known, password: &str) -> Known {
        let Some(old) = known.row.password.clone().filter(|hash| self.inner.passwords.is_outdated(hash))
        else {
            return known;
        };
        // A password from before there was a least length stays good, and as it is.
        let Ok(new) = self.inner.passwords.hash(self.store.world(), password).await else { return known };
        let (user, old, new) = (known.user, &old, &new);
        let renewed = self
            .decide(|tx| async move {
                let row = tx.row::<AccountRows>(&user).await?;
                let row = row.filter(|row| row.password.as_ref() == Some(old));
                let Some(row) = row else { return Ok(Decision::Nothing(None)) };
                let row = AccountRow { password: Some(new.clone()), ..row };
                tx.put::<AccountRows>(&user, &row);
                Ok(Decision::commit(tx, Some(row)))
            })
            .await;
        match renewed {
            Ok(Some(row)) => Known { row, ..known },
            // The old hash is as good as it was.
            Ok(None) | Err(_) => known,
        }
    }

    /// Starts a session for somebody whose password was right. [`AccountError::WrongCode`] also when a code
    /// is needed and none is given.
    pub(crate) async fn finish_login(
        &self,
        known: &Known,
        request: &SessionRequest,
        code: Option<&str>,
    ) -> Result<Session, AccountError> {
        let (user, row) = (known.user, &known.row);
        let holder = &Holder { user, user_id: parse_user_id(&row.user_id)?, bot: None };
        self.decide(|tx| async move {
            let current = tx.row::<AccountRows>(&user).await?;
            // Changed while its hash was computed: what was checked is no longer the password.
            let Some(current) = current.filter(|current| current.password == row.password) else {
                return Err(AccountError::WrongPassword);
            };
            if current.deactivated {
                return Err(AccountError::Deactivated);
            }
            if tx.row::<SecondFactors>(&user).await?.is_some() {
                let code = code.ok_or(AccountError::WrongCode)?;
                second_factor::spend(&tx, user, code, self.now_ms()).await?;
            }
            let (session, revoked) = self.start_session(&tx, holder, request).await?;
            Ok(Decision::Commit { tx, value: session, revoked })
        })
        .await
    }

    /// Checks a user's password again, before something that matters.
    ///
    /// # Errors
    /// [`AccountError::WrongPassword`], [`AccountError::Limited`], [`AccountError::Busy`]; the store's.
    pub async fn check_password(&self, user: UserNo, password: &str) -> Result<(), AccountError> {
        let hash = self.store.row::<AccountRows>(&user).await?.and_then(|row| row.password);
        self.verify_counted(Key::User(user), password, hash).await
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
