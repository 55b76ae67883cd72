//! `GET /_matrix/client/v3/joined_rooms`, `/rooms/{roomId}/joined_members` and `/rooms/{roomId}/members`
//!
//! **Source**: Matrix v1.19, client-server API, "Room membership", "Getting events for a room".

use std::sync::Arc;

use axum::{Json, extract::State};
use nexus_event_store::{NodeHash, world::World};
use nexus_views::{Event, Membership, TimelineSlice, Views};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    access::{Access, membership_of},
    auth::Auth,
    error::ApiError,
    event_json::{RoomIdField, Viewer, events_json},
    json_out::{JsonText, ObjectWriter},
    path::{self, Segments},
    query::Params,
    token::Gap,
};

/// The rooms that the user is in.
pub(crate) async fn joined_rooms(
    State(views): State<Views>,
    Auth(login): Auth,
) -> Result<Json<Value>, ApiError> {
    let mut rooms = Vec::new();
    for (room, row) in views.rooms_of(login.user).await? {
        if row.membership == Membership::Join && views.guild_admits(room, login.user).await? {
            rooms.push(views.room_id(room).await?);
        }
    }
    Ok(Json(json!({ "joined_rooms": rooms })))
}

/// Who is in a room, with their profiles there.
pub(crate) async fn joined_members(
    State(views): State<Views>,
    Auth(login): Auth,
    Segments(room): Segments<String>,
) -> Result<Json<Value>, ApiError> {
    let refused = || ApiError::forbidden("you are not in this room");
    let room = views.room_no(&path::room_id(&room)?).await?.ok_or_else(refused)?;
    let own = views.membership(room, login.user).await?;
    let is_in = own.is_some_and(|row| row.membership == Membership::Join);
    if !is_in || !views.guild_admits(room, login.user).await? {
        return Err(refused());
    }
    let mut joined = Map::new();
    for (user, row) in views.members(room).await? {
        if row.membership == Membership::Join {
            let profile = json!({ "display_name": row.display_name, "avatar_url": row.avatar_url });
            joined.insert(views.user_id(user).await?.to_string(), profile);
        }
    }
    Ok(Json(json!({ "joined": joined })))
}

/// Which members.
#[derive(Deserialize)]
pub(crate) struct Choice {
    at: Option<String>,
    membership: Option<String>,
    not_membership: Option<String>,
}

/// The member events of a room.
pub(crate) async fn members(
    State(views): State<Views>,
    State(world): State<World>,
    Auth(login): Auth,
    Segments(room): Segments<String>,
    Params(choice): Params<Choice>,
) -> Result<JsonText, ApiError> {
    let mut access = Access::check(&views, &path::room_id(&room)?, login.user, &login.user_id).await?;
    let state = state_at(&views, &mut access, choice.at.as_deref()).await?;
    let wanted = known_membership("membership", choice.membership.as_deref())?;
    let unwanted = known_membership("not_membership", choice.not_membership.as_deref())?;
    let admits = |event: &Arc<Event>| {
        let membership = membership_of(event);
        event.pdu.event_type() == "m.room.member"
            && match (wanted, unwanted) {
                (None, None) => true,
                (Some(wanted), None) => membership == Some(wanted),
                (None, Some(unwanted)) => membership != Some(unwanted),
                // Either suffices, as the specification has it.
                (Some(wanted), Some(unwanted)) => membership == Some(wanted) || membership != Some(unwanted),
            }
    };
    let mut events = views.state(access.room, state).await?;
    events.retain(admits);
    let viewer = Viewer::new(&login, world.now());
    let texts = events_json(&views, viewer, &events, RoomIdField::Shown).await?;
    let mut out = String::new();
    let mut reply = ObjectWriter::begin(&mut out);
    reply.json_list("chunk", &texts);
    reply.end();
    Ok(JsonText(out))
}

/// The state at a token, though never a later one than the user may know, nor one of a time that is not for
/// their eyes.
async fn state_at(views: &Views, access: &mut Access, at: Option<&str>) -> Result<NodeHash, ApiError> {
    let Some(at) = at else { return Ok(access.state) };
    let gap: Gap = at.parse().map_err(|_| ApiError::invalid_param("at is not a token of this server"))?;
    if access.until.is_some_and(|until| gap.0.position > until) {
        return Ok(access.state);
    }
    let slice = TimelineSlice { after: None, before: Some(gap.0), newest_first: true, limit: 1 };
    match views.timeline(access.room, slice).await?.first() {
        None => Ok(NodeHash::EMPTY),
        Some(item) if access.sees(views, &item.event).await? => Ok(item.state_now),
        Some(_) => Err(ApiError::forbidden("you may not know who was in the room then")),
    }
}

fn known_membership(name: &str, text: Option<&str>) -> Result<Option<Membership>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    match Membership::parse(text) {
        Some(membership) => Ok(Some(membership)),
        None => Err(ApiError::invalid_param(format!("{name} is not a membership"))),
    }
}
