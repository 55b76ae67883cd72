//! Password hashing: Argon2id on the CPU pool, kept in PHC form.
//!
//! A login for an unknown user is checked against a decoy of the same cost, so that it takes as long as a
//! wrong password. **Source**: OWASP Password Storage Cheat Sheet (m = 19 MiB, t = 2, p = 1).

use argon2::{
    Algorithm, Argon2, Params, PasswordVerifier, Version,
    password_hash::{Output, ParamsString, PasswordHash, PasswordHasher, SaltString},
};
use nexus_event_store::world::World;

use crate::AccountError;

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
#[derive(Clone)]
pub(crate) struct Passwords {
    argon2: Argon2<'static>,
    decoy: String,
}

impl Passwords {
    pub(crate) fn new(cost: PasswordCost) -> Self {
        let params = match cost {
            PasswordCost::Owasp => Params::new(19 * 1024, 2, 1, Some(Params::DEFAULT_OUTPUT_LEN)),
            PasswordCost::Minimum => Params::new(Params::MIN_M_COST, 1, 1, Some(Params::DEFAULT_OUTPUT_LEN)),
        };
        let params = params.expect("both sets of parameters are within the algorithm's bounds");
        let decoy = decoy(&params);
        Self { argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params), decoy }
    }

    /// Hashes a new password.
    pub(crate) async fn hash(&self, world: &World, password: &str) -> Result<String, AccountError> {
        check(password)?;
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
        let fits = check(password).is_ok();
        let password = if fits { password.to_owned() } else { String::new() };
        let job = move || {
            PasswordHash::new(&hash)
                .is_ok_and(|hash| argon2.verify_password(password.as_bytes(), &hash).is_ok())
        };
        let matches = world.compute(job).await.ok_or(AccountError::Stopping)?;
        Ok(matches && known && fits)
    }
}

/// Whether `password` may be set.
pub(crate) fn check(password: &str) -> Result<(), AccountError> {
    match password.len() {
        0 => Err(AccountError::WeakPassword),
        1..=PASSWORD_BYTES_MAX => Ok(()),
        _ => Err(AccountError::FieldTooLong { field: "password", bytes_max: PASSWORD_BYTES_MAX }),
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
        let passwords = Passwords::new(PasswordCost::Owasp);
        let hash = PasswordHash::new(&passwords.decoy).unwrap();
        assert_eq!(Params::try_from(&hash).unwrap(), *passwords.argon2.params());
        assert!(passwords.decoy.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", passwords.decoy);
    }
}
