//! A connected session: its fold over the log, what it follows, and what its client has acknowledged.
//!
//! Drive it with [`Session::next_batch`] until it says there is nothing more, then wait for
//! [`Session::news`]. Nothing is queued here: what a client does not take yet stays in the log.
//!
//! **Errors**: [`Stop`]. **Invariant**: frames come out in the order of their numbers, and only what lies
//! after the number that a resuming client named.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use nexus_accounts::{AccountError, GatewaySession, SessionMark};
use nexus_event_store::{
    Position, RoomNo,
    feed::{Commit, Subscriber, Topic},
};
use nexus_views::Permissions;
use serde_json::{Value, json};

use super::{
    Gateway,
    checkpoint::{Bookmarks, Label, Saved, record},
    fact::{CommitFacts, What},
    intents::Intents,
    live::Hold,
    machine::{Dispatch, Kind, SessionMachine},
    protocol,
    render::Viewer,
    typing::TypingWatch,
};
use crate::{
    error::ApiError,
    objects::{application::ready_application, guild::Listed},
};

/// How many commits are folded before the socket is looked at again.
const BATCH: usize = 64;

/// A checkpoint is worth a write after so many dispatches, or so many commits of others.
const DISPATCHES_WORTH_SAVING: u64 = 500;
const COMMITS_WORTH_SAVING: u64 = 10_000;

/// Why a session cannot go on.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It cannot be told from the log any more what the client missed.
    CannotReplay,
    /// The client names a number that was never sent.
    InvalidSeq,
    /// Something failed.
    Failed(ApiError),
}

impl<E: Into<ApiError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Some frames, and whether the log has no more for now.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) frames: Vec<String>,
    pub(crate) is_last: bool,
}

/// What a resuming client has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resuming {
    /// The last number it saw.
    pub(crate) seq: u64,
    /// Up to here the log is replayed; what comes after is live.
    pub(crate) until: Position,
}

/// A session with a connection.
pub(crate) struct Session {
    pub(super) gateway: Gateway,
    label: Label,
    pub(crate) machine: SessionMachine,
    pub(crate) viewer: Viewer,
    pub(crate) hold: Hold,
    /// The login that opened it.
    mark: SessionMark,
    subscriber: Subscriber,
    /// The rooms that are followed, by guild.
    pub(super) followed: BTreeMap<RoomNo, BTreeSet<RoomNo>>,
    pub(super) sight: BTreeMap<(RoomNo, RoomNo), bool>,
    typing: TypingWatch,
    bookmarks: Bookmarks,
    saved: Saved,
    /// The number of the next announcement to tell.
    announced: u64,
    resuming: Option<Resuming>,
}

impl Session {
    /// A session whose fold is at `machine`.
    pub(crate) async fn open(
        gateway: Gateway,
        label: Label,
        machine: SessionMachine,
        hold: Hold,
        mark: SessionMark,
        resuming: Option<Resuming>,
    ) -> Result<Self, ApiError> {
        let views = &gateway.inner.objects.views;
        let mut subscriber = views.store().feed().subscribe();
        subscriber.follow(Topic::User(machine.user));
        let id = views.user_snowflake(machine.user).await?.to_string();
        let bookmarks = Bookmarks::new(machine.clone(), resuming.map_or(0, |resuming| resuming.seq));
        let mut session = Self {
            viewer: Viewer { user: machine.user, id, intents: machine.intents },
            typing: TypingWatch::new(views),
            saved: Saved { seq: machine.seq, position: machine.position },
            subscriber,
            label,
            machine,
            followed: BTreeMap::new(),
            sight: BTreeMap::new(),
            bookmarks,
            announced: gateway.inner.announcements.next(),
            hold,
            mark,
            resuming,
            gateway,
        };
        session.follow_guilds().await?;
        Ok(session)
    }

    /// Whether the login that opened it has not been revoked.
    pub(crate) async fn is_live(&mut self) -> Result<bool, ApiError> {
        Ok(self.gateway.inner.objects.accounts.is_live(&mut self.mark).await?)
    }

    /// Removes its record: it will not be resumed.
    pub(crate) async fn forget(&self) -> Result<(), AccountError> {
        self.hold.forget(&self.gateway.inner.objects.accounts).await
    }

    /// Resolves when there may be something new.
    pub(crate) async fn news(&self) {
        self.subscriber.changed().await;
    }

