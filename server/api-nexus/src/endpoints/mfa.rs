//! `POST /users/@me/mfa/totp/enable`, `.../disable`, `POST /users/@me/mfa/codes`: two-factor authentication.
//!
//! **Shapes**: Discord's; `backup_codes` are shown when they are made and never again, because only their hashes
//! are kept. So `codes` without `regenerate` says how many are left.

use axum::{Json, extract::State};
use nexus_accounts::Accounts;
use serde_json::{Value, json};

use crate::{
    auth::Caller,
    body,
    endpoints::{auth::PASSWORD_CHARS, users::wrong_password},
    error::ApiError,
    form,
    objects::Objects,
};

const CODE_CHARS: usize = 32;
const SECRET_CHARS: usize = 256;

pub(crate) async fn enable(
    State(accounts): State<Accounts>,
    State(objects): State<Objects>,
    caller: Caller,
    body::Json(body): body::Json,
) -> Result<Json<Value>, ApiError> {
    caller.no_bots()?;
    let (password, secret, code) = form::read(&body, |form| {
        (
            form.required_text("password", 1..=PASSWORD_CHARS),
            form.required_text("secret", 1..=SECRET_CHARS),
            form.required_text("code", 1..=CODE_CHARS),
        )
    })?;
    let codes = accounts.enable_second_factor(caller.user(), &password, &secret, &code).await;
    let codes = codes.map_err(wrong_password)?;
    Ok(Json(json!({ "backup_codes": backup_codes(&objects, &caller, codes).await? })))
}

pub(crate) async fn disable(
    State(accounts): State<Accounts>,
    caller: Caller,
    body::Json(body): body::Json,
) -> Result<Json<Value>, ApiError> {
    caller.no_bots()?;
    let code = form::read(&body, |form| form.required_text("code", 1..=CODE_CHARS))?;
    accounts.disable_second_factor(caller.user(), &code).await?;
    Ok(Json(json!({})))
}

pub(crate) async fn codes(
    State(accounts): State<Accounts>,
    State(objects): State<Objects>,
    caller: Caller,
    body::Json(body): body::Json,
) -> Result<Json<Value>, ApiError> {
    caller.no_bots()?;
    let (password, regenerate) = form::read(&body, |form| {
        (form.required_text("password", 1..=PASSWORD_CHARS), form.flag("regenerate").unwrap_or_default())
    })?;
    let codes = if regenerate {
        accounts.renew_recovery_codes(caller.user(), &password).await.map_err(wrong_password)?
    } else {
        accounts.check_password(caller.user(), &password).await.map_err(wrong_password)?;
        Vec::new()
    };
    let left = accounts.recovery_codes_left(caller.user()).await?;
    let left = left.ok_or(ApiError::SecondFactorIs { enabled: false })?;
    let codes = backup_codes(&objects, &caller, codes).await?;
    Ok(Json(json!({ "backup_codes": codes, "backup_codes_left": left })))
}

async fn backup_codes(objects: &Objects, caller: &Caller, codes: Vec<String>) -> Result<Value, ApiError> {
    let id = objects.views.user_snowflake(caller.user()).await?.to_string();
    let codes = codes.into_iter().map(|code| json!({ "user_id": id, "code": code, "consumed": false }));
    Ok(codes.collect())
}
