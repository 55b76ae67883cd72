//! Registration tokens: `GET /tokens`, `POST /tokens`, `POST /tokens/{token}/revoke`.
//!
//! **Shapes**: `{token, uses, uses_max, expires_ms, created_ms}`; `null` is without limit.

use axum::{
    Json,
    extract::{Path, State},
};
use nexus_accounts::{NewRegistrationToken, RegistrationToken};
use serde::Deserialize;
use serde_json::{Value, json};

use super::AdminParts;
use crate::Refusal;

const HOUR_MS: u64 = 3_600_000;

type Reply = Result<Json<Value>, Refusal>;

pub(super) async fn list(State(parts): State<AdminParts>) -> Reply {
    let tokens = parts.accounts.registration_tokens().await?;
    Ok(Json(json!({ "tokens": tokens.iter().map(token_json).collect::<Vec<_>>() })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Creation {
    token: Option<String>,
    uses_max: Option<u32>,
    expires_in_hours: Option<u32>,
}

pub(super) async fn create(State(parts): State<AdminParts>, Json(body): Json<Creation>) -> Reply {
    let now_ms = parts.views.store().world().now().0;
    let expires_ms = body.expires_in_hours.map(|hours| now_ms.saturating_add(u64::from(hours) * HOUR_MS));
    let new = NewRegistrationToken { token: body.token, uses_max: body.uses_max, expires_ms };
    Ok(Json(token_json(&parts.accounts.create_registration_token(new).await?)))
}

pub(super) async fn revoke(State(parts): State<AdminParts>, Path(token): Path<String>) -> Reply {
    if parts.accounts.revoke_registration_token(&token).await? {
        Ok(Json(json!({ "token": token })))
    } else {
        Err(Refusal::not_found(format!("{token}: no such token")))
    }
}

fn token_json(token: &RegistrationToken) -> Value {
    json!({
        "token": token.token,
        "uses": token.uses,
        "uses_max": token.uses_max,
        "expires_ms": token.expires_ms,
        "created_ms": token.created_ms,
    })
}
