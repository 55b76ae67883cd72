//! Views: what the log looks like to those who read it, and the projections that keep them.
//!
//! [`Views`] answers queries from durable rows; [`project`] derives those rows inside the commit of the
//! event they come from, and [`rebuild`](mod@rebuild) derives them all again. [`permissions`] is Discord's
//! permission function. Facades read here and write nowhere.

use std::sync::Arc;

use nexus_event_store::{RoomNo, Snowflake, Store, StoreError, UserNo, catalogue, rows::SnowflakeRow};
use nexus_event_store::{Rows as _, catalogue::Rooms};
use nexus_state_resolution::RoomVersion;
use ruma::{OwnedRoomId, OwnedServerName, OwnedUserId, RoomId, ServerName, UserId};

pub mod actor;
pub mod audit;
mod bans;
mod directory;
mod event;
mod guilds;
mod hierarchy;
mod members;
mod messages;
pub mod names;
mod nearest;
pub mod permissions;
pub mod pins;
pub mod polls;
pub mod project;
mod reader;
pub mod rebuild;
pub mod records;
mod relations;
mod rooms;
pub mod rows;
mod sight;
pub mod state_keys;
mod summary;
pub mod table_list;
pub mod threads;
mod timeline;
mod typing;
pub mod unread;
pub mod user_words;

pub use bans::{Ban, BansPage};
pub use directory::{DirectoryKey, DirectoryPage, DirectoryQuery};
pub use event::{Caches, Event};
pub use guilds::{Channel, DISCOVERABLE, Guild, GuildMember, Overwrite, Role, role_snowflake};
pub use hierarchy::SpaceChild;
pub use messages::{Message, Page, ReactionCount, Removed};
pub use permissions::{Permissions, Place};
pub use pins::Pin;
pub use reader::Reader;
pub use relations::RelationSlice;
pub use rows::{ChannelKind, Membership, MembershipRow, OverwriteTarget, RoomInfo};
pub use sight::PastMember;
pub use summary::RoomSummary;
pub use threads::{Thread, ThreadState};
pub use timeline::{TimelineItem, TimelineKey, TimelineSlice};
pub use typing::Typing;

/// What a query can fail with: the store's errors.
pub type ViewError = StoreError;

/// Queries over what is durable. Cheap to clone.
#[derive(Clone)]
pub struct Views {
    store: Store,
    server_name: OwnedServerName,
    caches: Arc<Caches>,
    typing: Arc<Typing>,
    receipt_news: Arc<unread::ReceiptNews>,
}

impl Views {
    /// Views of `store` for the server of that name.
    #[must_use]
    pub fn new(store: Store, server_name: OwnedServerName) -> Self {
        let typing = Arc::new(Typing::new(store.clone()));
        let receipt_news = Arc::new(unread::ReceiptNews::new(store.visible()));
        Self { store, server_name, caches: Arc::default(), typing, receipt_news }
    }

    /// The store that is read.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// This server's name.
    #[must_use]
    pub fn server_name(&self) -> &ServerName {
        &self.server_name
    }

    /// The caches, for decisions that read the same facts.
    #[must_use]
    pub fn caches(&self) -> &Caches {
        &self.caches
    }

    /// The caches, for whoever outlives a borrow.
    #[must_use]
    pub fn shared_caches(&self) -> Arc<Caches> {
        Arc::clone(&self.caches)
    }

    /// Who is typing where.
    #[must_use]
    pub fn typing_state(&self) -> &Arc<Typing> {
        &self.typing
    }

    /// Cached point reads over durable rows.
    #[must_use]
    pub fn reader(&self) -> Reader<'_, Store> {
        Reader { rows: &self.store, caches: &self.caches }
    }

    /// A user's number, if the store knows the user.
    ///
    /// # Errors
    /// Store errors.
    pub async fn user_no(&self, user: &UserId) -> Result<Option<UserNo>, ViewError> {
        let found = self.reader().user_no(user).await?;
        if let Some(number) = found {
            self.caches.user_numbers.insert(user.to_owned(), number);
        }
        Ok(found)
    }

    /// A user's id.
    ///
    /// # Errors
    /// Store errors.
    pub async fn user_id(&self, user: UserNo) -> Result<OwnedUserId, ViewError> {
        self.reader().user_id(user).await
    }

    /// A user's snowflake.
    ///
    /// # Errors
    /// Store errors.
    pub async fn user_snowflake(&self, user: UserNo) -> Result<Snowflake, ViewError> {
        self.store.existing::<catalogue::UserSnowflakes>(&user).await
    }

    /// A room's number, if the store knows the room.
    ///
    /// # Errors
    /// Store errors.
    pub async fn room_no(&self, room: &RoomId) -> Result<Option<RoomNo>, ViewError> {
        self.reader().room_no(room).await
    }

    /// A room's id.
    ///
    /// # Errors
    /// Store errors.
    pub async fn room_id(&self, room: RoomNo) -> Result<OwnedRoomId, ViewError> {
        let row = self.store.existing::<Rooms>(&room).await?;
        OwnedRoomId::try_from(row.room_id).map_err(|_| StoreError::Missing { table: "rooms" })
    }

    /// A room's version.
    ///
    /// # Errors
    /// Store errors.
    pub async fn room_version(&self, room: RoomNo) -> Result<RoomVersion, ViewError> {
        self.reader().room_version(room).await
    }

    /// The snowflake of a guild or channel.
    ///
    /// # Errors
    /// Store errors.
    pub async fn room_snowflake(&self, room: RoomNo) -> Result<Option<Snowflake>, ViewError> {
        self.store.row::<catalogue::RoomSnowflakes>(&room).await
    }

    /// What a snowflake stands for.
    ///
    /// # Errors
    /// Store errors.
    pub async fn lookup(&self, snowflake: Snowflake) -> Result<Option<SnowflakeRow>, ViewError> {
        self.store.row::<catalogue::Snowflakes>(&snowflake).await
    }

    /// A room at a glance.
    ///
    /// # Errors
    /// Store errors.
    pub async fn info(&self, room: RoomNo) -> Result<RoomInfo, ViewError> {
        self.reader().info(room).await
    }

    /// Who is typing in a room now.
    #[must_use]
    pub fn typing(&self, room: RoomNo) -> Vec<UserNo> {
        self.typing.in_room(room)
    }

    /// Who is typing in a room now and has said so after `version`: clients of the gateway show somebody as
    /// typing only for a while after each time they are told.
    #[must_use]
    pub fn typing_claimed_since(&self, room: RoomNo, version: u64) -> Vec<UserNo> {
        self.typing.claimed_since(room, version)
    }

    /// Grows with every claim and every end of typing anywhere.
    #[must_use]
    pub fn typing_version(&self) -> u64 {
        self.typing.version()
    }

    /// Whether who is typing in `room` has changed since `version`.
    #[must_use]
    pub fn typing_changed_since(&self, room: RoomNo, version: u64) -> bool {
        self.typing.changed_since(room, version)
    }
}