    /// READY and the guilds, if the client has not had them.
    pub(crate) async fn begin(&mut self) -> Result<Vec<String>, Stop> {
        let mut frames = Vec::new();
        for dispatch in self.machine.begin() {
            frames.extend(self.frame(dispatch).await?);
        }
        Ok(frames)
    }

    /// Folds the next commits.
    pub(crate) async fn next_batch(&mut self) -> Result<Batch, Stop> {
        let store = self.gateway.inner.objects.views.store().clone();
        let commits = store.commits_after(self.machine.position, BATCH).await?;
        let is_last = commits.len() < BATCH;
        let mut frames = Vec::new();
        for commit in commits {
            self.fold(&commit, &mut frames).await?;
            if self.resuming.is_some_and(|resuming| self.machine.position >= resuming.until) {
                frames.push(self.resumed().await?);
            }
        }
        if is_last && self.resuming.is_some() {
            // There was nothing to replay.
            frames.push(self.resumed().await?);
        }
        if is_last {
            frames.extend(self.typing_frames().await?);
            frames.extend(self.announced_frames().await?);
        }
        Ok(Batch { frames, is_last })
    }

    /// The replay is over. That RESUMED took a number is on disk before anyone sees it.
    async fn resumed(&mut self) -> Result<String, Stop> {
        if self.resuming.take().is_some_and(|resuming| resuming.seq > self.machine.seq) {
            return Err(Stop::InvalidSeq);
        }
        // If the client has all there was, the checkpoint moves up to here, and the mark lies ahead of it.
        self.bookmarks.safe(&self.machine);
        let (position, dispatch) = self.machine.resume_here();
        self.bookmarks.mark_resumed(position);
        let place = self.bookmarks.safe(&self.machine);
        self.saved = Saved { seq: place.seq, position: place.position };
        let record = record(&self.label, place);
        self.hold.save(&self.gateway.inner.objects.accounts, record).await?;
        Ok(protocol::dispatch("RESUMED", dispatch.seq, RESUMED))
    }

    async fn fold(&mut self, commit: &Arc<Commit>, frames: &mut Vec<String>) -> Result<(), Stop> {
        let gateway = self.gateway.clone();
        let resolver = &gateway.inner.resolver;
        if !resolver.concerns(commit, &self.machine.guilds).await? {
            for dispatch in self.machine.skip(commit.position) {
                frames.extend(self.frame(dispatch).await?);
            }
            return Ok(());
        }
        let facts = resolver.facts(commit).await?;
        if self.resuming.is_some() && self.machine.cannot_replay(&facts) {
            return Err(Stop::CannotReplay);
        }
        let mut dispatches = self.changed_sight(commit.position, &facts).await?;
        let visible = self.visible(&facts).await?;
        dispatches.extend(self.machine.step(&facts, &visible));
        let dispatched = !dispatches.is_empty();
        for dispatch in dispatches {
            frames.extend(self.frame(dispatch).await?);
        }
        self.follow_channels(&facts);
        self.follow_guilds().await?;
        if dispatched {
            self.bookmarks.note(&self.machine);
        }
        Ok(())
    }

    /// Which of the channels that a commit concerns the user may view.
    async fn visible(&mut self, facts: &CommitFacts) -> Result<BTreeSet<RoomNo>, ApiError> {
        let mut visible = BTreeSet::new();
        for fact in &facts.facts {
            if fact.what.is_moderation() && self.machine.guilds.contains(&fact.guild) {
                let views = &self.gateway.inner.objects.views;
                let held = views.permissions(fact.guild, None, self.machine.user).await?;
                let told = Permissions::BAN_MEMBERS.with(Permissions::VIEW_AUDIT_LOG);
                visible.extend((held.0 & told.0 != 0).then_some(fact.guild));
            }
            let Some(channel) = fact.what.channel() else { continue };
            if self.machine.guilds.contains(&fact.guild) && self.sees(fact.guild, channel).await? {
                visible.insert(channel);
            }
        }
        Ok(visible)
    }

