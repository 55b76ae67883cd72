//! The section of a room that the user has knocked on: what an invited user would know, and the knock.

use nexus_event_store::RoomNo;
use nexus_views::{MembershipRow, ViewError};

use super::{Client, events_field, invited::shown_state};
use crate::{event_json::stripped_json, json_out::ObjectWriter};

/// The JSON of the section.
pub(super) async fn section(
    client: &Client<'_>,
    room: RoomNo,
    row: &MembershipRow,
) -> Result<String, ViewError> {
    let knock = client.views.event(client.place(room, row)).await?;
    let mut events = shown_state(client.views, room, knock.state_after).await?;
    events.push(knock);
    let texts: Vec<String> = events.iter().map(|event| stripped_json(event)).collect();
    let mut out = String::new();
    let mut section = ObjectWriter::begin(&mut out);
    events_field(&mut section, "knock_state", &texts);
    section.end();
    Ok(out)
}
