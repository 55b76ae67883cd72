//! Memberships: of a room, of a user.

use nexus_event_store::{RoomNo, Scan, UserNo};

use crate::{
    ViewError, Views,
    rows::{Members, MembershipRow, Memberships},
};

impl Views {
    /// What a user is in a room, if anything was ever said of it.
    ///
    /// # Errors
    /// Store errors.
    pub async fn membership(&self, room: RoomNo, user: UserNo) -> Result<Option<MembershipRow>, ViewError> {
        self.reader().membership(room, user).await
    }

    /// Every room a user has or had to do with.
    ///
    /// # Errors
    /// Store errors.
    pub async fn rooms_of(&self, user: UserNo) -> Result<Vec<(RoomNo, MembershipRow)>, ViewError> {
        let rows = self.store.scan::<Memberships>(Scan::prefix::<Memberships>(&user)).await?;
        Ok(rows.into_iter().map(|((_, room), row)| (room, row)).collect())
    }

    /// Every user a room has or had to do with.
    ///
    /// # Errors
    /// Store errors.
    pub async fn members(&self, room: RoomNo) -> Result<Vec<(UserNo, MembershipRow)>, ViewError> {
        let rows = self.store.scan::<Members>(Scan::prefix::<Members>(&room)).await?;
        Ok(rows.into_iter().map(|((_, user), row)| (user, row)).collect())
    }
}
