//! `GET /_matrix/client/v3/account/whoami`
//!
//! **Source**: Matrix v1.19, client-server API, "Current account information".

use axum::Json;
use serde_json::{Value, json};

use crate::auth::Auth;

/// Whose token this is.
pub(crate) async fn get(Auth(login): Auth) -> Json<Value> {
    Json(json!({ "user_id": login.user_id, "device_id": login.device, "is_guest": false }))
}
