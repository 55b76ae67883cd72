//! `POST /channels/{channel_id}/messages/bulk-delete`: 2 to 100 messages, none older than two weeks.

use axum::{extract::State, http::StatusCode};
use nexus_rooms::{MESSAGES_AT_ONCE, Rooms};
use nexus_views::{Permissions, Views};

use crate::{auth::Caller, body, error::ApiError, form, objects::Objects, params::Path};

const TWO_WEEKS_MS: u64 = 14 * 24 * 3600 * 1000;

pub(crate) async fn delete(
    State(rooms): State<Rooms>,
    State(views): State<Views>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    body::Json(body): body::Json,
) -> Result<StatusCode, ApiError> {
    let wanted = Permissions::MANAGE_MESSAGES;
    let channel = objects.channel_of(path.id("channel_id")?, caller.user(), wanted).await?;
    let ids = form::read(&body, |form| {
        form.require("messages");
        let ids = form.snowflakes("messages", MESSAGES_AT_ONCE).unwrap_or_default();
        if ids.len() < 2 {
            form.fault("messages", "BASE_TYPE_BAD_LENGTH", "Must be between 2 and 100 in length.");
        }
        ids
    })?;
    let oldest_ms = views.store().world().now().0.saturating_sub(TWO_WEEKS_MS);
    if ids.iter().any(|id| id.unix_ms() < oldest_ms) {
        return Err(ApiError::TooOld);
    }
    let mut events = Vec::new();
    for id in ids {
        if let Ok(message) = objects.message_of(&channel, id).await {
            events.push(message.event.pdu.event_id().to_owned());
        }
    }
    rooms.delete_messages(&caller.actor(), channel.room, events).await?;
    Ok(StatusCode::NO_CONTENT)
}
