//! `GET|POST /channels/{channel_id}/invites`, `GET|POST|DELETE /invites/{code}`.

use axum::{Json, extract::State};
use nexus_rooms::{Invite, NewInvite, Rooms};
use nexus_views::{Permissions, Views};
use serde_json::{Value, json};

use crate::{
    auth::Caller,
    body,
    error::{ApiError, Unknown},
    form,
    gateway::{Announcement, Gateway, Intents},
    objects::{Objects, guild::partial_json},
    params::{Path, Query},
};

const DAY_S: i64 = 86_400;
const AGE_S: i64 = 7 * DAY_S;

async fn shown(
    objects: &Objects,
    invite: &Invite,
    whole: bool,
    counts: bool,
) -> Result<Json<Value>, ApiError> {
    let object = objects.invite(invite, whole, counts).await?;
    object.map(Json).ok_or(ApiError::Unknown(Unknown::Invite))
}

fn announcement(invite: &Invite, name: &'static str, d: &Value) -> Announcement {
    Announcement {
        guild: invite.guild,
        channel: invite.channel,
        intent: Intents::GUILD_INVITES,
        needs: Permissions::MANAGE_CHANNELS,
        name,
        d: d.to_string(),
        only: None,
    }
}

pub(crate) async fn list_of_channel(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<Json<Value>, ApiError> {
    let wanted = Permissions::MANAGE_CHANNELS;
    let channel = objects.channel_of(path.id("channel_id")?, caller.user(), wanted).await?;
    let mut invites = Vec::new();
    for invite in rooms.invites_of_channel(channel.guild, channel.room).await? {
        invites.extend(objects.invite(&invite, true, false).await?);
    }
    Ok(Json(Value::Array(invites)))
}

pub(crate) async fn create(
    State(rooms): State<Rooms>,
    State(gateway): State<Gateway>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    body::Json(body): body::Json,
) -> Result<Json<Value>, ApiError> {
    let wanted = Permissions::CREATE_INSTANT_INVITE;
    let channel = objects.channel_of(path.id("channel_id")?, caller.user(), wanted).await?;
    let new = form::read(&body, |form| NewInvite {
        max_age_s: form.integer("max_age", 0..=AGE_S).unwrap_or(DAY_S).unsigned_abs(),
        max_uses: form.integer("max_uses", 0..=100).and_then(|uses| u32::try_from(uses).ok()).unwrap_or(0),
        temporary: form.flag("temporary").unwrap_or(false),
        unique: form.flag("unique").unwrap_or(false),
    })?;
    let invite = rooms.create_invite(&caller.actor(), channel.room, new).await?;
    let object = shown(&objects, &invite, true, false).await?;
    let mut d = object.0.clone();
    d["channel_id"] = channel.id.to_string().into();
    gateway.announce(announcement(&invite, "INVITE_CREATE", &d));
    Ok(object)
}

/// Needs no token: whoever holds the code may look at what it leads to.
pub(crate) async fn get(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    path: Path,
    query: Query,
) -> Result<Json<Value>, ApiError> {
    let invite = rooms.invite_of(path.text("code")).await?.ok_or(ApiError::Unknown(Unknown::Invite))?;
    shown(&objects, &invite, false, query.flag("with_counts")).await
}

pub(crate) async fn accept(
    State(rooms): State<Rooms>,
    State(views): State<Views>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<Json<Value>, ApiError> {
    caller.no_bots()?;
    let unknown = ApiError::Unknown(Unknown::Invite);
    let code = path.text("code");
    let invite = rooms.invite_of(code).await?.ok_or(unknown.clone())?;
    let was_member = views.guild_member(invite.guild, caller.user()).await?.is_some();
    let room = rooms.accept_invite(&caller.actor(), code).await?;
    let guild = views.guild(room).await?.ok_or(unknown.clone())?;
    let mut object = objects.invite(&invite, false, false).await?.ok_or(unknown)?;
    object["guild"] = partial_json(&guild);
    object["new_member"] = (!was_member).into();
    Ok(Json(object))
}

pub(crate) async fn delete(
    State(rooms): State<Rooms>,
    State(gateway): State<Gateway>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<Json<Value>, ApiError> {
    let invite = rooms.delete_invite(&caller.actor(), path.text("code")).await?;
    let object = shown(&objects, &invite, true, false).await?;
    let d = json!({
        "code": invite.code,
        "guild_id": object.0["guild_id"],
        "channel_id": object.0["channel"]["id"],
    });
    gateway.announce(announcement(&invite, "INVITE_DELETE", &d));
    Ok(object)
}
