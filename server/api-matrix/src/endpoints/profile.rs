//! `GET /_matrix/client/v3/profile/{userId}`, and `GET`, `PUT` and `DELETE /profile/{userId}/{keyName}`
//!
//! A change of `displayname` or `avatar_url` is written into the member event of every room the user is in;
//! other keys may hold any JSON and stay in the profile.
//!
//! **Errors**: 400 `M_INVALID_PARAM` for a key of no namespace's grammar; 400 `M_KEY_TOO_LARGE`;
//! 400 `M_PROFILE_TOO_LARGE`.
//! **Source**: Matrix v1.19, client-server API, "Profiles"; appendices, "Common Namespaced Identifier Grammar".

use axum::{Json, extract::State};
use nexus_accounts::{AccountError, Accounts, Profile};
use nexus_rooms::Rooms;
use serde_json::{Map, Value, json};

use super::filters::check_own;
use crate::{
    auth::Auth,
    body::Fields,
    error::ApiError,
    path::{self, Segments},
};

/// What member events show, too.
const IN_ROOMS: [&str; 2] = ["displayname", "avatar_url"];

fn in_rooms(profile: &Profile, key: &str) -> Option<String> {
    match key {
        "displayname" => profile.display_name.clone(),
        "avatar_url" => profile.avatar_url.clone(),
        _ => None,
    }
}

/// A whole profile.
pub(crate) async fn get(
    State(accounts): State<Accounts>,
    Segments(user): Segments<String>,
) -> Result<Json<Value>, ApiError> {
    let user = path::user_id(&user)?;
    let profile = accounts.profile(&user).await?;
    let mut fields = Map::new();
    if let Some(account) = accounts.account_by_id(&user).await? {
        for (key, json) in accounts.profile_fields(account.user).await? {
            fields.insert(key, serde_json::from_str(&json).unwrap_or_default());
        }
    }
    for key in IN_ROOMS {
        if let Some(value) = in_rooms(&profile, key) {
            fields.insert(key.to_owned(), value.into());
        }
    }
    Ok(Json(fields.into()))
}

/// One field of a profile.
pub(crate) async fn get_field(
    State(accounts): State<Accounts>,
    Segments((user, key)): Segments<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let user = path::user_id(&user)?;
    let profile = accounts.profile(&user).await?;
    let mut value = in_rooms(&profile, &key).map(Value::from);
    if !IN_ROOMS.contains(&key.as_str())
        && let Some(account) = accounts.account_by_id(&user).await?
        && let Some(json) = accounts.profile_field(account.user, &key).await?
    {
        value = Some(serde_json::from_str(&json).unwrap_or_default());
    }
    match value {
        Some(value) => Ok(Json(json!({ key: value }))),
        None => Err(ApiError::not_found("the profile field is not set")),
    }
}

/// Sets a field.
pub(crate) async fn put_field(
    State(accounts): State<Accounts>,
    State(rooms): State<Rooms>,
    auth: Auth,
    Segments((user, key)): Segments<(String, String)>,
    mut body: Fields,
) -> Result<Json<Value>, ApiError> {
    check_own(&auth.0, &user)?;
    let value = match key.as_str() {
        "displayname" => body.string("displayname")?,
        "avatar_url" => body.string("avatar_url")?,
        _ => return put_other(&accounts, &auth, &key, body).await,
    };
    // An empty value is how older clients remove one.
    change(&accounts, &rooms, &auth, &key, value.filter(|value| !value.is_empty())).await
}

/// Removes a field.
pub(crate) async fn delete_field(
    State(accounts): State<Accounts>,
    State(rooms): State<Rooms>,
    auth: Auth,
    Segments((user, key)): Segments<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    check_own(&auth.0, &user)?;
    if !IN_ROOMS.contains(&key.as_str()) {
        accounts.set_profile_field(auth.0.user, &key, None).await.map_err(too_large)?;
        return Ok(Json(json!({})));
    }
    change(&accounts, &rooms, &auth, &key, None).await
}

async fn change(
    accounts: &Accounts,
    rooms: &Rooms,
    auth: &Auth,
    key: &str,
    value: Option<String>,
) -> Result<Json<Value>, ApiError> {
    match key {
        "displayname" => accounts.set_display_name(auth.0.user, value).await?,
        _ => accounts.set_avatar_url(auth.0.user, value).await?,
    }
    rooms.refresh_profile(&auth.actor()).await?;
    Ok(Json(json!({})))
}

/// Sets a field that is no name and no picture.
async fn put_other(
    accounts: &Accounts,
    auth: &Auth,
    key: &str,
    mut body: Fields,
) -> Result<Json<Value>, ApiError> {
    let grammatical = key.starts_with(|first: char| first.is_ascii_lowercase())
        && key
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte));
    if !grammatical {
        return Err(ApiError::invalid_param(
            "a key is made of a-z, 0-9, -, _ and ., and begins with a letter",
        ));
    }
    let value = body.0.remove(key).ok_or_else(|| ApiError::missing_param(key))?;
    let json = serde_json::to_string(&value).map_err(|error| ApiError::bad_json(error.to_string()))?;
    accounts.set_profile_field(auth.0.user, key, Some(json)).await.map_err(too_large)?;
    Ok(Json(json!({})))
}

fn too_large(error: AccountError) -> ApiError {
    match error {
        AccountError::FieldTooLong { field: "key", .. } => ApiError::key_too_large(error.to_string()),
        AccountError::FieldTooLong { .. } => ApiError::profile_too_large(error.to_string()),
        other => other.into(),
    }
}
