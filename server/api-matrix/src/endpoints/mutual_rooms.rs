//! `GET /_matrix/client/v1/mutual_rooms?user_id=`
//!
//! **Source**: Matrix v1.19, client-server API, "Mutual rooms": the rooms that both are in. All of them are on
//! one page. Asking for oneself: 400 `M_INVALID_PARAM`.

use std::collections::BTreeSet;

use axum::{Json, extract::State};
use nexus_event_store::{RoomNo, UserNo};
use nexus_views::{Membership, ViewError, Views};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{auth::Auth, error::ApiError, path, query::Params};

/// With whom.
#[derive(Deserialize)]
pub(crate) struct Query {
    user_id: Option<String>,
    from: Option<String>,
}

/// The rooms that one shares with another.
pub(crate) async fn get(
    State(views): State<Views>,
    Auth(login): Auth,
    Params(query): Params<Query>,
) -> Result<Json<Value>, ApiError> {
    let other = path::user_id(&query.user_id.ok_or_else(|| ApiError::missing_param("user_id"))?)?;
    if query.from.is_some() {
        return Err(ApiError::invalid_param("from is not a token of this server"));
    }
    if other == login.user_id {
        return Err(ApiError::invalid_param("user_id must be another user"));
    }
    let mut rooms = Vec::new();
    if let Some(other) = views.user_no(&other).await? {
        let theirs = joined_rooms(&views, other).await?;
        for room in joined_rooms(&views, login.user).await?.intersection(&theirs) {
            rooms.push(views.room_id(*room).await?);
        }
    }
    Ok(Json(json!({ "count": rooms.len(), "joined": rooms })))
}

/// The rooms that a user is in.
pub(crate) async fn joined_rooms(views: &Views, user: UserNo) -> Result<BTreeSet<RoomNo>, ViewError> {
    let rooms = views.rooms_of(user).await?.into_iter();
    Ok(rooms.filter(|(_, row)| row.membership == Membership::Join).map(|(room, _)| room).collect())
}
