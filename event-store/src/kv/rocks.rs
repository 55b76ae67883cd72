//! The embedded default: RocksDB behind the engine trait.
//!
//! Reads go to RocksDB on the calling thread (they hit its memory almost always); writes go through one
//! thread that owns the write path, so that an fsync never holds up an async thread. **Invariant**: every
//! write is synced (`WriteOptions::sync`) before its commit resolves, and RocksDB shows a batch to readers
//! only after its log record is synced.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use bytes::Bytes;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompressionType, Direction, IteratorMode,
    Options, ReadOptions, SnapshotWithThreadMode, WriteBatch, WriteOptions,
};
use tokio::sync::oneshot;

use super::{Answer, Batch, Engine, Family, KvError, Read, Row, Span};
use crate::world::BoxFuture;

/// How much memory RocksDB may take.
#[derive(Clone, Copy, Debug)]
pub struct RocksTuning {
    /// Block cache shared by all families, in bytes.
    pub block_cache_bytes: usize,
    /// Unflushed writes of all families together, in bytes.
    pub write_buffer_bytes: usize,
    /// The write-ahead log on disk, in bytes: a start after a crash reads all of it.
    pub log_bytes: u64,
}

impl Default for RocksTuning {
    fn default() -> Self {
        Self { block_cache_bytes: 64 << 20, write_buffer_bytes: 48 << 20, log_bytes: 16 << 20 }
    }
}

enum Job {
    Commit(Batch, oneshot::Sender<Result<(), KvError>>),
    Compact(oneshot::Sender<Result<(), KvError>>),
    Checkpoint(PathBuf, oneshot::Sender<Result<(), KvError>>),
}

/// A RocksDB folder, opened for this process alone.
pub struct RocksEngine {
    db: Arc<DB>,
    /// Present until the engine is dropped, and not where it only reads.
    writer: Option<Writer>,
}

struct Writer {
    jobs: std::sync::mpsc::Sender<Job>,
    thread: thread::JoinHandle<()>,
}

impl Drop for RocksEngine {
    /// Waits for the write thread, so that the folder is closed when the engine is gone: a process that
    /// ends while a thread is still closing RocksDB is torn down under its feet.
    fn drop(&mut self) {
        if let Some(Writer { jobs, thread }) = self.writer.take() {
            drop(jobs);
            // It panicked, and said so, or it has ended.
            drop(thread.join());
        }
    }
}

impl RocksEngine {
    /// Opens or creates the store in `folder`.
    ///
    /// # Errors
    /// [`KvError::Engine`] when the folder cannot be opened, another process has it, or it is damaged.
    pub fn open(folder: &Path, tuning: RocksTuning) -> Result<Self, KvError> {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_db_write_buffer_size(tuning.write_buffer_bytes);
        options.set_max_background_jobs(2);
        options.set_bytes_per_sync(1 << 20);
        options.set_keep_log_file_num(2);
        options.set_max_open_files(512);
        // What a crash leaves to be read again at the next start.
        options.set_max_total_wal_size(tuning.log_bytes);
        // A torn record at the very end is a write that was never acknowledged; anything else is damage.
        options.set_wal_recovery_mode(rocksdb::DBRecoveryMode::TolerateCorruptedTailRecords);
        let cache = Cache::new_lru_cache(tuning.block_cache_bytes);
        let families = Family::ALL
            .map(|family| ColumnFamilyDescriptor::new(family.name(), family_options(family, &cache, tuning)));
        let db = Arc::new(DB::open_cf_descriptors(&options, folder, families).map_err(engine_error)?);
        Self::with_writer(db)
    }

    /// Opens the store in `folder` to look at it: nothing in the folder is written, whether or not it is open
    /// elsewhere. RocksDB keeps its diary in `diary`.
    ///
    /// # Errors
    /// [`KvError::Engine`] when it cannot be opened.
    pub fn open_read_only(folder: &Path, diary: &Path, tuning: RocksTuning) -> Result<Self, KvError> {
        let mut options = Options::default();
        options.set_max_open_files(512);
        options.set_db_log_dir(diary);
        let cache = Cache::new_lru_cache(tuning.block_cache_bytes);
        let families = Family::ALL
            .map(|family| ColumnFamilyDescriptor::new(family.name(), family_options(family, &cache, tuning)));
        let db = DB::open_cf_descriptors_read_only(&options, folder, families, false);
        Ok(Self { db: Arc::new(db.map_err(engine_error)?), writer: None })
    }

