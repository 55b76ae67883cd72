//! Rooms: `GET /rooms?after=&limit=`, `GET /rooms/{room}`.
//!
//! **Shapes**: a room is `{room_id, id, number, version, kind, name, members, invited, depth}`; one alone has
//! `events` (all that the store has of it) and `owner` or `guild`, too. `{room}` is a room id or a snowflake.

use axum::{
    Json,
    extract::{Path, Query, State},
};
use nexus_event_store::{
    RoomNo, Scan, Snowflake,
    catalogue::{Rooms, Timeline},
    rows::SnowflakeRow,
};
use ruma::RoomId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::AdminParts;
use crate::Refusal;

const PAGE_MAX: usize = 500;
/// Events counted at a time.
const COUNT_STEP: usize = 10_000;

type Reply = Result<Json<Value>, Refusal>;

#[derive(Deserialize)]
pub(super) struct Page {
    after: Option<u64>,
    limit: Option<usize>,
}

pub(super) async fn list(State(parts): State<AdminParts>, Query(page): Query<Page>) -> Reply {
    let limit = page.limit.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    let mut scan = Scan::prefix::<Rooms>(&()).limit(limit);
    if let Some(after) = page.after {
        scan = scan.after::<Rooms>(&RoomNo(after));
    }
    let rows = parts.views.store().scan::<Rooms>(scan).await?;
    let next = rows.last().filter(|_| rows.len() == limit).map(|(room, _)| room.0);
    let mut rooms = Vec::with_capacity(rows.len());
    for (room, _) in rows {
        rooms.push(room_json(&parts, room).await?);
    }
    Ok(Json(json!({ "rooms": rooms, "next": next })))
}

pub(super) async fn show(State(parts): State<AdminParts>, Path(name): Path<String>) -> Reply {
    let room =
        find(&parts, &name).await?.ok_or_else(|| Refusal::not_found(format!("{name}: no such room")))?;
    let mut shown = room_json(&parts, room).await?;
    shown["events"] = count_events(&parts, room).await?.into();
    if let Some(guild) = parts.views.guild(room).await? {
        shown["owner"] = parts.views.user_id(guild.owner).await?.as_str().into();
    }
    if let Some(guild) = parts.views.info(room).await?.guild {
        shown["guild"] = parts.views.room_id(guild).await?.as_str().into();
    }
    Ok(Json(shown))
}

async fn find(parts: &AdminParts, name: &str) -> Result<Option<RoomNo>, Refusal> {
    if let Ok(id) = RoomId::parse(name) {
        return Ok(parts.views.room_no(&id).await?);
    }
    let Ok(id) = name.parse::<u64>() else { return Ok(None) };
    Ok(match parts.views.lookup(Snowflake(id)).await? {
        Some(SnowflakeRow::Room(room)) => Some(room),
        _ => None,
    })
}

/// Reads the whole timeline index: for one room that somebody looks at.
async fn count_events(parts: &AdminParts, room: RoomNo) -> Result<u64, Refusal> {
    let (mut count, mut last) = (0, None);
    loop {
        let mut scan = Scan::prefix::<Timeline>(&room).limit(COUNT_STEP);
        if let Some(last) = &last {
            scan = scan.after::<Timeline>(last);
        }
        let rows = parts.views.store().scan::<Timeline>(scan).await?;
        count += rows.len() as u64;
        match rows.last() {
            Some((key, _)) => last = Some(*key),
            None => return Ok(count),
        }
    }
}

async fn room_json(parts: &AdminParts, room: RoomNo) -> Result<Value, Refusal> {
    let views = &parts.views;
    let info = views.info(room).await?;
    let kind = match (info.is_guild, info.guild) {
        (true, _) => "guild",
        (false, Some(_)) => "channel",
        (false, None) => "room",
    };
    Ok(json!({
        "room_id": views.room_id(room).await?,
        "id": views.room_snowflake(room).await?.map(|id| id.to_string()),
        "number": room.0,
        "version": views.room_version(room).await?.as_str(),
        "kind": kind,
        "name": info.name,
        "members": info.joined,
        "invited": info.invited,
        "depth": views.head(room).await?.depth,
    }))
}
