//! `GET /.well-known/matrix/client`
//!
//! **Source**: Matrix v1.19, client-server API, "Well-known URI".

use std::sync::Arc;

use axum::{Json, extract::State};
use serde_json::{Value, json};

use crate::api::MatrixConfig;

/// Where the API is.
pub(crate) async fn client(State(config): State<Arc<MatrixConfig>>) -> Json<Value> {
    Json(json!({ "m.homeserver": { "base_url": config.public_url } }))
}
