//! `POST /guilds/join` with `{room: "!id"}` or `{invite: "CODE"}`: the contract's way into a guild.

use axum::{Json, extract::State};
use nexus_rooms::Rooms;
use nexus_views::Views;
use ruma::RoomId;
use serde_json::Value;

use crate::{
    auth::Caller,
    body,
    error::{ApiError, Unknown},
    form,
    objects::Objects,
};

enum Way {
    Room(String),
    Invite(String),
}

fn parse(body: &Value, server: &str) -> Result<Way, ApiError> {
    let (room, invite) = form::read(body, |form| {
        form.list("via", 16);
        let ways = (form.text("room", 1..=255), form.text("invite", 1..=255));
        if ways.0.is_none() && ways.1.is_none() && form.raw("room").is_none() && form.raw("invite").is_none()
        {
            form.require("room");
        }
        ways
    })?;
    match (room, invite) {
        (_, Some(invite)) => match invite.split_once('@') {
            Some((code, host)) if host == server => Ok(Way::Invite(code.to_owned())),
            Some(_) => Err(elsewhere("invite")),
            None => Ok(Way::Invite(invite)),
        },
        (Some(room), None) if room.starts_with('#') => Err(elsewhere("room")),
        (Some(room), None) => Ok(Way::Room(room)),
        (None, None) => Err(ApiError::field(&["room"], "BASE_TYPE_REQUIRED", "This field is required")),
    }
}

fn elsewhere(field: &str) -> ApiError {
    let message = "Aliases and invites of other servers cannot be resolved yet.";
    ApiError::field(&[field], "NOT_AVAILABLE", message)
}

pub(crate) async fn join(
    State(rooms): State<Rooms>,
    State(views): State<Views>,
    State(objects): State<Objects>,
    caller: Caller,
    body::Json(body): body::Json,
) -> Result<Json<Value>, ApiError> {
    let room = match parse(&body, views.server_name().as_str())? {
        Way::Invite(code) => {
            caller.no_bots()?;
            rooms.accept_invite(&caller.actor(), &code).await?
        }
        Way::Room(room) => {
            let room_id = <&RoomId>::try_from(room.as_str())
                .map_err(|_| ApiError::field(&["room"], "ROOM_INVALID", "Not a room id."))?;
            rooms.join_guild(&caller.actor(), room_id).await?
        }
    };
    let guild = views.guild(room).await?.ok_or(ApiError::Unknown(Unknown::Guild))?;
    Ok(Json(objects.guild(&guild).await?))
}
