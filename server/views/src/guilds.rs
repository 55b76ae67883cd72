//! Guilds as Discord users see them: channels, roles, members, permissions.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use nexus_event_store::{
    RoomNo, Rows, Scan, Snowflake, StoreError, UserNo,
    catalogue::{Heads, RoomSnowflakes, UserSnowflakes},
    codec::Text,
};
use ruma::OwnedRoomId;

use crate::{
    ChannelKind, Membership, Reader, Thread, ViewError, Views,
    permissions::{self, HeldRole, Permissions, Place},
    rows::{
        GuildChannels, GuildMemberRow, GuildMembers, GuildOverwrites, GuildRoles, GuildRow, Guilds,
        MembershipRow, OverwriteRow, OverwriteTarget, RoleRow, RoomInfo,
    },
    state_keys::member_key,
};

/// The feature of a guild that is listed, and that anyone may join.
pub const DISCOVERABLE: &str = "DISCOVERABLE";

/// A guild.
#[derive(Clone, Debug)]
pub struct Guild {
    /// Its room.
    pub room: RoomNo,
    /// Its room id.
    pub room_id: OwnedRoomId,
    /// Its snowflake.
    pub id: Snowflake,
    /// Its name.
    pub name: String,
    /// Its owner.
    pub owner: UserNo,
    /// Discord's feature names.
    pub features: Vec<String>,
    /// Whether the guild's rooms ask other servers to have each event signed here.
    pub strict: bool,
    /// How many members it has (the steward is none).
    pub member_count: u64,
}

/// A channel of a guild.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Its room.
    pub room: RoomNo,
    /// Its room id.
    pub room_id: OwnedRoomId,
    /// Its snowflake.
    pub id: Snowflake,
    /// The guild's room.
    pub guild: RoomNo,
    /// The guild's snowflake.
    pub guild_id: Snowflake,
    /// Name, topic, kind and so on.
    pub info: RoomInfo,
    /// The category's snowflake.
    pub parent_id: Option<Snowflake>,
    /// The newest message.
    pub last_message_id: Option<Snowflake>,
    /// Permission overwrites.
    pub overwrites: Vec<Overwrite>,
    /// When the newest pin was pinned, milliseconds since the Unix epoch.
    pub last_pin_ms: Option<u64>,
    /// The thread that this is, in the channel that all else here is about (but `id` and `last_message_id`,
    /// which are the thread's).
    pub thread: Option<Thread>,
}

/// A permission overwrite.
#[derive(Clone, Copy, Debug)]
pub struct Overwrite {
    /// Whom it is for.
    pub target: OverwriteTarget,
    /// The snowflake of that role or member.
    pub id: Snowflake,
    /// Allowed bits.
    pub allow: Permissions,
    /// Denied bits.
    pub deny: Permissions,
}

/// A role.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its id; @everyone has the guild's.
    pub id: Snowflake,
    /// The rest.
    pub row: RoleRow,
}

/// A member of a guild.
#[derive(Clone, Debug)]
pub struct GuildMember {
    /// The user.
    pub user: UserNo,
    /// The user's snowflake.
    pub id: Snowflake,
    /// Nickname in the guild.
    pub nick: Option<String>,
    /// Roles besides @everyone.
    pub roles: Vec<Snowflake>,
    /// When the user joined, milliseconds since the Unix epoch.
    pub joined_at_ms: u64,
    /// Timed out until, milliseconds since the Unix epoch.
    pub timeout_until_ms: Option<u64>,
    /// The membership it rests on.
    pub membership: MembershipRow,
}

/// A role id as a snowflake of `guild`.
#[must_use]
pub fn role_snowflake(guild: Snowflake, role: u64) -> Snowflake {
    if role == 0 { guild } else { Snowflake(role) }
}

