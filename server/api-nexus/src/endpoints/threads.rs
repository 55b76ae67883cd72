//! Threads: `POST /channels/{channel_id}/threads` and `…/messages/{message_id}/threads`, the lists of active
//! and archived ones, and `/channels/{channel_id}/thread-members`.
//!
//! A thread without a message hangs on one that its creator sends with it. Private threads are not there yet
//! and are refused, so the lists of them are empty.

use axum::{Json, extract::State, http::StatusCode};
use nexus_event_store::{RoomNo, UserNo, rows::EventPlace};
use nexus_rooms::{NewThread, Rooms, ThreadChanges, ThreadStart};
use nexus_views::{Channel, ChannelKind, Permissions, Thread, Views};
use ruma::{CanonicalJsonObject, CanonicalJsonValue};
use serde_json::{Value, json};

use crate::{
    access::place_of,
    auth::Caller,
    body,
    error::{ApiError, Unknown},
    form::{self, Form},
    gateway::{Announcement, Gateway, Intents},
    message_form::MessageForm,
    objects::{Objects, message::Parts},
    params::{Path, Query},
    snowflake::parse_time,
};

/// Forum tags of a thread.
const TAGS: usize = 5;

/// Members of a thread that are listed at once.
const MEMBERS: usize = 1000;

/// What a thread is to be.
struct ThreadForm {
    name: String,
    auto_archive_minutes: Option<u32>,
    slowmode_s: u32,
    tags: Vec<u64>,
    kind: Option<i64>,
}

fn small(form: &Form<'_>, field: &str, max: i64) -> Option<u32> {
    form.integer(field, 0..=max).and_then(|number| u32::try_from(number).ok())
}

fn tags(form: &Form<'_>) -> Option<Vec<u64>> {
    form.snowflakes("applied_tags", TAGS).map(|tags| tags.into_iter().map(|tag| tag.0).collect())
}

impl ThreadForm {
    fn read(form: &Form<'_>) -> Self {
        Self {
            name: form.required_text("name", 1..=100),
            auto_archive_minutes: small(form, "auto_archive_duration", 10_080),
            slowmode_s: small(form, "rate_limit_per_user", 21_600).unwrap_or(0),
            tags: tags(form).unwrap_or_default(),
            kind: form.integer("type", 0..=16),
        }
    }

    fn thread(self, channel: RoomNo, start: ThreadStart) -> NewThread {
        let Self { name, auto_archive_minutes, slowmode_s, tags, .. } = self;
        NewThread { channel, start, name, auto_archive_minutes, slowmode_s, tags }
    }
}

/// `POST …/messages/{message_id}/threads`
pub(crate) async fn create_on_message(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    body::Json(body): body::Json,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let channel = objects.channel_of(path.id("channel_id")?, caller.user(), Permissions::NONE).await?;
    not_in_thread(&channel)?;
    let form = form::read(&body, ThreadForm::read)?;
    let message = objects.message_of(&channel, path.id("message_id")?).await?;
    let start = ThreadStart::On(message.event.pdu.event_id().to_owned());
    let root = rooms.create_thread(&caller.actor(), form.thread(channel.room, start)).await?;
    let thread =
        objects.views.thread(channel.room, root).await?.ok_or(ApiError::Unknown(Unknown::Channel))?;
    Ok((StatusCode::CREATED, Json(objects.thread(&thread, Some(caller.user())).await?)))
}

fn not_in_thread(channel: &Channel) -> Result<(), ApiError> {
    if channel.thread.is_some() { Err(ApiError::NotATextChannel) } else { Ok(()) }
}

