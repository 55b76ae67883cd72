//! The directory of public rooms: those that were listed, and the guilds that are open to all.
//!
//! The busiest come first. A page is found again by the last room of the one before, so rooms that come or go
//! meanwhile move no others.
//!
//! **Bounds**: [`LISTED_MAX`] rooms are looked at.

use nexus_event_store::{RoomNo, Scan};

use crate::{DISCOVERABLE, RoomSummary, ViewError, Views, records::Published, rows::Guilds};

/// How many listed rooms are looked at.
const LISTED_MAX: usize = 20_000;

/// A place in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryKey {
    /// How many users the room had.
    pub joined: u64,
    /// The room.
    pub room: RoomNo,
}

impl DirectoryKey {
    /// Busier rooms first, then older ones.
    fn order(self) -> (std::cmp::Reverse<u64>, RoomNo) {
        (std::cmp::Reverse(self.joined), self.room)
    }
}

/// Which part of the directory.
#[derive(Clone, Debug, Default)]
pub struct DirectoryQuery {
    /// Words that name, topic or alias must contain, in any case.
    pub term: Option<String>,
    /// Types of rooms; `None` within stands for rooms without one.
    pub room_types: Option<Vec<Option<String>>>,
    /// At most so many.
    pub limit: usize,
    /// The room next to the page, and whether the page lies before it.
    pub beside: Option<(DirectoryKey, bool)>,
}

/// A page of the directory.
#[derive(Clone, Debug)]
pub struct DirectoryPage {
    /// The rooms, busiest first.
    pub rooms: Vec<RoomSummary>,
    /// Whether there are more before the page, and after it.
    pub more: (bool, bool),
    /// How many rooms are listed in all.
    pub total: usize,
}

impl Views {
    /// A page of the directory.
    ///
    /// # Errors
    /// Store errors.
    pub async fn directory(&self, query: &DirectoryQuery) -> Result<DirectoryPage, ViewError> {
        let mut keys = self.listed().await?;
        let total = keys.len();
        keys.sort_by_key(|key| key.order());
        let (backward, split) = match query.beside {
            None => (false, 0),
            Some((key, true)) => (true, keys.partition_point(|other| other.order() < key.order())),
            Some((key, false)) => (false, keys.partition_point(|other| other.order() <= key.order())),
        };
        let (before, after) = keys.split_at(split);
        let mut rooms = Vec::new();
        let mut more = false;
        let ahead: Box<dyn Iterator<Item = &DirectoryKey> + Send> =
            if backward { Box::new(before.iter().rev()) } else { Box::new(after.iter()) };
        for key in ahead {
            let Some(room) = self.matching(key.room, query).await? else { continue };
            if rooms.len() == query.limit {
                more = true;
                break;
            }
            rooms.push(room);
        }
        if backward {
            rooms.reverse();
        }
        let behind = query.beside.is_some();
        let more = if backward { (more, behind) } else { (behind && split > 0, more) };
        Ok(DirectoryPage { rooms, more, total })
    }

    async fn listed(&self) -> Result<Vec<DirectoryKey>, ViewError> {
        let mut keys = Vec::new();
        let scan = Scan::prefix::<Published>(&()).limit(LISTED_MAX);
        for (room, ()) in self.store().scan::<Published>(scan).await? {
            keys.push(DirectoryKey { joined: self.info(room).await?.joined, room });
        }
        for (room, row) in self.store().scan::<Guilds>(Scan::prefix::<Guilds>(&()).limit(LISTED_MAX)).await? {
            if row.features.iter().any(|feature| feature == DISCOVERABLE) {
                keys.push(DirectoryKey { joined: self.info(room).await?.joined, room });
            }
        }
        Ok(keys)
    }

    async fn matching(&self, room: RoomNo, query: &DirectoryQuery) -> Result<Option<RoomSummary>, ViewError> {
        let summary = self.summary(room).await?;
        let of_type = query.room_types.as_ref().is_none_or(|types| types.contains(&summary.room_type));
        let named = query.term.as_ref().is_none_or(|term| {
            let term = term.to_lowercase();
            let texts = [&summary.name, &summary.topic, &summary.canonical_alias];
            texts.into_iter().flatten().any(|text| text.to_lowercase().contains(&term))
        });
        Ok((of_type && named).then_some(summary))
    }
}
