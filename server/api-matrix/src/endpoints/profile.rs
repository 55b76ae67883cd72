//! `GET /_matrix/client/v3/profile/{userId}`, and `GET`, `PUT` and `DELETE /profile/{userId}/{keyName}`
//!
//! `displayname` and `avatar_url` are kept; other keys are not there yet. A change is written into the
//! member event of every room the user is in.
//!
//! **Source**: Matrix v1.19, client-server API, "Profiles".

use axum::{Json, extract::State};
use nexus_accounts::{Accounts, Profile};
use nexus_rooms::Rooms;
use serde_json::{Map, Value, json};

use super::filters::check_own;
use crate::{
    auth::Auth,
    body::Fields,
    error::ApiError,
    path::{self, Segments},
};

fn field(profile: &Profile, key: &str) -> Result<Option<String>, ApiError> {
    match key {
        "displayname" => Ok(profile.display_name.clone()),
        "avatar_url" => Ok(profile.avatar_url.clone()),
        _ => Err(ApiError::not_found("there is no such profile field")),
    }
}

/// A whole profile.
pub(crate) async fn get(
    State(accounts): State<Accounts>,
    Segments(user): Segments<String>,
) -> Result<Json<Value>, ApiError> {
    let profile = accounts.profile(&path::user_id(&user)?).await?;
    let mut fields = Map::new();
    for key in ["displayname", "avatar_url"] {
        if let Some(value) = field(&profile, key)? {
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
    let profile = accounts.profile(&path::user_id(&user)?).await?;
    match field(&profile, &key)? {
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
        _ => return Err(unknown_key()),
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
        "avatar_url" => accounts.set_avatar_url(auth.0.user, value).await?,
        _ => return Err(unknown_key()),
    }
    rooms.refresh_profile(&auth.actor()).await?;
    Ok(Json(json!({})))
}

fn unknown_key() -> ApiError {
    ApiError::forbidden("only displayname and avatar_url can be set here")
}
