//! A histogram of durations made of atomics: the library's takes a lock for every observation.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds in microseconds: from what a pure script needs up to the provider's patience of three seconds.
const BOUNDS_US: [u64; 17] = [
    25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 3_000_000,
];

/// How long things took.
#[derive(Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    nanoseconds: AtomicU64,
}

/// A histogram as read at one moment.
pub(super) struct Reading {
    pub(super) seconds: f64,
    pub(super) count: u64,
    /// Upper bound in seconds and how many fell between it and the bound before.
    pub(super) buckets: Vec<(f64, u64)>,
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.partition_point(|bound| bound * 1_000 < nanoseconds);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Reading {
        let bounds = BOUNDS_US.iter().map(|bound| *bound as f64 / 1e6).chain([f64::INFINITY]);
        let buckets: Vec<_> =
            bounds.zip(&self.buckets).map(|(bound, count)| (bound, count.load(Ordering::Relaxed))).collect();
        let count = buckets.iter().map(|bucket| bucket.1).sum();
        Reading { seconds: self.nanoseconds.load(Ordering::Relaxed) as f64 / 1e9, count, buckets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_on_a_bound_belongs_below_it() {
        let histogram = Histogram::default();
        for took in [25_000, 25_001, 3_000_000_000, 3_000_000_001] {
            histogram.observe(Duration::from_nanos(took));
        }
        let reading = histogram.read();
        let filled: Vec<_> = reading.buckets.iter().filter(|bucket| bucket.1 > 0).copied().collect();
        assert_eq!(filled, [(0.000_025, 1), (0.000_05, 1), (3.0, 1), (f64::INFINITY, 1)]);
        assert_eq!(reading.count, 4);
        assert!((reading.seconds - 6.000_050_002).abs() < 1e-9, "{}", reading.seconds);
    }
}
