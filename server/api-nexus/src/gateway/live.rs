//! Which sessions have a connection now: one each. Whoever resumes a session takes it from a connection
//! that has not noticed yet that it is dead.
//!
//! **Invariant**: a session's record is written by its newest connection only, one write at a time; once
//! [`LiveSessions::take`] has returned, no earlier connection writes it any more.

use std::{collections::BTreeMap, sync::Arc};

use nexus_accounts::{AccountError, Accounts, GatewaySession};
use tokio::sync::Notify;

/// One connection's claim to a session.
#[derive(Default)]
struct Claim {
    taken: Notify,
    /// Whether the record is somebody else's by now, or gone.
    is_over: tokio::sync::Mutex<bool>,
}

type Sessions = Arc<parking_lot::Mutex<BTreeMap<String, Arc<Claim>>>>;

/// The connected sessions by id.
#[derive(Clone, Default)]
pub(crate) struct LiveSessions(Sessions);

/// A connection's hold on a session, until its last clone is dropped.
#[derive(Clone)]
pub(crate) struct Hold(Arc<Held>);

struct Held {
    sessions: Sessions,
    id: String,
    claim: Arc<Claim>,
}

impl LiveSessions {
    /// Takes a session, from another connection if need be.
    pub(crate) async fn take(&self, id: &str) -> Hold {
        let claim = Arc::new(Claim::default());
        let previous = self.0.lock().insert(id.to_owned(), Arc::clone(&claim));
        if let Some(previous) = previous {
            previous.taken.notify_one();
            *previous.is_over.lock().await = true;
        }
        Hold(Arc::new(Held { sessions: Arc::clone(&self.0), id: id.to_owned(), claim }))
    }
}

impl Hold {
    /// Resolves when another connection has taken the session.
    pub(crate) async fn lost(&self) {
        self.0.claim.taken.notified().await;
    }

    /// Keeps the session's record, unless it is another connection's by now.
    pub(crate) async fn save(&self, accounts: &Accounts, record: GatewaySession) -> Result<(), AccountError> {
        let is_over = self.0.claim.is_over.lock().await;
        if *is_over { Ok(()) } else { accounts.save_gateway_session(record).await }
    }

    /// Removes the session's record for good.
    pub(crate) async fn forget(&self, accounts: &Accounts) -> Result<(), AccountError> {
        let mut is_over = self.0.claim.is_over.lock().await;
        if std::mem::replace(&mut *is_over, true) {
            return Ok(());
        }
        accounts.delete_gateway_session(&self.0.id).await
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut sessions = self.sessions.lock();
        if sessions.get(&self.id).is_some_and(|claim| Arc::ptr_eq(claim, &self.claim)) {
            sessions.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_connection_has_the_session() {
        let live = LiveSessions::default();
        let first = live.take("s").await;
        let second = live.take("s").await;
        first.lost().await;
        assert!(*first.0.claim.is_over.lock().await, "it writes no more");
        drop(first);
        assert_eq!(live.0.lock().len(), 1, "a lost hold does not let go of another's");
        drop(second);
        assert!(live.0.lock().is_empty());
    }
}
