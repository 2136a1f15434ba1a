//! Trying out: one request through a route's script, without a caller, and nothing acts.
//!
//! The script runs as it would for a call; lookups reach their systems. Nothing is sent or kept, the small state of scripts
//! stays as it is, no caller is asked who it is, and no record is made. Against the release in force, what is on disk, or
//! scripts that nobody has saved yet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::lookup::Lookups;
use crate::outcome::RunOutcome;
use crate::release::build;
use crate::release::build::Secrets;
use crate::release::bundle::Place;
use crate::release::live::Live;
use crate::release::{InlineScript, Plan, Release, Route, Rule};
use crate::telemetry::metrics::Metrics;
use crate::trial::case::Draft;
use crate::trial::tried::{Ran, Tried, TriedEvent, TriedRule};
use hookgate_hooks::{Declared, Decoded, EventRow, Hook, HookError};
use hookgate_model::decision::outcome;
use hookgate_model::finding::{Finding, Severity, unknown};
use hookgate_script::context::{Surroundings, World};
use hookgate_script::journal::Journal;
use hookgate_script::lanes::Lanes;
use hookgate_script::run::{Call, Script};
use hookgate_script::stack;
use hookgate_script::trace::steps;
use hookgate_script::trace::steps::Trace;

pub mod case;
pub mod diff;
pub mod tried;

/// Trials in work at once.
const MAX_AT_ONCE: usize = 4;

/// What the request goes through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The release in force.
    Running,
    /// The files as they are now, put together as a reload would, but neither tested nor put in force.
    OnDisk,
    /// The same, with these texts instead of the files of that name below the scripts folder: `registration.rhai`.
    Edited(BTreeMap<String, Arc<str>>),
}

/// One request to be tried.
#[derive(Clone, Debug)]
pub struct Order {
    /// A route, by name.
    pub route: String,
    /// Of an event route: this rule alone, whether or not it wants the event.
    pub rule: Option<String>,
    /// The body as a caller would send it.
    pub body: Bytes,
    /// Whether to tell line by line what the script did.
    pub trace: bool,
}

/// Why there was no trial.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    #[error("{MAX_AT_ONCE} requests are being tried already; try again in a moment")]
    Busy,
    #[error("no release is in force yet")]
    NotReady,
    #[error("what is to be tried cannot run: {}", first(.0))]
    Unbuildable(Vec<Finding>),
    /// There is no such route, rule or script, or no case can be made of it.
    #[error("{0}")]
    Unusable(String),
}

/// The events of a delivery; or one event alone, as the provider's log shows it and as it is kept here.
fn events(row: &EventRow, route: &Route, body: &Bytes) -> Result<Vec<Decoded>, HookError> {
    (row.split)(body, route.max_events)
        .or_else(|error| (route.hook.decode)(body).map(|event| vec![event]).map_err(|_| error))
}

fn first(findings: &[Finding]) -> String {
    let broken = findings.iter().find(|finding| finding.severity == Severity::Error);
    broken.or(findings.first()).map(Finding::one_line).unwrap_or_default()
}

/// Where requests are tried.
pub struct Bench {
    lanes: Lanes,
    lookups: Lookups,
    turns: Semaphore,
}

/// A release to try on, and what was said about it while it was put together.
pub(crate) struct Candidate {
    pub(crate) release: Arc<Release>,
    /// Of one that is not in force.
    pub(crate) warnings: Vec<Finding>,
}

impl Candidate {
    /// Finds or builds what is to be tried. Blocks while it builds; changes nothing, not even secrets that are to be made.
    ///
    /// # Errors
    /// No release is in force, there is no such script, or it cannot be built.
    pub(crate) fn of(subject: &Subject, live: &Live, place: &Place) -> Result<Self, TrialError> {
        let running = live.current();
        let edits = match subject {
            Subject::Running => {
                let release = running.ok_or(TrialError::NotReady)?;
                return Ok(Self { release, warnings: Vec::new() });
            }
            Subject::OnDisk => &BTreeMap::new(),
            Subject::Edited(edits) => edits,
        };
        let mut reading = build::read(place).map_err(TrialError::Unbuildable)?;
        for (file, text) in edits {
            match reading.texts.scripts.get_mut(file) {
                Some(script) => *script = text.clone(),
                None => {
                    let names: Vec<&str> = reading.texts.scripts.keys().map(String::as_str).collect();
                    return Err(TrialError::Unusable(unknown("script", file, &names)));
                }
            }
        }
        // Metrics of its own: routes of a candidate are nobody's routes.
        let release = build::assemble(place, reading, running.as_deref(), Secrets::Check, &Metrics::new())
            .map_err(TrialError::Unbuildable)?;
        let warnings = release.warnings.clone();
        Ok(Self { release: Arc::new(release), warnings })
    }
}

