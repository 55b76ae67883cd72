//! The section of a room that the user has left, or never came to be in.
//!
//! It ends with the event that ended the membership; of a guild's room whose reader may read nothing of it any
//! more (`admitted` is false) that is all there is. Who was not in the room since the client's token (a
//! refused invite, a ban of a stranger) gets that one event and no state.

use nexus_event_store::{Position, RoomNo};
use nexus_views::{MembershipRow, TimelineItem, TimelineKey, TimelineSlice, ViewError};

use super::{Client, events_field, joined, state};
use crate::{
    access::Sight,
    event_json::{RoomIdField, events_json},
    ignored::Ignored,
    json_out::ObjectWriter,
    timeline::Page,
    token::Gap,
};

/// The JSON of the section.
pub(super) async fn section(
    client: &Client<'_>,
    room: RoomNo,
    row: &MembershipRow,
    ignored: &Ignored,
    admitted: bool,
) -> Result<String, ViewError> {
    let since = joined::in_room_since(client, room, row).await?;
    let ending = ending(client, room, row).await?;
    let mut sight = Sight::new(client.views, room, client.user_id, Some(row)).await?;
    let token = client.since.map_or(Position::START, |token| token.position);
    let was_in_room = sight.left_at().is_some_and(|left| left > token);
    let (mut page, state) = match ending {
        Some(ending) if was_in_room && admitted => {
            let until = Gap::after(ending.key);
            let newest = joined::Newest { since, until, sight: Some(&mut sight), ignored };
            let mut page = joined::newest(client, room, newest).await?;
            // What came between the end of the stay and, say, a ban is not of the stay, whoever may read it.
            let stay = sight.left_at().unwrap_or(ending.key.position);
            page.items.retain(|item| item.key.position <= stay || item.event.no == row.event);
            let state = state::before_timeline(client, room, since, &page).await?;
            (page, state)
        }
        ending => (Page { items: ending.into_iter().collect(), ..Page::default() }, Vec::new()),
    };
    let mut out = String::new();
    let mut section = ObjectWriter::begin(&mut out);
    let texts = events_json(client.views, client.viewer, &state, RoomIdField::Hidden).await?;
    events_field(&mut section, "state", &texts);
    joined::timeline_field(client, &mut section, since, &mut page).await?;
    section.end();
    Ok(out)
}

/// The timeline item of the event that ended the membership.
async fn ending(
    client: &Client<'_>,
    room: RoomNo,
    row: &MembershipRow,
) -> Result<Option<TimelineItem>, ViewError> {
    let commit = TimelineSlice {
        after: Gap(TimelineKey::start_of(row.position)).last_before(),
        before: Some(TimelineKey::start_of(row.position.next())),
        newest_first: true,
        limit: usize::from(u8::MAX) + 1,
    };
    let items = client.views.timeline(room, commit).await?;
    Ok(items.into_iter().find(|item| item.event.no == row.event))
}
