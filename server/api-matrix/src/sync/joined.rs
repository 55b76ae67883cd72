//! The section of a room that the user is in.
//!
//! A room joined since the client's token is told like at first: whole state and the newest events.

use nexus_event_store::{Position, RoomNo};
use nexus_views::{Event, Membership, MembershipRow, ViewError};

use super::{Client, Moment, events_field, receipts, state};
use crate::{
    access::{Sight, membership_in},
    event_json::{RoomIdField, events_json},
    ignored::Ignored,
    json_out::{ObjectWriter, push_string},
    timeline::{Choice, Page, Span, read_page},
    token::Gap,
};

/// How many other members a summary names.
const HEROES_MAX: usize = 5;

/// The JSON of the section, or `None` when nothing of it is news.
pub(super) async fn section(
    client: &Client<'_>,
    moment: &Moment,
    room: RoomNo,
    row: &MembershipRow,
    account_data: &[String],
    ignored: &Ignored,
) -> Result<Option<String>, ViewError> {
    let since = in_room_since(client, room, row).await?;
    // Who was in the room all the time sees everything that came in it.
    let mut sight = match since {
        Some(since) if row.position <= since => None,
        _ => Some(Sight::new(client.views, room, client.user_id, Some(row)).await?),
    };
    let until = Gap::after_position(moment.token.position);
    let mut page = newest(client, room, Newest { since, until, sight: sight.as_mut(), ignored }).await?;
    let state = state::before_timeline(client, room, since, &page).await?;
    let typing = client.typing_is_news(room) && client.filter.room.ephemeral.admits_type("m.typing");
    let receipts = receipts::event(client, moment, room, since).await?;
    let is_silent =
        page.items.is_empty() && state.is_empty() && account_data.is_empty() && receipts.is_none() && !typing;
    if is_silent && since.is_some() && !client.full_state {
        return Ok(None);
    }
    let is_member = |event: &Event| event.pdu.event_type() == "m.room.member";
    let members_changed = since.is_none()
        || client.full_state
        || page.changed_members
        || state.iter().any(|event| is_member(event));

    let mut out = String::new();
    let mut section = ObjectWriter::begin(&mut out);
    if members_changed {
        summary(client, room, &mut section).await?;
    }
    let texts = events_json(client.views, client.viewer, &state, RoomIdField::Hidden).await?;
    events_field(&mut section, "state", &texts);
    timeline_field(client, &mut section, since, &mut page).await?;
    let mut ephemeral = Vec::new();
    if typing {
        ephemeral.push(typing_event(client, room).await?);
    }
    ephemeral.extend(receipts);
    events_field(&mut section, "ephemeral", &ephemeral);
    receipts::unread_fields(client, room, &mut section).await?;
    events_field(&mut section, "account_data", account_data);
    section.end();
    Ok(Some(out))
}

/// The client's position, if the user was in the room then.
pub(super) async fn in_room_since(
    client: &Client<'_>,
    room: RoomNo,
    row: &MembershipRow,
) -> Result<Option<Position>, ViewError> {
    let Some(since) = client.since.map(|token| token.position) else { return Ok(None) };
    if row.position <= since {
        return Ok((row.membership == Membership::Join).then_some(since));
    }
    let Some(state) = client.views.state_at(room, since).await? else { return Ok(None) };
    let membership = membership_in(client.views, room, state, client.user_id).await?;
    Ok((membership == Some(Membership::Join)).then_some(since))
}

/// How many events a client that follows a room gets at once if it does not say: a client that does not look
/// at `limited` would miss what is left out, and what it has not seen it wants.
const LIMIT_FOLLOWING: usize = 100;

/// Which of the newest events, for whose eyes.
pub(super) struct Newest<'a> {
    /// The client's position.
    pub(super) since: Option<Position>,
    /// Up to here.
    pub(super) until: Gap,
    /// Whose eyes; `None` when the reader was in the room throughout.
    pub(super) sight: Option<&'a mut Sight>,
    /// Who is not heard.
    pub(super) ignored: &'a Ignored,
}

/// The newest events between the client's position and `until`.
pub(super) async fn newest(
    client: &Client<'_>,
    room: RoomNo,
    Newest { since, until, sight, ignored }: Newest<'_>,
) -> Result<Page, ViewError> {
    let filter = &client.filter.room.timeline;
    let span = Span { from: since.map(Gap::after_position), to: Some(until), newest_first: true };
    let limit = if since.is_some() { filter.limit_or(LIMIT_FOLLOWING) } else { filter.limit() };
    read_page(client.views, room, span, Choice { filter, limit, sight, ignored }).await
}

/// Writes the `timeline`, oldest event first.
pub(super) async fn timeline_field(
    client: &Client<'_>,
    section: &mut ObjectWriter<'_>,
    since: Option<Position>,
    page: &mut Page,
) -> Result<(), ViewError> {
    page.items.reverse();
    let texts = events_json(client.views, client.viewer, &page.events(), RoomIdField::Hidden).await?;
    let start = match (page.stopped, since) {
        (Some(stop), _) => Gap::after(stop.key),
        (None, Some(since)) => Gap::after_position(since),
        (None, None) => Gap::START,
    };
    let mut timeline = section.object("timeline");
    timeline.json_list("events", &texts);
    timeline.boolean("limited", page.is_limited);
    timeline.string("prev_batch", &start.to_string());
    timeline.end();
    Ok(())
}

async fn summary(client: &Client<'_>, room: RoomNo, section: &mut ObjectWriter<'_>) -> Result<(), ViewError> {
    let info = client.views.info(room).await?;
    // A room with a name needs nobody to be called after.
    let heroes = if info.name.is_none() { Some(name_heroes(client, room).await?) } else { None };
    let mut summary = section.object("summary");
    if let Some(heroes) = heroes {
        summary.string_list("m.heroes", heroes);
    }
    summary.number("m.joined_member_count", info.joined);
    summary.number("m.invited_member_count", info.invited);
    summary.end();
    Ok(())
}

/// The first others who are in the room or invited, or failing them who were in it.
async fn name_heroes(client: &Client<'_>, room: RoomNo) -> Result<Vec<String>, ViewError> {
    let mut members = client.views.members(room).await?;
    members.retain(|(user, row)| *user != client.viewer.user && row.membership != Membership::Knock);
    members.sort_by_key(|(_, row)| row.position);
    let is_present = |row: &MembershipRow| matches!(row.membership, Membership::Join | Membership::Invite);
    if members.iter().any(|(_, row)| is_present(row)) {
        members.retain(|(_, row)| is_present(row));
    }
    let mut heroes = Vec::new();
    for (user, _) in members.into_iter().take(HEROES_MAX) {
        heroes.push(client.views.user_id(user).await?.to_string());
    }
    Ok(heroes)
}

async fn typing_event(client: &Client<'_>, room: RoomNo) -> Result<String, ViewError> {
    let mut out = String::from(r#"{"type":"m.typing","content":{"user_ids":["#);
    for (index, user) in client.views.typing(room).into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_string(&mut out, client.views.user_id(user).await?.as_str());
    }
    out.push_str("]}}");
    Ok(out)
}
