//! `GET /users/@me`, `PATCH /users/@me`, `GET /users/{user_id}`, `GET /users/@me/guilds`,
//! `DELETE /users/@me/guilds/{guild_id}`.

use axum::{Json, extract::State, http::StatusCode};
use nexus_accounts::Accounts;
use nexus_event_store::Snowflake;
use nexus_rooms::Rooms;
use nexus_views::{Guild, Views};
use serde_json::Value;

use crate::{
    auth::Caller,
    body,
    error::ApiError,
    form,
    objects::Objects,
    params::{Path, Query},
};

pub(crate) async fn get(
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(match path.id_or_me("user_id")? {
        None => objects.own_user(caller.user()).await?,
        Some(id) => {
            let user = objects.user_of(id).await?;
            if user == caller.user() {
                objects.own_user(user).await?
            } else {
                objects.user(user, None).await?
            }
        }
    }))
}

/// Changes the display name. Usernames cannot change: they are part of the user id.
pub(crate) async fn patch(
    State(rooms): State<Rooms>,
    State(accounts): State<Accounts>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    body::Json(body): body::Json,
) -> Result<Json<Value>, ApiError> {
    if path.id_or_me("user_id")?.is_some() {
        return Err(ApiError::NoSuchMethod);
    }
    let own_name = caller.0.user_id.localpart().to_owned();
    let name = form::read(&body, |form| {
        if form.text("username", 1..=255).is_some_and(|name| name != own_name) {
            form.fault("username", "USERNAME_IMMUTABLE", "A username cannot be changed.");
        }
        if form.raw("avatar").is_some() {
            form.fault("avatar", "AVATAR_NOT_AVAILABLE", "Avatars are not available on this server yet.");
        }
        form.nullable("global_name", |form| form.text("global_name", 1..=100))
    })?;
    if let Some(name) = name {
        accounts.set_display_name(caller.user(), name).await?;
        rooms.refresh_profile(&caller.actor()).await?;
    }
    Ok(Json(objects.own_user(caller.user()).await?))
}

pub(crate) async fn guilds(
    State(views): State<Views>,
    State(objects): State<Objects>,
    caller: Caller,
    query: Query,
) -> Result<Json<Value>, ApiError> {
    let limit = query.limit(200, 200)?;
    let (before, after) = (query.id("before")?, query.id("after")?);
    let mut guilds: Vec<Guild> = Vec::new();
    for room in views.guilds_of(caller.user()).await? {
        guilds.extend(views.guild(room).await?);
    }
    guilds.sort_by_key(|guild| guild.id);
    let wanted =
        |id: Snowflake| before.is_none_or(|before| id < before) && after.is_none_or(|after| id > after);
    guilds.retain(|guild| wanted(guild.id));
    if before.is_some() {
        guilds.drain(..guilds.len().saturating_sub(limit));
    }
    guilds.truncate(limit);
    let mut listed = Vec::with_capacity(guilds.len());
    for guild in &guilds {
        listed.push(objects.listed_guild(guild, caller.user(), query.flag("with_counts")).await?);
    }
    Ok(Json(Value::Array(listed)))
}

pub(crate) async fn leave_guild(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<StatusCode, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    rooms.leave_guild(&caller.actor(), guild.room).await?;
    Ok(StatusCode::NO_CONTENT)
}
