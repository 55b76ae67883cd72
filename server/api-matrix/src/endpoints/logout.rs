//! `POST /_matrix/client/v3/logout` and `/logout/all`
//!
//! **Source**: Matrix v1.19, client-server API, "Soft logout" and "Logout". A body is not looked at.

use axum::{Json, extract::State};
use nexus_accounts::Accounts;
use serde_json::{Value, json};

use crate::{auth::Auth, error::ApiError};

/// Ends this session; its device goes with it.
pub(crate) async fn one(
    State(accounts): State<Accounts>,
    Auth(login): Auth,
) -> Result<Json<Value>, ApiError> {
    accounts.logout(&login).await?;
    Ok(Json(json!({})))
}

/// Ends all sessions of the user.
pub(crate) async fn all(
    State(accounts): State<Accounts>,
    Auth(login): Auth,
) -> Result<Json<Value>, ApiError> {
    accounts.logout_all(login.user).await?;
    Ok(Json(json!({})))
}
