//! From commits to facts, read from the log through the views, once for all sessions.
//!
//! **Invariant**: the facts of a commit do not depend on when they are read. So only what never changes is
//! asked: events (less their content, once redacted), the states around them, what a redaction removed, and
//! which guild a room was made for. **Bound**: facts of [`COMMITS`] commits and the standing of
//! [`ROOMS`] rooms are kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use nexus_event_store::{
    Position, RoomNo, Snowflake, UserNo,
    feed::Commit,
    rows::{EventPlace, SnowflakeRow},
};
use nexus_views::{
    Event, Permissions, Removed, TimelineSlice, Views,
    audit::{AuditAction, AuditTarget},
    polls,
};
use parking_lot::Mutex;
use ruma::{EventId, OwnedUserId, RoomId, UserId};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::fact::{CommitFacts, Fact, Reaction, Rights, What};
use crate::error::ApiError;

/// How many commits' facts are kept.
const COMMITS: usize = 1024;

/// How many rooms' standing is kept.
const ROOMS: usize = 16_384;

/// A guild's or channel's founding events are among its first so many.
const FOUNDING_EVENTS: usize = 16;

/// The longest emoji that counts, as in the views.
const EMOJI_BYTES: usize = 255;

/// What a room is to Discord's clients; never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Guild,
    ChannelOf(RoomNo),
    Neither,
}

type Shared = Arc<OnceCell<Arc<CommitFacts>>>;

/// Turns commits into facts.
pub(crate) struct Resolver {
    views: Views,
    commits: Mutex<BTreeMap<Position, Shared>>,
    rooms: Mutex<BTreeMap<RoomNo, Standing>>,
}

impl Resolver {
    pub(crate) fn new(views: Views) -> Self {
        Self { views, commits: Mutex::default(), rooms: Mutex::default() }
    }

    /// The facts of a commit, the same object for all who ask soon after it.
    pub(crate) async fn facts(&self, commit: &Commit) -> Result<Arc<CommitFacts>, ApiError> {
        let cell = {
            let mut commits = self.commits.lock();
            let cell = Arc::clone(commits.entry(commit.position).or_default());
            while commits.len() > COMMITS {
                commits.pop_first();
            }
            cell
        };
        let facts = cell.get_or_try_init(|| self.resolve(commit)).await?;
        Ok(Arc::clone(facts))
    }

    /// Whether a commit can mean anything to a session that is in `guilds`.
    pub(crate) async fn concerns(
        &self,
        commit: &Commit,
        guilds: &BTreeSet<RoomNo>,
    ) -> Result<bool, ApiError> {
        for place in &commit.events {
            match self.standing(place.room).await? {
                // Its user may just have come into it.
                Standing::Guild => return Ok(true),
                Standing::ChannelOf(guild) if guilds.contains(&guild) => return Ok(true),
                Standing::ChannelOf(_) | Standing::Neither => {}
            }
        }
        Ok(false)
    }

    async fn resolve(&self, commit: &Commit) -> Result<Arc<CommitFacts>, ApiError> {
        let mut reading = Reading {
            views: &self.views,
            before: Position(commit.position.0.saturating_sub(1)),
            out: CommitFacts { position: commit.position, ..CommitFacts::default() },
            joined: BTreeSet::new(),
            audited: Vec::new(),
        };
        for place in &commit.events {
            match self.standing(place.room).await? {
                Standing::Guild => {
                    reading.guild_event(*place).await?;
                    reading.audited(place.room, *place).await?;
                }
                Standing::ChannelOf(guild) => {
                    reading.channel_event(guild, *place).await?;
                    reading.audited(guild, *place).await?;
                }
                Standing::Neither => {}
            }
        }
        Ok(Arc::new(reading.out))
    }

    async fn standing(&self, room: RoomNo) -> Result<Standing, ApiError> {
        if let Some(standing) = self.rooms.lock().get(&room) {
            return Ok(*standing);
        }
        let info = self.views.info(room).await?;
        let standing = match info.guild {
            Some(guild) => Standing::ChannelOf(guild),
            None if info.is_guild => Standing::Guild,
            None => self.founded_as(room).await?,
        };
        let mut rooms = self.rooms.lock();
        if rooms.len() >= ROOMS {
            rooms.clear();
        }
        rooms.insert(room, standing);
        Ok(standing)
    }

