//! The life of a call: route, who is calling, decode, script, reply. And the one event that says what became of it.
//!
//! In two steps: [`Gateway::admit`] judges the head, and only what it returns is taken by [`Gateway::answer`], with the body. So
//! nobody makes us read a body before we know who it is.
//!
//! Never names HTTP servers or the file system. What goes wrong before a script is a [`Refusal`]; what goes wrong in
//! or after it is answered with the route's declared answer.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Response};

use crate::auth::{Evidence, HeadVerdict};
use crate::delivery::intake::{EventRoute, Way};
use crate::delivery::{Answered, Delivery};
use crate::gateway::decide::{Asked, InlineRoute};
use crate::gateway::digest::digest;
use crate::gateway::guard::{Answer, Guard};
use crate::gateway::record::Record;
use crate::gateway::refusal::Refusal;
use crate::gateway::sealed::SealedHead;
use crate::gateway::sending::Errand;
use crate::outcome::{RunFailure, RunOutcome};
use crate::records::Recorder;
use crate::release::live::Live;
use crate::release::{Plan, Release, Route};
use crate::telemetry::metrics::Metrics;
use hookgate_hooks::{Decoded, Facts, Handshake, HookError, Once, Reply};
use hookgate_model::failpoint;
use hookgate_model::pressure::{PerSecond, Workers};
use hookgate_script::lanes::Lanes;

pub mod decide;
mod digest;
pub(crate) mod guard;
mod once;
pub(crate) mod record;
pub mod refusal;
mod sealed;
pub(crate) mod sending;

/// Bytes of a body that is read on an async worker: that takes a millisecond or less.
const READ_AT_ONCE: usize = 128 * 1024;

/// So many of the calls that are refused because too many come are remembered in a second: enough to see what is refused.
const REMEMBERED_PER_SECOND: u64 = 20;

/// Answers calls with the release in force.
pub struct Gateway {
    live: Arc<Live>,
    lanes: Lanes,
    delivery: Arc<Delivery>,
    guard: Guard,
    workers: Workers,
    /// Which of the calls that are refused because too many come are remembered.
    remembered: PerSecond,
    metrics: Arc<Metrics>,
    records: Arc<Recorder>,
}

/// A call whose head was let pass. Only [`Gateway::admit`] makes one.
pub struct Admitted {
    // Boxed, because futures of a call hold it in turn, and are copied whole when one is put into the next.
    record: Box<Record>,
    release: Arc<Release>,
    route: Arc<Route>,
    purpose: Purpose,
    /// Whoever calls only tries the route out: nothing acts.
    preview: bool,
}

/// What a call is for.
enum Purpose {
    /// A provider asks for a decision, or delivers events. The body is the call, and its caller is known.
    Hook,
    /// The same, and the head is needed with the body: it proves something about it, or is a part of the call.
    Sealed(Box<SealedHead>),
    /// A provider checks that the address is ours, and this is what it hears. No script runs.
    Handshake(Result<Reply, HookError>),
}

impl Gateway {
    pub fn new(live: Arc<Live>, lanes: Lanes, delivery: Arc<Delivery>, metrics: Arc<Metrics>) -> Self {
        let records = delivery.records().clone();
        let (guard, workers, remembered) = Default::default();
        Self { live, lanes, delivery, guard, workers, remembered, metrics, records }
    }

    /// Judges the head of a call: is there such a route, and may this caller call it? `received` is when the first byte of the
    /// call arrived: the deadline counts from it. The call keeps the release that judged it.
    ///
    /// # Errors
    /// The answer to who may not; nothing of the body is needed for it.
    pub async fn admit(&self, head: Parts, received: Instant) -> Result<Admitted, Response<Bytes>> {
        let mut record = Box::new(Record::begin(received, &head.headers));
        match self.check(head, &mut record).await {
            Ok((release, route, purpose, preview)) => Ok(Admitted { record, release, route, purpose, preview }),
            Err(refusal) => Err(record.end(Err(refusal), &self.metrics, &self.records)),
        }
    }

    /// The answer to a call with its whole body, whatever happens.
    pub async fn answer(&self, call: Admitted, body: Bytes) -> Response<Bytes> {
        let Admitted { mut record, release, route, purpose, preview } = call;
        let outcome = match purpose {
            Purpose::Hook => self.handle(&release, &route, (body, preview), &mut record).await,
            Purpose::Sealed(head) => self.unseal(&release, &route, *head, (body, preview), &mut record).await,
            Purpose::Handshake(reply) => reply.map_err(Refusal::from),
        };
        record.end(outcome, &self.metrics, &self.records)
    }

    /// What the caller hears when the transport refused its call before it was complete. `call` is what is known of it.
    pub fn refuse(&self, call: Option<Admitted>, refusal: Refusal) -> Response<Bytes> {
        let record =
            call.map_or_else(|| Box::new(Record::begin(Instant::now(), &HeaderMap::new())), |call| call.record);
        record.end(Err(refusal), &self.metrics, &self.records)
    }

