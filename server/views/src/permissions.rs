//! Discord's permissions: the bits and the one pure function that evaluates them.
//!
//! **Shapes**: a set is a `u64`, on the wire a decimal string. **Source**: Discord's documented algorithm
//! (owner, @everyone and roles, administrator, overwrites in fixed order, implicit denials, timeout), and
//! what of it was emptied reads as "deny". `spec/vectors/permissions.json` has examples.

use crate::rows::{ChannelKind, OverwriteRow, OverwriteTarget};
use nexus_event_store::UserNo;

/// A set of permission bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Permissions(pub u64);

macro_rules! bits {
    ($($(#[$doc:meta])* $name:ident = $bit:literal;)*) => {
        impl Permissions {
            $($(#[$doc])* pub const $name: Permissions = Permissions(1 << $bit);)*
            /// Every permission there is.
            pub const ALL: Permissions = Permissions(0 $(| 1 << $bit)*);
            /// Names and bits, in bit order.
            pub const NAMES: &'static [(&'static str, Permissions)] = &[$((stringify!($name), Self::$name)),*];
        }
    };
}

bits! {
    /// Make invites.
    CREATE_INSTANT_INVITE = 0;
    /// Remove members.
    KICK_MEMBERS = 1;
    /// Shut members out.
    BAN_MEMBERS = 2;
    /// Everything, past all overwrites.
    ADMINISTRATOR = 3;
    /// Make, change and delete channels.
    MANAGE_CHANNELS = 4;
    /// Change the guild and add bots.
    MANAGE_GUILD = 5;
    /// React with an emoji nobody has used on the message yet.
    ADD_REACTIONS = 6;
    /// Read the audit log.
    VIEW_AUDIT_LOG = 7;
    /// Be louder than others.
    PRIORITY_SPEAKER = 8;
    /// Share video.
    STREAM = 9;
    /// See a channel.
    VIEW_CHANNEL = 10;
    /// Send messages.
    SEND_MESSAGES = 11;
    /// Send messages read aloud.
    SEND_TTS_MESSAGES = 12;
    /// Delete others' messages and reactions.
    MANAGE_MESSAGES = 13;
    /// Links get previews.
    EMBED_LINKS = 14;
    /// Attach files.
    ATTACH_FILES = 15;
    /// Read what was written before.
    READ_MESSAGE_HISTORY = 16;
    /// Mention everyone and unmentionable roles.
    MENTION_EVERYONE = 17;
    /// Use other guilds' emoji.
    USE_EXTERNAL_EMOJIS = 18;
    /// See statistics.
    VIEW_GUILD_INSIGHTS = 19;
    /// Join a voice channel.
    CONNECT = 20;
    /// Talk.
    SPEAK = 21;
    /// Mute others.
    MUTE_MEMBERS = 22;
    /// Deafen others.
    DEAFEN_MEMBERS = 23;
    /// Move others between voice channels.
    MOVE_MEMBERS = 24;
    /// Talk by voice activity.
    USE_VAD = 25;
    /// Change the own nickname.
    CHANGE_NICKNAME = 26;
    /// Change others' nicknames.
    MANAGE_NICKNAMES = 27;
    /// Change roles and overwrites.
    MANAGE_ROLES = 28;
    /// Change webhooks.
    MANAGE_WEBHOOKS = 29;
    /// Change others' emoji and stickers.
    MANAGE_GUILD_EXPRESSIONS = 30;
    /// Use commands.
    USE_APPLICATION_COMMANDS = 31;
    /// Ask to speak on a stage.
    REQUEST_TO_SPEAK = 32;
    /// Change events.
    MANAGE_EVENTS = 33;
    /// Change others' threads.
    MANAGE_THREADS = 34;
    /// Make public threads.
    CREATE_PUBLIC_THREADS = 35;
    /// Make private threads.
    CREATE_PRIVATE_THREADS = 36;
    /// Use other guilds' stickers.
    USE_EXTERNAL_STICKERS = 37;
    /// Send in threads.
    SEND_MESSAGES_IN_THREADS = 38;
    /// Start activities.
    USE_EMBEDDED_ACTIVITIES = 39;
    /// Time members out.
    MODERATE_MEMBERS = 40;
    /// See earnings.
    VIEW_CREATOR_MONETIZATION_ANALYTICS = 41;
    /// Play sounds.
    USE_SOUNDBOARD = 42;
    /// Add emoji and stickers.
    CREATE_GUILD_EXPRESSIONS = 43;
    /// Add events.
    CREATE_EVENTS = 44;
    /// Play other guilds' sounds.
    USE_EXTERNAL_SOUNDS = 45;
    /// Send voice messages.
    SEND_VOICE_MESSAGES = 46;
    /// Set a voice channel's status.
    SET_VOICE_CHANNEL_STATUS = 48;
    /// Start polls.
    SEND_POLLS = 49;
    /// Use apps that are not in the guild.
    USE_EXTERNAL_APPS = 50;
    /// Pin messages.
    PIN_MESSAGES = 51;
    /// Not held up by slow mode.
    BYPASS_SLOWMODE = 52;
}

impl Permissions {
    /// Nothing.
    pub const NONE: Permissions = Permissions(0);

    /// What an overwrite can say something about; the other bits concern the guild as a whole.
    pub const OF_CHANNELS: Permissions = Permissions(
        Self::ALL.0
            & !(Self::KICK_MEMBERS.0
                | Self::BAN_MEMBERS.0
                | Self::ADMINISTRATOR.0
                | Self::MANAGE_GUILD.0
                | Self::VIEW_AUDIT_LOG.0
                | Self::VIEW_GUILD_INSIGHTS.0
                | Self::CHANGE_NICKNAME.0
                | Self::MANAGE_NICKNAMES.0
                | Self::MANAGE_GUILD_EXPRESSIONS.0
                | Self::MODERATE_MEMBERS.0
                | Self::VIEW_CREATOR_MONETIZATION_ANALYTICS.0
                | Self::CREATE_GUILD_EXPRESSIONS.0),
    );

    /// What means nothing without SEND_MESSAGES.
    pub const WITH_A_MESSAGE: Permissions = Permissions(
        Self::MENTION_EVERYONE.0 | Self::SEND_TTS_MESSAGES.0 | Self::ATTACH_FILES.0 | Self::EMBED_LINKS.0,
    );

    /// What @everyone may do in a new guild.
    pub const EVERYONE_DEFAULT: Permissions = Permissions(
        Self::CREATE_INSTANT_INVITE.0
            | Self::ADD_REACTIONS.0
            | Self::STREAM.0
            | Self::VIEW_CHANNEL.0
            | Self::SEND_MESSAGES.0
            | Self::EMBED_LINKS.0
            | Self::ATTACH_FILES.0
            | Self::READ_MESSAGE_HISTORY.0
            | Self::USE_EXTERNAL_EMOJIS.0
            | Self::CONNECT.0
            | Self::SPEAK.0
            | Self::USE_VAD.0
            | Self::CHANGE_NICKNAME.0
            | Self::USE_APPLICATION_COMMANDS.0
            | Self::REQUEST_TO_SPEAK.0
            | Self::CREATE_PUBLIC_THREADS.0
            | Self::CREATE_PRIVATE_THREADS.0
            | Self::USE_EXTERNAL_STICKERS.0
            | Self::SEND_MESSAGES_IN_THREADS.0
            | Self::USE_EMBEDDED_ACTIVITIES.0
            | Self::USE_SOUNDBOARD.0
            | Self::USE_EXTERNAL_SOUNDS.0
            | Self::SEND_VOICE_MESSAGES.0
            | Self::SEND_POLLS.0,
    );

    /// Whether all of `other` is in the set.
    #[must_use]
    pub fn contains(self, other: Permissions) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    #[must_use]
    pub fn with(self, other: Permissions) -> Permissions {
        Permissions(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub fn and(self, other: Permissions) -> Permissions {
        Permissions(self.0 & other.0)
    }

    /// Without `other`.
    #[must_use]
    pub fn without(self, other: Permissions) -> Permissions {
        Permissions(self.0 & !other.0)
    }
}

impl std::fmt::Display for Permissions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> =
            Self::NAMES.iter().filter(|(_, bit)| self.contains(*bit)).map(|(name, _)| *name).collect();
        f.write_str(&names.join(", "))
    }
}

/// A role that a member has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldRole {
    /// Its id; 0 for @everyone.
    pub id: u64,
    /// Its bits.
    pub bits: Permissions,
    /// Its event was emptied: it gives nothing, in no channel either, but what is denied to it stays denied.
    pub unreadable: bool,
}

/// What a member is, as far as permissions go.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// The member.
    pub user: UserNo,
    /// Owns the guild.
    pub is_owner: bool,
    /// Timed out now.
    pub timed_out: bool,
    /// @everyone.
    pub everyone: HeldRole,
    /// The member's roles, those that there are.
    pub roles: &'a [HeldRole],
}