    /// What a steward made a room to be, also if it has been deleted since.
    async fn founded_as(&self, room: RoomNo) -> Result<Standing, ApiError> {
        let slice = TimelineSlice { after: None, before: None, newest_first: false, limit: FOUNDING_EVENTS };
        for item in self.views.timeline(room, slice).await? {
            let pdu = &item.event.pdu;
            if pdu.sender().localpart() != "nexus" {
                continue;
            }
            match (pdu.event_type(), pdu.state_key()) {
                ("nexus.guild", Some("")) => return Ok(Standing::Guild),
                ("m.space.parent", Some(guild)) => {
                    let Ok(guild) = <&RoomId>::try_from(guild) else { continue };
                    let Some(guild) = self.views.room_no(guild).await? else { continue };
                    if self.creator(guild).await?.is_some_and(|creator| creator == pdu.sender()) {
                        return Ok(Standing::ChannelOf(guild));
                    }
                }
                _ => {}
            }
        }
        Ok(Standing::Neither)
    }

    /// Who made a room: of a guild, the steward who alone gives it channels.
    async fn creator(&self, room: RoomNo) -> Result<Option<OwnedUserId>, ApiError> {
        let slice = TimelineSlice { after: None, before: None, newest_first: false, limit: 1 };
        let first = self.views.timeline(room, slice).await?;
        Ok(first.first().map(|item| item.event.pdu.sender().to_owned()))
    }
}

/// One commit being read.
struct Reading<'a> {
    views: &'a Views,
    /// The position before the commit.
    before: Position,
    out: CommitFacts,
    /// Who came into a guild with this commit.
    joined: BTreeSet<(RoomNo, UserNo)>,
    /// What has been noticed of the audit log.
    audited: Vec<(RoomNo, AuditAction, UserNo, AuditTarget)>,
}

