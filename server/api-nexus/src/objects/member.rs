//! Guild member objects.

use nexus_event_store::{RoomNo, UserNo};
use nexus_views::GuildMember;
use serde_json::{Value, json};

use super::{Built, Objects};
use crate::snowflake::iso_time;

/// A member object without its user, as messages carry it.
fn bare(member: &GuildMember) -> Value {
    let roles: Vec<String> = member.roles.iter().map(ToString::to_string).collect();
    json!({
        "nick": member.nick,
        "avatar": null,
        "banner": null,
        "roles": roles,
        "joined_at": iso_time(member.joined_at_ms),
        "premium_since": null,
        "deaf": false,
        "mute": false,
        "flags": 0,
        "pending": false,
        "communication_disabled_until": member.timeout_until_ms.map(iso_time),
    })
}

impl Objects {
    /// A member object.
    pub(crate) async fn member(&self, guild: RoomNo, member: &GuildMember) -> Built {
        let mut object = bare(member);
        object["user"] = self.user(member.user, Some(guild)).await?;
        Ok(object)
    }

    /// A member object, if the user is a member.
    pub(crate) async fn member_of(&self, guild: RoomNo, user: UserNo) -> Built<Option<Value>> {
        match self.views.guild_member(guild, user).await? {
            Some(member) => self.member(guild, &member).await.map(Some),
            None => Ok(None),
        }
    }

    /// A member object without its user, if the user is a member.
    pub(crate) async fn bare_member_of(&self, guild: RoomNo, user: UserNo) -> Built<Option<Value>> {
        Ok(self.views.guild_member(guild, user).await?.as_ref().map(bare))
    }
}
