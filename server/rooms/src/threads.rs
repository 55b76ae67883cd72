//! Threads of a guild's channels: `nexus.thread` by the steward, on the message that the thread hangs on.
//!
//! A member may begin a thread on a message, or with a message of their own; a Matrix client that answers in a
//! thread begins it, too. Who writes in a thread follows it, and takes it out from where it was put away.

use nexus_event_store::{EventNo, RoomNo, Rows as _, UserNo};
use nexus_views::{
    ChannelKind, Event, Permissions, ThreadState,
    threads::{AUTO_ARCHIVE_MINUTES, ThreadMemberRow, ThreadMembers, Threads},
};
use ruma::{CanonicalJsonObject, EventId, OwnedEventId};
use serde_json::{Value, json};

use crate::{
    Actor, Appended, Profile, Rooms, RoomsError,
    content::{object, relation},
    decision::{Decide, Decision, NewPdu},
    error::Rejection,
    guilds::check_name,
    permission::need,
};

/// How long a thread may stay open without a message, in minutes.
pub const AUTO_ARCHIVE_CHOICES: [u32; 4] = [60, 1440, 4320, 10_080];

/// The longest slow mode, in seconds.
const SLOWMODE_S: u32 = 21_600;

/// The most tags of a thread.
const TAGS: usize = 5;

/// The longest name that a thread gets from its root, in characters.
const NAME_CHARS: usize = 100;

/// Where a thread begins.
#[derive(Clone, Debug)]
pub enum ThreadStart {
    /// On a message that is there.
    On(OwnedEventId),
    /// With this content of an `m.room.message`.
    With(CanonicalJsonObject),
}

/// A thread to begin.
#[derive(Clone, Debug)]
pub struct NewThread {
    /// The channel.
    pub channel: RoomNo,
    /// Where it begins.
    pub start: ThreadStart,
    /// Its name, 1 to 100 characters.
    pub name: String,
    /// One of [`AUTO_ARCHIVE_CHOICES`].
    pub auto_archive_minutes: Option<u32>,
    /// Seconds between two messages of one member.
    pub slowmode_s: u32,
    /// Forum tags.
    pub tags: Vec<u64>,
}

/// What to change of a thread.
#[derive(Clone, Debug, Default)]
pub struct ThreadChanges {
    /// A new name.
    pub name: Option<String>,
    /// Put away, or taken out again.
    pub archived: Option<bool>,
    /// Only for who manages threads.
    pub locked: Option<bool>,
    /// Whether members may add others.
    pub invitable: Option<bool>,
    /// One of [`AUTO_ARCHIVE_CHOICES`].
    pub auto_archive_minutes: Option<u32>,
    /// Seconds between two messages of one member.
    pub slowmode_s: Option<u32>,
    /// Forum tags.
    pub tags: Option<Vec<u64>>,
}

impl Rooms {
    /// Begins a thread; gives its root.
    ///
    /// # Errors
    /// Refused without CREATE_PUBLIC_THREADS (in a forum SEND_MESSAGES), for what is no message of the
    /// channel, and on a message that has a thread or is in one.
    pub async fn create_thread(&self, actor: &Actor, new: NewThread) -> Result<EventNo, RoomsError> {
        check_name("name", &new.name, 1)?;
        check(new.auto_archive_minutes, Some(new.slowmode_s), Some(&new.tags))?;
        let profile = self.inner.profiles.profile(&actor.user).await;
        Ok(self.run(&Create { actor, new, profile }).await?.0)
    }

    /// Changes a thread.
    ///
    /// # Errors
    /// Refused for others' threads, for locking and for what is locked without MANAGE_THREADS.
    pub async fn update_thread(
        &self,
        actor: &Actor,
        channel: RoomNo,
        root: EventNo,
        changes: ThreadChanges,
    ) -> Result<(), RoomsError> {
        if let Some(name) = &changes.name {
            check_name("name", name, 1)?;
        }
        check(changes.auto_archive_minutes, changes.slowmode_s, changes.tags.as_deref())?;
        self.run(&Update { actor, channel, root, changes }).await.map(drop)
    }

    /// Deletes a thread. What was written in it stays in its room for those who were there.
    ///
    /// # Errors
    /// Refused without MANAGE_THREADS.
    pub async fn delete_thread(
        &self,
        actor: &Actor,
        channel: RoomNo,
        root: EventNo,
    ) -> Result<(), RoomsError> {
        self.run(&Delete { actor, channel, root }).await.map(drop)
    }

