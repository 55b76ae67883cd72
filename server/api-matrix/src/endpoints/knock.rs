//! `POST /_matrix/client/v3/knock/{roomIdOrAlias}`
//!
//! **Source**: Matrix v1.19, client-server API, "Knocking on rooms".

use axum::{Json, extract::State};
use nexus_rooms::Rooms;
use nexus_views::Views;
use serde_json::{Value, json};

use crate::{auth::Auth, body::OptionalBody, error::ApiError, path::Segments, room_name::room_of_name};

/// Asks to be let into a room.
pub(crate) async fn post(
    State(rooms): State<Rooms>,
    State(views): State<Views>,
    auth: Auth,
    Segments(name): Segments<String>,
    OptionalBody(mut body): OptionalBody,
) -> Result<Json<Value>, ApiError> {
    let room = room_of_name(&views, &name).await?;
    rooms.knock(&auth.actor(), &room, body.string("reason")?).await?;
    Ok(Json(json!({ "room_id": room })))
}
