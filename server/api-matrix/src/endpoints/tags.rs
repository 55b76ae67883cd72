//! `GET /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags`, and `PUT` and `DELETE /tags/{tag}`
//!
//! **Source**: Matrix v1.19, client-server API, "Room Tagging".

use axum::{Json, extract::State};
use nexus_accounts::Accounts;
use serde_json::{Value, json};

use super::filters::check_own;
use crate::{
    auth::Auth,
    body::Fields,
    error::ApiError,
    path::{self, Segments},
};

/// The tags of a room.
pub(crate) async fn list(
    State(accounts): State<Accounts>,
    Auth(login): Auth,
    Segments((user, room)): Segments<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    check_own(&login, &user)?;
    let tags = accounts.tags(login.user, &path::room_id(&room)?).await?;
    Ok(Json(json!({ "tags": tags })))
}

/// Puts a tag on a room.
pub(crate) async fn put(
    State(accounts): State<Accounts>,
    Auth(login): Auth,
    Segments((user, room, tag)): Segments<(String, String, String)>,
    Fields(content): Fields,
) -> Result<Json<Value>, ApiError> {
    check_own(&login, &user)?;
    let content = serde_json::to_value(content).map_err(|error| ApiError::bad_json(error.to_string()))?;
    accounts.set_tag(login.user, &path::room_id(&room)?, &tag, Some(content)).await?;
    Ok(Json(json!({})))
}

/// Takes a tag off a room.
pub(crate) async fn delete(
    State(accounts): State<Accounts>,
    Auth(login): Auth,
    Segments((user, room, tag)): Segments<(String, String, String)>,
) -> Result<Json<Value>, ApiError> {
    check_own(&login, &user)?;
    accounts.set_tag(login.user, &path::room_id(&room)?, &tag, None).await?;
    Ok(Json(json!({})))
}
