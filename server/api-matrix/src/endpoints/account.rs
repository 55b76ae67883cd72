//! `POST /_matrix/client/v3/account/password`, `POST /account/deactivate`
//!
//! **Source**: Matrix v1.19, client-server API, "Account management". Both take the password once more.

use std::sync::Arc;

use axum::{Json, extract::State};
use nexus_accounts::{Accounts, PasswordChange};
use nexus_views::Views;
use serde_json::{Value, json};

use crate::{
    auth::Auth,
    body::Fields,
    confirm::confirm,
    error::ApiError,
    uia::{Operation, UiaSessions},
};

/// Sets another password; unless asked not to, logs the user's other devices out.
pub(crate) async fn change_password(
    State(accounts): State<Accounts>,
    State(sessions): State<Arc<UiaSessions>>,
    Auth(login): Auth,
    mut body: Fields,
) -> Result<Json<Value>, ApiError> {
    let auth = body.object("auth")?;
    let asked = body.clone();
    let password = body.string("new_password")?;
    let logout_others = body.flag("logout_devices")?.unwrap_or(true);
    let operation = Operation::ChangePassword(Some(login.user));
    let passed = confirm(&accounts, &sessions, &login, operation, &asked, auth).await?;
    let password = password.ok_or_else(|| ApiError::missing_param("new_password"))?;
    let change = PasswordChange { password, keep_device: Some(login.device), logout_others };
    accounts.change_password(login.user, change).await?;
    sessions.finish(passed);
    Ok(Json(json!({})))
}

/// Ends the account for good. Who owns guilds must hand them over or delete them first.
pub(crate) async fn deactivate(
    State(accounts): State<Accounts>,
    State(views): State<Views>,
    State(sessions): State<Arc<UiaSessions>>,
    Auth(login): Auth,
    mut body: Fields,
) -> Result<Json<Value>, ApiError> {
    let auth = body.object("auth")?;
    let asked = body.clone();
    let erase = body.boolean("erase")?;
    let operation = Operation::Deactivate(login.user);
    let passed = confirm(&accounts, &sessions, &login, operation, &asked, auth).await?;
    if let Some(guild) = views.owned_guilds(login.user).await?.first() {
        let message = format!("you own the guild {}: hand it over or delete it first", guild.name);
        return Err(ApiError::forbidden(message));
    }
    accounts.deactivate(login.user, erase).await?;
    sessions.finish(passed);
    Ok(Json(json!({ "id_server_unbind_result": "no-support" })))
}
