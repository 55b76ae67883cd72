//! Messages as they stand: with their newest edit and their reactions.

use std::{collections::BTreeMap, sync::Arc};

use nexus_event_store::{
    EventNo, RoomNo, Rows as _, Scan, Snowflake, UserNo,
    catalogue::RemovedBy,
    rows::{EventPlace, SnowflakeRow},
};
use ruma::EventId;
use serde_json::Value;

use crate::{
    Event, ViewError, Views,
    project::relation,
    rows::{MessageRow, Messages, Reactions},
    threads::ThreadMessages,
};

/// What a redaction took away.
pub use nexus_event_store::rows::RemovedRow as Removed;

/// A message as it stands.
#[derive(Clone, Debug)]
pub struct Message {
    /// The message's event.
    pub event: Arc<Event>,
    /// Its snowflake.
    pub id: Snowflake,
    /// Who wrote it.
    pub author: UserNo,
    /// The newest valid edit.
    pub edit: Option<Arc<Event>>,
    /// Its reactions, oldest emoji first.
    pub reactions: Vec<ReactionCount>,
}

/// One emoji on a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReactionCount {
    /// The emoji, or a custom emoji's key.
    pub key: String,
    /// How many users.
    pub count: usize,
    /// Who, oldest first.
    pub users: Vec<UserNo>,
}

/// Which messages of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The newest.
    Newest,
    /// The newest before this one.
    Before(Snowflake),
    /// The oldest after this one.
    After(Snowflake),
    /// Half before, half after, with it in between.
    Around(Snowflake),
}

impl Views {
    /// A message of a room.
    ///
    /// # Errors
    /// Store errors.
    pub async fn message(&self, room: RoomNo, id: Snowflake) -> Result<Option<Message>, ViewError> {
        if let Some(row) = self.store.row::<Messages>(&(room, id)).await? {
            return self.assemble(room, id, row).await.map(Some);
        }
        let Some(SnowflakeRow::Message(place)) = self.lookup(id).await? else { return Ok(None) };
        if place.room != room {
            return Ok(None);
        }
        let Some(root) = self.thread_of(&*self.event(place).await?).await? else { return Ok(None) };
        match self.store.row::<ThreadMessages>(&(room, root, id)).await? {
            Some(row) => self.assemble(room, id, row).await.map(Some),
            None => Ok(None),
        }
    }

    /// The root of the thread that a message is (or was) in.
    ///
    /// # Errors
    /// Store errors.
    pub async fn thread_of(&self, event: &Event) -> Result<Option<EventNo>, ViewError> {
        if let Some(by) = event.redacted_by {
            let removed = self.removed_by(EventPlace { room: event.room, event: by }).await?;
            let Some(Removed::ThreadMessage(_, root)) = removed else { return Ok(None) };
            return Ok(match self.lookup(root).await? {
                Some(SnowflakeRow::Message(place)) => Some(place.event),
                _ => None,
            });
        }
        let content: Value = event.pdu.content_as().unwrap_or_default();
        let Some(("m.thread", root)) = relation(&content) else { return Ok(None) };
        let Ok(root) = <&EventId>::try_from(root) else { return Ok(None) };
        let place = self.reader().place(root).await?;
        Ok(place.filter(|place| place.room == event.room && place.event < event.no).map(|place| place.event))
    }

    /// A page of a thread's messages, newest first.
    ///
    /// # Errors
    /// Store errors.
    pub async fn messages_in_thread(
        &self,
        room: RoomNo,
        root: EventNo,
        page: Page,
        limit: usize,
    ) -> Result<Vec<Message>, ViewError> {
        let all = Scan::prefix::<ThreadMessages>(&(room, root));
        let key = |id: Snowflake| (room, root, id);
        let scans = match page {
            Page::Newest => vec![all.reverse().limit(limit)],
            Page::Before(id) => vec![all.until::<ThreadMessages>(&key(id)).reverse().limit(limit)],
            Page::After(id) => vec![all.after::<ThreadMessages>(&key(id)).limit(limit)],
            Page::Around(id) => vec![
                all.clone().from::<ThreadMessages>(&key(id)).limit(limit / 2 + 1),
                all.until::<ThreadMessages>(&key(id)).reverse().limit(limit / 2),
            ],
        };
        let mut rows = Vec::new();
        for scan in scans {
            rows.extend(self.store.scan::<ThreadMessages>(scan).await?);
        }
        rows.sort_unstable_by_key(|((_, _, id), _)| std::cmp::Reverse(*id));
        let mut messages = Vec::with_capacity(rows.len());
        for ((_, _, id), row) in rows {
            messages.push(self.assemble(room, id, row).await?);
        }
        Ok(messages)
    }

