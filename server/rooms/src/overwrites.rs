//! Permission overwrites of channels: what a role or a member may do in one channel more or less than
//! elsewhere.
//!
//! Who manages permissions in a channel allows and denies there only what they have there themselves. A
//! channel whose overwrites are those of its category follows when the category's change. **Errors**:
//! [`GuildRefusal`], and missing permissions. **Source**: `discord-api-docs`, "Channel", "Permissions";
//! `nexus.overwrite` in `spec/events.md`.

use std::collections::BTreeMap;

use nexus_event_store::{RoomNo, Rows as _, Scan, codec::Text};
use nexus_views::{
    ChannelKind, OverwriteTarget, Permissions,
    rows::{GuildChannels, GuildOverwrites, GuildRoles},
    state_keys::overwrite_key,
};
use serde_json::json;

use crate::{
    Actor, GuildRefusal, Rooms, RoomsError,
    content::object,
    decision::{Decide, Decision, EVENTS_PER_ROOM, NewPdu},
    error::Rejection,
    permission::need,
    permission_change::Affected,
    roles::role_key,
};

/// The most overwrites of a channel.
pub(crate) const OVERWRITES: usize = 100;

/// What a channel allows and denies to whom.
pub(crate) type Overwrites = BTreeMap<OverwriteTarget, (Permissions, Permissions)>;

/// An overwrite to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOverwrite {
    /// Whom it is for.
    pub target: OverwriteTarget,
    /// What it allows; only bits of channels count.
    pub allow: Permissions,
    /// What it denies.
    pub deny: Permissions,
}

impl Rooms {
    /// Sets the overwrite of a role or a member in a channel.
    ///
    /// # Errors
    /// Refused without MANAGE_ROLES in the channel, and when a bit that changes is none the actor has there.
    pub async fn set_overwrite(
        &self,
        actor: &Actor,
        channel: RoomNo,
        overwrite: NewOverwrite,
    ) -> Result<(), RoomsError> {
        let NewOverwrite { target, allow, deny } = overwrite;
        let change = (target, Some((allow, deny)));
        self.change_overwrite(actor, channel, change).await
    }

    /// Takes away the overwrite of a role or a member.
    ///
    /// # Errors
    /// Refused as setting one is, and when there is none.
    pub async fn remove_overwrite(
        &self,
        actor: &Actor,
        channel: RoomNo,
        target: OverwriteTarget,
    ) -> Result<(), RoomsError> {
        self.change_overwrite(actor, channel, (target, None)).await
    }

    async fn change_overwrite(
        &self,
        actor: &Actor,
        channel: RoomNo,
        change: (OverwriteTarget, Option<(Permissions, Permissions)>),
    ) -> Result<(), RoomsError> {
        let guild = self.inner.views.info(channel).await?.guild.ok_or(Rejection::UnknownChannel)?;
        self.run(&Change { actor, guild, channel, change }).await.map(drop)
    }
}

struct Change<'a> {
    actor: &'a Actor,
    guild: RoomNo,
    channel: RoomNo,
    change: (OverwriteTarget, Option<(Permissions, Permissions)>),
}

impl Decide for Change<'_> {
    type Output = ();

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.guild, self.channel]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<(), RoomsError> {
        let before = decision.overwrites_of(self.channel).await?;
        let mut after = before.clone();
        match self.change {
            (target, Some(bits)) => drop(after.insert(target, bits)),
            (target, None) => drop(after.remove(&target).ok_or(GuildRefusal::UnknownOverwrite)?),
        }
        decision.replace_overwrites(self.channel, after, self.actor).await
    }
}

/// Overwrites from a list, the last of a target counting.
pub(crate) fn collected(list: &[NewOverwrite]) -> Overwrites {
    list.iter().map(|overwrite| (overwrite.target, (overwrite.allow, overwrite.deny))).collect()
}

/// The bits that are not the same in both.
fn changed_bits(before: &Overwrites, after: &Overwrites) -> Permissions {
    let none = (Permissions::NONE, Permissions::NONE);
    let mut changed = Permissions::NONE;
    for target in before.keys().chain(after.keys()) {
        let (was, is) = (before.get(target).unwrap_or(&none), after.get(target).unwrap_or(&none));
        changed = changed.with(Permissions((was.0.0 ^ is.0.0) | (was.1.0 ^ is.1.0)));
    }
    changed
}

