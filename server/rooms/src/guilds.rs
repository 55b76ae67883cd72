//! Guilds: made, changed and left as on Discord; underneath, spaces of the home steward.

use nexus_event_store::{RoomNo, UserNo};
use nexus_state_resolution::RoomVersion;
use nexus_views::{ChannelKind, DISCOVERABLE, Permissions};
use ruma::{CanonicalJsonObject, OwnedUserId};
use serde_json::json;

use crate::{
    Actor, Profile, Rooms, RoomsError,
    channels::{NewChannel, add_channel},
    content::object,
    decision::{Decide, Decision, NewPdu},
    error::Rejection,
    guild_state::{guild_join_rules, guild_power_levels},
    jobs::{Request, Work},
    membership::member_content,
    permission_change::Affected,
};

/// The version of every guild's rooms.
pub(crate) const GUILD_VERSION: RoomVersion = RoomVersion::V12;

/// A guild to make.
#[derive(Clone, Debug)]
pub struct CreateGuild {
    /// Its name, 2 to 100 characters.
    pub name: String,
}

/// What to change of a guild.
#[derive(Clone, Debug, Default)]
pub struct GuildChanges {
    /// A new name, 2 to 100 characters.
    pub name: Option<String>,
    /// A new list of features, of which only `DISCOVERABLE` can be chosen.
    pub features: Option<Vec<String>>,
    /// A new owner: a member. Only the owner can say so.
    pub owner: Option<OwnedUserId>,
}

impl Rooms {
    /// Makes a guild with its first two channels; the actor owns it.
    ///
    /// # Errors
    /// Refused when the name is too short or too long.
    pub async fn create_guild(&self, actor: &Actor, guild: CreateGuild) -> Result<RoomNo, RoomsError> {
        check_name("name", &guild.name, 2)?;
        let profile = self.inner.profiles.profile(&actor.user).await;
        Ok(self.run(&Create { actor, guild, profile }).await?.0)
    }

    /// Changes a guild.
    ///
    /// # Errors
    /// Refused without MANAGE_GUILD, or when a value is not allowed.
    pub async fn update_guild(
        &self,
        actor: &Actor,
        guild: RoomNo,
        changes: GuildChanges,
    ) -> Result<(), RoomsError> {
        if let Some(name) = &changes.name {
            check_name("name", name, 2)?;
        }
        self.run(&Update { actor, guild, changes }).await.map(drop)
    }

    /// Leaves a guild and all its channels.
    ///
    /// # Errors
    /// Refused for the owner, and for one who is no member.
    pub async fn leave_guild(&self, actor: &Actor, guild: RoomNo) -> Result<(), RoomsError> {
        let views = &self.inner.views;
        let row = views.guild(guild).await?.ok_or(Rejection::UnknownGuild)?;
        let left = self.leave(actor, &row.room_id, None).await;
        match left {
            Err(RoomsError::Rejected(Rejection::NotMember)) => Err(Rejection::UnknownGuild.into()),
            other => other.map(drop),
        }
    }
}

impl Rooms {
    /// Deletes a guild: from this commit on it is none, and a job takes everyone out of its rooms.
    ///
    /// # Errors
    /// Refused for anyone but the owner.
    pub async fn delete_guild(&self, actor: &Actor, guild: RoomNo) -> Result<(), RoomsError> {
        self.run(&Delete { actor, guild }).await.map(drop)
    }
}

/// A name of `least` to 100 characters.
pub(crate) fn check_name(field: &'static str, name: &str, least: usize) -> Result<(), RoomsError> {
    let length = name.trim().chars().count();
    if (least..=100).contains(&length) {
        return Ok(());
    }
    let problem = format!("must be between {least} and 100 in length");
    Err(Rejection::BadField { field, problem }.into())
}

/// `nexus.guild`
fn guild_content(owner: &str, steward: &str, features: &[String]) -> CanonicalJsonObject {
    object(json!({ "owner": owner, "stewards": [steward], "features": features }))
}

struct Create<'a> {
    actor: &'a Actor,
    guild: CreateGuild,
    profile: Profile,
}

