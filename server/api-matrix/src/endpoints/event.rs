//! `GET /_matrix/client/v3/rooms/{roomId}/event/{eventId}`
//!
//! **Source**: Matrix v1.19, client-server API, "Getting events for a room". An event that one may not see
//! is answered like one that is not there.

use axum::extract::State;
use nexus_event_store::world::World;
use nexus_views::Views;

use crate::{
    access::Access,
    auth::Auth,
    error::ApiError,
    event_json::{RoomIdField, Viewer, event_json},
    json_out::JsonText,
    path::{self, Segments},
};

/// One event.
pub(crate) async fn get(
    State(views): State<Views>,
    State(world): State<World>,
    Auth(login): Auth,
    Segments((room, event)): Segments<(String, String)>,
) -> Result<JsonText, ApiError> {
    let (room, event_id) = (path::room_id(&room)?, path::event_id(&event)?);
    let unknown = || ApiError::not_found("there is no such event here");
    let mut access = Access::check(&views, &room, login.user, &login.user_id).await?;
    let event = views.event_by_id(&event_id).await?.ok_or_else(unknown)?;
    if !access.sees(&views, &event).await? {
        return Err(unknown());
    }
    let viewer = Viewer::new(&login, world.now());
    Ok(JsonText(event_json(&views, viewer, &event, RoomIdField::Shown).await?))
}
