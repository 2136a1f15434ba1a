//! One try of a rule: its script runs on the event, and what it asks for becomes the jobs that end this one.

use std::time::{Duration, Instant};

use rhai::ImmutableString;
use tracing::{debug, error, info};
use uuid::Uuid;

use crate::command::Action;
use crate::decision::Failure as Told;
use crate::delivery::Delivery;
use crate::delivery::outbox;
use crate::delivery::outbox::Origin;
use crate::delivery::work::{Next, Verdict};
use crate::hooks::{Decoded, Mark, Parcel};
use crate::lookup;
use crate::records;
use crate::records::{Ran, RuleRun, Weight};
use crate::release::{Plan, Release, Route, Rule};
use crate::script::context::{LogLine, World};
use crate::script::diagnose::ScriptError;
use crate::script::journal::Journal;
use crate::script::run::Call;
use crate::store::clock;
use crate::store::{Leased, Millis, NewJob};
use crate::telemetry::trace;

/// The rule of a job, in the release in force.
pub(super) fn find<'r>(release: &'r Release, job: &Leased) -> Option<(&'r Route, &'r Rule)> {
    let route = release.routes.iter().find(|route| *route.name == *job.event.route)?;
    let Plan::Rules(rules) = &route.plan else { return None };
    rules.iter().find(|rule| rule.lane == job.lane).map(|rule| (&**route, rule))
}

/// Runs the script once.
pub(super) async fn run(delivery: &Delivery, release: &Release, job: &Leased) -> Verdict {
    let Some((route, rule)) = find(release, job) else {
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
    let Some(event) = (route.hook.unpack)(parcel) else {
        return Verdict::dead("no_event", format!("`{}` carries no events", route.hook.name));
    };
    let mut seen = Seen { id: Uuid::now_v7().simple().to_string(), began: clock::wall(), ..Seen::default() };
    let decided = decide(delivery, release, (route, rule), (job, &event), &mut seen).await;
    seen.logs.iter().for_each(|line| tell_logged(route, rule, job, line));
    lookup::tell_failures(&route.name, &job.event.id.to_string(), &seen.journal);
    let script_us = u64::try_from(seen.took.as_micros()).unwrap_or(u64::MAX);
    let lookups = seen.journal.summary();
    let attempt = job.token.attempt;
    if let (Err(failure), Some(rest)) = (&decided, rest(&seen.journal)) {
        let rest_ms = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX);
        debug!(route.name, rule.name, event.id = job.event.id, attempt, lookups, rest_ms, "rule waits for a connector");
        return Verdict::rest(rest, failure.reason(), failure.to_string());
    }
    remember(delivery, release, (route, rule), (job, event), &decided, seen);
    match decided {
        Ok(actions) => {
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
            Verdict { next: Next::Done(children(job, rule, &actions)), ..Verdict::done(None, detail) }
        }
        Err(failure) => {
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
    }
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

/// Why a run gave no actions.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("no thread was free for this script before its deadline")]
    NoThread,
    #[error("{0}")]
    Script(Box<ScriptError>),
}

impl Failure {
    fn reason(&self) -> &'static str {
        match self {
            Self::NoThread => "busy",
            Self::Script(error) => error.reason(),
        }
    }

    fn told(&self) -> Told {
        let place = match self {
            Self::NoThread => None,
            Self::Script(error) => Some(&**error),
        };
        records::failure(self.reason(), self.to_string(), place)
    }
}

/// What is told of a run, however it ended.
#[derive(Default)]
struct Seen {
    /// Of this decision.
    id: String,
    began: i64,
    begun: bool,
    logs: Vec<LogLine>,
    reason: Option<ImmutableString>,
    journal: Journal,
    /// In the script alone.
    took: Duration,
}

async fn decide(
    delivery: &Delivery,
    release: &Release,
    (route, rule): (&Route, &Rule),
    (job, event): (&Leased, &Decoded),
    seen: &mut Seen,
) -> Result<Vec<Action>, Failure> {
    let script = &rule.script;
    let call = Call {
        request: event.request.clone(),
        surroundings: rule.surroundings.clone(),
        world: World::Real,
        deadline: Instant::now() + Duration::from_millis(script.limits().deadline_ms),
    };
    let outside = delivery.lookups.of(&release.connectors, Some(origin(job)), job.event.flags.preview);
    let outside = outside.traced(trace::Run::of(&seen.id, None));
    let run = delivery.lanes.run_patiently(script, call, &outside).await;
    (seen.logs, seen.reason, seen.journal, seen.took) = (run.logs, run.reason, run.journal, run.took);
    seen.begun = !run.result.as_ref().is_err_and(|failed| failed.cause.is_refusal());
    route.metrics.script_seconds.observe(seen.took);
    let misfit = |problem: &str| Failure::Script(Box::new(release.compiler.misfit(script, problem)));
    let returned = run.result.map_err(|failed| {
        if failed.cause.is_refusal() {
            return Failure::NoThread;
        }
        Failure::Script(Box::new(release.compiler.explain(script, *failed)))
    })?;
    let mark = Mark::new(&seen.id, release.label(), script.file());
    let encoded = release.encode(route, event, returned, &mark).map_err(|problem| misfit(&problem))?;
    Ok(encoded.actions)
}

/// Hands over what is to be remembered of a run.
fn remember(
    delivery: &Delivery,
    release: &Release,
    (route, rule): (&Route, &Rule),
    (job, request): (&Leased, Decoded),
    decided: &Result<Vec<Action>, Failure>,
    seen: Seen,
) {
    let weight = if decided.is_err() { Weight::Urgent } else { Weight::Plain };
    if !delivery.records.admits(weight, Instant::now()) {
        return;
    }
    let (script, surroundings) = (rule.script.clone(), rule.surroundings.clone());
    let Seen { id, began, begun, reason, journal, took, .. } = seen;
    delivery.records.record(records::Seen {
        id,
        at: began,
        route: route.name.clone(),
        hook: Some(route.hook),
        release: release.label().to_owned(),
        body: job.event.body.clone(),
        request_id: None,
        parent: None,
        preview: job.event.flags.preview,
        ran: Some(Ran { script, surroundings, request, begun, journal, reason, took }),
        rule: Some(RuleRun { name: rule.name.clone(), event: job.event.id, attempt: job.token.attempt }),
        reply: None,
        status: None,
        failure: decided.as_ref().err().map(Failure::told),
        actions: decided.as_ref().map(|actions| records::lines(actions)).unwrap_or_default(),
        decoded_us: 0,
        took,
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
