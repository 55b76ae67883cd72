//! A store whose views lie elsewhere: the log is read from one engine, views are written to another.
//!
//! So the views can be derived again beside those that are there, by the same code that rebuilds them. What a
//! rebuild writes besides (its commits, its mark in `meta`) goes nowhere.

use std::sync::Arc;

use nexus_event_store::{
    Bytes,
    kv::{Answer, Batch, Engine, Family, KvError, Read, Row, RowKey, Span},
    world::BoxFuture,
};
use nexus_views::rebuild::VIEW_TABLES;

/// The log of one engine with the views of another.
pub(crate) struct Beside {
    pub(crate) log: Arc<dyn Engine>,
    pub(crate) views: Arc<dyn Engine>,
}

fn is_view(key: &[u8]) -> bool {
    let (first, end) = VIEW_TABLES;
    key.first().is_some_and(|table| (first..end).contains(table))
}

impl Beside {
    fn of(&self, key: &[u8]) -> &Arc<dyn Engine> {
        if is_view(key) { &self.views } else { &self.log }
    }
}

impl Read for Beside {
    fn get<'a>(&'a self, family: Family, key: &'a [u8]) -> Answer<'a, Option<Bytes>> {
        self.of(key).get(family, key)
    }

    fn multi_get<'a>(&'a self, family: Family, keys: &'a [Vec<u8>]) -> Answer<'a, Vec<Option<Bytes>>> {
        Answer::Later(Box::pin(async move {
            let mut found = Vec::with_capacity(keys.len());
            for key in keys {
                found.push(self.get(family, key).await?);
            }
            Ok(found)
        }))
    }

    /// A range lies in one table, or in the views as a whole.
    fn range(&self, span: Span) -> Answer<'_, Vec<Row>> {
        self.of(&span.from).range(span)
    }
}

impl Engine for Beside {
    /// Nothing that rebuilds reads at one moment: what it reads does not change.
    fn snapshot(&self) -> Arc<dyn Read> {
        Arc::new(Self { log: Arc::clone(&self.log), views: Arc::clone(&self.views) })
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<(), KvError>> {
        let ours = |(key, _): &(RowKey, Option<Bytes>)| is_view(&key.bytes);
        let writes = batch.writes.into_iter().filter(ours).collect();
        self.views.commit(Batch { preconditions: Vec::new(), writes })
    }

    fn is_exclusive(&self) -> bool {
        true
    }

    fn disk_bytes(&self) -> u64 {
        self.views.disk_bytes()
    }

    fn compact(&self) -> BoxFuture<'static, Result<(), KvError>> {
        self.views.compact()
    }
}
