//! What is kept of a session so that it can be resumed: where its fold over the log is.
//!
//! **Shapes**: number and position are fields of the record; the rest is a version byte and postcard.
//! **Invariant**: a checkpoint never lies past what the client has acknowledged, so that everything the
//! client may still ask for comes after it.

use std::collections::{BTreeSet, VecDeque};

use nexus_accounts::GatewaySession;
use nexus_event_store::{Position, RoomNo};
use serde::{Deserialize, Serialize};

use super::{
    intents::Intents,
    machine::{SessionMachine, Shard},
};

const VERSION: u8 = 1;

/// How far apart places to go back to are, in dispatches, and how many are kept.
const BOOKMARK_EVERY: u64 = 64;
const BOOKMARKS: usize = 64;

/// What the record's `state` holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) intents: u64,
    pub(crate) shard: Option<Shard>,
    pub(crate) large_threshold: u64,
    pub(crate) guilds: BTreeSet<RoomNo>,
    pub(crate) resumed_at: Vec<Position>,
}

/// What identifies a session beside its place in the log.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    pub(crate) id: String,
    pub(crate) device: String,
    pub(crate) large_threshold: u64,
}

/// The record of a session whose fold is at `machine`.
pub(crate) fn record(label: &Label, machine: &SessionMachine) -> GatewaySession {
    let kept = Kept {
        intents: machine.intents.0,
        shard: machine.shard,
        large_threshold: label.large_threshold,
        guilds: machine.guilds.clone(),
        resumed_at: machine.resumed_at.clone(),
    };
    let state = postcard::to_extend(&kept, vec![VERSION]).expect("writing integers to memory cannot fail");
    GatewaySession {
        id: label.id.clone(),
        user: machine.user,
        device: label.device.clone(),
        seq: machine.seq,
        position: machine.position,
        state,
    }
}

/// The fold of a record, if this version can read it.
pub(crate) fn restore(record: GatewaySession) -> Option<(Label, SessionMachine)> {
    let (version, bytes) = record.state.split_first()?;
    if *version != VERSION {
        return None;
    }
    let kept: Kept = postcard::from_bytes(bytes).ok()?;
    let machine = SessionMachine {
        user: record.user,
        intents: Intents::parse(kept.intents)?,
        shard: kept.shard,
        seq: record.seq,
        position: record.position,
        guilds: kept.guilds,
        resumed_at: kept.resumed_at,
    };
    Some((Label { id: record.id, device: record.device, large_threshold: kept.large_threshold }, machine))
}

/// Where in a session's fold a checkpoint may be.
#[derive(Debug)]
pub(crate) struct Bookmarks {
    /// The furthest place known to be acknowledged.
    base: SessionMachine,
    /// Later places, to become the base once they are.
    places: VecDeque<SessionMachine>,
    acknowledged: u64,
}

impl Bookmarks {
    /// The client has seen `acknowledged` dispatches of a fold that goes on from `base`.
    pub(crate) fn new(base: SessionMachine, acknowledged: u64) -> Self {
        Self { base, places: VecDeque::new(), acknowledged }
    }

    /// The client has seen everything up to `seq`.
    pub(crate) fn acknowledge(&mut self, seq: u64) {
        self.acknowledged = self.acknowledged.max(seq);
        while self.places.front().is_some_and(|place| place.seq <= self.acknowledged)
            && let Some(place) = self.places.pop_front()
        {
            self.base = place;
        }
    }

    /// Remembers where the fold is, now and then.
    pub(crate) fn note(&mut self, machine: &SessionMachine) {
        if machine.seq <= self.acknowledged {
            self.base = machine.clone();
            return;
        }
        let last = self.places.back().map_or(self.base.seq, |last| last.seq);
        if machine.seq >= last + BOOKMARK_EVERY && self.places.len() < BOOKMARKS {
            self.places.push_back(machine.clone());
        }
    }

    /// A RESUMED took a number after the commit at `position`: every earlier place has it ahead of it.
    pub(crate) fn mark_resumed(&mut self, position: Position) {
        self.base.resumed_at.push(position);
        self.places.iter_mut().for_each(|place| place.resumed_at.push(position));
    }

    /// The furthest place a checkpoint may have; `now` is where the fold is.
    pub(crate) fn safe(&mut self, now: &SessionMachine) -> &SessionMachine {
        if now.seq <= self.acknowledged {
            self.base = now.clone();
        }
        &self.base
    }
}

/// What of a session was saved last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) seq: u64,
    pub(crate) position: Position,
}

#[cfg(test)]
mod tests {
    use nexus_event_store::UserNo;

    use super::*;

    fn machine(seq: u64) -> SessionMachine {
        SessionMachine {
            user: UserNo(3),
            intents: Intents::VALID,
            shard: Some((0, 2)),
            seq,
            position: Position(seq * 10),
            guilds: [RoomNo(1), RoomNo(9)].into(),
            resumed_at: vec![Position(7)],
        }
    }

    #[test]
    fn a_record_restores_the_fold() {
        let label = Label { id: "abc".to_owned(), device: "D".to_owned(), large_threshold: 250 };
        let (back, fold) = restore(record(&label, &machine(7))).unwrap();
        assert_eq!((back.id, back.device, back.large_threshold), ("abc".to_owned(), "D".to_owned(), 250));
        assert_eq!(fold, machine(7));
        let mut foreign = record(&label, &machine(7));
        foreign.state[0] = 99;
        assert!(restore(foreign).is_none());
    }

    #[test]
    fn a_checkpoint_stays_behind_what_was_acknowledged() {
        let mut bookmarks = Bookmarks::new(machine(0), 0);
        for seq in [10, 64, 100, 130, 200] {
            bookmarks.note(&machine(seq));
        }
        let now = machine(200);
        let mut safe = |acknowledged| {
            bookmarks.acknowledge(acknowledged);
            bookmarks.safe(&now).seq
        };
        assert_eq!(safe(63), 0);
        assert_eq!(safe(129), 64);
        assert_eq!(safe(199), 130);
        assert_eq!(safe(200), 200);
    }

    #[test]
    fn every_place_before_a_resume_knows_of_it() {
        let mut bookmarks = Bookmarks::new(machine(0), 0);
        bookmarks.note(&machine(64));
        bookmarks.mark_resumed(Position(700));
        let now = machine(100);
        assert_eq!(bookmarks.safe(&now).resumed_at, [Position(7), Position(700)]);
        bookmarks.acknowledge(64);
        assert_eq!(bookmarks.safe(&now).resumed_at, [Position(7), Position(700)]);
    }
}
