//! Whatever else a user shows of itself everywhere, beside name and picture: fields of any JSON value.
//!
//! **Bounds**: a key has at most [`KEY_BYTES_MAX`] bytes, all fields together at most [`PROFILE_BYTES_MAX`].
//! **Source**: Matrix v1.16, client-server API, "Profiles".

use std::collections::BTreeMap;

use nexus_event_store::{Rows, Scan, UserNo, catalogue::numbers, codec::Text, feed::Topic, table};

use crate::{
    AccountError, Accounts,
    decide::Decision,
    tables::{AccountRows, Profiles},
};

/// The longest key.
const KEY_BYTES_MAX: usize = 255;

/// The most that a profile holds: keys and values, with the little that JSON adds to each.
const PROFILE_BYTES_MAX: usize = 65_536;

/// Quotes, colon and comma of a field.
const FIELD_BYTES: usize = 4;

table! {
    /// Fields of profiles as JSON: (user, key).
    ProfileFields = numbers::PROFILE_FIELDS, "profile_fields", (UserNo, Text) => String
}

impl Accounts {
    /// The fields of a user of this server, as JSON.
    ///
    /// # Errors
    /// The store's.
    pub async fn profile_fields(&self, user: UserNo) -> Result<BTreeMap<String, String>, AccountError> {
        let rows = self.store.scan::<ProfileFields>(Scan::prefix::<ProfileFields>(&user)).await?;
        Ok(rows.into_iter().map(|((_, key), value)| (key.0, value)).collect())
    }

    /// One field, as JSON.
    ///
    /// # Errors
    /// The store's.
    pub async fn profile_field(&self, user: UserNo, key: &str) -> Result<Option<String>, AccountError> {
        Ok(self.store.row::<ProfileFields>(&(user, Text::from(key))).await?)
    }

    /// Sets a field to a JSON value, or with `None` removes it.
    ///
    /// # Errors
    /// [`AccountError::FieldTooLong`] for the `key` or the whole `profile`,
    /// [`AccountError::UnknownUser`]; the store's.
    pub async fn set_profile_field(
        &self,
        user: UserNo,
        key: &str,
        value: Option<String>,
    ) -> Result<(), AccountError> {
        if key.len() > KEY_BYTES_MAX {
            return Err(AccountError::FieldTooLong { field: "key", bytes_max: KEY_BYTES_MAX });
        }
        let (row_key, value) = (&(user, Text::from(key)), &value);
        self.decide(|tx| async move {
            tx.row::<AccountRows>(&user).await?.ok_or(AccountError::UnknownUser)?;
            // Fields set at once could together be too much: each rewrites the profile, which orders them.
            let profile = tx.row::<Profiles>(&user).await?.unwrap_or_default();
            tx.put::<Profiles>(&user, &profile);
            match value {
                None => tx.delete::<ProfileFields>(row_key),
                Some(value) => {
                    let others = tx.scan::<ProfileFields>(Scan::prefix::<ProfileFields>(&user)).await?;
                    let others = others.iter().filter(|((_, other), _)| *other != row_key.1);
                    let bytes: usize =
                        others.map(|((_, key), value)| key.0.len() + value.len() + FIELD_BYTES).sum();
                    if bytes + key.len() + value.len() + FIELD_BYTES > PROFILE_BYTES_MAX {
                        return Err(AccountError::FieldTooLong {
                            field: "profile",
                            bytes_max: PROFILE_BYTES_MAX,
                        });
                    }
                    tx.put::<ProfileFields>(row_key, value);
                }
            }
            tx.announce(Topic::User(user));
            Ok(Decision::commit(tx, ()))
        })
        .await
    }
}
