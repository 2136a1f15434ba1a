//! From the events of a delivery to what is kept of them: one event each, with a job for every rule that wants it.

use std::time::Duration;

use crate::delivery::outbox;
use crate::release::{EventRules, Plan, Route, Rule};
use hookgate_hooks::{Decoded, EventRow};
use hookgate_store::{Flags, Intake, JobKind, Millis, NewEvent, NewJob};

/// An event may be published so much later than now before its clock is called wrong.
const SKEW: Duration = Duration::from_mins(5);

/// How events came to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The provider's hook delivered them.
    Hook,
    /// The hook should have, and did not: they were read from the provider's log.
    Log,
}

/// A route that gives events to its rules.
#[derive(Clone, Copy)]
pub(crate) struct EventRoute<'a> {
    pub(crate) route: &'a Route,
    pub(crate) plan: &'a EventRules,
}

impl<'a> EventRoute<'a> {
    /// None for a route that answers.
    pub(crate) fn of(route: &'a Route) -> Option<Self> {
        match &route.plan {
            Plan::Events(plan) => Some(Self { route, plan }),
            Plan::Inline(_) => None,
        }
    }
}

/// What is kept of the events of a delivery. `now` is the store's time.
pub(crate) fn intake(at: EventRoute<'_>, events: &[Decoded], way: Way, now: Millis) -> Intake {
    Intake { events: events.iter().map(|event| kept(at, event, way, now)).collect(), ..Intake::default() }
}

fn kept(EventRoute { route, plan }: EventRoute<'_>, event: &Decoded, way: Way, now: Millis) -> NewEvent {
    let facts = &event.facts;
    let parcel = (plan.row.pack)(event);
    let published = facts.published.map(|time| time.as_millisecond());
    let flags = Flags {
        preview: facts.preview,
        clock_skew: published.is_some_and(|at| at > now.saturating_add(millis(SKEW))),
        no_id: !facts.has_own_id,
        missed: way == Way::Log,
        call: false,
        own: is_own(route, plan.row, event),
    };
    let fresh = || uuid::Uuid::now_v7().simple();
    // Without any id at all nothing can be told from anything else: such an event is new each time.
    let key = if parcel.key.is_empty() { format!("none-{}", fresh()) } else { parcel.key };
    let seen_as = match facts.preview {
        // A try-out is new each time, too, and the event that it tries may still come.
        true => Some(format!("preview {} of {key}", fresh())),
        false => seen_as(&key, flags.no_id),
    };
    let place = seen_as.as_ref().unwrap_or(&key);
    let rules = if flags.own { &[] } else { plan.rules.as_slice() };
    let wanting = rules.iter().filter(|rule| rule.wanted.check(event).is_ok());
    let jobs = wanting.map(|rule| job((route, plan.row), rule, event, place, published.unwrap_or(now))).collect();
    NewEvent {
        route: route.name.as_str().into(),
        key,
        seen_as,
        kind: facts.event_type.as_deref().unwrap_or_default().to_owned(),
        published,
        flags,
        problem: facts.problem.clone().or_else(|| told(&facts.notes)),
        envelope: parcel.envelope,
        body: parcel.body,
        jobs,
    }
}

/// What an event is known by, where that is not its key: a place in a delivery may read like the id of another event.
fn seen_as(key: &str, no_id: bool) -> Option<String> {
    const PLACE: &str = "place ";
    const ID: &str = "id ";
    match key {
        _ if no_id => Some(format!("{PLACE}{key}")),
        // So that no id reads like any of these.
        id if [PLACE, ID].iter().any(|begin| id.starts_with(begin)) => Some(format!("{ID}{id}")),
        _ => None,
    }
}

/// What is told of an event of which something could not be read as it was sent.
fn told(notes: &[String]) -> Option<String> {
    (!notes.is_empty()).then(|| format!("rules read it, but not all as it was sent: {}", notes.join("; ")))
}

/// Whether we caused it, or those who act for us.
fn is_own(route: &Route, row: &EventRow, event: &Decoded) -> bool {
    let made_by = |path| (row.read)(event, path);
    let ids = || ["actor.id", "transaction.token"].into_iter().flat_map(made_by);
    !route.own_actors.is_empty() && ids().any(|id| route.own_actors.iter().any(|own| own == id.as_str()))
}

fn job((route, row): (&Route, &EventRow), rule: &Rule, event: &Decoded, key: &str, published: Millis) -> NewJob {
    let order = rule.order.as_ref().and_then(|order| {
        let values = (row.read)(event, &order.by);
        Some((values.first()?.to_string(), published))
    });
    let delay = match (&rule.order, &order) {
        (Some(order), Some(_)) => order.hold,
        _ => Duration::ZERO,
    };
    NewJob {
        kind: JobKind::Rule,
        lane: rule.lane.clone(),
        name: rule.name.clone(),
        key: outbox::rule_key(&route.name, &rule.name, key),
        delay,
        order,
        ..NewJob::default()
    }
}

fn millis(time: Duration) -> Millis {
    Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX)
}