impl Decide for Create<'_> {
    type Output = RoomNo;

    fn rooms(&self) -> Vec<RoomNo> {
        Vec::new()
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<RoomNo, RoomsError> {
        let steward = decision.rooms.steward()?;
        let state =
            |event_type: &str, key: &str, content| NewPdu::state(steward.clone(), event_type, key, content);
        let create = object(json!({ "type": "m.space", "room_version": GUILD_VERSION.as_str() }));
        let guild = decision.found_room(GUILD_VERSION, None, state("m.room.create", "", create)).await?;
        let everyone = json!({
            "name": "@everyone",
            "permissions": Permissions::EVERYONE_DEFAULT.0.to_string(),
            "position": 0,
        });
        let steward_joins = member_content("join", &Profile::default(), None);
        let founding = guild_content(self.actor.user.as_str(), steward.as_str(), &[]);
        let founding = decision.on_behalf_of(self.actor, "guild.create", None, founding)?;
        let visible = object(json!({ "history_visibility": "shared" }));
        for event in [
            state("m.room.member", steward.as_str(), steward_joins),
            state("m.room.power_levels", "", guild_power_levels()),
            state("m.room.join_rules", "", guild_join_rules()),
            state("m.room.history_visibility", "", visible),
            state("m.room.name", "", object(json!({ "name": self.guild.name.trim() }))),
            state("nexus.guild", "", founding),
            state("nexus.role", "everyone", object(everyone)),
        ] {
            decision.append(guild, event).await?;
        }
        decision.join_by_steward(guild, &self.actor.user, &self.profile, None).await?;
        for (name, kind) in [("general", ChannelKind::Text), ("General", ChannelKind::Voice)] {
            let channel = NewChannel { name: name.to_owned(), kind, ..NewChannel::default() };
            let room = add_channel(decision, self.actor, guild, &channel, 0).await?;
            decision.join_by_steward(room, &self.actor.user, &self.profile, None).await?;
        }
        Ok(guild)
    }
}

struct Update<'a> {
    actor: &'a Actor,
    guild: RoomNo,
    changes: GuildChanges,
}

impl Decide for Update<'_> {
    type Output = ();

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.guild]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<(), RoomsError> {
        let user = decision.actor_no(&self.actor.user).await?;
        decision.need_in_guild(self.guild, user, Permissions::MANAGE_GUILD).await?;
        let steward = decision.rooms.steward()?;
        if let Some(name) = &self.changes.name {
            let content = object(json!({ "name": name.trim() }));
            let content = decision.on_behalf_of(self.actor, "guild.update", None, content)?;
            decision.append(self.guild, NewPdu::state(steward.clone(), "m.room.name", "", content)).await?;
        }
        let row = decision.guild(self.guild).await?;
        let owner = self.new_owner(decision, user, row.owner).await?;
        if self.changes.features.is_some() || owner != row.owner {
            let owner_id = decision.reader().user_id(owner).await?;
            let features = self.changes.features.as_ref().unwrap_or(&row.features);
            let chosen: Vec<String> =
                features.iter().filter(|feature| *feature == DISCOVERABLE).cloned().collect();
            let content = guild_content(owner_id.as_str(), steward.as_str(), &chosen);
            let content = decision.on_behalf_of(self.actor, "guild.update", None, content)?;
            decision.append(self.guild, NewPdu::state(steward, "nexus.guild", "", content)).await?;
        }
        if owner != row.owner {
            // Who owned it sees no more than the roles let see.
            decision.after_permission_change(self.guild, Affected::Member(row.owner)).await?;
        }
        Ok(())
    }
}

impl Update<'_> {
    /// Who is to own the guild.
    async fn new_owner(
        &self,
        decision: &Decision<'_>,
        actor: UserNo,
        owner: UserNo,
    ) -> Result<UserNo, RoomsError> {
        let Some(wanted) = &self.changes.owner else { return Ok(owner) };
        if actor != owner {
            return Err(RoomsError::forbidden("only the owner can hand the guild over"));
        }
        decision.member_no(self.guild, wanted).await
    }
}

struct Delete<'a> {
    actor: &'a Actor,
    guild: RoomNo,
}

impl Decide for Delete<'_> {
    type Output = ();

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.guild]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<(), RoomsError> {
        let user = decision.actor_no(&self.actor.user).await?;
        if decision.guild(self.guild).await?.owner != user {
            return Err(RoomsError::forbidden("only the owner can delete the guild"));
        }
        let steward = decision.rooms.steward()?;
        let gone = decision.on_behalf_of(self.actor, "guild.delete", None, object(json!({})))?;
        decision.append(self.guild, NewPdu::state(steward, "nexus.guild", "", gone)).await?;
        let request = Request::new(self.actor, "guild.delete", None);
        decision.open_job(self.guild, Work::EmptyGuild { request, after: None, member: None });
        Ok(())
    }
}
