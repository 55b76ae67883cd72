//! Aliases of rooms: `#name:server`.
//!
//! A member of a room may give it aliases; in a guild's rooms only who may manage them. Who made an alias, or
//! could change the room's canonical alias, takes it away, and with it what the room says of it.
//!
//! **Bounds**: [`ALIASES_MAX`] aliases a room.
//! **Reserved**: names that begin with `_` are kept for bridges, `nexus` and what begins with `nexus.` or
//! `nexus_` for this server.
//! **Source**: Matrix v1.19, client-server API, "Room aliases".

use nexus_event_store::{RoomNo, Rows as _, Scan, UserNo, codec::Text};
use nexus_views::{
    Permissions,
    records::{AliasRow, Aliases, RoomAliases},
};
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedRoomAliasId, OwnedServerName, RoomAliasId, RoomId,
    ServerName,
};

use crate::{
    Actor, RoomRefusal, Rooms, RoomsError,
    content::string,
    decision::{Decide, Decision, NewPdu},
    error::Rejection,
};

/// The most aliases of a room.
const ALIASES_MAX: usize = 100;

impl Rooms {
    /// Gives a room an alias.
    ///
    /// # Errors
    /// [`RoomRefusal::AliasTaken`], [`RoomRefusal::AliasReserved`], [`RoomRefusal::AliasSyntax`]; refused when
    /// the actor is not in the room.
    pub async fn set_alias(
        &self,
        actor: &Actor,
        alias: &RoomAliasId,
        room: &RoomId,
    ) -> Result<(), RoomsError> {
        let alias = own_alias(alias, self.server_name())?;
        let room = self.known_room(room).await?;
        self.run(&SetAlias { actor, alias, room }).await.map(drop)
    }

    /// Takes an alias away.
    ///
    /// # Errors
    /// [`RoomRefusal::UnknownAlias`]; refused when it is another's and the actor has no power over it.
    pub async fn delete_alias(&self, actor: &Actor, alias: &RoomAliasId) -> Result<(), RoomsError> {
        loop {
            let row = self.inner.views.alias(alias).await?.ok_or(RoomRefusal::UnknownAlias)?;
            let command = DeleteAlias { actor, alias: alias.to_owned(), room: row.room };
            if self.run(&command).await?.0 {
                return Ok(());
            }
        }
    }
}

/// An alias that this server may give.
pub(crate) fn own_alias(alias: &RoomAliasId, server: &ServerName) -> Result<OwnedRoomAliasId, RoomsError> {
    let syntax = |reason: &str| Err(RoomRefusal::AliasSyntax { reason: reason.to_owned() }.into());
    if alias.server_name() != server {
        return syntax("aliases of other servers are made there");
    }
    let name = alias.alias();
    if name.is_empty() || name.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
        return syntax("the name is empty, or has spaces or control characters in it");
    }
    if name.starts_with('_') || name == "nexus" || name.starts_with("nexus.") || name.starts_with("nexus_") {
        return Err(RoomRefusal::AliasReserved.into());
    }
    Ok(alias.to_owned())
}

/// The alias of a local name, as `room_alias_name` gives it.
pub(crate) fn alias_of_name(name: &str, server: &ServerName) -> Result<OwnedRoomAliasId, RoomsError> {
    let server: OwnedServerName = server.to_owned();
    if name.contains(':') {
        let reason = "a name is what stands before the colon".to_owned();
        return Err(RoomRefusal::AliasSyntax { reason }.into());
    }
    let alias = OwnedRoomAliasId::try_from(format!("#{name}:{server}"))
        .map_err(|error| RoomRefusal::AliasSyntax { reason: error.to_string() })?;
    own_alias(&alias, &server)
}

