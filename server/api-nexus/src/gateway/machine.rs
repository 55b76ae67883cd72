//! A gateway session as a fold over the log: pure, so that the same commits give the same dispatches with
//! the same numbers, whenever and however often they are folded.
//!
//! **Shapes**: facts of a commit and the channels its user may view in, numbered dispatches out.
//! **Invariant**: a machine restored from any checkpoint and fed the commits after it continues exactly as
//! the original did. Dispatches that are not in the log (typing) have no number of their own.

use std::{collections::BTreeSet, sync::Arc};

use nexus_event_store::{Position, RoomNo, Snowflake, UserNo};

use super::{
    fact::{CommitFacts, Fact, Rights, What},
    intents::Intents,
};

/// Which part of the guilds a session is for: (id, count).
pub(crate) type Shard = (u64, u64);

/// Whether a guild is in a shard.
pub(crate) fn in_shard(guild: Snowflake, shard: Option<Shard>) -> bool {
    shard.is_none_or(|(id, count)| (guild.0 >> 22) % count.max(1) == id)
}

/// Where a session is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionMachine {
    pub(crate) user: UserNo,
    pub(crate) intents: Intents,
    pub(crate) shard: Option<Shard>,
    /// The number of the last dispatch; 0 before READY.
    pub(crate) seq: u64,
    /// The last commit folded.
    pub(crate) position: Position,
    /// The guilds the session knows its user to be in.
    pub(crate) guilds: BTreeSet<RoomNo>,
    /// After which commits, from here on, a RESUMED took a number; in order.
    pub(crate) resumed_at: Vec<Position>,
}

/// What is dispatched.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Ready,
    Resumed,
    GuildCreate(RoomNo),
    GuildDelete(Snowflake),
    /// A channel that came into the user's view, or went out of it.
    ChannelSight {
        guild: RoomNo,
        channel: RoomNo,
        is_seen: bool,
    },
    Fact(Arc<CommitFacts>, usize),
}

/// A numbered dispatch.
#[derive(Clone, Debug)]
pub(crate) struct Dispatch {
    pub(crate) seq: u64,
    pub(crate) kind: Kind,
}

impl SessionMachine {
    /// READY and a GUILD_CREATE for each guild, unless that has been.
    pub(crate) fn begin(&mut self) -> Vec<Dispatch> {
        let mut out = Vec::new();
        if self.seq > 0 {
            self.pass_marks(&mut out);
            return out;
        }
        out.push(self.number(Kind::Ready));
        if self.intents.contains(Intents::GUILDS) {
            for guild in self.guilds.clone() {
                out.push(self.number(Kind::GuildCreate(guild)));
            }
        }
        self.pass_marks(&mut out);
        out
    }

    /// Goes past a commit that means nothing to the session.
    pub(crate) fn skip(&mut self, position: Position) -> Vec<Dispatch> {
        let mut out = Vec::new();
        self.position = self.position.max(position);
        self.pass_marks(&mut out);
        out
    }

    /// A client has resumed here: the RESUMED it gets takes a number, which a later fold must leave for it.
    pub(crate) fn resume_here(&mut self) -> (Position, Dispatch) {
        (self.position, self.number(Kind::Resumed))
    }

    fn pass_marks(&mut self, out: &mut Vec<Dispatch>) {
        while self.resumed_at.first().is_some_and(|mark| *mark <= self.position) {
            self.resumed_at.remove(0);
            out.push(self.number(Kind::Resumed));
        }
    }

    /// Folds a commit. `visible` holds the channels of its facts that the user may view,
    /// and the guilds whose moderation the user may see.
    pub(crate) fn step(&mut self, commit: &Arc<CommitFacts>, visible: &BTreeSet<RoomNo>) -> Vec<Dispatch> {
        self.position = self.position.max(commit.position);
        let mut out = Vec::new();
        // What a guild was when one came into it is all in its GUILD_CREATE.
        let mut entered = Vec::new();
        for (index, fact) in commit.facts.iter().enumerate() {
            let is_in = self.guilds.contains(&fact.guild);
            match &fact.what {
                What::MemberJoined(user) if *user == self.user => {
                    let is_new = !is_in && !entered.contains(&fact.guild);
                    entered.extend((is_new && in_shard(fact.guild_id, self.shard)).then_some(fact.guild));
                }
                What::MemberLeft(user) if *user == self.user => {
                    entered.retain(|guild| *guild != fact.guild);
                    if is_in {
                        self.leave(fact, &mut out);
                    }
                }
                What::GuildDeleted if is_in => self.leave(fact, &mut out),
                what if is_in && self.hears(fact, visible) => {
                    let kind = Kind::Fact(Arc::clone(commit), index);
                    let transient = what.is_transient();
                    out.push(if transient { Dispatch { seq: self.seq, kind } } else { self.number(kind) });
                }
                _ => {}
            }
        }
        for guild in entered {
            self.guilds.insert(guild);
            if self.intents.contains(Intents::GUILDS) {
                out.push(self.number(Kind::GuildCreate(guild)));
            }
        }
        self.pass_marks(&mut out);
        out
    }

    fn leave(&mut self, fact: &Fact, out: &mut Vec<Dispatch>) {
        self.guilds.remove(&fact.guild);
        if self.intents.contains(Intents::GUILDS) {
            out.push(self.number(Kind::GuildDelete(fact.guild_id)));
        }
    }

    fn hears(&self, fact: &Fact, visible: &BTreeSet<RoomNo>) -> bool {
        let about_me = matches!(fact.what, What::MemberChanged(user) if user == self.user);
        (about_me || self.intents.contains(fact.what.intent()))
            && fact.gate().is_none_or(|room| visible.contains(&room))
    }

    fn number(&mut self, kind: Kind) -> Dispatch {
        self.seq += 1;
        Dispatch { seq: self.seq, kind }
    }

    /// What of a commit may change which channels the user sees, in the guilds the session is in.
    pub(crate) fn changed_sight(&self, commit: &CommitFacts) -> Vec<Rights> {
        let concerns_user = |rights: &&Rights| match rights {
            Rights::Guild(guild) | Rights::Role(guild, _) | Rights::Channel(guild, _) => {
                self.guilds.contains(guild)
            }
            Rights::Member(guild, user) => *user == self.user && self.guilds.contains(guild),
        };
        commit.rights.iter().filter(concerns_user).copied().collect()
    }

    /// Tells of a channel that came into view or went out of it.
    pub(crate) fn tell_sight(&mut self, guild: RoomNo, channel: RoomNo, is_seen: bool) -> Option<Dispatch> {
        let hears = self.guilds.contains(&guild) && self.intents.contains(Intents::GUILDS);
        hears.then(|| self.number(Kind::ChannelSight { guild, channel, is_seen }))
    }

    /// Whether folding the commit later than it happened could see other channels than then: permissions
    /// are read as they stand now.
    pub(crate) fn cannot_replay(&self, commit: &CommitFacts) -> bool {
        let leaves = |fact: &Fact| match fact.what {
            What::MemberLeft(user) => user == self.user,
            What::GuildDeleted => true,
            _ => false,
        };
        let left = commit.facts.iter().any(|fact| self.guilds.contains(&fact.guild) && leaves(fact));
        left || !self.changed_sight(commit).is_empty()
    }
}

#[cfg(test)]
mod tests;
