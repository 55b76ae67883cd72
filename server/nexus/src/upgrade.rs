//! A store of an older format becomes today's before it is opened: first a copy, then the rows.
//!
//! **Shapes**: the copy is `store.format-N` beside the store, a store that the older program opens; on disk it
//! shares the files that the upgrade does not replace. **Errors**: a newer store is left as it is.
//! **Invariant**: without a whole copy no row is touched; an interrupted upgrade goes on at the next start.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};
use nexus_event_store::{
    StoreError,
    format::{self, FORMAT, Found},
    kv::Engine,
};

/// Upgrades the store that `engine` opened in `folder`, if it is of an older format.
pub(crate) async fn upgrade_if_older(folder: &Path, engine: &dyn Engine) -> Result<()> {
    let found = format::find(engine).await.map_err(|error| refusal(folder, error))?;
    let Found::Older { format, begun } = found else { return Ok(()) };
    let copy = copy_folder(folder, format);
    if !begun && !copy.exists() {
        let made = engine.checkpoint(copy.clone()).await;
        made.with_context(|| format!("{}: copy the store before its upgrade", copy.display()))?;
    }
    let copied = copy.display().to_string();
    tracing::warn!(from = format, to = FORMAT, copy = copied, "upgrading the store");
    let bar = ProgressBar::new(engine.row_count()).with_style(style());
    format::upgrade(engine, |rows| bar.set_position(rows))
        .await
        .with_context(|| format!("{}: upgrade the store", folder.display()))?;
    bar.finish_and_clear();
    tracing::warn!(copy = copied, "the store is upgraded; the copy can be removed when all is well");
    Ok(())
}

/// A format that this program does not read, in a line that says so.
pub(crate) fn refusal(folder: &Path, error: StoreError) -> anyhow::Error {
    anyhow::Error::new(error).context(format!("{}: open the store", folder.display()))
}

fn copy_folder(folder: &Path, format: u32) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(format!(".format-{format}"));
    folder.with_file_name(name)
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("upgrading the store {wide_bar} {pos}/{len} rows, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nexus_event_store::{
        Bytes, Store, UserNo,
        catalogue::{Meta, Users},
        codec::{Text, Value as _},
        kv::{
            Batch, Family, RowKey, Span,
            rocks::{RocksEngine, RocksTuning},
            sealed::unseal,
        },
        read::{Rows as _, row_key},
    };
    use tokio::runtime::Handle;

    use super::*;
    use crate::world;

    async fn rows(engine: &RocksEngine) -> Vec<(RowKey, Bytes)> {
        use nexus_event_store::kv::Read as _;
        let mut all = Vec::new();
        for family in Family::ALL {
            let span = Span { family, from: Vec::new(), until: None, reverse: false, limit: usize::MAX };
            let rows = engine.range(span).await.unwrap().into_iter();
            all.extend(rows.map(|(key, value)| (RowKey { family, bytes: key.to_vec() }, value)));
        }
        all
    }

    /// Makes the store in `folder` what a program of format 1 would have left.
    async fn make_old(folder: &Path) {
        let engine = RocksEngine::open(folder, RocksTuning::default()).unwrap();
        let format = row_key::<Meta>(&Text::from("format"));
        let plain = |(key, value): (RowKey, Bytes)| {
            let old = if key == format {
                "1".to_owned().encode().into()
            } else {
                unseal(&key.bytes, &value).unwrap()
            };
            (key, Some(old))
        };
        let writes = rows(&engine).await.into_iter().map(plain).collect();
        engine.commit(Batch { preconditions: Vec::new(), writes }).await.unwrap();
    }

    /// Each on a runtime of its own: a store is closed when its tasks are gone.
    fn run<T>(work: impl AsyncFnOnce() -> T) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work())
    }

    #[test]
    fn a_store_of_format_1_is_copied_and_upgraded() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("store");
        let open = |folder: &Path| RocksEngine::open(folder, RocksTuning::default()).unwrap();
        run(async || {
            let world = world::system(Handle::current()).unwrap();
            let store = Store::open(Arc::new(open(&folder)), world, Arc::new(|_| {})).await.unwrap();
            let tx = store.begin();
            tx.intern_user("@a:x").await.unwrap();
            tx.stage().unwrap().durable().await.unwrap();
        });
        run(async || make_old(&folder).await);
        run(async || {
            let engine = open(&folder);
            upgrade_if_older(&folder, &engine).await.unwrap();
            upgrade_if_older(&folder, &engine).await.unwrap();
            let copy = open(&data.path().join("store.format-1"));
            assert_eq!(format::find(&copy).await.unwrap(), Found::Older { format: 1, begun: false });
            assert_eq!(rows(&copy).await.len(), rows(&engine).await.len());
            let world = world::system(Handle::current()).unwrap();
            let store = Store::open(Arc::new(engine), world, Arc::new(|_| {})).await.unwrap();
            assert_eq!(store.existing::<Users>(&UserNo(1)).await.unwrap(), "@a:x");
        });
    }
}
