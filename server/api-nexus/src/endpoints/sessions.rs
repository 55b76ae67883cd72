//! `GET /auth/sessions`, `POST /auth/sessions/logout`: where one is logged in.
//!
//! **Shapes**: Discord's: `{"user_sessions": [{"id_hash", "approx_last_used_time", "client_info"}]}`; a session
//! is one device, of whichever API, and `client_info` has its id and name. Revoking takes
//! `{"session_id_hashes": [..]}`; hashes of nothing are passed over.

use axum::{Json, extract::State, http::StatusCode};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nexus_accounts::{Accounts, Device};
use nexus_event_store::UserNo;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{auth::Caller, body, error::ApiError, form, snowflake::iso_time};

/// Sessions revoked by one call.
const HASHES_MAX: usize = 1000;

pub(crate) async fn list(State(accounts): State<Accounts>, caller: Caller) -> Result<Json<Value>, ApiError> {
    caller.no_bots()?;
    let mut devices = accounts.devices(caller.user()).await?;
    devices.retain(|device| device.has_session);
    devices.sort_by_key(|device| std::cmp::Reverse(device.last_used_ms));
    let shown: Vec<Value> = devices.iter().map(|device| session_json(&caller, device)).collect();
    Ok(Json(json!({ "user_sessions": shown })))
}

fn session_json(caller: &Caller, device: &Device) -> Value {
    json!({
        "id_hash": id_hash(caller.user(), &device.id),
        "approx_last_used_time": iso_time(device.last_used_ms),
        "is_current": device.id == caller.0.device,
        "client_info": {
            "os": null,
            "platform": device.display_name,
            "location": null,
            "device_id": device.id,
        },
    })
}

/// Who is logged out here is logged out in the other API, too.
pub(crate) async fn revoke(
    State(accounts): State<Accounts>,
    caller: Caller,
    body::Json(body): body::Json,
) -> Result<StatusCode, ApiError> {
    caller.no_bots()?;
    let hashes = form::read(&body, |form| {
        form.require("session_id_hashes");
        form.list("session_id_hashes", HASHES_MAX).unwrap_or_default().to_vec()
    })?;
    let devices = accounts.devices(caller.user()).await?;
    let is_meant = |device: &Device| {
        let hash = id_hash(caller.user(), &device.id);
        hashes.iter().any(|wanted| wanted.as_str() == Some(&hash))
    };
    let doomed: Vec<String> = devices.iter().filter(|it| is_meant(it)).map(|it| it.id.clone()).collect();
    accounts.delete_devices(caller.user(), &doomed).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn id_hash(user: UserNo, device: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{}/{device}", user.0)))
}
