//! `GET /_matrix/client/v3/rooms/{roomId}/messages`
//!
//! Pages go through the timeline in the order in which events arrived. Who left pages back from where they
//! left, and forward no further.
//!
//! **Source**: Matrix v1.19, client-server API, "Getting events for a room". `end` is left out only when
//! nothing is left in that direction.

use std::{collections::BTreeSet, sync::Arc};

use axum::extract::State;
use nexus_accounts::Accounts;
use nexus_event_store::{RoomNo, world::World};
use nexus_views::{Event, ViewError, Views};
use serde::Deserialize;

use crate::{
    access::Access,
    auth::Auth,
    error::ApiError,
    event_json::{RoomIdField, Viewer, events_json},
    filter::{EventFilter, LIMIT_MAX},
    ignored::Ignored,
    json_out::{JsonText, ObjectWriter},
    path::{self, Segments},
    query::Params,
    timeline::{Choice, Page, Span, read_page},
    token::Gap,
};

/// Which page.
#[derive(Deserialize)]
pub(crate) struct Query {
    dir: Option<String>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<usize>,
    filter: Option<String>,
}

/// A page of a room's history.
pub(crate) async fn get(
    State(views): State<Views>,
    State(accounts): State<Accounts>,
    State(world): State<World>,
    Auth(login): Auth,
    Segments(room): Segments<String>,
    Params(query): Params<Query>,
) -> Result<JsonText, ApiError> {
    let newest_first = match query.dir.as_deref() {
        Some("b") => true,
        Some("f") => false,
        Some(_) => return Err(ApiError::invalid_param("dir must be b or f")),
        None => return Err(ApiError::missing_param("dir")),
    };
    let (from, to) = (token("from", query.from.as_deref())?, token("to", query.to.as_deref())?);
    let filter = query.filter.as_deref().map(EventFilter::parse).transpose()?.unwrap_or_default();
    let limit = query.limit.map_or(filter.limit(), |limit| limit.clamp(1, LIMIT_MAX));
    let mut access = Access::check(&views, &path::room_id(&room)?, login.user, &login.user_id).await?;

    let ignored = Ignored::of(&accounts, login.user).await?;
    let newest = match access.until {
        Some(left) => Gap::after_position(left),
        None => Gap::after_position(views.store().visible()),
    };
    let start = from.unwrap_or(if newest_first { newest } else { Gap::START });
    let span = if newest_first {
        Span { from: to, to: Some(Gap(start.0.min(newest.0))), newest_first }
    } else {
        let end = to.map_or(newest, |to| Gap(to.0.min(newest.0)));
        Span { from: Some(start), to: Some(end), newest_first }
    };
    let choice = Choice { filter: &filter, limit, sight: Some(&mut access.sight), ignored: &ignored };
    let page = read_page(&views, access.room, span, choice).await?;

    let viewer = Viewer::new(&login, world.now());
    let chunk = events_json(&views, viewer, &page.events(), RoomIdField::Shown).await?;
    let members =
        if filter.lazy_load_members { senders(&views, access.room, &page).await? } else { Vec::new() };
    let state = events_json(&views, viewer, &members, RoomIdField::Shown).await?;
    let mut out = String::new();
    let mut reply = ObjectWriter::begin(&mut out);
    reply.json_list("chunk", &chunk);
    reply.string("start", &start.to_string());
    if let Some(stop) = page.stopped {
        let end = if newest_first { Gap::after(stop.key) } else { Gap(stop.key) };
        reply.string("end", &end.to_string());
    }
    if !state.is_empty() {
        reply.json_list("state", &state);
    }
    reply.end();
    Ok(JsonText(out))
}

fn token(name: &str, text: Option<&str>) -> Result<Option<Gap>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    match text.parse() {
        Ok(gap) => Ok(Some(gap)),
        Err(_) => Err(ApiError::invalid_param(format!("{name} is not a token of this server"))),
    }
}

/// The members who sent what is on a page, as they were then.
async fn senders(views: &Views, room: RoomNo, page: &Page) -> Result<Vec<Arc<Event>>, ViewError> {
    let mut known = BTreeSet::new();
    let mut members = Vec::new();
    for item in &page.items {
        let sender = item.event.pdu.sender();
        if known.insert(sender) {
            let state = item.event.state_before;
            members.extend(views.state_event(room, state, "m.room.member", sender.as_str()).await?);
        }
    }
    Ok(members)
}
