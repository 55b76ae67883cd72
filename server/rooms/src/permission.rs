//! What an actor may do where: Discord's permissions for guilds and channels, as a decision sees them.

use nexus_event_store::{RoomNo, Scan, UserNo};
use nexus_views::{
    ChannelKind, Permissions, Place, RoomInfo,
    rows::{GuildOverwrites, GuildRow, OverwriteRow},
};
use ruma::UserId;

use crate::{RoomsError, decision::Decision, error::Rejection};

impl Decision<'_> {
    /// The number of the acting user, who is known to the store by any account or event.
    pub(crate) async fn actor_no(&self, user: &UserId) -> Result<UserNo, RoomsError> {
        match self.reader().user_no(user).await? {
            Some(number) => Ok(number),
            None => Ok(self.tx.intern_user(user.as_str()).await?),
        }
    }

    /// The guild of a room.
    pub(crate) async fn guild(&self, room: RoomNo) -> Result<GuildRow, RoomsError> {
        self.reader().guild_row(room).await?.ok_or_else(|| Rejection::UnknownGuild.into())
    }

    /// What `user` may do in `guild`, or in its channel.
    pub(crate) async fn permissions(
        &self,
        guild: RoomNo,
        channel: Option<RoomNo>,
        user: UserNo,
    ) -> Result<Permissions, RoomsError> {
        let Some(channel) = channel else {
            return Ok(self.reader().permissions(guild, None, user, self.now.0).await?);
        };
        let kind = self.reader().info(channel).await?.kind;
        self.permissions_in(guild, (channel, kind), false, user).await
    }

    /// What `user` may do in a channel of a kind that is known, or in its threads.
    pub(crate) async fn permissions_in(
        &self,
        guild: RoomNo,
        (channel, kind): (RoomNo, ChannelKind),
        in_thread: bool,
        user: UserNo,
    ) -> Result<Permissions, RoomsError> {
        let overwrites = self.overwrites(channel).await?;
        let place = Place { kind, in_thread, overwrites: &overwrites };
        Ok(self.reader().permissions(guild, Some(place), user, self.now.0).await?)
    }

    /// A channel's overwrites.
    pub(crate) async fn overwrites(&self, channel: RoomNo) -> Result<Vec<OverwriteRow>, RoomsError> {
        let scan = Scan::prefix::<GuildOverwrites>(&channel);
        Ok(self.tx.scan::<GuildOverwrites>(scan).await?.into_iter().map(|(_, row)| row).collect())
    }

    /// Refuses unless `user` has all of `wanted` in the guild; one who is no member does not know the guild.
    pub(crate) async fn need_in_guild(
        &self,
        guild: RoomNo,
        user: UserNo,
        wanted: Permissions,
    ) -> Result<(), RoomsError> {
        self.guild(guild).await?;
        let held = self.permissions(guild, None, user).await?;
        need(held, wanted)
    }

    /// The channel and its guild, if `user` may view it and has all of `wanted` there.
    pub(crate) async fn need_in_channel(
        &self,
        channel: RoomNo,
        user: UserNo,
        wanted: Permissions,
    ) -> Result<(RoomNo, RoomInfo), RoomsError> {
        let info = self.reader().info(channel).await?;
        let guild = info.guild.ok_or(Rejection::UnknownChannel)?;
        let held = self.permissions(guild, Some(channel), user).await?;
        need(held, Permissions::VIEW_CHANNEL)?;
        need(held, wanted)?;
        Ok((guild, info))
    }
}

/// Refuses unless all of `wanted` is held; tells what is missing.
pub(crate) fn need(held: Permissions, wanted: Permissions) -> Result<(), RoomsError> {
    let missing = wanted.without(held);
    if missing == Permissions::NONE { Ok(()) } else { Err(Rejection::MissingPermission(missing).into()) }
}
