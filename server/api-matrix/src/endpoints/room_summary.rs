//! `GET /_matrix/client/v1/room_summary/{roomIdOrAlias}`
//!
//! **Source**: Matrix v1.19, client-server API, "Room summaries". A room that one may not know of is answered
//! like one that is not there: 404 `M_NOT_FOUND`.

use axum::{Json, extract::State};
use nexus_views::{Membership, Views};
use serde_json::Value;

use crate::{
    auth::OptionalAuth, error::ApiError, outside::may_know, path::Segments, room_name::room_of_name,
    summary_json::full_summary_json,
};

/// A room at a glance.
pub(crate) async fn get(
    State(views): State<Views>,
    OptionalAuth(login): OptionalAuth,
    Segments(name): Segments<String>,
) -> Result<Json<Value>, ApiError> {
    let unknown = || ApiError::not_found("there is no such room");
    let room = room_of_name(&views, &name).await?;
    let room = views.room_no(&room).await?.ok_or_else(unknown)?;
    let summary = views.summary(room).await?;
    let user = login.map(|login| login.user);
    if !may_know(&views, user, &summary).await? {
        return Err(unknown());
    }
    let mut reply = full_summary_json(&summary);
    if let Some(user) = user {
        let membership = views.membership(room, user).await?.map(|row| row.membership);
        reply["membership"] = match membership {
            Some(Membership::Join) => "join",
            Some(Membership::Invite) => "invite",
            Some(Membership::Knock) => "knock",
            Some(Membership::Ban) => "ban",
            Some(Membership::Leave) | None => "leave",
        }
        .into();
    }
    Ok(Json(reply))
}
