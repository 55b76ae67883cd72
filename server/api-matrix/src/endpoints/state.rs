//! `GET /_matrix/client/v3/rooms/{roomId}/state`, and `GET` and `PUT /state/{eventType}/{stateKey}`
//!
//! An empty state key may be written with or without the slash before it. A member event that joins,
//! leaves or invites is the same command as `/join`, `/leave` or `/invite`.
//!
//! **Source**: Matrix v1.19, client-server API, "Getting events for a room", "Sending events to a room".

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use nexus_event_store::world::World;
use nexus_rooms::{Actor, Rooms, SendEvent, Sent};
use nexus_views::{Membership, Views};
use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedUserId, RoomId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    access::Access,
    auth::Auth,
    body::{Fields, JsonBody},
    error::ApiError,
    event_json::{RoomIdField, Viewer, event_json, events_json},
    json_out::{JsonText, push_array},
    path::{self, Segments},
    query::Params,
};

const MEMBER: &str = "m.room.member";

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
    auth: Auth,
    Segments(StateKey { room, kind, key }): Segments<StateKey>,
    JsonBody(content): JsonBody,
) -> Result<Json<Value>, ApiError> {
    let room = path::room_id(&room)?;
    let actor = auth.actor();
    if kind == MEMBER
        && let Some(change) = MembershipChange::of(&rooms, &auth, &room, &key, &content).await?
    {
        let sent = change.run(&rooms, &actor, &room, content).await?;
        return Ok(Json(json!({ "event_id": sent.event_id })));
    }
    let event = SendEvent { room, event_type: kind, state_key: Some(key), content, txn: None };
    let sent = rooms.send(&actor, event).await?;
    Ok(Json(json!({ "event_id": sent.event_id })))
}

/// A member event that is one of the membership commands in disguise.
enum MembershipChange {
    Join,
    Leave,
    Invite(OwnedUserId),
}

impl MembershipChange {
    /// What a member event changes; `None` for what is no more than an event (a profile in one room, a kick).
    async fn of(
        rooms: &Rooms,
        Auth(login): &Auth,
        room: &RoomId,
        key: &str,
        content: &CanonicalJsonObject,
    ) -> Result<Option<Self>, ApiError> {
        let is_own = key == login.user_id.as_str();
        let membership = match content.get("membership") {
            Some(CanonicalJsonValue::String(text)) => Membership::parse(text),
            _ => None,
        };
        Ok(match membership.ok_or_else(|| ApiError::bad_json("membership must be a membership"))? {
            Membership::Join if is_own => {
                let views = rooms.views();
                let joined = match views.room_no(room).await? {
                    Some(room) => views.membership(room, login.user).await?,
                    None => None,
                };
                joined.is_none_or(|row| row.membership != Membership::Join).then_some(Self::Join)
            }
            Membership::Leave if is_own => Some(Self::Leave),
            Membership::Invite => Some(Self::Invite(path::user_id(key)?)),
            Membership::Join | Membership::Leave | Membership::Ban | Membership::Knock => None,
        })
    }

    async fn run(
        self,
        rooms: &Rooms,
        actor: &Actor,
        room: &RoomId,
        content: CanonicalJsonObject,
    ) -> Result<Sent, ApiError> {
        let reason = Fields(content).string("reason")?;
        Ok(match self {
            Self::Join => rooms.join(actor, room, reason).await?,
            Self::Leave => rooms.leave(actor, room, reason).await?,
            Self::Invite(user) => rooms.invite(actor, room, &user, reason).await?,
        })
    }
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