impl Reading<'_> {
    async fn add(&mut self, guild: RoomNo, what: What) -> Result<(), ApiError> {
        // One notice of a change is enough, however many events made it.
        let repeats = matches!(
            what,
            What::MemberChanged(_) | What::GuildChanged | What::ChannelChanged(_) | What::RoleChanged(_)
        ) && self.out.facts.iter().any(|fact| fact.guild == guild && fact.what == what);
        if repeats {
            return Ok(());
        }
        let Some(guild_id) = self.views.room_snowflake(guild).await? else { return Ok(()) };
        self.out.facts.push(Fact::new(guild, guild_id, what));
        Ok(())
    }

    async fn guild_event(&mut self, place: EventPlace) -> Result<(), ApiError> {
        let event = self.views.event(place).await?;
        let Some(key) = event.pdu.state_key() else { return Ok(()) };
        let guild = place.room;
        match (event.pdu.event_type(), key) {
            ("m.room.member", user) => self.membership(guild, &event, user).await,
            ("nexus.member", _) => self.member(guild, &event).await,
            ("nexus.role", key) => self.role(guild, &event, key).await,
            ("nexus.channel", channel) => self.channel(guild, &event, channel).await,
            ("nexus.overwrite", _) => self.overwrite(guild, &event).await,
            ("nexus.guild", "") => self.guild(guild, &event).await,
            ("m.room.name" | "m.room.topic" | "m.room.avatar", "") => {
                if self.was_guild(guild).await? {
                    self.add(guild, What::GuildChanged).await
                } else {
                    Ok(())
                }
            }
            _ => Ok(()),
        }
    }

    async fn membership(&mut self, guild: RoomNo, event: &Event, user_id: &str) -> Result<(), ApiError> {
        let Ok(user_id) = <&UserId>::try_from(user_id) else { return Ok(()) };
        // Stewards are the servers themselves, no members anyone sees.
        if user_id.localpart() == "nexus" {
            return Ok(());
        }
        let Some(user) = self.views.user_no(user_id).await? else { return Ok(()) };
        let (before, now) = (self.content_before(event).await?.unwrap_or_default(), content(event));
        match (is_ban(&before), is_ban(&now)) {
            (false, true) => self.add(guild, What::BanAdded(user)).await?,
            (true, false) => self.add(guild, What::BanRemoved(user)).await?,
            (true, true) | (false, false) => {}
        }
        match (is_join(&before), is_join(&now)) {
            (false, true) => {
                self.joined.insert((guild, user));
                self.add(guild, What::MemberJoined(user)).await
            }
            (true, true) => self.add(guild, What::MemberChanged(user)).await,
            (true, false) => self.add(guild, What::MemberLeft(user)).await,
            (false, false) => Ok(()),
        }
    }

    async fn member(&mut self, guild: RoomNo, event: &Event) -> Result<(), ApiError> {
        let (before, now) = (self.content_before(event).await?.unwrap_or_default(), content(event));
        // One that was emptied is known by what it was.
        let named = if now["user"].is_string() { &now["user"] } else { &before["user"] };
        let Some(Ok(user_id)) = named.as_str().map(<&UserId>::try_from) else { return Ok(()) };
        let Some(user) = self.views.user_no(user_id).await? else { return Ok(()) };
        if self.joined.contains(&(guild, user)) {
            return Ok(());
        }
        let held = |content: &Value| content["roles"].as_array().cloned().unwrap_or_default();
        if held(&before) != held(&now) {
            self.out.rights.push(Rights::Member(guild, user));
        }
        let membership =
            self.views.state_event(guild, event.state_before, "m.room.member", user_id.as_str()).await?;
        if membership.is_some_and(|membership| is_join(&self::content(&membership))) {
            self.add(guild, What::MemberChanged(user)).await?;
        }
        Ok(())
    }

    async fn role(&mut self, guild: RoomNo, event: &Event, key: &str) -> Result<(), ApiError> {
        let id = match key {
            "everyone" => self.views.room_snowflake(guild).await?,
            key => crate::snowflake::parse(key),
        };
        let Some(id) = id else { return Ok(()) };
        let before = self.content_before(event).await?;
        let now = content(event);
        let was_there = before.as_ref().is_some_and(is_role);
        let is_there = is_role(&now);
        // A new role changes nobody's sight: nobody holds it yet.
        if was_there && before.as_ref().is_none_or(|before| sight_of(before) != sight_of(&now)) {
            let rights = if key == "everyone" { Rights::Guild(guild) } else { Rights::Role(guild, id) };
            self.out.rights.push(rights);
        }
        match (was_there, is_there) {
            (false, true) => self.add(guild, What::RoleMade(id)).await,
            (true, true) => self.add(guild, What::RoleChanged(id)).await,
            (true, false) => self.add(guild, What::RoleDeleted(id)).await,
            (false, false) => Ok(()),
        }
    }

    async fn channel(&mut self, guild: RoomNo, event: &Event, room_id: &str) -> Result<(), ApiError> {
        let Ok(room_id) = <&RoomId>::try_from(room_id) else { return Ok(()) };
        let Some(channel) = self.views.room_no(room_id).await? else { return Ok(()) };
        let was_there = self.content_before(event).await?.is_some_and(|content| is_channel(&content));
        let now = content(event);
        if is_emptied(&now) {
            // Still a channel, for administrators.
            self.out.rights.push(Rights::Channel(guild, channel));
        }
        match (was_there, is_channel(&now) || is_emptied(&now)) {
            (false, true) => self.add(guild, What::ChannelMade(channel)).await,
            (true, true) => self.add(guild, What::ChannelChanged(channel)).await,
            (true, false) => self.add(guild, What::ChannelDeleted(channel)).await,
            (false, false) => Ok(()),
        }
    }

    async fn overwrite(&mut self, guild: RoomNo, event: &Event) -> Result<(), ApiError> {
        let content = match content(event) {
            content if content["channel"].is_string() => content,
            _ => self.content_before(event).await?.unwrap_or_default(),
        };
        let Some(Ok(room_id)) = content["channel"].as_str().map(<&RoomId>::try_from) else { return Ok(()) };
        let Some(channel) = self.views.room_no(room_id).await? else { return Ok(()) };
        if self.was_channel(guild, room_id).await? {
            self.out.rights.push(Rights::Channel(guild, channel));
            self.add(guild, What::ChannelChanged(channel)).await?;
        }
        Ok(())
    }

    async fn guild(&mut self, guild: RoomNo, event: &Event) -> Result<(), ApiError> {
        let Some(before) = self.content_before(event).await?.filter(|before| before["owner"].is_string())
        else {
            return Ok(());
        };
        let now = content(event);
        if !now["owner"].is_string() {
            return self.add(guild, What::GuildDeleted).await;
        }
        if before["owner"] != now["owner"] {
            self.out.rights.push(Rights::Guild(guild));
        }
        self.add(guild, What::GuildChanged).await
    }

    async fn channel_event(&mut self, guild: RoomNo, place: EventPlace) -> Result<(), ApiError> {
        let event = self.views.event(place).await?;
        let channel = place.room;
        match (event.pdu.event_type(), event.pdu.state_key()) {
            ("m.room.name" | "m.room.topic", Some("")) => {
                let room_id = self.views.room_id(channel).await?;
                if self.was_channel(guild, &room_id).await? {
                    self.add(guild, What::ChannelChanged(channel)).await?;
                }
                Ok(())
            }
            ("m.room.pinned_events", Some("")) => {
                self.add(guild, What::PinsChanged(channel)).await?;
                if event.snowflake.is_some() {
                    self.add(guild, What::MessageMade { channel, event: place }).await?;
                }
                Ok(())
            }
            ("nexus.thread", Some(root)) => self.thread(guild, &event, root).await,
            (_, Some(_)) => Ok(()),
            _ if event.snowflake.is_some() => {
                self.add(guild, What::MessageMade { channel, event: place }).await
            }
            ("m.room.redaction", None) => self.redaction(guild, place).await,
            (kind, None) if polls::is_response(kind) => {
                self.add(guild, What::Voted { channel, response: place }).await
            }
            _ => self.relation(guild, &event).await,
        }
    }

    async fn thread(&mut self, guild: RoomNo, event: &Event, root: &str) -> Result<(), ApiError> {
        let Ok(root) = <&EventId>::try_from(root) else { return Ok(()) };
        let root = self.views.event_by_id(root).await?.filter(|root| root.room == event.room);
        let Some(root) = root.filter(|root| root.snowflake.is_some() && root.no < event.no) else {
            return Ok(());
        };
        let place = EventPlace { room: event.room, event: root.no };
        let named = |content: &Value| content["name"].is_string();
        let was_there = self.content_before(event).await?.is_some_and(|content| named(&content));
        match (was_there, named(&content(event))) {
            (false, true) => self.add(guild, What::ThreadMade(place)).await,
            (true, true) => self.add(guild, What::ThreadChanged(place)).await,
            (true, false) => self.add(guild, What::ThreadDeleted(place)).await,
            (false, false) => Ok(()),
        }
    }

    /// One notice for all that a commit did to one thing.
    async fn audited(&mut self, guild: RoomNo, place: EventPlace) -> Result<(), ApiError> {
        let event = self.views.event(place).await?;
        if event.pdu.sender().localpart() != "nexus" {
            return Ok(());
        }
        let Some(entry) = self.views.audit_entry(guild, &event).await? else { return Ok(()) };
        let key = (guild, entry.row.action, entry.row.actor, entry.row.target);
        if self.audited.contains(&key) {
            return Ok(());
        }
        self.audited.push(key);
        self.add(guild, What::Audited(guild, place)).await
    }

    /// Messages that go with one commit go with one notice.
    async fn deleted(
        &mut self,
        guild: RoomNo,
        channel: RoomNo,
        message: Snowflake,
        thread: Option<Snowflake>,
    ) -> Result<(), ApiError> {
        for fact in self.out.facts.iter_mut().filter(|fact| fact.guild == guild) {
            match &mut fact.what {
                What::MessagesDeleted { channel: of, messages, thread: within }
                    if *of == channel && *within == thread =>
                {
                    messages.push(message);
                    return Ok(());
                }
                What::MessageDeleted { channel: of, message: first, thread: within }
                    if *of == channel && *within == thread =>
                {
                    let messages = vec![*first, message];
                    fact.what = What::MessagesDeleted { channel, messages, thread };
                    return Ok(());
                }
                _ => {}
            }
        }
        self.add(guild, What::MessageDeleted { channel, message, thread }).await
    }

    async fn redaction(&mut self, guild: RoomNo, place: EventPlace) -> Result<(), ApiError> {
        let channel = place.room;
        match self.views.removed_by(place).await? {
            Some(Removed::Message(message)) => self.deleted(guild, channel, message, None).await,
            Some(Removed::ThreadMessage(message, root)) => {
                self.deleted(guild, channel, message, Some(root)).await
            }
            Some(Removed::Reaction(message, emoji, user)) if is_counted(&emoji) => {
                let reaction = Reaction { channel, message, emoji, user };
                self.add(guild, What::ReactionRemoved(reaction)).await
            }
            Some(Removed::Edit(message)) => {
                self.add(guild, What::MessageChanged { channel, message, edit: None }).await
            }
            Some(Removed::Reaction(..) | Removed::EditOfRemoved(_) | Removed::Other) | None => Ok(()),
        }
    }

    /// An edit or a reaction, as it is or as the redaction that emptied it remembers it.
    async fn relation(&mut self, guild: RoomNo, event: &Event) -> Result<(), ApiError> {
        let Some(sender) = self.views.user_no(event.pdu.sender()).await? else { return Ok(()) };
        let channel = event.room;
        let edit = EventPlace { room: channel, event: event.no };
        let found = match event.redacted_by {
            Some(by) => self.views.removed_by(EventPlace { room: channel, event: by }).await?,
            None => self.related(event, sender).await?,
        };
        match found {
            Some(Removed::Edit(message) | Removed::EditOfRemoved(message))
                if self.wrote(channel, message, event).await? =>
            {
                self.add(guild, What::MessageChanged { channel, message, edit: Some(edit) }).await
            }
            Some(Removed::Reaction(message, emoji, user)) if is_counted(&emoji) => {
                self.add(guild, What::ReactionAdded(Reaction { channel, message, emoji, user })).await
            }
            _ => Ok(()),
        }
    }

    /// What taking `event` away would remove.
    async fn related(&self, event: &Event, sender: UserNo) -> Result<Option<Removed>, ApiError> {
        let content = content(event);
        let relates = &content["m.relates_to"];
        let Some(Ok(target)) = relates["event_id"].as_str().map(<&EventId>::try_from) else {
            return Ok(None);
        };
        let target = self.views.event_by_id(target).await?.filter(|target| target.room == event.room);
        let Some(message) = target.and_then(|target| target.snowflake) else { return Ok(None) };
        Ok(match relates["rel_type"].as_str() {
            Some("m.replace") => Some(Removed::Edit(message)),
            Some("m.annotation") if event.pdu.event_type() == "m.reaction" => {
                let emoji = relates["key"].as_str().unwrap_or_default().to_owned();
                Some(Removed::Reaction(message, emoji, sender))
            }
            _ => None,
        })
    }

    /// Whether the sender of `event` wrote the message: only then it is an edit.
    async fn wrote(&self, channel: RoomNo, message: Snowflake, event: &Event) -> Result<bool, ApiError> {
        let Some(SnowflakeRow::Message(place)) = self.views.lookup(message).await? else { return Ok(false) };
        Ok(place.room == channel && self.views.event(place).await?.pdu.sender() == event.pdu.sender())
    }

    /// The content of what stood in an event's place before it.
    async fn content_before(&self, event: &Event) -> Result<Option<Value>, ApiError> {
        let Some(key) = event.pdu.state_key() else { return Ok(None) };
        let before =
            self.views.state_event(event.room, event.state_before, event.pdu.event_type(), key).await?;
        Ok(before.map(|before| content(&before)))
    }

    /// Whether the room was a guild before this commit.
    async fn was_guild(&self, guild: RoomNo) -> Result<bool, ApiError> {
        self.held_before(guild, "nexus.guild", "", |content| content["owner"].is_string()).await
    }

    /// Whether the room was a channel of the guild before this commit.
    async fn was_channel(&self, guild: RoomNo, channel: &RoomId) -> Result<bool, ApiError> {
        self.held_before(guild, "nexus.channel", channel.as_str(), is_channel).await
    }

    async fn held_before(
        &self,
        guild: RoomNo,
        event_type: &str,
        key: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Result<bool, ApiError> {
        let Some(root) = self.views.state_at(guild, self.before).await? else { return Ok(false) };
        let event = self.views.state_event(guild, root, event_type, key).await?;
        Ok(event.is_some_and(|event| holds(&content(&event))))
    }
}