impl<R: Rows> Reader<'_, R> {
    /// What `nexus.guild` says of a room.
    ///
    /// # Errors
    /// Store errors.
    pub async fn guild_row(&self, guild: RoomNo) -> Result<Option<GuildRow>, StoreError> {
        self.rows.row::<Guilds>(&guild).await
    }

    /// What `user` may do in the guild, or in a place in it; nothing for one who is no member.
    ///
    /// `now_ms` decides whether a timeout is over.
    ///
    /// # Errors
    /// Store errors.
    pub async fn permissions(
        &self,
        guild: RoomNo,
        place: Option<Place<'_>>,
        user: UserNo,
        now_ms: u64,
    ) -> Result<Permissions, StoreError> {
        let membership = self.membership(guild, user).await?;
        let Some(row) = self.guild_row(guild).await? else { return Ok(Permissions::NONE) };
        if membership.is_none_or(|row| row.membership != Membership::Join) {
            return Ok(Permissions::NONE);
        }
        let extra = self.rows.row::<GuildMembers>(&(guild, user)).await?.unwrap_or_default();
        let roles = self.held_roles(guild, &extra.roles).await?;
        let timed_out = extra.timeout_until_ms.is_some_and(|until| until > now_ms);
        let member = permissions::Member {
            user,
            is_owner: row.owner == user,
            timed_out: timed_out || self.is_unread(&row, user).await?,
            everyone: self.held_role(guild, "everyone").await?.unwrap_or(HeldRole {
                id: 0,
                bits: Permissions::NONE,
                unreadable: true,
            }),
            roles: &roles,
        };
        Ok(match place {
            Some(place) => permissions::in_channel(&member, &place),
            None => permissions::in_guild(&member),
        })
    }

    /// Whether one who is a member of the guild and nothing more may view a channel with these overwrites.
    ///
    /// # Errors
    /// Store errors.
    pub async fn everyone_views(
        &self,
        guild: RoomNo,
        overwrites: &[OverwriteRow],
    ) -> Result<bool, StoreError> {
        let Some(everyone) = self.held_role(guild, "everyone").await? else { return Ok(false) };
        // Nobody has the number 0.
        let (user, is_owner, timed_out) = (UserNo(0), false, false);
        let member = permissions::Member { user, is_owner, timed_out, everyone, roles: &[] };
        // What a channel is for does not matter to who sees it.
        let place = Place { kind: ChannelKind::Text, in_thread: false, overwrites };
        Ok(permissions::in_channel(&member, &place).contains(Permissions::VIEW_CHANNEL))
    }

    /// The roles of these ids, those that there are.
    async fn held_roles(&self, guild: RoomNo, ids: &[u64]) -> Result<Vec<HeldRole>, StoreError> {
        let mut roles = Vec::with_capacity(ids.len());
        for id in ids {
            roles.extend(self.held_role(guild, &id.to_string()).await?);
        }
        Ok(roles)
    }

    async fn held_role(&self, guild: RoomNo, key: &str) -> Result<Option<HeldRole>, StoreError> {
        let row = self.rows.row::<GuildRoles>(&(guild, Text::from(key))).await?;
        let held = |row: RoleRow| {
            let (id, unreadable) = (row.id, row.unreadable);
            HeldRole { id, bits: Permissions(row.permissions), unreadable }
        };
        Ok(row.map(held))
    }

    /// Whether what the guild says of a member was emptied.
    async fn is_unread(&self, guild: &GuildRow, user: UserNo) -> Result<bool, StoreError> {
        if guild.unread_members.is_empty() {
            return Ok(false);
        }
        let key = member_key(&self.user_id(user).await?);
        Ok(guild.unread_members.binary_search(&key).is_ok())
    }
}

impl Views {
    /// A guild.
    ///
    /// # Errors
    /// Store errors.
    pub async fn guild(&self, room: RoomNo) -> Result<Option<Guild>, ViewError> {
        let Some(row) = self.store.row::<Guilds>(&room).await? else { return Ok(None) };
        let info = self.info(room).await?;
        Ok(Some(Guild {
            room,
            room_id: self.room_id(room).await?,
            id: self.store.existing::<RoomSnowflakes>(&room).await?,
            name: info.name.unwrap_or_default(),
            owner: row.owner,
            features: row.features,
            strict: row.strict,
            member_count: info.joined.saturating_sub(1),
        }))
    }

    /// The guilds that a user owns.
    ///
    /// # Errors
    /// Store errors.
    pub async fn owned_guilds(&self, user: UserNo) -> Result<Vec<Guild>, ViewError> {
        let mut owned = Vec::new();
        for room in self.guilds_of(user).await? {
            owned.extend(self.guild(room).await?.filter(|guild| guild.owner == user));
        }
        Ok(owned)
    }

