//! Channels of a guild: rooms of the home steward, linked to the guild's space, described by
//! `nexus.channel` in the guild room.

use nexus_event_store::{RoomNo, Scan};
use nexus_views::{ChannelKind, Permissions, RoomInfo, rows::GuildChannels};
use ruma::{CanonicalJsonObject, OwnedRoomId};
use serde_json::json;

use crate::{
    Actor, Profile, Rooms, RoomsError,
    content::object,
    decision::{Decide, Decision, NewPdu},
    error::Rejection,
    guild_state::{channel_join_rules, channel_power_levels, closed_power_levels, space_link},
    guilds::{GUILD_VERSION, check_name},
    jobs::{Request, Work},
    membership::member_content,
    overwrites::{NewOverwrite, collected, of_new_channel},
};

/// The most channels of a guild.
const CHANNELS: usize = 500;

/// The most channels of a category.
const CHANNELS_OF_A_CATEGORY: usize = 50;

/// The longest topic, in characters.
const TOPIC_CHARS: usize = 1024;

/// The longest slow mode, in seconds.
const SLOWMODE_S: u32 = 21600;

/// A channel to make.
#[derive(Clone, Debug, Default)]
pub struct NewChannel {
    /// Its name, 1 to 100 characters.
    pub name: String,
    /// What it is for.
    pub kind: ChannelKind,
    /// Its topic, at most 1024 characters.
    pub topic: Option<String>,
    /// Its category.
    pub parent: Option<RoomNo>,
    /// Its place; `None` = last.
    pub position: Option<i64>,
    /// For adults.
    pub nsfw: bool,
    /// Seconds between two messages of one member.
    pub slowmode_s: u32,
    /// Its overwrites; `None` = those of its category.
    pub overwrites: Option<Vec<NewOverwrite>>,
}

/// What to change of a channel.
#[derive(Clone, Debug, Default)]
pub struct ChannelChanges {
    /// A new name.
    pub name: Option<String>,
    /// A new topic, or none.
    pub topic: Option<Option<String>>,
    /// Another category, or none.
    pub parent: Option<Option<RoomNo>>,
    /// Another place.
    pub position: Option<i64>,
    /// For adults.
    pub nsfw: Option<bool>,
    /// Seconds between two messages of one member.
    pub slowmode_s: Option<u32>,
    /// All its overwrites, and no others.
    pub overwrites: Option<Vec<NewOverwrite>>,
}

impl Rooms {
    /// Makes a channel.
    ///
    /// # Errors
    /// Refused without MANAGE_CHANNELS, or when a value is not allowed.
    pub async fn create_channel(
        &self,
        actor: &Actor,
        guild: RoomNo,
        channel: NewChannel,
    ) -> Result<RoomNo, RoomsError> {
        check_name("name", &channel.name, 1)?;
        check_topic(channel.topic.as_deref())?;
        check_slowmode(channel.slowmode_s)?;
        Ok(self.run(&Create { actor, guild, channel }).await?.0)
    }

    /// Changes a channel.
    ///
    /// # Errors
    /// Refused without MANAGE_CHANNELS there, or when a value is not allowed.
    pub async fn update_channel(
        &self,
        actor: &Actor,
        channel: RoomNo,
        changes: ChannelChanges,
    ) -> Result<(), RoomsError> {
        if let Some(name) = &changes.name {
            check_name("name", name, 1)?;
        }
        if let Some(topic) = &changes.topic {
            check_topic(topic.as_deref())?;
        }
        check_slowmode(changes.slowmode_s.unwrap_or(0))?;
        let guild = self.guild_of(channel).await?;
        self.run(&Update { actor, guild, channel, changes }).await.map(drop)
    }

    /// Takes a channel out of its guild. What was written stays in its room for those who were in it.
    ///
    /// # Errors
    /// Refused without MANAGE_CHANNELS there.
    pub async fn delete_channel(&self, actor: &Actor, channel: RoomNo) -> Result<(), RoomsError> {
        let guild = self.guild_of(channel).await?;
        self.run(&Delete { actor, guild, channel }).await.map(drop)
    }

    async fn guild_of(&self, channel: RoomNo) -> Result<RoomNo, RoomsError> {
        Ok(self.inner.views.info(channel).await?.guild.ok_or(Rejection::UnknownChannel)?)
    }
}

fn check_topic(topic: Option<&str>) -> Result<(), RoomsError> {
    if topic.is_none_or(|topic| topic.chars().count() <= TOPIC_CHARS) {
        return Ok(());
    }
    let problem = format!("must be {TOPIC_CHARS} or fewer in length");
    Err(Rejection::BadField { field: "topic", problem }.into())
}

fn check_slowmode(seconds: u32) -> Result<(), RoomsError> {
    if seconds <= SLOWMODE_S {
        return Ok(());
    }
    let problem = format!("must be between 0 and {SLOWMODE_S}");
    Err(Rejection::BadField { field: "rate_limit_per_user", problem }.into())
}

