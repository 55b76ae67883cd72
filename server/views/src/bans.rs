//! Who is banned from a room, and why.

use std::sync::Arc;

use nexus_event_store::{RoomNo, Rows as _, Scan, Snowflake, UserNo, rows::EventPlace};

use crate::{
    Event, ViewError, Views,
    rows::{BanRow, Bans},
};

/// A ban.
#[derive(Clone, Debug)]
pub struct Ban {
    /// Who.
    pub user: UserNo,
    /// The member event that says so.
    pub event: Arc<Event>,
}

/// Which part of the bans of a room, in the order of the users' snowflakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BansPage {
    /// The first ones after a user, or from the start.
    After(Option<Snowflake>),
    /// The last ones before a user.
    Before(Snowflake),
}

impl Views {
    /// Bans from a room, by snowflake, at most `limit`.
    ///
    /// # Errors
    /// Store errors.
    pub async fn bans(&self, room: RoomNo, page: BansPage, limit: usize) -> Result<Vec<Ban>, ViewError> {
        let all = Scan::prefix::<Bans>(&room).limit(limit);
        let scan = match page {
            BansPage::After(None) => all,
            BansPage::After(Some(id)) => all.after::<Bans>(&(room, id)),
            BansPage::Before(id) => all.until::<Bans>(&(room, id)).reverse(),
        };
        let mut rows = self.store().scan::<Bans>(scan).await?;
        rows.sort_unstable_by_key(|((_, id), _)| *id);
        let mut bans = Vec::with_capacity(rows.len());
        for (_, row) in rows {
            bans.push(self.assemble_ban(room, row).await?);
        }
        Ok(bans)
    }

    /// The ban of a user from a room.
    ///
    /// # Errors
    /// Store errors.
    pub async fn ban(&self, room: RoomNo, user: Snowflake) -> Result<Option<Ban>, ViewError> {
        match self.store().row::<Bans>(&(room, user)).await? {
            Some(row) => self.assemble_ban(room, row).await.map(Some),
            None => Ok(None),
        }
    }

    async fn assemble_ban(&self, room: RoomNo, row: BanRow) -> Result<Ban, ViewError> {
        let event = self.event(EventPlace { room, event: row.event }).await?;
        Ok(Ban { user: row.user, event })
    }
}
