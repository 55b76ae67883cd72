//! `POST /_matrix/client/v3/rooms/{roomId}/forget`
//!
//! **Source**: Matrix v1.19, client-server API, "Leaving rooms". Who is still in the room gets 400
//! `M_UNKNOWN`.

use axum::{Json, extract::State};
use nexus_rooms::Rooms;
use serde_json::{Value, json};

use crate::{
    auth::Auth,
    error::ApiError,
    path::{self, Segments},
};

/// Forgets a room that was left.
pub(crate) async fn post(
    State(rooms): State<Rooms>,
    auth: Auth,
    Segments(room): Segments<String>,
) -> Result<Json<Value>, ApiError> {
    rooms.forget(&auth.actor(), &path::room_id(&room)?).await?;
    Ok(Json(json!({})))
}
