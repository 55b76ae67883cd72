//! `GET /guilds/{guild_id}/members`, `GET /guilds/{guild_id}/members/{user_id}` (`@me` included),
//! `GET /guilds/{guild_id}/members/search`.

use axum::{Json, extract::State};
use nexus_views::Views;
use serde_json::Value;

use crate::{
    auth::Caller,
    error::{ApiError, Unknown},
    objects::Objects,
    params::{Path, Query},
};

pub(crate) async fn list(
    State(views): State<Views>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    query: Query,
) -> Result<Json<Value>, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    let members = views.guild_members(guild.room, query.id("after")?, query.limit(1000, 1)?).await?;
    Ok(Json(objects.members(guild.room, &members).await?.into()))
}

pub(crate) async fn get(
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<Json<Value>, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    let user = match path.id_or_me("user_id")? {
        Some(id) => match objects.user_of(id).await {
            Err(ApiError::Unknown(Unknown::User)) => return Err(ApiError::Unknown(Unknown::Member)),
            user => user?,
        },
        None => caller.user(),
    };
    let member = objects.member_of(guild.room, user).await?;
    member.map(Json).ok_or(ApiError::Unknown(Unknown::Member))
}

pub(crate) async fn search(
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    query: Query,
) -> Result<Json<Value>, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    let limit = query.limit(1000, 1)?;
    let start = query
        .text("query")
        .ok_or_else(|| ApiError::field(&["query"], "BASE_TYPE_REQUIRED", "This field is required"))?;
    let members = objects.views.members_named(guild.room, start, limit).await?;
    Ok(Json(objects.members(guild.room, &members).await?.into()))
}
