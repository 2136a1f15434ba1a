//! The gateway's numbers, under the names of the reference, in OpenMetrics text.
//!
//! Labels come from configuration and from constants, never from a call, so the number of series is bounded. On the
//! path of a call everything is an atomic that was looked up beforehand: no lock, no hashing, no allocation.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::telemetry::metrics::counts::Counts;
use crate::telemetry::metrics::histogram::Histogram;

mod collect;
pub(crate) mod counts;
pub(crate) mod histogram;
pub mod totals;

/// What [`Metrics::encode`] writes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `certificate_expires` when there is no certificate.
const NEVER: i64 = i64::MAX;

/// All metrics of a process.
pub struct Metrics {
    /// Connections open at the public listener.
    pub connections: Gauge,
    /// Connections open at the admin listener.
    pub admin_connections: Gauge,
    /// `hookgate_refusals_total{reason}`: calls that reached no script.
    pub refusals: Counts,
    /// `hookgate_reloads_total{result}`.
    pub reloads: Counts,
    /// `hookgate_decisions_total{result}`: records of decisions by what became of them.
    pub(crate) decisions: Counts,
    /// `hookgate_spans_total{result}`: spans by what became of them, where they are sent.
    pub spans: Counts,
    auth: Family<AuthLabels, Counter>,
    events: Family<EventLabels, Counter>,
    missed: Family<RouteLabel, Counter>,
    actions: Family<ActionLabels, Counter>,
    /// Milliseconds that the oldest job which is due has waited.
    queue_age_ms: AtomicI64,
    dead_letters: Gauge,
    jobs_waiting: Gauge,
    routes: Mutex<BTreeMap<Arc<str>, Arc<RouteMetrics>>>,
    lookups: Mutex<BTreeMap<Arc<str>, Arc<LookupMetrics>>>,
    release: Mutex<Option<String>>,
    failed_tests: Mutex<Vec<(String, usize)>>,
    keys_ages: Mutex<Vec<(String, Duration)>>,
    quotas: Mutex<Vec<(String, f64)>>,
    certificate_expires: AtomicI64,
    refused_secrets: AtomicI64,
    from_store: AtomicI64,
}

/// The numbers of one route; they outlive the releases that the route is part of.
#[derive(Default)]
pub struct RouteMetrics {
    /// `hookgate_calls_total{route,outcome}`.
    pub calls: Counts,
    /// `hookgate_call_seconds{route}`: from the first byte of the call to its answer.
    pub(crate) call_seconds: Histogram,
    /// `hookgate_script_seconds{route}`.
    pub(crate) script_seconds: Histogram,
    /// `hookgate_fallback_total{route,reason}`: answers by `on_failure`.
    pub fallback: Counts,
    /// The counter that the last caller raised: most callers of a route use one secret.
    admitted: ArcSwapOption<Admitted>,
}

/// The numbers of lookups through one connector.
#[derive(Default)]
pub(crate) struct LookupMetrics {
    /// `hookgate_lookup_seconds{connector}`.
    seconds: Histogram,
    /// `hookgate_lookups_total{connector,result}`.
    results: Counts,
}

impl LookupMetrics {
    /// One lookup, and how it ended.
    pub(crate) fn observe(&self, took: Duration, result: &'static str) {
        self.seconds.observe(took);
        self.results.inc(result);
    }
}

