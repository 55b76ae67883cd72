//! The send load: each client sends, awaits the acknowledgement, and only then sends its next message.
//!
//! Client i sends its message k to room (i + k) modulo the rooms, so all rooms are always busy and every
//! run has the same schedule. All connect first; the measured window is from the common start to the last
//! acknowledgement. **Errors** are counted by class; the message is not sent again. A client that fails
//! `FAILURES_IN_A_ROW_MAX` times in a row gives up, so a dead server ends the run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use hyper::Method;
use serde::{Deserialize, Serialize};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::Target;
use crate::client::{Client, Failure, segment};
use crate::latency::{Latencies, Summary};
use crate::population::Population;

const FAILURES_IN_A_ROW_MAX: u32 = 10;
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// How much to send.
#[derive(Args, Clone)]
pub(crate) struct Load {
    /// How many messages, over all clients.
    #[arg(long)]
    messages: usize,
    /// Start no message after this many seconds, even if some are left.
    #[arg(long)]
    duration: Option<f64>,
    /// Where to write the acknowledged events, as JSON `{room id: [event id]}`.
    #[arg(long)]
    events_file: Option<PathBuf>,
}

/// What happened.
#[derive(Serialize)]
pub(crate) struct Report {
    clients: usize,
    rooms: usize,
    acknowledged: usize,
    pub(crate) errors: BTreeMap<String, u64>,
    seconds: f64,
    sends_per_second: f64,
    latency_ms: Summary,
}

/// One client's part of the schedule.
struct Part {
    index: usize,
    messages: usize,
    duration: Option<Duration>,
    run: String,
    /// Percent-encoded.
    rooms: Arc<[String]>,
}

/// What one client saw.
#[derive(Default)]
struct Outcome {
    latencies: Latencies,
    /// (room's number, event id)
    events: Vec<(usize, String)>,
    errors: BTreeMap<Failure, u64>,
    last_acknowledgement: Option<Instant>,
}

/// Runs the load of all clients to its end.
pub(crate) async fn run(population: &Population, target: &Target, load: &Load) -> anyhow::Result<Report> {
    let clients = population.clients(target, target.clients)?;
    let rooms: Arc<[String]> = population.rooms.iter().map(|room| segment(room).to_string()).collect();
    let start = Arc::new(Barrier::new(clients.len() + 1));
    let mut tasks = JoinSet::new();
    for (index, mut client) in clients.into_iter().enumerate() {
        client.connect().await.with_context(|| format!("connect to {}", target.base))?;
        let part = Part {
            index,
            messages: share(load.messages, target.clients, index),
            duration: load.duration.map(Duration::from_secs_f64),
            run: segment(&target.run).to_string(),
            rooms: Arc::clone(&rooms),
        };
        let start = Arc::clone(&start);
        tasks.spawn(async move {
            start.wait().await;
            send_part(client, part).await
        });
    }
    start.wait().await;
    let started = Instant::now();
    let mut total = Outcome::default();
    while let Some(outcome) = tasks.join_next().await {
        total.absorb(outcome.context("a client's task failed")?);
    }
    if let Some(path) = &load.events_file {
        let text = serde_json::to_vec(&total.events_by_room(&population.rooms))?;
        std::fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(total.report(started, target.clients, rooms.len()))
}

/// The messages of client `index` when `messages` are dealt out to `clients`.
fn share(messages: usize, clients: usize, index: usize) -> usize {
    messages / clients + usize::from(index < messages % clients)
}

async fn send_part(mut client: Client, part: Part) -> Outcome {
    let mut outcome = Outcome::default();
    let started = Instant::now();
    let mut failures_in_a_row = 0;
    for number in 0..part.messages {
        if part.duration.is_some_and(|duration| started.elapsed() >= duration) {
            break;
        }
        let room = (part.index + number) % part.rooms.len();
        let body = format!(r#"{{"msgtype":"m.text","body":"message {number} of client {}"}}"#, part.index);
        let txn = format!("{}-{}-{number}", part.run, part.index);
        let sent = Instant::now();
        match send_message(&mut client, &part.rooms[room], &txn, body).await {
            Ok(event_id) => {
                let now = Instant::now();
                outcome.latencies.record(now - sent);
                outcome.last_acknowledgement = Some(now);
                outcome.events.push((room, event_id));
                failures_in_a_row = 0;
            }
            Err(failure) => {
                *outcome.errors.entry(failure).or_default() += 1;
                failures_in_a_row += 1;
                if failures_in_a_row == FAILURES_IN_A_ROW_MAX {
                    break;
                }
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
            }
        }
    }
    outcome
}

/// Sends one message to a percent-encoded room; acknowledged means a 200 that names the event.
pub(crate) async fn send_message(
    client: &mut Client,
    room: &str,
    txn: &str,
    body: String,
) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct Sent {
        event_id: String,
    }
    let path = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/{txn}");
    let reply = client.call(Method::PUT, &path, body).await?;
    Ok(reply.success::<Sent>()?.event_id)
}

impl Outcome {
    fn absorb(&mut self, other: Self) {
        self.latencies.absorb(other.latencies);
        self.events.extend(other.events);
        for (failure, count) in other.errors {
            *self.errors.entry(failure).or_default() += count;
        }
        self.last_acknowledgement = self.last_acknowledgement.max(other.last_acknowledgement);
    }

    fn events_by_room<'a>(&'a self, rooms: &'a [String]) -> BTreeMap<&'a str, Vec<&'a str>> {
        let mut by_room: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (room, event_id) in &self.events {
            by_room.entry(&rooms[*room]).or_default().push(event_id);
        }
        by_room
    }

    fn report(self, started: Instant, clients: usize, rooms: usize) -> Report {
        let acknowledged = self.events.len();
        let seconds = self.last_acknowledgement.map_or(0.0, |last| (last - started).as_secs_f64());
        Report {
            clients,
            rooms,
            acknowledged,
            errors: self.errors.into_iter().map(|(failure, count)| (failure.0, count)).collect(),
            seconds,
            sends_per_second: if seconds > 0.0 { acknowledged as f64 / seconds } else { 0.0 },
            latency_ms: self.latencies.summary(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_dealt_to_one_client() {
        for (messages, clients) in [(0, 3), (2, 3), (10, 3), (1000, 16)] {
            let dealt: Vec<_> = (0..clients).map(|index| share(messages, clients, index)).collect();
            assert_eq!(dealt.iter().sum::<usize>(), messages);
            assert!(dealt[0] - dealt[clients - 1] <= 1, "evenly: {dealt:?}");
        }
    }

    #[test]
    fn acknowledged_events_are_listed_under_their_room() {
        let events = vec![(1, "$b".to_owned()), (0, "$a".to_owned()), (1, "$c".to_owned())];
        let outcome = Outcome { events, ..Outcome::default() };
        let rooms = ["!x".to_owned(), "!y".to_owned()];
        let expected = BTreeMap::from([("!x", vec!["$a"]), ("!y", vec!["$b", "$c"])]);
        assert_eq!(outcome.events_by_room(&rooms), expected);
    }
}