    /// Makes `user` follow a thread, or not; tells whether that is new.
    ///
    /// # Errors
    /// Refused when the actor may not view the channel, when the thread is put away, and for taking another
    /// out without MANAGE_THREADS.
    pub async fn follow_thread(
        &self,
        actor: &Actor,
        channel: RoomNo,
        root: EventNo,
        user: UserNo,
        follows: bool,
    ) -> Result<bool, RoomsError> {
        Ok(self.run(&Follow { actor, channel, root, user, follows }).await?.0)
    }
}

fn check(minutes: Option<u32>, slowmode_s: Option<u32>, tags: Option<&[u64]>) -> Result<(), RoomsError> {
    let bad = |field, problem: String| Err(Rejection::BadField { field, problem }.into());
    if minutes.is_some_and(|minutes| !AUTO_ARCHIVE_CHOICES.contains(&minutes)) {
        return bad("auto_archive_duration", format!("must be one of {AUTO_ARCHIVE_CHOICES:?}"));
    }
    if slowmode_s.is_some_and(|seconds| seconds > SLOWMODE_S) {
        return bad("rate_limit_per_user", format!("must be {SLOWMODE_S} or less"));
    }
    if tags.is_some_and(|tags| tags.len() > TAGS) {
        return bad("applied_tags", format!("must be {TAGS} or fewer in length"));
    }
    Ok(())
}

/// `nexus.thread`
fn state_content(state: &ThreadState, owner: &str) -> CanonicalJsonObject {
    let tags: Vec<String> = state.tags.iter().map(ToString::to_string).collect();
    object(json!({
        "name": state.name,
        "owner": owner,
        "created_ms": state.created_ms,
        "archived": state.archived,
        "archived_ms": state.archived_ms,
        "locked": state.locked,
        "invitable": state.invitable,
        "auto_archive_minutes": state.auto_archive_minutes,
        "slowmode_s": state.slowmode_s,
        "tags": tags,
    }))
}

impl Decision<'_> {
    fn new_state(&self, name: &str, owner: UserNo) -> ThreadState {
        ThreadState {
            event: EventNo::default(),
            name: name.trim().to_owned(),
            owner,
            created_ms: self.now.0,
            archived: false,
            archived_ms: self.now.0,
            locked: false,
            invitable: true,
            auto_archive_minutes: AUTO_ARCHIVE_MINUTES,
            slowmode_s: 0,
            tags: Vec::new(),
        }
    }

    async fn write_thread(
        &mut self,
        actor: &Actor,
        action: &str,
        (channel, root): (RoomNo, &EventId),
        state: Option<&ThreadState>,
    ) -> Result<(), RoomsError> {
        let content = match state {
            Some(state) => state_content(state, self.reader().user_id(state.owner).await?.as_str()),
            None => CanonicalJsonObject::new(),
        };
        let content = self.on_behalf_of(actor, action, None, content)?;
        let steward = self.rooms.steward()?;
        self.append(channel, NewPdu::state(steward, "nexus.thread", root.as_str(), content)).await.map(drop)
    }

    async fn thread_state(&self, channel: RoomNo, root: EventNo) -> Result<ThreadState, RoomsError> {
        let row = self.tx.row::<Threads>(&(channel, root)).await?;
        Ok(row.and_then(|row| row.state).ok_or(Rejection::UnknownChannel)?)
    }

    fn note_member(&self, channel: RoomNo, root: EventNo, user: UserNo) {
        let row = ThreadMemberRow { since_ms: self.now.0 };
        self.tx.put::<ThreadMembers>(&(channel, root, user), &row);
    }

    /// The message of a channel on which a thread hangs or may hang.
    async fn root(&self, channel: RoomNo, root: &EventId) -> Result<std::sync::Arc<Event>, RoomsError> {
        let event = self.reader().event_by_id(root).await?;
        let event = event.filter(|event| event.room == channel && event.snowflake.is_some());
        let event = event.ok_or(Rejection::UnknownMessage)?;
        let content: Value = event.pdu.content_as().unwrap_or_default();
        if content["m.relates_to"]["rel_type"] == "m.thread" {
            let problem = "a message in a thread has no thread of its own".to_owned();
            return Err(Rejection::BadField { field: "m.relates_to", problem }.into());
        }
        Ok(event)
    }

    /// The thread of a guild's channel that an event is about to be in, if its content says so.
    pub(crate) async fn thread_of_new(
        &self,
        channel: RoomNo,
        content: &CanonicalJsonObject,
    ) -> Result<Option<std::sync::Arc<Event>>, RoomsError> {
        let Some(("m.thread", root)) = relation(content) else { return Ok(None) };
        let Ok(root) = <&EventId>::try_from(root) else { return Err(Rejection::UnknownMessage.into()) };
        self.root(channel, root).await.map(Some)
    }

    /// Makes a thread ready for a message of `user`: begins it, or takes it out from where it was put away.
    pub(crate) async fn open_thread(
        &mut self,
        actor: &Actor,
        channel: RoomNo,
        root: &Event,
        (user, held): (UserNo, Permissions),
    ) -> Result<(), RoomsError> {
        let place = (channel, root.pdu.event_id());
        match self.tx.row::<Threads>(&(channel, root.no)).await?.map(|row| row.state) {
            Some(Some(mut state)) => {
                if state.locked {
                    need(held, Permissions::MANAGE_THREADS)?;
                }
                if state.archived {
                    state.archived = false;
                    state.archived_ms = self.now.0;
                    self.write_thread(actor, "thread.update", place, Some(&state)).await?;
                }
            }
            Some(None) => return Err(Rejection::UnknownChannel.into()),
            None => {
                need(held, Permissions::CREATE_PUBLIC_THREADS)?;
                let state = self.new_state(&name_from(root), user);
                self.write_thread(actor, "thread.create", place, Some(&state)).await?;
            }
        }
        if self.tx.row::<ThreadMembers>(&(channel, root.no, user)).await?.is_none() {
            self.note_member(channel, root.no, user);
        }
        Ok(())
    }
}

