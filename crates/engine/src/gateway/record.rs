//! What becomes of one call, gathered on the way and written at its end: one log event, and the metrics.
//!
//! Only names from the configuration, the provider's ids and our own words are written, never a body, a header's value,
//! an address or a text of the caller's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Response};
use rhai::ImmutableString;
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::auth::{Denied, Verified};
use crate::delivery::Receipt;
use crate::gateway::refusal::{Fault, Refusal, response};
use crate::lookup;
use crate::outcome::RunOutcome;
use crate::records::Recorder;
use crate::release::{Release, Route};
use crate::telemetry::metrics::{Metrics, RouteMetrics};
use hookgate_hooks::{Decoded, Facts, REQUEST_ID_HEADERS, Reply};
use hookgate_model::trace;
use hookgate_model::trace::Parent;

mod remember;

/// The header by which a caller names its request, and we our answer.
const REQUEST_ID: &str = "x-request-id";

/// The header of an answer that is the declared one, `on_failure`: why. Providers ignore it, `hookgate simulate` tells it.
const FALLBACK: &str = "x-hookgate-fallback";

/// Gathers what is known of a call.
pub(crate) struct Record {
    received: Instant,
    pub route: Option<KnownRoute>,
    /// From a header, until the body tells: a refused call has none.
    header_id: Option<HeaderValue>,
    /// What the caller calls its request: it gets that back.
    given_id: Option<HeaderValue>,
    parent: Option<Parent>,
    pub request_id: Option<ImmutableString>,
    pub preview: bool,
    /// What came of the script's run; without its request, if that was not read.
    run: Option<(RunOutcome, Option<Decoded>)>,
    body: Bytes,
    decoded_us: u64,
    repeated: bool,
    receipt: Option<Receipt>,
    /// It was refused because too many come, and enough of such are remembered.
    one_of_many: bool,
}

pub(crate) struct KnownRoute {
    route: Arc<Route>,
    release: Arc<Release>,
}

impl Record {
    pub(crate) fn begin(received: Instant, headers: &HeaderMap) -> Self {
        let header_id = REQUEST_ID_HEADERS.iter().find_map(|name| headers.get(*name)).filter(|id| is_sane(id)).cloned();
        let given_id = headers.get(REQUEST_ID).filter(|id| is_sane(id)).cloned();
        Self {
            received,
            route: None,
            header_id,
            given_id,
            parent: parent(headers),
            request_id: None,
            preview: false,
            run: None,
            body: Bytes::new(),
            decoded_us: 0,
            repeated: false,
            receipt: None,
            one_of_many: false,
        }
    }

    pub(crate) fn received(&self) -> Instant {
        self.received
    }

    /// The trace that the caller is in.
    pub(crate) fn parent(&self) -> Option<Parent> {
        self.parent
    }

    pub(crate) fn found(&mut self, route: &Arc<Route>, release: &Arc<Release>) {
        self.route = Some(KnownRoute { route: route.clone(), release: release.clone() });
    }

    /// Counts who came in and who did not.
    ///
    /// # Errors
    /// Who did not.
    pub(crate) fn verified(&mut self, result: Result<Verified, Denied>, metrics: &Metrics) -> Result<Verified, Denied> {
        match result {
            Ok(verified) => {
                if let Some(known) = &self.route {
                    for proof in verified.each() {
                        metrics.admitted(&known.route.metrics, proof.auth(), proof.secret());
                    }
                }
                Ok(verified)
            }
            Err(denied) => {
                metrics.auth(&denied.auth, denied.error.reason(), "none").inc();
                Err(denied)
            }
        }
    }

    pub(crate) fn decoded(&mut self, facts: &Facts, body: Bytes) {
        self.body = body;
        self.decoded_us = micros(self.received.elapsed());
        self.request_id = facts.request_id.clone().or_else(|| facts.provider_id.clone());
        self.preview = facts.preview;
    }

    pub(crate) fn decided(&mut self, outcome: RunOutcome, request: Decoded) -> Reply {
        let reply = outcome.reply.clone();
        self.run = Some((outcome, Some(request)));
        reply
    }

    /// Many calls end like this one: it is counted and logged, and nothing more of it is remembered.
    pub(crate) fn is_one_of_many(&mut self) {
        self.one_of_many = true;
    }

