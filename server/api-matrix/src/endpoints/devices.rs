//! `GET /_matrix/client/v3/devices`, `GET`, `PUT` and `DELETE /devices/{deviceId}`, `POST /delete_devices`
//!
//! **Source**: Matrix v1.19, client-server API, "Device management". Deleting takes the password once more.

use std::sync::Arc;

use axum::{Json, extract::State};
use nexus_accounts::{AccountError, Accounts, Device, Login};
use ruma::CanonicalJsonValue;
use serde_json::{Value, json};

use crate::{
    auth::Auth,
    body::{Fields, OptionalBody},
    confirm::confirm,
    error::ApiError,
    path::Segments,
    uia::{Operation, UiaSessions},
};

/// From where a device was last seen is not recorded; clients such as matrix-nio want the key.
fn device_json(device: &Device) -> Value {
    json!({
        "device_id": device.id,
        "display_name": device.display_name,
        "last_seen_ip": null,
        "last_seen_ts": device.last_used_ms,
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
    let auth = body.object("auth")?;
    // The device is in the path, so it is part of what is confirmed.
    body.0.insert("device".to_owned(), CanonicalJsonValue::String(id.clone()));
    delete_all(&accounts, &sessions, &login, (&body, auth), &[id]).await
}

/// Deletes several devices.
pub(crate) async fn delete_several(
    State(accounts): State<Accounts>,
    State(sessions): State<Arc<UiaSessions>>,
    Auth(login): Auth,
    mut body: Fields,
) -> Result<Json<Value>, ApiError> {
    let auth = body.object("auth")?;
    let ids = body.clone().strings("devices")?;
    delete_all(&accounts, &sessions, &login, (&body, auth), &ids).await
}

async fn delete_all(
    accounts: &Accounts,
    sessions: &UiaSessions,
    login: &Login,
    (body, auth): (&Fields, Option<Fields>),
    ids: &[String],
) -> Result<Json<Value>, ApiError> {
    let passed = confirm(accounts, sessions, login, Operation::DeleteDevices(login.user), body, auth).await?;
    accounts.delete_devices(login.user, ids).await?;
    sessions.finish(passed);
    Ok(Json(json!({})))
}
