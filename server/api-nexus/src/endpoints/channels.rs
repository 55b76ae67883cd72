//! `GET|PATCH|DELETE /channels/{channel_id}`, and the fields of a channel that clients set.

use axum::{Json, extract::State};
use nexus_event_store::{RoomNo, Snowflake};
use nexus_rooms::{ChannelChanges, Rooms};
use nexus_views::{ChannelKind, Permissions, Views};
use serde_json::Value;

use crate::{
    auth::Caller,
    body,
    endpoints::{overwrites::OverwriteForm, threads},
    error::{ApiError, Unknown},
    form::{self, Form},
    objects::{
        Objects,
        channel::{channel_json, kind_of_number},
    },
    params::Path,
};

const TOPIC_CHARS: usize = 1024;
const SLOWMODE_S: i64 = 21_600;

/// The fields of a channel, each if it was given; the inner `None` clears.
pub(crate) struct ChannelForm {
    pub(crate) name: Option<String>,
    pub(crate) kind: Option<ChannelKind>,
    pub(crate) topic: Option<Option<String>>,
    pub(crate) parent: Option<Option<Snowflake>>,
    pub(crate) position: Option<i64>,
    pub(crate) nsfw: Option<bool>,
    pub(crate) slowmode_s: Option<u32>,
    pub(crate) overwrites: Option<Vec<OverwriteForm>>,
}

impl ChannelForm {
    /// Reads them from a body.
    pub(crate) fn read(form: &Form<'_>) -> Self {
        let kind = form.integer("type", 0..=16).and_then(|number| {
            let kind = kind_of_number(number);
            if kind.is_none() {
                let choices = "Value must be one of (0, 2, 4, 5, 13, 15).";
                form.fault("type", "BASE_TYPE_CHOICES", choices);
            }
            kind
        });
        Self {
            name: form.text("name", 1..=100),
            kind,
            topic: form.nullable("topic", |form| form.text("topic", 0..=TOPIC_CHARS)),
            parent: form.nullable("parent_id", |form| form.snowflake("parent_id")),
            position: form.integer("position", 0..=i64::from(i32::MAX)),
            nsfw: form.flag("nsfw"),
            slowmode_s: form
                .integer("rate_limit_per_user", 0..=SLOWMODE_S)
                .and_then(|seconds| u32::try_from(seconds).ok()),
            overwrites: OverwriteForm::read_all(form),
        }
    }
}

impl Objects {
    /// The category with this id in `guild`.
    pub(crate) async fn category_of(&self, guild: RoomNo, id: Snowflake) -> Result<RoomNo, ApiError> {
        let not_one = || ApiError::field(&["parent_id"], "CHANNEL_PARENT_INVALID", "Category does not exist");
        let room = self.room_of(id).await?.ok_or_else(not_one)?;
        let channel = self.views.channel(room).await?.ok_or_else(not_one)?;
        let fits = channel.guild == guild && channel.info.kind == ChannelKind::Category;
        if fits { Ok(room) } else { Err(not_one()) }
    }
}

pub(crate) async fn get(
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<Json<Value>, ApiError> {
    let channel = objects.channel_of(path.id("channel_id")?, caller.user(), Permissions::NONE).await?;
    let held = objects.views.permissions(channel.guild, Some(channel.room), caller.user()).await?;
    let mut object = objects.channel_object(&channel, Some(caller.user())).await?;
    object["permissions"] = held.0.to_string().into();
    Ok(Json(object))
}

pub(crate) async fn patch(
    State(rooms): State<Rooms>,
    State(views): State<Views>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
    body::Json(body): body::Json,
) -> Result<Json<Value>, ApiError> {
    let channel = objects.channel_of(path.id("channel_id")?, caller.user(), Permissions::NONE).await?;
    if let Some(thread) = &channel.thread {
        return Ok(Json(threads::patch(&rooms, &objects, &caller, thread, &body).await?));
    }
    let guild = objects.guild_of(channel.guild_id, caller.user()).await?;
    let given = form::read(&body, |form| {
        let given = ChannelForm::read(form);
        if given.kind.is_some_and(|kind| kind != channel.info.kind) {
            form.fault("type", "CHANNEL_TYPE_IMMUTABLE", "The type of a channel cannot be changed.");
        }
        given
    })?;
    let parent = match given.parent {
        Some(Some(parent)) => Some(Some(objects.category_of(channel.guild, parent).await?)),
        Some(None) => Some(None),
        None => None,
    };
    let changes = ChannelChanges {
        name: given.name,
        topic: given.topic.map(|topic| topic.filter(|topic| !topic.is_empty())),
        parent,
        position: given.position,
        nsfw: given.nsfw,
        slowmode_s: given.slowmode_s,
        overwrites: match &given.overwrites {
            Some(forms) => Some(objects.new_overwrites((&guild, Some(&channel)), forms).await?),
            None => None,
        },
    };
    rooms.update_channel(&caller.actor(), channel.room, changes).await?;
    let changed = views.channel(channel.room).await?.ok_or(ApiError::Unknown(Unknown::Channel))?;
    Ok(Json(channel_json(&changed)))
}

pub(crate) async fn delete(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    caller: Caller,
    path: Path,
) -> Result<Json<Value>, ApiError> {
    let channel = objects.channel_of(path.id("channel_id")?, caller.user(), Permissions::NONE).await?;
    if let Some(thread) = &channel.thread {
        let object = objects.thread(thread, None).await?;
        rooms.delete_thread(&caller.actor(), thread.room, thread.root).await?;
        return Ok(Json(object));
    }
    let wanted = Permissions::MANAGE_CHANNELS;
    let channel = objects.channel_of(path.id("channel_id")?, caller.user(), wanted).await?;
    rooms.delete_channel(&caller.actor(), channel.room).await?;
    Ok(Json(channel_json(&channel)))
}