/// Where something is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// What the channel is for.
    pub kind: ChannelKind,
    /// In a thread of the channel: SEND_MESSAGES is then what SEND_MESSAGES_IN_THREADS grants.
    pub in_thread: bool,
    /// The channel's overwrites.
    pub overwrites: &'a [OverwriteRow],
}

/// What the member may do in the guild as a whole.
#[must_use]
pub fn in_guild(member: &Member<'_>) -> Permissions {
    match by_roles(member) {
        Permissions::ALL => Permissions::ALL,
        bits if member.timed_out => kept_in_timeout(bits),
        bits => bits,
    }
}

/// What the member may do in a channel or a thread of it.
#[must_use]
pub fn in_channel(member: &Member<'_>, place: &Place<'_>) -> Permissions {
    let base = by_roles(member);
    if base == Permissions::ALL {
        return base;
    }
    let overwrites = place.overwrites;
    if overwrites.iter().any(|overwrite| overwrite.target == OverwriteTarget::Unreadable) {
        return Permissions::NONE;
    }
    let roles = |id: u64| member.roles.iter().find(|role| role.id == id && id != 0);
    let bits =
        apply(base, overwrites, |target| (target == OverwriteTarget::Role(0)).then_some(member.everyone));
    let bits = apply(bits, overwrites, |target| match target {
        OverwriteTarget::Role(id) => roles(id).copied(),
        OverwriteTarget::Member(_) | OverwriteTarget::Unreadable => None,
    });
    let own = HeldRole { id: 0, bits: Permissions::NONE, unreadable: false };
    let bits =
        apply(bits, overwrites, |target| (target == OverwriteTarget::Member(member.user)).then_some(own));
    let bits = implied(bits, place);
    if member.timed_out { kept_in_timeout(bits) } else { bits }
}