    async fn check(
        &self,
        head: Parts,
        record: &mut Record,
    ) -> Result<(Arc<Release>, Arc<Route>, Purpose, bool), Refusal> {
        let release = self.live.current();
        let found = release.as_ref().and_then(|release| Some((release, release.destination(head.uri.path())?)));
        let is_usual = matches!(head.method, Method::POST | Method::GET);
        let Some((release, found)) = found else {
            return Err(match is_usual {
                true if release.is_none() => Refusal::NotReady,
                true => Refusal::NoRoute,
                false => Refusal::Method(Handshake::NONE.allowed()),
            });
        };
        let route = found.route.clone();
        record.found(&route, release);
        if !is_usual && !route.hook.handshake.takes(&head.method) {
            return Err(Refusal::Method(route.hook.handshake.allowed()));
        }
        let is_marked = route.preview_header.as_ref().is_some_and(|name| head.headers.contains_key(name));
        let preview = found.preview || is_marked;
        let purpose = self.purpose(&route, head, record).await?;
        Ok((release.clone(), route, purpose, preview))
    }

    /// What a call is for, once its head has proved what a head can prove.
    async fn purpose(&self, route: &Route, head: Parts, record: &mut Record) -> Result<Purpose, Refusal> {
        let (hook, gate) = (route.hook, &route.gate);
        if let Some(reply) = (hook.handshake.answer)(&head.method, &head.headers, &head.uri) {
            if hook.handshake.needs_proof {
                let nothing = Bytes::new();
                let evidence = Evidence { head: &head, body: Some(&nothing), token: None };
                record.verified(gate.verify(&evidence).await, &self.metrics)?;
            }
            return Ok(Purpose::Handshake(reply));
        }
        let verified = match gate.verify_head(&head).await {
            Ok(HeadVerdict::Verified(verified)) => Some(record.verified(Ok(verified), &self.metrics)?),
            Ok(HeadVerdict::NeedsBody) => None,
            Err(denied) => Some(record.verified(Err(denied), &self.metrics)?),
        };
        if head.method != Method::POST {
            return Err(Refusal::Method(hook.handshake.allowed()));
        }
        if verified.is_some() && !hook.needs_head {
            return Ok(Purpose::Hook);
        }
        Ok(Purpose::Sealed(Box::new(SealedHead { head, verified })))
    }

    async fn handle(
        &self,
        release: &Arc<Release>,
        route: &Route,
        (body, preview): (Bytes, bool),
        record: &mut Record,
    ) -> Result<Reply, Refusal> {
        if self.is_too_much(route) {
            return self.shed(release, route, record);
        }
        let work = pin!(self.work(release, route, (body, preview), record));
        self.workers.count(work).await
    }

    /// A call that is not too much.
    async fn work(
        &self,
        release: &Arc<Release>,
        route: &Route,
        (body, preview): (Bytes, bool),
        record: &mut Record,
    ) -> Result<Reply, Refusal> {
        let at = match &route.plan {
            Plan::Inline(inline) => InlineRoute { release, route, inline },
            Plan::Events(plan) => return self.accept(EventRoute { route, plan }, (&body, preview), record).await,
        };
        let request = match self.read(&body, route.hook.decode).await {
            Ok(request) if preview => (route.hook.as_preview)(request),
            Ok(request) => request,
            // The route says what its caller hears when there is no answer of its script.
            Err(Refusal::Call(problem)) if !problem.is_of_another_hook() => {
                return Ok(record.unread(decide::not_run(at, RunFailure::Unread(problem)), body));
            }
            Err(refusal) => return Err(refusal),
        };
        record.decoded(&request.facts, body.clone());
        failpoint::panic("gateway.decoded");
        Ok(self.reply(release, at, (request, body), record).await)
    }

    /// Reads a body; a large one on another thread, for others wait for this one.
    async fn read<R>(
        &self,
        body: &Bytes,
        read: impl FnOnce(&Bytes) -> Result<R, HookError> + Send + 'static,
    ) -> Result<R, Refusal>
    where
        R: Send + 'static,
    {
        if body.len() <= READ_AT_ONCE {
            return Ok(read(body)?);
        }
        let body = body.clone();
        let decoded = self.lanes.aside(move || read(&body)).await;
        Ok(decoded.ok_or(Refusal::NotReady)??)
    }

    /// Whether more comes than can be worked on in time. Asked before anything of the call is read: the answer to a call that
    /// is refused must cost next to nothing, or refusing them takes what those need that are let in.
    fn is_too_much(&self, route: &Route) -> bool {
        let now = Instant::now();
        let line_is_full = match &route.plan {
            Plan::Inline(inline) => inline.script.is_crowded(now),
            Plan::Events(_) => self.delivery.is_crowded(),
        };
        !self.workers.admit(now) || line_is_full
    }

