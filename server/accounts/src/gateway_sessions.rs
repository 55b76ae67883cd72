//! Gateway sessions, kept so that they can be resumed after a restart of the server.
//!
//! **Shapes**: `state` is the facade's own; nothing here looks into it. Whoever resumes one compares the
//! user and device with those of the token shown.

use nexus_event_store::{Position, Rows, Scan, UserNo, codec::Text};

use crate::{
    AccountError, Accounts,
    decide::Decision,
    tables::{GatewaySessionRow, GatewaySessions},
};

/// Rows looked at per decision when old sessions are removed.
const PRUNE_STEP: usize = 256;

/// A gateway session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewaySession {
    /// Its secret id.
    pub id: String,
    /// Whose it is.
    pub user: UserNo,
    /// The device of the token it was opened with.
    pub device: String,
    /// The last sequence number sent.
    pub seq: u64,
    /// How much of the stream it has seen.
    pub position: Position,
    /// What else the facade needs to go on.
    pub state: Vec<u8>,
}

impl Accounts {
    /// Keeps a gateway session, in place of what was kept of it before.
    ///
    /// # Errors
    /// The store's.
    pub async fn save_gateway_session(&self, session: GatewaySession) -> Result<(), AccountError> {
        let session = &session;
        self.decide(|tx| async move {
            let GatewaySession { id, user, device, seq, position, state } = session.clone();
            let row = GatewaySessionRow { user, device, seq, position, state, saved_ms: self.now_ms() };
            tx.put::<GatewaySessions>(&Text(id), &row);
            Ok(Decision::commit(tx, ()))
        })
        .await
    }

    /// A gateway session.
    ///
    /// # Errors
    /// The store's.
    pub async fn gateway_session(&self, id: &str) -> Result<Option<GatewaySession>, AccountError> {
        let row = self.store.row::<GatewaySessions>(&Text::from(id)).await?;
        Ok(row.map(|row| {
            let GatewaySessionRow { user, device, seq, position, state, .. } = row;
            GatewaySession { id: id.to_owned(), user, device, seq, position, state }
        }))
    }

    /// Removes a gateway session, if it is there.
    ///
    /// # Errors
    /// The store's.
    pub async fn delete_gateway_session(&self, id: &str) -> Result<(), AccountError> {
        self.decide(|tx| async move {
            tx.delete::<GatewaySessions>(&Text::from(id));
            Ok(Decision::commit(tx, ()))
        })
        .await
    }

    /// Removes gateway sessions last saved before a moment; gives how many.
    ///
    /// # Errors
    /// The store's.
    pub async fn prune_gateway_sessions(&self, before_ms: u64) -> Result<usize, AccountError> {
        let mut removed = 0;
        let mut scan = Scan::prefix::<GatewaySessions>(&()).limit(PRUNE_STEP);
        loop {
            let rows = self.store.scan::<GatewaySessions>(scan).await?;
            let Some((last, _)) = rows.last() else { return Ok(removed) };
            scan = Scan::prefix::<GatewaySessions>(&()).after::<GatewaySessions>(last).limit(PRUNE_STEP);
            let old = rows.iter().filter(|(_, row)| row.saved_ms < before_ms).map(|(id, _)| id);
            let old = &old.collect::<Vec<_>>();
            removed += self
                .decide(|tx| async move {
                    let mut count = 0;
                    for id in old {
                        // Saved again since it was looked at: it stays.
                        if tx.row::<GatewaySessions>(id).await?.is_some_and(|row| row.saved_ms < before_ms) {
                            tx.delete::<GatewaySessions>(id);
                            count += 1;
                        }
                    }
                    Ok(if count == 0 { Decision::Nothing(0) } else { Decision::commit(tx, count) })
                })
                .await?;
        }
    }
}
