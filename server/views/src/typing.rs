//! Who is typing: never in the log, gone with the process.
//!
//! **Bound**: one claim and one timer per (room, user) that is typing, for at most [`TIMEOUT_MAX`] since the
//! last claim, and one number per room in which anybody has typed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use nexus_event_store::{RoomNo, Store, UserNo, feed::Topic};
use parking_lot::Mutex;

/// The longest time a client may claim to be typing at once.
pub(crate) const TIMEOUT_MAX: Duration = Duration::from_secs(120);

#[derive(Clone, Copy)]
struct Claim {
    /// Until when, on the monotonic clock.
    until: Duration,
    /// The version that the newest claim made.
    version: u64,
}

#[derive(Default)]
struct Room {
    claims: BTreeMap<UserNo, Claim>,
    /// Whose end somebody is waiting for.
    timers: BTreeSet<UserNo>,
    /// The version when somebody last began or stopped.
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
        let timeout = timeout.map(|timeout| timeout.min(TIMEOUT_MAX));
        let needs_timer = {
            let mut state = self.state.lock();
            let version = state.version + 1;
            let entry = state.rooms.entry(room).or_default();
            let before = match timeout {
                Some(timeout) => entry.claims.insert(user, Claim { until: now + timeout, version }),
                None => entry.claims.remove(&user),
            };
            if before.is_none() && timeout.is_none() {
                return;
            }
            if before.is_none() || timeout.is_none() {
                entry.changed = version;
            }
            let needs_timer = timeout.is_some() && entry.timers.insert(user);
            state.version = version;
            needs_timer
        };
        self.store.feed().wake(Topic::Room(room));
        if let Some(timeout) = timeout.filter(|_| needs_timer) {
            self.start_timer(room, user, timeout);
        }
    }

    /// Ends a claim when its time is over; one that was renewed meanwhile is waited for again.
    fn start_timer(self: &Arc<Self>, room: RoomNo, user: UserNo, timeout: Duration) {
        let typing = Arc::clone(self);
        let clock = Arc::clone(&self.store.world().clock);
        self.store.world().spawn("typing-timeout", async move {
            let mut left = Some(timeout);
            while let Some(time) = left {
                clock.sleep(time).await;
                left = typing.left(room, user);
            }
        });
    }

    /// How long a claim has to live; one whose time is over is ended, and its timer with it.
    fn left(&self, room: RoomNo, user: UserNo) -> Option<Duration> {
        let now = self.store.world().clock.monotonic();
        {
            let mut state = self.state.lock();
            let version = state.version + 1;
            let entry = state.rooms.get_mut(&room)?;
            match entry.claims.get(&user) {
                Some(claim) if claim.until > now => return Some(claim.until - now),
                Some(_) => {
                    entry.claims.remove(&user);
                    entry.timers.remove(&user);
                    entry.changed = version;
                    state.version = version;
                }
                None => {
                    entry.timers.remove(&user);
                    return None;
                }
            }
        }
        self.store.feed().wake(Topic::Room(room));
        None
    }

    /// Who is typing in `room`.
    pub(crate) fn in_room(&self, room: RoomNo) -> Vec<UserNo> {
        self.claimed_since(room, 0)
    }

    /// Who is typing in `room` and has said so after `version`.
    pub(crate) fn claimed_since(&self, room: RoomNo, version: u64) -> Vec<UserNo> {
        let now = self.store.world().clock.monotonic();
        let state = self.state.lock();
        let claims = state.rooms.get(&room).into_iter().flat_map(|entry| &entry.claims);
        let typing = claims.filter(|(_, claim)| claim.until > now && claim.version > version);
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
