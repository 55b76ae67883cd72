//! What must be true of the store after a kill.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use nexus_accounts::Accounts;
use nexus_event_store::{
    RoomNo, Scan,
    kv::{
        memory::{MemoryEngine, PerfectDisk},
        rocks::{RocksEngine, RocksTuning},
    },
};
use nexus_maintenance::{purge, verify::verify};
use nexus_rooms::Rooms;
use nexus_views::{Membership, rows::Guilds};
use ruma::{EventId, RoomId, UserId};

use crate::{
    child::open,
    world::{Found, keys, lines, system},
};

/// Checks the store in `folder` against what was acknowledged since the last time.
pub(crate) fn check(folder: &Path, acks: &[String], whole: bool) {
    // On a runtime of its own: the store is closed when its tasks are gone.
    run(async || {
        let (rooms, accounts) = open(folder).await;
        Oracle { rooms: &rooms, accounts: &accounts }.acknowledged(acks).await;
        if whole {
            half_commands(&rooms).await;
            let views = rooms.views();
            purge::resume(views.store(), views.caches(), &mut |_| {}).await.unwrap();
            jobs_end(&rooms).await;
            assert!(purge::unfinished(views.store()).await.unwrap().is_empty(), "jobs are resumed");
        }
    });
    if whole {
        run(async || {
            let raw = RocksEngine::open(&folder.join("store"), RocksTuning::default()).unwrap();
            let scratch = Arc::new(MemoryEngine::new(Arc::new(PerfectDisk)));
            let mut found = Found::default();
            verify(Arc::new(raw), scratch, keys(), &system(), &mut found).await;
            assert!(found.0.is_empty(), "{}", lines(&found.0));
        });
    }
}

fn run<T>(work: impl AsyncFnOnce() -> T) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
        .block_on(work())
}

struct Oracle<'a> {
    rooms: &'a Rooms,
    accounts: &'a Accounts,
}

