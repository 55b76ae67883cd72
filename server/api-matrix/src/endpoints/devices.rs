//! `GET /_matrix/client/v3/devices`, `GET`, `PUT` and `DELETE /devices/{deviceId}`, `POST /delete_devices`
//!
//! **Source**: Matrix v1.19, client-server API, "Device management". Deleting takes the password once more.

use std::sync::Arc;

use axum::{Json, extract::State};
use nexus_accounts::{AccountError, Accounts, Device, Login};
use serde_json::{Value, json};

use super::login::named_user;
use crate::{
    auth::Auth,
    body::{Fields, OptionalBody},
    error::ApiError,
    path::Segments,
    uia::{Attempt, Failure, Operation, UiaSessions},
};

const STAGES: [&str; 1] = ["m.login.password"];

/// When and from where a device was last seen is not recorded; clients such as matrix-nio want the keys.
fn device_json(device: &Device) -> Value {
    json!({
        "device_id": device.id,
        "display_name": device.display_name,
        "last_seen_ip": null,
        "last_seen_ts": null,
    })
}

/// The user's devices.
pub(crate) async fn list(
    State(accounts): State<Accounts>,
    Auth(login): Auth,
) -> Result<Json<Value>, ApiError> {
    let devices = accounts.devices(login.user).await?;
    let devices: Vec<Value> = devices.iter().map(device_json).collect();
    Ok(Json(json!({ "devices": devices })))
}

/// One device.
pub(crate) async fn get(
    State(accounts): State<Accounts>,
    Auth(login): Auth,
    Segments(id): Segments<String>,
) -> Result<Json<Value>, ApiError> {
    let device = accounts.device(login.user, &id).await?.ok_or(AccountError::UnknownDevice)?;
    Ok(Json(device_json(&device)))
}

/// Gives a device a name.
pub(crate) async fn rename(
    State(accounts): State<Accounts>,
    Auth(login): Auth,
    Segments(id): Segments<String>,
    mut body: Fields,
) -> Result<Json<Value>, ApiError> {
    match body.string("display_name")? {
        Some(name) => accounts.rename_device(login.user, &id, Some(name)).await?,
        // Nothing is to be changed, but an unknown device is still refused.
        None => drop(accounts.device(login.user, &id).await?.ok_or(AccountError::UnknownDevice)?),
    }
    Ok(Json(json!({})))
}

/// Deletes a device; one that is gone already counts as deleted.
pub(crate) async fn delete(
    State(accounts): State<Accounts>,
    State(sessions): State<Arc<UiaSessions>>,
    Auth(login): Auth,
    Segments(id): Segments<String>,
    OptionalBody(mut body): OptionalBody,
) -> Result<Json<Value>, ApiError> {
    delete_all(&accounts, &sessions, &login, body.object("auth")?, &[id]).await
}

/// Deletes several devices.
pub(crate) async fn delete_several(
    State(accounts): State<Accounts>,
    State(sessions): State<Arc<UiaSessions>>,
    Auth(login): Auth,
    mut body: Fields,
) -> Result<Json<Value>, ApiError> {
    let auth = body.object("auth")?;
    let ids = body.strings("devices")?;
    delete_all(&accounts, &sessions, &login, auth, &ids).await
}

async fn delete_all(
    accounts: &Accounts,
    sessions: &UiaSessions,
    login: &Login,
    auth: Option<Fields>,
    ids: &[String],
) -> Result<Json<Value>, ApiError> {
    let operation = Operation::DeleteDevices(login.user);
    let attempt = sessions.attempt(operation, auth, &STAGES)?;
    let attempt = check_password(accounts, sessions, login, attempt).await?;
    accounts.delete_devices(login.user, ids).await?;
    sessions.finish(attempt);
    Ok(Json(json!({})))
}

/// Runs the password stage: it must be the password of the one who asks.
async fn check_password(
    accounts: &Accounts,
    sessions: &UiaSessions,
    login: &Login,
    mut attempt: Attempt,
) -> Result<Attempt, ApiError> {
    let named = named_user(&mut attempt.fields)?;
    let password = attempt.fields.required_string("password")?;
    let account = accounts.account_by_name(&named).await?;
    if account.is_some_and(|account| account.user != login.user) {
        return Err(ApiError::forbidden("another user's device"));
    }
    match accounts.check_password(login.user, &password).await {
        Ok(()) => Ok(attempt),
        Err(AccountError::WrongPassword) => {
            let failure = Failure { errcode: "M_FORBIDDEN", message: "wrong username or password" };
            Err(sessions.refuse(Operation::DeleteDevices(login.user), attempt, &STAGES, failure))
        }
        Err(error) => Err(error.into()),
    }
}