    fn with_writer(db: Arc<DB>) -> Result<Self, KvError> {
        let (jobs, queue) = std::sync::mpsc::channel();
        let writer = Arc::clone(&db);
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                for job in queue {
                    // A caller that went away does not want the answer; the write stands all the same.
                    match job {
                        Job::Commit(batch, done) => drop(done.send(write(&writer, &batch))),
                        Job::Compact(done) => drop(done.send(compact(&writer))),
                        Job::Checkpoint(folder, done) => drop(done.send(checkpoint(&writer, &folder))),
                    }
                }
            })
            .map_err(|error| KvError::Engine(error.to_string().into()))?;
        Ok(Self { db, writer: Some(Writer { jobs, thread }) })
    }

    /// The sum of a property over all families.
    fn sum(&self, property: &str) -> u64 {
        let of = |family| self.db.property_int_value_cf(handle(&self.db, family), property).ok()?;
        Family::ALL.into_iter().filter_map(of).sum()
    }

    fn submit(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<(), KvError>>) -> Job,
    ) -> BoxFuture<'static, Result<(), KvError>> {
        let (done, result) = oneshot::channel();
        let sent = self.writer.as_ref().is_some_and(|writer| writer.jobs.send(job(done)).is_ok());
        Box::pin(async move {
            match (sent, result.await) {
                (true, Ok(result)) => result,
                _ => Err(KvError::Engine("this store is not open for writing".into())),
            }
        })
    }
}

fn family_options(family: Family, cache: &Cache, tuning: RocksTuning) -> Options {
    let mut options = Options::default();
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks.set_format_version(6);
    blocks.set_bloom_filter(10.0, false);
    options.set_write_buffer_size(tuning.write_buffer_bytes / 4);
    options.set_level_compaction_dynamic_level_bytes(true);
    match family {
        Family::Rows => {
            blocks.set_block_size(8 << 10);
            options.set_compression_type(DBCompressionType::Lz4);
            options.set_bottommost_compression_type(DBCompressionType::Zstd);
        }
        Family::Events => {
            blocks.set_block_size(32 << 10);
            options.set_compression_type(DBCompressionType::Lz4);
            options.set_bottommost_compression_type(DBCompressionType::Zstd);
        }
        Family::Nodes => {
            blocks.set_block_size(8 << 10);
            options.set_compression_type(DBCompressionType::None);
        }
    }
    options.set_block_based_table_factory(&blocks);
    options
}

fn engine_error(error: rocksdb::Error) -> KvError {
    let text = error.into_string();
    // A quota that is used up is a full disk for this process.
    let full = ["No space left on device", "Disk quota exceeded"].iter().any(|reason| text.contains(reason));
    if full { KvError::DiskFull } else { KvError::Engine(text.into()) }
}

fn write(db: &DB, batch: &Batch) -> Result<(), KvError> {
    for precondition in &batch.preconditions {
        let handle = handle(db, precondition.key.family);
        let found = db.get_pinned_cf(handle, &precondition.key.bytes).map_err(engine_error)?;
        if found.as_deref() != precondition.expect.as_deref() {
            return Err(KvError::Conflict);
        }
    }
    let mut rows = WriteBatch::default();
    for (key, value) in &batch.writes {
        let handle = handle(db, key.family);
        match value {
            Some(value) => rows.put_cf(handle, &key.bytes, value),
            None => rows.delete_cf(handle, &key.bytes),
        }
    }
    let mut options = WriteOptions::default();
    options.set_sync(true);
    db.write_opt(rows, &options).map_err(engine_error)
}

fn checkpoint(db: &DB, folder: &Path) -> Result<(), KvError> {
    let checkpoint = rocksdb::checkpoint::Checkpoint::new(db).map_err(engine_error)?;
    checkpoint.create_checkpoint(folder).map_err(engine_error)
}

