//! `POST /channels/{channel_id}/typing`: shown for ten seconds, as on Discord.

use std::time::Duration;

use axum::{extract::State, http::StatusCode};
use nexus_rooms::Rooms;
use nexus_views::Permissions;

use crate::{auth::Caller, error::ApiError, objects::Objects, params::Path};

const SHOWN_FOR: Duration = Duration::from_secs(10);

pub(crate) async fn start(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<StatusCode, ApiError> {
    let wanted = Permissions::SEND_MESSAGES;
    let channel = objects.channel_of(path.id("channel_id")?, caller.user(), wanted).await?;
    rooms.typing(&caller.actor(), &channel.room_id, Some(SHOWN_FOR)).await?;
    Ok(StatusCode::NO_CONTENT)
}