/// `POST /channels/{channel_id}/threads`: a forum post, or a thread that begins with its name.
pub(crate) async fn create(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    body::Json(body): body::Json,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let channel = objects.channel_of(path.id("channel_id")?, caller.user(), Permissions::NONE).await?;
    not_in_thread(&channel)?;
    let form = form::read(&body, |form| {
        if channel.info.kind == ChannelKind::Forum {
            form.require("message");
        }
        ThreadForm::read(form)
    })?;
    let is_post = channel.info.kind == ChannelKind::Forum;
    if !is_post && form.kind.is_some_and(|kind| kind != 10 && kind != 11) {
        return Err(ApiError::field(&["type"], "NOT_AVAILABLE", "Private threads are not available here."));
    }
    let content = if is_post {
        let message = MessageForm::parse(&body["message"])?;
        objects.compose(&channel, caller.user(), &message, Vec::new(), None).await?
    } else {
        bare_start(&form.name)
    };
    let start = ThreadStart::With(content);
    let root = rooms.create_thread(&caller.actor(), form.thread(channel.room, start)).await?;
    let thread =
        objects.views.thread(channel.room, root).await?.ok_or(ApiError::Unknown(Unknown::Channel))?;
    let mut object = objects.thread(&thread, Some(caller.user())).await?;
    if is_post
        && let Some(message) =
            objects.views.message_of(EventPlace { room: channel.room, event: root }).await?
    {
        let place = place_of(&Objects::as_channel(channel, thread));
        object["message"] = objects.message(place, Parts::of(&message), Some(caller.user())).await?;
    }
    Ok((StatusCode::CREATED, Json(object)))
}

/// The message on which a thread hangs that was begun without one.
fn bare_start(name: &str) -> CanonicalJsonObject {
    let text = |text: &str| CanonicalJsonValue::String(text.to_owned());
    CanonicalJsonObject::from([
        ("msgtype".to_owned(), text("m.text")),
        ("body".to_owned(), text(name.trim())),
        ("nexus.thread_start".to_owned(), CanonicalJsonValue::Bool(true)),
    ])
}

/// `PATCH /channels/{thread_id}`
pub(crate) async fn patch(
    rooms: &Rooms,
    objects: &Objects,
    caller: &Caller,
    thread: &Thread,
    body: &Value,
) -> Result<Value, ApiError> {
    let changes = form::read(body, |form| ThreadChanges {
        name: form.text("name", 1..=100),
        archived: form.flag("archived"),
        locked: form.flag("locked"),
        invitable: form.flag("invitable"),
        auto_archive_minutes: small(form, "auto_archive_duration", 10_080),
        slowmode_s: small(form, "rate_limit_per_user", 21_600),
        tags: tags(form),
    })?;
    rooms.update_thread(&caller.actor(), thread.room, thread.root, changes).await?;
    let thread = objects.views.thread(thread.room, thread.root).await?;
    objects.thread(&thread.ok_or(ApiError::Unknown(Unknown::Channel))?, Some(caller.user())).await
}

