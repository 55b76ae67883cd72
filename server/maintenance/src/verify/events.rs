//! Each event: hashes and signatures, its place in the graph, the state before and after it.

use std::{collections::BTreeSet, sync::Arc};

use nexus_event_store::{
    EventNo, NodeHash, RoomNo, Scan,
    catalogue::{EventPlaces, Events, Rooms, Snowflakes, StateKeyNumbers, Timeline},
    codec::Text,
    event_id::EventIdKey,
    read::decode_row,
    rows::{EventPlace, EventRow, SnowflakeRow},
    table_list::TableInfo,
    trie,
};
use nexus_state_resolution::{Pdu, RoomVersion, Verified, required_signers, verify_reporting};
use nexus_views::Event;
use ruma::signatures::PublicKeyMap;

use super::{Check, Counted, Cursor};

type Placed = ((RoomNo, EventNo), EventRow);

/// What one event's JSON says of itself.
struct Judged {
    pdu: Option<Arc<Pdu>>,
    unknown_key: bool,
    wrong: Option<String>,
}

/// Checks hashes and signatures: the expensive part, and a function of its arguments.
fn judge(version: RoomVersion, ((room, no), row): &Placed, keys: &PublicKeyMap) -> Judged {
    let (room, no) = (*room, *no);
    let pdu = Event::from_row(room, no, version, row.clone()).ok().map(|event| event.pdu);
    let known = match required_signers(version, &row.json) {
        Ok(signers) => signers.iter().all(|signer| keys.contains_key(signer.as_str())),
        Err(error) => {
            return Judged { pdu, unknown_key: false, wrong: Some(format!("it is no event: {error}")) };
        }
    };
    if !known {
        return Judged { pdu, unknown_key: true, wrong: None };
    }
    let wrong = match verify_reporting(version, &row.json, keys) {
        Err(error) => Some(with_sources(&error)),
        Ok(verified) => {
            let is_redacted = matches!(verified, Verified::Redacted(_));
            let found = verified.into_pdu();
            if found.event_id().as_str() != row.event_id {
                Some(format!("its reference hash is that of {}", found.event_id()))
            } else if is_redacted && row.redacted_by.is_none() {
                Some("its content is not what its hash says".to_owned())
            } else if found.json() != row.json {
                Some("its JSON is not in canonical form".to_owned())
            } else {
                None
            }
        }
    };
    Judged { pdu, unknown_key: false, wrong }
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

impl Check<'_> {
    /// Checks all events; `listed` is what the stream lists.
    pub(crate) async fn events(&mut self, listed: Counted) {
        let mut cursor = Cursor::new(&TableInfo::of::<Events>());
        while let Some(rows) = self.typed::<Events>(&mut cursor).await {
            let judged = self.judge_all(rows).await;
            for (placed, judged) in judged {
                self.summary.events += 1;
                self.listener.rows("events", 1);
                self.event(&placed, judged).await;
            }
        }
        let in_timeline = self.timeline().await;
        if (listed.events, in_timeline) != (self.summary.events, self.summary.events) {
            let what = format!(
                "there are {} events, the stream lists {}, the timelines {in_timeline}",
                self.summary.events, listed.events
            );
            self.problem("events", "all", None, what);
        }
    }

    /// Hashes and signatures of a chunk, on as many threads as the world has.
    async fn judge_all(&mut self, rows: Vec<Placed>) -> Vec<(Placed, Judged)> {
        let mut versions = Vec::with_capacity(rows.len());
        for ((room, _), _) in &rows {
            let row = self.look::<Rooms>(room).await.ok().flatten();
            versions.push(row.and_then(|row| RoomVersion::parse(&row.version)));
        }
        let mut all = rows.into_iter().zip(versions);
        let mut parts = Vec::new();
        loop {
            let part: Vec<_> = all.by_ref().take(super::CHUNK / 4).collect();
            if part.is_empty() {
                break;
            }
            let (keys, world) = (Arc::clone(&self.keys), self.world.clone());
            parts.push(async move {
                let job = move || -> Vec<(Placed, Judged)> {
                    let judge = |(placed, version): (Placed, Option<RoomVersion>)| {
                        let judged = match version {
                            Some(version) => judge(version, &placed, &keys),
                            None => Judged {
                                pdu: None,
                                unknown_key: false,
                                wrong: Some("its room has no known version".to_owned()),
                            },
                        };
                        (placed, judged)
                    };
                    part.into_iter().map(judge).collect()
                };
                world.compute(job).await
            });
        }
        let results = futures_util::future::join_all(parts).await;
        results.into_iter().flatten().flatten().collect()
    }

    async fn event(&mut self, ((room, no), row): &Placed, judged: Judged) {
        let key = format!("({room}, {no})");
        let id = Some(row.event_id.as_str());
        self.summary.unknown_keys += u64::from(judged.unknown_key);
        if let Some(what) = judged.wrong {
            self.problem("events", &key, id, what);
        }
        let place = EventPlace { room: *room, event: *no };
        let found = self.look::<EventPlaces>(&EventIdKey::from(row.event_id.as_str())).await;
        if !matches!(found, Ok(Some(found)) if found == place) {
            self.problem("events", &key, id, format!("table event_places does not lead to it: {found:?}"));
        }
        if let Some(snowflake) = row.snowflake {
            let found = self.look::<Snowflakes>(&snowflake).await;
            if !matches!(found, Ok(Some(SnowflakeRow::Message(found))) if found == place) {
                self.problem("events", &key, id, format!("{snowflake:?} does not lead to it: {found:?}"));
            }
        }
        self.in_timeline(*room, *no, row, &key).await;
        let Some(pdu) = judged.pdu else { return };
        self.edges(*room, row, &pdu, &key).await;
        self.redaction(*room, row, &key).await;
        self.state_of(*room, *no, row, &pdu, &key).await;
    }

    async fn in_timeline(&mut self, room: RoomNo, no: EventNo, row: &EventRow, key: &str) {
        let span = Scan::prefix::<Timeline>(&(room, row.position)).into_span();
        // What cannot be read was reported by itself.
        let Ok(rows) = self.rows.0.range(span).await else { return };
        let listed = rows.iter().filter_map(|(key, value)| decode_row::<Timeline>(key, value).ok());
        if !listed.map(|(_, row)| row.event).any(|event| event == no) {
            self.problem("events", key, Some(&row.event_id), "it is in no timeline");
        }
    }

    /// `prev_events` and `auth_events` are there, and the same by number as by id.
    async fn edges(&mut self, room: RoomNo, row: &EventRow, pdu: &Pdu, key: &str) {
        for (name, numbers, ids) in
            [("prev_events", &row.prev, pdu.prev_events()), ("auth_events", &row.auth, pdu.auth_events())]
        {
            let mut found = BTreeSet::new();
            for number in numbers {
                match self.event_id(room, *number).await {
                    Some(id) => drop(found.insert(id)),
                    None => {
                        let what = format!("event {number} of its {name} is missing");
                        self.problem("events", key, Some(&row.event_id), what);
                    }
                }
            }
            let said: BTreeSet<String> = ids.iter().map(|id| id.to_string()).collect();
            if found.len() == numbers.len() && found != said {
                let what = format!("its {name} by number are {found:?}, by id {said:?}");
                self.problem("events", key, Some(&row.event_id), what);
            }
        }
    }

    async fn redaction(&mut self, room: RoomNo, row: &EventRow, key: &str) {
        if let Some(by) = row.redacted_by
            && let Ok(None) = self.look::<Events>(&(room, by)).await
        {
            let what = format!("its redaction {by} is missing");
            self.problem("events", key, Some(&row.event_id), what);
        }
    }

    /// The state after it is the state before with the event in its place, and a line of events hands its
    /// state on.
    async fn state_of(&mut self, room: RoomNo, no: EventNo, row: &EventRow, pdu: &Pdu, key: &str) {
        let id = Some(row.event_id.as_str());
        let after = match pdu.state_key() {
            None => Some(row.state_before),
            Some(state_key) => {
                let state_key = (pdu.event_type().to_owned(), Text::from(state_key));
                match self.look::<StateKeyNumbers>(&state_key).await {
                    Ok(Some(number)) => {
                        let change = vec![(number, Some(no))];
                        match trie::apply(&self.rows, room, row.state_before, change).await {
                            Ok((root, _)) => Some(root),
                            Err(error) => {
                                self.problem("events", key, id, format!("the state before it: {error}"));
                                None
                            }
                        }
                    }
                    other => {
                        self.problem("events", key, id, format!("its state key has no number: {other:?}"));
                        None
                    }
                }
            }
        };
        let said = row.state_after.unwrap_or(row.state_before);
        if after.is_some_and(|after| after != said) {
            self.problem("events", key, id, format!("the state after it is {after:?}, not {said:?}"));
        }
        let handed_on = match row.prev.as_slice() {
            [] => Some(NodeHash::EMPTY),
            [prev] => match self.look::<Events>(&(room, *prev)).await {
                Ok(Some(prev)) => Some(prev.state_after.unwrap_or(prev.state_before)),
                _ => None,
            },
            // Where the graph was forked the state before was resolved.
            _ => None,
        };
        if handed_on.is_some_and(|state| state != row.state_before) {
            let what = format!("the state before it is {:?}, not {handed_on:?}", row.state_before);
            self.problem("events", key, id, what);
        }
    }
}
