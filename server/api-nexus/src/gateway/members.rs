//! Op 8, Request Guild Members: answered with GUILD_MEMBERS_CHUNK, at least one.
//!
//! **Units**: 1000 members a chunk; a search by prefix or ids gives at most 100.

use nexus_event_store::{RoomNo, UserNo};
use nexus_views::GuildMember;
use serde_json::{Value, json};

use super::{
    intents::Intents,
    protocol::{MembersRequest, WantedMembers},
    render::Viewer,
};
use crate::{error::ApiError, objects::Objects};

const CHUNK: usize = 1000;
const FOUND_MAX: usize = 100;

/// The chunks that answer a request, as `d`. Without the members intent only the asker is seen, as in
/// GUILD_CREATE; a guild one is not in gives nothing.
pub(crate) async fn chunks(
    objects: &Objects,
    viewer: &Viewer,
    guilds: &std::collections::BTreeSet<RoomNo>,
    request: &MembersRequest,
) -> Result<Vec<Value>, ApiError> {
    let Some(guild) = objects.room_of(request.guild).await?.filter(|guild| guilds.contains(guild)) else {
        return Ok(Vec::new());
    };
    let sees_all = viewer.intents.contains(Intents::GUILD_MEMBERS);
    let mut not_found = Vec::new();
    let members = match &request.wanted {
        WantedMembers::All if sees_all => objects.views.guild_members(guild, None, usize::MAX).await?,
        WantedMembers::All => member(objects, guild, viewer.user).await?.into_iter().collect(),
        WantedMembers::StartingWith { query, limit } => {
            let limit = if *limit == 0 { FOUND_MAX } else { (*limit).min(FOUND_MAX) };
            objects.views.members_named(guild, query, limit).await?
        }
        WantedMembers::Users(users) => {
            let mut found = Vec::new();
            for id in users.iter().take(FOUND_MAX) {
                let user = objects.user_of(*id).await.ok();
                let known = match user {
                    Some(user) => member(objects, guild, user).await?,
                    None => None,
                };
                match known {
                    Some(member) => found.push(member),
                    None => not_found.push(id.to_string()),
                }
            }
            found
        }
    };
    let count = members.len().div_ceil(CHUNK).max(1);
    let mut chunks = Vec::with_capacity(count);
    for index in 0..count {
        let part = members.iter().skip(index * CHUNK).take(CHUNK).cloned().collect::<Vec<_>>();
        let mut d = json!({
            "guild_id": request.guild.to_string(),
            "members": objects.members(guild, &part).await?,
            "chunk_index": index,
            "chunk_count": count,
            "not_found": not_found,
        });
        if request.presences {
            d["presences"] = json!([]);
        }
        if let Some(nonce) = &request.nonce {
            d["nonce"] = nonce.as_str().into();
        }
        chunks.push(d);
    }
    Ok(chunks)
}

async fn member(objects: &Objects, guild: RoomNo, user: UserNo) -> Result<Option<GuildMember>, ApiError> {
    Ok(objects.views.guild_member(guild, user).await?)
}