impl Bench {
    /// `lookups` answers what scripts ask; the small state is left as it is in any case.
    pub fn new(lanes: Lanes, lookups: Lookups) -> Self {
        Self { lanes, lookups, turns: Semaphore::new(MAX_AT_ONCE) }
    }

    /// Builds what is to be tried and runs the order on it.
    ///
    /// # Errors
    /// Too much is being tried already, it cannot be built, or there is no such route or rule.
    pub async fn run_on(
        &self,
        subject: Subject,
        live: Arc<Live>,
        place: Place,
        order: &Order,
    ) -> Result<Tried, TrialError> {
        let _turn = self.turns.try_acquire().map_err(|_| TrialError::Busy)?;
        let candidate = candidate(subject, live, place).await?;
        let tried = self.tried(&candidate.release, order).await?;
        Ok(Tried { warnings: candidate.warnings, ..tried })
    }

    /// Runs the order, without what is secret in its body, on the candidate and makes a golden case of it: what came of it is
    /// what must come of it.
    ///
    /// # Errors
    /// As for [`Bench::run_on`], and [`Draft::of`].
    pub async fn case_on(
        &self,
        subject: Subject,
        live: Arc<Live>,
        place: Place,
        order: &Order,
        name: &str,
    ) -> Result<Draft, TrialError> {
        let _turn = self.turns.try_acquire().map_err(|_| TrialError::Busy)?;
        let candidate = candidate(subject, live, place).await?;
        self.drafted(&candidate.release, order, None, name).await
    }

    /// The same on this release. `tried` is what came of the order: it is run again only if something in it is secret.
    ///
    /// # Errors
    /// As for [`Bench::run`], and [`Draft::of`].
    pub async fn case(
        &self,
        release: &Arc<Release>,
        order: &Order,
        tried: &Tried,
        name: &str,
    ) -> Result<Draft, TrialError> {
        let _turn = self.turns.try_acquire().map_err(|_| TrialError::Busy)?;
        self.drafted(release, order, Some(tried), name).await
    }

    async fn drafted(
        &self,
        release: &Arc<Release>,
        order: &Order,
        tried: Option<&Tried>,
        name: &str,
    ) -> Result<Draft, TrialError> {
        let (order, redacted) = case::without_secrets(release, order)?;
        let asked = match tried.filter(|_| redacted.is_empty()) {
            Some(tried) => tried.asked(),
            None => self.tried(release, &order).await?.asked(),
        };
        let (release, name) = (release.clone(), name.to_owned());
        let made = on_a_thread(move || Draft::of(&release, &order, &name, &asked)).await;
        let draft = made.ok_or(TrialError::Busy)?.map_err(TrialError::Unusable)?;
        Ok(Draft { redacted, ..draft })
    }

    /// Runs the order on this release.
    ///
    /// # Errors
    /// Too much is being tried already, or there is no such route or rule.
    pub async fn run(&self, release: &Arc<Release>, order: &Order) -> Result<Tried, TrialError> {
        let _turn = self.turns.try_acquire().map_err(|_| TrialError::Busy)?;
        self.tried(release, order).await
    }

    async fn tried(&self, release: &Arc<Release>, order: &Order) -> Result<Tried, TrialError> {
        let route = find(release, order)?;
        let mut tried = Tried {
            route: route.name.clone(),
            hook: route.hook.name.to_owned(),
            release: release.hash.clone(),
            ..Tried::default()
        };
        let work = Work { bench: self, release, route, trace: order.trace };
        match &route.plan {
            Plan::Inline(inline) => match (route.hook.decode)(&order.body) {
                Ok(request) => work.reply(inline, &request, &mut tried).await,
                Err(error) => tried.refused = Some(error.to_string()),
            },
            Plan::Events(plan) => match events(plan.row, route, &order.body) {
                Ok(events) => {
                    for event in &events {
                        let rules = work.rules(&plan.rules, order.rule.as_deref(), event).await;
                        tried.events.push(TriedEvent::of(event, rules));
                    }
                }
                Err(error) => tried.refused = Some(error.to_string()),
            },
        }
        Ok(tried)
    }
}

async fn candidate(subject: Subject, live: Arc<Live>, place: Place) -> Result<Candidate, TrialError> {
    let work = move || Candidate::of(&subject, &live, &place);
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(TrialError::Busy))
}