/// `nexus.channel`
pub(crate) fn channel_content(info: &RoomInfo, parent: Option<&OwnedRoomId>) -> CanonicalJsonObject {
    let mut content = json!({
        "kind": info.kind.name(),
        "nsfw": info.nsfw,
        "position": info.position,
        "slowmode_s": info.slowmode_s,
    });
    if let Some(parent) = parent {
        content["parent"] = json!(parent);
    }
    object(content)
}

/// The room id of a category of `guild`.
pub(crate) async fn category(
    decision: &mut Decision<'_>,
    guild: RoomNo,
    parent: Option<RoomNo>,
) -> Result<Option<OwnedRoomId>, RoomsError> {
    let Some(parent) = parent else { return Ok(None) };
    let info = decision.reader().info(parent).await?;
    if info.guild != Some(guild) || info.kind != ChannelKind::Category {
        let problem = "must be a category of the guild".to_owned();
        return Err(Rejection::BadField { field: "parent_id", problem }.into());
    }
    Ok(Some(decision.room_id(parent).await?))
}

/// Whether a channel that was not in it before can go into its category: there is an end to what fits into
/// one, and a category is in none.
pub(crate) async fn check_parent(
    decision: &Decision<'_>,
    guild: RoomNo,
    info: &RoomInfo,
) -> Result<(), RoomsError> {
    let Some(parent) = info.parent else { return Ok(()) };
    if info.kind == ChannelKind::Category {
        let problem = "a category cannot have a parent".to_owned();
        return Err(Rejection::BadField { field: "parent_id", problem }.into());
    }
    if decision.children_of(guild, parent).await?.len() >= CHANNELS_OF_A_CATEGORY {
        return Err(
            Rejection::TooMany { what: "channels in a category", limit: CHANNELS_OF_A_CATEGORY }.into()
        );
    }
    Ok(())
}

/// Says in the guild what a channel is, as the steward for the actor.
pub(crate) async fn put_channel(
    decision: &mut Decision<'_>,
    guild: RoomNo,
    channel: RoomNo,
    (info, parent): (&RoomInfo, Option<&OwnedRoomId>),
    actor: &Actor,
) -> Result<(), RoomsError> {
    let room_id = decision.room_id(channel).await?;
    let content = channel_content(info, parent);
    let content = decision.on_behalf_of(actor, "channel.update", None, content)?;
    let steward = decision.rooms.steward()?;
    decision.append(guild, NewPdu::state(steward, "nexus.channel", room_id.as_str(), content)).await.map(drop)
}

/// Founds a channel's room and enters it into the guild. The caller holds the guild's lock.
pub(crate) async fn add_channel(
    decision: &mut Decision<'_>,
    actor: &Actor,
    guild: RoomNo,
    channel: &NewChannel,
    position: i64,
) -> Result<RoomNo, RoomsError> {
    let steward = decision.rooms.steward()?;
    let server = decision.rooms.server_name().to_owned();
    let guild_id = decision.room(guild).await?.room_id.clone();
    let parent = category(decision, guild, channel.parent).await?;
    let open = decision.everyone_views(guild, &[]).await?;
    let state =
        |event_type: &str, key: &str, content| NewPdu::state(steward.clone(), event_type, key, content);
    let create = object(json!({ "room_version": GUILD_VERSION.as_str() }));
    let room = decision.found_room(GUILD_VERSION, None, state("m.room.create", "", create)).await?;
    let steward_joins = member_content("join", &Profile::default(), None);
    let visible = object(json!({ "history_visibility": "shared" }));
    let mut parent_link = space_link(&server);
    parent_link.extend(object(json!({ "canonical": true })));
    let mut events = vec![
        state("m.room.member", steward.as_str(), steward_joins),
        state("m.room.power_levels", "", channel_power_levels(open)),
        state("m.room.join_rules", "", channel_join_rules(&guild_id)),
        state("m.room.history_visibility", "", visible),
        state("m.room.name", "", object(json!({ "name": channel.name.trim() }))),
        state("m.space.parent", guild_id.as_str(), parent_link),
    ];
    if let Some(topic) = channel.topic.as_ref().filter(|topic| !topic.is_empty()) {
        events.push(state("m.room.topic", "", object(json!({ "topic": topic }))));
    }
    for event in events {
        decision.append(room, event).await?;
    }
    let room_id = decision.room(room).await?.room_id.clone();
    let info = RoomInfo {
        kind: channel.kind,
        position: channel.position.unwrap_or(position),
        nsfw: channel.nsfw,
        slowmode_s: channel.slowmode_s,
        ..RoomInfo::default()
    };
    let content = channel_content(&info, parent.as_ref());
    let content = decision.on_behalf_of(actor, "channel.create", None, content)?;
    decision.append(guild, state("m.space.child", room_id.as_str(), space_link(&server))).await?;
    decision.append(guild, state("nexus.channel", room_id.as_str(), content)).await?;
    Ok(room)
}

