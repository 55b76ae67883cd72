//! `POST /_matrix/client/v3/rooms/{roomId}/kick`, `/ban` and `/unban`
//!
//! **Source**: Matrix v1.19, client-server API, "Leaving rooms", "Banning users in a room".

use axum::{Json, extract::State};
use nexus_rooms::Rooms;
use ruma::{OwnedRoomId, OwnedUserId};
use serde_json::{Value, json};

use crate::{
    auth::Auth,
    body::Fields,
    error::ApiError,
    path::{self, Segments},
};

/// Who is meant, and why.
struct Deed {
    room: OwnedRoomId,
    target: OwnedUserId,
    reason: Option<String>,
}

impl Deed {
    fn read(room: &str, mut body: Fields) -> Result<Self, ApiError> {
        let target = path::user_id(&body.required_string("user_id")?)?;
        Ok(Self { room: path::room_id(room)?, target, reason: body.string("reason")? })
    }
}

/// Makes somebody leave, takes an invite back, or turns a knock down.
pub(crate) async fn kick(
    State(rooms): State<Rooms>,
    auth: Auth,
    Segments(room): Segments<String>,
    body: Fields,
) -> Result<Json<Value>, ApiError> {
    let Deed { room, target, reason } = Deed::read(&room, body)?;
    rooms.kick(&auth.actor(), &room, &target, reason).await?;
    Ok(Json(json!({})))
}

/// Shuts somebody out.
pub(crate) async fn ban(
    State(rooms): State<Rooms>,
    auth: Auth,
    Segments(room): Segments<String>,
    body: Fields,
) -> Result<Json<Value>, ApiError> {
    let Deed { room, target, reason } = Deed::read(&room, body)?;
    rooms.ban(&auth.actor(), &room, &target, reason).await?;
    Ok(Json(json!({})))
}

/// Lifts a ban.
pub(crate) async fn unban(
    State(rooms): State<Rooms>,
    auth: Auth,
    Segments(room): Segments<String>,
    body: Fields,
) -> Result<Json<Value>, ApiError> {
    let Deed { room, target, reason } = Deed::read(&room, body)?;
    rooms.unban(&auth.actor(), &room, &target, reason).await?;
    Ok(Json(json!({})))
}
