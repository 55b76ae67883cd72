//! Events as clients get them: the stored content spliced in as it is, `unsigned` made for who asks.
//!
//! **Shapes**: `{content, event_id, origin_server_ts, room_id?, sender, state_key?, type, redacts?,
//! unsigned?}`. `room_id` is left out where the specification says so (`/sync`). Redactions carry `redacts`
//! at the top level and in the content, whichever of them their room version signs.
//! `unsigned` has `age`, the `transaction_id` for the device that sent the event, `redacted_because`,
//! `prev_content` and `replaces_state`, and the newest edit under `m.relations`.
//! **Source**: Matrix v1.19, client-server API, "Room event format", "Stripped state", "Aggregations".

use std::sync::Arc;

use nexus_accounts::Login;
use nexus_event_store::{UserNo, rows::EventPlace, world::UnixMs};
use nexus_views::{Event, ViewError, Views};
use ruma::CanonicalJsonObject;
use serde_json::{Value, json};

use crate::{access::Sight, json_out::ObjectWriter};

/// Whom events are written for, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Viewer<'a> {
    /// The user who asks.
    pub(crate) user: UserNo,
    /// The device that asks.
    pub(crate) device: &'a str,
    /// For `age`.
    pub(crate) now: UnixMs,
}

impl<'a> Viewer<'a> {
    /// The device that is logged in.
    pub(crate) fn new(login: &'a Login, now: UnixMs) -> Self {
        Self { user: login.user, device: &login.device, now }
    }
}

/// Whether an event says which room it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoomIdField {
    /// As everywhere else.
    Shown,
    /// As in the rooms of `/sync`.
    Hidden,
}

/// What is known of an event beyond itself.
#[derive(Default)]
struct Around {
    redaction: Option<Arc<Event>>,
    previous: Option<Arc<Event>>,
    edit: Option<Arc<Event>>,
    thread: Option<Thread>,
}

/// What hangs on an event.
struct Thread {
    count: u64,
    latest: Arc<Event>,
    takes_part: bool,
}

/// Writes one event.
pub(crate) async fn event_json(
    views: &Views,
    viewer: Viewer<'_>,
    event: &Event,
    room_id: RoomIdField,
) -> Result<String, ViewError> {
    if !views.shows_content(event, Some(viewer.user)).await? {
        return Ok(erased_json(viewer, event, room_id));
    }
    let around = look_around(views, viewer, event).await?;
    let mut out = String::with_capacity(event.pdu.content().get().len() + 512);
    write_event(&mut out, viewer, event, room_id, &around);
    Ok(out)
}

/// Writes an event whose sender wants it kept from who asks: as if it had been redacted.
fn erased_json(viewer: Viewer<'_>, event: &Event, room_id: RoomIdField) -> String {
    let mut out = String::new();
    // What cannot be redacted cannot be shown in part.
    let Ok(pdu) = event.pdu.redacted() else { return "{}".to_owned() };
    let redacted = Event { pdu: Arc::new(pdu), transaction: None, ..event.clone() };
    write_event(&mut out, viewer, &redacted, room_id, &Around::default());
    out
}

/// Writes events in order.
pub(crate) async fn events_json(
    views: &Views,
    viewer: Viewer<'_>,
    events: &[Arc<Event>],
    room_id: RoomIdField,
) -> Result<Vec<String>, ViewError> {
    let mut texts = Vec::with_capacity(events.len());
    for event in events {
        texts.push(event_json(views, viewer, event, room_id).await?);
    }
    Ok(texts)
}

/// Writes an event as those see it who are not in the room.
pub(crate) fn stripped_json(event: &Event) -> String {
    let mut out = String::with_capacity(event.pdu.content().get().len() + 128);
    let mut object = ObjectWriter::begin(&mut out);
    object.json("content", event.pdu.content().get());
    if event.pdu.event_type() == "m.room.create" {
        object.number("origin_server_ts", event.pdu.origin_server_ts().get().into());
    }
    object.string("sender", event.pdu.sender().as_str());
    object.string("state_key", event.pdu.state_key().unwrap_or_default());
    object.string("type", event.pdu.event_type());
    object.end();
    out
}

/// The same with the time of the event.
pub(crate) fn stripped_with_time(event: &Event) -> Value {
    let content: Value = event.pdu.content_as().unwrap_or_default();
    json!({
        "type": event.pdu.event_type(),
        "state_key": event.pdu.state_key(),
        "sender": event.pdu.sender(),
        "content": content,
        "origin_server_ts": event.pdu.origin_server_ts(),
    })
}

