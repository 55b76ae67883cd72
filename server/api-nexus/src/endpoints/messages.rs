//! `GET|POST /channels/{channel_id}/messages`, `GET|PATCH|DELETE /channels/{channel_id}/messages/{message_id}`.

use axum::{
    Json,
    extract::{FromRef, Request, State},
    http::StatusCode,
};
use nexus_media::Media;
use nexus_rooms::{Redact, Rooms, SendEvent};
use nexus_views::{Channel, ChannelKind, Message, Page, Permissions, Thread, Views};
use serde_json::Value;

use crate::{
    access::place_of,
    api::NexusApi,
    attachment,
    auth::Caller,
    compose::nonce_key,
    error::{ApiError, Unknown},
    message_body::{self, Files},
    message_content::content_of,
    message_form::MessageForm,
    objects::{Objects, message},
    params::{Path, Query},
};

/// What sending and editing take.
#[derive(Clone)]
pub(crate) struct Parts {
    rooms: Rooms,
    views: Views,
    objects: Objects,
    media: Media,
}

impl FromRef<NexusApi> for Parts {
    fn from_ref(api: &NexusApi) -> Self {
        Self {
            rooms: Rooms::from_ref(api),
            views: Views::from_ref(api),
            objects: Objects::from_ref(api),
            media: Media::from_ref(api),
        }
    }
}

async fn shown(
    objects: &Objects,
    channel: &Channel,
    message: &Message,
    caller: &Caller,
) -> Result<Value, ApiError> {
    let object = objects.message(place_of(channel), message::Parts::of(message), Some(caller.user())).await?;
    let is_root = channel.thread.as_ref().is_some_and(|thread| thread.id == message.id);
    if !is_root || channel.info.kind == ChannelKind::Forum {
        return Ok(object);
    }
    // The message that a thread hangs on is its parent's: in the thread there is a pointer to it.
    let parent_id = objects.views.room_snowflake(channel.room).await?.unwrap_or_default();
    let place = message::Place { channel_id: parent_id, ..place_of(channel) };
    let referenced = objects.message(place, message::Parts::of(message), Some(caller.user())).await?;
    Ok(message::thread_starter(object, referenced))
}

/// A page of a thread, which begins with the message that it hangs on.
async fn thread_page(
    views: &Views,
    channel: &Channel,
    thread: &Thread,
    page: Page,
    limit: usize,
) -> Result<Vec<Message>, ApiError> {
    let mut found = views.messages_in_thread(channel.room, thread.root, page, limit).await?;
    let reaches_start = match page {
        Page::Newest | Page::Around(_) => found.len() < limit,
        Page::Before(id) => found.len() < limit && id > thread.id,
        Page::After(id) => id < thread.id,
    };
    if reaches_start && let Some(root) = views.message(channel.room, thread.id).await? {
        found.push(root);
        let extra = found.len().saturating_sub(limit);
        found.drain(..extra);
    }
    Ok(found)
}

pub(crate) async fn list(
    State(views): State<Views>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    query: Query,
) -> Result<Json<Value>, ApiError> {
    let limit = query.limit(100, 50)?;
    let page = match (query.id("around")?, query.id("before")?, query.id("after")?) {
        (Some(id), _, _) => Page::Around(id),
        (None, Some(id), _) => Page::Before(id),
        (None, None, Some(id)) => Page::After(id),
        (None, None, None) => Page::Newest,
    };
    let channel = objects.channel_of(path.id("channel_id")?, caller.user(), Permissions::NONE).await?;
    let held = views.permissions(channel.guild, Some(channel.room), caller.user()).await?;
    if !held.contains(Permissions::READ_MESSAGE_HISTORY) {
        return Ok(Json(Value::Array(Vec::new())));
    }
    let found = match &channel.thread {
        Some(thread) => thread_page(&views, &channel, thread, page, limit).await?,
        None => views.messages(channel.room, page, limit).await?,
    };
    let mut messages = Vec::new();
    for message in &found {
        messages.push((message.event.no, shown(&objects, &channel, message, &caller).await?));
    }
    objects.mark_messages(channel.room, Some(caller.user()), &mut messages).await?;
    Ok(Json(messages.into_iter().map(|(_, message)| message).collect()))
}

