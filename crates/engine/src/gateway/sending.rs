//! Sending a one-time code after a script decided so and before its caller is answered: one connector after the other, until
//! one takes it or there is no time left.
//!
//! Who certainly did not send is followed by the next, whatever the reason: another provider may reach the number. Once a
//! request is out and no answer came, nobody else is tried: the person may have the code, and a second message would be worse
//! than a late one. Of one call one message is sent, also when its caller goes away in the middle, after a new release, and
//! after a restart: the store remembers it for an hour (`Claim`). Nothing of the message is kept or told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tracing::{info, warn};
use uuid::Uuid;

use crate::delivery::Delivery;
use crate::release::Release;
use crate::telemetry::metrics::Metrics;
use hookgate_connectors::breaker::Room;
use hookgate_connectors::time_limit;
use hookgate_connectors::{Connected, Trouble, What};
use hookgate_model::message::{Message, Outcome, Sending, Sent, Tried};
use hookgate_model::question::{Kv, OWN_KEY};
use hookgate_store::{Step, StoreError};

/// What is left of the time of a call for everything after sending.
const AFTERWARDS: Duration = Duration::from_millis(50);

/// With less time than this nobody else is begun with. More than a connection may take
/// (`CONNECT_SOON` in `connectors::client`): so who cannot be reached is told from who does not answer.
const WORTH_IT: Duration = Duration::from_millis(900);

/// How long the store is waited for. It must not cost the code: a caller that repeats itself is rare, and is told by the guard.
const STORE: Duration = Duration::from_millis(250);

/// How long it is known that the message of a call was sent: longer than a code is good for.
const KNOWN: Duration = Duration::from_hours(1);

/// Names of calls, of which keys are made.
const NAMESPACE: Uuid = Uuid::from_u128(0x2f7c_0c15_3a1e_4f0b_8d53_91a4_6b2e_7d19);

/// One message of one call.
pub(crate) struct Errand {
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) release: Arc<Release>,
    pub(crate) route: String,
    /// The provider's id of the call, or that of the decision.
    pub(crate) call: String,
    pub(crate) sending: Sending,
    /// When the caller must have its answer.
    pub(crate) deadline: Instant,
}

/// Whether this call's message is still to be sent.
enum Claim {
    Ours,
    /// It was, and this came of it.
    Earlier(Outcome),
}

/// Sends it, on a task of its own: what was begun is seen to its end also when nobody waits any more.
pub(crate) async fn send(errand: Errand) -> Outcome {
    let connector = errand.sending.ways.first().cloned().unwrap_or_default();
    // Only a defect ends such a task early, and by then it may have been sent.
    tokio::spawn(errand.run()).await.unwrap_or(Outcome::Unknown { connector })
}

impl Errand {
    async fn run(mut self) -> Outcome {
        let id = Uuid::new_v5(&NAMESPACE, format!("{}\n{}", self.route, self.call).as_bytes()).to_string();
        let known = format!("{OWN_KEY}hookgate sends {id}");
        self.sending.message.key = id;
        match self.claim(&known).await {
            Ok(Claim::Ours) => {}
            Ok(Claim::Earlier(outcome)) => {
                info!(route.name = self.route, "the message of this call was sent before, and is not sent again");
                return outcome;
            }
            Err(problem) => warn!(
                route.name = self.route,
                error = problem,
                "a message is sent without a record of it: the same call after a restart would send it again"
            ),
        }
        let outcome = self.attempt_all().await;
        let value = serde_json::to_value(&outcome).unwrap_or(Value::Null);
        // Without it the same call is told that nobody knows, which is safe.
        let _ = self.step(Kv::Set { key: known, value, keep: KNOWN }).await;
        outcome
    }

    async fn claim(&self, known: &str) -> Result<Claim, String> {
        if self.step(Kv::Once { key: known.to_owned(), keep: KNOWN }).await? == json!(true) {
            return Ok(Claim::Ours);
        }
        let found = self.step(Kv::Get { key: known.to_owned() }).await.unwrap_or(Value::Null);
        // It was begun, and its end is not known, or not yet.
        let connector = || self.sending.ways.first().cloned().unwrap_or_default();
        let outcome = serde_json::from_value(found).unwrap_or_else(|_| Outcome::Unknown { connector: connector() });
        Ok(Claim::Earlier(outcome))
    }

    async fn step(&self, kv: Kv) -> Result<Value, String> {
        let step = self.delivery.store().state(Step { kv, dry: false, origin: None });
        match tokio::time::timeout(STORE, step).await {
            Ok(answer) => answer.map_err(|error: StoreError| error.to_string()),
            Err(_) => Err("the store did not answer in time".to_owned()),
        }
    }

    async fn attempt_all(&self) -> Outcome {
        let mut tried = Vec::new();
        for (index, name) in self.sending.ways.iter().enumerate() {
            let (connector, now) = (name.clone(), Instant::now());
            let left = self.deadline.saturating_duration_since(now).saturating_sub(AFTERWARDS);
            // The first is tried with whatever time there is: without it nobody would be.
            if left.is_zero() || (index > 0 && left < WORTH_IT) {
                tried.push(Tried { connector, reason: "there was no time left for it".to_owned() });
                continue;
            }
            // A reload that removed it was seen when the script returned.
            let Some(connected) = self.release.connectors.get(name) else { continue };
            if let Room::NoneUntil(_) = connected.breaker.room(now) {
                self.metrics.action_attempt(name, "not_delivered");
                tried.push(Tried { connector, reason: "it is given a rest after failures".to_owned() });
                continue;
            }
            match self.attempt(connected, &self.sending.message, left).await {
                Ok(Sent { id }) => return Outcome::Delivered { connector, id },
                Err(Trouble { what: What::MaybeDelivered, .. }) => return Outcome::Unknown { connector },
                Err(trouble) => tried.push(Tried { connector, reason: trouble.message }),
            }
        }
        Outcome::Failed(tried)
    }

    /// One try, and the record of it.
    async fn attempt(&self, connected: &Connected, message: &Message, left: Duration) -> Result<Sent, Trouble> {
        let (breaker, started) = (&connected.breaker, Instant::now());
        breaker.begin();
        let answer = time_limit::within(left, connected.connector.deliver_message(message)).await;
        let answer = answer.unwrap_or_else(|_| Err(Trouble::maybe_delivered("it did not answer in time")));
        let result = match &answer {
            Ok(_) => "done",
            Err(trouble) => match trouble.what {
                What::NotDelivered { .. } | What::NotTried { .. } => "not_delivered",
                What::MaybeDelivered => "maybe_delivered",
                What::Refused => "refused",
            },
        };
        match &answer {
            Err(Trouble { what: What::NotDelivered { retry_after }, .. }) => {
                breaker.failed(Instant::now(), *retry_after);
            }
            Err(Trouble { what: What::MaybeDelivered, .. }) => {
                breaker.failed(Instant::now(), None);
            }
            Err(Trouble { what: What::NotTried { .. }, .. }) => breaker.abandoned(),
            Ok(_) | Err(Trouble { what: What::Refused, .. }) => breaker.answered(),
        }
        self.metrics.action_attempt(&connected.name, result);
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (route, connector) = (self.route.as_str(), connected.name.as_str());
        match &answer {
            Ok(_) => info!(route.name = route, connector.name = connector, result, took_ms, "message sent"),
            Err(trouble) => warn!(
                route.name = route,
                connector.name = connector,
                result,
                reply.status = trouble.status,
                took_ms,
                error = trouble.message,
                "message not sent"
            ),
        }
        answer
    }
}
