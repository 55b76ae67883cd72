//! `PUT /_matrix/client/v3/rooms/{roomId}/typing/{userId}`
//!
//! **Source**: Matrix v1.19, client-server API, "Typing notifications".

use std::time::Duration;

use axum::{Json, extract::State};
use nexus_rooms::Rooms;
use serde_json::{Value, json};

use super::filters::check_own;
use crate::{
    auth::Auth,
    body::Fields,
    error::ApiError,
    path::{self, Segments},
};

/// How long one types who does not say.
const TIMEOUT_DEFAULT_MS: u64 = 30_000;

/// Says that the user types, or has stopped.
pub(crate) async fn put(
    State(rooms): State<Rooms>,
    auth: Auth,
    Segments((room, user)): Segments<(String, String)>,
    mut body: Fields,
) -> Result<Json<Value>, ApiError> {
    check_own(&auth.0, &user)?;
    let room = path::room_id(&room)?;
    let is_typing = body.required_boolean("typing")?;
    let timeout_ms = body.natural("timeout")?.unwrap_or(TIMEOUT_DEFAULT_MS);
    let timeout = is_typing.then(|| Duration::from_millis(timeout_ms));
    rooms.typing(&auth.actor(), &room, timeout).await?;
    Ok(Json(json!({})))
}
