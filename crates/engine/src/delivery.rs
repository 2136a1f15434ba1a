//! The life of an event: kept before it is acknowledged, one job per rule that wants it, then the actions that came of it.
//!
//! [`intake`] and [`outbox`] make what is kept; [`work`] takes jobs that are due and gives them to [`rule`] (runs a script)
//! or [`act`] (does one action through its connector); [`backoff`] and the connector's breaker say when again. What a rule asked for is
//! kept in the same transaction that ends its job: it runs again as long as that did not happen, and never after.
//! [`reconcile`] finds what never arrived.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::delivery::intake::{EventRoute, Way};
use crate::delivery::outbox::Origin;
use crate::delivery::refusing::Refusing;
use crate::delivery::told::Told;
use crate::delivery::work::Unsettled;
use crate::lookup::Lookups;
use crate::records::Recorder;
use crate::release::Route;
use crate::release::live::Live;
use crate::telemetry::metrics::Metrics;
use hookgate_hooks::{Decoded, Facts};
use hookgate_model::command::Action;
use hookgate_model::failpoint;
use hookgate_script::lanes::Lanes;
use hookgate_store::clock;
use hookgate_store::{Accepted, Flags, Health, Intake, NewEvent, OneTimeAnswer, Store, StoreError};

pub(crate) mod act;
pub(crate) mod backoff;
mod condition;
mod guard;
pub(crate) mod intake;
pub(crate) mod outbox;
pub mod reconcile;
mod refusing;
mod results;
pub(crate) mod rule;
mod told;
pub mod upkeep;
pub mod work;

/// How long a page of a provider's log waits for the store: nobody waits for us.
const LONG_PATIENCE: Duration = Duration::from_secs(30);

/// How long a provider is kept waiting for the store; it waits three seconds itself.
const PATIENCE: Duration = Duration::from_millis(2_000);

/// Keeps events and actions, and works on them.
pub struct Delivery {
    store: Arc<dyn Store>,
    live: Arc<Live>,
    lanes: Lanes,
    metrics: Arc<Metrics>,
    lookups: Lookups,
    records: Arc<Recorder>,
    /// Something new is due.
    wake: Notify,
    unsettled: Unsettled,
    refusing: Refusing,
    /// As last seen.
    health: ArcSwap<Health>,
    told: Told,
}

/// What became of the events of a delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) kept: usize,
    pub(crate) duplicates: usize,
    /// Of the kept ones, those that no rule wants.
    pub(crate) unwanted: usize,
}

/// A call that was answered, and whose actions are still to be done.
#[derive(Clone, Copy)]
pub(crate) struct Answered<'a> {
    pub(crate) route: &'a Route,
    pub(crate) facts: &'a Facts,
    /// The id of the decision, for calls without one of their own.
    pub(crate) decision: &'a str,
    /// What tells two calls of one id apart: the same for the same body, also after a restart.
    pub(crate) digest: &'a str,
}

impl Answered<'_> {
    /// What is kept of the call: its actions, known by the id and the body of the call.
    fn intake(&self, actions: &[Action], until: Instant) -> Intake {
        let Answered { route, facts, decision, digest } = *self;
        let key = facts.provider_id.as_deref().unwrap_or(decision);
        let seen_as = match facts.preview {
            true => format!("preview {decision}"),
            false => format!("{key} {digest}"),
        };
        let origin = Origin { route: &route.name, rule: "", event: &seen_as, generation: 0, preview: facts.preview };
        let event = NewEvent {
            route: route.name.as_str().into(),
            key: key.to_owned(),
            seen_as: Some(seen_as.clone()),
            kind: route.hook.name.to_owned(),
            flags: Flags { call: true, preview: facts.preview, ..Flags::default() },
            jobs: outbox::jobs(&origin, actions),
            ..NewEvent::default()
        };
        Intake { events: vec![event], until: Some(bounded(until)), ..Intake::default() }
    }
}

/// Nobody waits longer for the store than this.
fn bounded(until: Instant) -> Instant {
    until.min(Instant::now() + PATIENCE)
}

impl Delivery {
    pub fn new(
        store: Arc<dyn Store>,
        live: Arc<Live>,
        lanes: Lanes,
        metrics: Arc<Metrics>,
        records: Arc<Recorder>,
    ) -> Arc<Self> {
        let lookups = Lookups::new(store.clone(), metrics.clone());
        Arc::new(Self {
            lookups,
            records,
            store,
            live,
            lanes,
            metrics,
            wake: Notify::new(),
            unsettled: Unsettled::default(),
            refusing: Refusing::default(),
            health: ArcSwap::default(),
            told: Told::default(),
        })
    }

    /// Who answers the questions of scripts.
    pub fn lookups(&self) -> &Lookups {
        &self.lookups
    }

    /// Who remembers what was decided.
    pub fn records(&self) -> &Arc<Recorder> {
        &self.records
    }

    /// The store, for those who look into it.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Whether more events come than the store can keep in time: then they are refused before they are read.
    pub(crate) fn is_crowded(&self) -> bool {
        let crowded = self.store.is_crowded();
        if crowded {
            self.note_refused(&StoreError::Busy);
        }
        crowded
    }

    /// Something was put back: the work looks at once.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// How the store was when it was last looked at, a few seconds ago at most.
    pub fn health(&self) -> Arc<Health> {
        self.health.load_full()
    }

