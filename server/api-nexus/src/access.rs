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
        let (room, thread) = match self.views.lookup(id).await? {
            Some(SnowflakeRow::Room(room)) => (room, None),
            // A thread has the id of the message that it hangs on.
            Some(SnowflakeRow::Message(place)) => {
                let thread = self.views.thread(place.room, place.event).await?;
                (place.room, Some(thread.ok_or(unknown.clone())?))
            }
            _ => return Err(unknown),
        };
        let mut channel = self.views.channel(room).await?.ok_or(unknown)?;
        let held = self.views.permissions(channel.guild, Some(room), user).await?;
        let mut wanted = wanted;
        if let Some(thread) = thread {
            channel = Self::as_channel(channel, thread);
            if wanted.contains(Permissions::SEND_MESSAGES) {
                let in_thread = Permissions::SEND_MESSAGES_IN_THREADS;
                wanted = wanted.without(Permissions::SEND_MESSAGES).with(in_thread);
            }
        }
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
        let unknown = ApiError::Unknown(Unknown::Message);
        let message = self.views.message(channel.room, id).await?.ok_or(unknown.clone())?;
        let is_here = match &channel.thread {
            // The message that a thread hangs on can be read in both.
            Some(thread) if thread.id == id => true,
            Some(thread) => self.views.thread_of(&message.event).await? == Some(thread.root),
            None => self.views.thread_of(&message.event).await?.is_none(),
        };
        if is_here { Ok(message) } else { Err(unknown) }
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
