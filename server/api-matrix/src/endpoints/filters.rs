//! `POST /_matrix/client/v3/user/{userId}/filter` and `GET /user/{userId}/filter/{filterId}`
//!
//! **Source**: Matrix v1.19, client-server API, "Filtering".

use axum::{Json, extract::State};
use nexus_accounts::{Accounts, Login};
use serde_json::{Value, json};

use crate::{
    auth::Auth,
    body::JsonBody,
    error::ApiError,
    filter::Filter,
    json_out::JsonText,
    path::{self, Segments},
};

/// Keeps a filter.
pub(crate) async fn create(
    State(accounts): State<Accounts>,
    Auth(login): Auth,
    Segments(user): Segments<String>,
    JsonBody(filter): JsonBody,
) -> Result<Json<Value>, ApiError> {
    check_own(&login, &user)?;
    let text =
        Value::from_iter(filter.into_iter().map(|(name, value)| (name, Value::from(value)))).to_string();
    Filter::parse(&text)?;
    let id = accounts.put_filter(login.user, text).await?;
    Ok(Json(json!({ "filter_id": id })))
}

/// A filter kept before.
pub(crate) async fn get(
    State(accounts): State<Accounts>,
    Auth(login): Auth,
    Segments((user, id)): Segments<(String, String)>,
) -> Result<JsonText, ApiError> {
    check_own(&login, &user)?;
    let filter = accounts.filter(login.user, &id).await?;
    filter.map(JsonText).ok_or_else(|| ApiError::not_found("there is no such filter"))
}

/// Refuses what belongs to another user.
pub(crate) fn check_own(login: &Login, user: &str) -> Result<(), ApiError> {
    if path::user_id(user)? == login.user_id {
        return Ok(());
    }
    Err(ApiError::forbidden("this belongs to another user"))
}
