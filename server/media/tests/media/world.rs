//! A store in memory, with a clock that goes when it is told to, and media over a storage of choice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use nexus_event_store::{
    Store, UserNo,
    kv::memory::{MemoryEngine, PerfectDisk},
    world::{BoxFuture, Clock, CpuPool, Random, Spawn, UnixMs, World},
};
use nexus_media::{Blobs, BodyStream, Media, MediaConfig, MediaError, Medium, NewMedium};

pub(crate) const ANNA: UserNo = UserNo(1);
pub(crate) const BEN: UserNo = UserNo(2);
/// The largest file in these tests: larger than what is held in memory of an upload.
pub(crate) const LIMIT: u64 = 12 << 20;

#[derive(Clone, Default)]
pub(crate) struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as u64, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMs {
        UnixMs(1_795_305_600_000 + self.0.load(Ordering::Relaxed))
    }
    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Counts: the tests need names that differ, not ones that nobody can guess.
#[derive(Default)]
struct Counter(AtomicU64);

impl Random for Counter {
    fn fill(&self, bytes: &mut [u8]) {
        let count = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        for (byte, count) in bytes.iter_mut().zip(count.iter().cycle()) {
            *byte = *count;
        }
    }
}

struct OnTokio;

impl Spawn for OnTokio {
    #[expect(clippy::disallowed_methods, reason = "this is the world of the tests")]
    fn spawn(&self, _: &'static str, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }
}

impl CpuPool for OnTokio {
    fn run(&self, job: Box<dyn FnOnce() + Send + 'static>) {
        job();
    }
}

pub(crate) struct Fixture {
    pub(crate) media: Media,
    pub(crate) store: Store,
    pub(crate) clock: ManualClock,
}

pub(crate) async fn fixture(blobs: Blobs) -> Fixture {
    let clock = ManualClock::default();
    let world = World {
        clock: Arc::new(clock.clone()),
        random: Arc::new(Counter::default()),
        spawn: Arc::new(OnTokio),
        cpu: Arc::new(OnTokio),
    };
    let fatal = Arc::new(|error: &_| panic!("{error}"));
    let store = Store::open(Arc::new(MemoryEngine::new(Arc::new(PerfectDisk))), world, fatal).await.unwrap();
    let media = Media::new(store.clone(), blobs, MediaConfig { upload_bytes_max: LIMIT });
    Fixture { media, store, clock }
}

/// `bytes` in pieces, as a socket gives them.
pub(crate) fn body(bytes: &[u8]) -> impl BodyStream + use<> {
    let pieces: Vec<_> = bytes.chunks(60_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    stream::iter(pieces)
}

impl Fixture {
    pub(crate) async fn upload(&self, user: UserNo, name: &str, bytes: &[u8]) -> Result<Medium, MediaError> {
        let new = NewMedium { content_type: None, file_name: Some(name.to_owned()) };
        self.media.upload(user, new, body(bytes)).await
    }
}