    pub(super) async fn sees(&mut self, guild: RoomNo, channel: RoomNo) -> Result<bool, ApiError> {
        if let Some(sees) = self.sight.get(&(guild, channel)) {
            return Ok(*sees);
        }
        let views = &self.gateway.inner.objects.views;
        let sees = if channel == guild {
            let held = views.permissions(guild, None, self.machine.user).await?;
            held.contains(Permissions::VIEW_AUDIT_LOG)
        } else {
            let held = views.permissions(guild, Some(channel), self.machine.user).await?;
            held.contains(Permissions::VIEW_CHANNEL)
        };
        self.sight.insert((guild, channel), sees);
        Ok(sees)
    }

    /// Follows the guilds the session is in, and no others.
    async fn follow_guilds(&mut self) -> Result<(), ApiError> {
        let left: Vec<RoomNo> =
            self.followed.keys().filter(|guild| !self.machine.guilds.contains(guild)).copied().collect();
        for guild in left {
            let rooms = self.followed.remove(&guild).unwrap_or_default();
            rooms.into_iter().for_each(|room| self.subscriber.unfollow(Topic::Room(room)));
            self.sight.retain(|(of, _), _| *of != guild);
        }
        let entered: Vec<RoomNo> =
            self.machine.guilds.iter().filter(|guild| !self.followed.contains_key(guild)).copied().collect();
        for guild in entered {
            let channels = self.gateway.inner.objects.views.channels(guild).await?;
            let rooms: BTreeSet<RoomNo> =
                channels.iter().map(|channel| channel.room).chain([guild]).collect();
            rooms.iter().for_each(|room| self.subscriber.follow(Topic::Room(*room)));
            self.followed.insert(guild, rooms);
        }
        Ok(())
    }

    fn follow_channels(&mut self, facts: &CommitFacts) {
        for fact in &facts.facts {
            if let What::ChannelMade(channel) = fact.what
                && let Some(rooms) = self.followed.get_mut(&fact.guild)
                && rooms.insert(channel)
            {
                self.subscriber.follow(Topic::Room(channel));
            }
        }
    }

    /// A dispatch as it is sent; nothing if the client has it already.
    async fn frame(&self, dispatch: Dispatch) -> Result<Option<String>, ApiError> {
        if self.resuming.is_some_and(|resuming| dispatch.seq <= resuming.seq) {
            return Ok(None);
        }
        let objects = &self.gateway.inner.objects;
        if let Kind::Fact(commit, index) = &dispatch.kind
            && let What::Audited(guild, _) = commit.facts[*index].what
            && !objects
                .views
                .permissions(guild, None, self.machine.user)
                .await?
                .contains(Permissions::VIEW_AUDIT_LOG)
        {
            return Ok(None);
        }
        let (name, d): (&str, Arc<str>) = match dispatch.kind {
            Kind::Ready => ("READY", self.ready().await?.to_string().into()),
            Kind::Resumed => ("RESUMED", RESUMED.into()),
            Kind::GuildCreate(guild) => objects.guild_create(guild, self.viewer.user, self.listed()).await?,
            Kind::ChannelSight { guild, channel, is_seen } => {
                objects.channel_sight(guild, channel, is_seen).await?
            }
            Kind::GuildDelete(id) => ("GUILD_DELETE", json!({ "id": id.to_string() }).to_string().into()),
            Kind::Fact(commit, index) => {
                let fact = &commit.facts[index];
                // What is replayed is read anew: it may have been redacted since it was rendered.
                if self.resuming.is_some() {
                    let rendered = objects.render(fact).await?;
                    (rendered.name, rendered.for_viewer(&self.viewer))
                } else {
                    let rendered = fact.rendered.get_or_try_init(|| objects.render(fact)).await?;
                    (rendered.name, rendered.for_viewer(&self.viewer))
                }
            }
        };
        Ok(Some(protocol::dispatch(name, dispatch.seq, &d)))
    }

    fn listed(&self) -> Listed {
        if self.viewer.intents.contains(Intents::GUILD_PRESENCES) {
            Listed::UpTo(self.label.large_threshold)
        } else {
            Listed::OnlySelf
        }
    }

