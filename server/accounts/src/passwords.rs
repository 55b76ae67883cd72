//! Password hashing: Argon2id on the CPU pool, kept in PHC form.
//!
//! Each hash takes 19 MiB and tens of milliseconds, so only a few are computed at once and only
//! [`HASHES_WAITING_MAX`] may wait; more are refused at once, and a flood of logins can exhaust neither the
//! memory nor the CPU pool that others need. A login for an unknown user is checked against a decoy of the same cost, so that it takes as long as a
//! wrong password. **Source**: OWASP Password Storage Cheat Sheet (m = 19 MiB, t = 2, p = 1).

use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::{
    Algorithm, Argon2, Params, PasswordVerifier, Version,
    password_hash::{Output, ParamsString, PasswordHash, PasswordHasher, SaltString},
};
use nexus_event_store::world::World;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::AccountError;

/// So many hashes may wait for their turn.
const HASHES_WAITING_MAX: usize = 512;

/// A password has at least so many bytes (NIST SP 800-63B).
const PASSWORD_BYTES_MIN: usize = 8;

/// Longer passwords are refused, so that nobody can make the server hash megabytes.
const PASSWORD_BYTES_MAX: usize = 1024;

/// How hard passwords are hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordCost {
    /// What OWASP recommends.
    Owasp,
    /// As little as the algorithm allows: for tests.
    Minimum,
}

/// Hashes and verifies.
pub(crate) struct Passwords {
    argon2: Argon2<'static>,
    decoy: String,
    bytes_min: usize,
    gate: Semaphore,
    waiting: AtomicUsize,
}

/// A hash waits for its turn until this is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Passwords {
    /// At most `hashes_at_once` are computed at the same time.
    pub(crate) fn new(cost: PasswordCost, hashes_at_once: usize) -> Self {
        let bytes_min = match cost {
            PasswordCost::Owasp => PASSWORD_BYTES_MIN,
            PasswordCost::Minimum => 1,
        };
        let params = match cost {
            PasswordCost::Owasp => Params::new(19 * 1024, 2, 1, Some(Params::DEFAULT_OUTPUT_LEN)),
            PasswordCost::Minimum => Params::new(Params::MIN_M_COST, 1, 1, Some(Params::DEFAULT_OUTPUT_LEN)),
        };
        let params = params.expect("both sets of parameters are within the algorithm's bounds");
        let decoy = decoy(&params);
        Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            decoy,
            bytes_min,
            gate: Semaphore::new(hashes_at_once.max(1)),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Waits for this hash's turn.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, AccountError> {
        if let Ok(permit) = self.gate.try_acquire() {
            return Ok(permit);
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if before >= HASHES_WAITING_MAX {
            return Err(AccountError::Busy);
        }
        self.gate.acquire().await.map_err(|_| AccountError::Stopping)
    }

    /// Whether `hash` was made with other parameters than a new one would be.
    pub(crate) fn is_outdated(&self, hash: &str) -> bool {
        let params = PasswordHash::new(hash).ok().map(|hash| Params::try_from(&hash));
        !matches!(params, Some(Ok(params)) if params == *self.argon2.params())
    }

    /// Whether `password` may be set.
    pub(crate) fn check(&self, password: &str) -> Result<(), AccountError> {
        match password.len() {
            short if short < self.bytes_min => Err(AccountError::WeakPassword { bytes_min: self.bytes_min }),
            long if long > PASSWORD_BYTES_MAX => {
                Err(AccountError::FieldTooLong { field: "password", bytes_max: PASSWORD_BYTES_MAX })
            }
            _ => Ok(()),
        }
    }

    /// Hashes a new password.
    pub(crate) async fn hash(&self, world: &World, password: &str) -> Result<String, AccountError> {
        self.check(password)?;
        let _turn = self.turn().await?;
        let argon2 = self.argon2.clone();
        let salt: [u8; 16] = world.random_bytes();
        let password = password.to_owned();
        let job = move || {
            let salt = SaltString::encode_b64(&salt)?;
            argon2.hash_password(password.as_bytes(), &salt).map(|hash| hash.to_string())
        };
        let hash = world.compute(job).await.ok_or(AccountError::Stopping)?;
        Ok(hash.expect("hashing a bounded password with checked parameters does not fail"))
    }

    /// Whether `password` is the one behind `hash`; without a hash it is not, after the same time.
    pub(crate) async fn verify(
        &self,
        world: &World,
        password: &str,
        hash: Option<String>,
    ) -> Result<bool, AccountError> {
        let argon2 = self.argon2.clone();
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.decoy.clone());
        // A password that could not have been set is still checked, against nothing, to take its time.
        let fits = password.len() <= PASSWORD_BYTES_MAX;
        let password = if fits { password.to_owned() } else { String::new() };
        let job = move || {
            PasswordHash::new(&hash)
                .is_ok_and(|hash| argon2.verify_password(password.as_bytes(), &hash).is_ok())
        };
        let _turn = self.turn().await?;
        let matches = world.compute(job).await.ok_or(AccountError::Stopping)?;
        Ok(matches && known && fits)
    }
}

/// The hash of no password.
fn decoy(params: &Params) -> String {
    let salt = SaltString::encode_b64(&[0; 16]).expect("16 bytes are a valid salt");
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).expect("parameters have a text form"),
        salt: Some(salt.as_salt()),
        hash: Some(Output::new(&[0; Params::DEFAULT_OUTPUT_LEN]).expect("32 bytes are a valid output")),
    };
    hash.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_decoy_costs_what_a_password_costs() {
        let passwords = Passwords::new(PasswordCost::Owasp, 1);
        let hash = PasswordHash::new(&passwords.decoy).unwrap();
        assert_eq!(Params::try_from(&hash).unwrap(), *passwords.argon2.params());
        assert!(passwords.decoy.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", passwords.decoy);
        assert!(!passwords.is_outdated(&passwords.decoy));
        let cheaper = Passwords::new(PasswordCost::Minimum, 1);
        assert!(passwords.is_outdated(&cheaper.decoy));
        assert!(passwords.is_outdated("$2b$12$abc") && passwords.is_outdated(""));
    }

    #[tokio::test]
    async fn a_flood_of_hashes_is_refused_and_not_queued() {
        let passwords = Passwords::new(PasswordCost::Minimum, 1);
        let running = passwords.turn().await.unwrap();
        let mut queue: Vec<_> = (0..HASHES_WAITING_MAX).map(|_| Box::pin(passwords.turn())).collect();
        for waiting in &mut queue {
            assert!(futures_util::poll!(waiting).is_pending());
        }
        assert!(matches!(passwords.turn().await, Err(AccountError::Busy)));
        // Who gives up makes room.
        drop(queue.pop());
        let mut late = Box::pin(passwords.turn());
        assert!(futures_util::poll!(&mut late).is_pending());
        drop((queue, running));
        assert!(late.await.is_ok());
        assert_eq!(passwords.waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn short_and_endless_passwords_are_refused() {
        let passwords = Passwords::new(PasswordCost::Owasp, 1);
        assert!(matches!(passwords.check("seven77"), Err(AccountError::WeakPassword { bytes_min: 8 })));
        assert!(passwords.check("eight888").is_ok());
        assert!(passwords.check(&"a".repeat(1024)).is_ok());
        assert!(matches!(passwords.check(&"a".repeat(1025)), Err(AccountError::FieldTooLong { .. })));
    }
}