    /// The message that an event is, if it is one that is shown.
    ///
    /// # Errors
    /// Store errors.
    pub async fn message_of(&self, place: EventPlace) -> Result<Option<Message>, ViewError> {
        match self.event(place).await?.snowflake {
            Some(id) => self.message(place.room, id).await,
            None => Ok(None),
        }
    }

    /// A page of messages, newest first.
    ///
    /// # Errors
    /// Store errors.
    pub async fn messages(&self, room: RoomNo, page: Page, limit: usize) -> Result<Vec<Message>, ViewError> {
        let all = Scan::prefix::<Messages>(&room);
        let mut rows = match page {
            Page::Newest => self.store.scan::<Messages>(all.reverse().limit(limit)).await?,
            Page::Before(id) => {
                self.store.scan::<Messages>(all.until::<Messages>(&(room, id)).reverse().limit(limit)).await?
            }
            Page::After(id) => {
                self.store.scan::<Messages>(all.after::<Messages>(&(room, id)).limit(limit)).await?
            }
            Page::Around(id) => {
                let newer = all.clone().from::<Messages>(&(room, id)).limit(limit / 2 + 1);
                let mut rows = self.store.scan::<Messages>(newer).await?;
                let older =
                    all.until::<Messages>(&(room, id)).reverse().limit(limit.saturating_sub(rows.len()));
                rows.extend(self.store.scan::<Messages>(older).await?);
                rows
            }
        };
        rows.sort_unstable_by_key(|((_, id), _)| std::cmp::Reverse(*id));
        let mut messages = Vec::with_capacity(rows.len());
        for ((_, id), row) in rows {
            messages.push(self.assemble(room, id, row).await?);
        }
        Ok(messages)
    }

    async fn assemble(&self, room: RoomNo, id: Snowflake, row: MessageRow) -> Result<Message, ViewError> {
        let event = self.event(EventPlace { room, event: row.event }).await?;
        let edit = match row.edit {
            Some(edit) => Some(self.event(EventPlace { room, event: edit.event }).await?),
            None => None,
        };
        let reactions = self.reactions(room, row.event).await?;
        Ok(Message { event, id, author: row.author, edit, reactions })
    }

    /// The reactions to an event, oldest emoji first.
    ///
    /// # Errors
    /// Store errors.
    pub async fn reactions(&self, room: RoomNo, target: EventNo) -> Result<Vec<ReactionCount>, ViewError> {
        let rows = self.store.scan::<Reactions>(Scan::prefix::<Reactions>(&(room, target))).await?;
        let mut by_key: BTreeMap<String, Vec<(EventNo, UserNo)>> = BTreeMap::new();
        for ((_, _, key, user), event) in rows {
            by_key.entry(key).or_default().push((event, user));
        }
        let mut ordered: Vec<(EventNo, ReactionCount)> = by_key
            .into_iter()
            .filter_map(|(key, mut users)| {
                users.sort_unstable();
                let first = users.first()?.0;
                let users: Vec<UserNo> = users.into_iter().map(|(_, user)| user).collect();
                Some((first, ReactionCount { key, count: users.len(), users }))
            })
            .collect();
        ordered.sort_by_key(|(first, _)| *first);
        Ok(ordered.into_iter().map(|(_, count)| count).collect())
    }

    /// The reaction event of a user with `key` on `target`.
    ///
    /// # Errors
    /// Store errors.
    pub async fn reaction(
        &self,
        room: RoomNo,
        target: EventNo,
        key: &str,
        user: UserNo,
    ) -> Result<Option<EventNo>, ViewError> {
        self.store.row::<Reactions>(&(room, target, key.to_owned(), user)).await
    }

    /// The newest valid edit of a message event.
    ///
    /// # Errors
    /// Store errors.
    pub async fn edit_of(&self, event: &Event) -> Result<Option<Arc<Event>>, ViewError> {
        let Some(id) = event.snowflake else { return Ok(None) };
        let mut row = self.store.row::<Messages>(&(event.room, id)).await?;
        if row.is_none()
            && let Some(root) = self.thread_of(event).await?
        {
            row = self.store.row::<ThreadMessages>(&(event.room, root, id)).await?;
        }
        match row.and_then(|row| row.edit) {
            Some(edit) => self.event(EventPlace { room: event.room, event: edit.event }).await.map(Some),
            None => Ok(None),
        }
    }

    /// What a redaction took away, if it took effect.
    ///
    /// # Errors
    /// Store errors.
    pub async fn removed_by(&self, redaction: EventPlace) -> Result<Option<Removed>, ViewError> {
        self.store.row::<RemovedBy>(&(redaction.room, redaction.event)).await
    }
}
