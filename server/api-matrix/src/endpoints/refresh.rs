//! `POST /_matrix/client/v3/refresh`
//!
//! **Source**: Matrix v1.19, client-server API, "Refreshing access tokens".

use axum::{Json, extract::State};
use nexus_accounts::Accounts;
use serde_json::Value;

use super::login::token_fields;
use crate::{body::Fields, error::ApiError};

/// New tokens for old.
pub(crate) async fn refresh(
    State(accounts): State<Accounts>,
    mut body: Fields,
) -> Result<Json<Value>, ApiError> {
    let token = body.required_string("refresh_token")?;
    let session = accounts.refresh(&token).await?;
    Ok(Json(token_fields(&session).into()))
}
