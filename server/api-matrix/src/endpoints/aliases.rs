//! `GET`, `PUT` and `DELETE /_matrix/client/v3/directory/room/{roomAlias}`, and
//! `GET /rooms/{roomId}/aliases`
//!
//! **Source**: Matrix v1.19, client-server API, "Room aliases". Anybody may ask where an alias leads, and
//! whoever may read a room what its aliases are.

use axum::{Json, extract::State};
use nexus_rooms::Rooms;
use nexus_views::Views;
use serde_json::{Value, json};

use crate::{
    access::Access,
    auth::Auth,
    body::Fields,
    error::ApiError,
    path::{self, Segments},
    room_name::alias,
};

/// Where an alias leads.
pub(crate) async fn get(
    State(views): State<Views>,
    Segments(name): Segments<String>,
) -> Result<Json<Value>, ApiError> {
    let row = views.alias(&alias(&name)?).await?;
    let row = row.ok_or_else(|| ApiError::not_found("no room has that alias"))?;
    let room_id = views.room_id(row.room).await?;
    Ok(Json(json!({ "room_id": room_id, "servers": [views.server_name()] })))
}

/// Gives a room an alias.
pub(crate) async fn put(
    State(rooms): State<Rooms>,
    auth: Auth,
    Segments(name): Segments<String>,
    mut body: Fields,
) -> Result<Json<Value>, ApiError> {
    let room = path::room_id(&body.required_string("room_id")?)?;
    rooms.set_alias(&auth.actor(), &alias(&name)?, &room).await?;
    Ok(Json(json!({})))
}

/// Takes an alias away.
pub(crate) async fn delete(
    State(rooms): State<Rooms>,
    auth: Auth,
    Segments(name): Segments<String>,
) -> Result<Json<Value>, ApiError> {
    rooms.delete_alias(&auth.actor(), &alias(&name)?).await?;
    Ok(Json(json!({})))
}

/// The aliases of a room.
pub(crate) async fn of_room(
    State(views): State<Views>,
    Auth(login): Auth,
    Segments(room): Segments<String>,
) -> Result<Json<Value>, ApiError> {
    let access = Access::check(&views, &path::room_id(&room)?, login.user, &login.user_id).await?;
    // Who has left knows what the room was called, not what it is called now.
    if access.until.is_some() {
        return Err(ApiError::forbidden("you are not in this room"));
    }
    Ok(Json(json!({ "aliases": views.aliases_of(access.room).await? })))
}
