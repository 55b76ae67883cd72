//! Channel objects.

use nexus_event_store::{RoomNo, UserNo};
use nexus_views::{Channel, ChannelKind, OverwriteTarget, Permissions};
use serde_json::{Value, json};

use super::{Built, Objects};
use crate::snowflake::iso_time;

/// Discord's numbers for the kinds of channel.
const KINDS: [(ChannelKind, u8); 6] = [
    (ChannelKind::Text, 0),
    (ChannelKind::Voice, 2),
    (ChannelKind::Category, 4),
    (ChannelKind::Announcement, 5),
    (ChannelKind::Stage, 13),
    (ChannelKind::Forum, 15),
];

/// The number of a kind.
pub(crate) fn kind_number(kind: ChannelKind) -> u8 {
    KINDS.iter().find(|(known, _)| *known == kind).map_or(0, |(_, number)| *number)
}

/// The kind of a number.
pub(crate) fn kind_of_number(number: i64) -> Option<ChannelKind> {
    KINDS.iter().find(|(_, known)| i64::from(*known) == number).map(|(kind, _)| *kind)
}

/// A channel object.
pub(crate) fn channel_json(channel: &Channel) -> Value {
    let info = &channel.info;
    let overwrite = |overwrite: &nexus_views::Overwrite| {
        json!({
            "id": overwrite.id.to_string(),
            "type": u8::from(matches!(overwrite.target, OverwriteTarget::Member(_))),
            "allow": overwrite.allow.0.to_string(),
            "deny": overwrite.deny.0.to_string(),
        })
    };
    let mut object = json!({
        "id": channel.id.to_string(),
        "type": kind_number(info.kind),
        "guild_id": channel.guild_id.to_string(),
        "name": info.name.as_deref().unwrap_or_default(),
        "topic": info.topic,
        "position": info.position,
        "permission_overwrites": channel.overwrites.iter().map(overwrite).collect::<Vec<_>>(),
        "nsfw": info.nsfw,
        "parent_id": channel.parent_id.map(|id| id.to_string()),
        "last_message_id": channel.last_message_id.map(|id| id.to_string()),
        "last_pin_timestamp": channel.last_pin_ms.map(iso_time),
        "rate_limit_per_user": info.slowmode_s,
        "flags": 0,
        "room_id": channel.room_id,
    });
    let more = match info.kind {
        ChannelKind::Voice | ChannelKind::Stage => {
            json!({ "bitrate": 64000, "user_limit": 0, "rtc_region": null, "video_quality_mode": 1 })
        }
        ChannelKind::Forum => json!({
            "available_tags": [],
            "default_reaction_emoji": null,
            "default_sort_order": null,
            "default_forum_layout": 0,
        }),
        ChannelKind::Text | ChannelKind::Category | ChannelKind::Announcement => json!({}),
    };
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}

impl Objects {
    /// The channels of a guild that `user` may see.
    pub(crate) async fn visible_channels(&self, guild: RoomNo, user: UserNo) -> Built<Vec<Channel>> {
        let mut visible = Vec::new();
        for channel in self.views.channels(guild).await? {
            let bits = self.views.permissions(guild, Some(channel.room), user).await?;
            if bits.contains(Permissions::VIEW_CHANNEL) {
                visible.push(channel);
            }
        }
        Ok(visible)
    }
}
