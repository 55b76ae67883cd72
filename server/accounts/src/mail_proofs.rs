//! Proofs that mail to an address reaches somebody: for new accounts, other addresses and lost passwords.
//!
//! A proof session begins when somebody asks for a mail. The mail's token proves the address; whoever asked then
//! uses the proof with the session's id and the secret that only they know, or, where the page behind the link does
//! all, with the token alone. **Shapes**: a session id is a hash of purpose, address and secret, so asking again
//! finds the same session. **Bounds**: a session and its token live for [`LIFE_MS`]. **Invariants**: a proof is good
//! once: whatever uses it deletes it in the same decision. Answers do not tell whether an address is known here.
//! Only hashes of tokens and secrets are kept.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use nexus_event_store::{Rows, Tx, UserNo, catalogue::numbers, codec::Text, table, versioned_value};
use nexus_rate_limits::{Action, name_key};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    AccountError, Accounts, PasswordChange,
    decide::Decision,
    emails,
    mail::MailKind,
    sessions::remove_devices,
    tables::{AccountRow, AccountRows, Emails, TokenHash},
};

/// How long a session and its link are good.
const LIFE_MS: u64 = 3_600_000;
const SECRET_BYTES_MAX: usize = 255;

table! {
    /// Proof sessions by id.
    MailProofs = numbers::MAIL_PROOFS, "mail_proofs", Text => ProofRow
}
table! {
    /// Which session a mailed token belongs to, by its hash.
    MailTokens = numbers::MAIL_TOKENS, "mail_tokens", TokenHash => String
}

/// What an address is proven for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// A new account.
    Register,
    /// Another address of an account; whose is said when the proof is used.
    AddAddress,
    /// A lost password: the proof is used by whoever asked for it.
    ConfirmReset,
    /// The address of a known account; the link does all.
    Verify,
    /// A lost password; the page behind the link asks for the new one.
    NewPassword,
}

/// A proof session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(unreachable_pub, reason = "`table!` declares a public struct, and its row is named by it")]
pub struct ProofRow {
    pub(crate) purpose: Purpose,
    pub(crate) address: String,
    pub(crate) user: Option<UserNo>,
    secret: TokenHash,
    send_attempt: u64,
    token: Option<TokenHash>,
    expires_ms: u64,
    proven: bool,
}
versioned_value!(ProofRow, 1);

/// Who asks for a mail.
#[derive(Clone)]
pub struct ProofRequest {
    /// What for.
    pub purpose: Purpose,
    /// The address.
    pub address: String,
    /// What only its client knows.
    pub secret: String,
    /// A mail is sent again only for a greater number.
    pub send_attempt: u64,
}

/// A session and its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ProofKey {
    /// The session's id.
    pub sid: String,
    /// What only its client knows.
    pub secret: String,
}

/// What the link in a mail is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailLink {
    /// What for.
    pub purpose: Purpose,
    /// The address it went to.
    pub address: String,
}

impl Accounts {
    /// Begins a proof session, or finds the one that there is, and queues its mail. Gives the session's id,
    /// whether or not the address is known here.
    ///
    /// # Errors
    /// [`AccountError::NoMail`], [`AccountError::InvalidEmail`], [`AccountError::FieldTooLong`],
    /// [`AccountError::Limited`]; the store's.
    pub async fn ask_for_proof(&self, request: ProofRequest) -> Result<String, AccountError> {
        self.begin_proof(request, None).await
    }

    /// The same for a user who is known.
    async fn begin_proof(&self, request: ProofRequest, user: Option<UserNo>) -> Result<String, AccountError> {
        if !self.sends_mail() {
            return Err(AccountError::NoMail);
        }
        let key = &emails::key(&request.address)?;
        if request.secret.len() > SECRET_BYTES_MAX {
            return Err(AccountError::FieldTooLong { field: "client_secret", bytes_max: SECRET_BYTES_MAX });
        }
        let sid = &session_id(&request, key);
        self.inner.config.limits.take(Action::MailTo, name_key(&key.0))?;
        let request = &request;
        self.decide(|tx| async move {
            let before = tx.row::<MailProofs>(&Text(sid.clone())).await?;
            let before = before.filter(|row| row.expires_ms > self.now_ms());
            if before.as_ref().is_some_and(|row| request.send_attempt <= row.send_attempt) {
                return Ok(Decision::commit(tx, ()));
            }
            let owner = match tx.row::<Emails>(key).await? {
                Some(owner) => tx.row::<AccountRows>(&owner).await?.map(|row| (owner, row)),
                None => None,
            };
            let (user, mail) = self.answer(request, user, owner, sid);
            let row = ProofRow {
                purpose: request.purpose,
                address: request.address.clone(),
                user,
                secret: hash_of(&request.secret),
                send_attempt: request.send_attempt,
                token: before.as_ref().and_then(|row| row.token),
                expires_ms: self.now_ms() + LIFE_MS,
                proven: before.is_some_and(|row| row.proven),
            };
            tx.put::<MailProofs>(&Text(sid.clone()), &row);
            if let Some(what) = mail {
                self.queue_mail(&tx, &request.address, what);
            }
            Ok(Decision::commit(tx, ()))
        })
        .await?;
        self.ring();
        Ok(sid.clone())
    }

