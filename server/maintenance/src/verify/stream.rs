//! The global stream: consecutive positions, growing counters, and events that came with their commit.

use std::collections::BTreeSet;

use nexus_event_store::{
    Position,
    catalogue::{Events, Stream, Timeline},
    rows::Counters,
    table_list::TableInfo,
};

use super::{Check, Counted, Cursor};

impl Check<'_> {
    /// Checks the stream; how many events it lists.
    pub(crate) async fn stream(&mut self) -> Counted {
        let mut cursor = Cursor::new(&TableInfo::of::<Stream>());
        let (mut last, mut counters, mut counted) =
            (Position::START, Counters::default(), Counted::default());
        while let Some(rows) = self.typed::<Stream>(&mut cursor).await {
            for (position, row) in rows {
                let key = format!("{position:?}");
                if position != last.next() {
                    let what = format!("the commits after {last} up to it are missing");
                    self.problem("stream", &key, None, what);
                }
                if !has_grown(&counters, &row.counters) {
                    self.problem("stream", &key, None, "a counter is lower than in the commit before");
                }
                (last, counters) = (position, row.counters);
                let mut seen = BTreeSet::new();
                for place in &row.events {
                    counted.events += 1;
                    if !seen.insert(*place) {
                        self.problem("stream", &key, None, format!("it lists {place:?} twice"));
                    }
                    match self.look::<Events>(&(place.room, place.event)).await {
                        Ok(Some(event)) if event.position == position => {}
                        Ok(Some(event)) => {
                            let what = format!("it lists an event of commit {}", event.position);
                            self.problem("stream", &key, Some(&event.event_id), what);
                        }
                        Ok(None) => {
                            let what = format!("its event {place:?} is missing");
                            self.problem("stream", &key, None, what);
                        }
                        // The row was reported by itself; here is who needs it.
                        Err(error) => {
                            self.problem("stream", &key, None, format!("its event {place:?}: {error}"))
                        }
                    }
                }
            }
        }
        counted
    }

    /// The timeline: each row's event is there, in that commit, once.
    pub(crate) async fn timeline(&mut self) -> u64 {
        let mut cursor = Cursor::new(&TableInfo::of::<Timeline>());
        let mut rows_seen = 0;
        let mut commit = (None, BTreeSet::new());
        while let Some(rows) = self.typed::<Timeline>(&mut cursor).await {
            for ((room, position, index), row) in rows {
                rows_seen += 1;
                let key = format!("({room}, {position}, {index})");
                if commit.0 != Some((room, position)) {
                    commit = (Some((room, position)), BTreeSet::new());
                }
                if !commit.1.insert(row.event) {
                    self.problem("timeline", &key, None, format!("event {} is there twice", row.event));
                }
                match self.look::<Events>(&(room, row.event)).await {
                    Ok(Some(event)) if event.position == position => {}
                    Ok(Some(event)) => {
                        let what = format!("the event came with commit {}", event.position);
                        self.problem("timeline", &key, Some(&event.event_id), what);
                    }
                    Ok(None) => {
                        self.problem("timeline", &key, None, format!("event {} is missing", row.event))
                    }
                    Err(error) => {
                        self.problem("timeline", &key, None, format!("event {}: {error}", row.event))
                    }
                }
            }
        }
        rows_seen
    }
}

fn has_grown(before: &Counters, after: &Counters) -> bool {
    before.room <= after.room
        && before.user <= after.user
        && before.state_key <= after.state_key
        && before.event <= after.event
        && before.snowflake <= after.snowflake
}
