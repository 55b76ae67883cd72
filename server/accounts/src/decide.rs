//! How every change here is made: read, decide, stage, wait until durable, and decide again on a conflict.
//!
//! **Invariant**: once a decision is staged, the tokens it revokes leave the cache when it becomes
//! durable, and whoever waits with one of them is woken, even if the request that asked for it is dropped while it waits.

use std::{future::Future, sync::Arc};

use nexus_event_store::{StoreError, Tx, UserNo, feed::Topic};
use tokio::sync::oneshot;

use crate::{AccountError, Accounts, tables::TokenHash};

/// A decision that keeps losing to others is given up after this many attempts.
const ATTEMPTS: usize = 32;

/// Access tokens that are no longer good, and whose they were.
pub(crate) type Revoked = Vec<(UserNo, TokenHash)>;

/// What came out of an attempt.
pub(crate) enum Decision<T> {
    /// Nothing to write. Not for what only staged rows say: they may still be refused.
    Nothing(T),
    /// To be written, then answered with `value`.
    Commit {
        tx: Tx,
        value: T,
        /// What it revokes.
        revoked: Revoked,
    },
}

impl<T> Decision<T> {
    /// Writes `tx`, which revokes nothing.
    pub(crate) fn commit(tx: Tx, value: T) -> Self {
        Decision::Commit { tx, value, revoked: Vec::new() }
    }
}

impl Accounts {
    /// Runs `attempt` until its decision is durable.
    pub(crate) async fn decide<T, F, A>(&self, attempt: F) -> Result<T, AccountError>
    where
        F: Fn(Tx) -> A + Send + Sync,
        A: Future<Output = Result<Decision<T>, AccountError>> + Send,
        T: Send,
    {
        for _ in 0..ATTEMPTS {
            match attempt(self.store.begin()).await? {
                Decision::Nothing(value) => return Ok(value),
                Decision::Commit { tx, value, revoked } => match self.commit(tx, revoked).await {
                    Ok(()) => return Ok(value),
                    Err(StoreError::Conflict) => {}
                    Err(error) => return Err(error.into()),
                },
            }
        }
        Err(StoreError::Conflict.into())
    }

    async fn commit(&self, tx: Tx, revoked: Revoked) -> Result<(), StoreError> {
        let staged = tx.stage()?;
        if revoked.is_empty() {
            return staged.durable().await.map(drop);
        }
        // From here on the revocation happens whether or not anybody waits for it, so the cache must hear
        // of it in a task of its own.
        let (inner, feed) = (Arc::clone(&self.inner), Arc::clone(self.store.feed()));
        let (done, receive) = oneshot::channel();
        self.store.world().spawn("revoke-tokens", async move {
            let result = staged.durable().await.map(drop);
            inner.cache.forget(revoked.iter().map(|(_, hash)| hash));
            // Whoever waits with one of the tokens looks again whether it is good.
            for (user, _) in &revoked {
                feed.wake(Topic::User(*user));
            }
            // Nobody waits any more if the request was dropped.
            drop(done.send(result));
        });
        receive.await.unwrap_or(Err(StoreError::Stopped))
    }
}
