//! `/channels/{channel_id}/polls/{message_id}`: who chose an answer, one's own vote, the end before time.

use axum::{Json, extract::State, http::StatusCode};
use nexus_event_store::rows::EventPlace;
use nexus_rooms::{Rooms, SendEvent};
use nexus_views::{Channel, Message, Permissions, Views, polls::ANSWERS_MAX, polls::PollRow};
use ruma::{CanonicalJsonObject, CanonicalJsonValue};
use serde_json::{Value, json};

use crate::{
    access::place_of,
    auth::Caller,
    body,
    error::{ApiError, Unknown},
    form,
    objects::{Objects, message::Parts},
    params::{Path, Query},
};

struct Target {
    channel: Channel,
    message: Message,
    place: EventPlace,
    poll: PollRow,
}

async fn target(objects: &Objects, caller: &Caller, path: &Path) -> Result<Target, ApiError> {
    let wanted = Permissions::READ_MESSAGE_HISTORY;
    let channel = objects.channel_of(path.id("channel_id")?, caller.user(), wanted).await?;
    let message = objects.message_of(&channel, path.id("message_id")?).await?;
    let place = EventPlace { room: channel.room, event: message.event.no };
    let poll = objects.views.poll(place).await?.ok_or(ApiError::Unknown(Unknown::Message))?;
    Ok(Target { channel, message, place, poll })
}

/// `GET …/answers/{answer_id}`
pub(crate) async fn voters(
    State(views): State<Views>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    query: Query,
) -> Result<Json<Value>, ApiError> {
    let limit = query.limit(100, 25)?;
    let target = target(&objects, &caller, &path).await?;
    let index = path.id("answer_id")?.0.checked_sub(1).and_then(|index| u8::try_from(index).ok());
    let index = index.filter(|index| usize::from(*index) < target.poll.answers.len());
    let index =
        index.ok_or_else(|| ApiError::field(&["answer_id"], "BASE_TYPE_CHOICES", "Unknown answer."))?;
    let after = match query.id("after")? {
        Some(id) => Some(objects.user_of(id).await?),
        None => None,
    };
    let mut users = Vec::new();
    for user in views.poll_voters(target.place, target.poll.ended, index, after, limit).await? {
        users.push(objects.user(user, Some(target.channel.guild)).await?);
    }
    Ok(Json(json!({ "users": users })))
}

/// `PUT …/answers/@me`: a person's vote, as clients send it.
pub(crate) async fn vote(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    body::Json(body): body::Json,
) -> Result<StatusCode, ApiError> {
    caller.no_bots()?;
    let target = target(&objects, &caller, &path).await?;
    let ids = form::read(&body, |form| {
        form.require("answer_ids");
        form.snowflakes("answer_ids", ANSWERS_MAX).unwrap_or_default()
    })?;
    let mut chosen = Vec::new();
    for id in ids {
        let answer = id.0.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        let answer = answer.and_then(|index| target.poll.answers.get(index)).cloned();
        chosen.push(answer.ok_or_else(|| {
            ApiError::field(&["answer_ids"], "BASE_TYPE_CHOICES", "There is no such answer.")
        })?);
    }
    let now_ms = objects.views.store().world().now().0;
    if target.poll.ended.is_some() || target.poll.expires_ms.is_some_and(|end| end <= now_ms) {
        return Err(ApiError::Conflict("Poll expired".to_owned()));
    }
    refer(&rooms, &caller, &target, "m.poll.response", json!({ "m.selections": chosen })).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST …/expire`
pub(crate) async fn expire(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<Json<Value>, ApiError> {
    let target = target(&objects, &caller, &path).await?;
    if target.poll.author != caller.user() {
        return Err(ApiError::NotTheAuthor);
    }
    if target.poll.ended.is_none() {
        let content = json!({ "m.poll.results": {}, "m.text": [{ "body": "The poll has ended." }] });
        refer(&rooms, &caller, &target, "m.poll.end", content).await?;
    }
    let message = objects.message_of(&target.channel, target.message.id).await?;
    let place = place_of(&target.channel);
    Ok(Json(objects.message(place, Parts::of(&message), Some(caller.user())).await?))
}

/// Sends an event that refers to the poll.
async fn refer(
    rooms: &Rooms,
    caller: &Caller,
    target: &Target,
    event_type: &str,
    mut content: Value,
) -> Result<(), ApiError> {
    let poll = target.message.event.pdu.event_id();
    content["m.relates_to"] = json!({ "rel_type": "m.reference", "event_id": poll });
    let content: CanonicalJsonObject = match CanonicalJsonValue::try_from(content) {
        Ok(CanonicalJsonValue::Object(content)) => content,
        _ => return Err(ApiError::Internal),
    };
    let room = target.channel.room_id.clone();
    let event = SendEvent { room, event_type: event_type.to_owned(), state_key: None, content, txn: None };
    rooms.send(&caller.actor(), event).await?;
    Ok(())
}