impl Oracle<'_> {
    async fn acknowledged(&self, acks: &[String]) {
        let purged: BTreeSet<&str> =
            acks.iter().filter_map(|ack| ack.strip_prefix("ack purge ")?.split(' ').next()).collect();
        let mut profiles = BTreeMap::new();
        for ack in acks {
            let words: Vec<&str> = ack.split(' ').collect();
            // The last word says that the line is whole.
            assert_eq!(words.last(), Some(&"."), "{ack}");
            match words[1..words.len() - 1] {
                ["profile", account, name] => drop(profiles.insert(account, name)),
                ["send", room, event, position] => self.sent(room, event, position, &purged).await,
                [kind, first] => self.one(kind, first, ack, &purged).await,
                [kind, first, second] => self.two(kind, first, second, ack).await,
                _ => panic!("{ack}"),
            }
        }
        for (account, name) in profiles {
            let found = self.accounts.account_by_name(account).await.unwrap().unwrap();
            let profile = self.accounts.profile_of(found.user).await.unwrap();
            let said = profile.display_name.unwrap();
            // A later name may have been on disk and not acknowledged.
            let number = |text: &str| text.rsplit('-').next().unwrap().parse::<u64>().unwrap();
            assert!(number(&said) >= number(name), "{account} is {said}, was renamed to {name}");
        }
    }

    async fn sent(&self, room: &str, event: &str, position: &str, purged: &BTreeSet<&str>) {
        let views = self.rooms.views();
        assert!(views.store().visible().0 >= position.parse().unwrap(), "{event} at {position} is lost");
        if purged.contains(room) {
            return;
        }
        let id = EventId::parse(event).unwrap();
        let found = views.event_by_id(&id).await.unwrap();
        // A purge that was not acknowledged may have begun.
        let begun = purge::unfinished(views.store()).await.unwrap().iter().any(|(_, id)| id == room);
        let gone = views.room_no(&RoomId::parse(room).unwrap()).await.unwrap().is_none();
        assert!(found.is_some() || begun || gone, "the acknowledged event {event} is lost");
    }

    async fn one(&self, kind: &str, first: &str, ack: &str, purged: &BTreeSet<&str>) {
        let views = self.rooms.views();
        match kind {
            "account" => assert!(self.accounts.account_by_name(first).await.unwrap().is_some(), "{ack}"),
            "room" | "purge" => {
                let known = views.room_no(&RoomId::parse(first).unwrap()).await.unwrap();
                if purged.contains(first) {
                    assert!(known.is_none(), "{ack}");
                }
            }
            "deleted" => {
                let guild = RoomNo(first.parse().unwrap());
                assert!(views.guild(guild).await.unwrap().is_none(), "{ack}");
            }
            "guild" => {
                let guild = RoomNo(first.parse().unwrap());
                assert!(views.guild(guild).await.unwrap().is_some(), "{ack}");
            }
            "redact" => {
                let id = EventId::parse(first).unwrap();
                if let Some(event) = views.event_by_id(&id).await.unwrap() {
                    assert!(event.redacted_by.is_some(), "{ack}");
                    assert!(!event.pdu.json().contains("body"), "{ack}");
                }
            }
            _ => panic!("{ack}"),
        }
    }

    async fn two(&self, kind: &str, first: &str, second: &str, ack: &str) {
        let views = self.rooms.views();
        let membership = async |room: RoomNo, user: &str| {
            let user = views.user_no(&UserId::parse(user).unwrap()).await.unwrap().unwrap();
            views.membership(room, user).await.unwrap().map(|row| row.membership)
        };
        match kind {
            "channel" => {
                let channel = RoomNo(second.parse().unwrap());
                let info = views.info(channel).await.unwrap();
                assert_eq!(info.guild, Some(RoomNo(first.parse().unwrap())), "{ack}");
            }
            "member" => {
                let guild = RoomNo(first.parse().unwrap());
                assert_eq!(membership(guild, second).await, Some(Membership::Join), "{ack}");
            }
            "banned" => {
                let guild = RoomNo(first.parse().unwrap());
                assert_eq!(membership(guild, second).await, Some(Membership::Ban), "{ack}");
            }
            "ban" => {
                let room = views.room_no(&RoomId::parse(first).unwrap()).await.unwrap().unwrap();
                assert_eq!(membership(room, second).await, Some(Membership::Ban), "{ack}");
            }
            _ => panic!("{ack}"),
        }
    }
}

/// What the killed servers had begun comes to its end: nobody is left where a deleted guild or a ban took them
/// out.
async fn jobs_end(rooms: &Rooms) {
    rooms.start_jobs();
    for _ in 0..6000 {
        if rooms.jobs().await.unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let left = rooms.jobs().await.unwrap();
    assert!(left.is_empty(), "jobs that do not end: {left:?}");
    let views = rooms.views();
    for (guild, _) in views.store().scan::<Guilds>(Scan::prefix::<Guilds>(&())).await.unwrap() {
        let members = views.members(guild).await.unwrap().into_iter();
        let banned = members.filter(|(_, row)| row.membership == Membership::Ban);
        for (user, _) in banned {
            for channel in views.channels(guild).await.unwrap() {
                let row = views.membership(channel.room, user).await.unwrap();
                let joined = row.is_some_and(|row| row.membership == Membership::Join);
                assert!(!joined, "{user} was banned from {guild} and is in {}", channel.room);
            }
        }
    }
}

/// A guild is founded whole: with its channels, its owner in it, and in each channel.
async fn half_commands(rooms: &Rooms) {
    let views = rooms.views();
    for (guild, row) in views.store().scan::<Guilds>(Scan::prefix::<Guilds>(&())).await.unwrap() {
        let channels = views.channels(guild).await.unwrap();
        assert!(channels.len() >= 2, "guild {guild} has {} channels", channels.len());
        let owner = views.membership(guild, row.owner).await.unwrap();
        assert_eq!(owner.map(|row| row.membership), Some(Membership::Join), "of guild {guild}");
    }
}
