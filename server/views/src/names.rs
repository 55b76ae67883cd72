//! Names to look things up by: the members of a guild by the start of what they are called, and the guilds
//! that are open to all.
//!
//! **Shapes**: keys are names in lower case, cut at [`NAME_CHARS`] characters, so that what starts alike lies
//! together. **Bounds**: a search reads a few rows for each it finds.

use std::collections::BTreeSet;

use nexus_event_store::{RoomNo, Scan, Snowflake, UserNo, catalogue::numbers, codec::Text, table};

use crate::{Guild, GuildMember, ViewError, Views};

/// Names are compared as far as this.
pub const NAME_CHARS: usize = 64;

/// Before the number that ends a key; no name has it.
const END: char = '\0';

/// The scope of [`Names`] that holds the guilds that are open to all.
pub(crate) const OPEN_GUILDS: RoomNo = RoomNo(0);

table! {
    /// Names: (guild, name and user) for members; (0, name and guild) for guilds that are open to all.
    Names = numbers::NAMES, "names", (RoomNo, Text) => u64
}
table! {
    /// The members of a guild by snowflake; stewards are none.
    MemberOrder = numbers::MEMBER_ORDER, "member_order", (RoomNo, Snowflake) => UserNo
}

/// A name as it is compared.
#[must_use]
pub fn folded(name: &str) -> String {
    let plain = name.chars().filter(|character| *character != END).flat_map(char::to_lowercase);
    plain.take(NAME_CHARS).collect()
}

pub(crate) fn name_key(scope: RoomNo, name: &str, number: u64) -> (RoomNo, Text) {
    (scope, Text(format!("{}{END}{number:020}", folded(name))))
}

impl Views {
    /// Members of a guild by snowflake after `after`; stewards are left out.
    ///
    /// # Errors
    /// Store errors.
    pub async fn guild_members(
        &self,
        guild: RoomNo,
        after: Option<Snowflake>,
        limit: usize,
    ) -> Result<Vec<GuildMember>, ViewError> {
        let mut scan = Scan::prefix::<MemberOrder>(&guild).limit(limit);
        if let Some(after) = after {
            scan = scan.after::<MemberOrder>(&(guild, after));
        }
        let mut members = Vec::new();
        for (_, user) in self.store.scan::<MemberOrder>(scan).await? {
            members.extend(self.guild_member(guild, user).await?);
        }
        Ok(members)
    }

    /// The members of a guild whose username, display name or nickname starts with `start`, in any case.
    ///
    /// # Errors
    /// Store errors.
    pub async fn members_named(
        &self,
        guild: RoomNo,
        start: &str,
        limit: usize,
    ) -> Result<Vec<GuildMember>, ViewError> {
        const CHUNK: usize = 256;
        let start = (guild, Text(folded(start)));
        let (mut seen, mut members, mut from) = (BTreeSet::new(), Vec::new(), None);
        loop {
            let mut scan = Scan::prefix::<Names>(&start).limit(CHUNK);
            if let Some(last) = &from {
                scan = scan.after::<Names>(last);
            }
            let rows = self.store.scan::<Names>(scan).await?;
            let is_last = rows.len() < CHUNK;
            for (key, user) in rows {
                if members.len() == limit {
                    return Ok(members);
                }
                if seen.insert(user) {
                    members.extend(self.guild_member(guild, UserNo(user)).await?);
                }
                from = Some(key);
            }
            if is_last {
                return Ok(members);
            }
        }
    }

    /// The guilds that are open to all and whose name has `query` in it (in any case), by name.
    ///
    /// # Errors
    /// Store errors.
    pub async fn discoverable(&self, query: &str, limit: usize) -> Result<Vec<Guild>, ViewError> {
        let query = folded(query);
        let mut found = Vec::new();
        for ((_, name), room) in self.store.scan::<Names>(Scan::prefix::<Names>(&OPEN_GUILDS)).await? {
            if found.len() >= limit {
                break;
            }
            if name.0.split(END).next().is_some_and(|name| name.contains(&query)) {
                found.extend(self.guild(RoomNo(room)).await?);
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_in_lower_case_and_end_before_the_number() {
        assert_eq!(name_key(RoomNo(1), "Ärger\0x", 7).1.0, format!("ärgerx\0{:020}", 7));
        assert_eq!(folded(&"X".repeat(100)).len(), NAME_CHARS);
    }
}
