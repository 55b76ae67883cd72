//! `POST /_matrix/client/v3/account/password`, `POST /account/deactivate`
//!
//! **Source**: Matrix v1.19, client-server API, "Account management". Both take the password once more.

use std::sync::Arc;

use axum::{Json, extract::State};
use nexus_accounts::{Accounts, Login, PasswordChange, Purpose};
use nexus_views::Views;
use serde_json::{Value, json};

use crate::{
    auth::{Auth, OptionalAuth},
    body::Fields,
    confirm::{EMAIL, confirm, pass_email},
    error::ApiError,
    uia::{Operation, Passed, Request, Step, UiaSessions},
};

/// Sets another password; unless asked not to, logs the user's other devices out. Without a login it takes the
/// proof of the account's address.
pub(crate) async fn change_password(
    State(accounts): State<Accounts>,
    State(sessions): State<Arc<UiaSessions>>,
    OptionalAuth(login): OptionalAuth,
    mut body: Fields,
) -> Result<Json<Value>, ApiError> {
    if login.is_none() && !accounts.sends_mail() {
        return Err(ApiError::missing_token());
    }
    let auth = body.object("auth")?;
    let asked = body.clone();
    let password = body.string("new_password")?;
    let logout_others = body.flag("logout_devices")?.unwrap_or(true);
    let passed = pass_stages(&accounts, &sessions, login.as_ref(), &asked, auth).await?;
    let password = password.ok_or_else(|| ApiError::missing_param("new_password"))?;
    let keep_device = login.as_ref().map(|login| login.device.clone());
    let change = PasswordChange { password, keep_device, logout_others };
    match (passed.address(), login) {
        (Some(proof), None) => drop(accounts.change_password_by_proof(&proof, change).await?),
        (None, Some(login)) => accounts.change_password(login.user, change).await?,
        // The flows of the two cases have no stage in common.
        (Some(_), Some(_)) | (None, None) => return Err(ApiError::missing_token()),
    }
    sessions.finish(passed);
    Ok(Json(json!({})))
}

async fn pass_stages(
    accounts: &Accounts,
    sessions: &UiaSessions,
    login: Option<&Login>,
    body: &Fields,
    auth: Option<Fields>,
) -> Result<Passed, ApiError> {
    let operation = Operation::ChangePassword(login.map(|login| login.user));
    if let Some(login) = login {
        return confirm(accounts, sessions, login, operation, body, auth).await;
    }
    let request = Request::new(operation, vec![vec![EMAIL]], body);
    match sessions.attempt(&request, auth)? {
        Step::Passed(passed) => Ok(passed),
        Step::Try(attempt) => pass_email(accounts, sessions, &request, attempt, Purpose::ConfirmReset).await,
    }
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
    if erase {
        views.hide_from_newcomers([login.user_id]);
    }
    sessions.finish(passed);
    Ok(Json(json!({ "id_server_unbind_result": "no-support" })))
}
