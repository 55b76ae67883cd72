//! From an id in a request to the thing it names, if the caller may see it.
//!
//! **Errors**: what does not exist is unknown (404); a channel one may not view is 403 with 50001, a missing
//! permission 403 with 50013. A guild one is not in is unknown: its existence is its members' business.

use nexus_event_store::{RoomNo, Snowflake, UserNo, rows::SnowflakeRow};
use nexus_views::{Channel, Guild, Message, Permissions};

use crate::{
    error::{ApiError, Unknown},
    objects::{Objects, message::Place},
};

impl Objects {
    /// The guild with this id, of which `user` is a member.
    pub(crate) async fn guild_of(&self, id: Snowflake, user: UserNo) -> Result<Guild, ApiError> {
        let unknown = ApiError::Unknown(Unknown::Guild);
        let Some(SnowflakeRow::Room(room)) = self.views.lookup(id).await? else { return Err(unknown) };
        let guild = self.views.guild(room).await?.ok_or(unknown.clone())?;
        match self.views.guild_member(room, user).await? {
            Some(_) => Ok(guild),
            None => Err(unknown),
        }
    }

    /// The channel with this id, which `user` may view and where `user` has all of `wanted`.
    pub(crate) async fn channel_of(
        &self,
        id: Snowflake,
        user: UserNo,
        wanted: Permissions,
    ) -> Result<Channel, ApiError> {
        let unknown = ApiError::Unknown(Unknown::Channel);
        let Some(SnowflakeRow::Room(room)) = self.views.lookup(id).await? else { return Err(unknown) };
        let channel = self.views.channel(room).await?.ok_or(unknown)?;
        let held = self.views.permissions(channel.guild, Some(room), user).await?;
        if !held.contains(Permissions::VIEW_CHANNEL) {
            Err(ApiError::MissingAccess)
        } else if held.contains(wanted) {
            Ok(channel)
        } else {
            Err(ApiError::MissingPermissions)
        }
    }

    /// A message of a channel.
    pub(crate) async fn message_of(&self, channel: &Channel, id: Snowflake) -> Result<Message, ApiError> {
        self.views.message(channel.room, id).await?.ok_or(ApiError::Unknown(Unknown::Message))
    }

    /// The user with this id.
    pub(crate) async fn user_of(&self, id: Snowflake) -> Result<UserNo, ApiError> {
        match self.views.lookup(id).await? {
            Some(SnowflakeRow::User(user)) => Ok(user),
            _ => Err(ApiError::Unknown(Unknown::User)),
        }
    }

    /// The room with this id, whatever it is.
    pub(crate) async fn room_of(&self, id: Snowflake) -> Result<Option<RoomNo>, ApiError> {
        Ok(match self.views.lookup(id).await? {
            Some(SnowflakeRow::Room(room)) => Some(room),
            _ => None,
        })
    }
}

/// Where the messages of a channel are.
pub(crate) fn place_of(channel: &Channel) -> Place {
    Place { guild: channel.guild, guild_id: channel.guild_id, channel_id: channel.id }
}
