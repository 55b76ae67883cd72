//! From dispatches to what is sent: event names and JSON.
//!
//! **Shapes**: `(name, d)`; the JSON of a fact is made once and shared by all sessions that hear of it. A
//! message is shared in two forms, with and without its content. **Invariant**: a dispatch always renders
//! to something, also when what it is about is gone, so that numbers have no gaps.

use std::{collections::BTreeSet, sync::Arc};

use nexus_event_store::{
    RoomNo, Snowflake, UserNo,
    rows::{EventPlace, SnowflakeRow},
};
use nexus_views::{Event, actor::shown_actor};
use serde_json::{Value, json};

use super::{
    fact::{Fact, Reaction, What},
    intents::Intents,
};
use crate::{
    compose::nonce_of,
    error::ApiError,
    objects::{
        Objects,
        channel::{channel_json, kind_number},
        guild::Listed,
        message::{Parts, Place, emoji_json, without_content},
    },
    snowflake::iso_time,
};

/// A fact as JSON.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub(crate) name: &'static str,
    pub(crate) full: Arc<str>,
    /// For a message: what is particular about it.
    message: Option<Delivery>,
}

/// Who gets a message how.
#[derive(Debug)]
struct Delivery {
    bare: Arc<str>,
    author: UserNo,
    mentioned: BTreeSet<String>,
    /// The author's own nonce.
    nonce: Option<Value>,
}

/// For whom a fact is rendered.
#[derive(Clone, Debug)]
pub(crate) struct Viewer {
    pub(crate) user: UserNo,
    /// The user's snowflake as text.
    pub(crate) id: String,
    pub(crate) intents: Intents,
}

impl Rendered {
    pub(super) fn plain(name: &'static str, d: &Value) -> Self {
        Self { name, full: d.to_string().into(), message: None }
    }

    /// The JSON as `viewer` may see it.
    pub(crate) fn for_viewer(&self, viewer: &Viewer) -> Arc<str> {
        let Some(message) = &self.message else { return Arc::clone(&self.full) };
        if message.author == viewer.user {
            return match &message.nonce {
                // The object is never empty, so a field can be put in front.
                Some(nonce) => format!("{{\"nonce\":{nonce},{}", &self.full[1..]).into(),
                None => Arc::clone(&self.full),
            };
        }
        let may_read =
            viewer.intents.contains(Intents::MESSAGE_CONTENT) || message.mentioned.contains(&viewer.id);
        Arc::clone(if may_read { &self.full } else { &message.bare })
    }
}

impl Objects {
    /// GUILD_CREATE, or the notice that the guild cannot be had if it is gone by now.
    pub(crate) async fn guild_create(
        &self,
        guild: RoomNo,
        user: UserNo,
        listed: Listed,
    ) -> Result<(&'static str, Arc<str>), ApiError> {
        if let Some(whole) = self.whole_guild(guild, user, listed).await? {
            return Ok(("GUILD_CREATE", whole.to_string().into()));
        }
        let id = self.views.room_snowflake(guild).await?.unwrap_or_default();
        let gone = json!({ "id": id.to_string(), "unavailable": true });
        Ok(("GUILD_DELETE", gone.to_string().into()))
    }

    /// A channel that came into view, or went out of it: then nothing is told of it but that it was there.
    pub(crate) async fn channel_sight(
        &self,
        guild: RoomNo,
        channel: RoomNo,
        is_seen: bool,
    ) -> Result<(&'static str, Arc<str>), ApiError> {
        if is_seen && let Some(channel) = self.views.channel(channel).await? {
            return Ok(("CHANNEL_CREATE", channel_json(&channel).to_string().into()));
        }
        let guild_id = self.views.room_snowflake(guild).await?.unwrap_or_default();
        let kind = kind_number(self.views.info(channel).await?.kind);
        let id = self.channel_id(channel).await?;
        let d = json!({ "id": id, "guild_id": guild_id.to_string(), "type": kind, "name": "" });
        Ok(("CHANNEL_DELETE", d.to_string().into()))
    }

