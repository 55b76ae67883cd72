//! `/channels/{channel_id}/pins` and `/channels/{channel_id}/messages/pins`: the pins of a channel or thread.

use axum::{Json, extract::State, http::StatusCode};
use nexus_event_store::rows::EventPlace;
use nexus_rooms::{PinChange, Rooms};
use nexus_views::{Channel, Message, Permissions, Views};
use serde_json::{Value, json};

use crate::{
    access::place_of,
    auth::Caller,
    error::ApiError,
    objects::{Objects, message::Parts},
    params::{Path, Query},
    snowflake::{iso_time, parse_time},
};

/// What the older call lists.
const OLD_LIMIT: usize = 50;

/// The pinned messages of a channel that are still there, newest first, with the time of each pin.
async fn pinned(
    views: &Views,
    objects: &Objects,
    channel: &Channel,
    before_ms: Option<u64>,
    limit: usize,
) -> Result<Vec<(Message, u64)>, ApiError> {
    let mut found = Vec::new();
    for pin in views.pins(channel.room).await? {
        if before_ms.is_some_and(|before| pin.at_ms >= before) {
            continue;
        }
        if found.len() == limit {
            break;
        }
        let place = EventPlace { room: channel.room, event: pin.event };
        let Some(message) = views.message_of(place).await? else { continue };
        if objects.message_of(channel, message.id).await.is_ok() {
            found.push((message, pin.at_ms));
        }
    }
    Ok(found)
}

async fn shown(
    objects: &Objects,
    channel: &Channel,
    message: &Message,
    caller: &Caller,
) -> Result<Value, ApiError> {
    let mut object = objects.message(place_of(channel), Parts::of(message), Some(caller.user())).await?;
    object["pinned"] = true.into();
    Ok(object)
}

/// The older list: messages alone.
pub(crate) async fn old_list(
    State(views): State<Views>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<Json<Value>, ApiError> {
    let wanted = Permissions::READ_MESSAGE_HISTORY;
    let channel = objects.channel_of(path.id("channel_id")?, caller.user(), wanted).await?;
    let mut messages = Vec::new();
    for (message, _) in pinned(&views, &objects, &channel, None, OLD_LIMIT).await? {
        messages.push(shown(&objects, &channel, &message, &caller).await?);
    }
    Ok(Json(messages.into()))
}

/// The newer list: pages of messages with the time of each pin.
pub(crate) async fn list(
    State(views): State<Views>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    query: Query,
) -> Result<Json<Value>, ApiError> {
    let limit = query.limit(50, 50)?;
    let before_ms = match query.text("before") {
        Some(text) => Some(parse_time(text).ok_or_else(|| {
            ApiError::field(&["before"], "DATE_TIME_TYPE_PARSE", "Could not parse the time.")
        })?),
        None => None,
    };
    let wanted = Permissions::READ_MESSAGE_HISTORY;
    let channel = objects.channel_of(path.id("channel_id")?, caller.user(), wanted).await?;
    let found = pinned(&views, &objects, &channel, before_ms, limit + 1).await?;
    let mut items = Vec::new();
    for (message, at_ms) in found.iter().take(limit) {
        let message = shown(&objects, &channel, message, &caller).await?;
        items.push(json!({ "pinned_at": iso_time(*at_ms), "message": message }));
    }
    Ok(Json(json!({ "items": items, "has_more": found.len() > limit })))
}

pub(crate) async fn add(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<StatusCode, ApiError> {
    let channel = objects.channel_of(path.id("channel_id")?, caller.user(), Permissions::NONE).await?;
    let message = objects.message_of(&channel, path.id("message_id")?).await?;
    let change = PinChange::Pin(message.event.pdu.event_id().to_owned());
    rooms.change_pins(&caller.actor(), channel.room, change).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn remove(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<StatusCode, ApiError> {
    let channel = objects.channel_of(path.id("channel_id")?, caller.user(), Permissions::NONE).await?;
    let message = objects.message_of(&channel, path.id("message_id")?).await?;
    let change = PinChange::Unpin(message.event.pdu.event_id().to_owned());
    rooms.change_pins(&caller.actor(), channel.room, change).await?;
    Ok(StatusCode::NO_CONTENT)
}
