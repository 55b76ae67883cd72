//! The section of a room that the user is invited to: enough to decide, nothing more.

use nexus_event_store::RoomNo;
use nexus_views::{MembershipRow, ViewError};

use super::{Client, events_field};
use crate::{event_json::stripped_json, json_out::ObjectWriter};

/// The state that an invited user may know (with the inviter's membership and the invite itself).
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
) -> Result<String, ViewError> {
    let views = client.views;
    let invite = views.event(client.place(room, row)).await?;
    let mut events = Vec::new();
    for kind in SHOWN {
        events.extend(views.state_event(room, invite.state_after, kind, "").await?);
    }
    let inviter = invite.pdu.sender().as_str();
    events.extend(views.state_event(room, invite.state_after, "m.room.member", inviter).await?);
    events.push(invite);
    let texts: Vec<String> = events.iter().map(|event| stripped_json(event)).collect();
    let mut out = String::new();
    let mut section = ObjectWriter::begin(&mut out);
    events_field(&mut section, "invite_state", &texts);
    section.end();
    Ok(out)
}