/// The route of an order.
///
/// # Errors
/// There is none of that name, or its rule is none.
pub(crate) fn find<'r>(release: &'r Release, order: &Order) -> Result<&'r Arc<Route>, TrialError> {
    let names: Vec<&str> = release.routes.iter().map(|route| route.name.as_str()).collect();
    let missing = || TrialError::Unusable(unknown("route", &order.route, &names));
    let route = release.routes.iter().find(|route| route.name == order.route).ok_or_else(missing)?;
    let rules: Vec<&str> = match &route.plan {
        Plan::Events(events) => events.rules.iter().map(|rule| rule.name.as_str()).collect(),
        Plan::Inline(_) => Vec::new(),
    };
    match &order.rule {
        Some(rule) if !rules.contains(&rule.as_str()) => Err(TrialError::Unusable(unknown("rule", rule, &rules))),
        _ => Ok(route),
    }
}

/// The script of a route or of a rule.
#[derive(Clone, Copy)]
struct ScriptOnTrial<'a> {
    script: &'a Arc<Script>,
    surroundings: &'a Arc<Surroundings>,
}

/// What one request is tried on.
struct Work<'a> {
    bench: &'a Bench,
    release: &'a Arc<Release>,
    route: &'a Arc<Route>,
    trace: bool,
}

impl Work<'_> {
    async fn reply(&self, inline: &InlineScript, request: &Decoded, tried: &mut Tried) {
        let hook = self.route.hook;
        let decision = Uuid::now_v7().simple().to_string();
        let script = ScriptOnTrial { script: &inline.script, surroundings: &inline.surroundings };
        let (ran, outcome) = self.ran(script, Some(&inline.on_failure), request, decision).await;
        let failed = outcome.failure.is_some();
        let word = if failed { outcome::FAILED } else { (hook.recorded.outcome)(&outcome.reply) };
        tried.outcome = Some(word.to_owned());
        tried.send = outcome.sending.map(|sending| sending.ways);
        tried.status = Some(outcome.reply.status);
        tried.reply = outcome.reply.value();
        tried.effect = Some((hook.effect)(&outcome.reply));
        tried.notes = outcome.reply.notes;
        tried.ran = Some(ran);
    }

    async fn rules(&self, rules: &[Rule], only: Option<&str>, event: &Decoded) -> Vec<TriedRule> {
        let mut tried = Vec::new();
        for rule in rules {
            let why_not = rule.wanted.check(event).err();
            let wants = why_not.is_none();
            let mut one = TriedRule {
                rule: rule.name.clone(),
                patterns: rule.wanted.types(),
                wants,
                why_not,
                outcome: None,
                ran: None,
            };
            if only.map_or(wants, |name| *name == rule.name) {
                let script = ScriptOnTrial { script: &rule.script, surroundings: &rule.surroundings };
                let (ran, _) = self.ran(script, None, event, "call".to_owned()).await;
                let outcome = match (&ran.failure, ran.actions.is_empty()) {
                    (Some(_), _) => outcome::FAILED,
                    (None, true) => outcome::NOTHING,
                    (None, false) => outcome::ACTED,
                };
                one.outcome = Some(outcome.to_owned());
                one.ran = Some(ran);
            }
            tried.push(one);
        }
        tried
    }

    /// Runs the script, and makes of what came of it what a trial shows.
    async fn ran(
        &self,
        ScriptOnTrial { script, surroundings }: ScriptOnTrial<'_>,
        on_failure: Option<&Declared>,
        request: &Decoded,
        decision: String,
    ) -> (Ran, RunOutcome) {
        let (started, call, hook) = (Instant::now(), self.call(surroundings, request), self.route.hook);
        let outside = self.bench.lookups.of(&self.release.connectors, None, true);
        let run = self.bench.lanes.run(script, call, &outside).await;
        let commands = run.result.as_ref().map(hook.describe).unwrap_or_default();
        let place = self.release.script_use(hook, script, on_failure);
        let outcome = place.outcome(decision, request, run, |encoded| self.release.check(encoded));
        let mut ran = Ran::of(script.file(), &outcome);
        ran.commands = commands;
        ran.times.total_us = micros(started.elapsed());
        if self.trace {
            let call = self.call(surroundings, request);
            ran.take_trace(traced(script.clone(), call, outcome.journal.clone(), hook).await);
        }
        (ran, outcome)
    }

    /// Each run has the time of its route, a trace as well.
    fn call(&self, surroundings: &Arc<Surroundings>, request: &Decoded) -> Call {
        Call {
            request: request.request.clone(),
            surroundings: surroundings.clone(),
            world: World::Real,
            deadline: Instant::now() + Duration::from_millis(self.route.limits.deadline_ms),
        }
    }
}

async fn traced(script: Arc<Script>, call: Call, journal: Journal, hook: &'static Hook) -> Trace {
    on_a_thread(move || steps::steps(&script, &call, journal, hook.describe)).await.unwrap_or_default()
}

/// Runs it on a thread of its own with the stack that any script may use; nothing where there is no thread to be had.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let thread = stack::thread("trial");
    let started = thread.spawn(move || drop(sender.send(work())));
    started.ok()?;
    receiver.await.ok()
}

pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
