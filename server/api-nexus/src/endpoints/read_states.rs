//! `POST /channels/{channel_id}/messages/{message_id}/ack` and `POST /read-states/ack-bulk`: how far a person's
//! clients have read.

use axum::{Json, extract::State, http::StatusCode};
use nexus_event_store::Snowflake;
use nexus_rooms::{MarkRead, ReceiptKind, Rooms};
use nexus_views::{Channel, Permissions, unread::ReceiptThread};
use serde_json::{Value, json};

use crate::{
    auth::Caller,
    body,
    error::ApiError,
    form,
    gateway::{Announcement, Gateway, Intents},
    objects::Objects,
    params::Path,
};

/// So many channels at once.
const CHANNELS: usize = 100;

pub(crate) async fn ack(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    State(gateway): State<Gateway>,
    caller: Caller,
    path: Path,
    body::Json(body): body::Json,
) -> Result<Json<Value>, ApiError> {
    caller.no_bots()?;
    let channel = objects.channel_of(path.id("channel_id")?, caller.user(), Permissions::NONE).await?;
    let manual = form::read(&body, |form| form.flag("manual"))?.unwrap_or(false);
    let id = path.id("message_id")?;
    mark(&rooms, &objects, &gateway, &caller, &channel, id, manual).await?;
    Ok(Json(json!({ "token": null })))
}

pub(crate) async fn ack_several(
    State(rooms): State<Rooms>,
    State(objects): State<Objects>,
    State(gateway): State<Gateway>,
    caller: Caller,
    body::Json(body): body::Json,
) -> Result<StatusCode, ApiError> {
    caller.no_bots()?;
    let states = form::read(&body, |form| {
        form.require("read_states");
        form.objects("read_states", CHANNELS, |state| {
            state.require("channel_id");
            state.require("message_id");
            (
                state.snowflake("channel_id").unwrap_or_default(),
                state.snowflake("message_id").unwrap_or_default(),
            )
        })
        .unwrap_or_default()
    })?;
    for (channel, message) in states {
        // A channel that has gone meanwhile has nothing to read.
        let Ok(channel) = objects.channel_of(channel, caller.user(), Permissions::NONE).await else {
            continue;
        };
        mark(&rooms, &objects, &gateway, &caller, &channel, message, false).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn mark(
    rooms: &Rooms,
    objects: &Objects,
    gateway: &Gateway,
    caller: &Caller,
    channel: &Channel,
    id: Snowflake,
    manual: bool,
) -> Result<(), ApiError> {
    // An id that is no message (any more) stands for the newest before it.
    let root = channel.thread.as_ref().map(|thread| thread.root);
    let Some((event, _)) = objects.views.newest_up_to(channel.room, root, id).await? else { return Ok(()) };
    let mark = MarkRead {
        event: nexus_event_store::rows::EventPlace { room: channel.room, event },
        thread: root.map_or(ReceiptThread::Main, ReceiptThread::Of),
        kind: ReceiptKind::Public,
        may_go_back: manual,
    };
    if !rooms.mark_read(&caller.actor(), mark).await? {
        return Ok(());
    }
    let mut d = json!({
        "channel_id": channel.id.to_string(), "message_id": id.to_string(), "version": event.0,
    });
    if manual {
        d["manual"] = true.into();
        let markers = objects.views.markers(channel.room, caller.user()).await?;
        let unread = objects.views.unread(channel.room, caller.user(), root, &markers).await?;
        d["mention_count"] = unread.mentions.into();
    }
    gateway.announce(Announcement {
        guild: channel.guild,
        channel: channel.room,
        intent: Intents::GUILDS,
        needs: Permissions::VIEW_CHANNEL,
        name: "MESSAGE_ACK",
        d: d.to_string(),
        only: Some(caller.user()),
    });
    Ok(())
}
