//! Who is typing: never in the log, gone with the process.
//!
//! **Bound**: one entry and one timer per (room, user) that is typing, for at most [`TIMEOUT_MAX`] since the
//! last claim, and one number per room in which anybody has typed.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
    time::Duration,
};

use nexus_event_store::{RoomNo, Store, UserNo, feed::Topic};
use parking_lot::Mutex;

/// The longest time a client may claim to be typing at once.
pub(crate) const TIMEOUT_MAX: Duration = Duration::from_secs(120);

#[derive(Default)]
struct Room {
    /// Until when, on the monotonic clock.
    until: BTreeMap<UserNo, Duration>,
    changed: u64,
}

#[derive(Default)]
struct State {
    rooms: BTreeMap<RoomNo, Room>,
    version: u64,
    epoch: u64,
}

/// The typing state of all rooms.
pub struct Typing {
    store: Store,
    state: Mutex<State>,
}

impl Typing {
    pub(crate) fn new(store: Store) -> Self {
        // Versions of an earlier process must not be mistaken for this one's.
        let epoch = store.world().now().0 << 20;
        let state = State { version: epoch, epoch, ..State::default() };
        Self { store, state: Mutex::new(state) }
    }

    /// `user` types in `room` for `timeout` from now, or has stopped.
    pub fn set(self: &Arc<Self>, room: RoomNo, user: UserNo, timeout: Option<Duration>) {
        let now = self.store.world().clock.monotonic();
        let changed = {
            let mut state = self.state.lock();
            let entry = state.rooms.entry(room).or_default().until.entry(user);
            match (entry, timeout) {
                (Entry::Occupied(mut until), Some(timeout)) => {
                    until.insert(now + timeout.min(TIMEOUT_MAX));
                    false
                }
                (Entry::Vacant(until), Some(timeout)) => {
                    until.insert(now + timeout.min(TIMEOUT_MAX));
                    self.start_timer(room, user, timeout.min(TIMEOUT_MAX));
                    true
                }
                (Entry::Occupied(until), None) => {
                    until.remove();
                    true
                }
                (Entry::Vacant(_), None) => false,
            }
        };
        if changed {
            self.touch(room);
        }
    }

    /// Ends the entry when its time is over; a claim that was renewed meanwhile is waited for again.
    fn start_timer(self: &Arc<Self>, room: RoomNo, user: UserNo, timeout: Duration) {
        let typing = Arc::clone(self);
        let clock = Arc::clone(&self.store.world().clock);
        self.store.world().spawn("typing-timeout", async move {
            let mut left = timeout;
            while !left.is_zero() {
                clock.sleep(left).await;
                left = typing.left(room, user);
            }
        });
    }

    /// How long the entry has to live; one whose time is over is ended.
    fn left(&self, room: RoomNo, user: UserNo) -> Duration {
        let now = self.store.world().clock.monotonic();
        {
            let mut state = self.state.lock();
            let Some(entry) = state.rooms.get_mut(&room) else { return Duration::ZERO };
            let Some(until) = entry.until.get(&user) else { return Duration::ZERO };
            if *until > now {
                return *until - now;
            }
            entry.until.remove(&user);
        }
        self.touch(room);
        Duration::ZERO
    }

    fn touch(&self, room: RoomNo) {
        {
            let mut state = self.state.lock();
            state.version += 1;
            let version = state.version;
            state.rooms.entry(room).or_default().changed = version;
        }
        self.store.feed().wake(Topic::Room(room));
    }

    /// Who is typing in `room`.
    pub(crate) fn in_room(&self, room: RoomNo) -> Vec<UserNo> {
        let now = self.store.world().clock.monotonic();
        let state = self.state.lock();
        let entry = state.rooms.get(&room);
        let typing = entry.into_iter().flat_map(|entry| &entry.until).filter(|(_, until)| **until > now);
        typing.map(|(user, _)| *user).collect()
    }

    pub(crate) fn version(&self) -> u64 {
        self.state.lock().version
    }

    pub(crate) fn changed_since(&self, room: RoomNo, version: u64) -> bool {
        let state = self.state.lock();
        match state.rooms.get(&room) {
            Some(entry) => entry.changed > version,
            // A version of an earlier process: whoever was typing then has stopped.
            None => version < state.epoch,
        }
    }
}
