//! Which session an access token belongs to: asked by every request.
//!
//! One look into the cache, or one read of the store. The first use of a token that replaced another one
//! is a decision of its own: from then on the replaced tokens are worthless.

use std::sync::Arc;

use nexus_event_store::{Rows, UserNo, codec::Text};
use ruma::OwnedUserId;

use crate::{
    AccountError, Accounts,
    account::parse_user_id,
    decide::Decision,
    tables::{AccessRow, AccessTokens, Devices, TokenHash},
    tokens,
};

/// Who makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub user: UserNo,
    /// The user's id.
    pub user_id: OwnedUserId,
    /// The device the token is bound to.
    pub device: String,
    /// Whether the user is a bot.
    pub is_bot: bool,
    /// When the token stops being good; `None` = when it is revoked.
    pub expires_ms: Option<u64>,
}

impl Accounts {
    /// Whose access token this is (without `Bearer` or `Bot`); `None` if it was never given out or was
    /// revoked.
    ///
    /// # Errors
    /// [`AccountError::ExpiredToken`] when its time is over; the store's.
    pub async fn authenticate(&self, token: &str) -> Result<Option<Login>, AccountError> {
        let Some(hash) = tokens::access_hash(token) else { return Ok(None) };
        if let Some(login) = self.inner.cache.get(&hash) {
            self.check_expiry(login.expires_ms)?;
            return Ok(Some(Login::clone(&login)));
        }
        let ticket = self.inner.cache.ticket();
        let Some(row) = self.store.row::<AccessTokens>(&hash).await? else { return Ok(None) };
        self.check_expiry(row.expires_ms)?;
        let login = Arc::new(login_of(&row)?);
        if row.unused_successor {
            // Not cached yet: the decision has just revoked others, and the next request comes soon.
            return Ok(self.confirm_successor(hash).await?.then(|| Login::clone(&login)));
        }
        self.inner.cache.insert(ticket, hash, Arc::clone(&login));
        Ok(Some(Login::clone(&login)))
    }

    fn check_expiry(&self, expires_ms: Option<u64>) -> Result<(), AccountError> {
        match expires_ms {
            Some(expires_ms) if expires_ms <= self.now_ms() => Err(AccountError::ExpiredToken),
            _ => Ok(()),
        }
    }

    /// The first use of an access token that a refresh gave out: its predecessors are done with. False if
    /// it was revoked meanwhile.
    async fn confirm_successor(&self, hash: TokenHash) -> Result<bool, AccountError> {
        self.decide(|tx| async move {
            let Some(mut access) = tx.row::<AccessTokens>(&hash).await? else {
                return Ok(Decision::Nothing(false));
            };
            let key = (access.user, Text(access.device.clone()));
            let Some(mut device) = tx.row::<Devices>(&key).await? else {
                return Ok(Decision::Nothing(false));
            };
            if !access.unused_successor {
                return Ok(Decision::Nothing(true));
            }
            access.unused_successor = false;
            tx.put::<AccessTokens>(&hash, &access);
            let previous = device.previous_access.take();
            if let Some(previous) = &previous {
                tx.delete::<AccessTokens>(previous);
            }
            let revoked = previous.into_iter().map(|hash| (access.user, hash)).collect();
            if let Some(refresh) = &mut device.refresh {
                refresh.previous = None;
            }
            tx.put::<Devices>(&key, &device);
            Ok(Decision::Commit { tx, value: true, revoked })
        })
        .await
    }
}

fn login_of(row: &AccessRow) -> Result<Login, AccountError> {
    Ok(Login {
        user: row.user,
        user_id: parse_user_id(&row.user_id)?,
        device: row.device.clone(),
        is_bot: row.is_bot,
        expires_ms: row.expires_ms,
    })
}
