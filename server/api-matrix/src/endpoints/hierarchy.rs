//! `GET /_matrix/client/v1/rooms/{roomId}/hierarchy`
//!
//! Depth first, the space itself first; each room once, however the spaces refer to each other. What one may
//! not know of is left out, as are the children that name it.
//!
//! **Bounds**: [`ROOMS_MAX`] rooms are walked through, [`LIMIT_MAX`] are on a page.
//! **Shapes**: a token is `h1_<rooms passed>_<max_depth or ->_<suggested_only>`: a page that is asked for in
//! another way than the one before is refused with 400 `M_INVALID_PARAM`.
//! **Source**: Matrix v1.19, client-server API, "Spaces".

use std::collections::BTreeSet;

use axum::{Json, extract::State};
use nexus_event_store::{RoomNo, UserNo};
use nexus_views::{RoomSummary, SpaceChild, ViewError, Views};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    auth::Auth,
    error::ApiError,
    event_json::stripped_with_time,
    outside::may_know,
    path::{self, Segments},
    query::Params,
    summary_json::full_summary_json,
};

/// How many rooms are walked through.
const ROOMS_MAX: usize = 1000;

/// The most rooms of a page, and how many when the client does not say.
const LIMIT_MAX: usize = 100;
const LIMIT_DEFAULT: usize = 50;

/// Which page.
#[derive(Deserialize)]
pub(crate) struct Query {
    #[serde(default)]
    suggested_only: bool,
    limit: Option<usize>,
    max_depth: Option<usize>,
    from: Option<String>,
}

/// A page of a space's rooms.
pub(crate) async fn get(
    State(views): State<Views>,
    Auth(login): Auth,
    Segments(room): Segments<String>,
    Params(query): Params<Query>,
) -> Result<Json<Value>, ApiError> {
    let refused = || ApiError::forbidden("you may not look into this room");
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let passed = query.passed()?;
    let root = views.room_no(&path::room_id(&room)?).await?.ok_or_else(refused)?;
    let root = views.summary(root).await?;
    if !may_know(&views, Some(login.user), &root).await? {
        return Err(refused());
    }
    let walk = Walk { views: &views, user: login.user, query: &query };
    let (rooms, is_more) = walk.rooms(root, passed, limit).await?;
    let mut reply = json!({ "rooms": rooms });
    if is_more {
        reply["next_batch"] = query.token(passed + limit).into();
    }
    Ok(Json(reply))
}

impl Query {
    fn token(&self, passed: usize) -> String {
        let depth = self.max_depth.map_or("-".to_owned(), |depth| depth.to_string());
        format!("h1_{passed}_{depth}_{}", u8::from(self.suggested_only))
    }

    /// How many rooms the pages before had.
    fn passed(&self) -> Result<usize, ApiError> {
        let Some(from) = &self.from else { return Ok(0) };
        let passed = from.strip_prefix("h1_").and_then(|rest| rest.split('_').next()?.parse().ok());
        match passed {
            Some(passed) if self.token(passed) == *from => Ok(passed),
            _ => Err(ApiError::invalid_param("from is not a token of a page asked for like this")),
        }
    }
}

struct Walk<'a> {
    views: &'a Views,
    user: UserNo,
    query: &'a Query,
}

impl Walk<'_> {
    /// The rooms of a page, and whether there are more.
    async fn rooms(
        &self,
        root: RoomSummary,
        passed: usize,
        limit: usize,
    ) -> Result<(Vec<Value>, bool), ViewError> {
        let mut seen: BTreeSet<RoomNo> = [root.room].into();
        let mut ahead = vec![(root, 0)];
        let mut rooms = Vec::new();
        let mut count = 0;
        while let Some((room, depth)) = ahead.pop() {
            count += 1;
            if count > passed + limit || count > ROOMS_MAX {
                return Ok((rooms, count <= ROOMS_MAX));
            }
            let children = if room.room_type.as_deref() == Some("m.space") {
                self.children(room.room).await?
            } else {
                Vec::new()
            };
            let deeper = self.query.max_depth.is_none_or(|max| depth < max);
            if deeper {
                // The first child is looked at first: it goes onto the heap last.
                for (_, child) in children.iter().rev() {
                    if let Some(child) = child
                        && seen.insert(child.room)
                    {
                        ahead.push((child.clone(), depth + 1));
                    }
                }
            }
            if count > passed {
                let mut object = full_summary_json(&room);
                let states = children.iter().map(|(child, _)| stripped_with_time(&child.event));
                object["children_state"] = states.collect();
                rooms.push(object);
            }
        }
        Ok((rooms, false))
    }

    /// The children of a space that may be known: those of other servers are named only.
    async fn children(&self, space: RoomNo) -> Result<Vec<(SpaceChild, Option<RoomSummary>)>, ViewError> {
        let mut children = Vec::new();
        for child in self.views.space_children(space).await? {
            if self.query.suggested_only && !child.suggested || children.len() >= ROOMS_MAX {
                continue;
            }
            match child.room {
                None => children.push((child, None)),
                Some(room) => {
                    let summary = self.views.summary(room).await?;
                    if may_know(self.views, Some(self.user), &summary).await? {
                        children.push((child, Some(summary)));
                    }
                }
            }
        }
        Ok(children)
    }
}
