//! `POST /guilds`, `GET|PATCH|DELETE /guilds/{guild_id}`, `GET|POST /guilds/{guild_id}/channels`,
//! `GET /guilds/{guild_id}/invites`.

use axum::{Json, extract::State, http::StatusCode};
use nexus_rooms::{CreateGuild, GuildChanges, NewChannel, Rooms};
use nexus_views::{Permissions, Views};
use serde_json::Value;

use crate::{
    auth::Caller,
    body,
    endpoints::channels::ChannelForm,
    error::{ApiError, Unknown},
    form,
    objects::{Objects, channel::channel_json, guild::add_counts},
    params::{Path, Query},
};

const NAME_CHARS: std::ops::RangeInclusive<usize> = 2..=100;

/// More features than there are.
const FEATURES_MAX: usize = 100;

pub(crate) async fn create(
    State(rooms): State<Rooms>,
    State(views): State<Views>,
    State(objects): State<Objects>,
    caller: Caller,
    body::Json(body): body::Json,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    caller.no_bots()?;
    let name = form::read(&body, |form| form.required_text("name", NAME_CHARS))?;
    let room = rooms.create_guild(&caller.actor(), CreateGuild { name }).await?;
    let guild = views.guild(room).await?.ok_or(ApiError::Internal)?;
    Ok((StatusCode::CREATED, Json(objects.guild(&guild).await?)))
}

pub(crate) async fn get(
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    query: Query,
) -> Result<Json<Value>, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    let mut object = objects.guild(&guild).await?;
    if query.flag("with_counts") {
        add_counts(&mut object, &guild);
    }
    Ok(Json(object))
}

pub(crate) async fn patch(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    body::Json(body): body::Json,
) -> Result<Json<Value>, ApiError> {
    let id = path.id("guild_id")?;
    let guild = objects.guild_of(id, caller.user()).await?;
    let (mut changes, owner) = form::read(&body, |form| {
        let changes = GuildChanges {
            name: form.text("name", NAME_CHARS),
            features: form
                .list("features", FEATURES_MAX)
                .map(|features| features.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
            owner: None,
        };
        (changes, form.snowflake("owner_id"))
    })?;
    if let Some(owner) = owner {
        changes.owner = Some(objects.views.user_id(objects.user_of(owner).await?).await?);
    }
    rooms.update_guild(&caller.actor(), guild.room, changes).await?;
    let guild = objects.guild_of(id, caller.user()).await?;
    Ok(Json(objects.guild(&guild).await?))
}

pub(crate) async fn delete(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<StatusCode, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    rooms.delete_guild(&caller.actor(), guild.room).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn channels(
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<Json<Value>, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    let channels = objects.visible_channels(guild.room, caller.user()).await?;
    Ok(Json(channels.iter().map(channel_json).collect()))
}

pub(crate) async fn create_channel(
    State(rooms): State<Rooms>,
    State(views): State<Views>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    body::Json(body): body::Json,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    let wanted = form::read(&body, |form| {
        form.require("name");
        ChannelForm::read(form)
    })?;
    let parent = match wanted.parent.flatten() {
        Some(parent) => Some(objects.category_of(guild.room, parent).await?),
        None => None,
    };
    let new = NewChannel {
        name: wanted.name.unwrap_or_default(),
        kind: wanted.kind.unwrap_or_default(),
        topic: wanted.topic.flatten(),
        parent,
        position: wanted.position,
        nsfw: wanted.nsfw.unwrap_or(false),
        slowmode_s: wanted.slowmode_s.unwrap_or(0),
        overwrites: match &wanted.overwrites {
            Some(forms) => Some(objects.new_overwrites((&guild, None), forms).await?),
            None => None,
        },
    };
    let room = rooms.create_channel(&caller.actor(), guild.room, new).await?;
    let channel = views.channel(room).await?.ok_or(ApiError::Unknown(Unknown::Channel))?;
    Ok((StatusCode::CREATED, Json(channel_json(&channel))))
}

pub(crate) async fn invites(
    State(rooms): State<Rooms>,
    State(views): State<Views>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<Json<Value>, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    if !views.permissions(guild.room, None, caller.user()).await?.contains(Permissions::MANAGE_GUILD) {
        return Err(ApiError::MissingPermissions);
    }
    let mut invites = Vec::new();
    for invite in rooms.invites_of_guild(guild.room).await? {
        invites.extend(objects.invite(&invite, true, false).await?);
    }
    Ok(Json(Value::Array(invites)))
}