    /// The JSON of a fact.
    pub(crate) async fn render(&self, fact: &Fact) -> Result<Rendered, ApiError> {
        let guild = fact.guild;
        let guild_id = fact.guild_id.to_string();
        Ok(match &fact.what {
            What::MessageMade { channel, event } => self.message_made(fact, *channel, *event).await?,
            What::MessageChanged { channel, message, edit } => {
                self.message_changed(fact, *channel, *message, *edit).await?
            }
            What::MessageDeleted { channel, message, thread } => {
                let channel = self.channel_or_thread(*channel, *thread).await?;
                let d = json!({ "id": message.to_string(), "channel_id": channel, "guild_id": guild_id });
                Rendered::plain("MESSAGE_DELETE", &d)
            }
            What::MessagesDeleted { channel, messages, thread } => {
                let channel = self.channel_or_thread(*channel, *thread).await?;
                let ids: Vec<String> = messages.iter().map(ToString::to_string).collect();
                let d = json!({ "ids": ids, "channel_id": channel, "guild_id": guild_id });
                Rendered::plain("MESSAGE_DELETE_BULK", &d)
            }
            What::PinsChanged(channel) => {
                let newest = self.views.pins(*channel).await?.first().map(|pin| iso_time(pin.at_ms));
                let channel = self.channel_id(*channel).await?;
                let d = json!({ "channel_id": channel, "guild_id": guild_id, "last_pin_timestamp": newest });
                Rendered::plain("CHANNEL_PINS_UPDATE", &d)
            }
            What::ThreadMade(root) => self.thread_event("THREAD_CREATE", fact, *root).await?,
            What::ThreadChanged(root) => self.thread_event("THREAD_UPDATE", fact, *root).await?,
            What::ThreadDeleted(root) => self.thread_event("THREAD_DELETE", fact, *root).await?,
            What::Audited(_, place) => self.audit_event(fact, *place).await?,
            What::Voted { channel, response } => self.vote_event(fact, *channel, *response).await?,
            What::ReactionAdded(reaction) => {
                let mut d = self.reaction(reaction, &guild_id).await?;
                d["member"] = self.member_or_user(guild, reaction.user).await?;
                if let Some(author) = self.author_of(reaction.message).await? {
                    d["message_author_id"] = self.views.user_snowflake(author).await?.to_string().into();
                }
                Rendered::plain("MESSAGE_REACTION_ADD", &d)
            }
            What::ReactionRemoved(reaction) => {
                Rendered::plain("MESSAGE_REACTION_REMOVE", &self.reaction(reaction, &guild_id).await?)
            }
            What::MemberJoined(user) => {
                let mut d = self.member_or_user(guild, *user).await?;
                d["guild_id"] = guild_id.into();
                Rendered::plain("GUILD_MEMBER_ADD", &d)
            }
            What::MemberChanged(user) => {
                let mut d = self.member_or_user(guild, *user).await?;
                d["guild_id"] = guild_id.into();
                Rendered::plain("GUILD_MEMBER_UPDATE", &d)
            }
            What::MemberLeft(user) => {
                let d = json!({ "guild_id": guild_id, "user": self.user(*user, Some(guild)).await? });
                Rendered::plain("GUILD_MEMBER_REMOVE", &d)
            }
            What::BanAdded(user) | What::BanRemoved(user) => {
                let is_ban = matches!(fact.what, What::BanAdded(_));
                let name = if is_ban { "GUILD_BAN_ADD" } else { "GUILD_BAN_REMOVE" };
                let d = json!({ "guild_id": guild_id, "user": self.user(*user, Some(guild)).await? });
                Rendered::plain(name, &d)
            }
            What::GuildChanged => {
                let d = match self.views.guild(guild).await? {
                    Some(guild) => self.guild(&guild).await?,
                    None => json!({ "id": guild_id, "unavailable": true }),
                };
                Rendered::plain("GUILD_UPDATE", &d)
            }
            What::GuildDeleted => Rendered::plain("GUILD_DELETE", &json!({ "id": guild_id })),
            What::RoleMade(role) => self.role_event("GUILD_ROLE_CREATE", fact, *role).await?,
            What::RoleChanged(role) => self.role_event("GUILD_ROLE_UPDATE", fact, *role).await?,
            What::RoleDeleted(role) => deleted_role(&guild_id, *role),
            What::ChannelMade(channel) => self.channel_event("CHANNEL_CREATE", fact, *channel).await?,
            What::ChannelChanged(channel) => self.channel_event("CHANNEL_UPDATE", fact, *channel).await?,
            What::ChannelDeleted(channel) => self.channel_event("CHANNEL_DELETE", fact, *channel).await?,
        })
    }

    /// The id of a channel, or of the thread in it.
    async fn channel_or_thread(
        &self,
        channel: RoomNo,
        thread: Option<Snowflake>,
    ) -> Result<String, ApiError> {
        match thread {
            Some(thread) => Ok(thread.to_string()),
            None => self.channel_id(channel).await,
        }
    }

    /// The id of the thread that a message is in, if it is in one.
    async fn thread_id(&self, event: &Event) -> Result<Option<Snowflake>, ApiError> {
        let Some(root) = self.views.thread_of(event).await? else { return Ok(None) };
        Ok(self.views.event(EventPlace { room: event.room, event: root }).await?.snowflake)
    }

