//! The last hour in numbers, for people who look at how it went: a sample every ten seconds, in memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use utoipa::ToSchema;

use hookgate_engine::delivery::Delivery;
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_engine::telemetry::metrics::totals::Totals;
use hookgate_model::moment;
use hookgate_store::clock;

/// From one sample to the next.
pub const EVERY: Duration = Duration::from_secs(10);

/// An hour of them.
const MOST: usize = 360;

/// What happened within ten seconds, and how things stood at the end of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Sample {
    /// Its end.
    #[schema(format = DateTime)]
    pub time: String,
    pub calls: u64,
    /// The 99th percentile, as the bound of a bucket; `null` where there was no call.
    pub p99_ms: Option<f64>,
    /// Answers by `on_failure`.
    pub fallbacks: u64,
    /// Calls that reached no script.
    pub refusals: u64,
    /// How long the oldest job that was due had waited.
    pub queue_age_ms: u64,
    /// Jobs that waited.
    pub waiting: u64,
    pub dead_letters: u64,
    /// Releases that went live.
    pub activated: u64,
    /// Releases that were refused.
    pub refused_releases: u64,
}

/// The samples of the last hour.
#[derive(Default)]
pub struct Samples(Mutex<VecDeque<Sample>>);

impl Samples {
    /// Begins to take samples, until nobody looks any more.
    pub fn start(metrics: Arc<Metrics>, delivery: Arc<Delivery>) -> Arc<Self> {
        let samples = Arc::new(Self::default());
        let kept = Arc::downgrade(&samples);
        tokio::spawn(async move {
            let mut ticks = interval_at(Instant::now() + EVERY, EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            let mut before = metrics.totals();
            loop {
                ticks.tick().await;
                let Some(samples) = kept.upgrade() else { return };
                let now = metrics.totals();
                samples.add(sample(&before, &now, &delivery));
                before = now;
            }
        });
        samples
    }

    /// Oldest first.
    pub fn samples(&self) -> Vec<Sample> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn add(&self, sample: Sample) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() == MOST {
            samples.pop_front();
        }
        samples.push_back(sample);
    }
}

fn sample(before: &Totals, now: &Totals, delivery: &Delivery) -> Sample {
    let queue = delivery.health();
    Sample {
        time: moment::exact(clock::wall()),
        calls: now.calls.saturating_sub(before.calls),
        p99_ms: now.p99_ms_since(before),
        fallbacks: now.fallbacks.saturating_sub(before.fallbacks),
        refusals: now.refusals.saturating_sub(before.refusals),
        queue_age_ms: queue.queue_age_ms,
        waiting: queue.waiting,
        dead_letters: queue.dead,
        activated: now.activated.saturating_sub(before.activated),
        refused_releases: now.refused_releases.saturating_sub(before.refused_releases),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_kept_and_no_more() {
        let samples = Samples::default();
        (0..400).for_each(|calls| samples.add(Sample { calls, ..Sample::default() }));
        let kept = samples.samples();
        assert_eq!((kept.len(), kept[0].calls, kept[359].calls), (360, 40, 399));
    }
}
