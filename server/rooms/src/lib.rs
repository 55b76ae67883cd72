//! Commands: the one way in for every change to a room, a guild, a channel or a message.
//!
//! A command is a struct with a pure-hearted [`Decide`](decision::Decide): it reads, then appends events
//! through a [`Decision`](decision::Decision), which builds, signs, authorises and projects them and leaves
//! one atomic commit. Start with [`send`](mod@send), the life of one message.

use std::sync::Arc;

use nexus_event_store::{EventNo, Position, RoomNo, Snowflake, rows::EventPlace, world::BoxFuture};
use nexus_state_resolution::{RoomVersion, Signer};
use nexus_views::Views;
use ruma::{OwnedEventId, OwnedUserId, ServerName, UserId};

mod aliases;
mod bots;
mod channel_order;
mod channels;
mod clear_reactions;
mod content;
mod create_room;
mod decision;
mod delete_several;
mod error;
mod forget;
mod guild_members;
mod guild_state;
mod guilds;
mod invites;
mod jobs;
mod kick_and_ban;
mod knock;
mod locks;
mod membership;
mod message_rules;
mod moderation;
mod overwrites;
mod permission;
mod permission_change;
mod pins;
mod power;
mod publish;
mod receipts;
mod redact;
mod resolve;
mod restricted_join;
mod roles;
mod room_refusal;
mod send;
mod slow_mode;
mod state_checks;
mod steward;
pub mod table_list;
mod threads;
mod typing;
mod upgrade;

pub use bots::AddBot;
pub use channel_order::ChannelMove;
pub use channels::{ChannelChanges, NewChannel};
pub use create_room::{CreateRoom, Created, InitialState, Preset};
pub use delete_several::MESSAGES_AT_ONCE;
pub use error::{Rejection, RoomsError};
pub use guild_members::MemberChanges;
pub use guilds::{CreateGuild, GuildChanges};
pub use invites::{Invite, InviteRow, NewInvite, usable_invite};
pub use jobs::{JobStatistics, JobStatus};
pub use moderation::{BulkBan, ModerationRefusal, Prune};
pub use overwrites::NewOverwrite;
pub use pins::PinChange;
pub use receipts::{MarkRead, ReceiptKind};
pub use redact::Redact;
pub use resolve::resolve_states;
pub use roles::{GuildRefusal, RoleFields};
pub use room_refusal::RoomRefusal;
pub use send::SendEvent;
pub use steward::STEWARD_LOCALPART;
pub use threads::{AUTO_ARCHIVE_CHOICES, NewThread, ThreadChanges, ThreadStart};

/// Who gives a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The user.
    pub user: OwnedUserId,
    /// The device (of bots and sessions too): transaction ids are per device.
    pub device: String,
    /// Why, for the audit log, whatever the command.
    pub reason: Option<String>,
}

/// A client's idempotency key: the same command with the same key happens once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnKey {
    /// What kind of id it is; the same id in another scope is another command.
    pub scope: String,
    /// The client's id, at most 255 bytes.
    pub id: String,
}

/// An event that is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its id.
    pub event_id: OwnedEventId,
    /// Where it is.
    pub place: EventPlace,
    /// Its snowflake, if it is shown as a message.
    pub snowflake: Option<Snowflake>,
    /// The commit.
    pub position: Position,
    /// Whether an earlier command with the same idempotency key made it.
    pub replayed: bool,
}

/// The profile that a member event carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// `displayname`
    pub display_name: Option<String>,
    /// `avatar_url`
    pub avatar_url: Option<String>,
}

/// Where profiles of local users come from.
pub trait Profiles: Send + Sync {
    /// The profile of a local user.
    fn profile<'a>(&'a self, user: &'a UserId) -> BoxFuture<'a, Profile>;
}

/// What the commands need to know.
#[derive(Clone, Debug)]
pub struct RoomsConfig {
    /// The version of rooms that are made without one.
    pub default_version: RoomVersion,
}

pub(crate) struct Inner {
    pub(crate) views: Views,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) profiles: Arc<dyn Profiles>,
    pub(crate) config: RoomsConfig,
    pub(crate) locks: locks::Locks,
    pub(crate) jobs: jobs::JobBoard,
}

/// The commands. Cheap to clone.
#[derive(Clone)]
pub struct Rooms {
    pub(crate) inner: Arc<Inner>,
}

impl Rooms {
    /// Commands over the store that `views` reads, signed by `signer`.
    #[must_use]
    pub fn new(
        views: Views,
        signer: Arc<dyn Signer>,
        profiles: Arc<dyn Profiles>,
        config: RoomsConfig,
    ) -> Self {
        let (locks, jobs) = (locks::Locks::new(), jobs::JobBoard::default());
        Self { inner: Arc::new(Inner { views, signer, profiles, config, locks, jobs }) }
    }

    /// The views these commands keep.
    #[must_use]
    pub fn views(&self) -> &Views {
        &self.inner.views
    }

    /// This server's name.
    #[must_use]
    pub fn server_name(&self) -> &ServerName {
        self.inner.signer.server_name()
    }

    /// The version of rooms that are made without one.
    #[must_use]
    pub fn default_version(&self) -> RoomVersion {
        self.inner.config.default_version
    }
}

/// An event as the deciding transaction knows it.
#[derive(Clone, Debug)]
pub(crate) struct Appended {
    pub(crate) room: RoomNo,
    pub(crate) no: EventNo,
    pub(crate) event_id: OwnedEventId,
    pub(crate) snowflake: Option<Snowflake>,
}

impl Appended {
    pub(crate) fn sent(&self, position: Position) -> Sent {
        Sent {
            event_id: self.event_id.clone(),
            place: EventPlace { room: self.room, event: self.no },
            snowflake: self.snowflake,
            position,
            replayed: false,
        }
    }
}

#[cfg(test)]
mod tests {
    mod scale;
}
