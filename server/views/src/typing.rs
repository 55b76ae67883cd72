//! Who is typing: never in the log, gone with the process.
//!
//! **Bound**: one entry per (room, user) that typed; an entry ends by its timeout, at most
//! [`TIMEOUT_MAX`], and a room's last entry takes the room with it once its end has been seen.

use std::{collections::BTreeMap, time::Duration};

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

    /// `user` types in `room` for `timeout` from now, or has stopped. Tells whether that changed anything.
    pub fn set(self: &std::sync::Arc<Self>, room: RoomNo, user: UserNo, timeout: Option<Duration>) -> bool {
        let world = self.store.world();
        let now = world.clock.monotonic();
        let changed = {
            let mut state = self.state.lock();
            let entry = state.rooms.entry(room).or_default();
            match timeout {
                Some(timeout) => entry.until.insert(user, now + timeout.min(TIMEOUT_MAX)).is_none(),
                None => entry.until.remove(&user).is_some(),
            }
        };
        if changed {
            self.touch(room);
        }
        if let Some(timeout) = timeout {
            let sleep = world.clock.sleep(timeout.min(TIMEOUT_MAX));
            let typing = std::sync::Arc::clone(self);
            world.spawn("typing-timeout", async move {
                sleep.await;
                typing.expire(room);
            });
        }
        changed
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

    fn expire(&self, room: RoomNo) {
        let now = self.store.world().clock.monotonic();
        let ended = {
            let mut state = self.state.lock();
            let Some(entry) = state.rooms.get_mut(&room) else { return };
            let before = entry.until.len();
            entry.until.retain(|_, until| *until > now);
            entry.until.len() != before
        };
        if ended {
            self.touch(room);
        }
    }

    /// Who is typing in `room`.
    pub(crate) fn in_room(&self, room: RoomNo) -> Vec<UserNo> {
        let now = self.store.world().clock.monotonic();
        let state = self.state.lock();
        let entry = state.rooms.get(&room);
        entry.into_iter().flat_map(|entry| &entry.until).filter(|(_, until)| **until > now).map(|(user, _)| *user).collect()
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
