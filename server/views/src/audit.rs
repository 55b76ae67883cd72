//! The audit log of a guild: what its stewards did, and at whose request.
//!
//! Derived from the stewards' events with `nexus.actor` in them. An entry's id is made of the event's time and
//! number, so it is the same whenever it is derived. What changed is read from the event and the state before
//! it. Invites are primary records and leave no entry. **Bound**: a page looks at [`SCANNED`] entries.

use std::sync::Arc;

use nexus_event_store::{
    EventNo, RoomNo, Scan, Snowflake, UserNo, catalogue::numbers, rows::EventPlace, table, versioned_value,
};
use serde::{Deserialize, Serialize};

use crate::{Event, ViewError, Views};

/// How many entries are looked at for one page.
const SCANNED: usize = 10_000;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as Discord names them")]
pub enum AuditAction {
    GuildUpdate,
    ChannelCreate,
    ChannelUpdate,
    ChannelDelete,
    OverwriteCreate,
    OverwriteUpdate,
    OverwriteDelete,
    MemberKick,
    MemberPrune,
    BanAdd,
    BanRemove,
    MemberUpdate,
    MemberRoleUpdate,
    BotAdd,
    RoleCreate,
    RoleUpdate,
    RoleDelete,
    MessageDelete,
    MessageBulkDelete,
    MessagePin,
    MessageUnpin,
    ThreadCreate,
    ThreadUpdate,
    ThreadDelete,
}

impl AuditAction {
    /// All actions with Discord's numbers.
    pub const NUMBERS: [(AuditAction, u64); 24] = [
        (Self::GuildUpdate, 1),
        (Self::ChannelCreate, 10),
        (Self::ChannelUpdate, 11),
        (Self::ChannelDelete, 12),
        (Self::OverwriteCreate, 13),
        (Self::OverwriteUpdate, 14),
        (Self::OverwriteDelete, 15),
        (Self::MemberKick, 20),
        (Self::MemberPrune, 21),
        (Self::BanAdd, 22),
        (Self::BanRemove, 23),
        (Self::MemberUpdate, 24),
        (Self::MemberRoleUpdate, 25),
        (Self::BotAdd, 28),
        (Self::RoleCreate, 30),
        (Self::RoleUpdate, 31),
        (Self::RoleDelete, 32),
        (Self::MessageDelete, 72),
        (Self::MessageBulkDelete, 73),
        (Self::MessagePin, 74),
        (Self::MessageUnpin, 75),
        (Self::ThreadCreate, 110),
        (Self::ThreadUpdate, 111),
        (Self::ThreadDelete, 112),
    ];

    /// Discord's number.
    #[must_use]
    pub fn number(self) -> u64 {
        Self::NUMBERS.iter().find(|(known, _)| *known == self).map_or(0, |(_, number)| *number)
    }
}

/// To what it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuditTarget {
    /// The guild.
    Guild,
    /// A channel.
    Channel(RoomNo),
    /// A member.
    User(UserNo),
    /// A role; 0 for @everyone.
    Role(u64),
    /// A thread: channel and root.
    Thread(RoomNo, EventNo),
}

/// An entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// The steward's event.
    pub place: EventPlace,
    /// What was done.
    pub action: AuditAction,
    /// At whose request.
    pub actor: UserNo,
    /// To what.
    pub target: AuditTarget,
}
versioned_value!(AuditRow, 1);

table! {
    /// Audit logs: (guild, entry).
    Audit = numbers::AUDIT, "audit", (RoomNo, Snowflake) => AuditRow
}

/// The id of the entry that an event makes.
#[must_use]
pub fn entry_id(at_ms: u64, event: EventNo) -> Snowflake {
    Snowflake(Snowflake::at(at_ms).0 | (event.0 & 0x3f_ffff))
}

/// Which entries.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditQuery {
    /// Only at this user's request.
    pub actor: Option<UserNo>,
    /// Only this action.
    pub action: Option<AuditAction>,
    /// Only older entries.
    pub before: Option<Snowflake>,
    /// Only newer entries; the oldest first.
    pub after: Option<Snowflake>,
    /// At most so many.
    pub limit: usize,
}

/// An entry with the events that it tells of: one command may have made several.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// Its id.
    pub id: Snowflake,
    /// Its row.
    pub row: AuditRow,
    /// The events, oldest first.
    pub events: Vec<Arc<Event>>,
}

impl Views {
    /// The entry of one event, if it has one.
    ///
    /// # Errors
    /// Store errors.
    pub async fn audit_entry(
        &self,
        guild: RoomNo,
        event: &Arc<Event>,
    ) -> Result<Option<AuditEntry>, ViewError> {
        use nexus_event_store::Rows as _;
        let id = entry_id(event.pdu.origin_server_ts().get().into(), event.no);
        let row = self.store.row::<Audit>(&(guild, id)).await?;
        let row = row.filter(|row| row.place.event == event.no);
        Ok(row.map(|row| AuditEntry { id, row, events: vec![Arc::clone(event)] }))
    }

    /// Entries of a guild's audit log; the newest first, but with `after` the oldest.
    ///
    /// # Errors
    /// Store errors.
    pub async fn audit_log(&self, guild: RoomNo, query: AuditQuery) -> Result<Vec<AuditEntry>, ViewError> {
        let mut scan = Scan::prefix::<Audit>(&guild).limit(SCANNED);
        if let Some(before) = query.before {
            scan = scan.until::<Audit>(&(guild, before));
        }
        scan = match query.after {
            Some(after) => scan.after::<Audit>(&(guild, after)),
            None => scan.reverse(),
        };
        let mut entries: Vec<AuditEntry> = Vec::new();
        for ((_, id), row) in self.store.scan::<Audit>(scan).await? {
            let fits = query.actor.is_none_or(|actor| actor == row.actor)
                && query.action.is_none_or(|action| action == row.action);
            if !fits {
                continue;
            }
            let event = self.event(row.place).await?;
            if let Some(last) = entries.last_mut().filter(|last| last.is_one_with(&row, &event)) {
                last.events.push(event);
                continue;
            }
            if entries.len() == query.limit {
                break;
            }
            entries.push(AuditEntry { id, row, events: vec![event] });
        }
        for entry in &mut entries {
            entry.events.sort_by_key(|event| event.no);
        }
        Ok(entries)
    }
}

impl AuditEntry {
    /// Whether an event belongs to the same command and tells of the same thing.
    fn is_one_with(&self, row: &AuditRow, event: &Event) -> bool {
        let same =
            self.row.action == row.action && self.row.actor == row.actor && self.row.target == row.target;
        same && self.events.first().is_some_and(|first| first.position == event.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_sort_by_time_and_every_action_has_its_own_number() {
        assert!(entry_id(1_795_305_600_000, EventNo(9)) < entry_id(1_795_305_600_001, EventNo(1)));
        let mut numbers: Vec<u64> = AuditAction::NUMBERS.iter().map(|(_, number)| *number).collect();
        numbers.dedup();
        assert_eq!(numbers.len(), AuditAction::NUMBERS.len());
    }
}