    /// Keeps the events of a delivery. Once this returned, none of them gets lost.
    ///
    /// # Errors
    /// They could not be kept, or nobody knows in time: the provider has to call again.
    pub(crate) async fn accept(&self, at: EventRoute<'_>, events: &[Decoded], way: Way) -> Result<Receipt, StoreError> {
        self.accept_with(at, events, way, None).await
    }

    /// The same, and a bookmark in the log that the events were read from.
    ///
    /// # Errors
    /// As [`Delivery::accept`].
    pub(crate) async fn accept_with(
        &self,
        at: EventRoute<'_>,
        events: &[Decoded],
        way: Way,
        bookmark: Option<(String, String)>,
    ) -> Result<Receipt, StoreError> {
        let intake = Intake { bookmark, ..intake::intake(at, events, way, clock::wall()) };
        let route = at.route;
        let seen: Vec<(Flags, bool)> =
            intake.events.iter().map(|event| (event.flags, !event.jobs.is_empty())).collect();
        let patience = match way {
            Way::Hook => PATIENCE,
            Way::Log => LONG_PATIENCE,
        };
        let accepted = self.keep_in_time(intake, patience).await;
        self.note(way, &accepted);
        let accepted = accepted?;
        let mut receipt = Receipt::default();
        for ((event, accepted), (flags, wanted)) in events.iter().zip(&accepted).zip(seen) {
            match accepted {
                Accepted::Duplicate => {
                    receipt.duplicates += 1;
                    // What a log repeats, the hook delivered: nothing to count.
                    if way == Way::Hook {
                        self.metrics.event(&route.name, "", "duplicate");
                    }
                }
                Accepted::New(id) => {
                    receipt.kept += 1;
                    receipt.unwanted += usize::from(!wanted);
                    self.count_kept(route, event, *id, flags, wanted);
                }
            }
        }
        Ok(receipt)
    }

    /// Notes whether a delivery was kept, for readiness. A page of a log is given more time, so it says less.
    fn note<T>(&self, way: Way, kept: &Result<T, StoreError>) {
        match (way, kept) {
            (Way::Hook, Ok(_)) => self.refusing.kept(),
            (Way::Hook, Err(problem)) => self.note_refused(problem),
            (Way::Log, _) => {}
        }
    }

    fn note_refused(&self, problem: &StoreError) {
        self.refusing.refused(self.store.hindrance().unwrap_or_else(|| problem.to_string()));
    }

    /// Keeps the actions of an answered call. Once this returned, none of them gets lost; those of a repeated call are
    /// not kept again.
    ///
    /// # Errors
    /// They could not be kept by `until`, and are not kept later: the caller gets another answer, with which they do not go.
    pub(crate) async fn keep(
        &self,
        answered: Answered<'_>,
        actions: &[Action],
        until: Instant,
    ) -> Result<(), StoreError> {
        // The store itself heeds the time: only it knows whether they are kept.
        let intake = answered.intake(actions, until);
        self.store_intake(self.store.accept(intake)).await.map(drop)
    }

    /// The same, with the answer to a call that counts once. Where it was answered before, nothing is kept, and that answer is
    /// given back.
    ///
    /// # Errors
    /// As for [`Delivery::keep`].
    pub(crate) async fn keep_once(
        &self,
        answered: Answered<'_>,
        actions: &[Action],
        answer: OneTimeAnswer,
        until: Instant,
    ) -> Result<Option<Bytes>, StoreError> {
        let intake = match actions {
            [] => Intake { until: Some(bounded(until)), ..Intake::default() },
            actions => answered.intake(actions, until),
        };
        self.store_intake(self.store.keep_answer(intake, answer)).await
    }

    async fn keep_in_time(&self, intake: Intake, patience: Duration) -> Result<Vec<Accepted>, StoreError> {
        let accept = timeout(patience, self.store.accept(intake));
        self.store_intake(async { accept.await.unwrap_or(Err(StoreError::Busy)) }).await
    }

    async fn store_intake<T>(&self, accept: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        failpoint::reach("delivery.before_store");
        let accepted = accept.await?;
        failpoint::reach("delivery.after_store");
        self.wake.notify_one();
        Ok(accepted)
    }

    fn count_kept(&self, route: &Route, event: &Decoded, id: i64, flags: Flags, wanted: bool) {
        let count = |state| self.metrics.event(&route.name, "", state);
        count("received");
        if flags.missed {
            count("missed");
            self.metrics.missed(&route.name);
        }
        if flags.clock_skew {
            count("clock_skew");
            tracing::warn!(route.name, event.id = id, "an event is dated more than five minutes ahead");
        }
        if flags.no_id {
            count("no_id");
            tracing::warn!(
                route.name,
                event.id = id,
                "an event has no id of its own: its place in the delivery is used"
            );
        }
        if event.facts.problem.is_some() {
            count("unreadable");
            tracing::warn!(route.name, event.id = id, "an event cannot be read; `hookgate events show` has it");
        } else if !event.facts.notes.is_empty() {
            let notes = event.facts.notes.join("; ");
            tracing::warn!(route.name, event.id = id, notes, "an event was read, but not all of it as it was sent");
        }
        if flags.own {
            count("own");
        } else if !wanted {
            count("unwanted");
            let kind = event.facts.event_type.as_deref().unwrap_or_default();
            if self.told.first(&route.name, kind) {
                tracing::warn!(route.name, event.id = id, event.r#type = kind, "no rule wants events of this type");
            }
        }
    }
}
