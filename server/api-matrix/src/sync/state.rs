//! The `state` of a section: what a client must know before it reads the timeline.
//!
//! It is the room's state at the start of the timeline, whole or as the changes since an earlier moment.
//! Where the graph was forked, or a filter took a state event out of the timeline, the state can change
//! without a timeline event; those changes are told here too.
//!
//! **Source**: Matrix v1.19, client-server API, "Syncing" and "Lazy-loading room members".

use std::{collections::BTreeMap, sync::Arc};

use nexus_event_store::{NodeHash, Position, RoomNo};
use nexus_views::{Event, ViewError};

use super::Client;
use crate::timeline::Page;

const MEMBER: &str = "m.room.member";

/// The state events that go before `page`, which was read newest first from `since` (or the beginning).
pub(super) async fn before_timeline(
    client: &Client<'_>,
    room: RoomNo,
    since: Option<Position>,
    page: &Page,
) -> Result<Vec<Arc<Event>>, ViewError> {
    let views = client.views;
    let is_whole = since.is_none() || client.full_state;
    let is_unchanged = !page.changed_state && page.stopped.is_none();
    let lazy = client.filter.room.state.lazy_load_members;
    if !is_whole && is_unchanged && !lazy {
        return Ok(Vec::new());
    }
    let known = match since {
        Some(since) => views.state_at(room, since).await?.unwrap_or(NodeHash::EMPTY),
        None => NodeHash::EMPTY,
    };
    let start = page.stopped.map_or(known, |stop| stop.state);
    let mut events = if is_whole {
        views.state(room, start).await?
    } else {
        views.state_delta(room, known, start).await?
    };
    if is_whole && lazy {
        events.retain(|event| event.pdu.event_type() != MEMBER || is_needed(client, page, event));
    }
    let mut by_key: BTreeMap<_, _> = events.into_iter().map(|event| (state_key(&event), event)).collect();
    if lazy && !is_whole {
        add_senders(client, room, start, page, &mut by_key).await?;
    }
    add_unshown(client, room, start, page, &mut by_key).await?;
    by_key.retain(|_, event| client.filter.room.state.admits(event) && !shows(page, event));
    Ok(by_key.into_values().collect())
}

fn state_key(event: &Event) -> (String, String) {
    let key = event.pdu.state_key().unwrap_or_default();
    (event.pdu.event_type().to_owned(), key.to_owned())
}

fn shows(page: &Page, event: &Event) -> bool {
    page.items.iter().any(|item| item.event.no == event.no)
}

/// Whether a member matters to a client that loads members lazily: itself, and who sent what it gets.
fn is_needed(client: &Client<'_>, page: &Page, member: &Event) -> bool {
    let user = member.pdu.state_key().unwrap_or_default();
    user == client.user_id.as_str() || page.items.iter().any(|item| item.event.pdu.sender().as_str() == user)
}

/// Adds the members who sent the timeline's events. The client may know them: that is allowed.
async fn add_senders(
    client: &Client<'_>,
    room: RoomNo,
    start: NodeHash,
    page: &Page,
    by_key: &mut BTreeMap<(String, String), Arc<Event>>,
) -> Result<(), ViewError> {
    for item in &page.items {
        let key = (MEMBER.to_owned(), item.event.pdu.sender().to_string());
        if !by_key.contains_key(&key)
            && let Some(member) = client.views.state_event(room, start, MEMBER, &key.1).await?
        {
            by_key.insert(key, member);
        }
    }
    Ok(())
}

/// Adds what changed during the timeline without being shown in it.
async fn add_unshown(
    client: &Client<'_>,
    room: RoomNo,
    start: NodeHash,
    page: &Page,
    by_key: &mut BTreeMap<(String, String), Arc<Event>>,
) -> Result<(), ViewError> {
    let Some(end) = page.end_state.filter(|end| *end != start && page.changed_state) else { return Ok(()) };
    for event in client.views.state_delta(room, start, end).await? {
        let key = state_key(&event);
        let is_overtaken = page.items.iter().any(|item| {
            item.event.pdu.event_type() == key.0 && item.event.pdu.state_key() == Some(key.1.as_str())
        });
        if !is_overtaken {
            by_key.insert(key, event);
        }
    }
    Ok(())
}
