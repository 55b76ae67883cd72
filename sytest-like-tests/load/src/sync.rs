//! The delivery load: one client sends at a steady pace, all others long-poll `/sync` and note each arrival.
//!
//! Message k goes to room k modulo the rooms; its body carries k. Latency is from the start of the request
//! that sends it to the end of the `/sync` answer that brings it. Delivered means that a receiver saw a
//! message for the first time; expected is the acknowledged messages times the receivers. A receiver ends
//! when it has seen every message, or `GRACE` after the sender's last one.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use hyper::Method;
use serde::{Deserialize, Serialize};
use tokio::sync::{Barrier, watch};
use tokio::task::JoinSet;

use crate::Target;
use crate::client::{Client, Failure, segment};
use crate::latency::{Latencies, Summary};
use crate::population::Population;
use crate::send::send_message;

const GRACE: Duration = Duration::from_secs(10);
const POLL_MS: u32 = 5_000;
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);
const FILTER: &str = r#"{"room":{"timeline":{"limit":100}},"presence":{"types":[]}}"#;

/// How much to send, and how fast.
#[derive(Args, Clone)]
pub(crate) struct Load {
    /// How many messages the sender sends.
    #[arg(long)]
    messages: usize,
    /// How many of them per second.
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
}

/// What happened.
#[derive(Serialize)]
pub(crate) struct Report {
    receivers: usize,
    acknowledged: usize,
    expected: usize,
    delivered: usize,
    doubled: usize,
    sync_answers: usize,
    errors: BTreeMap<String, u64>,
    seconds: f64,
    latency_ms: Summary,
}

impl Report {
    /// Whether everyone saw every message once.
    pub(crate) fn is_complete(&self) -> bool {
        self.delivered == self.expected && self.doubled == 0 && self.errors.is_empty()
    }
}

/// When each message was sent, by its number.
type SendTimes = Arc<[OnceLock<Instant>]>;

/// What one receiver saw.
#[derive(Default)]
struct Outcome {
    seen: Vec<bool>,
    doubled: usize,
    answers: usize,
    latencies: Latencies,
    errors: BTreeMap<Failure, u64>,
}

#[derive(Deserialize)]
struct SyncAnswer {
    next_batch: String,
    #[serde(default)]
    rooms: Rooms,
}
#[derive(Deserialize, Default)]
struct Rooms {
    #[serde(default)]
    join: BTreeMap<String, JoinedRoom>,
}
#[derive(Deserialize)]
struct JoinedRoom {
    #[serde(default)]
    timeline: Timeline,
}
#[derive(Deserialize, Default)]
struct Timeline {
    #[serde(default)]
    events: Vec<Event>,
}
#[derive(Deserialize)]
struct Event {
    content: Content,
}
#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    body: String,
}

/// Runs the sender and its receivers to their end.
pub(crate) async fn run(population: &Population, target: &Target, load: &Load) -> anyhow::Result<Report> {
    anyhow::ensure!(
        load.rate > 0.0 && target.clients > 1,
        "a rate above 0 and at least 2 clients are needed"
    );
    let mut clients = population.clients(target, target.clients)?;
    let sender = clients.remove(0);
    let receivers = clients.len();
    let sent: SendTimes = (0..load.messages).map(|_| OnceLock::new()).collect();
    let start = Arc::new(Barrier::new(receivers + 1));
    let (ended_tx, ended_rx) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for client in clients {
        let receiver = Receiver {
            client,
            prefix: body_prefix(&target.run),
            sent: Arc::clone(&sent),
            outcome: Outcome { seen: vec![false; load.messages], ..Outcome::default() },
        };
        tasks.spawn(receiver.run(Arc::clone(&start), ended_rx.clone()));
    }
    start.wait().await;
    let started = Instant::now();
    let (acknowledged, mut errors) = send_all(sender, population, target, load, &sent).await;
    let cut_off = tokio::spawn(async move {
        tokio::time::sleep(GRACE).await;
        ended_tx.send_replace(true);
    });
    let mut report_of = Outcome::default();
    let mut delivered = 0;
    while let Some(outcome) = tasks.join_next().await {
        let outcome = outcome.context("a receiver's task failed")??;
        delivered += acknowledged.iter().filter(|&&number| outcome.seen[number]).count();
        report_of.doubled += outcome.doubled;
        report_of.answers += outcome.answers;
        report_of.latencies.absorb(outcome.latencies);
        for (failure, count) in outcome.errors {
            *errors.entry(failure).or_default() += count;
        }
    }
    cut_off.abort();
    Ok(Report {
        receivers,
        acknowledged: acknowledged.len(),
        expected: acknowledged.len() * receivers,
        delivered,
        doubled: report_of.doubled,
        sync_answers: report_of.answers,
        errors: errors.into_iter().map(|(failure, count)| (failure.0, count)).collect(),
        seconds: started.elapsed().as_secs_f64(),
        latency_ms: report_of.latencies.summary(),
    })
}

