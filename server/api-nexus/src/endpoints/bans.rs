//! `DELETE /guilds/{guild_id}/members/{user_id}`, `GET /guilds/{guild_id}/bans`,
//! `GET|PUT|DELETE /guilds/{guild_id}/bans/{user_id}`, `POST /guilds/{guild_id}/bulk-ban`,
//! `GET|POST /guilds/{guild_id}/prune`.
//!
//! **Source**: `discord-api-docs`, "Guild".

use axum::{Json, extract::State, http::StatusCode};
use nexus_event_store::UserNo;
use nexus_rooms::{Prune, Rooms};
use nexus_views::{Ban, BansPage, Permissions, Views};
use ruma::OwnedUserId;
use serde_json::{Value, json};

use crate::{
    auth::Caller,
    body,
    error::{ApiError, Unknown},
    form::{self, Form},
    objects::Objects,
    params::{Path, Query},
};

/// The most bans on one page.
const PAGE_MAX: usize = 1000;

/// The most users of one bulk ban.
const BULK_MAX: usize = 200;

/// The most roles that a prune names.
const ROLES_MAX: usize = 250;

const DAY_S: i64 = 24 * 3600;

pub(crate) async fn kick(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<StatusCode, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    let target = match target(&objects, &path).await {
        Err(ApiError::Unknown(Unknown::User)) => return Err(ApiError::Unknown(Unknown::Member)),
        target => target?,
    };
    rooms.kick_member(&caller.actor(), guild.room, &target, caller.reason()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn target(objects: &Objects, path: &Path) -> Result<OwnedUserId, ApiError> {
    let user = objects.user_of(path.id("user_id")?).await?;
    Ok(objects.views.user_id(user).await?)
}

pub(crate) async fn list(
    State(views): State<Views>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    query: Query,
) -> Result<Json<Value>, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    need(&views, guild.room, caller.user(), Permissions::BAN_MEMBERS).await?;
    let page = match (query.id("before")?, query.id("after")?) {
        (Some(before), _) => BansPage::Before(before),
        (None, after) => BansPage::After(after),
    };
    let mut found = Vec::new();
    for ban in views.bans(guild.room, page, query.limit(PAGE_MAX, PAGE_MAX)?).await? {
        found.push(ban_json(&objects, &ban).await?);
    }
    Ok(Json(Value::Array(found)))
}

pub(crate) async fn get(
    State(views): State<Views>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<Json<Value>, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    need(&views, guild.room, caller.user(), Permissions::BAN_MEMBERS).await?;
    let ban = views.ban(guild.room, path.id("user_id")?).await?;
    let ban = ban.ok_or(ApiError::Unknown(Unknown::Ban))?;
    Ok(Json(ban_json(&objects, &ban).await?))
}

async fn need(
    views: &Views,
    guild: nexus_event_store::RoomNo,
    user: UserNo,
    wanted: Permissions,
) -> Result<(), ApiError> {
    let held = views.permissions(guild, None, user).await?;
    if held.contains(wanted) { Ok(()) } else { Err(ApiError::MissingPermissions) }
}

async fn ban_json(objects: &Objects, ban: &Ban) -> Result<Value, ApiError> {
    let content: Value = ban.event.pdu.content_as().unwrap_or_default();
    let reason = content["nexus.reason"].as_str().or_else(|| content["reason"].as_str());
    Ok(json!({ "reason": reason, "user": objects.user(ban.user, None).await? }))
}

/// How far back messages go with a ban, in seconds.
fn delete_seconds(form: &Form<'_>) -> u64 {
    let seconds = form.integer("delete_message_seconds", 0..=7 * DAY_S);
    let days = form.integer("delete_message_days", 0..=7);
    let seconds = seconds.or(days.map(|days| days * DAY_S)).unwrap_or(0);
    u64::try_from(seconds).unwrap_or(0)
}

pub(crate) async fn put(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    body::Json(body): body::Json,
) -> Result<StatusCode, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    let target = target(&objects, &path).await?;
    let delete_s = form::read(&body, delete_seconds)?;
    rooms.ban_member(&caller.actor(), guild.room, &target, delete_s, caller.reason()).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn delete(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<StatusCode, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    let target = match target(&objects, &path).await {
        Err(ApiError::Unknown(Unknown::User)) => return Err(ApiError::Unknown(Unknown::Ban)),
        target => target?,
    };
    rooms.unban_member(&caller.actor(), guild.room, &target, caller.reason()).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn bulk(
    State(rooms): State<Rooms>,
    State(views): State<Views>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    body::Json(body): body::Json,
) -> Result<Json<Value>, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    let (ids, delete_s) = form::read(&body, |form| {
        form.require("user_ids");
        (form.snowflakes("user_ids", BULK_MAX).unwrap_or_default(), delete_seconds(form))
    })?;
    let (mut targets, mut failed) = (Vec::new(), Vec::new());
    for id in ids {
        match objects.user_of(id).await {
            Ok(user) => targets.push(views.user_id(user).await?),
            Err(ApiError::Unknown(Unknown::User)) => failed.push(id.to_string()),
            Err(error) => return Err(error),
        }
    }
    if targets.is_empty() && !failed.is_empty() {
        return Err(ApiError::NobodyBanned);
    }
    let outcome = rooms.bulk_ban(&caller.actor(), guild.room, targets, delete_s, caller.reason()).await?;
    let banned = ids_of(&views, &outcome.banned).await?;
    failed.extend(ids_of(&views, &outcome.failed).await?);
    Ok(Json(json!({ "banned_users": banned, "failed_users": failed })))
}

async fn ids_of(views: &Views, users: &[OwnedUserId]) -> Result<Vec<String>, ApiError> {
    let mut ids = Vec::with_capacity(users.len());
    for user in users {
        let user = views.user_no(user).await?.ok_or(ApiError::Internal)?;
        ids.push(views.user_snowflake(user).await?.to_string());
    }
    Ok(ids)
}

pub(crate) async fn prune_count(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    query: Query,
) -> Result<Json<Value>, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    let bad = |name: &str| ApiError::field(&[name], "NUMBER_TYPE_COERCE", "Value is not an integer.");
    let days = match query.text("days") {
        Some(days) => days.parse().map_err(|_| bad("days"))?,
        None => PRUNE_DAYS,
    };
    let mut roles = Vec::new();
    for role in query.text("include_roles").into_iter().flat_map(|roles| roles.split(',')) {
        roles.push(crate::snowflake::parse(role).ok_or_else(|| bad("include_roles"))?.0);
    }
    let pruned = rooms.prune_count(&caller.actor(), guild.room, &Prune { days, roles }).await?;
    Ok(Json(json!({ "pruned": pruned })))
}

/// After how many silent days members go, if nobody says.
const PRUNE_DAYS: u64 = 7;

pub(crate) async fn prune(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    body::Json(body): body::Json,
) -> Result<Json<Value>, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    let (prune, is_counted) = form::read(&body, |form| {
        let days = form.integer("days", 1..=30).and_then(|days| u64::try_from(days).ok());
        let roles = form.snowflakes("include_roles", ROLES_MAX).unwrap_or_default();
        let roles = roles.into_iter().map(|role| role.0).collect();
        let prune = Prune { days: days.unwrap_or(PRUNE_DAYS), roles };
        (prune, form.flag("compute_prune_count").unwrap_or(true))
    })?;
    let actor = caller.actor();
    let pruned = match is_counted {
        true => Some(rooms.prune_count(&actor, guild.room, &prune).await?),
        false => None,
    };
    rooms.prune(&actor, guild.room, prune, caller.reason()).await?;
    Ok(Json(json!({ "pruned": pruned })))
}
