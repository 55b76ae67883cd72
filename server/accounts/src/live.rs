//! Whether a session is still there, for what stays open longer than one request.
//!
//! A connection keeps the [`SessionMark`] of the session that opened it. Tokens may be refreshed and run out
//! meanwhile: the session goes on until it is logged out, revoked, or replaced by another on its device.
//! Whoever waits follows `Topic::User`, which is woken after every revocation.

use nexus_event_store::{Rows, UserNo, codec::Text};

use crate::{
    AccountError, Accounts,
    tables::{AccessTokens, DeviceRow, Devices, TokenHash},
    tokens,
};

/// Which session on a device.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionMark {
    user: UserNo,
    device: String,
    session: TokenHash,
    revocations: u64,
}

impl std::fmt::Debug for SessionMark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionMark")
            .field("user", &self.user)
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

impl Accounts {
    /// The session that an access token belongs to; `None` if it is not good (any more).
    ///
    /// # Errors
    /// The store's.
    pub async fn session_of(&self, token: &str) -> Result<Option<SessionMark>, AccountError> {
        let revocations = self.inner.cache.revocations();
        let Some(hash) = tokens::access_hash(token) else { return Ok(None) };
        let Some(access) = self.store.row::<AccessTokens>(&hash).await? else { return Ok(None) };
        let key = (access.user, Text(access.device.clone()));
        let Some(device) = self.store.row::<Devices>(&key).await? else { return Ok(None) };
        let session = match &device.refresh {
            Some(refresh) => refresh.family,
            None => hash,
        };
        Ok(Some(SessionMark { user: access.user, device: access.device, session, revocations }))
    }

    /// Whether a session is still there. Costs next to nothing while nobody's is revoked.
    ///
    /// # Errors
    /// The store's.
    pub async fn is_live(&self, mark: &mut SessionMark) -> Result<bool, AccountError> {
        let revocations = self.inner.cache.revocations();
        if revocations == mark.revocations {
            return Ok(true);
        }
        let key = (mark.user, Text(mark.device.clone()));
        let row = self.store.row::<Devices>(&key).await?;
        let live = row.is_some_and(|row| is_on(&row, &mark.session));
        mark.revocations = revocations;
        Ok(live)
    }
}

fn is_on(row: &DeviceRow, session: &TokenHash) -> bool {
    match &row.refresh {
        Some(refresh) => refresh.family == *session,
        None => row.access.as_ref() == Some(session),
    }
}