    /// The call was answered with its declared answer before a script saw it.
    pub(crate) fn shed(&mut self, outcome: RunOutcome) -> Reply {
        let reply = outcome.reply.clone();
        self.run = Some((outcome, None));
        reply
    }

    /// The call was answered with its declared answer, because nothing of it can be used.
    pub(crate) fn unread(&mut self, outcome: RunOutcome, body: Bytes) -> Reply {
        self.body = body;
        self.shed(outcome)
    }

    /// Events were kept.
    pub(crate) fn accepted(&mut self, receipt: Receipt) {
        self.receipt = Some(receipt);
    }

    pub(crate) fn repeated(&mut self, reply: Reply) -> Reply {
        self.repeated = true;
        reply
    }

    /// Writes the event and the metrics, hands over what is to be remembered, and gives the response.
    pub(crate) fn end(self, outcome: Result<Reply, Refusal>, metrics: &Metrics, records: &Recorder) -> Response<Bytes> {
        let took = self.received.elapsed();
        match outcome {
            Ok(reply) => {
                self.count(took);
                self.log_answered(&reply, took);
                let (id, fallback) = (self.answer_id(), self.fallback());
                self.remember(records, took);
                let mut response = named(response(reply), id);
                if let Some(reason) = fallback {
                    response.headers_mut().insert(HeaderName::from_static(FALLBACK), HeaderValue::from_static(reason));
                }
                response
            }
            Err(refusal) => {
                metrics.refusals.inc(refusal.reason());
                if let Some(known) = &self.route {
                    known.route.metrics.calls.inc("refused");
                    known.route.metrics.call_seconds.observe(took);
                }
                self.log_refused(&refusal, took);
                let id = Uuid::now_v7().simple().to_string();
                let answer_id = self.given_id.clone().or_else(|| HeaderValue::try_from(id.as_str()).ok());
                let dialect = self.route.as_ref().and_then(|known| known.route.hook.dialect);
                self.remember_refused(id, &refusal, records, took);
                named(refusal.response(dialect), answer_id)
            }
        }
    }

    /// What the answer is called: as the caller calls its request, else by the decision.
    fn answer_id(&self) -> Option<HeaderValue> {
        let decision = || HeaderValue::try_from(self.run_outcome()?.id.as_str()).ok();
        self.given_id.clone().or_else(decision)
    }

