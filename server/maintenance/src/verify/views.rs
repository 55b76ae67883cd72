//! The views against their rebuild (design invariant 1): derived again beside, compared row by row.

use std::sync::Arc;

use nexus_event_store::{
    Bytes, Store, StoreError,
    kv::{
        Engine, Span,
        sealed::{hex, unseal},
    },
    table_list::TableInfo,
};
use nexus_views::rebuild::{VIEW_TABLES, rebuild};

use super::{CHUNK, Check, ScratchEngine, scratch::Beside};
use crate::tables::tables;

/// The rows of a table, one after the other.
struct RowsOf {
    engine: Arc<dyn Engine>,
    next: Option<Span>,
    ready: std::vec::IntoIter<(Bytes, Bytes)>,
}

impl RowsOf {
    fn new(engine: &Arc<dyn Engine>, table: &TableInfo) -> Self {
        let (from, until) = (vec![table.number], Some(vec![table.number + 1]));
        let next = Some(Span { family: table.family, from, until, reverse: false, limit: CHUNK });
        Self { engine: Arc::clone(engine), next, ready: Vec::new().into_iter() }
    }

    async fn next(&mut self) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        loop {
            if let Some(row) = self.ready.next() {
                return Ok(Some(row));
            }
            let Some(span) = self.next.take() else { return Ok(None) };
            let rows = self.engine.range(span.clone()).await?;
            if rows.len() == span.limit {
                let last = rows.last().map(|(key, _)| [key.as_ref(), &[0]].concat());
                self.next = last.map(|from| Span { from, ..span });
            }
            self.ready = rows.into_iter();
        }
    }
}

impl Check<'_> {
    pub(crate) async fn views(&mut self, scratch: ScratchEngine) {
        let beside = Beside { log: Arc::clone(&self.raw), views: Arc::clone(&scratch) };
        if let Err(error) = self.rebuild_beside(beside).await {
            let what = format!("the views cannot be derived from the log: {error}");
            self.problem("stream", "all", None, what);
            return;
        }
        let (first, end) = VIEW_TABLES;
        for table in tables().iter().filter(|table| (first..end).contains(&table.number)) {
            if let Err(error) = self.compare(table, &scratch).await {
                self.problem(
                    table.name,
                    "all",
                    None,
                    format!("cannot be compared with its rebuild: {error}"),
                );
            }
        }
    }

    async fn rebuild_beside(&mut self, beside: Beside) -> Result<(), StoreError> {
        let store = Store::open(Arc::new(beside), self.world.clone(), Arc::new(|_| {})).await?;
        let (listener, mut before) = (&mut *self.listener, 0);
        rebuild(&store, |progress| {
            listener.rows("views", progress.events - before);
            before = progress.events;
        })
        .await
    }

    /// Walks both in key order.
    async fn compare(&mut self, table: &TableInfo, scratch: &Arc<dyn Engine>) -> Result<(), StoreError> {
        let raw = Arc::clone(&self.raw);
        let (mut live, mut rebuilt) = (RowsOf::new(&raw, table), RowsOf::new(scratch, table));
        let (mut left, mut right) = (live.next().await?, rebuilt.next().await?);
        loop {
            let order = match (&left, &right) {
                (None, None) => return Ok(()),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some((left, _)), Some((right, _))) => left.cmp(right),
            };
            self.summary.view_rows += 1;
            match order {
                std::cmp::Ordering::Less => {
                    let what = "the log does not account for this row; `nexus views rebuild` removes it";
                    self.view_problem(table, left.as_ref(), what);
                    left = live.next().await?;
                }
                std::cmp::Ordering::Greater => {
                    let what = "the log gives this row and it is missing; `nexus views rebuild` writes it";
                    self.view_problem(table, right.as_ref(), what);
                    right = rebuilt.next().await?;
                }
                std::cmp::Ordering::Equal => {
                    if left != right {
                        let what = "the log gives another value; `nexus views rebuild` puts it right";
                        self.view_problem(table, right.as_ref(), what);
                    }
                    (left, right) = (live.next().await?, rebuilt.next().await?);
                }
            }
        }
    }

    fn view_problem(&mut self, table: &TableInfo, row: Option<&(Bytes, Bytes)>, what: &str) {
        let Some((key, value)) = row else { return };
        let decoded = unseal(key, value).and_then(|value| (table.decode)(key, &value).ok());
        let key = decoded.map_or_else(|| hex(key), |row| row.key);
        self.problem(table.name, key, None, what);
    }
}
