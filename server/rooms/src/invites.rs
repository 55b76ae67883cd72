//! Invite codes: primary records of the home server. A use is decided once, with the join it leads to.

use nexus_event_store::{
    RoomNo, Rows as _, Scan, Store, StoreError, UserNo, catalogue::numbers, codec::Text, table,
    versioned_value,
};
use nexus_views::{Membership, Permissions};
use ruma::RoomId;
use serde::{Deserialize, Serialize};

use crate::{
    Actor, Profile, Rooms, RoomsError,
    decision::{Decide, Decision},
    error::Rejection,
};

/// Characters of a code: no two look alike.
const ALPHABET: &[u8; 55] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ2345678";
const CODE_CHARS: usize = 8;

/// The longest life of an invite that ends, in seconds.
const MAX_AGE_S: u64 = 7 * 24 * 3600;

/// The most uses of an invite that ends by use.
const MAX_USES: u32 = 100;

/// The most invites of a guild.
const INVITES: usize = 1000;

/// An invite to make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewInvite {
    /// Seconds it lives; 0 = for ever.
    pub max_age_s: u64,
    /// How often it can be used; 0 = any number of times.
    pub max_uses: u32,
    /// Membership ends when the member goes offline, unless a role was given (told to clients as is).
    pub temporary: bool,
    /// Always a new code, even if one like it exists.
    pub unique: bool,
}

/// An invite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// Its code.
    pub code: String,
    /// The rest.
    pub row: InviteRow,
}

impl std::ops::Deref for Invite {
    type Target = InviteRow;

    fn deref(&self) -> &InviteRow {
        &self.row
    }
}

/// An invite as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteRow {
    /// The channel it leads to.
    pub channel: RoomNo,
    /// The guild it lets into.
    pub guild: RoomNo,
    /// Who made it.
    pub inviter: UserNo,
    /// When, milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// Seconds it lives; 0 = for ever.
    pub max_age_s: u64,
    /// How often it can be used; 0 = any number of times.
    pub max_uses: u32,
    /// How often it was used.
    pub uses: u32,
    /// See [`NewInvite::temporary`].
    pub temporary: bool,
}
versioned_value!(InviteRow, 1);

impl InviteRow {
    /// When it ends by age, milliseconds since the Unix epoch.
    #[must_use]
    pub fn expires_ms(&self) -> Option<u64> {
        (self.max_age_s > 0).then(|| self.created_ms + self.max_age_s * 1000)
    }

    fn has_ended(&self, now_ms: u64) -> bool {
        self.expires_ms().is_some_and(|end| end <= now_ms)
            || (self.max_uses > 0 && self.uses >= self.max_uses)
    }
}

table! {
    /// Invites by code.
    Invites = numbers::INVITES, "invites", Text => InviteRow
}
table! {
    /// The codes of a guild's channels: (guild, channel, code).
    ChannelInvites = numbers::CHANNEL_INVITES, "channel_invites", (RoomNo, RoomNo, Text) => ()
}

/// The longest code that is looked up, in bytes.
const CODE_BYTES_MAX: usize = 64;

/// The invite of `code`, if it can still be used.
///
/// # Errors
/// Store errors.
pub async fn usable_invite(store: &Store, code: &str) -> Result<Option<Invite>, StoreError> {
    if code.len() > CODE_BYTES_MAX {
        return Ok(None);
    }
    let row = store.row::<Invites>(&Text::from(code)).await?;
    let now_ms = store.world().now().0;
    Ok(row.filter(|row| !row.has_ended(now_ms)).map(|row| Invite { code: code.to_owned(), row }))
}

impl Rooms {
    /// Makes an invite, or gives back one like it that the actor made before.
    ///
    /// # Errors
    /// Refused without CREATE_INSTANT_INVITE in the channel, or when a value is not allowed.
    pub async fn create_invite(
        &self,
        actor: &Actor,
        channel: RoomNo,
        invite: NewInvite,
    ) -> Result<Invite, RoomsError> {
        if invite.max_age_s > MAX_AGE_S {
            let problem = format!("must be between 0 and {MAX_AGE_S}");
            return Err(Rejection::BadField { field: "max_age", problem }.into());
        }
        if invite.max_uses > MAX_USES {
            let problem = format!("must be between 0 and {MAX_USES}");
            return Err(Rejection::BadField { field: "max_uses", problem }.into());
        }
        let guild = self.inner.views.info(channel).await?.guild.ok_or(Rejection::UnknownChannel)?;
        Ok(self.run(&Create { actor, guild, channel, invite }).await?.0)
    }

    /// An invite that can still be used.
    ///
    /// # Errors
    /// Store errors.
    pub async fn invite_of(&self, code: &str) -> Result<Option<Invite>, RoomsError> {
        Ok(usable_invite(self.inner.views.store(), code).await?)
    }

    /// The invites of a guild that can still be used.
    ///
    /// # Errors
    /// Store errors.
    pub async fn invites_of_guild(&self, guild: RoomNo) -> Result<Vec<Invite>, RoomsError> {
        self.invites(Scan::prefix::<ChannelInvites>(&guild)).await
    }

    /// The invites of a channel that can still be used.
    ///
    /// # Errors
    /// Store errors.
    pub async fn invites_of_channel(
        &self,
        guild: RoomNo,
        channel: RoomNo,
    ) -> Result<Vec<Invite>, RoomsError> {
        self.invites(Scan::prefix::<ChannelInvites>(&(guild, channel))).await
    }

    async fn invites(&self, scan: Scan) -> Result<Vec<Invite>, RoomsError> {
        let mut invites = Vec::new();
        for ((_, _, code), ()) in self.inner.views.store().scan::<ChannelInvites>(scan).await? {
            invites.extend(self.invite_of(&code.0).await?);
        }
        Ok(invites)
    }

