//! `GET` and `PUT /_matrix/client/v3/user/{userId}/account_data/{type}`, and the same for one room below
//! `/user/{userId}/rooms/{roomId}`
//!
//! **Source**: Matrix v1.19, client-server API, "Client config".

use axum::{Json, extract::State};
use nexus_accounts::Accounts;
use ruma::CanonicalJsonObject;
use serde_json::{Value, json};

use super::filters::check_own;
use crate::{
    auth::Auth,
    body::JsonBody,
    error::ApiError,
    json_out::JsonText,
    path::{self, Segments},
};

/// What has endpoints of its own and is not to be set here.
const MANAGED: [&str; 2] = ["m.fully_read", "m.push_rules"];

/// Reads account data for all rooms.
pub(crate) async fn get(
    State(accounts): State<Accounts>,
    Auth(login): Auth,
    Segments((user, kind)): Segments<(String, String)>,
) -> Result<JsonText, ApiError> {
    check_own(&login, &user)?;
    found(accounts.account_data(login.user, None, &kind).await?)
}

/// Sets account data for all rooms.
pub(crate) async fn put(
    State(accounts): State<Accounts>,
    Auth(login): Auth,
    Segments((user, kind)): Segments<(String, String)>,
    JsonBody(content): JsonBody,
) -> Result<Json<Value>, ApiError> {
    check_own(&login, &user)?;
    let content = checked(&kind, &content)?;
    accounts.put_account_data(login.user, None, &kind, content).await?;
    Ok(Json(json!({})))
}

/// Reads account data for one room.
pub(crate) async fn get_in_room(
    State(accounts): State<Accounts>,
    Auth(login): Auth,
    Segments((user, room, kind)): Segments<(String, String, String)>,
) -> Result<JsonText, ApiError> {
    check_own(&login, &user)?;
    let room = path::room_id(&room)?;
    found(accounts.account_data(login.user, Some(&room), &kind).await?)
}

/// Sets account data for one room.
pub(crate) async fn put_in_room(
    State(accounts): State<Accounts>,
    Auth(login): Auth,
    Segments((user, room, kind)): Segments<(String, String, String)>,
    JsonBody(content): JsonBody,
) -> Result<Json<Value>, ApiError> {
    check_own(&login, &user)?;
    let room = path::room_id(&room)?;
    let content = checked(&kind, &content)?;
    accounts.put_account_data(login.user, Some(&room), &kind, content).await?;
    Ok(Json(json!({})))
}

fn found(content: Option<String>) -> Result<JsonText, ApiError> {
    content.map(JsonText).ok_or_else(|| ApiError::not_found("there is no such account data"))
}

fn checked(kind: &str, content: &CanonicalJsonObject) -> Result<String, ApiError> {
    if MANAGED.contains(&kind) {
        return Err(ApiError::managed_account_data());
    }
    serde_json::to_string(content).map_err(|error| ApiError::bad_json(error.to_string()))
}
