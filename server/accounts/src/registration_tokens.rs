//! Registration tokens: what an administrator hands out so that somebody may register.
//!
//! They count where an invite code is asked for. **Shapes**: 1 to 64 characters of `A-Z a-z 0-9 . _ ~ -`, as
//! Matrix wants them. They are kept as they are, because an administrator looks them up to pass them on; they
//! open an account and nothing else. **Invariant**: a token is used at most as often as it may be, also by
//! registrations at the same moment: its row is read and written by the registration's own decision.
//! **Source**: Matrix v1.19, client-server API, "Token-authenticated registration".

use nexus_event_store::{Rows, Scan, StoreError, Tx, codec::Text};

use crate::{
    AccountError, Accounts,
    decide::Decision,
    tables::{RegistrationTokenRow, RegistrationTokens},
};

const TOKEN_CHARS_MAX: usize = 64;
/// So many there may be.
const TOKENS_MAX: usize = 10_000;
/// What a token that nobody named is made of: letters and digits that cannot be taken for one another.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789_";
const MADE_UP_CHARS: usize = 16;

/// A registration token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationToken {
    /// The token itself.
    pub token: String,
    /// How often it may be used; `None` = any number of times.
    pub uses_max: Option<u32>,
    /// How often it was used.
    pub uses: u32,
    /// When it ends; `None` = never.
    pub expires_ms: Option<u64>,
    /// When it was made.
    pub created_ms: u64,
}

/// A registration token that is wanted.
#[derive(Clone, Debug, Default)]
pub struct NewRegistrationToken {
    /// The token; `None` makes one up.
    pub token: Option<String>,
    /// How often it may be used; `None` = any number of times.
    pub uses_max: Option<u32>,
    /// When it ends; `None` = never.
    pub expires_ms: Option<u64>,
}

impl RegistrationToken {
    fn of_row(token: String, row: RegistrationTokenRow) -> Self {
        let RegistrationTokenRow { uses_max, uses, expires_ms, created_ms } = row;
        Self { token, uses_max, uses, expires_ms, created_ms }
    }
}

impl Accounts {
    /// Makes a registration token.
    ///
    /// # Errors
    /// [`AccountError::BadRegistrationToken`]; the store's.
    pub async fn create_registration_token(
        &self,
        new: NewRegistrationToken,
    ) -> Result<RegistrationToken, AccountError> {
        let token = match new.token {
            Some(token) if is_token(&token) => token,
            Some(_) => {
                return Err(AccountError::BadRegistrationToken("must be 1 to 64 of A-Z a-z 0-9 . _ ~ -"));
            }
            None => self.made_up_token(),
        };
        if self.registration_tokens().await?.len() >= TOKENS_MAX {
            return Err(AccountError::BadRegistrationToken("is one too many: revoke others first"));
        }
        let row = RegistrationTokenRow {
            uses_max: new.uses_max,
            uses: 0,
            expires_ms: new.expires_ms,
            created_ms: self.now_ms(),
        };
        let (key, row) = (&Text(token.clone()), &row);
        self.decide(|tx| async move {
            if tx.row::<RegistrationTokens>(key).await?.is_some() {
                return Err(AccountError::BadRegistrationToken("exists already"));
            }
            tx.put::<RegistrationTokens>(key, row);
            Ok(Decision::commit(tx, ()))
        })
        .await?;
        Ok(RegistrationToken::of_row(token, row.clone()))
    }

    /// All registration tokens, also those that are used up.
    ///
    /// # Errors
    /// The store's.
    pub async fn registration_tokens(&self) -> Result<Vec<RegistrationToken>, AccountError> {
        let rows = self.store.scan::<RegistrationTokens>(Scan::prefix::<RegistrationTokens>(&())).await?;
        Ok(rows.into_iter().map(|(token, row)| RegistrationToken::of_row(token.0, row)).collect())
    }

    /// Deletes a registration token; false if there was none.
    ///
    /// # Errors
    /// The store's.
    pub async fn revoke_registration_token(&self, token: &str) -> Result<bool, AccountError> {
        let key = &Text::from(token);
        self.decide(|tx| async move {
            if tx.row::<RegistrationTokens>(key).await?.is_none() {
                return Ok(Decision::Nothing(false));
            }
            tx.delete::<RegistrationTokens>(key);
            Ok(Decision::commit(tx, true))
        })
        .await
    }

    fn made_up_token(&self) -> String {
        let bytes: [u8; MADE_UP_CHARS] = self.store.world().random_bytes();
        bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
    }
}

/// The token that `code` is, if it may be used.
pub(crate) async fn usable(
    rows: &impl Rows,
    code: &str,
    now_ms: u64,
) -> Result<Option<(Text, RegistrationTokenRow)>, StoreError> {
    if !is_token(code) {
        return Ok(None);
    }
    let key = Text::from(code);
    let row = rows.row::<RegistrationTokens>(&key).await?;
    Ok(row.filter(|row| may_be_used(row, now_ms)).map(|row| (key, row)))
}

/// Counts a use within the registration's own decision.
pub(crate) fn use_up(tx: &Tx, token: &Text, row: RegistrationTokenRow) {
    tx.put::<RegistrationTokens>(token, &RegistrationTokenRow { uses: row.uses.saturating_add(1), ..row });
}

fn may_be_used(row: &RegistrationTokenRow, now_ms: u64) -> bool {
    row.uses_max.is_none_or(|max| row.uses < max) && row.expires_ms.is_none_or(|end| now_ms < end)
}

fn is_token(text: &str) -> bool {
    (1..=TOKEN_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte))
}
