//! All that the admin listener may look at and do, in one place: the API and the pages ask it and nothing else.
//!
//! The parts of the gateway are private here. What may come from a call leaves only for a [`Sight`](crate::admin::access::sight::Sight), and what changes
//! something or makes the gateway work takes an [`Operator`]: a page that forgets whom it is for does not compile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::channel::Channel;
use serde_json::Value;
use tokio::sync::watch::Receiver;
use tracing::{info, warn};

use crate::admin::access::{Identity, Operator};
use crate::admin::desk::inventory::InForce;
use crate::admin::health::{Sample, Samples};
use crate::admin::live::DecisionFeed;
use hookgate_engine::delivery::Delivery;
use hookgate_engine::history::History;
use hookgate_engine::records::Recorder;
use hookgate_engine::release::bundle::Place;
use hookgate_engine::release::live::Live;
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_engine::trial::Bench;
use hookgate_store::{Health, Millis, Store};

pub mod decisions;
pub mod events;
pub mod inventory;
pub mod orders;
pub mod releases;
pub mod trials;

/// The parts of a running gateway.
pub struct Parts {
    /// The release in force, and what is known of the files.
    pub live: Arc<Live>,
    /// Events, jobs and the store that keeps them.
    pub delivery: Arc<Delivery>,
    pub metrics: Arc<Metrics>,
    /// What is decided, as it is.
    pub records: Arc<Recorder>,
    /// What was in force, and who changed what.
    pub history: Arc<History>,
    /// Decisions as they are made, for watchers.
    pub feed: Arc<DecisionFeed>,
    /// The last hour in numbers.
    pub health: Arc<Samples>,
    /// Where requests are tried.
    pub bench: Bench,
    /// Where the bundle is.
    pub place: Place,
    /// `true` once the gateway stops.
    pub stopping: Receiver<bool>,
    /// When the process began.
    pub started: Instant,
}

/// What is shared by everything that is shown of a gateway.
pub struct Desk {
    parts: Parts,
}

impl Desk {
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// Whether calls can be answered.
    ///
    /// # Errors
    /// Why not, as a sentence without values of calls.
    pub fn ready(&self) -> Result<(), String> {
        if *self.parts.stopping.borrow() {
            return Err("the gateway is stopping".to_owned());
        }
        self.parts.live.current().map(drop).ok_or_else(|| "no release is live yet".to_owned())?;
        self.parts.delivery.ready()
    }

    /// The release in force, without the texts that it was made of.
    pub fn in_force(&self) -> Option<InForce> {
        self.parts.live.current().map(InForce::new)
    }

    /// All metrics, as [`CONTENT_TYPE`](hookgate_engine::telemetry::metrics::CONTENT_TYPE).
    pub fn metrics(&self) -> String {
        self.parts.metrics.encode()
    }

    /// Records of decisions since the start, by what became of them.
    pub fn recorded(&self) -> Vec<(&'static str, u64)> {
        self.parts.records.counts()
    }

    /// The last hour in numbers, oldest first.
    pub fn last_hour(&self) -> Vec<Sample> {
        self.parts.health.samples()
    }

    /// What the store holds, as seen a few seconds ago.
    pub fn queue(&self) -> Arc<Health> {
        self.parts.delivery.health()
    }

    pub fn uptime(&self) -> Duration {
        self.parts.started.elapsed()
    }

    /// The time of the store.
    pub fn now(&self) -> Millis {
        self.store().now()
    }

    /// Decisions as they are made, as server-sent events; nothing if too many watch already.
    pub fn watch(&self, who: &Identity) -> Option<Channel<Bytes>> {
        self.parts.feed.watch(who, self.parts.stopping.clone())
    }

    /// Notes who changed what, in the log of changes. `what` is a fixed sentence; `subject` names what it was done to,
    /// `detail` says more. What was done is done, whether or not it can be noted.
    pub async fn note(&self, who: &Operator, what: &'static str, subject: &str, detail: &Value) {
        match self.parts.history.note(who.name(), what, subject, detail).await {
            Ok(_) => info!(admin.who = who.name(), admin.what = what, "an operator changed something"),
            Err(error) => {
                warn!(%error, admin.who = who.name(), admin.what = what, "a change is not in the log of changes")
            }
        }
    }

    fn store(&self) -> &Arc<dyn Store> {
        self.parts.delivery.store()
    }
}
