//! Two-factor authentication: time-based one-time codes (TOTP) and recovery codes.
//!
//! Who has it on gets a session only for the password and a code, on whichever API. A code is good for its
//! half minute, one before and one after, and only once: its step must be later than that of the last code
//! used. Recovery codes are good once each. **Shapes**: SHA-1, 6 digits, 30 s, as all authenticator apps have
//! it; a recovery code is `xxxxx-xxxxx` in base32, kept as SHA-256. The TOTP secret is kept as it is: see the
//! record on it. **Bounds**: [`TICKETS_MAX`] tickets, five minutes and five attempts each. **Source**: RFC 6238.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use nexus_event_store::{Rows, Tx, UserNo};
use nexus_rate_limits::{Action, Key};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use totp_rs::{Algorithm, Secret, TOTP};

use nexus_event_store::{catalogue::numbers, table, versioned_value};

use crate::{
    AccountError, Accounts, Session, SessionRequest,
    decide::Decision,
    login::Known,
    tables::{AccountRows, TokenHash},
};

const STEP_S: u64 = 30;
const SECRET_BYTES_MIN: usize = 10;
const SECRET_BYTES_MAX: usize = 128;
const RECOVERY_CODES: usize = 10;
const TICKETS_MAX: usize = 10_000;
const TICKET_LIFE_MS: u64 = 5 * 60 * 1000;
const TICKET_ATTEMPTS: u32 = 5;
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

table! {
    /// The second factors of those who have one.
    SecondFactors = numbers::SECOND_FACTORS, "second_factors", UserNo => SecondFactorRow
}

/// A second factor.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(unreachable_pub, reason = "`table!` declares a public struct, and its row is named by it")]
pub struct SecondFactorRow {
    /// What the authenticator app knows.
    secret: Vec<u8>,
    /// The step of the last code that was used.
    last_step: u64,
    /// Hashes of the recovery codes that were not used.
    recovery: Vec<TokenHash>,
    enabled_ms: u64,
}
versioned_value!(SecondFactorRow, 1);

impl std::fmt::Debug for SecondFactorRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecondFactorRow").field("last_step", &self.last_step).finish_non_exhaustive()
    }
}

impl SecondFactorRow {
    /// The row once `code` was used; `None` if the code is not good.
    fn spend(&self, code: &str, now_ms: u64) -> Option<Self> {
        let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        if let Some(step) = matching_step(&self.secret, &code, now_ms) {
            return (step > self.last_step).then(|| Self { last_step: step, ..self.clone() });
        }
        let shown = recovery_hash(&code);
        let mut recovery = self.recovery.clone();
        recovery.retain(|hash| !bool::from(hash.0.ct_eq(&shown.0)));
        (recovery.len() < self.recovery.len()).then(|| Self { recovery, ..self.clone() })
    }
}

/// What stands for a password that was right, until the second factor is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket(pub String);

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ticket")
    }
}

struct Pending {
    known: Known,
    session: SessionRequest,
    expires_ms: u64,
    attempts: u32,
}

/// The open tickets, by hash. In memory: after a restart one logs in anew.
#[derive(Default)]
pub(crate) struct Tickets(Mutex<BTreeMap<TokenHash, Pending>>);

impl Accounts {
    /// A ticket for somebody whose password was right.
    pub(crate) fn issue_ticket(&self, known: Known, session: SessionRequest) -> Ticket {
        let ticket = BASE64.encode(self.store.world().random_bytes::<32>());
        let expires_ms = self.now_ms() + TICKET_LIFE_MS;
        let mut tickets = self.inner.tickets.0.lock();
        if tickets.len() >= TICKETS_MAX {
            let now_ms = self.now_ms();
            tickets.retain(|_, pending| pending.expires_ms > now_ms);
        }
        if tickets.len() >= TICKETS_MAX
            && let Some(oldest) = tickets.iter().min_by_key(|(_, pending)| pending.expires_ms)
        {
            let oldest = *oldest.0;
            tickets.remove(&oldest);
        }
        tickets.insert(hash_of(&ticket), Pending { known, session, expires_ms, attempts: 0 });
        Ticket(ticket)
    }

    /// Starts the session that a ticket stands for.
    ///
    /// # Errors
    /// [`AccountError::UnknownTicket`], [`AccountError::WrongCode`], [`AccountError::Limited`]; what a login
    /// has.
    pub async fn login_with_ticket(&self, ticket: &str, code: &str) -> Result<Session, AccountError> {
        let hash = hash_of(ticket);
        let (known, session) = {
            let mut tickets = self.inner.tickets.0.lock();
            let now_ms = self.now_ms();
            let pending = tickets.get_mut(&hash).filter(|pending| pending.expires_ms > now_ms);
            let pending = pending.ok_or(AccountError::UnknownTicket)?;
            pending.attempts += 1;
            if pending.attempts > TICKET_ATTEMPTS {
                tickets.remove(&hash);
                return Err(AccountError::UnknownTicket);
            }
            (pending.known.clone(), pending.session.clone())
        };
        let session = self.login_with_code(&known, &session, code).await?;
        self.inner.tickets.0.lock().remove(&hash);
        Ok(session)
    }