impl Decision<'_> {
    /// Writes the rows of a new alias.
    pub(crate) async fn put_alias(
        &mut self,
        alias: &RoomAliasId,
        room: RoomNo,
        creator: UserNo,
    ) -> Result<(), RoomsError> {
        if self.reader().alias(alias).await?.is_some() {
            return Err(RoomRefusal::AliasTaken.into());
        }
        let name = Text::from(alias.as_str());
        self.tx.put::<RoomAliases>(&(room, name.clone()), &());
        self.tx.put::<Aliases>(&name, &AliasRow { room, creator });
        Ok(())
    }

    /// Refuses unless the actor may change what a room is called: in a guild by role.
    async fn need_over_aliases(&mut self, room: RoomNo, actor: &Actor) -> Result<(), RoomsError> {
        if self.need_in_guild_room(room, actor).await? {
            return Ok(());
        }
        self.need_to_set(room, &actor.user, "m.room.canonical_alias").await
    }

    /// Whether the room is a guild's; then the actor must be able to manage it.
    pub(crate) async fn need_in_guild_room(
        &mut self,
        room: RoomNo,
        actor: &Actor,
    ) -> Result<bool, RoomsError> {
        let info = self.reader().info(room).await?;
        let user = self.actor_no(&actor.user).await?;
        if info.is_guild {
            self.need_in_guild(room, user, Permissions::MANAGE_GUILD).await?;
        } else if info.guild.is_some() {
            self.need_in_channel(room, user, Permissions::MANAGE_CHANNELS).await?;
        }
        Ok(info.is_guild || info.guild.is_some())
    }
}

struct SetAlias<'a> {
    actor: &'a Actor,
    alias: OwnedRoomAliasId,
    room: RoomNo,
}

impl Decide for SetAlias<'_> {
    type Output = ();

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.room]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<(), RoomsError> {
        if !decision.need_in_guild_room(self.room, self.actor).await? {
            decision.need_joined(self.room, &self.actor.user).await?;
        }
        let some = Scan::prefix::<RoomAliases>(&self.room).limit(ALIASES_MAX);
        if decision.tx.scan::<RoomAliases>(some).await?.len() == ALIASES_MAX {
            return Err(Rejection::TooMany { what: "aliases of a room", limit: ALIASES_MAX }.into());
        }
        let creator = decision.actor_no(&self.actor.user).await?;
        decision.put_alias(&self.alias, self.room, creator).await
    }
}

struct DeleteAlias<'a> {
    actor: &'a Actor,
    alias: OwnedRoomAliasId,
    room: RoomNo,
}

impl Decide for DeleteAlias<'_> {
    /// Whether it was still this room's alias: if not, another room must be locked.
    type Output = bool;

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.room]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<bool, RoomsError> {
        let name = Text::from(self.alias.as_str());
        let row = decision.tx.row::<Aliases>(&name).await?.ok_or(RoomRefusal::UnknownAlias)?;
        if row.room != self.room {
            return Ok(false);
        }
        if decision.reader().user_no(&self.actor.user).await? != Some(row.creator) {
            decision.need_over_aliases(self.room, self.actor).await?;
        }
        decision.tx.delete::<Aliases>(&name);
        decision.tx.delete::<RoomAliases>(&(self.room, name));
        self.unsay(decision).await?;
        Ok(true)
    }
}

impl DeleteAlias<'_> {
    /// Takes the alias out of `m.room.canonical_alias`, if the actor may.
    async fn unsay(&self, decision: &mut Decision<'_>) -> Result<(), RoomsError> {
        let kind = "m.room.canonical_alias";
        let state = decision.room(self.room).await?.state;
        let Some(said) = decision.reader().state_event(self.room, state, kind, "").await? else {
            return Ok(());
        };
        let before: CanonicalJsonObject = said.pdu.content_as().unwrap_or_default();
        let mut content = before.clone();
        if string(&content, "alias") == Some(self.alias.as_str()) {
            content.remove("alias");
        }
        if let Some(CanonicalJsonValue::Array(others)) = content.get_mut("alt_aliases") {
            others.retain(|other| other.as_str() != Some(self.alias.as_str()));
        }
        if content == before || decision.need_to_set(self.room, &self.actor.user, kind).await.is_err() {
            return Ok(());
        }
        decision.append(self.room, NewPdu::state(self.actor.user.clone(), kind, "", content)).await.map(drop)
    }
}
