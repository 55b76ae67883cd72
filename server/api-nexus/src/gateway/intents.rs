//! Which events a session asked for.
//!
//! **Source**: `discord-api-docs`, "Gateway Intents".

/// A set of intent bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Intents(pub(crate) u64);

impl Intents {
    pub(crate) const GUILDS: Intents = Intents(1 << 0);
    pub(crate) const GUILD_MEMBERS: Intents = Intents(1 << 1);
    pub(crate) const GUILD_MODERATION: Intents = Intents(1 << 2);
    pub(crate) const GUILD_INVITES: Intents = Intents(1 << 6);
    pub(crate) const GUILD_PRESENCES: Intents = Intents(1 << 8);
    pub(crate) const GUILD_MESSAGES: Intents = Intents(1 << 9);
    pub(crate) const GUILD_MESSAGE_REACTIONS: Intents = Intents(1 << 10);
    pub(crate) const GUILD_MESSAGE_TYPING: Intents = Intents(1 << 11);
    pub(crate) const GUILD_MESSAGE_POLLS: Intents = Intents(1 << 24);
    pub(crate) const MESSAGE_CONTENT: Intents = Intents(1 << 15);
    /// Bits 0-16, 20, 21, 24, 25.
    pub(crate) const VALID: Intents = Intents(53_608_447);

    /// The bits a client asked for, if they are ones that exist.
    pub(crate) fn parse(bits: u64) -> Option<Self> {
        (bits & !Self::VALID.0 == 0).then_some(Self(bits))
    }

    /// Whether all of `other` is asked for.
    pub(crate) fn contains(self, other: Intents) -> bool {
        self.0 & other.0 == other.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_bits_are_refused() {
        assert_eq!(Intents::parse(53_608_447), Some(Intents::VALID));
        for bit in [17, 18, 19, 22, 23, 26, 63] {
            assert_eq!(Intents::parse(1 << bit), None, "{bit}");
        }
    }
}
