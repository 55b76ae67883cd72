//! Calls that take long: `POST /backup {folder}` and `POST /rooms/purge {room}`.
//!
//! **Shapes**: the reply has a JSON object on each line: `{"done", "total"}` while it goes on, the outcome last,
//! or `{"error"}`. The work has a thread of its own; a backup whose caller goes away is given up, a purge goes
//! on.

use std::{path::PathBuf, sync::Arc};

use anyhow::Result;
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use nexus_event_store::Store;
use nexus_maintenance::{
    backup::{self, Source},
    purge,
};
use nexus_views::Views;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{runtime::Handle, sync::mpsc};

/// Lines that wait for the caller; more of the progress is left out.
const LINES_WAITING: usize = 16;

/// What these calls need.
pub(crate) struct JobParts {
    pub(crate) store: Store,
    pub(crate) views: Views,
    pub(crate) source: Source,
}

#[derive(Deserialize)]
struct NewBackup {
    folder: PathBuf,
}

#[derive(Deserialize)]
struct PurgeRoom {
    room: String,
}

type Lines = mpsc::Sender<Value>;

/// The long calls.
pub(crate) fn routes(parts: JobParts) -> Router {
    Router::new()
        .route("/backup", post(create_backup))
        .route("/rooms/purge", post(purge_room))
        .with_state(Arc::new(parts))
}

async fn create_backup(State(parts): State<Arc<JobParts>>, Json(new): Json<NewBackup>) -> Response {
    run("backup", async move |lines: Lines| {
        let mut progress = |done: u64, total: u64| {
            drop(lines.try_send(json!({ "done": done, "total": total })));
            !lines.is_closed()
        };
        let made = backup::create(&parts.store, &parts.source, &new.folder, &mut progress).await;
        made.map(|manifest| json!({ "folder": new.folder, "manifest": manifest })).map_err(Into::into)
    })
}

async fn purge_room(State(parts): State<Arc<JobParts>>, Json(room): Json<PurgeRoom>) -> Response {
    run("purge", async move |lines: Lines| {
        let mut progress = |purged: purge::Purged| drop(lines.try_send(json!({ "done": purged.rows })));
        let purged = purge::purge(&parts.store, parts.views.caches(), &room.room, &mut progress).await;
        purged.map(|purged| json!({ "events": purged.events, "rows": purged.rows })).map_err(Into::into)
    })
}

/// Runs `work` on a thread of its own, since it reads and writes files, and replies with what it says.
fn run<W, F>(name: &'static str, work: W) -> Response
where
    W: FnOnce(Lines) -> F + Send + 'static,
    F: Future<Output = Result<Value>>,
{
    let (lines, said) = mpsc::channel(LINES_WAITING);
    let runtime = Handle::current();
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let outcome = runtime.block_on(work(lines.clone()));
        let last = outcome.unwrap_or_else(|error| {
            tracing::info!(error = format!("{error:#}"), "{name} was not done");
            json!({ "error": format!("{error:#}") })
        });
        // Nobody may be listening any more; the outcome stands.
        drop(lines.blocking_send(last));
    });
    match started {
        Ok(_) => Body::from_stream(futures_util::stream::unfold(said, async |mut said| {
            let line: Value = said.recv().await?;
            Some((Ok::<_, std::convert::Infallible>(Bytes::from(format!("{line}\n"))), said))
        }))
        .into_response(),
        Err(error) => {
            let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
            (status, Json(json!({ "error": format!("start a thread: {error}") }))).into_response()
        }
    }
}
