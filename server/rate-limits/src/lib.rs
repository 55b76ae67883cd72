//! How often whom may do what: token buckets for both APIs and for the accounts.
//!
//! Each [`Action`] has a [`Limit`]; each pair of action and [`Key`] has a bucket. A bucket is one number, the
//! moment at which it will be full again (GCRA), so taking a token is one look into a map. **Bounds**: see
//! [`table`]. **Units**: milliseconds of the monotonic clock. **Invariant**: a server whose limits are off
//! keeps no table and refuses nothing.

mod action;
mod table;

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use nexus_event_store::{UserNo, world::World};

pub use action::{Action, Limit};

use crate::table::Table;

/// Whose bucket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// Whoever has this address. Of IPv6, the whole /64: a household or a rented machine has as much.
    Address(Network),
    /// A user, on all devices.
    User(UserNo),
    /// A user in one place, which any number names.
    UserIn(UserNo, u64),
    /// Something named by a text, such as an e-mail address, in hashed form.
    Name(u64),
}

impl Key {
    /// The key of whoever has `address`.
    pub fn of_address(address: IpAddr) -> Self {
        Self::Address(Network::of(address))
    }
}

/// What one party is assumed to have of the address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network(u64);

impl Network {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            // In the range that IPv6 has kept for IPv4 since the beginning and does not route.
            IpAddr::V4(v4) => Self(u64::from(u32::from(v4))),
            IpAddr::V6(v6) if v6 == Ipv6Addr::LOCALHOST => Self(u64::from(0x7f00_0001_u32)),
            IpAddr::V6(v6) => Self(u64::try_from(u128::from(v6) >> 64).unwrap_or(u64::MAX)),
        }
    }
}

/// A token was taken; how the bucket stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// What the bucket holds at most.
    pub burst: u32,
    /// What it holds now.
    pub remaining: u32,
    /// When it will be full again.
    pub full_after: Duration,
}

/// The bucket is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// What the bucket holds at most.
    pub burst: u32,
    /// When there will be a token.
    pub retry_after: Duration,
}

/// The buckets of one server. Cheap to clone.
#[derive(Clone)]
pub struct RateLimits(Option<Arc<Inner>>);

struct Inner {
    world: World,
    table: Table,
}

impl RateLimits {
    /// Full buckets for everybody.
    #[must_use]
    pub fn new(world: World) -> Self {
        Self(Some(Arc::new(Inner { world, table: Table::default() })))
    }

    /// Limits that refuse nothing.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// Whether anything is ever refused.
    #[must_use]
    pub fn are_on(&self) -> bool {
        self.0.is_some()
    }

    /// Takes a token, if there is one. `None` where limits are off.
    ///
    /// # Errors
    /// [`Limited`] when the bucket is empty; nothing was taken then.
    pub fn take(&self, action: Action, key: Key) -> Result<Option<Allowance>, Limited> {
        let Some(inner) = &self.0 else { return Ok(None) };
        inner.table.take(action, key, inner.now_ms()).map(Some)
    }

    /// Puts back a token that was taken and turned out not to be due.
    pub fn give_back(&self, action: Action, key: Key) {
        if let Some(inner) = &self.0 {
            inner.table.give_back(action, key);
        }
    }

    /// Whether there is a token, without taking it.
    ///
    /// # Errors
    /// [`Limited`] when the bucket is empty.
    pub fn check(&self, action: Action, key: Key) -> Result<(), Limited> {
        let Some(inner) = &self.0 else { return Ok(()) };
        inner.table.check(action, key, inner.now_ms())
    }
}

impl Inner {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.world.clock.monotonic().as_millis()).unwrap_or(u64::MAX)
    }
}

impl std::fmt::Debug for RateLimits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RateLimits").field(&self.are_on()).finish()
    }
}

/// A key for a text.
pub fn name_key(text: &str) -> Key {
    Key::Name(name_number(text))
}

/// A number for a text (FNV-1a). Whoever finds another text with the same one shares a bucket with it, no more.
pub fn name_number(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(address: &str) -> Key {
        Key::of_address(address.parse().unwrap())
    }

    #[test]
    fn attack_48_an_ipv6_party_has_one_bucket_for_its_whole_network() {
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:192.0.2.7"), key("192.0.2.7"));
        assert_ne!(key("192.0.2.7"), key("192.0.2.8"));
    }

    #[test]
    fn limits_that_are_off_refuse_nothing() {
        let limits = RateLimits::off();
        for _ in 0..10_000 {
            assert_eq!(limits.take(Action::Register, key("192.0.2.7")), Ok(None));
        }
    }
}