    async fn ready(&self) -> Result<Value, ApiError> {
        let objects = &self.gateway.inner.objects;
        let mut guilds = Vec::new();
        for guild in &self.machine.guilds {
            let id = objects.views.room_snowflake(*guild).await?.unwrap_or_default();
            guilds.push(json!({ "id": id.to_string(), "unavailable": true }));
        }
        let mut d = json!({
            "v": 10,
            "user": objects.own_user(self.machine.user).await?,
            "guilds": guilds,
            "session_id": self.label.id,
            "session_type": "normal",
            "resume_gateway_url": self.gateway.url(),
            "private_channels": [],
            "relationships": [],
            "presences": [],
            "user_settings": {},
            "geo_ordered_rtc_regions": [],
            "_trace": [],
        });
        if let Some((id, count)) = self.machine.shard {
            d["shard"] = json!([id, count]);
        }
        if let Some(application) = objects.accounts.application_of_bot(self.machine.user).await? {
            d["application"] = ready_application(&application.id.to_string());
        } else {
            d["read_state"] = objects.read_states(self.machine.user, &self.machine.guilds).await?.into();
        }
        Ok(d)
    }

    async fn typing_frames(&mut self) -> Result<Vec<String>, ApiError> {
        if !self.viewer.intents.contains(Intents::GUILD_MESSAGE_TYPING) {
            return Ok(Vec::new());
        }
        let gateway = self.gateway.clone();
        let objects = &gateway.inner.objects;
        let guild_of: BTreeMap<RoomNo, RoomNo> = self
            .followed
            .iter()
            .flat_map(|(guild, rooms)| rooms.iter().map(|room| (*room, *guild)))
            .collect();
        let mut frames = Vec::new();
        for (channel, user) in self.typing.begun(&objects.views, guild_of.keys().copied()) {
            let Some(guild) = guild_of.get(&channel).copied() else { continue };
            if !self.sees(guild, channel).await? {
                continue;
            }
            let id = |room: Option<nexus_event_store::Snowflake>| room.unwrap_or_default().to_string();
            let d = json!({
                "channel_id": id(objects.views.room_snowflake(channel).await?),
                "guild_id": id(objects.views.room_snowflake(guild).await?),
                "user_id": objects.views.user_snowflake(user).await?.to_string(),
                "timestamp": self.gateway.world().now().0 / 1000,
                "member": objects.member_of(guild, user).await?,
            });
            frames.push(protocol::dispatch("TYPING_START", self.machine.seq, &d.to_string()));
        }
        Ok(frames)
    }

    async fn announced_frames(&mut self) -> Result<Vec<String>, ApiError> {
        let gateway = self.gateway.clone();
        let (announcements, next) = gateway.inner.announcements.since(self.announced);
        self.announced = next;
        let mut frames = Vec::new();
        for announcement in announcements {
            let is_in = self.machine.guilds.contains(&announcement.guild);
            let is_for_me = announcement.only.is_none_or(|user| user == self.machine.user);
            if !is_in || !is_for_me || !self.viewer.intents.contains(announcement.intent) {
                continue;
            }
            let views = &gateway.inner.objects.views;
            let (guild, channel) = (announcement.guild, Some(announcement.channel));
            if views.permissions(guild, channel, self.machine.user).await?.contains(announcement.needs) {
                frames.push(protocol::dispatch(announcement.name, self.machine.seq, &announcement.d));
            }
        }
        Ok(frames)
    }

    /// The client has seen everything up to `seq`.
    pub(crate) fn acknowledge(&mut self, seq: u64) {
        self.bookmarks.acknowledge(seq.min(self.machine.seq));
    }

    /// The record to keep now. `is_final` asks for it however little has happened since the last.
    pub(crate) fn checkpoint(&mut self, is_final: bool, since_last: Duration) -> Option<GatewaySession> {
        let place = self.bookmarks.safe(&self.machine);
        let dispatches = place.seq.saturating_sub(self.saved.seq);
        let commits = place.position.0.saturating_sub(self.saved.position.0);
        let is_worth_it = dispatches >= DISPATCHES_WORTH_SAVING
            || commits >= COMMITS_WORTH_SAVING
            || (dispatches > 0 && (is_final || since_last >= CHECKPOINT_EVERY));
        if !is_worth_it {
            return None;
        }
        self.saved = Saved { seq: place.seq, position: place.position };
        Some(record(&self.label, place))
    }

    /// The record before anything was sent.
    pub(crate) fn first_checkpoint(&self) -> GatewaySession {
        record(&self.label, &self.machine)
    }
}

/// `d` of RESUMED: an object, for null crashes some libraries.
const RESUMED: &str = "{\"_trace\":[]}";

/// How long what was acknowledged may stay unsaved.
pub(crate) const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);
