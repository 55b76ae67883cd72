//! Rotating refresh tokens.
//!
//! A refresh gives a new access token and a new refresh token. The old ones stay good until one of the new
//! ones is first used, because the answer may have been lost; another refresh with the old token then
//! replaces the lost answer. All refresh tokens of a session share a secret, so a token that has the
//! secret but is neither the current nor the previous one is an old one: somebody has a copy, and the
//! session ends. **Source**: Matrix spec, "Refreshing access tokens"; RFC 9700 §4.14.

use nexus_event_store::{Rows, StoreError, Tx, UserNo, catalogue::Users, codec::Text};
use subtle::ConstantTimeEq;

use crate::{
    AccountError, Accounts, Session,
    account::parse_user_id,
    decide::{Decision, Revoked},
    sessions::{Holder, end_session},
    tables::{AccessTokens, DeviceRow, Devices, RefreshState, RefreshTokens, TokenHash},
    tokens::RefreshToken,
};

/// What a refresh token is to its session.
enum Standing {
    /// The newest.
    Current,
    /// The one before, while the newest is unused.
    Previous,
    /// Used up.
    Spent,
}

impl Accounts {
    /// New tokens for old.
    ///
    /// # Errors
    /// [`AccountError::UnknownToken`]; [`AccountError::TokenReused`] after it ended the session; the
    /// store's.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Session, AccountError> {
        let shown = &RefreshToken::parse(refresh_token).ok_or(AccountError::UnknownToken)?;
        // The inner result is one that has been written: a revocation is a decision, too.
        self.decide(|tx| async move {
            let family =
                tx.row::<RefreshTokens>(&shown.family_hash()).await?.ok_or(AccountError::UnknownToken)?;
            let key = (family.user, Text(family.device.clone()));
            let mut row = tx.row::<Devices>(&key).await?.ok_or(AccountError::UnknownToken)?;
            let state = row.refresh.clone().ok_or(AccountError::UnknownToken)?;
            let (value, revoked) = match standing(&state, shown) {
                Standing::Spent => {
                    tracing::info!(user.id = %family.user, "a spent refresh token was shown: its session ends");
                    (Err(AccountError::TokenReused), end_session(&tx, family.user, &mut row))
                }
                standing => {
                    let revoked = retire(&tx, family.user, &mut row, matches!(standing, Standing::Current));
                    row.last_used_ms = self.now_ms();
                    let next = shown.successor(self.store.world());
                    let current = next.own_hash();
                    row.refresh = Some(RefreshState { current, previous: Some(shown.own_hash()), ..state });
                    let holder = refreshing_holder(&tx, family.user).await?;
                    (Ok(self.put_access_token(&tx, &holder, &family.device, &mut row, Some(&next))), revoked)
                }
            };
            tx.put::<Devices>(&key, &row);
            Ok(Decision::Commit { tx, value, revoked })
        })
        .await?
    }
}

fn standing(state: &RefreshState, shown: &RefreshToken) -> Standing {
    let shown = shown.own_hash();
    let is = |hash: &TokenHash| bool::from(hash.0.ct_eq(&shown.0));
    if is(&state.current) {
        Standing::Current
    } else if state.previous.as_ref().is_some_and(is) {
        Standing::Previous
    } else {
        Standing::Spent
    }
}

/// Makes room for a new access token. After the current refresh token the newest access token becomes the
/// previous one; after the previous refresh token the newest was never received and goes.
fn retire(tx: &Tx, user: UserNo, row: &mut DeviceRow, was_current: bool) -> Revoked {
    let newest = row.access.take();
    let gone = if was_current { std::mem::replace(&mut row.previous_access, newest) } else { newest };
    if let Some(hash) = &gone {
        tx.delete::<AccessTokens>(hash);
    }
    gone.into_iter().map(|hash| (user, hash)).collect()
}

/// Refreshable sessions are people's: bots have lasting tokens.
async fn refreshing_holder(tx: &Tx, user: UserNo) -> Result<Holder, StoreError> {
    let user_id = parse_user_id(&tx.existing::<Users>(&user).await?)?;
    Ok(Holder { user, user_id, bot: None })
}
