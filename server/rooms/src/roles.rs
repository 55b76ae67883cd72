//! Roles: made, changed, moved and deleted by members whose own roles allow it, in one event of the guild's
//! room, however many members have the role.
//!
//! Nobody touches a role that is not below their own highest, and nobody grants what they do not have.
//! **Errors**: [`GuildRefusal`], and missing permissions. **Source**: `discord-api-docs`, "Guild", "Permission
//! Hierarchy"; the events in `spec/events.md`.

use nexus_event_store::{RoomNo, Snowflake};
use nexus_views::{Membership, Permissions, rows::RoleRow};
use ruma::CanonicalJsonObject;
use serde_json::json;

use crate::{
    Actor, Rooms, RoomsError,
    content::object,
    decision::{Decide, Decision, NewPdu},
    error::Rejection,
    guilds::check_name,
    permission::need,
    permission_change::Affected,
};

mod order;
mod refusal;
mod standing;

pub use refusal::GuildRefusal;
pub(crate) use standing::{Rank, Standing};

/// The most roles of a guild, @everyone included.
pub(crate) const ROLES: usize = 250;

/// Role ids are as long as other ids, and fit the integers of every database.
const ROLE_ID_MIN: u64 = 100_000_000_000_000_000;

/// The low bits of an id, which are random.
const RANDOM_BITS: u64 = (1 << 22) - 1;

/// The fields of a role, each if it was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleFields {
    /// Its name, 1 to 100 characters.
    pub name: Option<String>,
    /// What it allows.
    pub permissions: Option<Permissions>,
    /// RGB.
    pub color: Option<u32>,
    /// Shown apart in the member list.
    pub hoist: Option<bool>,
    /// Anyone may mention it.
    pub mentionable: Option<bool>,
}

impl RoleFields {
    fn check(&self) -> Result<(), RoomsError> {
        if let Some(name) = &self.name {
            check_name("name", name, 1)?;
        }
        if self.color.is_some_and(|color| color > 0xff_ffff) {
            let problem = "must be between 0 and 16777215".to_owned();
            return Err(Rejection::BadField { field: "color", problem }.into());
        }
        Ok(())
    }

    fn apply(&self, before: &RoleRow) -> RoleRow {
        RoleRow {
            name: self.name.as_ref().map_or_else(|| before.name.clone(), |name| name.trim().to_owned()),
            permissions: self.permissions.map_or(before.permissions, |bits| bits.and(Permissions::ALL).0),
            color: self.color.unwrap_or(before.color),
            hoist: self.hoist.unwrap_or(before.hoist),
            mentionable: self.mentionable.unwrap_or(before.mentionable),
            unreadable: false,
            ..before.clone()
        }
    }
}

impl Rooms {
    /// Makes a role above @everyone and below all others; gives its id.
    ///
    /// # Errors
    /// Refused without MANAGE_ROLES, when it would allow what the actor may not do, and past 250 roles.
    pub async fn create_role(
        &self,
        actor: &Actor,
        guild: RoomNo,
        fields: RoleFields,
    ) -> Result<u64, RoomsError> {
        fields.check()?;
        Ok(self.run(&Create { actor, guild, fields }).await?.0)
    }

    /// Changes a role; 0 is @everyone's id.
    ///
    /// # Errors
    /// Refused without MANAGE_ROLES, when the role is not below the actor's highest, and when it would allow
    /// more than before that the actor may not do.
    pub async fn update_role(
        &self,
        actor: &Actor,
        guild: RoomNo,
        role: u64,
        fields: RoleFields,
    ) -> Result<(), RoomsError> {
        fields.check()?;
        self.run(&Update { actor, guild, role, fields }).await.map(drop)
    }

    /// Deletes a role. Who had it keeps its id, which gives nothing any more.
    ///
    /// # Errors
    /// Refused without MANAGE_ROLES, when the role is not below the actor's highest, for @everyone and for
    /// the role of a bot that is in the guild.
    pub async fn delete_role(&self, actor: &Actor, guild: RoomNo, role: u64) -> Result<(), RoomsError> {
        self.run(&Delete { actor, guild, role }).await.map(drop)
    }

    /// Moves roles to places in the hierarchy, 1 being the lowest; the others make room.
    ///
    /// # Errors
    /// Refused without MANAGE_ROLES, when a role at or above the actor's highest would move or be passed.
    pub async fn move_roles(
        &self,
        actor: &Actor,
        guild: RoomNo,
        moves: Vec<(u64, i64)>,
    ) -> Result<(), RoomsError> {
        self.run(&order::Move { actor, guild, moves }).await.map(drop)
    }
}