    /// Whose account a session is about, and what the mail says, if there is one.
    fn answer(
        &self,
        request: &ProofRequest,
        user: Option<UserNo>,
        owner: Option<(UserNo, AccountRow)>,
        sid: &str,
    ) -> (Option<UserNo>, Option<MailKind>) {
        let proof = MailKind::Proof(sid.to_owned());
        match request.purpose {
            Purpose::ConfirmReset | Purpose::NewPassword => {
                // An address that nobody has gets no mail, and whoever asks learns nothing.
                let owner = owner.filter(|(_, row)| !row.deactivated).map(|(owner, _)| owner);
                (owner, owner.map(|_| proof))
            }
            Purpose::Register | Purpose::AddAddress | Purpose::Verify => match owner {
                Some((owner, row)) if row.email_verified && Some(owner) != user => {
                    (user, Some(MailKind::InUse { user_id: row.user_id }))
                }
                _ => (user, Some(proof)),
            },
        }
    }

    /// A new token for a session whose mail is about to be sent, in place of the one before.
    pub(crate) async fn mint_mail_token(
        &self,
        sid: &str,
    ) -> Result<Option<(ProofRow, String)>, AccountError> {
        let token = BASE64.encode(self.store.world().random_bytes::<32>());
        let hash = hash_of(&token);
        let key = &Text::from(sid);
        let row = self
            .decide(|tx| async move {
                let row = tx.row::<MailProofs>(key).await?;
                let row = row.filter(|row| row.expires_ms > self.now_ms() && !row.proven);
                let Some(mut row) = row else { return Ok(Decision::Nothing(None)) };
                if let Some(old) = row.token.replace(hash) {
                    tx.delete::<MailTokens>(&old);
                }
                tx.put::<MailTokens>(&hash, &key.0);
                tx.put::<MailProofs>(key, &row);
                Ok(Decision::commit(tx, Some(row)))
            })
            .await?;
        Ok(row.map(|row| (row, token)))
    }

    /// What the link with this token is for; `None` if it is not good (any more).
    ///
    /// # Errors
    /// The store's.
    pub async fn mail_link(&self, token: &str) -> Result<Option<MailLink>, AccountError> {
        let found = self.by_token(&self.store, token).await?;
        Ok(found.map(|(_, row)| MailLink { purpose: row.purpose, address: row.address }))
    }

    async fn by_token(
        &self,
        rows: &impl Rows,
        token: &str,
    ) -> Result<Option<(Text, ProofRow)>, AccountError> {
        let hash = hash_of(token);
        let Some(sid) = rows.row::<MailTokens>(&hash).await? else { return Ok(None) };
        let sid = Text(sid);
        let row = rows.row::<MailProofs>(&sid).await?;
        let row = row.filter(|row| row.token == Some(hash) && row.expires_ms > self.now_ms());
        Ok(row.map(|row| (sid, row)))
    }

    /// Somebody has opened the link and confirmed: the address is proven, and verified where the account is
    /// known. The token is used up.
    ///
    /// # Errors
    /// [`AccountError::UnknownProof`], also for a link that asks for a new password; the store's.
    pub async fn confirm_mail(&self, token: &str) -> Result<MailLink, AccountError> {
        self.decide(|tx| async move {
            let (sid, mut row) = self.by_token(&tx, token).await?.ok_or(AccountError::UnknownProof)?;
            let link = MailLink { purpose: row.purpose, address: row.address.clone() };
            match (row.purpose, row.user) {
                (Purpose::NewPassword, _) | (Purpose::Verify, None) => {
                    return Err(AccountError::UnknownProof);
                }
                (Purpose::Verify, Some(user)) => {
                    set_address(&tx, user, &row.address).await?;
                    delete(&tx, &sid, &row);
                }
                (Purpose::Register | Purpose::AddAddress | Purpose::ConfirmReset, _) => {
                    tx.delete::<MailTokens>(&hash_of(token));
                    row.token = None;
                    row.proven = true;
                    tx.put::<MailProofs>(&sid, &row);
                }
            }
            Ok(Decision::commit(tx, link))
        })
        .await
    }