    /// The guilds a user is a member of.
    ///
    /// # Errors
    /// Store errors.
    pub async fn guilds_of(&self, user: UserNo) -> Result<Vec<RoomNo>, ViewError> {
        let mut guilds = Vec::new();
        for (room, row) in self.rooms_of(user).await? {
            if row.membership == Membership::Join && self.store.row::<Guilds>(&room).await?.is_some() {
                guilds.push(room);
            }
        }
        Ok(guilds)
    }

    /// The channels of a guild, by position, then age.
    ///
    /// # Errors
    /// Store errors.
    pub async fn channels(&self, guild: RoomNo) -> Result<Vec<Channel>, ViewError> {
        let mut channels = Vec::new();
        for ((_, room), ()) in self.store.scan::<GuildChannels>(Scan::prefix::<GuildChannels>(&guild)).await?
        {
            channels.extend(self.channel(room).await?);
        }
        channels.sort_by_key(|channel| (channel.info.position, channel.id));
        Ok(channels)
    }

    /// Whether a guild lets `user` read this room of its own: its channels by permission, its own room as a
    /// member. Memberships of rooms follow permissions only after a while, so both APIs ask this. What is
    /// no guild's room is none of a guild's business.
    ///
    /// # Errors
    /// Store errors.
    pub async fn guild_admits(&self, room: RoomNo, user: UserNo) -> Result<bool, ViewError> {
        let info = self.info(room).await?;
        if let Some(guild) = info.guild {
            let held = self.permissions(guild, Some(room), user).await?;
            return Ok(held.contains(Permissions::VIEW_CHANNEL));
        }
        if !info.is_guild {
            return Ok(true);
        }
        let row = self.membership(room, user).await?;
        Ok(row.is_some_and(|row| row.membership == Membership::Join))
    }

    /// Whether a guild has at most `most` channels.
    ///
    /// # Errors
    /// Store errors.
    pub async fn channels_within(&self, guild: RoomNo, most: usize) -> Result<bool, ViewError> {
        let scan = Scan::prefix::<GuildChannels>(&guild).limit(most + 1);
        Ok(self.store.scan::<GuildChannels>(scan).await?.len() <= most)
    }

    /// A channel of a guild; `None` for any other room.
    ///
    /// # Errors
    /// Store errors.
    pub async fn channel(&self, room: RoomNo) -> Result<Option<Channel>, ViewError> {
        let info = self.info(room).await?;
        let Some(guild) = info.guild else { return Ok(None) };
        let guild_id = self.store.existing::<RoomSnowflakes>(&guild).await?;
        let parent_id = match info.parent {
            // One that was deleted is no parent any more, whatever the channel still says.
            Some(parent) if self.info(parent).await?.guild == Some(guild) => {
                self.room_snowflake(parent).await?
            }
            Some(_) | None => None,
        };
        let last = self.store.row::<Heads>(&room).await?.map(|head| head.last_snowflake);
        let mut overwrites = Vec::new();
        for row in self.overwrite_rows(room).await? {
            let id = match row.target {
                OverwriteTarget::Role(id) => role_snowflake(guild_id, id),
                OverwriteTarget::Member(user) => self.store.existing::<UserSnowflakes>(&user).await?,
                // Nobody can be named for whom it is.
                OverwriteTarget::Unreadable => continue,
            };
            let (allow, deny) = (Permissions(row.allow), Permissions(row.deny));
            overwrites.push(Overwrite { target: row.target, id, allow, deny });
        }
        Ok(Some(Channel {
            room,
            room_id: self.room_id(room).await?,
            id: self.store.existing::<RoomSnowflakes>(&room).await?,
            guild,
            guild_id,
            info,
            parent_id,
            last_message_id: last.filter(|id| *id != Snowflake::default()),
            overwrites,
            last_pin_ms: self.pins(room).await?.first().map(|pin| pin.at_ms),
            thread: None,
        }))
    }

    /// Whether a member's roles name this one, be it there or deleted.
    ///
    /// # Errors
    /// Store errors.
    pub async fn has_role(&self, guild: RoomNo, user: UserNo, role: u64) -> Result<bool, ViewError> {
        let row = self.store.row::<GuildMembers>(&(guild, user)).await?;
        Ok(row.is_some_and(|row| row.roles.contains(&role)))
    }

