//! Throws every view away and derives it again from the log: `nexus views rebuild`.
//!
//! The stream is replayed in order through the same [`project`] that live events pass, so the result equals
//! what was there. Redacted events lie in the log in their redacted form and say nothing any more; what a
//! redaction took away is a primary record and stays. **Bounds**: a chunk of deletions or commits at a time.
//! **Errors**: nobody else may write meanwhile, else [`StoreError::Conflict`]. When it was interrupted the
//! views are incomplete, [`is_unfinished`] says so, and running it again puts that right.

use nexus_event_store::{
    Position, Rows as _, Scan, Store, StoreError, Tx,
    catalogue::{Events, Meta, Stream},
    codec::Text,
    kv::{Batch, Family, RowKey, Span},
    rows::EventPlace,
};

use crate::{
    Reader,
    event::{Caches, Event},
    project::{NewEvent, project},
};

/// The first table number of the views, and the one after their last.
pub const VIEW_TABLES: (u8, u8) = (32, 64);

/// Rows that are deleted at once.
const ROWS: usize = 4096;

/// Commits that are replayed at once, and the number of events after which no further one is.
const COMMITS: usize = 256;
const EVENTS: usize = 1024;

/// In `meta` while the views are incomplete.
const UNFINISHED: &str = "views_rebuild";

/// How far a rebuild is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RebuildProgress {
    /// The newest commit whose events are in the views again.
    pub done: Position,
    /// The newest commit that is to be.
    pub until: Position,
    /// How many events that were so far.
    pub events: u64,
}

/// Whether a rebuild was begun and not brought to its end: the views then must not be read.
///
/// # Errors
/// Store errors.
pub async fn is_unfinished(store: &Store) -> Result<bool, StoreError> {
    Ok(store.row::<Meta>(&Text::from(UNFINISHED)).await?.is_some())
}

/// Derives all views again; `progress` is told after each chunk.
///
/// # Errors
/// Store errors; [`StoreError::Missing`] when the log itself is damaged.
pub async fn rebuild(store: &Store, mut progress: impl FnMut(RebuildProgress)) -> Result<(), StoreError> {
    let mut state = RebuildProgress { done: Position::START, until: store.visible(), events: 0 };
    let begun = store.begin();
    begun.put::<Meta>(&Text::from(UNFINISHED), &state.until.to_string());
    begun.stage()?.durable().await?;
    throw_away(store).await?;
    let caches = Caches::default();
    while state.done < state.until {
        replay_chunk(store, &caches, &mut state).await?;
        progress(state);
    }
    let ended = store.begin();
    ended.delete::<Meta>(&Text::from(UNFINISHED));
    ended.stage()?.durable().await.map(drop)
}

/// Deletes the rows of all views, whether they decode or not.
async fn throw_away(store: &Store) -> Result<(), StoreError> {
    let (first, end) = VIEW_TABLES;
    for family in Family::ALL {
        let mut from = vec![first];
        loop {
            let span = Span { family, from, until: Some(vec![end]), reverse: false, limit: ROWS };
            let rows = store.engine().range(span).await?;
            let Some((last, _)) = rows.last() else { break };
            // The key that follows: the deleted ones need not be passed over again.
            from = [last.as_ref(), &[0]].concat();
            let delete = |key: &[u8]| (RowKey { family, bytes: key.to_vec() }, None);
            let writes = rows.iter().map(|(key, _)| delete(key)).collect();
            store.engine().commit(Batch { preconditions: Vec::new(), writes }).await?;
        }
    }
    Ok(())
}

/// Replays the next commits.
async fn replay_chunk(store: &Store, caches: &Caches, state: &mut RebuildProgress) -> Result<(), StoreError> {
    let scan = Scan::prefix::<Stream>(&()).from::<Stream>(&state.done.next());
    let commits = store.scan::<Stream>(scan.until::<Stream>(&state.until.next()).limit(COMMITS)).await?;
    if commits.is_empty() {
        return Err(StoreError::Missing { table: "stream" });
    }
    let tx = store.begin();
    let mut replayed = 0;
    for (position, commit) in commits {
        for place in &commit.events {
            replay(&tx, caches, *place).await?;
        }
        replayed += commit.events.len();
        state.done = position;
        if replayed >= EVENTS {
            break;
        }
    }
    state.events += replayed as u64;
    tx.stage()?.durable().await.map(drop)
}

async fn replay(tx: &Tx, caches: &Caches, place: EventPlace) -> Result<(), StoreError> {
    let EventPlace { room, event: no } = place;
    let reader = Reader { rows: tx.store(), caches };
    let version = reader.room_version(room).await?;
    let row = reader.rows.existing::<Events>(&(room, no)).await?;
    // A room is a line of events today: each state event was the room's state when it had arrived.
    let is_current_state = row.state_after.is_some();
    let event = Event::from_row(room, no, version, row)?;
    let sender = reader.user_no(event.pdu.sender()).await?.ok_or(StoreError::Missing { table: "users" })?;
    let event = NewEvent {
        room,
        no,
        pdu: &event.pdu,
        sender,
        // A redacted message is shown no more.
        snowflake: event.snowflake.filter(|_| event.redacted_by.is_none()),
        is_current_state,
        position: Some(event.position),
    };
    project(tx, event).await
}
