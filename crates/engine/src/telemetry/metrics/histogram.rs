//! A histogram of durations made of atomics: the library's takes a lock for every observation.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds in microseconds that are exported: from what a pure script needs up to the provider's patience of three seconds.
const BOUNDS_US: [u64; 17] = [
    25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 3_000_000,
];

/// Upper bounds in microseconds that are counted: each is at most half above the one before. The exported ones
/// are among them.
const FINE_US: [u64; 51] = [
    10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 125, 150, 200, 250, 300, 400, 500, 600, 800, 1_000, 1_250, 1_500, 2_000,
    2_500, 3_000, 4_000, 5_000, 6_000, 8_000, 10_000, 12_500, 15_000, 20_000, 25_000, 30_000, 40_000, 50_000, 75_000,
    100_000, 125_000, 150_000, 200_000, 250_000, 375_000, 500_000, 750_000, 1_000_000, 1_500_000, 2_000_000, 2_500_000,
    3_000_000,
];

/// How many were at most this long, and longer than the bound before; the last one has all others.
struct Buckets([AtomicU64; FINE_US.len() + 1]);

impl Default for Buckets {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

/// How long things took.
#[derive(Default)]
pub(crate) struct Histogram {
    buckets: Buckets,
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
    pub(crate) fn observe(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = FINE_US.partition_point(|bound| bound * 1_000 < nanoseconds);
        self.buckets.0[bucket].fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// With the exported bounds.
    pub(super) fn read(&self) -> Reading {
        let fine = self.fine();
        let mut rest = fine.as_slice();
        let mut buckets = Vec::with_capacity(BOUNDS_US.len() + 1);
        for bound in BOUNDS_US.iter().map(|bound| *bound as f64 / 1e6).chain([f64::INFINITY]) {
            let here = rest.partition_point(|(fine, _)| *fine <= bound);
            buckets.push((bound, rest[..here].iter().map(|(_, count)| count).sum()));
            rest = &rest[here..];
        }
        let count = buckets.iter().map(|bucket: &(f64, u64)| bucket.1).sum();
        Reading { seconds: self.nanoseconds.load(Ordering::Relaxed) as f64 / 1e9, count, buckets }
    }

    /// All bounds in seconds, each with how many fell between it and the bound before.
    pub(super) fn fine(&self) -> Vec<(f64, u64)> {
        let bounds = FINE_US.iter().map(|bound| *bound as f64 / 1e6).chain([f64::INFINITY]);
        bounds.zip(&self.buckets.0).map(|(bound, count)| (bound, count.load(Ordering::Relaxed))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exported_bound_is_counted() {
        assert!(BOUNDS_US.iter().all(|bound| FINE_US.contains(bound)));
        assert!(FINE_US.is_sorted());
    }

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
        let fine = histogram.fine();
        let fine: Vec<_> = fine.iter().filter(|bucket| bucket.1 > 0).copied().collect();
        assert_eq!(fine, [(0.000_025, 1), (0.000_03, 1), (3.0, 1), (f64::INFINITY, 1)]);
        assert!((reading.seconds - 6.000_050_002).abs() < 1e-9, "{}", reading.seconds);
    }
}
