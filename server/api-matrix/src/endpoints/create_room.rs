//! `POST /_matrix/client/v3/createRoom`
//!
//! `visibility` lists the room in the directory, and chooses the preset if none is given.
//!
//! **Source**: Matrix v1.19, client-server API, "Creation".

use axum::{Json, extract::State};
use nexus_accounts::Accounts;
use nexus_rooms::{CreateRoom, InitialState, Preset, Rooms};
use nexus_state_resolution::RoomVersion;
use serde_json::{Value, json};

use crate::{auth::Auth, body::Fields, error::ApiError, invite_permission, path};

/// Makes a room.
pub(crate) async fn post(
    State(rooms): State<Rooms>,
    State(accounts): State<Accounts>,
    auth: Auth,
    body: Fields,
) -> Result<Json<Value>, ApiError> {
    let room = parse(body)?;
    for user in &room.invite {
        invite_permission::check(&accounts, user).await?;
    }
    let created = rooms.create_room(&auth.actor(), room).await?;
    Ok(Json(json!({ "room_id": created.room_id })))
}

fn parse(mut body: Fields) -> Result<CreateRoom, ApiError> {
    let is_public = match body.string("visibility")?.as_deref() {
        None | Some("private") => false,
        Some("public") => true,
        Some(_) => return Err(ApiError::bad_json("visibility must be public or private")),
    };
    let preset = match body.string("preset")?.as_deref() {
        Some("private_chat") => Preset::PrivateChat,
        Some("trusted_private_chat") => Preset::TrustedPrivateChat,
        Some("public_chat") => Preset::PublicChat,
        Some(_) => return Err(ApiError::bad_json("preset is not known")),
        None if is_public => Preset::PublicChat,
        None => Preset::PrivateChat,
    };
    let version = match body.string("room_version")? {
        Some(name) => Some(RoomVersion::parse(&name).ok_or_else(ApiError::unsupported_room_version)?),
        None => None,
    };
    if !body.objects("invite_3pid")?.is_empty() {
        return Err(ApiError::invalid_param("invites by e-mail or phone are not possible here"));
    }
    let invite = body.strings("invite")?;
    let initial_state = body.objects("initial_state")?;
    Ok(CreateRoom {
        version,
        preset,
        name: body.string("name")?,
        topic: body.string("topic")?,
        invite: invite.iter().map(|user| path::user_id(user)).collect::<Result<_, _>>()?,
        initial_state: initial_state.into_iter().map(initial_event).collect::<Result<_, _>>()?,
        creation_content: body.object("creation_content")?.unwrap_or_default().0,
        power_level_content_override: body.object("power_level_content_override")?.map(|fields| fields.0),
        is_direct: body.boolean("is_direct")?,
        alias: body.string("room_alias_name")?,
        listed: is_public,
    })
}

fn initial_event(mut fields: Fields) -> Result<InitialState, ApiError> {
    Ok(InitialState {
        event_type: fields.required_string("type")?,
        state_key: fields.string("state_key")?.unwrap_or_default(),
        content: fields.object("content")?.ok_or_else(|| ApiError::missing_param("content"))?.0,
    })
}
