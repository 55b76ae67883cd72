//! Logins of recently seen access tokens, so that a request need not read the store.
//!
//! Two generations bound it: when the young one is full it becomes the old one and the old one is dropped;
//! a hit in the old one moves up. **Invariant**: what [`LoginCache::forget`] removed does not come back
//! through a lookup that had begun before: such a lookup holds an outdated [`Ticket`].

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::RwLock;

use crate::{authenticate::Login, tables::TokenHash};

/// Each generation has at most this many logins.
const GENERATION_MAX: usize = 16 * 1024;

/// When a lookup began, in revocations.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

#[derive(Default)]
struct Generations {
    revocations: u64,
    young: BTreeMap<TokenHash, Arc<Login>>,
    old: BTreeMap<TokenHash, Arc<Login>>,
}

/// The cache.
#[derive(Default)]
pub(crate) struct LoginCache {
    generations: RwLock<Generations>,
}

impl LoginCache {
    pub(crate) fn get(&self, hash: &TokenHash) -> Option<Arc<Login>> {
        let (ticket, login) = {
            let generations = self.generations.read();
            if let Some(login) = generations.young.get(hash) {
                return Some(Arc::clone(login));
            }
            (Ticket(generations.revocations), Arc::clone(generations.old.get(hash)?))
        };
        self.insert(ticket, *hash, Arc::clone(&login));
        Some(login)
    }

    /// To be taken before the store is read.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket(self.generations.read().revocations)
    }

    /// How many revocations there were.
    pub(crate) fn revocations(&self) -> u64 {
        self.generations.read().revocations
    }

    /// Keeps what the store said, unless a token was revoked meanwhile: then it may be out of date.
    pub(crate) fn insert(&self, ticket: Ticket, hash: TokenHash, login: Arc<Login>) {
        let mut generations = self.generations.write();
        if Ticket(generations.revocations) != ticket {
            return;
        }
        if generations.young.len() >= GENERATION_MAX {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(hash, login);
    }

    /// Removes revoked tokens.
    pub(crate) fn forget<'a>(&self, hashes: impl IntoIterator<Item = &'a TokenHash>) {
        let mut generations = self.generations.write();
        generations.revocations += 1;
        for hash in hashes {
            generations.young.remove(hash);
            generations.old.remove(hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use nexus_event_store::UserNo;
    use ruma::user_id;

    use super::*;

    fn login() -> Arc<Login> {
        let user_id = user_id!("@a:example.org").to_owned();
        Arc::new(Login { user: UserNo(1), user_id, device: "D".into(), is_bot: false, expires_ms: None })
    }

    fn hash(number: usize) -> TokenHash {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        TokenHash(bytes)
    }

    #[test]
    fn a_lookup_that_began_before_a_revocation_is_not_kept() {
        let cache = LoginCache::default();
        let ticket = cache.ticket();
        cache.forget([&hash(1)]);
        cache.insert(ticket, hash(1), login());
        assert!(cache.get(&hash(1)).is_none());
        cache.insert(cache.ticket(), hash(2), login());
        assert!(cache.get(&hash(2)).is_some());
        cache.forget([&hash(2)]);
        assert!(cache.get(&hash(2)).is_none());
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        let cache = LoginCache::default();
        cache.insert(cache.ticket(), hash(0), login());
        for number in 1..5 * GENERATION_MAX {
            cache.insert(cache.ticket(), hash(number), login());
            assert!(cache.get(&hash(0)).is_some(), "still used after {number}");
        }
        let generations = cache.generations.read();
        assert!(generations.young.len() + generations.old.len() <= 2 * GENERATION_MAX);
    }
}