fn body_prefix(run: &str) -> String {
    format!("delivery {run} ")
}

/// Sends at the pace asked for; gives the numbers of the acknowledged messages.
async fn send_all(
    mut client: Client,
    population: &Population,
    target: &Target,
    load: &Load,
    sent: &SendTimes,
) -> (Vec<usize>, BTreeMap<Failure, u64>) {
    let mut pace = tokio::time::interval(Duration::from_secs_f64(1.0 / load.rate));
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut acknowledged = Vec::new();
    let mut errors: BTreeMap<Failure, u64> = BTreeMap::new();
    for number in 0..load.messages {
        pace.tick().await;
        let room = segment(&population.rooms[number % population.rooms.len()]).to_string();
        let body = serde_json::json!({
            "msgtype": "m.text",
            "body": format!("{}{number}", body_prefix(&target.run)),
        });
        let txn = format!("{}-d-{number}", segment(&target.run));
        // Set once, here: the loop meets each number once.
        let _ = sent[number].set(Instant::now());
        match send_message(&mut client, &room, &txn, body.to_string()).await {
            Ok(_) => acknowledged.push(number),
            Err(failure) => *errors.entry(failure).or_default() += 1,
        }
    }
    (acknowledged, errors)
}

struct Receiver {
    client: Client,
    prefix: String,
    sent: SendTimes,
    outcome: Outcome,
}

impl Receiver {
    async fn run(mut self, start: Arc<Barrier>, mut ended: watch::Receiver<bool>) -> anyhow::Result<Outcome> {
        let first = self.poll(None).await;
        // Everyone meets here, also who failed: the others must not wait for ever.
        start.wait().await;
        let mut since = first.context("first sync")?.next_batch;
        while self.outcome.seen.contains(&false) {
            let answer = tokio::select! {
                answer = self.poll(Some(&since)) => answer,
                _ = ended.wait_for(|ended| *ended) => break,
            };
            match answer {
                Ok(answer) => {
                    self.note(&answer);
                    since = answer.next_batch;
                }
                Err(failure) => {
                    *self.outcome.errors.entry(failure).or_default() += 1;
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                }
            }
        }
        Ok(self.outcome)
    }

    async fn poll(&mut self, since: Option<&str>) -> Result<SyncAnswer, Failure> {
        let filter = segment(FILTER);
        let path = match since {
            None => format!("/_matrix/client/v3/sync?timeout=0&filter={filter}"),
            Some(since) => {
                let since = segment(since);
                format!("/_matrix/client/v3/sync?timeout={POLL_MS}&filter={filter}&since={since}")
            }
        };
        self.client.call(Method::GET, &path, String::new()).await?.success()
    }

    fn note(&mut self, answer: &SyncAnswer) {
        let now = Instant::now();
        self.outcome.answers += 1;
        let events = answer.rooms.join.values().flat_map(|room| &room.timeline.events);
        for event in events {
            let number = event.content.body.strip_prefix(&self.prefix).and_then(|text| text.parse().ok());
            let Some(number) = number.filter(|&number: &usize| number < self.sent.len()) else { continue };
            if std::mem::replace(&mut self.outcome.seen[number], true) {
                self.outcome.doubled += 1;
            } else if let Some(sent) = self.sent[number].get() {
                self.outcome.latencies.record(now - *sent);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receiver() -> Receiver {
        let target = Target {
            base: "http://127.0.0.1:1".to_owned(),
            clients: 2,
            rooms: 1,
            tokens_file: None,
            run: "t".to_owned(),
            timeout_s: 1,
            json: false,
        };
        let sent: SendTimes = (0..3).map(|_| OnceLock::from(Instant::now())).collect();
        Receiver {
            client: Client::new(&target, None).unwrap(),
            prefix: body_prefix("t"),
            sent,
            outcome: Outcome { seen: vec![false; 3], ..Outcome::default() },
        }
    }

    fn answer(bodies: &[&str]) -> SyncAnswer {
        let events: Vec<_> =
            bodies.iter().map(|body| serde_json::json!({ "content": { "body": body } })).collect();
        let room = serde_json::json!({ "timeline": { "events": events } });
        let answer = serde_json::json!({ "next_batch": "s1", "rooms": { "join": { "!r": room } } });
        serde_json::from_value(answer).unwrap()
    }

    #[test]
    fn a_second_arrival_is_a_double_and_foreign_messages_are_ignored() {
        let mut receiver = receiver();
        receiver.note(&answer(&[
            "delivery t 0",
            "delivery t 2",
            "delivery other 1",
            "delivery t 9",
            "hello",
        ]));
        receiver.note(&answer(&["delivery t 2"]));
        assert_eq!(receiver.outcome.seen, [true, false, true]);
        assert_eq!((receiver.outcome.doubled, receiver.outcome.answers), (1, 2));
    }
}
