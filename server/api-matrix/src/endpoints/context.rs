//! `GET /_matrix/client/v3/rooms/{roomId}/context/{eventId}`
//!
//! The newest events before one and the oldest after it, as far as one may read them, and the state after the
//! last of them.
//!
//! **Source**: Matrix v1.19, client-server API, "Event context". An event that one may not see is answered
//! like one that is not there: 404 `M_NOT_FOUND`.

use std::{collections::BTreeSet, sync::Arc};

use axum::extract::State;
use nexus_accounts::Accounts;
use nexus_event_store::world::World;
use nexus_views::{Event, TimelineItem, Views};
use serde::Deserialize;

use crate::{
    access::Access,
    auth::Auth,
    error::ApiError,
    event_json::{RoomIdField, Viewer, event_json, events_json},
    filter::{EventFilter, LIMIT_MAX},
    ignored::Ignored,
    json_out::{JsonText, ObjectWriter},
    path::{self, Segments},
    query::Params,
    timeline::{Choice, Page, Span, read_page},
    token::Gap,
};

/// How many events, and which.
#[derive(Deserialize)]
pub(crate) struct Query {
    limit: Option<usize>,
    filter: Option<String>,
}

/// An event among its neighbours.
pub(crate) async fn get(
    State(views): State<Views>,
    State(accounts): State<Accounts>,
    State(world): State<World>,
    Auth(login): Auth,
    Segments((room, event)): Segments<(String, String)>,
    Params(query): Params<Query>,
) -> Result<JsonText, ApiError> {
    let (room, event_id) = (path::room_id(&room)?, path::event_id(&event)?);
    let unknown = || ApiError::not_found("there is no such event here");
    let filter = query.filter.as_deref().map(EventFilter::parse).transpose()?.unwrap_or_default();
    let limit = query.limit.map_or(filter.limit(), |limit| limit.min(LIMIT_MAX));
    let mut access = Access::check(&views, &room, login.user, &login.user_id).await?;
    let event = views.event_by_id(&event_id).await?.ok_or_else(unknown)?;
    if !access.sees(&views, &event).await? {
        return Err(unknown());
    }
    let key = views.timeline_key(&event).await?.ok_or_else(unknown)?;
    let ignored = Ignored::of(&accounts, login.user).await?;
    let newest = access.until.unwrap_or(views.store().visible());
    let mut pages = Vec::with_capacity(2);
    for (newest_first, limit) in [(true, limit / 2), (false, limit - limit / 2)] {
        let span = if newest_first {
            Span { from: None, to: Some(Gap(key)), newest_first }
        } else {
            Span { from: Some(Gap::after(key)), to: Some(Gap::after_position(newest)), newest_first }
        };
        let choice = Choice { filter: &filter, limit, sight: Some(&mut access.sight), ignored: &ignored };
        pages.push(read_page(&views, access.room, span, choice).await?);
    }
    let viewer = Viewer::new(&login, world.now());
    let (before, after) = (&pages[0], &pages[1]);
    let state = state(&views, &filter, &event, before, after).await?;
    let mut out = String::new();
    let mut reply = ObjectWriter::begin(&mut out);
    reply.json("event", &event_json(&views, viewer, &event, RoomIdField::Shown).await?);
    for (name, events) in
        [("events_before", before.events()), ("events_after", after.events()), ("state", state)]
    {
        reply.json_list(name, &events_json(&views, viewer, &events, RoomIdField::Shown).await?);
    }
    let first = before.items.last().map_or(key, |item| item.key);
    let last = after.items.last().map_or(key, |item| item.key);
    reply.string("start", &Gap(first).to_string());
    reply.string("end", &Gap::after(last).to_string());
    reply.end();
    Ok(JsonText(out))
}

/// The state after the last event told; of the members only those who sent one, if the filter says so.
async fn state(
    views: &Views,
    filter: &EventFilter,
    event: &Arc<Event>,
    before: &Page,
    after: &Page,
) -> Result<Vec<Arc<Event>>, ApiError> {
    let items = || before.items.iter().chain(&after.items);
    let last: Option<&TimelineItem> = after.items.last();
    let state = last.map_or(event.state_after, |item| item.event.state_after);
    let mut events = views.state(event.room, state).await?;
    if filter.lazy_load_members {
        let mut senders: BTreeSet<&str> = items().map(|item| item.event.pdu.sender().as_str()).collect();
        senders.insert(event.pdu.sender().as_str());
        events.retain(|event| {
            event.pdu.event_type() != "m.room.member"
                || event.pdu.state_key().is_some_and(|user| senders.contains(user))
        });
    }
    Ok(events)
}