struct Admitted {
    auth: String,
    secret: String,
    counter: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AuthLabels {
    auth: String,
    result: &'static str,
    secret: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    route: String,
    rule: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActionLabels {
    connector: String,
    result: &'static str,
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            connections: Gauge::default(),
            admin_connections: Gauge::default(),
            refusals: Counts::default(),
            reloads: Counts::default(),
            decisions: Counts::default(),
            spans: Counts::default(),
            auth: Family::default(),
            events: Family::default(),
            missed: Family::default(),
            actions: Family::default(),
            queue_age_ms: AtomicI64::new(0),
            dead_letters: Gauge::default(),
            jobs_waiting: Gauge::default(),
            routes: Mutex::default(),
            lookups: Mutex::default(),
            release: Mutex::default(),
            failed_tests: Mutex::default(),
            keys_ages: Mutex::default(),
            quotas: Mutex::default(),
            certificate_expires: AtomicI64::new(NEVER),
            refused_secrets: AtomicI64::new(0),
            from_store: AtomicI64::new(0),
        })
    }

    /// The numbers of the route with this name. Look them up when a release is built, not per call.
    pub fn route(&self, name: &str) -> Arc<RouteMetrics> {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = routes.get(name) {
            return Arc::clone(route);
        }
        Arc::clone(routes.entry(name.into()).or_default())
    }

    /// The numbers of the connector with this name.
    pub(crate) fn lookup(&self, connector: &str) -> Arc<LookupMetrics> {
        let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lookups.get(connector) {
            return Arc::clone(known);
        }
        Arc::clone(lookups.entry(connector.into()).or_default())
    }

    /// `hookgate_auth_total{auth,result,secret}`: a counter to keep. `secret` names a configured secret by its place
    /// (`env:OKTA_SECRET_NEXT`, or its number), never by its value.
    pub fn auth(&self, auth: &str, result: &'static str, secret: &str) -> Counter {
        let labels = AuthLabels { auth: auth.to_owned(), result, secret: secret.to_owned() };
        self.auth.get_or_create_owned(&labels)
    }

    /// Counts a caller that `auth` let in at this route by the secret of this name.
    pub(crate) fn admitted(&self, route: &RouteMetrics, auth: &str, secret: &str) {
        let last = route.admitted.load();
        if let Some(last) = last.as_ref().filter(|last| last.auth == auth && last.secret == secret) {
            last.counter.inc();
            return;
        }
        let counter = self.auth(auth, "ok", secret);
        counter.inc();
        route.admitted.store(Some(Arc::new(Admitted { auth: auth.to_owned(), secret: secret.to_owned(), counter })));
    }

    /// The content hash of the release that answers from now on, for `hookgate_release_info{hash}`.
    pub fn set_release(&self, hash: &str) {
        *self.release.lock().unwrap_or_else(PoisonError::into_inner) = Some(hash.to_owned());
    }

    /// How many tests of each script failed in the release that was examined last; empty when all passed.
    pub fn set_failed_tests(&self, by_script: &[(String, usize)]) {
        *self.failed_tests.lock().unwrap_or_else(PoisonError::into_inner) = by_script.to_vec();
    }

    /// `hookgate_refused_secrets`: files of secrets whose newest content cannot be used, while an older one is.
    pub(crate) fn set_refused_secrets(&self, number: usize) {
        self.refused_secrets.store(i64::try_from(number).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// `hookgate_release_from_store`: whether the start took the release in force out of the store, because what is on disk was
    /// refused.
    pub(crate) fn set_from_store(&self, from_store: bool) {
        self.from_store.store(i64::from(from_store), Ordering::Relaxed);
    }

    /// `hookgate_keys_age_seconds{auth}`: how old the keys of token issuers are, of those that have some.
    pub fn set_keys_ages(&self, ages: Vec<(String, Duration)>) {
        *self.keys_ages.lock().unwrap_or_else(PoisonError::into_inner) = ages;
    }

    /// `hookgate_quota_used{connector}`: how much of its share of a rate limit each connector has used, from 0 to 1.
    pub fn set_quotas(&self, used: Vec<(String, f64)>) {
        *self.quotas.lock().unwrap_or_else(PoisonError::into_inner) = used;
    }

    /// When the listener's certificate expires, in seconds since 1970.
    pub fn set_certificate_expiry(&self, seconds: i64) {
        self.certificate_expires.store(seconds, Ordering::Relaxed);
    }

    /// Counts in `hookgate_events_total{route,rule,state}`: what arrived, without a rule (`received`, `duplicate`, `missed`,
    /// `unwanted`, `own`, `clock_skew`, `no_id`, `unreadable`), and how tries of a rule ended (`done`, `retried`, `postponed`, `dead`).
    pub(crate) fn event(&self, route: &str, rule: &str, state: &'static str) {
        self.events.get_or_create_owned(&EventLabels { route: route.to_owned(), rule: rule.to_owned(), state }).inc();
    }

    /// Counts in `hookgate_missed_events_total{route}`: what the hook never delivered and reconciling found.
    pub fn missed(&self, route: &str) {
        self.missed.get_or_create_owned(&RouteLabel { route: route.to_owned() }).inc();
    }

    /// Counts in `hookgate_action_attempts_total{connector,result}`.
    pub(crate) fn action_attempt(&self, connector: &str, result: &'static str) {
        self.actions.get_or_create_owned(&ActionLabels { connector: connector.to_owned(), result }).inc();
    }

    /// `hookgate_queue_age_seconds`, `hookgate_dead_letters`, `hookgate_jobs_waiting`.
    pub(crate) fn set_queue(&self, age_ms: u64, dead: u64, waiting: u64) {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.queue_age_ms.store(number(age_ms), Ordering::Relaxed);
        self.dead_letters.set(number(dead));
        self.jobs_waiting.set(number(waiting));
    }

    fn queue_age_seconds(&self) -> f64 {
        self.queue_age_ms.load(Ordering::Relaxed) as f64 / 1_000.0
    }

    /// Days until the certificate expires; negative afterwards; `None` without TLS.
    fn certificate_days_left(&self) -> Option<f64> {
        let expires = self.certificate_expires.load(Ordering::Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64();
        (expires != NEVER).then(|| (expires as f64 - now) / 86_400.0)
    }

    /// Everything as text of type [`CONTENT_TYPE`].
    pub fn encode(self: &Arc<Self>) -> String {
        let mut registry = Registry::default();
        registry.register("hookgate_auth", "Checks of who is calling", self.auth.clone());
        registry.register("hookgate_events", "Events by what became of them", self.events.clone());
        let help = "Events that the hook never delivered and reconciling found";
        registry.register("hookgate_missed_events", help, self.missed.clone());
        registry.register("hookgate_action_attempts", "Tries of actions by how they ended", self.actions.clone());
        registry.register("hookgate_dead_letters", "Jobs that nobody tries any more", self.dead_letters.clone());
        registry.register("hookgate_jobs_waiting", "Jobs that are still to be done", self.jobs_waiting.clone());
        registry.register("hookgate_connections", "Connections open at the public listener", self.connections.clone());
        let help = "Connections open at the admin listener";
        registry.register("hookgate_admin_connections", help, self.admin_connections.clone());
        registry.register_collector(Box::new(collect::Collected(Arc::clone(self))));
        let mut page = String::new();
        // Writing to a `String` does not fail, and nothing of ours does.
        match text::encode(&mut page, &registry) {
            Ok(()) => page,
            Err(fmt) => format!("# {fmt}\n# EOF\n"),
        }
    }
}

#[cfg(test)]
mod tests;
