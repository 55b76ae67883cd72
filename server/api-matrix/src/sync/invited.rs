//! The section of a room that the user is invited to: enough to decide, nothing more. Invites of users whom
//! the invited one ignores are not told of.

use std::sync::Arc;

use nexus_event_store::{NodeHash, RoomNo};
use nexus_views::{Event, MembershipRow, ViewError, Views};

use super::{Client, events_field};
use crate::{event_json::stripped_json, ignored::Ignored, json_out::ObjectWriter};

/// The state that may be known of a room before one is in it.
const SHOWN: [&str; 8] = [
    "m.room.create",
    "m.room.join_rules",
    "m.room.name",
    "m.room.topic",
    "m.room.avatar",
    "m.room.canonical_alias",
    "m.room.encryption",
    "m.room.history_visibility",
];

/// The JSON of the section.
pub(super) async fn section(
    client: &Client<'_>,
    room: RoomNo,
    row: &MembershipRow,
    ignored: &Ignored,
) -> Result<Option<String>, ViewError> {
    let views = client.views;
    let invite = views.event(client.place(room, row)).await?;
    if ignored.has(invite.pdu.sender()) {
        return Ok(None);
    }
    let mut events = shown_state(views, room, invite.state_after).await?;
    let inviter = invite.pdu.sender().as_str();
    events.extend(views.state_event(room, invite.state_after, "m.room.member", inviter).await?);
    events.push(invite);
    let texts: Vec<String> = events.iter().map(|event| stripped_json(event)).collect();
    let mut out = String::new();
    let mut section = ObjectWriter::begin(&mut out);
    events_field(&mut section, "invite_state", &texts);
    section.end();
    Ok(Some(out))
}

/// What may be known of a room before one is in it.
pub(super) async fn shown_state(
    views: &Views,
    room: RoomNo,
    state: NodeHash,
) -> Result<Vec<Arc<Event>>, ViewError> {
    let mut events = Vec::with_capacity(SHOWN.len() + 2);
    for kind in SHOWN {
        events.extend(views.state_event(room, state, kind, "").await?);
    }
    Ok(events)
}
