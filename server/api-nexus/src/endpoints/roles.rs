//! `GET|POST|PATCH /guilds/{guild_id}/roles`, `GET|PATCH|DELETE /guilds/{guild_id}/roles/{role_id}`,
//! `GET /guilds/{guild_id}/roles/member-counts`.

use axum::{Json, extract::State, http::StatusCode};
use nexus_event_store::Snowflake;
use nexus_rooms::{RoleFields, Rooms};
use nexus_views::{Guild, Permissions, Views, role_snowflake};
use serde_json::{Map, Value};

use crate::{
    auth::Caller,
    body,
    error::{ApiError, Unknown},
    form::{self, Form},
    objects::Objects,
    params::Path,
};

/// Of a role or a nickname more is never shown.
const NAME_CHARS: usize = 100;

const COLORS: std::ops::RangeInclusive<i64> = 0..=0xff_ffff;

/// A guild has no more roles.
const ROLES_MAX: usize = 250;

/// A role's id as the log has it: the guild's id is @everyone's.
pub(crate) fn role_number(guild: &Guild, id: Snowflake) -> u64 {
    if id == guild.id { 0 } else { id.0 }
}

/// Reads the fields of a role. Pictures and gradients are for guilds with features that there are none of here.
fn role_fields(form: &Form<'_>) -> RoleFields {
    for field in ["icon", "unicode_emoji"] {
        if form.raw(field).is_some() {
            form.fault(field, "ROLE_ICONS_NOT_AVAILABLE", "Role icons are not available on this server.");
        }
    }
    let colors = form.object("colors", |colors| {
        for field in ["secondary_color", "tertiary_color"] {
            if colors.raw(field).is_some() {
                let message = "Role gradients are not available on this server.";
                colors.fault(field, "ENHANCED_ROLE_COLORS_NOT_AVAILABLE", message);
            }
        }
        colors.integer("primary_color", COLORS)
    });
    let color = form.integer("color", COLORS).or(colors.flatten());
    RoleFields {
        name: form.text("name", 0..=NAME_CHARS).filter(|name| !name.trim().is_empty()),
        permissions: permission_bits(form, "permissions"),
        color: color.and_then(|color| u32::try_from(color).ok()),
        hoist: form.flag("hoist"),
        mentionable: form.flag("mentionable"),
    }
}

/// Permission bits: a decimal string, or a number as old libraries send it. Bits that mean nothing are left out.
pub(crate) fn permission_bits(form: &Form<'_>, field: &str) -> Option<Permissions> {
    let bits = form.integer(field, 0..=i64::MAX)?;
    Some(Permissions(bits.unsigned_abs()).and(Permissions::ALL))
}

async fn role_json(objects: &Objects, guild: &Guild, role: u64) -> Result<Json<Value>, ApiError> {
    let id = role_snowflake(guild.id, role);
    objects.role(guild.room, id).await?.map(Json).ok_or(ApiError::Unknown(Unknown::Role))
}

pub(crate) async fn list(
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<Json<Value>, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    Ok(Json(objects.roles(guild.room).await?.into()))
}

pub(crate) async fn get(
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<Json<Value>, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    role_json(&objects, &guild, role_number(&guild, path.id("role_id")?)).await
}

pub(crate) async fn counts(
    State(views): State<Views>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<Json<Value>, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    let counts = views.role_counts(guild.room).await?;
    let mut object = Map::new();
    for role in views.roles(guild.room).await?.iter().filter(|role| role.row.id != 0) {
        object.insert(role.id.to_string(), counts.get(&role.row.id).copied().unwrap_or(0).into());
    }
    Ok(Json(Value::Object(object)))
}

pub(crate) async fn create(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    body::Json(body): body::Json,
) -> Result<Json<Value>, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    let fields = form::read(&body, role_fields)?;
    let role = rooms.create_role(&caller.actor(), guild.room, fields).await?;
    role_json(&objects, &guild, role).await
}

pub(crate) async fn patch(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    body::Json(body): body::Json,
) -> Result<Json<Value>, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    let role = role_number(&guild, path.id("role_id")?);
    let fields = form::read(&body, role_fields)?;
    rooms.update_role(&caller.actor(), guild.room, role, fields).await?;
    role_json(&objects, &guild, role).await
}

pub(crate) async fn move_many(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    body::Json(body): body::Json,
) -> Result<Json<Value>, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    let moves = form::read_list(&body, ROLES_MAX, |form| {
        form.require("id");
        let id = form.snowflake("id").unwrap_or_default();
        let position = form.integer("position", 0..=i64::from(i32::MAX));
        position.map(|position| (role_number(&guild, id), position))
    })?;
    let moves = moves.into_iter().flatten().collect();
    rooms.move_roles(&caller.actor(), guild.room, moves).await?;
    Ok(Json(objects.roles(guild.room).await?.into()))
}

pub(crate) async fn delete(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<StatusCode, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    let role = role_number(&guild, path.id("role_id")?);
    rooms.delete_role(&caller.actor(), guild.room, role).await?;
    Ok(StatusCode::NO_CONTENT)
}
