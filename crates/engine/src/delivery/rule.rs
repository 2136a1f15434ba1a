//! One try of a rule: its script runs on the event, and what it asks for becomes the jobs that end this one.

use std::time::{Duration, Instant};

use tracing::{debug, error, info};
use uuid::Uuid;

use crate::delivery::Delivery;
use crate::delivery::outbox;
use crate::delivery::outbox::Origin;
use crate::delivery::work::{Next, Verdict};
use crate::lookup;
use crate::outcome::RunOutcome;
use crate::records::{RuleRun, RunInput, Seen, Weight};
use crate::release::{Plan, Release, Route, Rule};
use hookgate_hooks::{Decoded, EventRow, Parcel};
use hookgate_model::command::Action;
use hookgate_model::trace;
use hookgate_script::context::{LogLine, World};
use hookgate_script::journal::Journal;
use hookgate_script::run::Call;
use hookgate_store::clock;
use hookgate_store::{Leased, Millis, NewJob};

/// The rule of a job, in the release in force.
pub(super) fn find<'r>(release: &'r Release, job: &Leased) -> Option<(&'r Route, &'static EventRow, &'r Rule)> {
    let route = release.routes.iter().find(|route| *route.name == *job.event.route)?;
    let Plan::Events(events) = &route.plan else { return None };
    events.rules.iter().find(|rule| rule.lane == job.lane).map(|rule| (&**route, events.row, rule))
}

/// Runs the script once.
pub(super) async fn run(delivery: &Delivery, release: &Release, job: &Leased) -> Verdict {
    let Some((route, row, rule)) = find(release, job) else {
        let text = format!("the release in force has no {}; it is tried again in case the rule comes back", job.lane);
        return Verdict::again("no_rule", text);
    };
    let parcel = Parcel {
        key: job.event.key.clone(),
        envelope: job.event.envelope.clone(),
        body: job.event.body.clone(),
        replay: job.replay > 0,
        preview: job.event.flags.preview,
        received: Some(job.event.received),
    };
    let event = (row.unpack)(parcel);
    let began = clock::wall();
    let outcome = attempt(delivery, release, (route, rule), (job, &event)).await;
    outcome.logs.iter().for_each(|line| tell_logged(route, rule, job, line));
    lookup::tell_failures(&route.name, &job.event.id.to_string(), &outcome.journal);
    if let (Some(failure), Some(rest)) = (&outcome.failure, rest(&outcome.journal)) {
        let rest_ms = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX);
        let (attempt, lookups) = (job.token.attempt, outcome.journal.summary());
        debug!(route.name, rule.name, event.id = job.event.id, attempt, lookups, rest_ms, "rule waits for a connector");
        return Verdict::rest(rest, failure.reason(), failure.to_string());
    }
    let verdict = verdict((route, rule), job, &outcome);
    remember(delivery, release, (route, rule), (job, event), outcome, began);
    verdict
}

/// What comes next, and the line of the log that says so.
fn verdict((route, rule): (&Route, &Rule), job: &Leased, outcome: &RunOutcome) -> Verdict {
    let script_us = u64::try_from(outcome.took.as_micros()).unwrap_or(u64::MAX);
    let (attempt, lookups) = (job.token.attempt, outcome.journal.summary());
    let Some(failure) = &outcome.failure else {
        let actions = &outcome.actions;
        info!(
            route.name,
            rule.name,
            event.id = job.event.id,
            event.r#type = job.event.kind,
            attempt,
            actions.count = actions.len(),
            script_us,
            lookups,
            "rule ran"
        );
        let detail = format!("{} asked for", counted(actions.len()));
        return Verdict { next: Next::Done(children(job, rule, actions)), ..Verdict::done(None, detail) };
    };
    error!(
        route.name,
        rule.name,
        event.id = job.event.id,
        event.r#type = job.event.kind,
        attempt,
        script_us,
        lookups,
        reason = failure.reason(),
        error = %failure,
        "rule failed"
    );
    let script = &rule.script;
    let hash = script.hash().get(..12).unwrap_or_default();
    Verdict::again(failure.reason(), format!("{failure} ({} {hash})", script.file()))
}