/// `GET /guilds/{guild_id}/threads/active`
pub(crate) async fn active(
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<Json<Value>, ApiError> {
    let guild = objects.guild_of(path.id("guild_id")?, caller.user()).await?;
    let (threads, members) = objects.active_threads(guild.room, caller.user()).await?;
    Ok(Json(json!({ "threads": threads, "members": members })))
}

/// `GET /channels/{channel_id}/threads/archived/public`
pub(crate) async fn archived(
    State(views): State<Views>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    query: Query,
) -> Result<Json<Value>, ApiError> {
    let limit = query.limit(100, 50)?;
    let before_ms = match query.text("before") {
        Some(text) => Some(parse_time(text).ok_or_else(|| {
            ApiError::field(&["before"], "DATE_TIME_TYPE_PARSE", "Could not parse the time.")
        })?),
        None => None,
    };
    let wanted = Permissions::READ_MESSAGE_HISTORY;
    let channel = objects.channel_of(path.id("channel_id")?, caller.user(), wanted).await?;
    let found = views.archived_threads(channel.room, before_ms).await?;
    let (mut threads, mut members) = (Vec::new(), Vec::new());
    for thread in found.iter().take(limit) {
        let object = objects.thread(thread, Some(caller.user())).await?;
        members.extend(object.get("member").cloned());
        threads.push(object);
    }
    Ok(Json(json!({ "threads": threads, "members": members, "has_more": found.len() > limit })))
}

/// The archived private threads, of which there are none.
pub(crate) async fn archived_private(
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<Json<Value>, ApiError> {
    let wanted = Permissions::READ_MESSAGE_HISTORY;
    objects.channel_of(path.id("channel_id")?, caller.user(), wanted).await?;
    Ok(Json(json!({ "threads": [], "members": [], "has_more": false })))
}

async fn thread_of(objects: &Objects, caller: &Caller, path: &Path) -> Result<(Channel, Thread), ApiError> {
    let channel = objects.channel_of(path.id("channel_id")?, caller.user(), Permissions::NONE).await?;
    let thread = channel.thread.clone().ok_or(ApiError::Unknown(Unknown::Channel))?;
    Ok((channel, thread))
}

/// `GET …/thread-members`
pub(crate) async fn members(
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    query: Query,
) -> Result<Json<Value>, ApiError> {
    let (channel, thread) = thread_of(&objects, &caller, &path).await?;
    let with_member = query.flag("with_member");
    let mut members = Vec::new();
    for (user, row) in objects.views.thread_members(thread.room, thread.root, MEMBERS).await? {
        let mut object = objects.thread_member(&thread, user, row.since_ms).await?;
        if with_member {
            object["member"] = objects.member_of(channel.guild, user).await?.unwrap_or_default();
        }
        members.push(object);
    }
    Ok(Json(members.into()))
}

/// `GET …/thread-members/{user_id}`
pub(crate) async fn member(
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<Json<Value>, ApiError> {
    let (_, thread) = thread_of(&objects, &caller, &path).await?;
    let user = named_user(&objects, &caller, &path).await?;
    let row = objects.views.thread_member(thread.room, thread.root, user).await?;
    let row = row.ok_or(ApiError::Unknown(Unknown::Member))?;
    Ok(Json(objects.thread_member(&thread, user, row.since_ms).await?))
}

async fn named_user(objects: &Objects, caller: &Caller, path: &Path) -> Result<UserNo, ApiError> {
    match path.id_or_me("user_id")? {
        Some(id) => objects.user_of(id).await,
        None => Ok(caller.user()),
    }
}

/// `PUT …/thread-members/{user_id}`
pub(crate) async fn add_member(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    State(gateway): State<Gateway>,
    caller: Caller,
    path: Path,
) -> Result<StatusCode, ApiError> {
    follow(&rooms, &objects, &gateway, &caller, &path, true).await
}

/// `DELETE …/thread-members/{user_id}`
pub(crate) async fn remove_member(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    State(gateway): State<Gateway>,
    caller: Caller,
    path: Path,
) -> Result<StatusCode, ApiError> {
    follow(&rooms, &objects, &gateway, &caller, &path, false).await
}

async fn follow(
    rooms: &Rooms,
    objects: &Objects,
    gateway: &Gateway,
    caller: &Caller,
    path: &Path,
    follows: bool,
) -> Result<StatusCode, ApiError> {
    let (channel, thread) = thread_of(objects, caller, path).await?;
    let user = named_user(objects, caller, path).await?;
    let actor = caller.actor();
    if !rooms.follow_thread(&actor, thread.room, thread.root, user, follows).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    let thread = objects.views.thread(thread.room, thread.root).await?.unwrap_or(thread);
    let mut d = json!({
        "id": thread.id.to_string(),
        "guild_id": channel.guild_id.to_string(),
        "member_count": thread.members,
    });
    if follows {
        let since_ms = objects.views.store().world().now().0;
        d["added_members"] = json!([objects.thread_member(&thread, user, since_ms).await?]);
    } else {
        d["removed_member_ids"] = json!([objects.views.user_snowflake(user).await?.to_string()]);
    }
    gateway.announce(Announcement {
        guild: channel.guild,
        channel: channel.room,
        intent: Intents::GUILDS,
        needs: Permissions::VIEW_CHANNEL,
        name: "THREAD_MEMBERS_UPDATE",
        d: d.to_string(),
        only: None,
    });
    Ok(StatusCode::NO_CONTENT)
}
