//! What may be known of a room from outside: that it is there, and what its summary says.
//!
//! Of a room that is no guild's, those know who are in it or asked in, and everybody if it can be read, joined
//! or knocked on by anybody; if the members of another room may come in, those of them. Of a guild, its members
//! and, if it is open to all, everybody. Of a channel, who may view it.
//!
//! **Source**: Matrix v1.19, client-server API, "Spaces", "Room summaries"; design §3 for guilds.

use nexus_event_store::UserNo;
use nexus_views::{DISCOVERABLE, Membership, Permissions, RoomSummary, ViewError, Views};
use ruma::RoomId;

/// Whether `user` (`None` = whoever is not logged in) may know of a room.
pub(crate) async fn may_know(
    views: &Views,
    user: Option<UserNo>,
    room: &RoomSummary,
) -> Result<bool, ViewError> {
    let info = views.info(room.room).await?;
    if let Some(guild) = info.guild {
        return Ok(match user {
            Some(user) => {
                let held = views.permissions(guild, Some(room.room), user).await?;
                held.contains(Permissions::VIEW_CHANNEL)
            }
            None => false,
        });
    }
    let inside = match user {
        Some(user) => views.membership(room.room, user).await?.is_some_and(|row| {
            matches!(row.membership, Membership::Join | Membership::Invite | Membership::Knock)
        }),
        None => false,
    };
    if inside {
        return Ok(true);
    }
    if info.is_guild {
        let guild = views.guild(room.room).await?;
        return Ok(guild.is_some_and(|guild| guild.features.iter().any(|feature| feature == DISCOVERABLE)));
    }
    if room.world_readable || matches!(room.join_rule.as_str(), "public" | "knock" | "knock_restricted") {
        return Ok(true);
    }
    let Some(user) = user else { return Ok(false) };
    for allowed in &room.allowed_rooms {
        let Ok(allowed) = RoomId::parse(allowed) else { continue };
        if let Some(allowed) = views.room_no(&allowed).await?
            && let Some(row) = views.membership(allowed, user).await?
            && row.membership == Membership::Join
        {
            return Ok(true);
        }
    }
    Ok(false)
}