    /// Ends an invite.
    ///
    /// # Errors
    /// Refused for anyone but its maker and those with MANAGE_CHANNELS there or MANAGE_GUILD.
    pub async fn delete_invite(&self, actor: &Actor, code: &str) -> Result<Invite, RoomsError> {
        let invite = self.invite_of(code).await?.ok_or(Rejection::UnknownInvite)?;
        self.run(&Delete { actor, invite: invite.clone() }).await?;
        Ok(invite)
    }

    /// Joins a guild by an invite: the guild's room. One who is in it already uses nothing up.
    ///
    /// # Errors
    /// Refused when there is no such invite (any more), or the actor is banned.
    pub async fn accept_invite(&self, actor: &Actor, code: &str) -> Result<RoomNo, RoomsError> {
        let invite = self.invite_of(code).await?.ok_or(Rejection::UnknownInvite)?;
        let profile = self.inner.profiles.profile(&actor.user).await;
        self.run(&Accept { actor, invite: &invite, profile }).await?;
        Ok(invite.row.guild)
    }

    /// Joins a guild by its room id: of members, invited users, and guilds that are open to all.
    ///
    /// # Errors
    /// Refused when the guild is unknown or an invite is needed.
    pub async fn join_guild(&self, actor: &Actor, guild: &RoomId) -> Result<RoomNo, RoomsError> {
        let room = self.known_room(guild).await?;
        if self.inner.views.guild(room).await?.is_none() {
            return Err(Rejection::UnknownGuild.into());
        }
        self.join(actor, guild, None).await?;
        Ok(room)
    }
}

struct Create<'a> {
    actor: &'a Actor,
    guild: RoomNo,
    channel: RoomNo,
    invite: NewInvite,
}

impl Create<'_> {
    fn is_like(&self, row: &InviteRow, user: UserNo) -> bool {
        let wanted = &self.invite;
        row.inviter == user
            && (row.max_age_s, row.max_uses, row.temporary)
                == (wanted.max_age_s, wanted.max_uses, wanted.temporary)
    }
}

impl Decide for Create<'_> {
    type Output = Invite;

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.guild]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<Invite, RoomsError> {
        let user = decision.actor_no(&self.actor.user).await?;
        decision.need_in_channel(self.channel, user, Permissions::CREATE_INSTANT_INVITE).await?;
        let scan = Scan::prefix::<ChannelInvites>(&self.guild);
        let existing = decision.tx.scan::<ChannelInvites>(scan).await?;
        if existing.len() >= INVITES {
            return Err(Rejection::TooMany { what: "invites", limit: INVITES }.into());
        }
        for ((_, channel, code), ()) in existing {
            if self.invite.unique || channel != self.channel {
                continue;
            }
            if let Some(row) = decision.tx.row::<Invites>(&code).await?
                && self.is_like(&row, user)
                && !row.has_ended(decision.now.0)
            {
                return Ok(Invite { code: code.0, row });
            }
        }
        let world = decision.tx.store().world();
        let random: [u8; CODE_CHARS] = world.random_bytes();
        let code: String =
            random.iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect();
        let row = InviteRow {
            channel: self.channel,
            guild: self.guild,
            inviter: user,
            created_ms: decision.now.0,
            max_age_s: self.invite.max_age_s,
            max_uses: self.invite.max_uses,
            uses: 0,
            temporary: self.invite.temporary,
        };
        decision.tx.put::<Invites>(&Text(code.clone()), &row);
        decision.tx.put::<ChannelInvites>(&(self.guild, self.channel, Text(code.clone())), &());
        Ok(Invite { code, row })
    }
}

struct Delete<'a> {
    actor: &'a Actor,
    invite: Invite,
}

impl Decide for Delete<'_> {
    type Output = ();

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.invite.row.guild]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<(), RoomsError> {
        let user = decision.actor_no(&self.actor.user).await?;
        let row = &self.invite.row;
        if row.inviter != user {
            let held = decision.permissions(row.guild, Some(row.channel), user).await?;
            let in_guild = decision.permissions(row.guild, None, user).await?;
            if !held.contains(Permissions::MANAGE_CHANNELS) && !in_guild.contains(Permissions::MANAGE_GUILD) {
                return Err(Rejection::MissingPermission(Permissions::MANAGE_CHANNELS).into());
            }
        }
        decision.tx.delete::<Invites>(&Text(self.invite.code.clone()));
        let key = (row.guild, row.channel, Text(self.invite.code.clone()));
        decision.tx.delete::<ChannelInvites>(&key);
        Ok(())
    }
}

struct Accept<'a> {
    actor: &'a Actor,
    invite: &'a Invite,
    profile: Profile,
}

impl Decide for Accept<'_> {
    type Output = ();

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.invite.row.guild]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<(), RoomsError> {
        let key = Text(self.invite.code.clone());
        let row = decision.tx.row::<Invites>(&key).await?.filter(|row| !row.has_ended(decision.now.0));
        let mut row = row.ok_or(Rejection::UnknownInvite)?;
        let user = decision.actor_no(&self.actor.user).await?;
        let membership = decision.reader().membership(row.guild, user).await?;
        match membership.map(|row| row.membership) {
            Some(Membership::Join) => return Ok(()),
            Some(Membership::Ban) => return Err(Rejection::Banned.into()),
            _ => {}
        }
        decision.join_by_steward(row.guild, &self.actor.user, &self.profile, None).await?;
        row.uses += 1;
        decision.tx.put::<Invites>(&key, &row);
        Ok(())
    }
}
