//! The buckets.
//!
//! **Bounds**: [`SHARDS`] maps of at most [`BUCKETS_MAX`] buckets each. A full map first drops the buckets that
//! are full again, which says nothing that an absent one does not; if all of them are in use, the quarter that
//! is nearest to full goes, so whoever floods the table with keys is forgotten before whoever is over a limit.

use std::{collections::BTreeMap, time::Duration};

use parking_lot::Mutex;

use crate::{Action, Allowance, Key, Limited};

const SHARDS: usize = 16;
const BUCKETS_MAX: usize = 8192;

/// When each bucket will be full again.
type Shard = BTreeMap<(Key, Action), u64>;

#[derive(Default)]
pub(crate) struct Table {
    shards: [Mutex<Shard>; SHARDS],
}

impl Table {
    pub(crate) fn take(&self, action: Action, key: Key, now_ms: u64) -> Result<Allowance, Limited> {
        let mut shard = self.shard(key).lock();
        let full_at = shard.get(&(key, action)).copied().unwrap_or_default();
        let allowance = after_taking(action, full_at, now_ms)?;
        if shard.len() >= BUCKETS_MAX && !shard.contains_key(&(key, action)) {
            make_room(&mut shard, now_ms);
        }
        let full_after_ms = u64::try_from(allowance.full_after.as_millis()).unwrap_or(u64::MAX);
        shard.insert((key, action), now_ms.saturating_add(full_after_ms));
        Ok(allowance)
    }

    pub(crate) fn check(&self, action: Action, key: Key, now_ms: u64) -> Result<(), Limited> {
        let full_at = self.shard(key).lock().get(&(key, action)).copied().unwrap_or_default();
        after_taking(action, full_at, now_ms).map(drop)
    }

    pub(crate) fn give_back(&self, action: Action, key: Key) {
        if let Some(full_at) = self.shard(key).lock().get_mut(&(key, action)) {
            let every = u64::try_from(action.limit().every.as_millis()).unwrap_or(u64::MAX);
            *full_at = full_at.saturating_sub(every);
        }
    }

    fn shard(&self, key: Key) -> &Mutex<Shard> {
        let number = match key {
            Key::Address(network) => network.0,
            Key::User(user) | Key::UserIn(user, _) => user.0,
            Key::Name(hash) => hash,
        };
        // Multiplied, so that neighbours (numbers of users, addresses) are spread.
        let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60;
        &self.shards[usize::try_from(spread).unwrap_or_default() % SHARDS]
    }
}

/// The bucket once a token has been taken, or why none can be.
fn after_taking(action: Action, full_at: u64, now_ms: u64) -> Result<Allowance, Limited> {
    let limit = action.limit();
    let every = u64::try_from(limit.every.as_millis()).unwrap_or(u64::MAX).max(1);
    let missing_ms = full_at.saturating_sub(now_ms) + every;
    let capacity_ms = every * u64::from(limit.burst);
    if missing_ms > capacity_ms {
        let retry_after = Duration::from_millis(missing_ms - capacity_ms);
        return Err(Limited { burst: limit.burst, retry_after });
    }
    let remaining = u32::try_from((capacity_ms - missing_ms) / every).unwrap_or(u32::MAX);
    Ok(Allowance { burst: limit.burst, remaining, full_after: Duration::from_millis(missing_ms) })
}

fn make_room(shard: &mut Shard, now_ms: u64) {
    shard.retain(|_, full_at| *full_at > now_ms);
    if shard.len() < BUCKETS_MAX {
        return;
    }
    let mut moments: Vec<u64> = shard.values().copied().collect();
    let (_, quarter, _) = moments.select_nth_unstable(BUCKETS_MAX / 4);
    let quarter = *quarter;
    let mut doomed = BUCKETS_MAX / 4;
    shard.retain(|_, full_at| {
        let goes = *full_at <= quarter && doomed > 0;
        doomed -= usize::from(goes);
        !goes
    });
}

#[cfg(test)]
mod tests {
    use nexus_event_store::UserNo;

    use super::*;

    const ONE: Key = Key::User(UserNo(1));

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let table = Table::default();
        let limit = Action::Send.limit();
        for taken in 1..=limit.burst {
            let allowance = table.take(Action::Send, ONE, 1000).unwrap();
            assert_eq!((allowance.burst, allowance.remaining), (limit.burst, limit.burst - taken));
        }
        let refused = table.take(Action::Send, ONE, 1000).unwrap_err();
        assert_eq!(refused.retry_after, limit.every);
        assert!(table.take(Action::Send, Key::User(UserNo(2)), 1000).is_ok(), "another user's is full");
        assert!(table.take(Action::Change, ONE, 1000).is_ok(), "and so is that of another action");
        assert!(table.check(Action::Send, ONE, 1199).is_err());
        assert!(table.check(Action::Send, ONE, 1200).is_ok());
        assert!(table.check(Action::Send, ONE, 1200).is_ok(), "looking takes nothing");
        assert_eq!(table.take(Action::Send, ONE, 1200).unwrap().remaining, 0);
        table.give_back(Action::Send, ONE);
        assert_eq!(table.take(Action::Send, ONE, 1200).unwrap().remaining, 0);
        assert!(table.take(Action::Send, ONE, 1200).is_err());
        let later = table.take(Action::Send, ONE, 1_000_000).unwrap();
        assert_eq!(later.remaining, limit.burst - 1, "it does not hold more than it holds");
    }

    #[test]
    fn a_flood_of_keys_neither_grows_the_table_nor_frees_the_flooder() {
        let table = Table::default();
        while table.take(Action::Register, ONE, 0).is_ok() {}
        for number in 2..400_000 {
            let user = Key::User(UserNo(number));
            table.take(Action::Register, user, 0).unwrap();
        }
        let kept: usize = table.shards.iter().map(|shard| shard.lock().len()).sum();
        assert!(kept <= SHARDS * BUCKETS_MAX, "{kept}");
        assert!(table.take(Action::Register, ONE, 0).is_err(), "who is over the limit is not forgotten");
    }
}