pub(crate) async fn get(
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<Json<Value>, ApiError> {
    let wanted = Permissions::READ_MESSAGE_HISTORY;
    let channel = objects.channel_of(path.id("channel_id")?, caller.user(), wanted).await?;
    let message = objects.message_of(&channel, path.id("message_id")?).await?;
    let object = shown(&objects, &channel, &message, &caller).await?;
    let mut marked = [(message.event.no, object)];
    objects.mark_messages(channel.room, Some(caller.user()), &mut marked).await?;
    let [(_, object)] = marked;
    Ok(Json(object))
}

pub(crate) async fn send(
    State(parts): State<Parts>,
    caller: Caller,
    path: Path,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let Parts { views, objects, media, .. } = &parts;
    let channel = objects.channel_of(path.id("channel_id")?, caller.user(), Permissions::NONE).await?;
    let held = views.permissions(channel.guild, Some(channel.room), caller.user()).await?;
    let may_attach = held.contains(Permissions::ATTACH_FILES);
    let (body, files) = message_body::read(request, media, caller.user(), may_attach).await?;
    let sent = send_read(&parts, &caller, &channel, &body, &files).await;
    if sent.is_err() {
        files.discard(media).await;
    }
    sent.map(Json)
}

/// Sends a message whose body and files are here.
async fn send_read(
    parts: &Parts,
    caller: &Caller,
    channel: &Channel,
    body: &Value,
    files: &Files,
) -> Result<Value, ApiError> {
    let Parts { rooms, views, objects, .. } = parts;
    let form = MessageForm::parse(body)?;
    let answered = answered(objects, channel, &form).await?;
    let named = form.attachments.as_deref();
    let server_name = views.server_name().as_str();
    let attachments = attachment::merged(server_name, None, Vec::new(), named, &files.0)?;
    let content = objects.compose(channel, caller.user(), &form, attachments, answered.as_ref()).await?;
    let unique = views.store().world().random_u64();
    let event = SendEvent {
        room: channel.room_id.clone(),
        event_type: if form.poll.is_some() { "m.poll.start" } else { "m.room.message" }.to_owned(),
        state_key: None,
        content,
        txn: form.nonce.as_ref().map(|nonce| nonce_key(nonce, form.enforce_nonce, unique)),
    };
    let sent = rooms.send(&caller.actor(), event).await?;
    let message = views.message_of(sent.place).await?.ok_or(ApiError::Unknown(Unknown::Message))?;
    let mut object = shown(objects, channel, &message, caller).await?;
    if let Some(nonce) = form.nonce {
        object["nonce"] = nonce;
    }
    Ok(object)
}

async fn answered(
    objects: &Objects,
    channel: &Channel,
    form: &MessageForm,
) -> Result<Option<Message>, ApiError> {
    let Some(reference) = form.reference else { return Ok(None) };
    match objects.views.message(channel.room, reference.message).await? {
        Some(message) => Ok(Some(message)),
        None if reference.fail_if_not_exists => {
            Err(ApiError::field(&["message_reference"], "REPLIES_UNKNOWN_MESSAGE", "Unknown message"))
        }
        None => Ok(None),
    }
}

pub(crate) async fn edit(
    State(parts): State<Parts>,
    caller: Caller,
    path: Path,
    request: Request,
) -> Result<Json<Value>, ApiError> {
    let Parts { views, objects, media, .. } = &parts;
    let channel = objects.channel_of(path.id("channel_id")?, caller.user(), Permissions::NONE).await?;
    let id = path.id("message_id")?;
    let message = objects.message_of(&channel, id).await?;
    if message.author != caller.user() {
        return Err(ApiError::NotTheAuthor);
    }
    let held = views.permissions(channel.guild, Some(channel.room), caller.user()).await?;
    let may_attach = held.contains(Permissions::ATTACH_FILES);
    let (body, files) = message_body::read(request, media, caller.user(), may_attach).await?;
    if let Err(error) = edit_read(&parts, &caller, &channel, &message, &body, &files).await {
        files.discard(media).await;
        return Err(error);
    }
    let message = objects.message_of(&channel, id).await?;
    Ok(Json(shown(objects, &channel, &message, &caller).await?))
}

/// Edits a message by a body and files that are here.
async fn edit_read(
    parts: &Parts,
    caller: &Caller,
    channel: &Channel,
    message: &Message,
    body: &Value,
    files: &Files,
) -> Result<(), ApiError> {
    let form = MessageForm::parse(body)?;
    let before = content_of(&message.event, message.edit.as_deref()).attachments;
    let server_name = parts.views.server_name().as_str();
    let named = form.attachments.as_deref();
    let attachments = attachment::merged(server_name, Some(message.id), before, named, &files.0)?;
    let event = SendEvent {
        room: channel.room_id.clone(),
        event_type: "m.room.message".to_owned(),
        state_key: None,
        content: parts.objects.compose_edit(channel, message, &form, attachments).await?,
        txn: None,
    };
    parts.rooms.send(&caller.actor(), event).await?;
    Ok(())
}

pub(crate) async fn delete(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<StatusCode, ApiError> {
    let channel = objects.channel_of(path.id("channel_id")?, caller.user(), Permissions::NONE).await?;
    let message = objects.message_of(&channel, path.id("message_id")?).await?;
    let redact = Redact {
        room: channel.room_id.clone(),
        event_id: message.event.pdu.event_id().to_owned(),
        reason: caller.reason(),
        txn: None,
    };
    rooms.redact(&caller.actor(), redact).await?;
    Ok(StatusCode::NO_CONTENT)
}
