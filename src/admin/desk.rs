//! All that the admin listener may look at and do, in one place: the API and the pages ask it and nothing else.

use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tokio::sync::watch::Receiver;
use tracing::{info, warn};

use crate::admin::access::Identity;
use crate::admin::health::Samples;
use crate::admin::live::Stage;
use crate::delivery::Delivery;
use crate::history::History;
use crate::records::Recorder;
use crate::release::bundle::Place;
use crate::release::live::Live;
use crate::telemetry::metrics::Metrics;
use crate::trial::Bench;

pub mod orders;

/// The parts of a running gateway, shared by everything that is shown of it.
pub struct Desk {
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
    pub stage: Arc<Stage>,
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

impl Desk {
    /// Whether calls can be answered.
    ///
    /// # Errors
    /// Why not, as a sentence without values of calls.
    pub fn ready(&self) -> Result<(), String> {
        if *self.stopping.borrow() {
            return Err("the gateway is stopping".to_owned());
        }
        self.live.current().map(drop).ok_or_else(|| "no release is live yet".to_owned())?;
        self.delivery.ready().map_err(|problem| problem.to_string())
    }

    /// Notes who changed what, in the log of changes. `what` is a fixed sentence; `subject` names what it was done to,
    /// `detail` says more. What was done is done, whether or not it can be noted.
    pub async fn note(&self, who: &Identity, what: &'static str, subject: &str, detail: &Value) {
        let who = who.to_string();
        match self.history.note(&who, what, subject, detail).await {
            Ok(_) => info!(admin.who = who, admin.what = what, "an operator changed something"),
            Err(error) => warn!(%error, admin.who = who, admin.what = what, "a change is not in the log of changes"),
        }
    }
}