fn content(event: &Event) -> Value {
    event.pdu.content_as().unwrap_or_default()
}

fn is_join(content: &Value) -> bool {
    content["membership"] == "join"
}

/// Nothing is left of it: what it was nobody knows.
fn is_emptied(content: &Value) -> bool {
    content.as_object().is_none_or(serde_json::Map::is_empty)
}

/// A role without a name is deleted; one that was emptied is still there.
fn is_role(content: &Value) -> bool {
    content["name"].as_str().is_some_and(|name| !name.is_empty()) || is_emptied(content)
}

/// What of a role decides which channels its members see.
fn sight_of(content: &Value) -> (bool, bool, u64) {
    let bits = match &content["permissions"] {
        Value::String(text) => text.parse().unwrap_or(0),
        other => other.as_u64().unwrap_or(0),
    };
    let seeing = Permissions::VIEW_CHANNEL.with(Permissions::ADMINISTRATOR);
    (is_role(content), is_emptied(content), Permissions(bits).and(seeing).0)
}

fn is_ban(content: &Value) -> bool {
    content["membership"] == "ban"
}

/// A channel's description without a kind takes the channel out.
fn is_channel(content: &Value) -> bool {
    content["kind"].is_string()
}

fn is_counted(emoji: &str) -> bool {
    !emoji.is_empty() && emoji.len() <= EMOJI_BYTES
}
