//! What is done every few seconds or minutes whether or not anything happens: looking at the store, and removing what is
//! old.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::delivery::intake::Way;
use crate::delivery::{Delivery, PATIENCE};
use hookgate_store::clock;
use hookgate_store::{Intake, Operation};

/// How often the store is looked at, and decisions are removed that are too many.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How often old records are removed.
const SWEEP_EVERY: Duration = Duration::from_mins(10);

/// Ids of events are remembered at least this long, even if events are not kept: providers repeat what they sent.
const REMEMBER: Duration = Duration::from_hours(7 * 24);

/// Looks after the store until it is dropped. `keep` is how long records are kept, `decisions` how many of decisions.
pub async fn run(delivery: Arc<Delivery>, keep: Duration, decisions: u64) {
    let mut next_sweep = Instant::now();
    loop {
        delivery.look().await;
        delivery.probe().await;
        if Instant::now() >= next_sweep {
            let sweep = Operation::Sweep { keep, remember: keep.max(REMEMBER), decisions };
            match delivery.store().operate(sweep).await {
                Ok(0) => {}
                Ok(removed) => info!(events.count = removed, "old events were removed"),
                Err(problem) => warn!(error = %problem, "old events could not be removed"),
            }
            next_sweep = Instant::now() + SWEEP_EVERY;
        }
        // Ten minutes of them would be many more than are to be kept. What cannot be removed now is removed later, and a store that
        // fails says so itself.
        let _ = delivery.store().operate(Operation::TrimDecisions { most: decisions }).await;
        sleep(LOOK_EVERY).await;
    }
}

impl Delivery {
    /// Looks at the store, for readiness and metrics.
    pub async fn look(&self) {
        let health = match self.store.health().await {
            Ok(health) => health,
            Err(problem) => {
                let mut health = (*self.health()).clone();
                health.trouble = Some(problem.to_string());
                health
            }
        };
        let before = self.health.load();
        match (&before.trouble, &health.trouble) {
            (Some(_), None) => info!("the store works again"),
            (None, Some(trouble)) => warn!(error = trouble, "the store is in trouble"),
            _ => {}
        }
        self.metrics.set_queue(health.queue_age_ms, health.dead, health.waiting);
        if let Some(release) = self.live.current() {
            self.metrics.set_keys_ages(release.keys_ages());
            self.metrics.set_quotas(release.quotas());
        }
        self.health.store(Arc::new(health));
    }

    /// Whether events can be kept.
    ///
    /// # Errors
    /// Why not, as a sentence.
    pub fn ready(&self) -> Result<(), String> {
        if let Some(trouble) = &self.health.load().trouble {
            return Err(trouble.clone());
        }
        self.refusing.lasting(std::time::Instant::now()).map_or(Ok(()), Err)
    }

    /// Who is not ready gets no deliveries, which would show that they are kept again; so that is tried.
    async fn probe(&self) {
        if self.refusing.any() {
            let nothing = Intake {
                events: Vec::new(),
                bookmark: Some(("probe".to_owned(), clock::wall().to_string())),
                ..Intake::default()
            };
            let kept = self.keep_in_time(nothing, PATIENCE).await;
            self.note(Way::Hook, &kept);
        }
    }
}