struct Create<'a> {
    actor: &'a Actor,
    guild: RoomNo,
    channel: NewChannel,
}

impl Decide for Create<'_> {
    type Output = RoomNo;

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.guild]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<RoomNo, RoomsError> {
        let user = decision.actor_no(&self.actor.user).await?;
        decision.need_in_guild(self.guild, user, Permissions::MANAGE_CHANNELS).await?;
        let existing =
            decision.tx.scan::<GuildChannels>(Scan::prefix::<GuildChannels>(&self.guild)).await?.len();
        if existing >= CHANNELS {
            return Err(Rejection::TooMany { what: "channels", limit: CHANNELS }.into());
        }
        let last = i64::try_from(existing).unwrap_or_default();
        let NewChannel { kind, parent, overwrites, .. } = &self.channel;
        check_parent(decision, self.guild, &RoomInfo { kind: *kind, parent: *parent, ..RoomInfo::default() })
            .await?;
        let overwrites =
            of_new_channel(decision, self.guild, *parent, overwrites.as_deref(), self.actor).await?;
        let room = add_channel(decision, self.actor, self.guild, &self.channel, last).await?;
        decision.write_overwrites(self.guild, room, &overwrites, self.actor).await?;
        Ok(room)
    }
}

struct Update<'a> {
    actor: &'a Actor,
    guild: RoomNo,
    channel: RoomNo,
    changes: ChannelChanges,
}

impl Decide for Update<'_> {
    type Output = ();

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.guild, self.channel]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<(), RoomsError> {
        let user = decision.actor_no(&self.actor.user).await?;
        let (guild, mut info) =
            decision.need_in_channel(self.channel, user, Permissions::MANAGE_CHANNELS).await?;
        let steward = decision.rooms.steward()?;
        let changes = &self.changes;
        let name = changes.name.as_ref().map(|name| json!({ "name": name.trim() }));
        let topic = changes.topic.as_ref().map(|topic| json!({ "topic": topic.as_deref().unwrap_or("") }));
        for (event_type, content) in [("m.room.name", name), ("m.room.topic", topic)] {
            if let Some(content) = content {
                let content = decision.on_behalf_of(self.actor, "channel.update", None, object(content))?;
                let event = NewPdu::state(steward.clone(), event_type, "", content);
                decision.append(self.channel, event).await?;
            }
        }
        let before = info.clone();
        info.parent = changes.parent.unwrap_or(info.parent);
        info.position = changes.position.unwrap_or(info.position);
        info.nsfw = changes.nsfw.unwrap_or(info.nsfw);
        info.slowmode_s = changes.slowmode_s.unwrap_or(info.slowmode_s);
        if info.parent != before.parent {
            check_parent(decision, guild, &info).await?;
        }
        if info != before {
            let parent = category(decision, guild, info.parent).await?;
            put_channel(decision, guild, self.channel, (&info, parent.as_ref()), self.actor).await?;
        }
        if let Some(overwrites) = &changes.overwrites {
            let (now, wanted) = (decision.overwrites_of(self.channel).await?, collected(overwrites));
            let is_same = now == decision.checked(guild, &now, wanted.clone()).await?;
            // What cannot be read is replaced too.
            if !is_same || decision.overwrites(self.channel).await?.len() > now.len() {
                decision.replace_overwrites(self.channel, wanted, self.actor).await?;
            }
        }
        Ok(())
    }
}

struct Delete<'a> {
    actor: &'a Actor,
    guild: RoomNo,
    channel: RoomNo,
}

impl Decide for Delete<'_> {
    type Output = ();

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.guild, self.channel]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<(), RoomsError> {
        let user = decision.actor_no(&self.actor.user).await?;
        let (guild, info) =
            decision.need_in_channel(self.channel, user, Permissions::MANAGE_CHANNELS).await?;
        let steward = decision.rooms.steward()?;
        let room_id = decision.room(self.channel).await?.room_id.clone();
        let gone = decision.on_behalf_of(self.actor, "channel.delete", None, object(json!({})))?;
        if info.kind == ChannelKind::Category {
            // Until then they show without it: a category is a channel of the guild.
            let request = Request::new(self.actor, "channel.update", None);
            let work = Work::FreeChildren { category: self.channel, request, after: None };
            decision.open_job(guild, work);
        }
        for (event_type, content) in [("nexus.channel", gone), ("m.space.child", object(json!({})))] {
            let event = NewPdu::state(steward.clone(), event_type, room_id.as_str(), content);
            decision.append(guild, event).await?;
        }
        // Nobody may join or write any more; who was in it keeps what was written.
        let closed = object(json!({ "join_rule": "invite" }));
        let silent = closed_power_levels();
        for (event_type, content) in [("m.room.join_rules", closed), ("m.room.power_levels", silent)] {
            decision.append(self.channel, NewPdu::state(steward.clone(), event_type, "", content)).await?;
        }
        Ok(())
    }
}