    async fn thread_event(
        &self,
        name: &'static str,
        fact: &Fact,
        root: EventPlace,
    ) -> Result<Rendered, ApiError> {
        if let Some(thread) = self.views.thread(root.room, root.event).await?
            && name != "THREAD_DELETE"
        {
            let mut d = self.thread(&thread, None).await?;
            if name == "THREAD_CREATE" {
                d["newly_created"] = true.into();
            }
            return Ok(Rendered::plain(name, &d));
        }
        let id = self.views.event(root).await?.snowflake.unwrap_or_default();
        let parent_id = self.channel_id(root.room).await?;
        let guild_id = fact.guild_id.to_string();
        let d = json!({ "id": id.to_string(), "guild_id": guild_id, "parent_id": parent_id, "type": 11 });
        Ok(Rendered::plain("THREAD_DELETE", &d))
    }

    async fn audit_event(&self, fact: &Fact, place: EventPlace) -> Result<Rendered, ApiError> {
        let event = self.views.event(place).await?;
        let mut d = match self.views.audit_entry(fact.guild, &event).await? {
            Some(entry) => self.audit_entry(fact.guild, &entry).await?,
            None => json!({}),
        };
        d["guild_id"] = fact.guild_id.to_string().into();
        Ok(Rendered::plain("GUILD_AUDIT_LOG_ENTRY_CREATE", &d))
    }

    /// Who wrote a message; of a notice, at whose request it came.
    async fn author(&self, event: &Event) -> Result<UserNo, ApiError> {
        let requested = event.pdu.state_key().and_then(|_| shown_actor(&event.pdu));
        let user = requested.unwrap_or_else(|| event.pdu.sender().to_owned());
        Ok(self.views.user_no(&user).await?.unwrap_or_default())
    }

    async fn message_made(
        &self,
        fact: &Fact,
        channel: RoomNo,
        event: EventPlace,
    ) -> Result<Rendered, ApiError> {
        let event = self.views.event(event).await?;
        let d = self.message_event(fact, channel, &event, None).await?;
        let author = self.author(&event).await?;
        let transaction = event.transaction.as_ref().filter(|mark| mark.user == author);
        let nonce = transaction.and_then(|mark| nonce_of(&mark.id));
        Ok(delivered("MESSAGE_CREATE", d, author, nonce))
    }

    async fn message_changed(
        &self,
        fact: &Fact,
        channel: RoomNo,
        message: Snowflake,
        edit: Option<EventPlace>,
    ) -> Result<Rendered, ApiError> {
        let Some(SnowflakeRow::Message(place)) = self.views.lookup(message).await? else {
            let channel = self.channel_id(channel).await?;
            let d = json!({ "id": message.to_string(), "channel_id": channel });
            return Ok(Rendered::plain("MESSAGE_UPDATE", &d));
        };
        let event = self.views.event(place).await?;
        let edit = match edit {
            Some(edit) => Some(self.views.event(edit).await?).filter(|edit| edit.redacted_by.is_none()),
            None => self.views.edit_of(&event).await?,
        };
        let d = self.message_event(fact, channel, &event, edit.as_deref()).await?;
        let author = self.views.user_no(event.pdu.sender()).await?.unwrap_or_default();
        Ok(delivered("MESSAGE_UPDATE", d, author, None))
    }

    /// A message as it was made or edited, without what came later.
    async fn message_event(
        &self,
        fact: &Fact,
        channel: RoomNo,
        event: &Event,
        edit: Option<&Event>,
    ) -> Result<Value, ApiError> {
        let thread = self.thread_id(event).await?;
        let channel_id = match thread {
            Some(thread) => thread,
            None => self.views.room_snowflake(channel).await?.unwrap_or_default(),
        };
        let place = Place { guild: fact.guild, guild_id: fact.guild_id, channel_id };
        let author = self.author(event).await?;
        let id = event.snowflake.unwrap_or_default();
        // A deleted message has neither reactions nor an edit to show.
        let edit = edit.filter(|_| event.redacted_by.is_none());
        let reactions = match edit {
            Some(_) => self.views.reactions(event.room, event.no).await?,
            None => Vec::new(),
        };
        let parts = Parts { event, id, author, edit, reactions: &reactions };
        let mut d = self.message(place, parts, None).await?;
        d["guild_id"] = fact.guild_id.to_string().into();
        d["channel_type"] = match thread {
            Some(_) => 11.into(),
            None => kind_number(self.views.info(channel).await?.kind).into(),
        };
        if edit.is_some() {
            let mut marked = [(event.no, d)];
            self.mark_messages(channel, None, &mut marked).await?;
            [(_, d)] = marked;
        }
        if let Some(member) = self.bare_member_of(fact.guild, author).await? {
            d["member"] = member;
        }
        Ok(d)
    }

