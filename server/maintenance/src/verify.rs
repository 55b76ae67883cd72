//! Is the store sound? Every checksum, hash, signature and index, and the views against their rebuild.
//!
//! Three passes: each row by itself (checksum, decoding, its room), each relation between rows (both ways
//! where there are two), each view against what the log gives again. Rows are read in chunks from an engine
//! that nobody writes to; what a damaged row hides is reported where something refers to it. **Shapes**: a
//! [`Problem`] names table, key and event. **Errors**: none for damage, that is what is looked for.
//! **Bounds**: a chunk of rows, and the scratch engine that the views are rebuilt in.

use std::{collections::BTreeMap, sync::Arc};

use nexus_event_store::{
    Bytes, EngineRows, EventNo, RoomNo, Rows as _, StoreError,
    catalogue::{Events, Rooms, Table},
    kv::{
        Engine, Span,
        sealed::{Sealed, hex, unseal},
    },
    read::decode_row,
    table_list::TableInfo,
    world::World,
};
use ruma::signatures::PublicKeyMap;

use crate::tables::tables;

mod events;
mod graph;
mod maps;
mod scratch;
mod stream;
mod tries;
mod views;

/// Rows that are read at once.
const CHUNK: usize = 512;

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The table.
    pub table: &'static str,
    /// The row's key, in words or, where it cannot be read, in hexadecimal.
    pub key: String,
    /// The event that it is about, if one is known.
    pub event: Option<String>,
    /// What is wrong.
    pub what: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "table {}, key {}", self.table, self.key)?;
        if let Some(event) = &self.event {
            write!(f, ", event {event}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// Told while it goes on.
pub trait Listener: Send {
    /// Something is wrong.
    fn problem(&mut self, problem: Problem);
    /// So many more rows of `table` were looked at.
    fn rows(&mut self, table: &'static str, rows: u64);
}

/// What was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rows of all tables.
    pub rows: u64,
    /// Events whose hashes and signatures were checked.
    pub events: u64,
    /// Of them, events of servers whose keys are not recorded: only their hashes could be checked.
    pub unknown_keys: u64,
    /// Nodes of state tries.
    pub nodes: u64,
    /// Rows of views that were compared with their rebuild.
    pub view_rows: u64,
    /// What is wrong.
    pub problems: u64,
}

/// Where views are rebuilt: an empty engine that is thrown away.
pub type ScratchEngine = Arc<dyn Engine>;

/// A check under way.
pub(crate) struct Check<'a> {
    raw: Arc<dyn Engine>,
    rows: EngineRows,
    world: &'a World,
    keys: Arc<PublicKeyMap>,
    listener: &'a mut dyn Listener,
    summary: Summary,
    /// The room that was asked for last, and whether there is one.
    last_room: Option<(RoomNo, bool)>,
}

/// Checks the store in `raw`, an engine without checksums in between that nobody writes to.
pub async fn verify(
    raw: Arc<dyn Engine>,
    scratch: ScratchEngine,
    keys: PublicKeyMap,
    world: &World,
    listener: &mut dyn Listener,
) -> Summary {
    let rows = EngineRows(Arc::new(Sealed::new(Arc::clone(&raw))));
    let keys = Arc::new(keys);
    let mut check = Check { raw, rows, world, keys, listener, summary: Summary::default(), last_room: None };
    check.every_row().await;
    let counted = check.stream().await;
    check.maps().await;
    check.events(counted).await;
    check.graph().await;
    check.tries().await;
    check.views(scratch).await;
    check.summary
}

/// Where a scan of a table is.
pub(crate) struct Cursor {
    span: Option<Span>,
}

impl Cursor {
    pub(crate) fn new(table: &TableInfo) -> Self {
        Self::from(table, vec![table.number])
    }

    fn from(table: &TableInfo, from: Vec<u8>) -> Self {
        let until = Some(vec![table.number + 1]);
        Self { span: Some(Span { family: table.family, from, until, reverse: false, limit: CHUNK }) }
    }
}

impl Check<'_> {
    pub(crate) fn problem(
        &mut self,
        table: &'static str,
        key: impl Into<String>,
        event: Option<&str>,
        what: impl Into<String>,
    ) {
        self.summary.problems += 1;
        let problem = Problem { table, key: key.into(), event: event.map(str::to_owned), what: what.into() };
        self.listener.problem(problem);
    }

    /// Every row by itself: its checksum, whether it decodes, whether its room is known.
    async fn every_row(&mut self) {
        let all = tables();
        for table in &all {
            let mut cursor = Cursor::new(table);
            while let Some(rows) = self.next(table, &mut cursor, true).await {
                for (key, value) in &rows {
                    match (table.decode)(key, value) {
                        Ok(row) if table.room_first => self.has_room(table, key, &row.key).await,
                        Ok(_) => {}
                        Err(error) => self.problem(table.name, hex(key), None, error.to_string()),
                    }
                }
            }
        }
        self.strangers(&all).await;
    }

    /// Rows under a number that no table has.
    async fn strangers(&mut self, all: &[TableInfo]) {
        for family in nexus_event_store::kv::Family::ALL {
            for number in 0..u8::MAX {
                if all.iter().any(|table| table.number == number && table.family == family) {
                    continue;
                }
                let until = Some(vec![number + 1]);
                let span = Span { family, from: vec![number], until, reverse: false, limit: 1 };
                // What cannot be read is reported by the table that lies there.
                if let Ok(rows) = self.raw.range(span).await
                    && let Some((key, _)) = rows.first()
                {
                    let what = format!("no table of family {} has the number {number}", family.name());
                    self.problem("none", hex(key), None, what);
                }
            }
        }
    }

    async fn has_room(&mut self, table: &TableInfo, key: &[u8], words: &str) {
        let Some(number) = key.get(1..9).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes)
        else {
            return;
        };
        let room = RoomNo(number);
        let known = match self.last_room {
            Some((last, known)) if last == room => known,
            _ => !matches!(self.rows.row::<Rooms>(&room).await, Ok(None)),
        };
        self.last_room = Some((room, known));
        if !known {
            self.problem(table.name, words, None, format!("there is no room {room}"));
        }
    }

    /// The next rows of a table that have their checksums; `None` at its end. Others are reported in the
    /// first pass (`report`) only.
    pub(crate) async fn next(
        &mut self,
        table: &TableInfo,
        cursor: &mut Cursor,
        report: bool,
    ) -> Option<Vec<(Bytes, Bytes)>> {
        let span = cursor.span.take()?;
        let rows = match self.raw.range(span.clone()).await {
            Ok(rows) => rows,
            Err(error) => {
                if report {
                    self.unreadable(table, &span, &error.to_string()).await;
                }
                return None;
            }
        };
        if rows.len() == span.limit {
            let last = rows.last().map(|(key, _)| [key.as_ref(), &[0]].concat());
            cursor.span = last.map(|from| Span { from, ..span });
        }
        if report {
            self.summary.rows += rows.len() as u64;
            self.listener.rows(table.name, rows.len() as u64);
        }
        let mut sound = Vec::with_capacity(rows.len());
        for (key, sealed) in rows {
            match unseal(&key, &sealed) {
                Some(value) => sound.push((key, value)),
                None if report => self.damaged_row(table, &key, &sealed).await,
                None => {}
            }
        }
        (!sound.is_empty() || cursor.span.is_some()).then_some(sound)
    }

    /// A row whose bytes are not what was written, with the event if it still says which.
    async fn damaged_row(&mut self, table: &TableInfo, key: &Bytes, sealed: &Bytes) {
        let end = sealed.len().saturating_sub(4);
        let words = (table.decode)(key, &sealed.slice(..end)).map(|row| row.key);
        let event = match decode_row::<Events>(key, &sealed.slice(..end)) {
            Ok((_, row)) if table.number == Events::NUMBER => Some(row.event_id),
            _ => None,
        };
        let key = words.unwrap_or_else(|_| hex(key));
        self.problem(table.name, key, event.as_deref(), "the row does not match its checksum");
    }

    /// Finds the last row before the place that the engine cannot read, one by one.
    async fn unreadable(&mut self, table: &TableInfo, span: &Span, error: &str) {
        let mut last = span.from.clone();
        for _ in 0..span.limit {
            let one = Span { from: last.clone(), limit: 1, ..span.clone() };
            match self.raw.range(one).await {
                Ok(rows) => match rows.first() {
                    Some((key, _)) => last = [key.as_ref(), &[0]].concat(),
                    None => break,
                },
                Err(_) => break,
            }
        }
        let what = format!("this row and what follows in the table cannot be read: {error}");
        self.problem(table.name, hex(&last), None, what);
    }

    /// The next decoded rows of table `T`, without those that the first pass has reported.
    pub(crate) async fn typed<T: Table>(&mut self, cursor: &mut Cursor) -> Option<Vec<(T::Key, T::Value)>> {
        let rows = self.next(&TableInfo::of::<T>(), cursor, false).await?;
        Some(rows.iter().filter_map(|(key, value)| decode_row::<T>(key, value).ok()).collect())
    }

    /// The event id of a place, if it can be read.
    pub(crate) async fn event_id(&self, room: RoomNo, event: EventNo) -> Option<String> {
        self.rows.row::<Events>(&(room, event)).await.ok().flatten().map(|row| row.event_id)
    }

    /// A referred row: `None` = it is not there. What cannot be read has been reported.
    pub(crate) async fn look<T: Table>(&self, key: &T::Key) -> Result<Option<T::Value>, StoreError>
    where
        T::Value: Send,
    {
        self.rows.row::<T>(key).await
    }
}

/// Counts of what the stream lists.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    pub(crate) events: u64,
}

/// The public keys of one server, as [`verify`] takes them.
#[must_use]
pub fn known_keys(server: &str, keys: impl IntoIterator<Item = (String, String)>) -> PublicKeyMap {
    let set = keys.into_iter().filter_map(|(id, key)| Some((id, ruma::serde::Base64::parse(key).ok()?)));
    BTreeMap::from([(server.to_owned(), set.collect())])
}
