//! `GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId}`, with `/{relType}` and `/{eventType}` below
//!
//! What relates to an event, as far as one may read it; with `recurse`, also what relates to that. Redacted
//! events relate to nothing.
//!
//! **Bounds**: [`DEPTH_MAX`] steps of recursion; [`LOOKED_AT_MAX`] events are looked at for a page.
//! **Source**: Matrix v1.19, client-server API, "Relationships API". An unknown parent: 404 `M_NOT_FOUND`.

use std::{collections::BTreeSet, sync::Arc};

use axum::extract::State;
use nexus_accounts::Accounts;
use nexus_event_store::{EventNo, rows::EventPlace, world::World};
use nexus_views::{Event, RelationSlice, TimelineSlice, ViewError, Views, rows::RelationKind};
use serde::Deserialize;

use crate::{
    access::Access,
    auth::Auth,
    error::ApiError,
    event_json::{RoomIdField, Viewer, events_json},
    filter::LIMIT_MAX,
    ignored::Ignored,
    json_out::{JsonText, ObjectWriter},
    path::{self, Segments},
    query::Params,
    token::Gap,
};

/// How far relations of relations are followed.
const DEPTH_MAX: usize = 3;

/// How many events are looked at for one page.
const LOOKED_AT_MAX: usize = 5_000;

/// How many events when the client does not say.
const LIMIT_DEFAULT: usize = 50;

/// Which event, and what of its relations.
#[derive(Deserialize)]
pub(crate) struct Target {
    room: String,
    event: String,
    rel: Option<String>,
    kind: Option<String>,
}

/// Which page.
#[derive(Deserialize)]
pub(crate) struct Query {
    dir: Option<String>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    recurse: bool,
}

/// What relates to an event.
pub(crate) async fn get(
    State(views): State<Views>,
    State(accounts): State<Accounts>,
    State(world): State<World>,
    Auth(login): Auth,
    Segments(target): Segments<Target>,
    Params(query): Params<Query>,
) -> Result<JsonText, ApiError> {
    let newest_first = match query.dir.as_deref() {
        None | Some("b") => true,
        Some("f") => false,
        Some(_) => return Err(ApiError::invalid_param("dir must be b or f")),
    };
    let unknown = || ApiError::not_found("there is no such event here");
    let (room, event_id) = (path::room_id(&target.room)?, path::event_id(&target.event)?);
    let mut access = Access::check(&views, &room, login.user, &login.user_id).await?;
    let parent = views.event_by_id(&event_id).await?.ok_or_else(unknown)?;
    if !access.sees(&views, &parent).await? {
        return Err(unknown());
    }
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let search = Search {
        views: &views,
        ignored: Ignored::of(&accounts, login.user).await?,
        target: &target,
        from: boundary(&views, &access, "from", query.from.as_deref()).await?,
        to: boundary(&views, &access, "to", query.to.as_deref()).await?,
        newest_first,
        depth: if query.recurse { DEPTH_MAX } else { 1 },
    };
    let (events, is_more) = search.page(&mut access, parent.no, limit).await?;
    let viewer = Viewer::new(&login, world.now());
    let mut out = String::new();
    let mut reply = ObjectWriter::begin(&mut out);
    reply.json_list("chunk", &events_json(&views, viewer, &events, RoomIdField::Shown).await?);
    if let Some(last) = events.last().filter(|_| is_more)
        && let Some(key) = views.timeline_key(last).await?
    {
        let next = if newest_first { Gap(key) } else { Gap::after(key) };
        reply.string("next_batch", &next.to_string());
    }
    if let Some(from) = &query.from {
        reply.string("prev_batch", from);
    }
    if query.recurse {
        reply.number("recursion_depth", DEPTH_MAX as u64);
    }
    reply.end();
    Ok(JsonText(out))
}

/// The first event after the gap that a token means; `None` when there is none or no token.
async fn boundary(
    views: &Views,
    access: &Access,
    name: &str,
    token: Option<&str>,
) -> Result<Option<EventNo>, ApiError> {
    let Some(token) = token else { return Ok(None) };
    let gap: Gap = token
        .parse()
        .map_err(|_| ApiError::invalid_param(format!("{name} is not a token of this server")))?;
    let slice = TimelineSlice { after: gap.last_before(), before: None, newest_first: false, limit: 1 };
    let items = views.timeline(access.room, slice).await?;
    Ok(Some(items.first().map_or(EventNo(u64::MAX), |item| item.event.no)))
}

struct Search<'a> {
    views: &'a Views,
    ignored: Ignored,
    target: &'a Target,
    from: Option<EventNo>,
    to: Option<EventNo>,
    newest_first: bool,
    depth: usize,
}

impl Search<'_> {
    async fn page(
        &self,
        access: &mut Access,
        parent: EventNo,
        limit: usize,
    ) -> Result<(Vec<Arc<Event>>, bool), ViewError> {
        let mut events = Vec::new();
        for (no, kind) in self.candidates(access, parent).await? {
            let event = self.views.event(EventPlace { room: access.room, event: no }).await?;
            let wanted = self.target.rel.as_deref().is_none_or(|rel| rel == name(kind))
                && self.target.kind.as_deref().is_none_or(|kind| kind == event.pdu.event_type())
                && !self.ignored.hides(&event);
            if !wanted || !access.sees(self.views, &event).await? {
                continue;
            }
            if events.len() == limit {
                return Ok((events, true));
            }
            events.push(event);
        }
        Ok((events, false))
    }

    /// What relates to `parent`, at whatever distance is asked for, in the order asked for.
    async fn candidates(
        &self,
        access: &Access,
        parent: EventNo,
    ) -> Result<Vec<(EventNo, RelationKind)>, ViewError> {
        let mut found = BTreeSet::new();
        let mut kinds = Vec::new();
        let mut parents = vec![parent];
        for step in 0..self.depth {
            // What lies at the end of the way must be in the page's span; what leads there need not be.
            let is_last = self.depth == 1;
            let mut next = Vec::new();
            for parent in parents {
                let limit = LOOKED_AT_MAX.saturating_sub(found.len());
                let slice = self.slice(is_last, limit);
                for (child, kind) in self.views.related(access.room, parent, slice).await? {
                    if found.insert(child) {
                        kinds.push((child, kind));
                        next.push(child);
                    }
                }
            }
            if next.is_empty() || step + 1 == self.depth {
                break;
            }
            parents = next;
        }
        kinds.retain(|(no, _)| self.contains(*no));
        kinds.sort_by_key(|(no, _)| *no);
        if self.newest_first {
            kinds.reverse();
        }
        Ok(kinds)
    }

    /// Events between the two ends of the page's span, which `from` begins in the direction of reading.
    fn contains(&self, no: EventNo) -> bool {
        let (low, high) = if self.newest_first { (self.to, self.from) } else { (self.from, self.to) };
        low.is_none_or(|low| no >= low) && high.is_none_or(|high| no < high)
    }

    fn slice(&self, within: bool, limit: usize) -> RelationSlice {
        let (low, high) = if self.newest_first { (self.to, self.from) } else { (self.from, self.to) };
        let after = low.filter(|_| within).and_then(|low| low.0.checked_sub(1)).map(EventNo);
        RelationSlice { after, before: high.filter(|_| within), newest_first: self.newest_first, limit }
    }
}

fn name(kind: RelationKind) -> &'static str {
    match kind {
        RelationKind::Replace => "m.replace",
        RelationKind::Annotation => "m.annotation",
        RelationKind::Thread => "m.thread",
        RelationKind::Reference => "m.reference",
    }
}
