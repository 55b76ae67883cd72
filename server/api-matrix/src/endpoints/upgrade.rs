//! `POST /_matrix/client/v3/rooms/{roomId}/upgrade`
//!
//! **Source**: Matrix v1.19, client-server API, "Room upgrades". Tags and the list of direct chats of the one
//! who asks go over to the new room at once; those of the others as they join it.

use axum::{Json, extract::State};
use nexus_accounts::Accounts;
use nexus_rooms::Rooms;
use nexus_state_resolution::RoomVersion;
use serde_json::{Value, json};

use crate::{
    auth::Auth,
    body::Fields,
    error::ApiError,
    path::{self, Segments},
};

/// Replaces a room.
pub(crate) async fn post(
    State(rooms): State<Rooms>,
    State(accounts): State<Accounts>,
    auth: Auth,
    Segments(room): Segments<String>,
    mut body: Fields,
) -> Result<Json<Value>, ApiError> {
    let room = path::room_id(&room)?;
    let version = RoomVersion::parse(&body.required_string("new_version")?)
        .ok_or_else(ApiError::unsupported_room_version)?;
    let creators = body.strings("additional_creators")?;
    let creators = creators.iter().map(|user| path::user_id(user)).collect::<Result<_, _>>()?;
    let made = rooms.upgrade(&auth.actor(), &room, version, creators).await?;
    accounts.follow_to_room(auth.0.user, &room, &made.room_id).await?;
    Ok(Json(json!({ "replacement_room": made.room_id })))
}
