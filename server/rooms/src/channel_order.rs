//! Moving a guild's channels: places and categories of many at once.
//!
//! **Source**: `discord-api-docs`, "Modify Guild Channel Positions".

use std::collections::BTreeMap;

use nexus_event_store::RoomNo;
use nexus_views::{Permissions, RoomInfo};

use crate::{
    Actor, Rooms, RoomsError,
    channels::{category, check_parent, put_channel},
    decision::{Decide, Decision},
    error::Rejection,
};

/// The most channels of one command.
const MOVES: usize = 500;

/// Where a channel is to go; `None` = it stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelMove {
    /// The channel.
    pub channel: RoomNo,
    /// Its place among its siblings.
    pub position: Option<i64>,
    /// Its category, or none.
    pub parent: Option<Option<RoomNo>>,
    /// Whether it gets the overwrites of its new category.
    pub lock_permissions: bool,
}

impl Rooms {
    /// Moves channels; those that are where they are to be are left alone.
    ///
    /// # Errors
    /// Refused without MANAGE_CHANNELS, also in a channel whose category changes, without the right to its
    /// new overwrites, for channels of other guilds, and for more than one commit holds.
    pub async fn move_channels(
        &self,
        actor: &Actor,
        guild: RoomNo,
        moves: Vec<ChannelMove>,
    ) -> Result<(), RoomsError> {
        if moves.len() > MOVES {
            return Err(Rejection::TooMany { what: "channels", limit: MOVES }.into());
        }
        self.run(&Move { actor, guild, moves }).await.map(drop)
    }
}

struct Move<'a> {
    actor: &'a Actor,
    guild: RoomNo,
    moves: Vec<ChannelMove>,
}

impl Decide for Move<'_> {
    type Output = ();

    fn rooms(&self) -> Vec<RoomNo> {
        let channels = self.moves.iter().filter(|step| step.lock_permissions).map(|step| step.channel);
        channels.chain([self.guild]).collect()
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<(), RoomsError> {
        let user = decision.actor_no(&self.actor.user).await?;
        decision.need_in_guild(self.guild, user, Permissions::MANAGE_CHANNELS).await?;
        // The last word on a channel counts.
        let moves: BTreeMap<RoomNo, &ChannelMove> =
            self.moves.iter().map(|step| (step.channel, step)).collect();
        for (channel, step) in moves {
            let before = decision.reader().info(channel).await?;
            if before.guild != Some(self.guild) {
                return Err(Rejection::UnknownChannel.into());
            }
            let after = RoomInfo {
                position: step.position.unwrap_or(before.position),
                parent: step.parent.unwrap_or(before.parent),
                ..before.clone()
            };
            if after.parent != before.parent {
                decision.need_in_channel(channel, user, Permissions::MANAGE_CHANNELS).await?;
                check_parent(decision, self.guild, &after).await?;
            }
            if after != before {
                let parent = category(decision, self.guild, after.parent).await?;
                put_channel(decision, self.guild, channel, (&after, parent.as_ref()), self.actor).await?;
            }
            if step.lock_permissions
                && let Some(parent) = after.parent
            {
                let theirs = decision.overwrites_of(parent).await?;
                decision.replace_overwrites(channel, theirs, self.actor).await?;
            }
        }
        Ok(())
    }
}