/// What the roles grant together; everything for the owner and administrators.
fn by_roles(member: &Member<'_>) -> Permissions {
    let held = member.roles.iter().chain([&member.everyone]).filter(|role| !role.unreadable);
    let base = held.fold(Permissions::NONE, |all, role| all.with(role.bits)).and(Permissions::ALL);
    if member.is_owner || base.contains(Permissions::ADMINISTRATOR) { Permissions::ALL } else { base }
}

/// One level of overwrites: all its denials, then all its allowances. `concerns` gives the role (or the member
/// itself) that an overwrite is for.
fn apply(
    bits: Permissions,
    overwrites: &[OverwriteRow],
    concerns: impl Fn(OverwriteTarget) -> Option<HeldRole>,
) -> Permissions {
    let (mut allow, mut deny) = (0, 0);
    for overwrite in overwrites {
        if let Some(role) = concerns(overwrite.target) {
            deny |= overwrite.deny;
            allow |= if role.unreadable { 0 } else { overwrite.allow };
        }
    }
    let sayable = |bits: u64| Permissions(bits).and(Permissions::OF_CHANNELS);
    bits.without(sayable(deny)).with(sayable(allow))
}

fn kept_in_timeout(bits: Permissions) -> Permissions {
    bits.and(Permissions::VIEW_CHANNEL.with(Permissions::READ_MESSAGE_HISTORY))
}

/// What the absence of one permission takes along.
fn implied(bits: Permissions, place: &Place<'_>) -> Permissions {
    if !bits.contains(Permissions::VIEW_CHANNEL) {
        return Permissions::NONE;
    }
    let is_spoken = matches!(place.kind, ChannelKind::Voice | ChannelKind::Stage);
    if is_spoken && !bits.contains(Permissions::CONNECT) {
        return Permissions::VIEW_CHANNEL;
    }
    let bits = match (place.in_thread, bits.contains(Permissions::SEND_MESSAGES_IN_THREADS)) {
        (true, true) => bits.with(Permissions::SEND_MESSAGES),
        (true, false) => bits.without(Permissions::SEND_MESSAGES),
        (false, _) => bits,
    };
    if bits.contains(Permissions::SEND_MESSAGES) { bits } else { bits.without(Permissions::WITH_A_MESSAGE) }
}

#[cfg(test)]
mod tests;
