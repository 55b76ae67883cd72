//! Mail: a durable queue, and the task that empties it.
//!
//! Who asks for a mail writes a row and is answered; the mail goes out beside it and is tried again after a
//! failure, also across restarts. **Shapes**: (when it is due, a random id) → what is to be said to whom; the text
//! and any token in it are made when the mail is sent, so no token lies on disk. **Bounds**: a mail is tried
//! [`ATTEMPTS_MAX`] times over [`BACKOFF`]. **Errors**: logged with the id of the row and without the address.

use std::{sync::Arc, time::Duration};

use nexus_event_store::{
    Scan, Tx, catalogue::numbers, codec::Text, table, versioned_value, world::BoxFuture,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::{AccountError, Accounts, decide::Decision, mail_texts};

/// So long after the first, second, … failure it is tried again; the last counts on.
const BACKOFF: [Duration; 4] = [
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(20 * 60),
];
const ATTEMPTS_MAX: u32 = 6;
/// Mails sent between two looks at the clock.
const BATCH: usize = 32;
/// The longest sleep: the clock may be set forward.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// A mail that is ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// One address.
    pub to: String,
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Why a mail was not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailFailure {
    /// Trying again is no use.
    pub is_permanent: bool,
    /// For the log.
    pub reason: String,
}

/// Sends mail.
pub trait MailTransport: Send + Sync {
    /// Sends one mail.
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), MailFailure>>;
}

/// How the accounts send mail.
#[derive(Clone)]
pub struct MailConfig {
    /// What sends it.
    pub transport: Arc<dyn MailTransport>,
    /// Where clients reach the server, without a slash at the end: links begin with it.
    pub public_url: String,
}

/// Wakes the task that empties the queue.
#[derive(Default)]
pub(crate) struct MailBell(Notify);

table! {
    /// Mails to be sent: (when, a random id).
    MailQueue = numbers::MAIL_QUEUE, "mail_queue", (u64, Text) => MailRow
}

/// A mail to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(unreachable_pub, reason = "`table!` declares a public struct, and its row is named by it")]
pub struct MailRow {
    pub(crate) to: String,
    pub(crate) what: MailKind,
    pub(crate) attempts: u32,
}
versioned_value!(MailRow, 1);

/// What a mail says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum MailKind {
    /// The link of the proof session with this id.
    Proof(String),
    /// Somebody wanted to use the address for another account than this user's.
    InUse { user_id: String },
    /// This user's password was changed.
    PasswordChanged { user_id: String },
}

impl Accounts {
    /// Whether this server sends mail.
    pub fn sends_mail(&self) -> bool {
        self.inner.config.mail.is_some()
    }

    /// Starts the task that empties the queue, if this server sends mail.
    pub fn start_mail(&self) {
        if let Some(config) = self.inner.config.mail.clone() {
            let accounts = self.clone();
            self.store.world().spawn("mail", async move { accounts.run_mail(&config).await });
        }
    }

    async fn run_mail(&self, config: &MailConfig) {
        loop {
            let next = match self.send_due(config).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::error!(%error, "the mail queue cannot be worked off");
                    None
                }
            };
            let wait = next.map_or(LOOK_EVERY, |due_ms| {
                Duration::from_millis(due_ms.saturating_sub(self.now_ms())).min(LOOK_EVERY)
            });
            let late = self.store.world().clock.sleep(wait);
            tokio::select! {
                biased;
                () = self.inner.bell.0.notified() => {}
                () = late => {}
            }
        }
    }

    /// Sends what is due; gives when the next mail will be.
    async fn send_due(&self, config: &MailConfig) -> Result<Option<u64>, AccountError> {
        loop {
            let scan = Scan::prefix::<MailQueue>(&()).limit(BATCH);
            let rows = self.store.scan::<MailQueue>(scan).await?;
            let Some(((first_ms, _), _)) = rows.first() else { return Ok(None) };
            if *first_ms > self.now_ms() {
                return Ok(Some(*first_ms));
            }
            for (key, row) in rows {
                if key.0 <= self.now_ms() {
                    self.send_one(config, key, row).await?;
                }
            }
        }
    }

    async fn send_one(
        &self,
        config: &MailConfig,
        key: (u64, Text),
        row: MailRow,
    ) -> Result<(), AccountError> {
        let id = key.1.0.clone();
        let sent = match self.compose(&row, &config.public_url).await? {
            Some(mail) => config.transport.send(mail).await,
            // What it was about is over.
            None => Ok(()),
        };
        let retry = match sent {
            Ok(()) => None,
            Err(failure) if failure.is_permanent || row.attempts + 1 >= ATTEMPTS_MAX => {
                tracing::warn!(
                    mail.id = id,
                    reason = failure.reason,
                    "a mail could not be sent, it is given up"
                );
                None
            }
            Err(failure) => {
                tracing::info!(mail.id = id, reason = failure.reason, "a mail could not be sent yet");
                let step = usize::try_from(row.attempts).unwrap_or(usize::MAX).min(BACKOFF.len() - 1);
                let due_ms = self.now_ms() + u64::try_from(BACKOFF[step].as_millis()).unwrap_or(u64::MAX);
                Some(((due_ms, key.1.clone()), MailRow { attempts: row.attempts + 1, ..row }))
            }
        };
        let (key, retry) = (&key, &retry);
        self.decide(|tx| async move {
            tx.delete::<MailQueue>(key);
            if let Some((key, row)) = retry {
                tx.put::<MailQueue>(key, row);
            }
            Ok(Decision::commit(tx, ()))
        })
        .await
    }

    /// The text of a mail; `None` if there is nothing to say any more.
    async fn compose(&self, row: &MailRow, public_url: &str) -> Result<Option<Mail>, AccountError> {
        Ok(match &row.what {
            MailKind::Proof(sid) => self
                .mint_mail_token(sid)
                .await?
                .map(|(proof, token)| mail_texts::proof(&row.to, &proof, &token, public_url)),
            MailKind::InUse { user_id } => Some(mail_texts::in_use(&row.to, user_id)),
            MailKind::PasswordChanged { user_id } => Some(mail_texts::password_changed(&row.to, user_id)),
        })
    }

    /// Queues a mail within `tx`; [`ring`](Self::ring) once that is durable.
    pub(crate) fn queue_mail(&self, tx: &Tx, to: &str, what: MailKind) {
        let id = format!("{:016x}", self.store.world().random_u64());
        let row = MailRow { to: to.to_owned(), what, attempts: 0 };
        tx.put::<MailQueue>(&(self.now_ms(), Text(id)), &row);
    }

    /// There may be a new mail.
    pub(crate) fn ring(&self) {
        self.inner.bell.0.notify_one();
    }
}
