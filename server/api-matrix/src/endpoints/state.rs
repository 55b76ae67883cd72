//! `GET /_matrix/client/v3/rooms/{roomId}/state`, and `GET` and `PUT /state/{eventType}/{stateKey}`
//!
//! An empty state key may be written with or without the slash before it. A member event that changes
//! a membership is the same command as `/join`, `/leave`, `/invite`, `/kick`, `/ban`, `/unban` or `/knock`.
//!
//! **Source**: Matrix v1.19, client-server API, "Getting events for a room", "Sending events to a room".

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use nexus_accounts::Accounts;
use nexus_event_store::world::World;
use nexus_rooms::{Rooms, SendEvent};
use nexus_views::{Membership, Views};
use ruma::{CanonicalJsonObject, CanonicalJsonValue};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    access::Access,
    auth::Auth,
    body::{Fields, JsonBody},
    error::ApiError,
    event_json::{RoomIdField, Viewer, event_json, events_json},
    invite_permission,
    json_out::{JsonText, push_array},
    path::{self, Segments},
    query::Params,
};

/// A (type, state key) of a room; the key is empty when the path has none.
#[derive(Deserialize)]
pub(crate) struct StateKey {
    room: String,
    kind: String,
    #[serde(default)]
    key: String,
}

/// The query of a read.
#[derive(Deserialize)]
pub(crate) struct Format {
    format: Option<String>,
}

/// Sets a state event.
pub(crate) async fn put(
    State(rooms): State<Rooms>,
    State(accounts): State<Accounts>,
    auth: Auth,
    Segments(StateKey { room, kind, key }): Segments<StateKey>,
    JsonBody(content): JsonBody,
) -> Result<Json<Value>, ApiError> {
    let room = path::room_id(&room)?;
    if kind == "m.room.member" {
        check_membership(&content)?;
        let target = path::user_id(&key)?;
        if content.get("membership").and_then(CanonicalJsonValue::as_str) == Some("invite") {
            invite_permission::check(&accounts, &target).await?;
        }
        Fields(content.clone()).string("reason")?;
    }
    let event = SendEvent { room, event_type: kind, state_key: Some(key), content, txn: None };
    let sent = rooms.send(&auth.actor(), event).await?;
    Ok(Json(json!({ "event_id": sent.event_id })))
}

/// Whether content says what membership it means.
fn check_membership(content: &CanonicalJsonObject) -> Result<(), ApiError> {
    let known = match content.get("membership") {
        Some(CanonicalJsonValue::String(text)) => Membership::parse(text).is_some(),
        _ => false,
    };
    if known { Ok(()) } else { Err(ApiError::bad_json("membership must be a membership")) }
}

/// The content of a state event, or with `?format=event` all of it.
pub(crate) async fn get(
    State(views): State<Views>,
    State(world): State<World>,
    Auth(login): Auth,
    Segments(StateKey { room, kind, key }): Segments<StateKey>,
    Params(Format { format }): Params<Format>,
) -> Result<Response, ApiError> {
    let access = Access::check(&views, &path::room_id(&room)?, login.user, &login.user_id).await?;
    let event = views.state_event(access.room, access.state, &kind, &key).await?;
    let event = event.ok_or_else(|| ApiError::not_found("there is no such state event"))?;
    match format.as_deref() {
        None | Some("content") => Ok(JsonText(event.pdu.content().get().to_owned()).into_response()),
        Some("event") => {
            let viewer = Viewer::new(&login, world.now());
            Ok(JsonText(event_json(&views, viewer, &event, RoomIdField::Shown).await?).into_response())
        }
        Some(_) => Err(ApiError::invalid_param("format must be content or event")),
    }
}

/// All state events.
pub(crate) async fn list(
    State(views): State<Views>,
    State(world): State<World>,
    Auth(login): Auth,
    Segments(room): Segments<String>,
) -> Result<JsonText, ApiError> {
    let access = Access::check(&views, &path::room_id(&room)?, login.user, &login.user_id).await?;
    let events = views.state(access.room, access.state).await?;
    let viewer = Viewer::new(&login, world.now());
    let texts = events_json(&views, viewer, &events, RoomIdField::Shown).await?;
    let mut out = String::new();
    push_array(&mut out, texts, |out, text| out.push_str(&text));
    Ok(JsonText(out))
}
