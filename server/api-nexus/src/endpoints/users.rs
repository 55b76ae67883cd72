//! `GET /users/@me`, `PATCH /users/@me`, `GET /users/{user_id}`, `GET /users/@me/guilds`,
//! `DELETE /users/@me/guilds/{guild_id}`, `POST /users/@me/delete`.

use axum::{Json, extract::State, http::StatusCode};
use nexus_accounts::{AccountError, Accounts, PasswordChange};
use nexus_event_store::Snowflake;
use nexus_rooms::Rooms;
use nexus_views::{Guild, Views};
use serde_json::Value;

use crate::{
    auth::Caller,
    body,
    endpoints::auth::PASSWORD_CHARS,
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

/// Changes the display name, the password, or the e-mail address, which where mail is sent becomes another once
/// it is confirmed. Usernames cannot change: they are part of the user id.
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
    let (name, passwords, email) = form::read(&body, |form| {
        if form.text("username", 1..=255).is_some_and(|name| name != own_name) {
            form.fault("username", "USERNAME_IMMUTABLE", "A username cannot be changed.");
        }
        if form.raw("avatar").is_some() {
            form.fault("avatar", "AVATAR_NOT_AVAILABLE", "Avatars are not available on this server yet.");
        }
        let name = form.nullable("global_name", |form| form.text("global_name", 1..=100));
        let new_password = form.text("new_password", 1..=PASSWORD_CHARS);
        let passwords = new_password.map(|new| (form.required_text("password", 1..=PASSWORD_CHARS), new));
        let email = form
            .text("email", 3..=320)
            .map(|email| (form.required_text("password", 1..=PASSWORD_CHARS), email));
        (name, passwords, email)
    })?;
    if let Some((password, email)) = email {
        caller.no_bots()?;
        accounts.check_password(caller.user(), &password).await.map_err(wrong_password)?;
        accounts.ask_to_verify(caller.user(), &email).await?;
    }
    if let Some((old, new)) = passwords {
        change_password(&accounts, &caller, &old, new).await?;
    }
    if let Some(name) = name {
        accounts.set_display_name(caller.user(), name).await?;
        rooms.refresh_profile(&caller.actor()).await?;
    }
    Ok(Json(objects.own_user(caller.user()).await?))
}

/// Deletes the caller's account, with what they wrote hidden from those who come later. Who owns guilds must
/// hand them over or delete them first; a second factor is asked for, too.
pub(crate) async fn delete(
    State(accounts): State<Accounts>,
    State(views): State<Views>,
    caller: Caller,
    body::Json(body): body::Json,
) -> Result<StatusCode, ApiError> {
    caller.no_bots()?;
    let (password, code) = form::read(&body, |form| {
        (form.required_text("password", 1..=PASSWORD_CHARS), form.text("code", 1..=32))
    })?;
    if let Err(error) = accounts.check_password(caller.user(), &password).await {
        return Err(wrong_password(error));
    }
    if !views.owned_guilds(caller.user()).await?.is_empty() {
        return Err(ApiError::OwnsGuilds);
    }
    if accounts.has_second_factor(caller.user()).await? {
        accounts.disable_second_factor(caller.user(), &code.ok_or(ApiError::WrongCode)?).await?;
    }
    accounts.deactivate(caller.user(), true).await?;
    views.hide_from_newcomers([caller.0.user_id]);
    Ok(StatusCode::NO_CONTENT)
}

/// A wrong password of the caller's own.
pub(crate) fn wrong_password(error: AccountError) -> ApiError {
    match error {
        AccountError::WrongPassword => {
            ApiError::field(&["password"], "PASSWORD_DOES_NOT_MATCH", "Password does not match.")
        }
        other => other.into(),
    }
}

/// The caller stays logged in, all other sessions end.
async fn change_password(
    accounts: &Accounts,
    caller: &Caller,
    old: &str,
    new: String,
) -> Result<(), ApiError> {
    caller.no_bots()?;
    accounts.check_password(caller.user(), old).await.map_err(wrong_password)?;
    let keep_device = Some(caller.0.device.clone());
    let change = PasswordChange { password: new, keep_device, logout_others: true };
    match accounts.change_password(caller.user(), change).await {
        Err(error @ AccountError::WeakPassword { .. }) => {
            Err(ApiError::field(&["new_password"], "PASSWORD_TOO_WEAK", &error.to_string()))
        }
        changed => Ok(changed?),
    }
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
