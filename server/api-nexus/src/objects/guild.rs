//! Guild objects: whole, as GUILD_CREATE sends them, and in part.

use nexus_event_store::{RoomNo, UserNo};
use nexus_views::{Guild, Permissions};
use serde_json::{Value, json};

use super::{Built, Objects, channel::channel_json};
use crate::snowflake::iso_time;

/// Above this many members a guild counts as large, unless the client says otherwise.
pub(crate) const LARGE_THRESHOLD: u64 = 50;

/// Which members GUILD_CREATE lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    /// All, if there are at most so many.
    UpTo(u64),
    /// Only who asks.
    OnlySelf,
}

/// What an invite shows of a guild.
pub(crate) fn partial_json(guild: &Guild) -> Value {
    json!({
        "id": guild.id.to_string(),
        "name": guild.name,
        "icon": null,
        "splash": null,
        "banner": null,
        "description": null,
        "features": guild.features,
        "verification_level": 0,
        "vanity_url_code": null,
        "nsfw_level": 0,
        "premium_subscription_count": 0,
        "room_id": guild.room_id,
    })
}

impl Objects {
    /// A guild object.
    pub(crate) async fn guild(&self, guild: &Guild) -> Built {
        let owner = self.views.user_snowflake(guild.owner).await?;
        Ok(json!({
            "id": guild.id.to_string(),
            "room_id": guild.room_id,
            "name": guild.name,
            "icon": null,
            "icon_hash": null,
            "splash": null,
            "discovery_splash": null,
            "banner": null,
            "description": null,
            "owner_id": owner.to_string(),
            "region": "local",
            "afk_channel_id": null,
            "afk_timeout": 300,
            "widget_enabled": false,
            "widget_channel_id": null,
            "verification_level": 0,
            "default_message_notifications": 0,
            "explicit_content_filter": 0,
            "mfa_level": 0,
            "nsfw": false,
            "nsfw_level": 0,
            "application_id": null,
            "system_channel_id": null,
            "system_channel_flags": 0,
            "rules_channel_id": null,
            "public_updates_channel_id": null,
            "safety_alerts_channel_id": null,
            "vanity_url_code": null,
            "premium_tier": 0,
            "premium_subscription_count": 0,
            "premium_progress_bar_enabled": false,
            "preferred_locale": "en-US",
            "max_presences": null,
            "max_members": 500_000,
            "max_video_channel_users": 25,
            "max_stage_video_channel_users": 50,
            "features": guild.features,
            "roles": self.roles(guild.room).await?,
            "emojis": [],
            "stickers": [],
            "incidents_data": null,
        }))
    }

    /// The guild as GUILD_CREATE sends it to a member; `None` if the user is none.
    pub(crate) async fn whole_guild(
        &self,
        room: RoomNo,
        user: UserNo,
        listed: Listed,
    ) -> Built<Option<Value>> {
        let (Some(guild), Some(own)) =
            (self.views.guild(room).await?, self.views.guild_member(room, user).await?)
        else {
            return Ok(None);
        };
        let members = match listed {
            Listed::UpTo(most) if guild.member_count <= most => {
                let most = usize::try_from(most).unwrap_or(usize::MAX);
                self.members(room, &self.views.guild_members(room, None, most).await?).await?
            }
            Listed::UpTo(_) | Listed::OnlySelf => vec![self.member(room, &own).await?],
        };
        let channels = self.visible_channels(room, user).await?;
        let (threads, _) = self.active_threads(room, user).await?;
        let mut object = self.guild(&guild).await?;
        let more = json!({
            "joined_at": iso_time(own.joined_at_ms),
            "large": guild.member_count > LARGE_THRESHOLD,
            "unavailable": false,
            "member_count": guild.member_count,
            "voice_states": [],
            "members": members,
            "channels": channels.iter().map(channel_json).collect::<Vec<_>>(),
            "threads": threads,
            "presences": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
        });
        if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
            object.extend(more);
        }
        Ok(Some(object))
    }

    /// Member objects.
    pub(crate) async fn members(
        &self,
        guild: RoomNo,
        members: &[nexus_views::GuildMember],
    ) -> Built<Vec<Value>> {
        let mut objects = Vec::with_capacity(members.len());
        for member in members {
            objects.push(self.member(guild, member).await?);
        }
        Ok(objects)
    }

    /// An entry of a user's own list of guilds.
    pub(crate) async fn listed_guild(&self, guild: &Guild, user: UserNo, with_counts: bool) -> Built {
        let permissions: Permissions = self.views.permissions(guild.room, None, user).await?;
        let mut object = json!({
            "id": guild.id.to_string(),
            "room_id": guild.room_id,
            "name": guild.name,
            "icon": null,
            "banner": null,
            "owner": guild.owner == user,
            "permissions": permissions.0.to_string(),
            "features": guild.features,
        });
        if with_counts {
            add_counts(&mut object, guild);
        }
        Ok(object)
    }
}

/// Adds the member counts that some calls offer.
pub(crate) fn add_counts(object: &mut Value, guild: &Guild) {
    object["approximate_member_count"] = guild.member_count.into();
    // Presence is not tracked yet, so nobody is known to be online.
    object["approximate_presence_count"] = 0.into();
}