fn compact(db: &DB) -> Result<(), KvError> {
    for family in Family::ALL {
        db.flush_cf(handle(db, family)).map_err(engine_error)?;
        db.compact_range_cf(handle(db, family), None::<&[u8]>, None::<&[u8]>);
    }
    Ok(())
}

fn handle(db: &DB, family: Family) -> &rocksdb::ColumnFamily {
    db.cf_handle(family.name()).expect("every family is created when the store is opened")
}

fn get(db: &DB, options: &ReadOptions, family: Family, key: &[u8]) -> Result<Option<Bytes>, KvError> {
    let found = db.get_pinned_cf_opt(handle(db, family), key, options).map_err(engine_error)?;
    Ok(found.map(|value| Bytes::copy_from_slice(&value)))
}

fn range(db: &DB, mut options: ReadOptions, span: &Span) -> Result<Vec<Row>, KvError> {
    options.set_iterate_lower_bound(span.from.clone());
    if let Some(until) = &span.until {
        if *until <= span.from {
            return Ok(Vec::new());
        }
        options.set_iterate_upper_bound(until.clone());
    }
    let mode =
        if span.reverse { IteratorMode::End } else { IteratorMode::From(&span.from, Direction::Forward) };
    db.iterator_cf_opt(handle(db, span.family), options, mode)
        .take(span.limit)
        .map(|row| row.map(|(key, value)| (Bytes::from(key), Bytes::from(value))).map_err(engine_error))
        .collect()
}

impl Read for RocksEngine {
    fn get<'a>(&'a self, family: Family, key: &'a [u8]) -> Answer<'a, Option<Bytes>> {
        Answer::now(get(&self.db, &ReadOptions::default(), family, key))
    }

    fn multi_get<'a>(&'a self, family: Family, keys: &'a [Vec<u8>]) -> Answer<'a, Vec<Option<Bytes>>> {
        let options = ReadOptions::default();
        Answer::now(keys.iter().map(|key| get(&self.db, &options, family, key)).collect())
    }

    fn range(&self, span: Span) -> Answer<'_, Vec<Row>> {
        Answer::now(range(&self.db, ReadOptions::default(), &span))
    }
}

type RocksSnapshot<'a> = SnapshotWithThreadMode<'a, DB>;

self_cell::self_cell!(
    struct HeldSnapshot {
        owner: Arc<DB>,
        #[covariant]
        dependent: RocksSnapshot,
    }
);

impl HeldSnapshot {
    fn options(&self) -> ReadOptions {
        let mut options = ReadOptions::default();
        options.set_snapshot(self.borrow_dependent());
        options
    }
}

impl Read for HeldSnapshot {
    fn get<'a>(&'a self, family: Family, key: &'a [u8]) -> Answer<'a, Option<Bytes>> {
        Answer::now(get(self.borrow_owner(), &self.options(), family, key))
    }

    fn multi_get<'a>(&'a self, family: Family, keys: &'a [Vec<u8>]) -> Answer<'a, Vec<Option<Bytes>>> {
        let options = self.options();
        Answer::now(keys.iter().map(|key| get(self.borrow_owner(), &options, family, key)).collect())
    }

    fn range(&self, span: Span) -> Answer<'_, Vec<Row>> {
        Answer::now(range(self.borrow_owner(), self.options(), &span))
    }
}

impl Engine for RocksEngine {
    fn snapshot(&self) -> Arc<dyn Read> {
        Arc::new(HeldSnapshot::new(Arc::clone(&self.db), |db| db.snapshot()))
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<(), KvError>> {
        self.submit(|done| Job::Commit(batch, done))
    }

    fn is_exclusive(&self) -> bool {
        true
    }

    fn disk_bytes(&self) -> u64 {
        self.sum("rocksdb.total-sst-files-size")
    }

    fn row_count(&self) -> u64 {
        self.sum("rocksdb.estimate-num-keys")
    }

    fn compact(&self) -> BoxFuture<'static, Result<(), KvError>> {
        self.submit(Job::Compact)
    }

    fn checkpoint(&self, folder: PathBuf) -> BoxFuture<'static, Result<(), KvError>> {
        self.submit(|done| Job::Checkpoint(folder, done))
    }
}
