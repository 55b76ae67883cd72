//! The format of the whole store: which one it has, and how an older one becomes today's.
//!
//! **Shapes**: the `meta` row `format` is the number in decimal; while an upgrade is under way it is
//! `FROM-TO`, which no program takes for its own, and `upgrade` says how far it is. That row's value is read
//! without its checksum, so that every version can tell every other. Format 1 had no checksums on its rows;
//! format 2 has one on each ([`sealed`](crate::kv::sealed)).
//! **Errors**: [`StoreError::Format`] for a store of another format.
//! **Invariant**: each step of an upgrade is one atomic commit with its mark, so a crash continues it.

use bytes::Bytes;

use crate::{
    catalogue::Meta,
    codec::{Text, Value},
    error::StoreError,
    kv::{
        Batch, Engine, Family, Precondition, RowKey, Span,
        sealed::{hex, seal},
    },
    read::{decode_value, row_key},
};

/// The format this program writes.
pub const FORMAT: u32 = 2;

/// Rows that one step of an upgrade rewrites.
const STEP_ROWS: usize = 2048;

/// In `meta`: the format, and how far an upgrade is.
const FORMAT_KEY: &str = "format";
const UPGRADE_KEY: &str = "upgrade";

/// What format an engine holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing yet.
    Fresh,
    /// Today's.
    Current,
    /// An older one, or one that is being upgraded; [`upgrade`] makes it today's.
    Older {
        /// The number it had.
        format: u32,
        /// Whether an upgrade was begun.
        begun: bool,
    },
}

async fn meta(engine: &dyn Engine, name: &str) -> Result<Option<String>, StoreError> {
    let key = row_key::<Meta>(&Text::from(name));
    let found = engine.get(key.family, &key.bytes).await?;
    // The encoding says where it ends: what follows is a checksum or nothing.
    found.map(|bytes| decode_value::<Meta>(&bytes)).transpose()
}

/// What format `engine`, without checksums in between, holds.
///
/// # Errors
/// [`StoreError::Format`] when a newer program wrote it; engine and codec errors.
pub async fn find(engine: &dyn Engine) -> Result<Found, StoreError> {
    let Some(text) = meta(engine, FORMAT_KEY).await? else { return Ok(Found::Fresh) };
    let begun = text.split_once('-');
    let current = FORMAT.to_string();
    let format = match begun {
        Some((from, to)) if to == current => from.parse().ok(),
        Some(_) => None,
        None => text.parse().ok(),
    };
    match format {
        Some(FORMAT) => Ok(Found::Current),
        Some(format) if (1..FORMAT).contains(&format) => Ok(Found::Older { format, begun: begun.is_some() }),
        _ => Err(StoreError::Format { found: text, supported: FORMAT }),
    }
}

/// Goes on with today's format only; a fresh engine gets it.
pub(crate) async fn require_current(engine: &dyn Engine) -> Result<(), StoreError> {
    match find(engine).await? {
        Found::Current => Ok(()),
        Found::Older { format, .. } => {
            Err(StoreError::Format { found: format.to_string(), supported: FORMAT })
        }
        Found::Fresh => {
            let (key, value) = format_row();
            let fresh = Precondition { key: key.clone(), expect: None };
            let batch = Batch { preconditions: vec![fresh], writes: vec![(key, Some(value))] };
            Ok(engine.commit(batch).await?)
        }
    }
}

/// The row that says today's format.
fn format_row() -> (RowKey, Bytes) {
    let key = row_key::<Meta>(&Text::from(FORMAT_KEY));
    let value = seal(&key.bytes, &FORMAT.to_string().encode());
    (key, value)
}

/// Makes a store of an older format one of today's; `progress` is told how many rows were rewritten. To be
/// called with the server stopped and a backup made; when it was interrupted, calling it again ends it.
///
/// # Errors
/// Engine and codec errors.
pub async fn upgrade(engine: &dyn Engine, mut progress: impl FnMut(u64)) -> Result<(), StoreError> {
    let Found::Older { format, .. } = find(engine).await? else { return Ok(()) };
    let mark = row_key::<Meta>(&Text::from(UPGRADE_KEY));
    let format_key = row_key::<Meta>(&Text::from(FORMAT_KEY));
    let begun = format!("{format}-{FORMAT}").encode();
    engine.commit(put(vec![(format_key.clone(), Some(begun.into()))])).await?;
    let mut at = match meta(engine, UPGRADE_KEY).await? {
        Some(text) => Place::parse(&text).ok_or(StoreError::Missing { table: "meta" })?,
        None => Place { family: 0, from: Vec::new() },
    };
    let mut done = 0;
    while let Some(family) = Family::ALL.get(at.family).copied() {
        let span = Span { family, from: at.from.clone(), until: None, reverse: false, limit: STEP_ROWS };
        let rows = engine.range(span).await?;
        at = match rows.last() {
            Some((last, _)) => Place { from: [last.as_ref(), &[0]].concat(), ..at },
            None => Place { family: at.family + 1, from: Vec::new() },
        };
        done += rows.len() as u64;
        let rows = rows.into_iter().map(|(key, value)| {
            let value = seal(&key, &value);
            (RowKey { family, bytes: key.to_vec() }, Some(value))
        });
        let mut writes: Vec<_> = rows.filter(|(key, _)| *key != mark && *key != format_key).collect();
        writes.push((mark.clone(), Some(at.text().encode().into())));
        engine.commit(put(writes)).await?;
        progress(done);
    }
    let (key, value) = format_row();
    Ok(engine.commit(put(vec![(key, Some(value)), (mark, None)])).await?)
}

fn put(writes: Vec<(RowKey, Option<Bytes>)>) -> Batch {
    Batch { preconditions: Vec::new(), writes }
}

/// Where an upgrade goes on: the family by its place in [`Family::ALL`], and the first key.
struct Place {
    family: usize,
    from: Vec<u8>,
}

impl Place {
    fn text(&self) -> String {
        format!("{} {}", self.family, hex(&self.from))
    }

    fn parse(text: &str) -> Option<Self> {
        let (family, from) = text.split_once(' ')?;
        let byte = |at: usize| u8::from_str_radix(from.get(at..at + 2)?, 16).ok();
        let from = (0..from.len()).step_by(2).map(byte).collect::<Option<_>>()?;
        Some(Self { family: family.parse().ok()?, from })
    }
}