    /// Answers a call that is too much: with what its route declares, or events with a 503, which are then sent again.
    fn shed(&self, release: &Release, route: &Route, record: &mut Record) -> Result<Reply, Refusal> {
        if !self.remembered.take(REMEMBERED_PER_SECOND, Instant::now()) {
            record.is_one_of_many();
        }
        let at = InlineRoute::of(release, route).ok_or(Refusal::Overload)?;
        Ok(record.shed(decide::not_run(at, RunFailure::Overload)))
    }

    /// Events are acknowledged once they are kept, and not before. What their rules do comes later.
    async fn accept(
        &self,
        at: EventRoute<'_>,
        (body, preview): (&Bytes, bool),
        record: &mut Record,
    ) -> Result<Reply, Refusal> {
        let EventRoute { route, plan } = at;
        let _permit = route.permits.try_acquire().map_err(|_| Refusal::Busy)?;
        let (split, most) = (plan.row.split, route.max_events);
        let mut events = self.read(body, move |body| split(body, most)).await?;
        if preview {
            events = events.into_iter().map(route.hook.as_preview).collect();
        }
        let receipt = self.delivery.accept(at, &events, Way::Hook).await?;
        record.accepted(receipt);
        Ok(Reply::empty(plan.row.acknowledged))
    }

    /// Keeps the actions of a decided call: the answer leaves once they are safe. If they cannot be kept by the deadline, the
    /// script's answer would promise what nobody does, so the declared answer is given, and they are not done.
    async fn kept(
        &self,
        at: InlineRoute<'_>,
        (facts, body): (&Facts, &Bytes),
        outcome: RunOutcome,
        deadline: Instant,
    ) -> RunOutcome {
        if outcome.actions.is_empty() {
            return outcome;
        }
        let answered = Answered { route: at.route, facts, decision: &outcome.id, digest: &digest(body) };
        match self.delivery.keep(answered, &outcome.actions, deadline).await {
            Ok(()) => outcome,
            Err(problem) => {
                let outcome = RunOutcome { actions: Vec::new(), ..outcome };
                at.script_use().failed(outcome, RunFailure::Store(problem))
            }
        }
    }

    /// Sends what has to be sent before the reply leaves; of a preview, nothing.
    async fn sent(
        &self,
        release: &Arc<Release>,
        at: InlineRoute<'_>,
        (facts, body): (&Facts, &Bytes),
        mut outcome: RunOutcome,
        deadline: Instant,
    ) -> RunOutcome {
        let route = at.route;
        let Some(sending) = outcome.sending.take().filter(|_| !facts.preview) else { return outcome };
        let Ok(_permit) = route.permits.try_acquire() else {
            return at.script_use().failed(outcome, RunFailure::Busy(route.limits.concurrent));
        };
        let errand = Errand {
            delivery: self.delivery.clone(),
            metrics: self.metrics.clone(),
            release: release.clone(),
            route: route.name.clone(),
            call: facts.provider_id.as_ref().map_or_else(|| outcome.id.clone(), |id| format!("{id} {}", digest(body))),
            sending,
            deadline,
        };
        let sent = sending::send(errand).await;
        at.script_use().settled(outcome, sent)
    }

    /// The reply to a decoded call; of a call seen before, the reply it got then.
    async fn reply(
        &self,
        release: &Arc<Release>,
        at: InlineRoute<'_>,
        (request, body): (Decoded, Bytes),
        record: &mut Record,
    ) -> Reply {
        let deadline = record.received() + Duration::from_millis(at.route.limits.deadline_ms);
        let parent = record.parent();
        let asked = Asked { deadline, parent: parent.as_ref() };
        let decide = || self.decided(release, at, (&request, &body), asked);
        let Some(id) = request.facts.provider_id.clone().filter(|_| !request.facts.preview) else {
            let outcome = decide().await;
            return record.decided(outcome, request);
        };
        match request.facts.once {
            Once::Never => {
                let outcome = decide().await;
                record.decided(outcome, request)
            }
            Once::Guard => {
                let key = self.guard.key(release.id, at.route.number, id, &body);
                match self.guard.once(key, decide).await {
                    Answer::First(outcome) => record.decided(*outcome, request),
                    Answer::Again(reply) => record.repeated(reply),
                }
            }
            Once::Until(until) => self.reply_once(release, at, (&id, until), (request, body), (asked, record)).await,
        }
    }

    /// A decision with all that must be done before its reply leaves.
    async fn decided(
        &self,
        release: &Arc<Release>,
        at: InlineRoute<'_>,
        (request, body): (&Decoded, &Bytes),
        asked: Asked<'_>,
    ) -> RunOutcome {
        let outcome = decide::decide(&self.lanes, self.delivery.lookups(), at, request, asked).await;
        let outcome = self.kept(at, (&request.facts, body), outcome, asked.deadline).await;
        self.sent(release, at, (&request.facts, body), outcome, asked.deadline).await
    }
}
