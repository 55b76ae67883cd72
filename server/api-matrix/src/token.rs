//! The opaque tokens of `/sync` and `/messages`.
//!
//! **Shapes**: `s1_<position>_<typing>` is a moment: everything up to a stream position, and of what is not
//! logged (typing) a counter whose upper bits name the run of the server that counted.
//! `t1_<position>_<index>` is a gap in a room's timeline, just before the item of that key. Clients get
//! both where a page may go on, and `/messages` takes either.
//! **Errors**: what does not read back is [`BadToken`]; nothing in a token is trusted beyond its numbers.

use std::{fmt, str::FromStr};

use nexus_event_store::Position;
use nexus_views::TimelineKey;

/// A token that this server did not make, or of a format it no longer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadToken;

/// How far a client has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SyncToken {
    /// The newest commit it was told of.
    pub(crate) position: Position,
    /// The typing version it was told of.
    pub(crate) typing: u64,
}

impl fmt::Display for SyncToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s1_{}_{}", self.position, self.typing)
    }
}

impl FromStr for SyncToken {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        let (position, typing) =
            text.strip_prefix("s1_").and_then(|rest| rest.split_once('_')).ok_or(BadToken)?;
        let token = Self { position: Position(decimal(position)?), typing: decimal(typing)? };
        // One moment has one token: `+1` and leading zeros are not ours.
        (token.to_string() == text).then_some(token).ok_or(BadToken)
    }
}

/// A gap in a timeline: before the item with this key, after everything smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap(pub(crate) TimelineKey);

impl Gap {
    /// Before everything.
    pub(crate) const START: Gap = Gap(TimelineKey { position: Position::START, index: 0 });

    /// The gap after everything up to `position`.
    pub(crate) fn after_position(position: Position) -> Self {
        Gap(TimelineKey::start_of(position.next()))
    }

    /// The gap after the item of `key`.
    pub(crate) fn after(key: TimelineKey) -> Self {
        match key.index.checked_add(1) {
            Some(index) => Gap(TimelineKey { position: key.position, index }),
            None => Gap(TimelineKey::start_of(key.position.next())),
        }
    }

    /// The greatest key before the gap that an item can have; `None` before the first one.
    pub(crate) fn last_before(self) -> Option<TimelineKey> {
        let TimelineKey { position, index } = self.0;
        match index.checked_sub(1) {
            Some(index) => Some(TimelineKey { position, index }),
            None => {
                let position = Position(position.0.checked_sub(1)?);
                Some(TimelineKey { position, index: u8::MAX })
            }
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t1_{}_{}", self.0.position, self.0.index)
    }
}

impl FromStr for Gap {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        if let Ok(token) = text.parse::<SyncToken>() {
            return Ok(Gap::after_position(token.position));
        }
        let (position, index) =
            text.strip_prefix("t1_").and_then(|rest| rest.split_once('_')).ok_or(BadToken)?;
        let position = Position(decimal(position)?);
        let gap = Gap(TimelineKey { position, index: index.parse().map_err(|_| BadToken)? });
        (gap.to_string() == text).then_some(gap).ok_or(BadToken)
    }
}

/// A number below 2^63: what follows it must still be a number.
fn decimal(part: &str) -> Result<u64, BadToken> {
    part.parse().ok().filter(|number| *number < 1 << 63).ok_or(BadToken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(position: u64, index: u8) -> TimelineKey {
        TimelineKey { position: Position(position), index }
    }

    #[test]
    fn tokens_read_back() {
        let moment = SyncToken { position: Position(41), typing: 7 };
        assert_eq!(moment.to_string(), "s1_41_7");
        assert_eq!("s1_41_7".parse(), Ok(moment));
        assert_eq!("t1_41_3".parse(), Ok(Gap(key(41, 3))));
        assert_eq!("s1_41_7".parse(), Ok(Gap(key(42, 0))), "a moment is the gap after it");
    }

    #[test]
    fn foreign_tokens_are_refused() {
        for text in [
            "",
            "garbage",
            "s1",
            "s1_",
            "s1_1",
            "s1_1_2_3",
            "s2_1_2",
            "s1_-1_0",
            "s1_+1_0",
            "s1_01_0",
            "s1_18446744073709551615_0",
            "t1_1",
            "t1_1_256",
            "t1_1_-1",
            "t1_1_1_1",
            "t1_a_1",
            "\u{0}\u{fffd}",
        ] {
            assert_eq!(text.parse::<SyncToken>(), Err(BadToken), "{text:?}");
            assert_eq!(text.parse::<Gap>(), Err(BadToken), "{text:?}");
        }
    }

    #[test]
    fn gaps_lie_between_keys() {
        assert_eq!(Gap::after(key(5, 0)), Gap(key(5, 1)));
        assert_eq!(Gap::after(key(5, 255)), Gap(key(6, 0)));
        assert_eq!(Gap(key(5, 1)).last_before(), Some(key(5, 0)));
        assert_eq!(Gap(key(5, 0)).last_before(), Some(key(4, 255)));
        assert_eq!(Gap(key(0, 0)).last_before(), None);
        for index in [0, 7, 255] {
            assert_eq!(Gap::after(key(9, index)).last_before(), Some(key(9, index)));
        }
    }
}