    async fn reaction(&self, reaction: &Reaction, guild_id: &str) -> Result<Value, ApiError> {
        Ok(json!({
            "user_id": self.views.user_snowflake(reaction.user).await?.to_string(),
            "channel_id": self.channel_of_message(reaction.channel, reaction.message).await?,
            "message_id": reaction.message.to_string(),
            "guild_id": guild_id,
            "emoji": emoji_json(&reaction.emoji),
            "burst": false,
            "type": 0,
        }))
    }

    /// The id of the channel or thread that a message is in.
    async fn channel_of_message(&self, channel: RoomNo, message: Snowflake) -> Result<String, ApiError> {
        let thread = match self.views.lookup(message).await? {
            Some(SnowflakeRow::Message(place)) => self.thread_id(&*self.views.event(place).await?).await?,
            _ => None,
        };
        self.channel_or_thread(channel, thread).await
    }

    async fn author_of(&self, message: Snowflake) -> Result<Option<UserNo>, ApiError> {
        let Some(SnowflakeRow::Message(place)) = self.views.lookup(message).await? else { return Ok(None) };
        let event = self.views.event(place).await?;
        Ok(self.views.user_no(event.pdu.sender()).await?)
    }

    /// A member, or what is left to say of one who has gone.
    async fn member_or_user(&self, guild: RoomNo, user: UserNo) -> Result<Value, ApiError> {
        if let Some(member) = self.member_of(guild, user).await? {
            return Ok(member);
        }
        let user = self.user(user, Some(guild)).await?;
        Ok(json!({ "user": user, "roles": [], "deaf": false, "mute": false, "flags": 0, "joined_at": null }))
    }

    async fn role_event(
        &self,
        name: &'static str,
        fact: &Fact,
        role: Snowflake,
    ) -> Result<Rendered, ApiError> {
        let guild_id = fact.guild_id.to_string();
        Ok(match self.role(fact.guild, role).await? {
            Some(role) => Rendered::plain(name, &json!({ "guild_id": guild_id, "role": role })),
            None => deleted_role(&guild_id, role),
        })
    }

    /// A channel, also one that has been deleted since: its room is still there.
    async fn channel_event(
        &self,
        name: &'static str,
        fact: &Fact,
        room: RoomNo,
    ) -> Result<Rendered, ApiError> {
        if let Some(channel) = self.views.channel(room).await? {
            return Ok(Rendered::plain(name, &channel_json(&channel)));
        }
        let info = self.views.info(room).await?;
        let d = json!({
            "id": self.channel_id(room).await?,
            "guild_id": fact.guild_id.to_string(),
            "type": kind_number(info.kind),
            "name": info.name.unwrap_or_default(),
            "position": info.position,
            "topic": info.topic,
            "nsfw": info.nsfw,
            "permission_overwrites": [],
            "parent_id": null,
            "flags": 0,
            "room_id": self.views.room_id(room).await?,
        });
        Ok(Rendered::plain(name, &d))
    }

    async fn channel_id(&self, channel: RoomNo) -> Result<String, ApiError> {
        Ok(self.views.room_snowflake(channel).await?.unwrap_or_default().to_string())
    }
}

fn deleted_role(guild_id: &str, role: Snowflake) -> Rendered {
    Rendered::plain("GUILD_ROLE_DELETE", &json!({ "guild_id": guild_id, "role_id": role.to_string() }))
}

fn delivered(name: &'static str, mut d: Value, author: UserNo, nonce: Option<Value>) -> Rendered {
    let users = d["mentions"].as_array().into_iter().flatten();
    let mentioned = users.filter_map(|user| user["id"].as_str()).map(str::to_owned).collect();
    let full = d.to_string().into();
    without_content(&mut d);
    let bare = d.to_string().into();
    Rendered { name, full, message: Some(Delivery { bare, author, mentioned, nonce }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn viewer(user: u64, intents: Intents) -> Viewer {
        Viewer { user: UserNo(user), id: format!("{user}00"), intents }
    }

    #[test]
    fn content_is_for_those_who_may_read_it() {
        let d = json!({ "id": "5", "content": "secret", "embeds": [1], "mentions": [{ "id": "300" }] });
        let message = delivered("MESSAGE_CREATE", d, UserNo(1), Some(json!("n1")));
        let seen = |user, intents| {
            let json: Value = serde_json::from_str(&message.for_viewer(&viewer(user, intents))).unwrap();
            (json["content"].as_str().unwrap().to_owned(), json["nonce"].clone())
        };
        let none = Intents::GUILD_MESSAGES;
        assert_eq!(seen(2, Intents::VALID), ("secret".to_owned(), Value::Null));
        assert_eq!(seen(2, none), (String::new(), Value::Null), "without the intent");
        assert_eq!(seen(3, none), ("secret".to_owned(), Value::Null), "mentioned");
        assert_eq!(seen(1, none), ("secret".to_owned(), json!("n1")), "the author, with the nonce");
    }
}