/// What a thread is called that nobody named.
fn name_from(root: &Event) -> String {
    let content: Value = root.pdu.content_as().unwrap_or_default();
    let body = content["body"].as_str().unwrap_or_default();
    let line = body.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("thread");
    line.chars().take(NAME_CHARS).collect()
}

struct Create<'a> {
    actor: &'a Actor,
    new: NewThread,
    profile: Profile,
}

impl Decide for Create<'_> {
    type Output = EventNo;

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.new.channel]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<EventNo, RoomsError> {
        let NewThread { channel, name, .. } = &self.new;
        let user = decision.actor_no(&self.actor.user).await?;
        let info = decision.reader().info(*channel).await?;
        let guild = info.guild.ok_or(Rejection::UnknownChannel)?;
        let held = decision.permissions(guild, Some(*channel), user).await?;
        need(held, Permissions::VIEW_CHANNEL)?;
        let (root, root_id) = match &self.new.start {
            ThreadStart::On(root) if info.kind != ChannelKind::Forum => {
                need(held, Permissions::CREATE_PUBLIC_THREADS)?;
                let root = decision.root(*channel, root).await?;
                if decision
                    .tx
                    .row::<Threads>(&(*channel, root.no))
                    .await?
                    .is_some_and(|row| row.state.is_some())
                {
                    return Err(Rejection::ThreadExists.into());
                }
                (root.no, root.pdu.event_id().to_owned())
            }
            ThreadStart::On(_) => return Err(Rejection::NotTextChannel.into()),
            ThreadStart::With(content) => {
                let wanted = match info.kind {
                    ChannelKind::Category | ChannelKind::Voice | ChannelKind::Stage => {
                        return Err(Rejection::NotTextChannel.into());
                    }
                    ChannelKind::Forum => Permissions::SEND_MESSAGES,
                    ChannelKind::Text | ChannelKind::Announcement => Permissions::CREATE_PUBLIC_THREADS,
                };
                need(held, wanted)?;
                self.first_message(decision, user, content.clone()).await?
            }
        };
        let mut state = decision.new_state(name, user);
        state.auto_archive_minutes = self.new.auto_archive_minutes.unwrap_or(AUTO_ARCHIVE_MINUTES);
        state.slowmode_s = self.new.slowmode_s;
        state.tags.clone_from(&self.new.tags);
        decision.write_thread(self.actor, "thread.create", (*channel, &root_id), Some(&state)).await?;
        decision.note_member(*channel, root, user);
        Ok(root)
    }
}

impl Create<'_> {
    async fn first_message(
        &self,
        decision: &mut Decision<'_>,
        user: UserNo,
        content: CanonicalJsonObject,
    ) -> Result<(EventNo, OwnedEventId), RoomsError> {
        let channel = self.new.channel;
        let membership = decision.reader().membership(channel, user).await?;
        if membership.is_none_or(|row| row.membership != nexus_views::Membership::Join) {
            decision.join_channel(channel, &self.actor.user, &self.profile).await?;
        }
        let message = NewPdu::message(self.actor.user.clone(), "m.room.message", content);
        let Appended { no, event_id, .. } = decision.append(channel, message).await?;
        Ok((no, event_id))
    }
}

struct Update<'a> {
    actor: &'a Actor,
    channel: RoomNo,
    root: EventNo,
    changes: ThreadChanges,
}

