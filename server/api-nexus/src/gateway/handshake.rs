//! Identify and resume: from a token to a session.

use nexus_accounts::{AccountError, Login, SessionMark};
use nexus_event_store::Position;

use super::{
    Gateway,
    checkpoint::{Label, restore},
    intents::Intents,
    machine::{SessionMachine, in_shard},
    protocol::{Close, Identify, Resume},
    session::{Resuming, Session, Stop},
};
use crate::{auth::bare_token, error::ApiError};

/// A gap of more commits than this is not replayed.
const REPLAY_COMMITS_MAX: u64 = 200_000;

/// A client that resumes so often without acknowledging anything is to start anew.
const RESUMES_MAX: usize = 64;

/// Sessions that nobody came back to are removed after a week.
const KEPT_FOR_MS: u64 = 7 * 24 * 3600 * 1000;

/// Why there is no session.
#[derive(Debug)]
pub(crate) enum Refused {
    Close(Close),
    /// Op 9: identify anew.
    InvalidSession,
    Failed(ApiError),
}

impl<E: Into<ApiError>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Stop> for Refused {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::CannotReplay => Self::InvalidSession,
            Stop::InvalidSeq => Self::Close(Close::InvalidSeq),
            Stop::Failed(error) => Self::Failed(error),
        }
    }
}

async fn login(gateway: &Gateway, token: &str) -> Result<(Login, SessionMark), Refused> {
    let accounts = &gateway.inner.objects.accounts;
    match accounts.authenticate(bare_token(token)).await {
        Ok(Some(login)) => match accounts.session_of(bare_token(token)).await? {
            Some(mark) => Ok((login, mark)),
            // Revoked at this very moment.
            None => Err(Refused::Close(Close::BadToken)),
        },
        Ok(None) | Err(AccountError::ExpiredToken) => Err(Refused::Close(Close::BadToken)),
        Err(error) => Err(error.into()),
    }
}

/// A new session, on disk before its client hears of it.
pub(crate) async fn identify(gateway: &Gateway, identify: Identify) -> Result<Session, Refused> {
    let (login, mark) = login(gateway, &identify.token).await?;
    let intents = match identify.intents {
        Some(bits) => Intents::parse(bits).ok_or(Refused::Close(Close::InvalidIntents))?,
        // People's clients do not have to say.
        None if !login.is_bot => Intents::VALID,
        None => return Err(Refused::Close(Close::InvalidIntents)),
    };
    let views = &gateway.inner.objects.views;
    // What comes after this position is folded, so the guilds are read later and may only know more.
    let position: Position = views.store().visible();
    let mut machine = SessionMachine {
        user: login.user,
        intents,
        shard: identify.shard,
        seq: 0,
        position,
        guilds: Default::default(),
        resumed_at: Vec::new(),
    };
    for guild in views.guilds_of(login.user).await? {
        if let Some(id) = views.room_snowflake(guild).await?
            && in_shard(id, identify.shard)
        {
            machine.guilds.insert(guild);
        }
    }
    let id = session_id(gateway);
    let label = Label { id, device: login.device, large_threshold: identify.large_threshold };
    let hold = gateway.inner.live.take(&label.id).await;
    let session = Session::open(gateway.clone(), label, machine, hold, mark, None).await?;
    session.hold.save(&gateway.inner.objects.accounts, session.first_checkpoint()).await?;
    prune(gateway);
    Ok(session)
}

/// An earlier session, folded on from its checkpoint.
pub(crate) async fn resume(gateway: &Gateway, resume: Resume) -> Result<Session, Refused> {
    let (login, mark) = login(gateway, &resume.token).await?;
    let accounts = &gateway.inner.objects.accounts;
    let id = &resume.session_id;
    let found = accounts.gateway_session(id).await?.filter(|record| record.user == login.user);
    if found.is_none() {
        return Err(Refused::InvalidSession);
    }
    // Only now nobody else writes the record, so only now it is read to go on from.
    let hold = gateway.inner.live.take(id).await;
    let record = accounts.gateway_session(id).await?.ok_or(Refused::InvalidSession)?;
    let (label, machine) = restore(record).ok_or(Refused::InvalidSession)?;
    let until = gateway.inner.objects.views.store().visible();
    let gap = until.0.saturating_sub(machine.position.0);
    let too_often = machine.resumed_at.len() >= RESUMES_MAX;
    if resume.seq < machine.seq || gap > REPLAY_COMMITS_MAX || too_often {
        return Err(Refused::InvalidSession);
    }
    let resuming = Resuming { seq: resume.seq, until };
    Ok(Session::open(gateway.clone(), label, machine, hold, mark, Some(resuming)).await?)
}

fn session_id(gateway: &Gateway) -> String {
    let bytes: [u8; 16] = gateway.world().random_bytes();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Now and then removes sessions that nobody came back to.
fn prune(gateway: &Gateway) {
    if !gateway.world().random_u64().is_multiple_of(64) {
        return;
    }
    let accounts = gateway.inner.objects.accounts.clone();
    let before_ms = gateway.world().now().0.saturating_sub(KEPT_FOR_MS);
    gateway.world().spawn("gateway-prune", async move {
        if let Err(error) = accounts.prune_gateway_sessions(before_ms).await {
            tracing::warn!(%error, "old gateway sessions could not be removed");
        }
    });
}
