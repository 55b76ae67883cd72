//! `POST /_matrix/client/v3/join/{roomIdOrAlias}`, and `POST /rooms/{roomId}/join`, `/leave` and `/invite`
//!
//! **Source**: Matrix v1.19, client-server API, "Room membership". Third-party invites are not there.

use axum::{Json, extract::State};
use nexus_accounts::Accounts;
use nexus_rooms::Rooms;
use nexus_views::Views;
use ruma::RoomId;
use serde_json::{Value, json};

use crate::{
    auth::Auth,
    body::{Fields, OptionalBody},
    error::ApiError,
    invite_permission,
    path::{self, Segments},
    room_name::room_of_name,
    succession,
};

/// Joins a room by what the client has of it.
pub(crate) async fn join_by_name(
    rooms: State<Rooms>,
    State(views): State<Views>,
    accounts: State<Accounts>,
    auth: Auth,
    Segments(name): Segments<String>,
    OptionalBody(body): OptionalBody,
) -> Result<Json<Value>, ApiError> {
    join_room(rooms, accounts, auth, &room_of_name(&views, &name).await?, body).await
}

/// Joins a room.
pub(crate) async fn join(
    rooms: State<Rooms>,
    accounts: State<Accounts>,
    auth: Auth,
    Segments(room): Segments<String>,
    OptionalBody(body): OptionalBody,
) -> Result<Json<Value>, ApiError> {
    join_room(rooms, accounts, auth, &path::room_id(&room)?, body).await
}

async fn join_room(
    State(rooms): State<Rooms>,
    State(accounts): State<Accounts>,
    auth: Auth,
    room: &RoomId,
    mut body: Fields,
) -> Result<Json<Value>, ApiError> {
    rooms.join(&auth.actor(), room, body.string("reason")?).await?;
    succession::follow(rooms.views(), &accounts, auth.0.user, room).await?;
    Ok(Json(json!({ "room_id": room })))
}

/// Leaves a room, or refuses an invite.
pub(crate) async fn leave(
    State(rooms): State<Rooms>,
    auth: Auth,
    Segments(room): Segments<String>,
    OptionalBody(mut body): OptionalBody,
) -> Result<Json<Value>, ApiError> {
    rooms.leave(&auth.actor(), &path::room_id(&room)?, body.string("reason")?).await?;
    Ok(Json(json!({})))
}

/// Invites a user.
pub(crate) async fn invite(
    State(rooms): State<Rooms>,
    State(accounts): State<Accounts>,
    auth: Auth,
    Segments(room): Segments<String>,
    mut body: Fields,
) -> Result<Json<Value>, ApiError> {
    let user = path::user_id(&body.required_string("user_id")?)?;
    invite_permission::check(&accounts, &user).await?;
    rooms.invite(&auth.actor(), &path::room_id(&room)?, &user, body.string("reason")?).await?;
    Ok(Json(json!({})))
}
