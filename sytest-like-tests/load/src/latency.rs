//! Latencies of a run, every one kept, and the few numbers that describe them.
//!
//! **Units**: recorded in whole microseconds, reported in milliseconds.
//! Percentiles are nearest-rank: the smallest value that at least that share of all values does not exceed.

use std::time::Duration;

use serde::Serialize;

/// Every latency of a run, in no order.
#[derive(Default)]
pub(crate) struct Latencies {
    micros: Vec<u64>,
}

/// What is reported of them; all zero when there were none.
#[derive(Serialize, Debug, PartialEq)]
pub(crate) struct Summary {
    mean: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    max: f64,
}

impl Latencies {
    pub(crate) fn record(&mut self, latency: Duration) {
        self.micros.push(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn absorb(&mut self, other: Self) {
        self.micros.extend(other.micros);
    }

    pub(crate) fn summary(mut self) -> Summary {
        self.micros.sort_unstable();
        let count = self.micros.len();
        let mean = self.micros.iter().sum::<u64>() as f64 / count.max(1) as f64 / 1000.0;
        let at = |percent: usize| {
            let rank = (count * percent).div_ceil(100).max(1);
            self.micros.get(rank - 1).map_or(0.0, |&micros| micros as f64 / 1000.0)
        };
        Summary { mean, p50: at(50), p90: at(90), p99: at(99), max: at(100) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary_of(millis: impl IntoIterator<Item = u64>) -> Summary {
        let mut latencies = Latencies::default();
        for ms in millis {
            latencies.record(Duration::from_millis(ms));
        }
        latencies.summary()
    }

    #[test]
    fn percentiles_are_nearest_rank() {
        let expected = Summary { mean: 50.5, p50: 50.0, p90: 90.0, p99: 99.0, max: 100.0 };
        assert_eq!(summary_of((1..=100).rev()), expected);
    }

    #[test]
    fn few_values_do_not_invent_others() {
        assert_eq!(summary_of([7]), Summary { mean: 7.0, p50: 7.0, p90: 7.0, p99: 7.0, max: 7.0 });
        assert_eq!(summary_of([]), Summary { mean: 0.0, p50: 0.0, p90: 0.0, p99: 0.0, max: 0.0 });
    }
}
