//! `POST /applications`, `GET /applications`, `POST /applications/{application_id}/bot`,
//! `GET /applications/@me`, `GET /oauth2/applications/@me`.

use axum::{Json, extract::State, http::StatusCode};
use nexus_accounts::Accounts;
use serde_json::Value;

use crate::{auth::Caller, body, error::ApiError, form, objects::Objects, params::Path};

pub(crate) async fn create(
    State(accounts): State<Accounts>,
    State(objects): State<Objects>,
    caller: Caller,
    body::Json(body): body::Json,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    caller.no_bots()?;
    let name = form::read(&body, |form| form.required_text("name", 1..=100))?;
    let application = accounts.create_application(caller.user(), &name).await?;
    Ok((StatusCode::CREATED, Json(objects.application(&application).await?)))
}

pub(crate) async fn list(
    State(accounts): State<Accounts>,
    State(objects): State<Objects>,
    caller: Caller,
) -> Result<Json<Value>, ApiError> {
    caller.no_bots()?;
    let mut applications = Vec::new();
    for application in accounts.applications_of(caller.user()).await? {
        applications.push(objects.application(&application).await?);
    }
    Ok(Json(Value::Array(applications)))
}

/// Makes the application's bot, or gives it a new token; the one before stops working.
pub(crate) async fn make_bot(
    State(accounts): State<Accounts>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<Json<Value>, ApiError> {
    caller.no_bots()?;
    let bot = accounts.create_bot(caller.user(), path.id("application_id")?).await?;
    let mut object = objects.own_user(bot.account.user).await?;
    object["token"] = bot.token.into();
    Ok(Json(object))
}

pub(crate) async fn own(
    State(accounts): State<Accounts>,
    State(objects): State<Objects>,
    caller: Caller,
) -> Result<Json<Value>, ApiError> {
    let application = accounts.application_of_bot(caller.user()).await?.ok_or(ApiError::OnlyForBots)?;
    Ok(Json(objects.application(&application).await?))
}
