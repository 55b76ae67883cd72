//! Bots come into a guild when somebody who may manage it adds them, with a role of their own that holds
//! the permissions they were given.

use nexus_event_store::RoomNo;
use nexus_views::{Membership, Permissions, rows::RoleRow};
use ruma::OwnedUserId;
use serde_json::json;

use crate::{
    Actor, Profile, Rooms, RoomsError,
    content::object,
    decision::{Decide, Decision, NewPdu},
    error::Rejection,
    guild_state::user_state_key,
    permission::need,
    roles::ROLES,
};

/// A bot to add to a guild.
#[derive(Clone, Debug)]
pub struct AddBot {
    /// The guild.
    pub guild: RoomNo,
    /// The bot's user.
    pub bot: OwnedUserId,
    /// The name of its role.
    pub name: String,
    /// What it may do besides what @everyone may.
    pub permissions: Permissions,
}

impl Rooms {
    /// Adds a bot to a guild; one that is in it already is left as it is.
    ///
    /// # Errors
    /// Refused without MANAGE_GUILD, or when the actor lacks a permission that the bot is to have.
    pub async fn add_bot(&self, actor: &Actor, add: AddBot) -> Result<(), RoomsError> {
        let profile = self.inner.profiles.profile(&add.bot).await;
        self.run(&Add { actor, add, profile }).await.map(drop)
    }
}

struct Add<'a> {
    actor: &'a Actor,
    add: AddBot,
    profile: Profile,
}

impl Decide for Add<'_> {
    type Output = ();

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.add.guild]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<(), RoomsError> {
        let AddBot { guild, bot, name, permissions } = &self.add;
        let user = decision.actor_no(&self.actor.user).await?;
        decision.need_in_guild(*guild, user, Permissions::MANAGE_GUILD).await?;
        let granted = Permissions(permissions.0 & Permissions::ALL.0);
        need(decision.permissions(*guild, None, user).await?, granted)?;
        let bot_no = decision.actor_no(bot).await?;
        let membership = decision.reader().membership(*guild, bot_no).await?;
        match membership.map(|row| row.membership) {
            Some(Membership::Join) => return Ok(()),
            Some(Membership::Ban) => return Err(Rejection::Banned.into()),
            _ => {}
        }
        decision.join_by_steward(*guild, bot, &self.profile, None).await?;
        if granted == Permissions::NONE {
            return Ok(());
        }
        let steward = decision.rooms.steward()?;
        if decision.guild_roles(*guild).await?.len() >= ROLES {
            return Err(Rejection::TooMany { what: "roles", limit: ROLES }.into());
        }
        let row = RoleRow {
            id: decision.new_role_id(*guild).await?,
            name: name.clone(),
            color: 0,
            hoist: false,
            position: 1,
            permissions: granted.0,
            mentionable: false,
            managed: true,
            bot: Some(bot_no),
            unreadable: false,
        };
        decision.put_role(*guild, &row, (self.actor, "bot.add")).await?;
        let role = row.id.to_string();
        let content = object(json!({ "user": bot, "roles": [role] }));
        let content = decision.on_behalf_of(self.actor, "bot.add", None, content)?;
        let key = user_state_key(bot);
        decision.append(*guild, NewPdu::state(steward, "nexus.member", key, content)).await.map(drop)
    }
}
