//! Primary records beside the log that commands of rooms write and queries read: what a user has forgotten,
//! aliases, and which rooms are listed.
//!
//! None of it is derived from events, so a rebuild leaves it alone.

use nexus_event_store::{
    EventNo, RoomNo, Rows, StoreError, UserNo, catalogue::numbers, codec::Text, rows::EventPlace, table,
    versioned_value,
};
use ruma::{OwnedRoomAliasId, RoomAliasId};
use serde::{Deserialize, Serialize};

use crate::{Membership, MembershipRow, Reader, ViewError, Views};

/// How many bans and their ends after a forgetting are looked back at.
const MEMBERSHIPS_BACK_MAX: usize = 32;

/// An alias: a name by which a room can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasRow {
    /// The room.
    pub room: RoomNo,
    /// Who made it, and may take it away.
    pub creator: UserNo,
}
versioned_value!(AliasRow, 1);

table! {
    /// Aliases of this server.
    Aliases = numbers::ALIASES, "aliases", Text => AliasRow
}
table! {
    /// The aliases of a room: (room, alias).
    RoomAliases = numbers::ROOM_ALIASES, "room_aliases", (RoomNo, Text) => ()
}
table! {
    /// Rooms that the directory lists.
    Published = numbers::PUBLISHED, "published", RoomNo => ()
}
table! {
    /// Rooms that a user has forgotten, with the member event that had ended the membership: a newer one
    /// ends the forgetting.
    Forgotten = numbers::FORGOTTEN, "forgotten", (UserNo, RoomNo) => EventNo
}

impl<R: Rows> Reader<'_, R> {
    /// Whether a user has forgotten a room that they are not in any more.
    ///
    /// # Errors
    /// Store errors.
    pub async fn is_forgotten(
        &self,
        room: RoomNo,
        user: UserNo,
        row: &MembershipRow,
    ) -> Result<bool, StoreError> {
        if !matches!(row.membership, Membership::Leave | Membership::Ban) {
            return Ok(false);
        }
        let Some(forgotten) = self.rows.row::<Forgotten>(&(user, room)).await? else { return Ok(false) };
        // A ban or its end changes nothing; only coming back, or being asked to, does.
        let user_id = self.user_id(user).await?;
        let mut event = row.event;
        for _ in 0..MEMBERSHIPS_BACK_MAX {
            if event == forgotten {
                return Ok(true);
            }
            let state = self.event(EventPlace { room, event }).await?.state_before;
            let Some(earlier) = self.state_event(room, state, "m.room.member", user_id.as_str()).await?
            else {
                return Ok(false);
            };
            let content: serde_json::Value = earlier.pdu.content_as().unwrap_or_default();
            if matches!(content["membership"].as_str(), Some("join" | "invite" | "knock")) {
                return Ok(false);
            }
            event = earlier.no;
        }
        Ok(false)
    }

    /// The room of an alias of this server.
    ///
    /// # Errors
    /// Store errors.
    pub async fn alias(&self, alias: &RoomAliasId) -> Result<Option<AliasRow>, StoreError> {
        self.rows.row::<Aliases>(&Text::from(alias.as_str())).await
    }
}

impl Views {
    /// The room of an alias of this server.
    ///
    /// # Errors
    /// Store errors.
    pub async fn alias(&self, alias: &RoomAliasId) -> Result<Option<AliasRow>, ViewError> {
        self.reader().alias(alias).await
    }

    /// The aliases that this server has for a room, in alphabetical order.
    ///
    /// # Errors
    /// Store errors.
    pub async fn aliases_of(&self, room: RoomNo) -> Result<Vec<OwnedRoomAliasId>, ViewError> {
        let scan = nexus_event_store::Scan::prefix::<RoomAliases>(&room);
        let rows = self.store().scan::<RoomAliases>(scan).await?;
        Ok(rows.into_iter().filter_map(|((_, alias), ())| OwnedRoomAliasId::try_from(alias.0).ok()).collect())
    }

    /// Whether the directory lists a room.
    ///
    /// # Errors
    /// Store errors.
    pub async fn is_published(&self, room: RoomNo) -> Result<bool, ViewError> {
        Ok(self.store().row::<Published>(&room).await?.is_some())
    }

    /// Whether a user has forgotten a room that they are not in any more.
    ///
    /// # Errors
    /// Store errors.
    pub async fn is_forgotten(
        &self,
        room: RoomNo,
        user: UserNo,
        row: &MembershipRow,
    ) -> Result<bool, ViewError> {
        self.reader().is_forgotten(room, user, row).await
    }
}
