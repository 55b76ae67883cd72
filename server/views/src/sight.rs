//! Whether a user could view a channel in an earlier state of the guild: what a gateway session compares with
//! to tell its client that a channel came into view or went out of it.
//!
//! Read from a snapshot of the guild's room by state keys, so that a change of one role costs lookups and no
//! scans. **Invariant**: a function of the log alone. (An overwrite that was emptied then and not since is not
//! looked for: its key cannot be guessed.)

use nexus_event_store::{NodeHash, RoomNo, UserNo};
use ruma::{OwnedUserId, RoomId};
use serde_json::Value;

use crate::{
    ChannelKind, OverwriteTarget, Permissions, ViewError, Views,
    permissions::{HeldRole, Member, Place, in_channel},
    project::{bits, strings, text},
    rows::OverwriteRow,
    state_keys::{member_key, overwrite_key},
};

/// A user in a guild as it was.
#[derive(Clone, Debug)]
pub struct PastMember {
    guild: RoomNo,
    root: NodeHash,
    user: UserNo,
    user_id: OwnedUserId,
    is_owner: bool,
    everyone: HeldRole,
    roles: Vec<HeldRole>,
}

impl Views {
    /// A member of a guild in a snapshot of its room; `None` for one who was no member.
    ///
    /// # Errors
    /// Store errors.
    pub async fn past_member(
        &self,
        guild: RoomNo,
        root: NodeHash,
        user: UserNo,
    ) -> Result<Option<PastMember>, ViewError> {
        let user_id = self.user_id(user).await?;
        let said = |kind: &'static str, key: String| self.past_content(guild, root, kind, key);
        let membership = said("m.room.member", user_id.to_string()).await?.unwrap_or_default();
        let Some(about) = said("nexus.guild", String::new()).await? else { return Ok(None) };
        if membership["membership"] != "join" {
            return Ok(None);
        }
        let own = said("nexus.member", member_key(&user_id)).await?.unwrap_or_default();
        let mut roles = Vec::new();
        for role in strings(&own, "roles").into_iter().filter(|role| role != "everyone") {
            roles.extend(said("nexus.role", role.clone()).await?.and_then(|content| held(&role, &content)));
        }
        let everyone = said("nexus.role", "everyone".to_owned()).await?;
        let everyone = everyone.and_then(|content| held("everyone", &content));
        let nothing = HeldRole { id: 0, bits: Permissions::NONE, unreadable: true };
        Ok(Some(PastMember {
            guild,
            root,
            user,
            is_owner: about["owner"] == user_id.as_str(),
            user_id,
            everyone: everyone.unwrap_or(nothing),
            roles,
        }))
    }

    /// Whether that member could view a channel then.
    ///
    /// # Errors
    /// Store errors.
    pub async fn could_view(&self, member: &PastMember, channel: &RoomId) -> Result<bool, ViewError> {
        let PastMember { guild, root, user, user_id, is_owner, everyone, roles } = member;
        let described = self.past_content(*guild, *root, "nexus.channel", channel.to_string()).await?;
        let kind = described.and_then(|content| text(&content, "kind"));
        let Some(kind) = kind.as_deref().and_then(ChannelKind::parse) else { return Ok(false) };
        let mut targets = vec![
            ("everyone".to_owned(), OverwriteTarget::Role(0)),
            (user_id.to_string(), OverwriteTarget::Member(*user)),
        ];
        targets.extend(roles.iter().map(|role| (role.id.to_string(), OverwriteTarget::Role(role.id))));
        let mut overwrites = Vec::new();
        for (name, target) in targets {
            let key = overwrite_key(channel, &name);
            if let Some(content) = self.past_content(*guild, *root, "nexus.overwrite", key).await?
                && (content["role"] == name.as_str() || content["user"] == name.as_str())
            {
                let (allow, deny) = (bits(&content, "allow"), bits(&content, "deny"));
                overwrites.push(OverwriteRow { target, allow, deny });
            }
        }
        let member =
            Member { user: *user, is_owner: *is_owner, timed_out: false, everyone: *everyone, roles };
        let place = Place { kind, in_thread: false, overwrites: &overwrites };
        Ok(in_channel(&member, &place).contains(Permissions::VIEW_CHANNEL))
    }

    async fn past_content(
        &self,
        room: RoomNo,
        root: NodeHash,
        kind: &str,
        key: String,
    ) -> Result<Option<Value>, ViewError> {
        let event = self.state_event(room, root, kind, &key).await?;
        Ok(event.map(|event| event.pdu.content_as().unwrap_or_default()))
    }
}

fn held(key: &str, content: &Value) -> Option<HeldRole> {
    let id = if key == "everyone" { 0 } else { key.parse().ok()? };
    let unreadable = content.as_object().is_none_or(serde_json::Map::is_empty);
    let is_there = unreadable || text(content, "name").is_some();
    is_there.then(|| HeldRole { id, bits: Permissions(bits(content, "permissions")), unreadable })
}
