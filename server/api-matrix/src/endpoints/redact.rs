//! `PUT /_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}`
//!
//! **Source**: Matrix v1.19, client-server API, "Redactions".

use axum::{Json, extract::State};
use nexus_rooms::{Redact, Rooms, TxnKey};
use serde_json::{Value, json};

use crate::{
    auth::Auth,
    body::OptionalBody,
    error::ApiError,
    path::{self, Segments},
};

/// Takes an event's content away.
pub(crate) async fn put(
    State(rooms): State<Rooms>,
    auth: Auth,
    Segments((room, event, txn)): Segments<(String, String, String)>,
    OptionalBody(mut body): OptionalBody,
) -> Result<Json<Value>, ApiError> {
    let redact = Redact {
        room: path::room_id(&room)?,
        event_id: path::event_id(&event)?,
        reason: body.string("reason")?,
        // Which event is part of the path, so the same id for another event is another request.
        txn: Some(TxnKey { scope: format!("redact/{event}"), id: txn }),
    };
    let sent = rooms.redact(&auth.actor(), redact).await?;
    Ok(Json(json!({ "event_id": sent.event_id })))
}
