//! Reads back what was acknowledged: each event once in its room's history, none missing, none twice.
//!
//! **Shapes**: the events file is `{room id: [event id]}` as `send --events-file` writes it. Histories are
//! paged backwards with `/messages` from the newest event until the server names no further page.
//! Run after a `kill -9` and a restart of the server, it tells whether an acknowledgement was kept.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use anyhow::Context as _;
use hyper::Method;
use serde::{Deserialize, Serialize};

use crate::Target;
use crate::client::{Client, segment};
use crate::population::Population;

const PAGE_EVENTS: usize = 100;

/// What was found.
#[derive(Serialize, Default, Debug, PartialEq)]
pub(crate) struct Report {
    acknowledged: usize,
    found: usize,
    missing: usize,
    doubled: usize,
}

impl Report {
    /// Whether every acknowledged event is there, once.
    pub(crate) fn is_complete(&self) -> bool {
        self.missing == 0 && self.doubled == 0
    }

    fn add_room(&mut self, acknowledged: &[String], history: &HashMap<String, usize>) {
        for event_id in acknowledged {
            self.acknowledged += 1;
            match history.get(event_id) {
                None => self.missing += 1,
                Some(1) => self.found += 1,
                Some(_) => self.doubled += 1,
            }
        }
        // Two acknowledgements that name one event hide a lost one.
        let distinct: BTreeSet<_> = acknowledged.iter().collect();
        self.missing += acknowledged.len() - distinct.len();
    }
}

/// Checks all rooms of the file, as the first prepared user sees them.
pub(crate) async fn run(
    population: &Population,
    target: &Target,
    events_file: &Path,
) -> anyhow::Result<Report> {
    let text = std::fs::read(events_file).with_context(|| format!("read {}", events_file.display()))?;
    let acknowledged: BTreeMap<String, Vec<String>> =
        serde_json::from_slice(&text).with_context(|| format!("read {}", events_file.display()))?;
    let user = population.users.first().context("no user is prepared")?;
    let mut client = Client::new(target, Some(&user.access_token))?;
    let mut report = Report::default();
    for (room, events) in &acknowledged {
        let history = history(&mut client, room).await.with_context(|| format!("read back {room}"))?;
        report.add_room(events, &history);
    }
    Ok(report)
}

/// How often each event is in a room's history.
async fn history(client: &mut Client, room: &str) -> anyhow::Result<HashMap<String, usize>> {
    #[derive(Deserialize)]
    struct Page {
        chunk: Vec<Event>,
        end: Option<String>,
    }
    #[derive(Deserialize)]
    struct Event {
        event_id: String,
    }
    let path = format!("/_matrix/client/v3/rooms/{}/messages?dir=b&limit={PAGE_EVENTS}", segment(room));
    let mut seen = HashMap::new();
    let mut from: Option<String> = None;
    loop {
        let page_path = match &from {
            None => path.clone(),
            Some(token) => format!("{path}&from={}", segment(token)),
        };
        let page: Page = client.call(Method::GET, &page_path, String::new()).await?.success()?;
        for event in page.chunk {
            *seen.entry(event.event_id).or_default() += 1;
        }
        match page.end {
            Some(end) if from.as_ref() == Some(&end) => anyhow::bail!("the page {end} names itself as next"),
            Some(end) => from = Some(end),
            None => return Ok(seen),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(acknowledged: &[&str], history: &[(&str, usize)], expected: Report) {
        let acknowledged: Vec<_> = acknowledged.iter().map(|&id| id.to_owned()).collect();
        let history = history.iter().map(|&(id, count)| (id.to_owned(), count)).collect();
        let mut report = Report::default();
        report.add_room(&acknowledged, &history);
        assert_eq!(report, expected);
    }

    #[test]
    fn events_of_others_do_not_matter() {
        let expected = Report { acknowledged: 1, found: 1, missing: 0, doubled: 0 };
        check(&["$a"], &[("$a", 1), ("$other", 2)], expected);
    }

    #[test]
    fn lost_and_doubled_events_are_told_apart() {
        let expected = Report { acknowledged: 2, found: 0, missing: 1, doubled: 1 };
        check(&["$a", "$b"], &[("$b", 2)], expected);
    }

    #[test]
    fn two_acknowledgements_of_one_event_are_a_loss() {
        let expected = Report { acknowledged: 2, found: 2, missing: 1, doubled: 0 };
        check(&["$a", "$a"], &[("$a", 1)], expected);
    }
}
