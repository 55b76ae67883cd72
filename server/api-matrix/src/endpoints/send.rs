//! `PUT /_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}`
//!
//! A redaction sent like any other event is the same command as `/redact` (since v1.18).
//!
//! **Source**: Matrix v1.19, client-server API, "Sending events to a room".

use axum::{Json, extract::State};
use nexus_rooms::{Redact, Rooms, SendEvent, TxnKey};
use ruma::{CanonicalJsonObject, CanonicalJsonValue};
use serde_json::{Value, json};

use crate::{
    auth::Auth,
    body::{Fields, JsonBody},
    error::ApiError,
    path::{self, Segments},
};

/// Sends an event that is not state.
pub(crate) async fn put(
    State(rooms): State<Rooms>,
    auth: Auth,
    Segments((room, kind, txn)): Segments<(String, String, String)>,
    JsonBody(content): JsonBody,
) -> Result<Json<Value>, ApiError> {
    let room = path::room_id(&room)?;
    let actor = auth.actor();
    let txn = Some(TxnKey { scope: "send".to_owned(), id: txn });
    let sent = if kind == "m.room.redaction" {
        let mut fields = Fields(content);
        let event_id = path::event_id(&fields.required_string("redacts")?)?;
        rooms.redact(&actor, Redact { room, event_id, reason: fields.string("reason")?, txn }).await?
    } else {
        check_message(&kind, &content)?;
        rooms.send(&actor, SendEvent { room, event_type: kind, state_key: None, content, txn }).await?
    };
    Ok(Json(json!({ "event_id": sent.event_id })))
}

/// Refuses a message that no client could show: what every message has must be text.
fn check_message(kind: &str, content: &CanonicalJsonObject) -> Result<(), ApiError> {
    if kind != "m.room.message" {
        return Ok(());
    }
    for field in ["msgtype", "body"] {
        if content.get(field).is_some_and(|value| !matches!(value, CanonicalJsonValue::String(_))) {
            return Err(ApiError::bad_json(format!("{field} must be a string")));
        }
    }
    Ok(())
}
