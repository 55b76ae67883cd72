//! What was committed, as it happens: consumers hold a position and are woken when there is more.
//!
//! The feed never carries data that is not in the store; it only tells that something new concerns a
//! [`Topic`]. A consumer that was asleep reads the stream from its own cursor, so nothing is lost however
//! slow it is, and no queue grows. **Bound**: one pending wake-up per subscriber, [`RECENT_COMMITS`] commits
//! kept in memory.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    ids::{Position, RoomNo, UserNo},
    rows::EventPlace,
};

/// How many commits are kept in memory for consumers that are nearly up to date.
pub const RECENT_COMMITS: usize = 4096;

/// What a commit concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Something happened in a room (also typing, which is not in the log).
    Room(RoomNo),
    /// Something happened to a user: a membership, an account record.
    User(UserNo),
}

/// A durable commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its position.
    pub position: Position,
    /// Its events.
    pub events: Vec<EventPlace>,
}

#[derive(Default)]
struct Inner {
    topics: BTreeMap<Topic, BTreeMap<u64, Weak<Notify>>>,
    recent: VecDeque<Arc<Commit>>,
}

/// The announcements of one store.
#[derive(Default)]
pub struct Feed {
    inner: Mutex<Inner>,
    visible: AtomicU64,
    next_subscriber: AtomicU64,
}

impl Feed {
    /// The newest durable position.
    pub fn visible(&self) -> Position {
        Position(self.visible.load(Ordering::Acquire))
    }

    /// Makes everything up to `position` visible (at start-up).
    pub(crate) fn start_at(&self, position: Position) {
        self.visible.store(position.0, Ordering::Release);
    }

    /// Announces a durable commit.
    pub(crate) fn publish(&self, commit: Arc<Commit>, topics: &[Topic]) {
        let mut inner = self.inner.lock();
        if inner.recent.len() == RECENT_COMMITS {
            inner.recent.pop_front();
        }
        let position = commit.position;
        inner.recent.push_back(commit);
        self.visible.store(position.0, Ordering::Release);
        wake(&inner, topics);
    }

    /// Wakes whoever follows `topic` without anything new in the log (typing and the like).
    pub fn wake(&self, topic: Topic) {
        wake(&self.inner.lock(), &[topic]);
    }

    /// The commits after `cursor`, oldest first, if all of them are still in memory.
    pub fn recent_after(&self, cursor: Position) -> Option<Vec<Arc<Commit>>> {
        let inner = self.inner.lock();
        if cursor >= self.visible() {
            return Some(Vec::new());
        }
        let first = inner.recent.front()?.position;
        // Positions in memory are consecutive, so the offset is the index.
        let skip = cursor.next().0.checked_sub(first.0)?;
        Some(inner.recent.iter().skip(usize::try_from(skip).ok()?).cloned().collect())
    }

    /// A new subscriber that follows nothing yet.
    pub fn subscribe(self: &Arc<Self>) -> Subscriber {
        Subscriber {
            feed: Arc::clone(self),
            number: self.next_subscriber.fetch_add(1, Ordering::Relaxed),
            notify: Arc::new(Notify::new()),
            topics: BTreeSet::new(),
        }
    }
}

fn wake(inner: &Inner, topics: &[Topic]) {
    for subscribers in topics.iter().filter_map(|topic| inner.topics.get(topic)) {
        subscribers.values().filter_map(Weak::upgrade).for_each(|notify| notify.notify_one());
    }
}

/// Someone who wants to know; follows topics until dropped.
pub struct Subscriber {
    feed: Arc<Feed>,
    number: u64,
    notify: Arc<Notify>,
    topics: BTreeSet<Topic>,
}

impl Subscriber {
    /// Follows `topic` too. What was announced before the call is not told.
    pub fn follow(&mut self, topic: Topic) {
        if self.topics.insert(topic) {
            let mut inner = self.feed.inner.lock();
            inner.topics.entry(topic).or_default().insert(self.number, Arc::downgrade(&self.notify));
        }
    }

    /// No longer follows `topic`.
    pub fn unfollow(&mut self, topic: Topic) {
        if self.topics.remove(&topic) {
            forget(&mut self.feed.inner.lock(), topic, self.number);
        }
    }

    /// Resolves once something that is followed was announced since the last call.
    pub async fn changed(&self) {
        self.notify.notified().await;
    }
}

fn forget(inner: &mut Inner, topic: Topic, number: u64) {
    if let Some(subscribers) = inner.topics.get_mut(&topic) {
        subscribers.remove(&number);
        if subscribers.is_empty() {
            inner.topics.remove(&topic);
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let mut inner = self.feed.inner.lock();
        for topic in std::mem::take(&mut self.topics) {
            forget(&mut inner, topic, self.number);
        }
    }
}
