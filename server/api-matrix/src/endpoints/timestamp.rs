//! `GET /_matrix/client/v1/rooms/{roomId}/timestamp_to_event`
//!
//! **Source**: Matrix v1.19, client-server API, "Jumping to a point in time". Only events that one may read
//! count; none: 404 `M_NOT_FOUND`.

use axum::{Json, extract::State};
use nexus_views::{Event, Views};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    access::Access,
    auth::Auth,
    error::ApiError,
    path::{self, Segments},
    query::Params,
};

/// Which moment, and in which direction from it.
#[derive(Deserialize)]
pub(crate) struct Query {
    ts: Option<u64>,
    dir: Option<String>,
}

/// The event next to a moment.
pub(crate) async fn get(
    State(views): State<Views>,
    Auth(login): Auth,
    Segments(room): Segments<String>,
    Params(query): Params<Query>,
) -> Result<Json<Value>, ApiError> {
    let ts = query.ts.ok_or_else(|| ApiError::missing_param("ts"))?;
    let forward = match query.dir.as_deref() {
        None | Some("f") => true,
        Some("b") => false,
        Some(_) => return Err(ApiError::invalid_param("dir must be b or f")),
    };
    let mut access = Access::check(&views, &path::room_id(&room)?, login.user, &login.user_id).await?;
    let time = |event: &Event| u64::from(event.pdu.origin_server_ts().get());
    let mut items = views.around_time(access.room, ts).await?;
    if !forward {
        items.reverse();
    }
    let mut closest: Option<std::sync::Arc<Event>> = None;
    for item in items {
        let at = time(&item.event);
        let beyond = if forward { at < ts } else { at > ts };
        let closer = closest.as_ref().is_none_or(|closest| at.abs_diff(ts) < time(closest).abs_diff(ts));
        if !beyond && closer && access.sees(&views, &item.event).await? {
            closest = Some(item.event);
        }
    }
    let event = closest.ok_or_else(|| ApiError::not_found("there is no event on that side of the moment"))?;
    Ok(Json(json!({ "event_id": event.pdu.event_id(), "origin_server_ts": time(&event) })))
}