impl Decision<'_> {
    /// Writes a role as the steward, for the actor.
    pub(crate) async fn put_role(
        &mut self,
        guild: RoomNo,
        row: &RoleRow,
        (actor, action): (&Actor, &str),
    ) -> Result<(), RoomsError> {
        let content = self.role_content(row).await?;
        let content = self.on_behalf_of(actor, action, None, content)?;
        let event = NewPdu::state(self.rooms.steward()?, "nexus.role", role_key(row.id), content);
        self.append(guild, event).await.map(drop)
    }

    /// `nexus.role`
    async fn role_content(&self, row: &RoleRow) -> Result<CanonicalJsonObject, RoomsError> {
        let mut content = json!({
            "name": row.name,
            "permissions": row.permissions.to_string(),
            "position": row.position,
        });
        if row.color != 0 {
            content["color"] = json!(row.color);
        }
        for (field, flag) in
            [("hoist", row.hoist), ("mentionable", row.mentionable), ("managed", row.managed)]
        {
            if flag {
                content[field] = json!(true);
            }
        }
        if let Some(bot) = row.bot {
            content["bot"] = json!(self.reader().user_id(bot).await?);
        }
        Ok(object(content))
    }

    /// An id for a new role: the moment and chance, like other ids; after the guild's others, so that of two
    /// roles at one place the newer one is the lower.
    pub(crate) async fn new_role_id(&self, guild: RoomNo) -> Result<u64, RoomsError> {
        let random = self.tx.store().world().random_u64() & RANDOM_BITS;
        let id = (Snowflake::at(self.now.0).0 | random).max(ROLE_ID_MIN | random);
        let last = self.guild_roles(guild).await?.last_key_value().map_or(0, |(id, _)| *id);
        Ok(id.max(last.saturating_add(1)))
    }
}

/// The state key of a role.
pub(crate) fn role_key(role: u64) -> String {
    if role == 0 { "everyone".to_owned() } else { role.to_string() }
}

/// The role, if it is below the actor's highest.
fn below<'a>(
    roles: &'a std::collections::BTreeMap<u64, RoleRow>,
    role: u64,
    standing: &Standing,
) -> Result<&'a RoleRow, RoomsError> {
    let row = roles.get(&role).ok_or(GuildRefusal::UnknownRole)?;
    if Rank::of(row) < standing.rank {
        return Ok(row);
    }
    Err(GuildRefusal::RoleTooHigh.into())
}

struct Create<'a> {
    actor: &'a Actor,
    guild: RoomNo,
    fields: RoleFields,
}

impl Decide for Create<'_> {
    type Output = u64;

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.guild]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<u64, RoomsError> {
        let standing = decision.standing(self.guild, &self.actor.user).await?;
        need(standing.held, Permissions::MANAGE_ROLES)?;
        let roles = decision.guild_roles(self.guild).await?;
        if roles.len() >= ROLES {
            return Err(Rejection::TooMany { what: "roles", limit: ROLES }.into());
        }
        let plain = RoleRow {
            id: decision.new_role_id(self.guild).await?,
            name: "new role".to_owned(),
            color: 0,
            hoist: false,
            position: 1,
            permissions: roles.get(&0).map_or(0, |everyone| everyone.permissions),
            mentionable: false,
            managed: false,
            bot: None,
            unreadable: false,
        };
        let row = self.fields.apply(&plain);
        need(standing.held, Permissions(row.permissions))?;
        decision.put_role(self.guild, &row, (self.actor, "role.create")).await?;
        Ok(row.id)
    }
}

struct Update<'a> {
    actor: &'a Actor,
    guild: RoomNo,
    role: u64,
    fields: RoleFields,
}

impl Decide for Update<'_> {
    type Output = ();

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.guild]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<(), RoomsError> {
        let standing = decision.standing(self.guild, &self.actor.user).await?;
        need(standing.held, Permissions::MANAGE_ROLES)?;
        let roles = decision.guild_roles(self.guild).await?;
        let before = below(&roles, self.role, &standing)?;
        let after = self.fields.apply(before);
        if self.role == 0 && after.name != before.name {
            return Err(GuildRefusal::InvalidRole.into());
        }
        if after == *before {
            return Ok(());
        }
        let (was, is) = (Permissions(before.permissions), Permissions(after.permissions));
        need(standing.held, is.without(was))?;
        decision.put_role(self.guild, &after, (self.actor, "role.update")).await?;
        if was != is || before.unreadable {
            decision.after_permission_change(self.guild, Affected::Everyone).await?;
        }
        Ok(())
    }
}

/// Whether the bot that a role belongs to is in the guild.
async fn is_in_use(decision: &Decision<'_>, guild: RoomNo, role: &RoleRow) -> Result<bool, RoomsError> {
    let Some(bot) = role.bot else { return Ok(true) };
    let row = decision.reader().membership(guild, bot).await?;
    Ok(row.is_some_and(|row| row.membership == Membership::Join))
}

struct Delete<'a> {
    actor: &'a Actor,
    guild: RoomNo,
    role: u64,
}

impl Decide for Delete<'_> {
    type Output = ();

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.guild]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<(), RoomsError> {
        let standing = decision.standing(self.guild, &self.actor.user).await?;
        need(standing.held, Permissions::MANAGE_ROLES)?;
        let roles = decision.guild_roles(self.guild).await?;
        let row = below(&roles, self.role, &standing)?;
        if self.role == 0 || (row.managed && is_in_use(decision, self.guild, row).await?) {
            return Err(GuildRefusal::InvalidRole.into());
        }
        let gone = object(json!({}));
        let gone = decision.on_behalf_of(self.actor, "role.delete", None, gone)?;
        let event = NewPdu::state(decision.rooms.steward()?, "nexus.role", role_key(self.role), gone);
        decision.append(self.guild, event).await?;
        decision.after_permission_change(self.guild, Affected::Everyone).await
    }
}