    /// Starts a session for a password that was right and a code; wrong codes are counted.
    pub(crate) async fn login_with_code(
        &self,
        known: &Known,
        session: &SessionRequest,
        code: &str,
    ) -> Result<Session, AccountError> {
        let key = Key::User(known.user);
        self.inner.config.limits.take(Action::WrongPassword, key)?;
        let result = self.finish_login(known, session, Some(code)).await;
        if !matches!(result, Err(AccountError::WrongCode)) {
            self.inner.config.limits.give_back(Action::WrongPassword, key);
        }
        result
    }

    /// Whether a user has a second factor.
    ///
    /// # Errors
    /// The store's.
    pub async fn has_second_factor(&self, user: UserNo) -> Result<bool, AccountError> {
        Ok(self.store.row::<SecondFactors>(&user).await?.is_some())
    }

    /// How many recovery codes a user has left; `None` without a second factor.
    ///
    /// # Errors
    /// The store's.
    pub async fn recovery_codes_left(&self, user: UserNo) -> Result<Option<usize>, AccountError> {
        Ok(self.store.row::<SecondFactors>(&user).await?.map(|row| row.recovery.len()))
    }

    /// Turns the second factor on, for whoever knows the password and shows that the app works. Gives the
    /// recovery codes: the only moment at which they are known.
    ///
    /// # Errors
    /// [`AccountError::SecondFactorIs`], [`AccountError::InvalidSecret`], [`AccountError::WrongPassword`],
    /// [`AccountError::WrongCode`], [`AccountError::Limited`]; the store's.
    pub async fn enable_second_factor(
        &self,
        user: UserNo,
        password: &str,
        secret: &str,
        code: &str,
    ) -> Result<Vec<String>, AccountError> {
        let secret = parse_secret(secret)?;
        if self.has_second_factor(user).await? {
            return Err(AccountError::SecondFactorIs { enabled: true });
        }
        self.check_password(user, password).await?;
        let step = matching_step(&secret, code.trim(), self.now_ms()).ok_or(AccountError::WrongCode)?;
        let (codes, recovery) = self.recovery_codes();
        let row = &SecondFactorRow { secret, last_step: step, recovery, enabled_ms: self.now_ms() };
        self.decide(|tx| async move {
            tx.row::<AccountRows>(&user).await?.ok_or(AccountError::UnknownUser)?;
            if tx.row::<SecondFactors>(&user).await?.is_some() {
                return Err(AccountError::SecondFactorIs { enabled: true });
            }
            tx.put::<SecondFactors>(&user, row);
            Ok(Decision::commit(tx, ()))
        })
        .await?;
        Ok(codes)
    }

    /// Turns the second factor off, for whoever has it.
    ///
    /// # Errors
    /// [`AccountError::SecondFactorIs`], [`AccountError::WrongCode`], [`AccountError::Limited`]; the store's.
    pub async fn disable_second_factor(&self, user: UserNo, code: &str) -> Result<(), AccountError> {
        let key = Key::User(user);
        self.inner.config.limits.take(Action::WrongPassword, key)?;
        let result = self
            .decide(|tx| async move {
                spend(&tx, user, code, self.now_ms()).await?;
                tx.delete::<SecondFactors>(&user);
                Ok(Decision::commit(tx, ()))
            })
            .await;
        if !matches!(result, Err(AccountError::WrongCode)) {
            self.inner.config.limits.give_back(Action::WrongPassword, key);
        }
        result
    }

    /// Takes a user's second factor away, for an administrator; false if there was none.
    ///
    /// # Errors
    /// The store's.
    pub async fn remove_second_factor(&self, user: UserNo) -> Result<bool, AccountError> {
        self.decide(|tx| async move {
            if tx.row::<SecondFactors>(&user).await?.is_none() {
                return Ok(Decision::Nothing(false));
            }
            tx.delete::<SecondFactors>(&user);
            Ok(Decision::commit(tx, true))
        })
        .await
    }

    /// New recovery codes in place of the old, for whoever knows the password.
    ///
    /// # Errors
    /// [`AccountError::SecondFactorIs`], [`AccountError::WrongPassword`], [`AccountError::Limited`]; the store's.
    pub async fn renew_recovery_codes(
        &self,
        user: UserNo,
        password: &str,
    ) -> Result<Vec<String>, AccountError> {
        self.check_password(user, password).await?;
        let (codes, recovery) = self.recovery_codes();
        let recovery = &recovery;
        self.decide(|tx| async move {
            let row = tx.row::<SecondFactors>(&user).await?;
            let row = row.ok_or(AccountError::SecondFactorIs { enabled: false })?;
            tx.put::<SecondFactors>(&user, &SecondFactorRow { recovery: recovery.clone(), ..row });
            Ok(Decision::commit(tx, ()))
        })
        .await?;
        Ok(codes)
    }

