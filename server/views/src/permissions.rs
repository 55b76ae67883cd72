//! Discord's permissions: the bits and the one pure function that evaluates them.
//!
//! **Shapes**: a set is a `u64`, on the wire a decimal string. **Source**: Discord's documented algorithm
//! (owner, @everyone and roles, administrator, overwrites in fixed order, timeout, implicit denials).

use crate::rows::{OverwriteRow, OverwriteTarget};
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

/// What a member is, as far as permissions go.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// The member.
    pub user: UserNo,
    /// Owns the guild.
    pub is_owner: bool,
    /// Timed out now.
    pub timed_out: bool,
    /// @everyone's bits.
    pub everyone: Permissions,
    /// The member's roles: id and bits.
    pub roles: &'a [(u64, Permissions)],
}

/// What the member may do in the guild as a whole.
#[must_use]
pub fn in_guild(member: &Member<'_>) -> Permissions {
    let base = member.roles.iter().fold(member.everyone, |all, (_, bits)| all.with(*bits));
    if member.is_owner || base.contains(Permissions::ADMINISTRATOR) {
        return Permissions::ALL;
    }
    if member.timed_out { kept_in_timeout(base) } else { base }
}

/// What the member may do in a channel with these overwrites.
#[must_use]
pub fn in_channel(member: &Member<'_>, overwrites: &[OverwriteRow]) -> Permissions {
    let base = in_guild(&Member { timed_out: false, ..*member });
    if base == Permissions::ALL {
        return base;
    }
    let apply = |bits: Permissions, wanted: &dyn Fn(OverwriteTarget) -> bool| {
        let of_target = overwrites.iter().filter(|overwrite| wanted(overwrite.target));
        let (allow, deny) = of_target
            .fold((0, 0), |(allow, deny), overwrite| (allow | overwrite.allow, deny | overwrite.deny));
        bits.without(Permissions(deny)).with(Permissions(allow))
    };
    let bits = apply(base, &|target| target == OverwriteTarget::Role(0));
    let held = |id: u64| id != 0 && member.roles.iter().any(|(role, _)| *role == id);
    let bits = apply(bits, &|target| matches!(target, OverwriteTarget::Role(id) if held(id)));
    let bits = apply(bits, &|target| target == OverwriteTarget::Member(member.user));
    let bits = if member.timed_out { kept_in_timeout(bits) } else { bits };
    implied(bits)
}

fn kept_in_timeout(bits: Permissions) -> Permissions {
    Permissions(bits.0 & Permissions::VIEW_CHANNEL.with(Permissions::READ_MESSAGE_HISTORY).0)
}

/// What the absence of one permission takes along.
fn implied(bits: Permissions) -> Permissions {
    if !bits.contains(Permissions::VIEW_CHANNEL) {
        return Permissions::NONE;
    }
    if bits.contains(Permissions::SEND_MESSAGES) {
        return bits;
    }
    bits.without(Permissions::MENTION_EVERYONE)
        .without(Permissions::SEND_TTS_MESSAGES)
        .without(Permissions::ATTACH_FILES)
        .without(Permissions::EMBED_LINKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEW: u64 = Permissions::VIEW_CHANNEL.0;
    const SEND: u64 = Permissions::SEND_MESSAGES.0;
    const ATTACH: u64 = Permissions::ATTACH_FILES.0;

    fn member(roles: &[(u64, Permissions)]) -> Member<'_> {
        Member {
            user: UserNo(7),
            is_owner: false,
            timed_out: false,
            everyone: Permissions(VIEW | SEND | ATTACH),
            roles,
        }
    }

    fn overwrite(target: OverwriteTarget, allow: u64, deny: u64) -> OverwriteRow {
        OverwriteRow { target, allow, deny }
    }

    #[test]
    fn an_allow_on_any_role_beats_a_deny_on_another() {
        let roles = [(1, Permissions::NONE), (2, Permissions::NONE)];
        let overwrites =
            [overwrite(OverwriteTarget::Role(2), SEND, 0), overwrite(OverwriteTarget::Role(1), 0, SEND)];
        assert!(in_channel(&member(&roles), &overwrites).contains(Permissions::SEND_MESSAGES));
    }

    #[test]
    fn the_member_overwrite_comes_last() {
        let roles = [(1, Permissions::NONE)];
        let overwrites = [
            overwrite(OverwriteTarget::Member(UserNo(7)), 0, SEND),
            overwrite(OverwriteTarget::Role(1), SEND, 0),
            overwrite(OverwriteTarget::Role(0), 0, SEND),
        ];
        assert_eq!(in_channel(&member(&roles), &overwrites), Permissions(VIEW));
    }

    #[test]
    fn without_view_there_is_nothing() {
        let overwrites = [overwrite(OverwriteTarget::Role(0), 0, VIEW)];
        assert_eq!(in_channel(&member(&[]), &overwrites), Permissions::NONE);
    }

    #[test]
    fn owner_and_administrator_pass_overwrites_and_timeout() {
        let denied = [overwrite(OverwriteTarget::Role(0), 0, VIEW)];
        let owner = Member { is_owner: true, timed_out: true, ..member(&[]) };
        assert_eq!(in_channel(&owner, &denied), Permissions::ALL);
        let roles = [(1, Permissions::ADMINISTRATOR)];
        assert_eq!(in_channel(&Member { timed_out: true, ..member(&roles) }, &denied), Permissions::ALL);
    }

    #[test]
    fn a_timeout_leaves_reading() {
        let quiet = Member { timed_out: true, ..member(&[]) };
        assert_eq!(in_channel(&quiet, &[]), Permissions(VIEW));
    }
}
