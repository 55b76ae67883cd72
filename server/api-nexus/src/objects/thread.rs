//! Threads as Discord's clients see them: channel objects of their own, and who follows them.

use nexus_event_store::{EventNo, RoomNo, UserNo};
use nexus_views::{Channel, ChannelKind, Thread};
use serde_json::{Value, json};

use super::{Built, Objects, channel::channel_json};
use crate::snowflake::iso_time;

const ANNOUNCEMENT_THREAD: u8 = 10;
const PUBLIC_THREAD: u8 = 11;

/// The message flag of what a thread hangs on.
const HAS_THREAD: u64 = 1 << 5;

impl Objects {
    /// A channel object, or that of the thread.
    pub(crate) async fn channel_object(&self, channel: &Channel, viewer: Option<UserNo>) -> Built {
        match &channel.thread {
            Some(thread) => self.thread(thread, viewer).await,
            None => Ok(channel_json(channel)),
        }
    }

    /// A thread; `viewer` decides the `member` in it.
    pub(crate) async fn thread(&self, thread: &Thread, viewer: Option<UserNo>) -> Built {
        let info = self.views.info(thread.room).await?;
        let guild_id = match info.guild {
            Some(guild) => self.views.room_snowflake(guild).await?,
            None => None,
        };
        let parent_id = self.views.room_snowflake(thread.room).await?.unwrap_or_default();
        let state = &thread.state;
        let kind = if info.kind == ChannelKind::Announcement { ANNOUNCEMENT_THREAD } else { PUBLIC_THREAD };
        let tags: Vec<String> = state.tags.iter().map(ToString::to_string).collect();
        let mut object = json!({
            "id": thread.id.to_string(),
            "type": kind,
            "guild_id": guild_id.map(|id| id.to_string()),
            "parent_id": parent_id.to_string(),
            "owner_id": self.views.user_snowflake(state.owner).await?.to_string(),
            "name": state.name,
            "last_message_id": thread.last_message_id.map(|id| id.to_string()),
            "last_pin_timestamp": null,
            "rate_limit_per_user": state.slowmode_s,
            "message_count": thread.messages,
            "total_message_sent": thread.messages,
            "member_count": thread.members,
            "applied_tags": tags,
            "flags": 0,
            "nsfw": info.nsfw,
            "thread_metadata": {
                "archived": thread.archived,
                "archive_timestamp": iso_time(thread.archived_ms),
                "auto_archive_duration": state.auto_archive_minutes,
                "locked": state.locked,
                "invitable": state.invitable,
                "create_timestamp": iso_time(state.created_ms),
            },
            "room_id": self.views.room_id(thread.room).await?,
        });
        if let Some(viewer) = viewer
            && let Some(row) = self.views.thread_member(thread.room, thread.root, viewer).await?
        {
            object["member"] = self.thread_member(thread, viewer, row.since_ms).await?;
        }
        Ok(object)
    }

    /// Somebody who follows a thread.
    pub(crate) async fn thread_member(&self, thread: &Thread, user: UserNo, since_ms: u64) -> Built {
        Ok(json!({
            "id": thread.id.to_string(),
            "user_id": self.views.user_snowflake(user).await?.to_string(),
            "join_timestamp": iso_time(since_ms),
            "flags": 0,
        }))
    }

    /// The active threads of a guild in the channels that `user` may view, and the user's own followings.
    pub(crate) async fn active_threads(
        &self,
        guild: RoomNo,
        user: UserNo,
    ) -> Built<(Vec<Value>, Vec<Value>)> {
        let (mut threads, mut members) = (Vec::new(), Vec::new());
        for channel in self.visible_channels(guild, user).await? {
            for thread in self.views.active_threads(channel.room).await? {
                let object = self.thread(&thread, Some(user)).await?;
                members.extend(object.get("member").cloned());
                threads.push(object);
            }
        }
        Ok((threads, members))
    }

    /// A thread as a channel of which all else is its parent's.
    pub(crate) fn as_channel(parent: Channel, thread: Thread) -> Channel {
        Channel { id: thread.id, last_message_id: thread.last_message_id, thread: Some(thread), ..parent }
    }

    /// Marks those of `messages` (with their events) that are pinned or have a thread.
    pub(crate) async fn mark_messages(
        &self,
        room: RoomNo,
        viewer: Option<UserNo>,
        messages: &mut [(EventNo, Value)],
    ) -> Built<()> {
        let events = || messages.iter().map(|(event, _)| *event);
        let (Some(first), Some(last)) = (events().min(), events().max()) else { return Ok(()) };
        let pins = self.views.pins(room).await?;
        let rows = self.views.thread_rows_between(room, first, last).await?;
        for (event, object) in messages.iter_mut() {
            object["pinned"] = pins.iter().any(|pin| pin.event == *event).into();
            if rows.iter().any(|(root, row)| root == event && row.state.is_some())
                && let Some(thread) = self.views.thread(room, *event).await?
            {
                object["flags"] = (object["flags"].as_u64().unwrap_or(0) | HAS_THREAD).into();
                object["thread"] = self.thread(&thread, viewer).await?;
            }
        }
        Ok(())
    }
}
