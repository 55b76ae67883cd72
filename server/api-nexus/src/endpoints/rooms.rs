//! `GET /rooms/{room_id}`: the guild or channel object of a room id.

use axum::{Json, extract::State};
use nexus_views::{Permissions, Views};
use ruma::RoomId;
use serde_json::Value;

use crate::{
    auth::Caller,
    error::{ApiError, Unknown},
    objects::{Objects, channel::channel_json},
    params::Path,
};

pub(crate) async fn get(
    State(views): State<Views>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<Json<Value>, ApiError> {
    let room_id = <&RoomId>::try_from(path.text("room_id"))
        .map_err(|_| ApiError::field(&["room_id"], "ROOM_INVALID", "Not a room id."))?;
    let unknown = ApiError::Unknown(Unknown::Channel);
    let room = views.room_no(room_id).await?.ok_or(unknown.clone())?;
    let id = views.room_snowflake(room).await?.ok_or(unknown.clone())?;
    if views.guild(room).await?.is_some() {
        let guild = objects.guild_of(id, caller.user()).await?;
        return Ok(Json(objects.guild(&guild).await?));
    }
    let channel = objects.channel_of(id, caller.user(), Permissions::NONE).await?;
    Ok(Json(channel_json(&channel)))
}
