//! `GET /metrics`: numbers about the process and its requests, as Prometheus reads them.
//!
//! **Shapes**: the text format; OpenMetrics where the scraper asks for it. Other parts add their own
//! through [`Metrics::register`].
//! **Invariant**: label values come from fixed lists, so no client can make new time series.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use axum::response::{IntoResponse as _, Response};
use hyper::{HeaderMap, Method, StatusCode, header};
use nexus_event_store::Store;
use nexus_rooms::JobStatistics;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text},
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::ConstGauge,
        histogram::Histogram,
    },
    registry::Registry,
};

use crate::http::Facade;

mod process;

/// Upper bounds of the duration histogram, in seconds.
const DURATION_BUCKETS_S: [f64; 11] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of the process. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    registry: Arc<Mutex<Registry>>,
    requests: RequestMetrics,
}

/// Counts and times requests.
#[derive(Clone, Debug)]
pub(crate) struct RequestMetrics {
    count: Family<CountLabels, Counter>,
    duration: Family<DurationLabels, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CountLabels {
    facade: &'static str,
    method: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DurationLabels {
    facade: &'static str,
    method: &'static str,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let requests = RequestMetrics {
            count: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS_S)),
        };
        let mut registry = Registry::default();
        registry.register("nexus_http_requests", "Requests answered", requests.count.clone());
        registry.register(
            "nexus_http_request_duration_seconds",
            "From the end of a request's head to the head of its response",
            requests.duration.clone(),
        );
        registry.register_collector(Box::new(ProcessCollector));
        Self { registry: Arc::new(Mutex::new(registry)), requests }
    }

    /// Lets another part add its metrics.
    pub(crate) fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Adds what the committer counts.
    pub(crate) fn register_store(&self, store: Store) {
        self.register(|registry| registry.register_collector(Box::new(StoreCollector(store))));
    }

    /// Adds what the job runner counts.
    pub(crate) fn register_jobs(&self, jobs: Arc<JobStatistics>) {
        self.register(|registry| registry.register_collector(Box::new(JobCollector(jobs))));
    }

    pub(crate) fn requests(&self) -> RequestMetrics {
        self.requests.clone()
    }

    /// `GET /metrics`.
    pub(crate) fn page(&self, request: &HeaderMap) -> Response {
        let mut page = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(fmt::Error) = text::encode(&mut page, &registry) {
            tracing::error!("cannot write the metrics");
            return Facade::Own.error(StatusCode::INTERNAL_SERVER_ERROR);
        }
        let accept = request.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = if accept.contains("application/openmetrics-text") { OPEN_METRICS } else { TEXT };
        ([(header::CONTENT_TYPE, kind)], page).into_response()
    }
}

impl RequestMetrics {
    pub(crate) fn observe(&self, facade: Facade, method: &Method, status: StatusCode, took: Duration) {
        let (facade, method) = (facade.name(), method_label(method));
        self.count.get_or_create(&CountLabels { facade, method, status: status_label(status) }).inc();
        self.duration.get_or_create(&DurationLabels { facade, method }).observe(took.as_secs_f64());
    }
}

fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

fn status_label(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

/// Reads the process's own numbers at every scrape.
#[derive(Debug)]
struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut write = |name: &str, help: &str, metric: &dyn Fn() -> Option<Value>| match metric() {
            None => Ok(()),
            Some(Value::Counter(value)) => {
                let metric = ConstCounter::new(value);
                metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
            }
            Some(Value::Gauge(value)) => {
                let metric = ConstGauge::new(value);
                metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
            }
        };
        write("process_cpu_seconds", "User and system time", &|| process::cpu_s().map(Value::Counter))?;
        write("process_resident_memory_bytes", "Resident memory", &|| {
            process::resident_bytes().map(Value::Gauge)
        })?;
        write("process_open_fds", "Open file descriptors", &|| process::open_fds().map(Value::Gauge))
    }
}

/// Reads the committer's counters at every scrape.
struct StoreCollector(Store);

impl fmt::Debug for StoreCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreCollector")
    }
}

impl Collector for StoreCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counted = self.0.statistics();
        for (name, help, counter) in [
            ("nexus_store_commits", "Decisions made durable", &counted.commits),
            ("nexus_store_syncs", "Synced writes they took", &counted.syncs),
            (
                "nexus_store_conflicts",
                "Decisions made again because what they read had changed",
                &counted.conflicts,
            ),
        ] {
            let metric = ConstCounter::new(counter.load(Ordering::Relaxed));
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        let position = ConstGauge::new(self.0.visible().0);
        let kind = position.metric_type();
        position.encode(encoder.encode_descriptor(
            "nexus_store_position",
            "The last durable position",
            None,
            kind,
        )?)
    }
}

/// Reads the job runner's counters at every scrape.
#[derive(Debug)]
struct JobCollector(Arc<JobStatistics>);

impl Collector for JobCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, help, counter) in [
            ("nexus_job_steps", "Steps of jobs taken", &self.0.steps),
            ("nexus_jobs_finished", "Jobs brought to their end", &self.0.finished),
            ("nexus_job_failures", "Steps that failed and are tried again", &self.0.failures),
        ] {
            let metric = ConstCounter::new(counter.load(Ordering::Relaxed));
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        let open = ConstGauge::new(self.0.open.load(Ordering::Relaxed));
        let kind = open.metric_type();
        open.encode(encoder.encode_descriptor("nexus_jobs_open", "Jobs not done yet", None, kind)?)
    }
}

enum Value {
    Counter(f64),
    Gauge(u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn text_of(response: Response) -> String {
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn requests_and_the_process_are_measured() {
        let metrics = Metrics::new();
        let strange = Method::from_bytes(b"BREW").unwrap();
        let took = Duration::from_millis(3);
        metrics.requests().observe(Facade::Matrix, &Method::PUT, StatusCode::CREATED, took);
        metrics.requests().observe(Facade::Own, &strange, StatusCode::NOT_FOUND, took);
        metrics.register(|registry| registry.register("extra", "Of another part", Counter::<u64>::default()));
        let page = text_of(metrics.page(&HeaderMap::new())).await;
        for line in [
            "nexus_http_requests_total{facade=\"matrix\",method=\"PUT\",status=\"2xx\"} 1",
            "nexus_http_requests_total{facade=\"own\",method=\"other\",status=\"4xx\"} 1",
            "nexus_http_request_duration_seconds_bucket{le=\"0.005\",facade=\"matrix\",method=\"PUT\"} 1",
            "extra_total 0",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
        let value = |name: &str| -> f64 {
            let line = page.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes ") > 100_000.0);
        assert!(value("process_open_fds ") > 2.0);
        assert!(value("process_cpu_seconds_total ") >= 0.0);
    }

    #[test]
    fn the_scraper_gets_the_format_it_asks_for() {
        let kind = |accept: &'static str| {
            let mut request = HeaderMap::new();
            request.insert(header::ACCEPT, accept.parse().unwrap());
            Metrics::new().page(&request).headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned()
        };
        assert_eq!(kind("*/*"), TEXT);
        assert_eq!(kind("application/openmetrics-text;version=1.0.0,text/plain"), OPEN_METRICS);
    }
}
