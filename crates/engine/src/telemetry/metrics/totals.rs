//! Numbers of all routes together, for those who watch the gateway as a whole.

use std::sync::PoisonError;

use crate::telemetry::metrics::Metrics;

/// What was counted since the start, over all routes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    pub calls: u64,
    /// Answers by `on_failure`.
    pub fallbacks: u64,
    /// Calls that reached no script.
    pub refusals: u64,
    pub activated: u64,
    pub refused_releases: u64,
    /// Upper bound in seconds, and how many calls took no longer but longer than the bound before.
    pub(crate) call_seconds: Vec<(f64, u64)>,
}

impl Metrics {
    /// The sums as they are now.
    pub fn totals(&self) -> Totals {
        let sum = |counts: &[(&'static str, u64)]| counts.iter().map(|(_, count)| count).sum::<u64>();
        let reloads = self.reloads.read();
        let of = |wanted| sum(&reloads.iter().filter(|(result, _)| *result == wanted).copied().collect::<Vec<_>>());
        let mut totals = Totals {
            refusals: sum(&self.refusals.read()),
            activated: of("activated"),
            refused_releases: of("refused"),
            ..Totals::default()
        };
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        for route in routes.values() {
            totals.calls += sum(&route.calls.read());
            totals.fallbacks += sum(&route.fallback.read());
            let buckets = route.call_seconds.fine();
            if totals.call_seconds.is_empty() {
                totals.call_seconds = buckets;
            } else {
                totals.call_seconds.iter_mut().zip(buckets).for_each(|(sum, (_, count))| sum.1 += count);
            }
        }
        totals
    }
}

impl Totals {
    /// The 99th percentile of the calls since `before`, in milliseconds: the bound of the bucket it is in. Nothing where
    /// there was no call; a day where a call took longer than any bound.
    pub fn p99_ms_since(&self, before: &Self) -> Option<f64> {
        let earlier = |index: usize| before.call_seconds.get(index).map_or(0, |bucket| bucket.1);
        let counts = self.call_seconds.iter().enumerate();
        let counts: Vec<(f64, u64)> =
            counts.map(|(index, (bound, count))| (*bound, count.saturating_sub(earlier(index)))).collect();
        let all: u64 = counts.iter().map(|(_, count)| count).sum();
        let mut left = all - all / 100;
        counts.iter().find_map(|(bound, count)| {
            let found = left > 0 && *count >= left;
            left = left.saturating_sub(*count);
            found.then(|| if bound.is_finite() { bound * 1_000.0 } else { 86_400_000.0 })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn routes_add_up_and_the_percentile_is_of_what_came_since() {
        let metrics = Metrics::new();
        assert_eq!(metrics.totals().p99_ms_since(&Totals::default()), None);
        let (one, two) = (metrics.route("one"), metrics.route("two"));
        (0..99).for_each(|_| one.call_seconds.observe(Duration::from_micros(90)));
        two.call_seconds.observe(Duration::from_millis(400));
        one.calls.add("replied", 99);
        two.calls.inc("fallback");
        two.fallback.inc("timeout");
        metrics.refusals.inc("auth");
        metrics.reloads.inc("refused");
        let first = metrics.totals();
        assert_eq!((first.calls, first.fallbacks, first.refusals), (100, 1, 1));
        assert_eq!((first.activated, first.refused_releases), (0, 1));
        assert_eq!(first.p99_ms_since(&Totals::default()), Some(0.1));
        two.call_seconds.observe(Duration::from_millis(400));
        let second = metrics.totals();
        assert_eq!(second.p99_ms_since(&first), Some(500.0));
        assert_eq!(second.p99_ms_since(&second), None);
        two.call_seconds.observe(Duration::from_secs(9));
        assert_eq!(metrics.totals().p99_ms_since(&second), Some(86_400_000.0));
    }
}