    fn recovery_codes(&self) -> (Vec<String>, Vec<TokenHash>) {
        let code = || {
            let bytes: [u8; 10] = self.store.world().random_bytes();
            let text = bytes.map(|byte| char::from(BASE32[usize::from(byte % 32)]));
            let (left, right) = text.split_at(5);
            format!("{}-{}", String::from_iter(left), String::from_iter(right))
        };
        let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| code()).collect();
        let hashes = codes.iter().map(|code| recovery_hash(code)).collect();
        (codes, hashes)
    }
}

/// Uses a code up within `tx`.
pub(crate) async fn spend(tx: &Tx, user: UserNo, code: &str, now_ms: u64) -> Result<(), AccountError> {
    let row = tx.row::<SecondFactors>(&user).await?;
    let row = row.ok_or(AccountError::SecondFactorIs { enabled: false })?;
    tx.put::<SecondFactors>(&user, &row.spend(code, now_ms).ok_or(AccountError::WrongCode)?);
    Ok(())
}

/// The password and the code of a client that knows only a password: the code is its end.
pub(crate) fn split_code(password: &str) -> Option<(&str, &str)> {
    let is_digits = |code: &str| code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit());
    let is_recovery = |code: &str| {
        code.len() == 11
            && code.as_bytes()[5] == b'-'
            && code.bytes().enumerate().all(|(at, byte)| at == 5 || BASE32.contains(&byte))
    };
    let at = |length: usize| password.len().checked_sub(length).filter(|at| password.is_char_boundary(*at));
    let split = |length: usize| at(length).map(|at| password.split_at(at));
    split(6).filter(|(_, code)| is_digits(code)).or_else(|| split(11).filter(|(_, code)| is_recovery(code)))
}

/// The step whose code this is: the present one or a neighbour.
fn matching_step(secret: &[u8], code: &str, now_ms: u64) -> Option<u64> {
    if code.len() != 6 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let totp = TOTP::new_unchecked(Algorithm::SHA1, 6, 0, STEP_S, secret.to_vec());
    let now = now_ms / 1000 / STEP_S;
    let is_code = |step: u64| bool::from(totp.generate(step * STEP_S).as_bytes().ct_eq(code.as_bytes()));
    [now, now.saturating_sub(1), now + 1].into_iter().find(|step| is_code(*step))
}

fn parse_secret(text: &str) -> Result<Vec<u8>, AccountError> {
    let text: String = text.chars().filter(|c| !c.is_whitespace() && *c != '=' && *c != '-').collect();
    if text.len() > 2 * SECRET_BYTES_MAX {
        return Err(AccountError::InvalidSecret);
    }
    let bytes =
        Secret::Encoded(text.to_ascii_uppercase()).to_bytes().map_err(|_| AccountError::InvalidSecret)?;
    if (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&bytes.len()) {
        Ok(bytes)
    } else {
        Err(AccountError::InvalidSecret)
    }
}

fn recovery_hash(code: &str) -> TokenHash {
    let plain: String = code.chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect();
    hash_of(&plain)
}

fn hash_of(text: &str) -> TokenHash {
    TokenHash(Sha256::digest(text).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 6238, appendix B, SHA-1; the last six of its eight digits.
        let secret = b"12345678901234567890";
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(matching_step(secret, code, seconds * 1000), Some(seconds / 30), "{seconds}");
        }
        assert_eq!(matching_step(secret, "287082", 89_000), Some(1), "one step late");
        assert_eq!(matching_step(secret, "287082", 120_000), None, "two steps late");
        for bad in ["", "28708", "2870822", "28708x", "２８７０８２"] {
            assert_eq!(matching_step(secret, bad, 59_000), None, "{bad}");
        }
    }

    #[test]
    fn secrets_are_read_as_apps_write_them() {
        let secret = parse_secret("gezd gnbv gy3t qojq gezd gnbv gy3t qojq").unwrap();
        assert_eq!(secret, b"12345678901234567890");
        for bad in ["", "GEZD", "not base32!", &"A".repeat(1000)] {
            assert!(matches!(parse_secret(bad), Err(AccountError::InvalidSecret)), "{bad}");
        }
    }

    #[test]
    fn a_code_is_the_end_of_a_password() {
        assert_eq!(split_code("secret123456"), Some(("secret", "123456")));
        assert_eq!(split_code("secretabcde-22345"), Some(("secret", "abcde-22345")));
        for none in ["", "12345", "secret12345", "é12345", "secretabcde-1234"] {
            assert_eq!(split_code(none), None, "{none}");
        }
    }
}