impl Decision<'_> {
    /// The overwrites of a channel that can be read. The caller holds the guild's lock.
    pub(crate) async fn overwrites_of(&self, channel: RoomNo) -> Result<Overwrites, RoomsError> {
        let rows = self.overwrites(channel).await?.into_iter();
        let readable = rows.filter(|row| row.target != OverwriteTarget::Unreadable);
        Ok(readable.map(|row| (row.target, (Permissions(row.allow), Permissions(row.deny)))).collect())
    }

    /// Gives a channel the overwrites `after` and no others, if the actor may change what changes. Channels
    /// of a category that had what the category had get what it gets.
    pub(crate) async fn replace_overwrites(
        &mut self,
        channel: RoomNo,
        after: Overwrites,
        actor: &Actor,
    ) -> Result<(), RoomsError> {
        let user = self.actor_no(&actor.user).await?;
        let (guild, info) = self.need_in_channel(channel, user, Permissions::MANAGE_ROLES).await?;
        let before = self.overwrites_of(channel).await?;
        let after = self.checked(guild, &before, after).await?;
        let held = self.permissions(guild, Some(channel), user).await?;
        may_change(held, changed_bits(&before, &after))?;
        let mut channels = vec![channel];
        if info.kind == ChannelKind::Category {
            for child in self.children_of(guild, channel).await? {
                if self.overwrites_of(child).await? == before {
                    channels.push(child);
                }
            }
        }
        for channel in channels {
            self.write_overwrites(guild, channel, &after, actor).await?;
        }
        Ok(())
    }

    /// The overwrites that may be written: of roles that there are, with bits of channels.
    pub(crate) async fn checked(
        &self,
        guild: RoomNo,
        before: &Overwrites,
        after: Overwrites,
    ) -> Result<Overwrites, RoomsError> {
        if after.len() > OVERWRITES {
            return Err(Rejection::TooMany { what: "permission overwrites", limit: OVERWRITES }.into());
        }
        let mut checked = Overwrites::new();
        for (target, (allow, deny)) in after {
            let bits = (allow.and(Permissions::OF_CHANNELS), deny.and(Permissions::OF_CHANNELS));
            match target {
                OverwriteTarget::Role(role) if !before.contains_key(&target) => {
                    let known = self.tx.row::<GuildRoles>(&(guild, Text(role_key(role)))).await?;
                    known.ok_or(GuildRefusal::UnknownRole)?;
                }
                OverwriteTarget::Role(_) | OverwriteTarget::Member(_) => {}
                OverwriteTarget::Unreadable => return Err(GuildRefusal::UnknownOverwrite.into()),
            }
            checked.insert(target, bits);
        }
        Ok(checked)
    }

    /// The channels in a category.
    pub(crate) async fn children_of(
        &self,
        guild: RoomNo,
        category: RoomNo,
    ) -> Result<Vec<RoomNo>, RoomsError> {
        let channels = self.tx.scan::<GuildChannels>(Scan::prefix::<GuildChannels>(&guild)).await?;
        let mut children = Vec::new();
        for ((_, channel), ()) in channels {
            if self.reader().info(channel).await?.parent == Some(category) {
                children.push(channel);
            }
        }
        Ok(children)
    }

    /// Writes what differs, for an actor who may; also over what cannot be read any more.
    pub(crate) async fn write_overwrites(
        &mut self,
        guild: RoomNo,
        channel: RoomNo,
        after: &Overwrites,
        actor: &Actor,
    ) -> Result<(), RoomsError> {
        let before = self.overwrites_of(channel).await?;
        let channel_id = self.room_id(channel).await?;
        let mut events = Vec::new();
        for (target, bits) in after.iter().filter(|(target, bits)| before.get(target) != Some(bits)) {
            let (field, id) = self.named_target(*target).await?;
            let (allow, deny) = (bits.0.0.to_string(), bits.1.0.to_string());
            let content = json!({ "channel": channel_id, field: id, "allow": allow, "deny": deny });
            events.push((overwrite_key(&channel_id, &id), content));
        }
        for (key, row) in self.tx.scan::<GuildOverwrites>(Scan::prefix::<GuildOverwrites>(&channel)).await? {
            let is_replaced = events.iter().any(|(written, _)| *written == key.1.0);
            // A channel that was emptied as a whole has no such event.
            let is_event = key.1.0.contains('.');
            if is_event && !after.contains_key(&row.target) && !is_replaced {
                events.push((key.1.0, json!({ "channel": channel_id })));
            }
        }
        if events.is_empty() {
            return Ok(());
        }
        let steward = self.rooms.steward()?;
        for (key, content) in events {
            let content = self.on_behalf_of(actor, "overwrite.update", None, object(content))?;
            self.append(guild, NewPdu::state(steward.clone(), "nexus.overwrite", key, content)).await?;
        }
        self.after_permission_change(guild, Affected::Channel(channel)).await
    }

    /// A target as the log names it: the field, and the id in it.
    async fn named_target(&self, target: OverwriteTarget) -> Result<(&'static str, String), RoomsError> {
        Ok(match target {
            OverwriteTarget::Role(role) => ("role", role_key(role)),
            OverwriteTarget::Member(user) => ("user", self.reader().user_id(user).await?.to_string()),
            OverwriteTarget::Unreadable => return Err(GuildRefusal::UnknownOverwrite.into()),
        })
    }
}

/// Refuses bits that the actor does not have; managing permissions is for administrators to give.
pub(crate) fn may_change(held: Permissions, changed: Permissions) -> Result<(), RoomsError> {
    need(held, changed)?;
    if changed.contains(Permissions::MANAGE_ROLES) && !held.contains(Permissions::ADMINISTRATOR) {
        return Err(GuildRefusal::OnlyAdministrators.into());
    }
    Ok(())
}

/// The overwrites of a channel that is being made: those given, for an actor who has every bit of them where
/// it comes to be, or those of its category.
pub(crate) async fn of_new_channel(
    decision: &Decision<'_>,
    guild: RoomNo,
    parent: Option<RoomNo>,
    given: Option<&[NewOverwrite]>,
    actor: &Actor,
) -> Result<Overwrites, RoomsError> {
    match (given, parent) {
        (Some(given), _) => {
            let after = decision.checked(guild, &Overwrites::new(), collected(given)).await?;
            let user = decision.actor_no(&actor.user).await?;
            let held = decision.permissions(guild, parent, user).await?;
            may_change(held, changed_bits(&Overwrites::new(), &after))?;
            Ok(after)
        }
        (None, Some(parent)) => decision.overwrites_of(parent).await,
        (None, None) => Ok(Overwrites::new()),
    }
}

/// Everything of one change fits one commit.
const _: () = assert!(OVERWRITES * 2 < EVENTS_PER_ROOM);