impl Decide for Update<'_> {
    type Output = ();

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.channel]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<(), RoomsError> {
        let Self { changes, channel, root, .. } = self;
        let user = decision.actor_no(&self.actor.user).await?;
        let guild = decision.reader().info(*channel).await?.guild.ok_or(Rejection::UnknownChannel)?;
        let held = decision.permissions(guild, Some(*channel), user).await?;
        need(held, Permissions::VIEW_CHANNEL)?;
        let before = decision.thread_state(*channel, *root).await?;
        let manages = held.contains(Permissions::MANAGE_THREADS);
        // Whoever may write in it may take it out again.
        let only_reopens = changes.archived == Some(false)
            && changes.name.is_none()
            && changes.locked.is_none()
            && changes.slowmode_s.is_none()
            && changes.tags.is_none();
        let may = match (before.owner == user, only_reopens) {
            _ if before.locked || changes.locked.is_some() || changes.slowmode_s.is_some() => manages,
            (true, _) => true,
            (false, true) => manages || held.contains(Permissions::SEND_MESSAGES_IN_THREADS),
            (false, false) => manages,
        };
        if !may {
            return Err(Rejection::MissingPermission(Permissions::MANAGE_THREADS).into());
        }
        let mut state = before.clone();
        if let Some(name) = &changes.name {
            state.name = name.trim().to_owned();
        }
        if let Some(archived) = changes.archived {
            state.archived = archived;
            state.archived_ms = decision.now.0;
        }
        state.locked = changes.locked.unwrap_or(state.locked);
        state.invitable = changes.invitable.unwrap_or(state.invitable);
        state.auto_archive_minutes = changes.auto_archive_minutes.unwrap_or(state.auto_archive_minutes);
        state.slowmode_s = changes.slowmode_s.unwrap_or(state.slowmode_s);
        if let Some(tags) = &changes.tags {
            state.tags.clone_from(tags);
        }
        if state == before {
            return Ok(());
        }
        let root = event_id(decision, *channel, *root).await?;
        decision.write_thread(self.actor, "thread.update", (*channel, &root), Some(&state)).await
    }
}

async fn event_id(decision: &Decision<'_>, room: RoomNo, event: EventNo) -> Result<OwnedEventId, RoomsError> {
    let place = nexus_event_store::rows::EventPlace { room, event };
    Ok(decision.reader().event(place).await?.pdu.event_id().to_owned())
}

struct Delete<'a> {
    actor: &'a Actor,
    channel: RoomNo,
    root: EventNo,
}

impl Decide for Delete<'_> {
    type Output = ();

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.channel]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<(), RoomsError> {
        let user = decision.actor_no(&self.actor.user).await?;
        decision.need_in_channel(self.channel, user, Permissions::MANAGE_THREADS).await?;
        decision.thread_state(self.channel, self.root).await?;
        let root = event_id(decision, self.channel, self.root).await?;
        decision.write_thread(self.actor, "thread.delete", (self.channel, &root), None).await
    }
}

struct Follow<'a> {
    actor: &'a Actor,
    channel: RoomNo,
    root: EventNo,
    user: UserNo,
    follows: bool,
}

impl Decide for Follow<'_> {
    type Output = bool;

    fn rooms(&self) -> Vec<RoomNo> {
        vec![self.channel]
    }

    async fn decide(&self, decision: &mut Decision<'_>) -> Result<bool, RoomsError> {
        let actor = decision.actor_no(&self.actor.user).await?;
        let (guild, _) = decision.need_in_channel(self.channel, actor, Permissions::NONE).await?;
        let state = decision.thread_state(self.channel, self.root).await?;
        if state.archived {
            return Err(Rejection::InvalidState { reason: "Thread is archived".to_owned() }.into());
        }
        let held = decision.permissions(guild, Some(self.channel), self.user).await?;
        if self.follows && !held.contains(Permissions::VIEW_CHANNEL) {
            return Err(Rejection::UnknownUser.into());
        }
        if actor != self.user {
            let wanted = if self.follows {
                Permissions::SEND_MESSAGES_IN_THREADS
            } else {
                Permissions::MANAGE_THREADS
            };
            need(decision.permissions(guild, Some(self.channel), actor).await?, wanted)?;
        }
        let key = (self.channel, self.root, self.user);
        let was = decision.tx.row::<ThreadMembers>(&key).await?.is_some();
        match (was, self.follows) {
            (false, true) => decision.note_member(self.channel, self.root, self.user),
            (true, false) => decision.tx.delete::<ThreadMembers>(&key),
            _ => return Ok(false),
        }
        Ok(true)
    }
}