/// How long the connector is given a rest that the run asked last. Such a run was over before it could decide anything.
fn rest(journal: &Journal) -> Option<Duration> {
    journal.lookups().last()?.answered.as_ref().err()?.rest
}

fn tell_logged(route: &Route, rule: &Rule, job: &Leased, line: &LogLine) {
    let fields = line.fields.as_ref().map(ToString::to_string);
    info!(
        route.name,
        rule.name,
        event.id = job.event.id,
        script.fields = fields,
        script.text = line.text,
        "script log"
    );
}

async fn attempt(
    delivery: &Delivery,
    release: &Release,
    (route, rule): (&Route, &Rule),
    (job, event): (&Leased, &Decoded),
) -> RunOutcome {
    let (id, script) = (Uuid::now_v7().simple().to_string(), &rule.script);
    let call = Call {
        request: event.request.clone(),
        surroundings: rule.surroundings.clone(),
        world: World::Real,
        deadline: Instant::now() + Duration::from_millis(script.limits().deadline_ms),
    };
    let outside = delivery.lookups.of(&release.connectors, Some(origin(job)), job.event.flags.preview);
    let outside = outside.traced(trace::Run::of(&id, None));
    let run = delivery.lanes.run_patiently(script, call, &outside).await;
    route.metrics.script_seconds.observe(run.took);
    release.script_use(route.hook, script, None).outcome(id, event, run, |encoded| release.check(encoded))
}

/// Hands over what is to be remembered of a run.
fn remember(
    delivery: &Delivery,
    release: &Release,
    (route, rule): (&Route, &Rule),
    (job, request): (&Leased, Decoded),
    outcome: RunOutcome,
    began: i64,
) {
    let weight = if outcome.failure.is_some() { Weight::Urgent } else { Weight::Plain };
    if !delivery.records.admits(weight, Instant::now()) {
        return;
    }
    let (script, surroundings) = (rule.script.clone(), rule.surroundings.clone());
    delivery.records.record(Seen {
        at: began,
        route: route.name.clone(),
        hook: Some(route.hook),
        release: release.label().to_owned(),
        body: job.event.body.clone(),
        request_id: None,
        parent: None,
        preview: job.event.flags.preview,
        took: outcome.took,
        outcome: Ok(outcome),
        input: Some(RunInput { script, surroundings, request }),
        rule: Some(RuleRun { name: rule.name.clone(), event: job.event.id, attempt: job.token.attempt }),
        decoded_us: 0,
        capture: None,
    });
}

/// What a run is for, the same at every try: what it did to the small state of scripts is not done twice.
fn origin(job: &Leased) -> String {
    format!("job {} {}", job.token.job, job.generation)
}

fn children(job: &Leased, rule: &Rule, actions: &[Action]) -> Vec<NewJob> {
    let origin = Origin {
        route: &job.event.route,
        rule: &rule.name,
        // The event that is tried out has the same key, and its actions are still to be done. A place in a delivery may read
        // like the id of another event.
        event: if job.event.flags.preview || job.event.flags.no_id { &job.key } else { &job.event.key },
        generation: job.generation,
        preview: job.event.flags.preview,
    };
    outbox::in_line(line(job, rule), outbox::jobs(&origin, actions))
}

/// The line of what a rule with `order_by` asks for: rules of a route that go by the same path share it.
fn line(job: &Leased, rule: &Rule) -> Option<(String, Millis)> {
    let (value, number) = job.order.as_ref()?;
    let by = rule.order.as_ref().map_or("", |order| &order.by);
    Some((format!("{}/{by}/{value}", job.event.route), *number))
}

fn counted(count: usize) -> String {
    match count {
        0 => "no action".to_owned(),
        1 => "one action".to_owned(),
        count => format!("{count} actions"),
    }
}
