//! What a commit means to those who watch guilds: the same for every session.
//!
//! **Invariant**: which facts a commit has follows from the log alone, and stays when content is redacted
//! later. The numbers of a session's dispatches rest on that.

use nexus_event_store::{Position, RoomNo, Snowflake, UserNo, rows::EventPlace};
use tokio::sync::OnceCell;

use super::{intents::Intents, render::Rendered};

/// Something that happened in a guild.
#[derive(Debug)]
pub(crate) struct Fact {
    pub(crate) guild: RoomNo,
    pub(crate) guild_id: Snowflake,
    pub(crate) what: What,
    /// Its JSON, once somebody needed it.
    pub(crate) rendered: OnceCell<Rendered>,
}

impl Fact {
    /// The room that one must see to hear of it: the channel, or the guild itself for what only its
    /// moderators are told.
    pub(crate) fn gate(&self) -> Option<RoomNo> {
        self.what.channel().or_else(|| self.what.is_moderation().then_some(self.guild))
    }

    pub(crate) fn new(guild: RoomNo, guild_id: Snowflake, what: What) -> Self {
        Self { guild, guild_id, what, rendered: OnceCell::new() }
    }
}

/// The kinds of fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    MemberJoined(UserNo),
    /// Profile, nick, roles or timeout.
    MemberChanged(UserNo),
    MemberLeft(UserNo),
    BanAdded(UserNo),
    BanRemoved(UserNo),
    GuildChanged,
    /// The guild is none any more.
    GuildDeleted,
    RoleMade(Snowflake),
    RoleChanged(Snowflake),
    RoleDeleted(Snowflake),
    ChannelMade(RoomNo),
    ChannelChanged(RoomNo),
    ChannelDeleted(RoomNo),
    MessageMade {
        channel: RoomNo,
        event: EventPlace,
    },
    /// An edit came, or one was taken back.
    MessageChanged {
        channel: RoomNo,
        message: Snowflake,
        edit: Option<EventPlace>,
    },
    MessageDeleted {
        channel: RoomNo,
        message: Snowflake,
        /// The thread it was in.
        thread: Option<Snowflake>,
    },
    /// Several at once.
    MessagesDeleted {
        channel: RoomNo,
        messages: Vec<Snowflake>,
        thread: Option<Snowflake>,
    },
    PinsChanged(RoomNo),
    ThreadMade(EventPlace),
    ThreadChanged(EventPlace),
    ThreadDeleted(EventPlace),
    /// What a steward did at somebody's request.
    Audited(RoomNo, EventPlace),
    /// A response to a poll; what stood before it and what stands now are read from the log.
    Voted {
        channel: RoomNo,
        response: EventPlace,
    },
    ReactionAdded(Reaction),
    ReactionRemoved(Reaction),
}

/// A reaction to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reaction {
    pub(crate) channel: RoomNo,
    pub(crate) message: Snowflake,
    pub(crate) emoji: String,
    pub(crate) user: UserNo,
}

impl What {
    /// The channel that one must be able to view to hear of it.
    pub(crate) fn channel(&self) -> Option<RoomNo> {
        match self {
            Self::ChannelMade(channel)
            | Self::ChannelChanged(channel)
            | Self::ChannelDeleted(channel)
            | Self::MessageMade { channel, .. }
            | Self::MessageChanged { channel, .. }
            | Self::MessageDeleted { channel, .. }
            | Self::MessagesDeleted { channel, .. }
            | Self::PinsChanged(channel)
            | Self::ThreadMade(EventPlace { room: channel, .. })
            | Self::ThreadChanged(EventPlace { room: channel, .. })
            | Self::ThreadDeleted(EventPlace { room: channel, .. })
            | Self::Voted { channel, .. }
            // The guild stands for its audit log.
            | Self::Audited(channel, _)
            | Self::ReactionAdded(Reaction { channel, .. })
            | Self::ReactionRemoved(Reaction { channel, .. }) => Some(*channel),
            Self::MemberJoined(_)
            | Self::MemberChanged(_)
            | Self::MemberLeft(_)
            | Self::BanAdded(_)
            | Self::BanRemoved(_)
            | Self::GuildChanged
            | Self::GuildDeleted
            | Self::RoleMade(_)
            | Self::RoleChanged(_)
            | Self::RoleDeleted(_) => None,
        }
    }

    /// Whether only those hear of it who ban, or read the audit log.
    pub(crate) fn is_moderation(&self) -> bool {
        matches!(self, Self::BanAdded(_) | Self::BanRemoved(_))
    }

    /// The intent that asks for it.
    pub(crate) fn intent(&self) -> Intents {
        match self {
            Self::MemberJoined(_) | Self::MemberChanged(_) | Self::MemberLeft(_) => Intents::GUILD_MEMBERS,
            Self::MessageMade { .. }
            | Self::MessageChanged { .. }
            | Self::MessageDeleted { .. }
            | Self::MessagesDeleted { .. } => Intents::GUILD_MESSAGES,
            Self::Audited(..) => Intents::GUILD_MODERATION,
            Self::Voted { .. } => Intents::GUILD_MESSAGE_POLLS,
            Self::BanAdded(_) | Self::BanRemoved(_) => Intents::GUILD_MODERATION,
            Self::ReactionAdded(_) | Self::ReactionRemoved(_) => Intents::GUILD_MESSAGE_REACTIONS,
            Self::GuildChanged
            | Self::GuildDeleted
            | Self::RoleMade(_)
            | Self::RoleChanged(_)
            | Self::RoleDeleted(_)
            | Self::ChannelMade(_)
            | Self::ChannelChanged(_)
            | Self::ChannelDeleted(_)
            | Self::PinsChanged(_)
            | Self::ThreadMade(_)
            | Self::ThreadChanged(_)
            | Self::ThreadDeleted(_) => Intents::GUILDS,
        }
    }

    /// Whether it is told to who is there and takes no number: a redaction may take away that it ever was.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Audited(..) | Self::Voted { .. })
    }
}

/// Whose view of which channels a commit may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rights {
    /// Everyone's in the guild.
    Guild(RoomNo),
    /// That of those who have a role.
    Role(RoomNo, Snowflake),
    /// Everyone's of one channel.
    Channel(RoomNo, RoomNo),
    /// One member's.
    Member(RoomNo, UserNo),
}

/// The facts of a commit, in order.
#[derive(Debug, Default)]
pub(crate) struct CommitFacts {
    pub(crate) position: Position,
    pub(crate) facts: Vec<Fact>,
    pub(crate) rights: Vec<Rights>,
}
