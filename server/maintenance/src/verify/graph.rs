//! What hangs on the graph: each room's head, and what redactions took away.

use nexus_event_store::{
    Scan,
    catalogue::{ChainPlaces, Events, Heads, RemovedBy, Timeline},
    read::decode_row,
    table_list::TableInfo,
};

use super::{Check, Cursor};

impl Check<'_> {
    pub(crate) async fn graph(&mut self) {
        let mut cursor = Cursor::new(&TableInfo::of::<Heads>());
        while let Some(rows) = self.typed::<Heads>(&mut cursor).await {
            for (room, head) in rows {
                let key = format!("{room:?}");
                for event in &head.extremities {
                    if let Ok(None) = self.look::<Events>(&(room, *event)).await {
                        self.problem("heads", &key, None, format!("its extremity {event} is missing"));
                    }
                }
                let newest = Scan::prefix::<Timeline>(&room).reverse().limit(1).into_span();
                let Ok(rows) = self.rows.0.range(newest).await else { continue };
                let newest = rows.first().and_then(|(key, value)| decode_row::<Timeline>(key, value).ok());
                let Some(((_, position, _), row)) = newest else {
                    self.problem("heads", &key, None, "the room has no events");
                    continue;
                };
                if head.position != position {
                    let what = format!("it is of commit {}, its newest event of {position}", head.position);
                    self.problem("heads", &key, None, what);
                }
                let Ok(Some(event)) = self.look::<Events>(&(room, row.event)).await else { continue };
                let state = row.state_now.unwrap_or_else(|| event.state_after.unwrap_or(event.state_before));
                if head.state != state {
                    let what = format!("its state is {:?}, after its newest event {state:?}", head.state);
                    self.problem("heads", &key, Some(&event.event_id), what);
                }
            }
        }
        // The index of auth chains is filled where it is asked, so an event need not be in it.
        let mut cursor = Cursor::new(&TableInfo::of::<ChainPlaces>());
        while let Some(rows) = self.typed::<ChainPlaces>(&mut cursor).await {
            for ((room, event), _) in rows {
                if let Ok(None) = self.look::<Events>(&(room, event)).await {
                    let key = format!("({room}, {event})");
                    self.problem("chain_places", key, None, "there is no such event");
                }
            }
        }
        let mut cursor = Cursor::new(&TableInfo::of::<RemovedBy>());
        while let Some(rows) = self.typed::<RemovedBy>(&mut cursor).await {
            for ((room, redaction), _) in rows {
                if let Ok(None) = self.look::<Events>(&(room, redaction)).await {
                    let what = "there is no such redaction";
                    self.problem("removed", format!("({room}, {redaction})"), None, what);
                }
            }
        }
    }
}