    /// A channel's overwrites as they are stored.
    ///
    /// # Errors
    /// Store errors.
    pub async fn overwrite_rows(&self, channel: RoomNo) -> Result<Vec<OverwriteRow>, ViewError> {
        let rows = self.store.scan::<GuildOverwrites>(Scan::prefix::<GuildOverwrites>(&channel)).await?;
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }

    /// The roles of a guild, lowest first; @everyone is always there.
    ///
    /// # Errors
    /// Store errors.
    pub async fn roles(&self, guild: RoomNo) -> Result<Vec<Role>, ViewError> {
        let guild_id = self.store.existing::<RoomSnowflakes>(&guild).await?;
        let rows = self.store.scan::<GuildRoles>(Scan::prefix::<GuildRoles>(&guild)).await?;
        let mut roles: Vec<Role> =
            rows.into_iter().map(|(_, row)| Role { id: role_snowflake(guild_id, row.id), row }).collect();
        // Of two at one place the older one, with the smaller id, is the higher.
        roles.sort_by_key(|role| (role.row.id != 0, role.row.position, Reverse(role.row.id)));
        Ok(roles)
    }

    /// A member of a guild.
    ///
    /// # Errors
    /// Store errors.
    pub async fn guild_member(&self, guild: RoomNo, user: UserNo) -> Result<Option<GuildMember>, ViewError> {
        match self.membership(guild, user).await? {
            Some(row) if row.membership == Membership::Join => self.member(guild, user, row).await.map(Some),
            _ => Ok(None),
        }
    }

    async fn member(
        &self,
        guild: RoomNo,
        user: UserNo,
        membership: MembershipRow,
    ) -> Result<GuildMember, ViewError> {
        let extra: GuildMemberRow = self.store.row::<GuildMembers>(&(guild, user)).await?.unwrap_or_default();
        Ok(GuildMember {
            user,
            id: self.user_snowflake(user).await?,
            nick: extra.nick,
            // The roles that there still are: deleting one touches no member.
            roles: self
                .reader()
                .held_roles(guild, &extra.roles)
                .await?
                .iter()
                .map(|role| Snowflake(role.id))
                .collect(),
            joined_at_ms: membership.since_ms,
            timeout_until_ms: extra.timeout_until_ms,
            membership,
        })
    }

    /// What `user` may do in the guild, or in one of its channels.
    ///
    /// # Errors
    /// Store errors.
    pub async fn permissions(
        &self,
        guild: RoomNo,
        channel: Option<RoomNo>,
        user: UserNo,
    ) -> Result<Permissions, ViewError> {
        self.permissions_at(guild, channel, false, user).await
    }

    /// What `user` may do in the threads of a channel; whether a private one is open to the user is not asked.
    ///
    /// # Errors
    /// Store errors.
    pub async fn thread_permissions(
        &self,
        guild: RoomNo,
        channel: RoomNo,
        user: UserNo,
    ) -> Result<Permissions, ViewError> {
        self.permissions_at(guild, Some(channel), true, user).await
    }

    async fn permissions_at(
        &self,
        guild: RoomNo,
        channel: Option<RoomNo>,
        in_thread: bool,
        user: UserNo,
    ) -> Result<Permissions, ViewError> {
        let now_ms = self.store.world().now().0;
        let Some(channel) = channel else {
            return self.reader().permissions(guild, None, user, now_ms).await;
        };
        let overwrites = self.overwrite_rows(channel).await?;
        let place = Place { kind: self.info(channel).await?.kind, in_thread, overwrites: &overwrites };
        self.reader().permissions(guild, Some(place), user, now_ms).await
    }

    /// How many members have each role.
    ///
    /// # Errors
    /// Store errors.
    pub async fn role_counts(&self, guild: RoomNo) -> Result<BTreeMap<u64, u64>, ViewError> {
        let mut counts = BTreeMap::new();
        for ((_, user), row) in self.store.scan::<GuildMembers>(Scan::prefix::<GuildMembers>(&guild)).await? {
            let has_any = !row.roles.is_empty();
            let membership = if has_any { self.membership(guild, user).await? } else { None };
            if membership.is_some_and(|row| row.membership == Membership::Join) {
                let held: BTreeSet<u64> = row.roles.into_iter().collect();
                held.into_iter().for_each(|role| *counts.entry(role).or_insert(0) += 1);
            }
        }
        Ok(counts)
    }
}
