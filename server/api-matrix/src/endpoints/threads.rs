//! `GET /_matrix/client/v1/rooms/{roomId}/threads`
//!
//! The roots of a room's threads, the last touched first, as far as one may read them.
//!
//! **Bounds**: [`LOOKED_AT_MAX`] threads are looked at for a page, and as many events of each for whether one
//! took part.
//! **Shapes**: a token is `th1_<event number>`: only threads touched before that event.
//! **Source**: Matrix v1.19, client-server API, "Querying threads in a room", "Server-side aggregation of
//! m.thread relationships".

use std::sync::Arc;

use axum::{Json, extract::State};
use nexus_accounts::Accounts;
use nexus_event_store::{EventNo, rows::EventPlace, world::World};
use nexus_views::{Event, RelationSlice, ViewError, Views, rows::RelationKind, threads::ThreadRow};
use ruma::UserId;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    access::Access,
    auth::Auth,
    error::ApiError,
    event_json::{RoomIdField, Viewer, event_json},
    ignored::Ignored,
    path::{self, Segments},
    query::Params,
};

/// How many threads are looked at for a page.
const LOOKED_AT_MAX: usize = 1000;

/// The most threads of a page, and how many when the client does not say.
const LIMIT_MAX: usize = 100;
const LIMIT_DEFAULT: usize = 20;

/// Which page of which threads.
#[derive(Deserialize)]
pub(crate) struct Query {
    include: Option<String>,
    limit: Option<usize>,
    from: Option<String>,
}

/// The threads of a room.
pub(crate) async fn get(
    State(views): State<Views>,
    State(accounts): State<Accounts>,
    State(world): State<World>,
    Auth(login): Auth,
    Segments(room): Segments<String>,
    Params(query): Params<Query>,
) -> Result<Json<Value>, ApiError> {
    let only_own = match query.include.as_deref() {
        None | Some("all") => false,
        Some("participated") => true,
        Some(_) => return Err(ApiError::invalid_param("include must be all or participated")),
    };
    let before = query.from.as_deref().map(token).transpose()?;
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let mut access = Access::check(&views, &path::room_id(&room)?, login.user, &login.user_id).await?;
    let ignored = Ignored::of(&accounts, login.user).await?;
    let viewer = Viewer::new(&login, world.now());
    let mut chunk: Vec<Value> = Vec::new();
    let mut last = None;
    let touched = views.touched_threads(access.room, before, LOOKED_AT_MAX).await?;
    let mut next =
        (touched.len() == LOOKED_AT_MAX).then(|| touched.last().map(|(event, _)| *event)).flatten();
    for (event, touched) in touched {
        let Some(row) = views.thread_row(access.room, touched.root).await? else { continue };
        let root = views.event(EventPlace { room: access.room, event: touched.root }).await?;
        let (Some(latest), true) = (row.latest, row.messages > 0) else { continue };
        if ignored.hides(&root) || !access.sees(&views, &root).await? {
            continue;
        }
        let took_part = took_part(&views, &root, &login.user_id).await?;
        if only_own && !took_part {
            continue;
        }
        if chunk.len() == limit {
            next = last;
            break;
        }
        let latest = views.event(EventPlace { room: access.room, event: latest }).await?;
        let latest = if access.sees(&views, &latest).await? { Some(latest) } else { None };
        chunk.push(thread_json(&views, viewer, &root, latest, &row, took_part).await?);
        last = Some(event);
    }
    let mut reply = json!({ "chunk": chunk });
    if let Some(next) = next {
        reply["next_batch"] = format!("th1_{next}").into();
    }
    Ok(Json(reply))
}

fn token(text: &str) -> Result<EventNo, ApiError> {
    let number = text.strip_prefix("th1_").and_then(|number| number.parse().ok());
    number.map(EventNo).ok_or_else(|| ApiError::invalid_param("from is not a token of this server"))
}

/// Whether `user` wrote the root of a thread or something in it.
async fn took_part(views: &Views, root: &Event, user: &UserId) -> Result<bool, ViewError> {
    if root.pdu.sender() == user {
        return Ok(true);
    }
    let all = RelationSlice { after: None, before: None, newest_first: true, limit: LOOKED_AT_MAX };
    for (event, kind) in views.related(root.room, root.no, all).await? {
        if kind == RelationKind::Thread {
            let event = views.event(EventPlace { room: root.room, event }).await?;
            if event.pdu.sender() == user {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The root with what hangs on it under `m.relations`.
async fn thread_json(
    views: &Views,
    viewer: Viewer<'_>,
    root: &Event,
    latest: Option<Arc<Event>>,
    row: &ThreadRow,
    took_part: bool,
) -> Result<Value, ApiError> {
    let mut object = as_value(&event_json(views, viewer, root, RoomIdField::Shown).await?);
    let mut thread = json!({ "count": row.messages, "current_user_participated": took_part });
    if let Some(latest) = latest {
        thread["latest_event"] = as_value(&event_json(views, viewer, &latest, RoomIdField::Shown).await?);
    }
    object["unsigned"]["m.relations"]["m.thread"] = thread;
    Ok(object)
}

/// What this server wrote reads back.
fn as_value(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}