    /// Whether a session's address is proven, for this purpose and secret.
    ///
    /// # Errors
    /// The store's.
    pub async fn is_proven(&self, key: &ProofKey, purpose: Purpose) -> Result<bool, AccountError> {
        match self.proven(&self.store, key, purpose).await {
            Ok(_) => Ok(true),
            Err(AccountError::UnknownProof) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn proven(
        &self,
        rows: &impl Rows,
        key: &ProofKey,
        purpose: Purpose,
    ) -> Result<ProofRow, AccountError> {
        let row = rows.row::<MailProofs>(&Text::from(key.sid.as_str())).await?;
        let is_good = |row: &ProofRow| {
            row.proven
                && row.purpose == purpose
                && row.expires_ms > self.now_ms()
                && row.secret == hash_of(&key.secret)
        };
        row.filter(is_good).ok_or(AccountError::UnknownProof)
    }

    /// Uses a proof up within `tx`; gives its address.
    pub(crate) async fn use_proof(
        &self,
        tx: &Tx,
        key: &ProofKey,
        purpose: Purpose,
    ) -> Result<ProofRow, AccountError> {
        let row = self.proven(tx, key, purpose).await?;
        delete(tx, &Text::from(key.sid.as_str()), &row);
        Ok(row)
    }

    /// Gives a user the address of a proof.
    ///
    /// # Errors
    /// [`AccountError::UnknownProof`], [`AccountError::EmailTaken`], [`AccountError::HasEmail`]; the store's.
    pub async fn add_address(&self, user: UserNo, key: &ProofKey) -> Result<(), AccountError> {
        self.decide(|tx| async move {
            let proof = self.use_proof(&tx, key, Purpose::AddAddress).await?;
            let row = tx.row::<AccountRows>(&user).await?.ok_or(AccountError::UnknownUser)?;
            if row.email_verified && row.email.as_ref() != Some(&proof.address) {
                return Err(AccountError::HasEmail);
            }
            set_address(&tx, user, &proof.address).await?;
            Ok(Decision::commit(tx, ()))
        })
        .await
    }

    /// Takes an address from a user; false if it is not the user's.
    ///
    /// # Errors
    /// The store's.
    pub async fn remove_address(&self, user: UserNo, address: &str) -> Result<bool, AccountError> {
        let key = &emails::key(address)?;
        self.decide(|tx| async move {
            let row = tx.row::<AccountRows>(&user).await?.ok_or(AccountError::UnknownUser)?;
            let has_it =
                row.email.as_deref().is_some_and(|email| emails::key(email).is_ok_and(|it| it == *key));
            if !has_it {
                return Ok(Decision::Nothing(false));
            }
            tx.delete::<Emails>(key);
            tx.put::<AccountRows>(&user, &AccountRow { email: None, email_verified: false, ..row });
            Ok(Decision::commit(tx, true))
        })
        .await
    }

    /// Asks a user to confirm an address, the present one or another; it becomes the user's when the link is
    /// opened. Without mail it is the user's at once, and not verified.
    ///
    /// # Errors
    /// [`AccountError::InvalidEmail`], [`AccountError::EmailTaken`], [`AccountError::Limited`]; the store's.
    pub async fn ask_to_verify(&self, user: UserNo, address: &str) -> Result<(), AccountError> {
        if !self.sends_mail() {
            let key = &emails::key(address)?;
            return self
                .decide(|tx| async move {
                    let row = tx.row::<AccountRows>(&user).await?.ok_or(AccountError::UnknownUser)?;
                    if tx.row::<Emails>(key).await?.is_some_and(|owner| owner != user) {
                        return Err(AccountError::EmailTaken);
                    }
                    if let Some(old) = &row.email {
                        emails::release(&tx, old);
                    }
                    tx.put::<Emails>(key, &user);
                    let email = Some(address.to_owned());
                    tx.put::<AccountRows>(&user, &AccountRow { email, email_verified: false, ..row });
                    Ok(Decision::commit(tx, ()))
                })
                .await;
        }
        let secret = BASE64.encode(self.store.world().random_bytes::<18>());
        let request =
            ProofRequest { purpose: Purpose::Verify, address: address.to_owned(), secret, send_attempt: 1 };
        self.begin_proof(request, Some(user)).await.map(drop)
    }

    /// Mails somebody who has forgotten the password a link to set another. Whether there is such an account
    /// is not told.
    ///
    /// # Errors
    /// [`AccountError::NoMail`], [`AccountError::Limited`]; the store's.
    pub async fn forgot_password(&self, login: &str) -> Result<(), AccountError> {
        if !self.sends_mail() {
            return Err(AccountError::NoMail);
        }
        let address = match self.account_by_name(login).await? {
            Some(account) => account.email,
            None => Some(login.trim().to_owned()),
        };
        let Some(address) = address.filter(|address| emails::key(address).is_ok()) else { return Ok(()) };
        let secret = BASE64.encode(self.store.world().random_bytes::<18>());
        let request = ProofRequest { purpose: Purpose::NewPassword, address, secret, send_attempt: 1 };
        match self.begin_proof(request, None).await {
            // Or it would tell that somebody has asked for this one before.
            Ok(_) | Err(AccountError::Limited { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sets a new password with the token of a link, and ends all sessions. Gives the user.
    ///
    /// # Errors
    /// [`AccountError::UnknownProof`], [`AccountError::WeakPassword`]; the store's.
    pub async fn reset_password(&self, token: &str, password: &str) -> Result<UserNo, AccountError> {
        let known = self.by_token(&self.store, token).await?;
        known.filter(|(_, row)| row.purpose == Purpose::NewPassword).ok_or(AccountError::UnknownProof)?;
        let hash = &self.inner.passwords.hash(self.store.world(), password).await?;
        let user = self
            .decide(|tx| async move {
                let (sid, row) = self.by_token(&tx, token).await?.ok_or(AccountError::UnknownProof)?;
                delete(&tx, &sid, &row);
                self.put_proven_password(tx, &row, hash, None, true).await
            })
            .await?;
        self.ring();
        Ok(user)
    }

    /// Sets a new password with a proof of the account's address.
    ///
    /// # Errors
    /// [`AccountError::UnknownProof`], [`AccountError::WeakPassword`]; the store's.
    pub async fn change_password_by_proof(
        &self,
        key: &ProofKey,
        change: PasswordChange,
    ) -> Result<UserNo, AccountError> {
        if !self.is_proven(key, Purpose::ConfirmReset).await? {
            return Err(AccountError::UnknownProof);
        }
        let hash = &self.inner.passwords.hash(self.store.world(), &change.password).await?;
        let change = &change;
        let user = self
            .decide(|tx| async move {
                let row = self.use_proof(&tx, key, Purpose::ConfirmReset).await?;
                let keep = change.keep_device.as_deref();
                self.put_proven_password(tx, &row, hash, keep, change.logout_others).await
            })
            .await?;
        self.ring();
        Ok(user)
    }

    /// Sets the password of the account that a proof is about. That the mail arrived verifies the address.
    async fn put_proven_password(
        &self,
        tx: Tx,
        proof: &ProofRow,
        hash: &str,
        keep: Option<&str>,
        logout_others: bool,
    ) -> Result<Decision<UserNo>, AccountError> {
        let user = proof.user.ok_or(AccountError::UnknownProof)?;
        let row = tx.row::<AccountRows>(&user).await?.filter(|row| row.application.is_none());
        // The address may be another's by now, or the account's no longer.
        let row = row
            .filter(|row| !row.deactivated && row.email.as_ref().is_some_and(|it| same(it, &proof.address)));
        let row = row.ok_or(AccountError::UnknownProof)?;
        self.queue_mail(&tx, &proof.address, MailKind::PasswordChanged { user_id: row.user_id.clone() });
        let password = Some(hash.to_owned());
        tx.put::<AccountRows>(&user, &AccountRow { password, email_verified: true, ..row });
        let revoked = remove_devices(&tx, user, |device| logout_others && Some(device) != keep).await?;
        Ok(Decision::Commit { tx, value: user, revoked })
    }
}

/// Makes an address that is proven the user's. Who only claimed it loses it.
pub(crate) async fn set_address(tx: &Tx, user: UserNo, address: &str) -> Result<(), AccountError> {
    let key = emails::key(address)?;
    if let Some(owner) = tx.row::<Emails>(&key).await?.filter(|owner| *owner != user)
        && let Some(row) = tx.row::<AccountRows>(&owner).await?
    {
        if row.email_verified {
            return Err(AccountError::EmailTaken);
        }
        tx.put::<AccountRows>(&owner, &AccountRow { email: None, ..row });
    }
    let row = tx.row::<AccountRows>(&user).await?.filter(|row| !row.deactivated);
    let row = row.ok_or(AccountError::UnknownUser)?;
    if let Some(old) = &row.email {
        emails::release(tx, old);
    }
    tx.put::<Emails>(&key, &user);
    let email = Some(address.to_owned());
    tx.put::<AccountRows>(&user, &AccountRow { email, email_verified: true, ..row });
    Ok(())
}

fn delete(tx: &Tx, sid: &Text, row: &ProofRow) {
    if let Some(token) = &row.token {
        tx.delete::<MailTokens>(token);
    }
    tx.delete::<MailProofs>(sid);
}

fn same(one: &str, other: &str) -> bool {
    matches!((emails::key(one), emails::key(other)), (Ok(one), Ok(other)) if one == other)
}

fn session_id(request: &ProofRequest, key: &Text) -> String {
    let purpose = request.purpose as u8;
    let text = format!("{purpose}\n{}\n{}", key.0, request.secret);
    BASE64.encode(&Sha256::digest(text)[..18])
}

fn hash_of(text: &str) -> TokenHash {
    TokenHash(Sha256::digest(text).into())
}