/// The thread on an event. Who follows it or began it takes part.
async fn thread(views: &Views, viewer: Viewer<'_>, event: &Event) -> Result<Option<Thread>, ViewError> {
    let Some(row) = views.thread_row(event.room, event.no).await? else { return Ok(None) };
    let Some(latest) = row.latest else { return Ok(None) };
    let latest = views.event(EventPlace { room: event.room, event: latest }).await?;
    // Who may see the root may not have been there for all that came later.
    let user_id = views.user_id(viewer.user).await?;
    let membership = views.membership(event.room, viewer.user).await?;
    let mut sight = Sight::new(views, event.room, &user_id, membership.as_ref()).await?;
    if !sight.sees(views, &latest).await? {
        return Ok(None);
    }
    let takes_part =
        user_id == event.pdu.sender() || views.takes_part(event.room, event.no, viewer.user).await?;
    Ok(Some(Thread { count: row.messages, latest, takes_part }))
}

async fn look_around(views: &Views, viewer: Viewer<'_>, event: &Event) -> Result<Around, ViewError> {
    let mut around = Around::default();
    if let Some(redaction) = event.redacted_by {
        let place = EventPlace { room: event.room, event: redaction };
        around.redaction = Some(views.event(place).await?);
    }
    match event.pdu.state_key() {
        Some(key) => {
            let kind = event.pdu.event_type();
            around.previous = views.state_event(event.room, event.state_before, kind, key).await?;
        }
        None if event.redacted_by.is_none() => {
            around.edit = views.edit_of(event).await?;
            around.thread = thread(views, viewer, event).await?;
        }
        None => {}
    }
    Ok(around)
}

fn write_event(out: &mut String, viewer: Viewer<'_>, event: &Event, room_id: RoomIdField, around: &Around) {
    let mut object = ObjectWriter::begin(out);
    write_fields(&mut object, event, room_id);
    let mut unsigned = object.object("unsigned");
    unsigned.number("age", viewer.now.0.saturating_sub(event.pdu.origin_server_ts().get().into()));
    if let Some(mark) = &event.transaction
        && mark.user == viewer.user
        && mark.device == viewer.device
    {
        unsigned.string("transaction_id", &mark.id);
    }
    if let Some(previous) = &around.previous {
        unsigned.json("prev_content", previous.pdu.content().get());
        unsigned.string("prev_sender", previous.pdu.sender().as_str());
        unsigned.string("replaces_state", previous.pdu.event_id().as_str());
    }
    if let Some(redaction) = &around.redaction {
        let mut because = unsigned.object("redacted_because");
        write_fields(&mut because, redaction, room_id);
        because.end();
    }
    if around.edit.is_some() || around.thread.is_some() {
        let mut relations = unsigned.object("m.relations");
        if let Some(edit) = &around.edit {
            let mut replace = relations.object("m.replace");
            write_fields(&mut replace, edit, room_id);
            replace.end();
        }
        if let Some(thread) = &around.thread {
            let mut bundle = relations.object("m.thread");
            bundle.number("count", thread.count);
            bundle.boolean("current_user_participated", thread.takes_part);
            let mut latest = bundle.object("latest_event");
            write_fields(&mut latest, &thread.latest, room_id);
            latest.end();
            bundle.end();
        }
        relations.end();
    }
    unsigned.end();
    object.end();
}

fn write_fields(object: &mut ObjectWriter<'_>, event: &Event, room_id: RoomIdField) {
    let pdu = &event.pdu;
    match pdu.redacts() {
        Some(target) => {
            object.json("content", &content_with_redacts(pdu.content().get(), target.as_str()));
            object.string("redacts", target.as_str());
        }
        None => object.json("content", pdu.content().get()),
    }
    object.string("event_id", pdu.event_id().as_str());
    object.number("origin_server_ts", pdu.origin_server_ts().get().into());
    if room_id == RoomIdField::Shown {
        object.string("room_id", pdu.room_id().as_str());
    }
    object.string("sender", pdu.sender().as_str());
    if let Some(key) = pdu.state_key() {
        object.string("state_key", key);
    }
    object.string("type", pdu.event_type());
}

/// The content of a redaction with its target in it, where newer clients look for it.
fn content_with_redacts(content: &str, target: &str) -> String {
    let Ok(mut fields) = serde_json::from_str::<CanonicalJsonObject>(content) else {
        return content.to_owned();
    };
    fields.insert("redacts".to_owned(), target.to_owned().into());
    serde_json::to_string(&fields).unwrap_or_else(|_| content.to_owned())
}
