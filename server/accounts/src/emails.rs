//! E-mail addresses as another name to log in by.
//!
//! **Shapes**: an address is `local@domain`, at most 254 bytes (RFC 5321's path), kept as given and looked up
//! in lower case. **Invariant**: one address belongs to one account. That it can receive mail is not checked.

use nexus_event_store::{Rows, StoreError, Tx, UserNo, codec::Text};

use crate::{AccountError, tables::Emails};

const ADDRESS_BYTES_MAX: usize = 254;

/// An address in the form it is looked up by.
pub(crate) fn key(address: &str) -> Result<Text, AccountError> {
    let well_formed = address.len() <= ADDRESS_BYTES_MAX
        && !address.chars().any(|character| character.is_whitespace() || character.is_control())
        && address
            .split_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
    if well_formed { Ok(Text(address.to_lowercase())) } else { Err(AccountError::InvalidEmail) }
}

/// Gives a free address to `user` within `tx`.
pub(crate) async fn claim(tx: &Tx, key: &Text, user: UserNo) -> Result<(), AccountError> {
    if tx.row::<Emails>(key).await?.is_some() {
        return Err(AccountError::EmailTaken);
    }
    tx.put::<Emails>(key, &user);
    Ok(())
}

/// Frees the address of an account that is no more.
pub(crate) fn release(tx: &Tx, address: &str) {
    if let Ok(key) = key(address) {
        tx.delete::<Emails>(&key);
    }
}

/// Whose an address is; nobody's if it is none.
pub(crate) async fn owner(rows: &impl Rows, address: &str) -> Result<Option<UserNo>, StoreError> {
    match key(address) {
        Ok(key) => rows.row::<Emails>(&key).await,
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_name_and_a_place() {
        assert_eq!(key("Ada@Example.org").unwrap(), Text::from("ada@example.org"));
        for bad in ["", "ada", "@example.org", "ada@", "a@b@c", "a b@c", "a@b\n"] {
            assert!(matches!(key(bad), Err(AccountError::InvalidEmail)), "{bad:?}");
        }
        assert!(key(&format!("{}@x", "a".repeat(253))).is_err());
    }
}
