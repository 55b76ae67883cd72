//! `POST /_matrix/client/v3/rooms/{roomId}/receipt/{receiptType}/{eventId}` and `/read_markers`
//!
//! How far one has read: `m.read` for everybody, `m.read.private` for one's own devices, `m.fully_read` as
//! account data of the room.
//!
//! **Source**: Matrix v1.19, client-server API, "Receipts", "Fully read markers", "Threading".

use axum::{Json, extract::State};
use nexus_accounts::Accounts;
use nexus_event_store::rows::EventPlace;
use nexus_rooms::{MarkRead, ReceiptKind, Rooms};
use nexus_views::{Event, Views, unread::ReceiptThread};
use ruma::RoomId;
use serde_json::{Value, json};

use crate::{
    access::Access,
    auth::Auth,
    body::{Fields, OptionalBody},
    error::ApiError,
    path::{self, Segments},
};

const FULLY_READ: &str = "m.fully_read";

/// The kinds of receipt.
const KINDS: [(&str, ReceiptKind); 2] =
    [("m.read", ReceiptKind::Public), ("m.read.private", ReceiptKind::Private)];

/// One receipt.
pub(crate) async fn post(
    State(rooms): State<Rooms>,
    State(views): State<Views>,
    State(accounts): State<Accounts>,
    auth: Auth,
    Segments((room, kind, event)): Segments<(String, String, String)>,
    OptionalBody(mut body): OptionalBody,
) -> Result<Json<Value>, ApiError> {
    let room = path::room_id(&room)?;
    let thread = body.string("thread_id")?;
    let event = readable(&views, &auth, &room, &event).await?;
    if kind == FULLY_READ {
        if thread.is_some() {
            return Err(ApiError::invalid_param("m.fully_read is not of a thread"));
        }
        mark_fully_read(&accounts, &auth, &room, &event).await?;
        return Ok(Json(json!({})));
    }
    let kind = KINDS.iter().find(|(name, _)| *name == kind).map(|(_, kind)| *kind);
    let kind = kind.ok_or_else(|| ApiError::invalid_param("there is no such kind of receipt"))?;
    let thread = thread_of(&views, &event, thread.as_deref()).await?;
    mark(&rooms, &auth, &event, thread, kind).await?;
    Ok(Json(json!({})))
}

/// Several markers at once.
pub(crate) async fn read_markers(
    State(rooms): State<Rooms>,
    State(views): State<Views>,
    State(accounts): State<Accounts>,
    auth: Auth,
    Segments(room): Segments<String>,
    mut body: Fields,
) -> Result<Json<Value>, ApiError> {
    let room = path::room_id(&room)?;
    let mut receipts = Vec::new();
    for (name, kind) in KINDS {
        if let Some(event) = body.string(name)? {
            receipts.push((readable(&views, &auth, &room, &event).await?, kind));
        }
    }
    if let Some(event) = body.string(FULLY_READ)? {
        let event = readable(&views, &auth, &room, &event).await?;
        mark_fully_read(&accounts, &auth, &room, &event).await?;
    }
    for (event, kind) in receipts {
        mark(&rooms, &auth, &event, ReceiptThread::Whole, kind).await?;
    }
    Ok(Json(json!({})))
}

/// An event of the room that the user may see.
async fn readable(
    views: &Views,
    Auth(login): &Auth,
    room: &RoomId,
    event: &str,
) -> Result<std::sync::Arc<Event>, ApiError> {
    let event_id = path::event_id(event)?;
    let mut access = Access::check(views, room, login.user, &login.user_id).await?;
    let unknown = || ApiError::not_found("there is no such event here");
    let event = views.event_by_id(&event_id).await?.ok_or_else(unknown)?;
    let is_here = event.room == access.room && access.sight.sees(views, &event).await?;
    if is_here { Ok(event) } else { Err(unknown()) }
}

/// What a receipt with this `thread_id` is for; the event must be there.
async fn thread_of(views: &Views, event: &Event, id: Option<&str>) -> Result<ReceiptThread, ApiError> {
    let root = match id {
        None => return Ok(ReceiptThread::Whole),
        Some("main") => None,
        Some(id) => {
            let unknown = || ApiError::invalid_param("thread_id is no event of the room");
            let root = views.event_by_id(&path::event_id(id).map_err(|_| unknown())?).await?;
            Some(root.filter(|root| root.room == event.room).ok_or_else(unknown)?.no)
        }
    };
    let within = views.thread_of(event).await?;
    match root {
        None if within.is_none() => Ok(ReceiptThread::Main),
        // The root itself may be named in both.
        Some(root) if within == Some(root) || event.no == root => Ok(ReceiptThread::Of(root)),
        _ => Err(ApiError::invalid_param("the event is not in that thread")),
    }
}

async fn mark(
    rooms: &Rooms,
    auth: &Auth,
    event: &Event,
    thread: ReceiptThread,
    kind: ReceiptKind,
) -> Result<(), ApiError> {
    let event = EventPlace { room: event.room, event: event.no };
    rooms.mark_read(&auth.actor(), MarkRead { event, thread, kind, may_go_back: false }).await?;
    Ok(())
}

async fn mark_fully_read(
    accounts: &Accounts,
    Auth(login): &Auth,
    room: &RoomId,
    event: &Event,
) -> Result<(), ApiError> {
    let content = json!({ "event_id": event.pdu.event_id() }).to_string();
    Ok(accounts.put_account_data(login.user, Some(room), FULLY_READ, content).await?)
}
