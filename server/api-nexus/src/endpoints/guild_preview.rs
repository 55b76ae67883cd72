//! `GET /guilds/{guild_id}/preview`: for members, and for everybody if the guild is open to all.

use axum::{Json, extract::State};
use nexus_event_store::rows::SnowflakeRow;
use nexus_views::DISCOVERABLE;
use serde_json::{Value, json};

use crate::{
    auth::Caller,
    error::{ApiError, Unknown},
    objects::{Objects, guild::add_counts},
    params::Path,
};

pub(crate) async fn get(
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<Json<Value>, ApiError> {
    let unknown = ApiError::Unknown(Unknown::Guild);
    let Some(SnowflakeRow::Room(room)) = objects.views.lookup(path.id("guild_id")?).await? else {
        return Err(unknown);
    };
    let guild = objects.views.guild(room).await?.ok_or(unknown.clone())?;
    let is_open = guild.features.iter().any(|feature| feature == DISCOVERABLE);
    if !is_open && objects.views.guild_member(room, caller.user()).await?.is_none() {
        return Err(unknown);
    }
    let mut object = json!({
        "id": guild.id.to_string(),
        "room_id": guild.room_id,
        "name": guild.name,
        "icon": null,
        "splash": null,
        "discovery_splash": null,
        "emojis": [],
        "stickers": [],
        "features": guild.features,
        "description": null,
    });
    add_counts(&mut object, &guild);
    Ok(Json(object))
}