    /// Why this is the declared answer, if it is.
    fn fallback(&self) -> Option<&'static str> {
        Some(self.run_outcome()?.failure.as_ref()?.reason())
    }

    fn run_outcome(&self) -> Option<&RunOutcome> {
        self.run.as_ref().map(|(outcome, _)| outcome)
    }

    fn outcome(&self) -> &'static str {
        match self.run_outcome() {
            _ if self.repeated => "duplicate",
            None if self.receipt.is_some() => "accepted",
            None => "verified",
            Some(outcome) if outcome.failure.is_some() => "failed",
            Some(_) => "replied",
        }
    }

    fn count(&self, took: Duration) {
        let Some(known) = &self.route else { return };
        let metrics: &RouteMetrics = &known.route.metrics;
        metrics.calls.inc(self.outcome());
        metrics.call_seconds.observe(took);
        if let Some(outcome) = self.run_outcome() {
            if outcome.begun {
                metrics.script_seconds.observe(outcome.took);
            }
            if let Some(failure) = &outcome.failure {
                metrics.fallback.inc(failure.reason());
            }
        }
    }

    /// What the run left out, what its script logged, and which of its lookups had no answer.
    fn log_run(&self, reply: &Reply) {
        let (route, ..) = self.names();
        let run = self.run_outcome();
        let id = run.map(|run| run.id.as_str());
        for note in &reply.notes {
            warn!(route.name = route, decision = id, note, "a command was left out");
        }
        let Some(run) = run else { return };
        let facts = self.run.as_ref().and_then(|(_, request)| request.as_ref()).map(|request| &request.facts);
        for note in facts.into_iter().flat_map(|facts| &facts.notes) {
            warn!(route.name = route, decision = id, note, "a part of the call was not read as it was sent");
        }
        for line in &run.logs {
            let fields = line.fields.as_ref().map(ToString::to_string);
            info!(route.name = route, decision = id, script.fields = fields, script.text = line.text, "script log");
        }
        lookup::tell_failures(route.unwrap_or_default(), &run.id, &run.journal);
    }

    fn log_answered(&self, reply: &Reply, took: Duration) {
        let (route, hook, release) = self.names();
        let run = self.run_outcome();
        let id = run.map(|run| run.id.as_str());
        let script_us = run.map(|run| micros(run.took));
        let request = self.request();
        let trace = self.parent.map(|parent| parent.trace());
        let (status, duration_us, outcome, preview) = (reply.status, micros(took), self.outcome(), self.preview);
        self.log_run(reply);
        if let Some(receipt) = self.receipt {
            info!(
                route.name = route,
                hook.name = hook,
                release,
                outcome,
                reply.status = status,
                events.kept = receipt.kept,
                events.duplicates = receipt.duplicates,
                events.unwanted = receipt.unwanted,
                duration_us,
                "events kept"
            );
            return;
        }
        let lookups = run.and_then(|run| run.journal.summary());
        match run.and_then(|run| run.failure.as_ref()) {
            None => info!(
                route.name = route,
                hook.name = hook,
                release,
                request.id = request,
                trace.id = trace,
                decision = id,
                outcome,
                preview,
                reply.status = status,
                script_us,
                lookups,
                duration_us,
                "call answered"
            ),
            Some(failure) => error!(
                route.name = route,
                hook.name = hook,
                release,
                request.id = request,
                trace.id = trace,
                decision = id,
                outcome,
                preview,
                reply.status = status,
                script_us,
                lookups,
                duration_us,
                reason = failure.reason(),
                error = %failure,
                "call answered with the declared answer"
            ),
        }
    }

    fn log_refused(&self, refusal: &Refusal, took: Duration) {
        let (route, hook, release) = self.names();
        let (status, reason, duration_us) = (refusal.status().as_u16(), refusal.reason(), micros(took));
        match refusal.fault() {
            Fault::Caller => warn!(
                route.name = route, hook.name = hook, release, request.id = self.request(), reply.status = status,
                duration_us, fault = "caller", reason, error = %refusal, "call refused"
            ),
            Fault::Gateway => error!(
                route.name = route, hook.name = hook, release, request.id = self.request(), reply.status = status,
                duration_us, fault = "gateway", reason, error = %refusal, "call refused"
            ),
        }
    }

    fn request(&self) -> Option<&str> {
        self.request_id.as_deref().or_else(|| self.header_id.as_ref()?.to_str().ok())
    }

    fn names(&self) -> (Option<&str>, Option<&str>, Option<&str>) {
        let known = self.route.as_ref();
        (
            known.map(|known| known.route.name.as_str()),
            known.map(|known| known.route.hook.name),
            known.map(|known| known.release.label()),
        )
    }
}

/// A caller that is not authenticated yet may send anything: only what looks like an id is written.
fn is_sane(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:@/+=".contains(byte);
    !bytes.is_empty() && bytes.len() <= 128 && bytes.iter().all(plain)
}

/// Two of them are none (W3C Trace Context, 3.2.1).
fn parent(headers: &HeaderMap) -> Option<Parent> {
    let mut written = headers.get_all(trace::HEADER).iter();
    let first = written.next()?;
    if written.next().is_some() { None } else { Parent::parse(first.as_bytes()) }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn named(mut response: Response<Bytes>, id: Option<HeaderValue>) -> Response<Bytes> {
    response.headers_mut().extend(id.map(|id| (HeaderName::from_static(REQUEST_ID), id)));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_an_id_is_taken_from_headers() {
        let long = "x".repeat(129);
        let table = [
            (vec![("x-okta-request-id", "Zx-1_a.b"), ("x-request-id", "other")], Some("Zx-1_a.b")),
            (vec![("x-request-id", "abc")], Some("abc")),
            (vec![("x-request-id", "a b")], None),
            (vec![("x-request-id", "a\"b")], None),
            (vec![("x-request-id", long.as_str())], None),
            (vec![("x-other", "1")], None),
        ];
        for (headers, expected) in table {
            let headers: HeaderMap = headers
                .into_iter()
                .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()))
                .collect::<Vec<(http::HeaderName, HeaderValue)>>()
                .into_iter()
                .collect();
            let record = Record::begin(Instant::now(), &headers);
            assert_eq!(record.request(), expected, "{headers:?}");
        }
    }
}
