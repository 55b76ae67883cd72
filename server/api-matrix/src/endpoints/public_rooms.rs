//! `GET` and `POST /_matrix/client/v3/publicRooms`, and `GET` and `PUT /directory/list/room/{roomId}`
//!
//! The directory holds the rooms that were listed and the guilds that are open to all (as spaces). Without a
//! token it is read only where the operator allows it. Only our own rooms are found: other servers cannot be
//! asked yet.
//!
//! **Shapes**: a token is `d1_<f|b>_<joined>_<room number>`: the room beside the page, and on which side.
//! **Source**: Matrix v1.19, client-server API, "Published room directory".

use std::sync::Arc;

use axum::{Json, extract::State};
use nexus_event_store::RoomNo;
use nexus_rooms::Rooms;
use nexus_views::{DirectoryKey, DirectoryPage, DirectoryQuery, RoomSummary, Views};
use ruma::CanonicalJsonValue;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::MatrixConfig,
    auth::{Auth, OptionalAuth},
    body::{Fields, OptionalBody},
    error::ApiError,
    path::{self, Segments},
    query::Params,
    summary_json::summary_json,
};

/// The most rooms of a page, and how many when the client does not say.
const LIMIT_MAX: usize = 500;
const LIMIT_DEFAULT: usize = 100;

/// A page of the directory.
#[derive(Default, Deserialize)]
pub(crate) struct Query {
    limit: Option<usize>,
    since: Option<String>,
    server: Option<String>,
}

/// A page, as the query says.
pub(crate) async fn get(
    State(views): State<Views>,
    State(config): State<Arc<MatrixConfig>>,
    OptionalAuth(login): OptionalAuth,
    Params(query): Params<Query>,
) -> Result<Json<Value>, ApiError> {
    if login.is_none() && !config.public_directory {
        return Err(ApiError::missing_token());
    }
    page(&views, query, DirectoryQuery::default()).await
}

/// A page, searched as the body says.
pub(crate) async fn post(
    State(views): State<Views>,
    _: Auth,
    Params(Query { server, .. }): Params<Query>,
    OptionalBody(mut body): OptionalBody,
) -> Result<Json<Value>, ApiError> {
    let limit = body.natural("limit")?.map(|limit| usize::try_from(limit).unwrap_or(LIMIT_MAX));
    let query = Query { limit, since: body.string("since")?, server };
    if let Some(network) = body.string("third_party_instance_id")? {
        return Err(ApiError::invalid_param(format!("there is no network {network} here")));
    }
    let mut filter = body.object("filter")?.unwrap_or_default();
    let term = filter.string("generic_search_term")?.filter(|term| !term.is_empty());
    let room_types = room_types(&mut filter)?;
    page(&views, query, DirectoryQuery { term, room_types, ..DirectoryQuery::default() }).await
}

fn room_types(filter: &mut Fields) -> Result<Option<Vec<Option<String>>>, ApiError> {
    let wrong = || ApiError::bad_json("room_types must be a list of strings and nulls");
    let types = match filter.0.remove("room_types") {
        None | Some(CanonicalJsonValue::Null) => return Ok(None),
        Some(CanonicalJsonValue::Array(types)) => types,
        Some(_) => return Err(wrong()),
    };
    let one = |kind| match kind {
        CanonicalJsonValue::Null => Ok(None),
        CanonicalJsonValue::String(kind) => Ok(Some(kind)),
        _ => Err(wrong()),
    };
    types.into_iter().map(one).collect::<Result<_, _>>().map(Some)
}

async fn page(views: &Views, query: Query, wanted: DirectoryQuery) -> Result<Json<Value>, ApiError> {
    if query.server.is_some_and(|server| server != views.server_name().as_str()) {
        return Err(ApiError::invalid_param("the directories of other servers cannot be read here yet"));
    }
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let beside = query.since.as_deref().map(parse_token).transpose()?;
    let DirectoryPage { rooms, more, total } =
        views.directory(&DirectoryQuery { limit, beside, ..wanted }).await?;
    let mut reply = json!({
        "chunk": rooms.iter().map(summary_json).collect::<Vec<_>>(),
        "total_room_count_estimate": total,
    });
    let ends = [("prev_batch", "b", rooms.first(), more.0), ("next_batch", "f", rooms.last(), more.1)];
    for (name, side, room, is_more) in ends {
        if let Some(room) = room.filter(|_| is_more) {
            reply[name] = token(side, room).into();
        }
    }
    Ok(Json(reply))
}

fn token(side: &str, RoomSummary { joined, room, .. }: &RoomSummary) -> String {
    format!("d1_{side}_{joined}_{room}")
}

fn parse_token(text: &str) -> Result<(DirectoryKey, bool), ApiError> {
    let parse = || {
        let mut parts = text.strip_prefix("d1_")?.split('_');
        let backward = match parts.next()? {
            "b" => true,
            "f" => false,
            _ => return None,
        };
        let key =
            DirectoryKey { joined: parts.next()?.parse().ok()?, room: RoomNo(parts.next()?.parse().ok()?) };
        parts.next().is_none().then_some((key, backward))
    };
    parse().ok_or_else(|| ApiError::invalid_param("since is not a token of this directory"))
}

/// Whether a room is listed.
pub(crate) async fn visibility(
    State(views): State<Views>,
    Segments(room): Segments<String>,
) -> Result<Json<Value>, ApiError> {
    let room = views.room_no(&path::room_id(&room)?).await?;
    let room = room.ok_or_else(|| ApiError::not_found("there is no such room"))?;
    let listed = views.is_published(room).await?;
    Ok(Json(json!({ "visibility": if listed { "public" } else { "private" } })))
}

/// Lists a room, or takes it off the list.
pub(crate) async fn set_visibility(
    State(rooms): State<Rooms>,
    auth: Auth,
    Segments(room): Segments<String>,
    OptionalBody(mut body): OptionalBody,
) -> Result<Json<Value>, ApiError> {
    let listed = match body.string("visibility")?.as_deref() {
        None | Some("public") => true,
        Some("private") => false,
        Some(_) => return Err(ApiError::bad_json("visibility must be public or private")),
    };
    rooms.publish(&auth.actor(), &path::room_id(&room)?, listed).await?;
    Ok(Json(json!({})))
}
