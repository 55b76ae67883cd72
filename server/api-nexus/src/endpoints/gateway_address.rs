//! `GET /gateway` and `GET /gateway/bot`: where the gateway is.

use axum::{Json, extract::State};
use serde_json::{Value, json};

use crate::{auth::Caller, error::ApiError, gateway::Gateway};

pub(crate) async fn address(State(gateway): State<Gateway>) -> Json<Value> {
    Json(json!({ "url": gateway.url() }))
}

/// Starting a session costs no more than resuming one, so the limit is one that no client runs into.
pub(crate) async fn address_for_bot(
    State(gateway): State<Gateway>,
    _: Caller,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({
        "url": gateway.url(),
        "shards": 1,
        "session_start_limit": { "total": 1000, "remaining": 1000, "reset_after": 0, "max_concurrency": 16 },
    })))
}
