//! Invite objects.

use nexus_rooms::Invite;
use serde_json::{Value, json};

use super::{
    Built, Objects,
    channel::kind_number,
    guild::{add_counts, partial_json},
};
use crate::snowflake::iso_time;

impl Objects {
    /// An invite; `None` if its guild or channel is gone. `whole` adds what only the guild's managers see.
    pub(crate) async fn invite(
        &self,
        invite: &Invite,
        whole: bool,
        with_counts: bool,
    ) -> Built<Option<Value>> {
        let (Some(guild), Some(channel)) =
            (self.views.guild(invite.guild).await?, self.views.channel(invite.channel).await?)
        else {
            return Ok(None);
        };
        let mut object = json!({
            "type": 0,
            "code": invite.code,
            "guild_id": guild.id.to_string(),
            "guild": partial_json(&guild),
            "channel": {
                "id": channel.id.to_string(),
                "name": channel.info.name,
                "type": kind_number(channel.info.kind),
                "room_id": channel.room_id,
            },
            "inviter": self.user(invite.inviter, Some(invite.guild)).await?,
            "expires_at": invite.expires_ms().map(iso_time),
            "flags": 0,
        });
        if whole {
            object["uses"] = invite.uses.into();
            object["max_uses"] = invite.max_uses.into();
            object["max_age"] = invite.max_age_s.into();
            object["temporary"] = invite.temporary.into();
            object["created_at"] = iso_time(invite.created_ms).into();
        }
        if with_counts {
            add_counts(&mut object, &guild);
        }
        Ok(Some(object))
    }
}
