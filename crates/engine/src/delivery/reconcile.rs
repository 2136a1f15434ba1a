//! Finds what a hook never delivered: reads the provider's own log and takes from it what is not known yet.
//!
//! The events of a page and how far the reading has come are kept in one transaction, so that nothing is passed over and
//! nothing comes twice. What waits to be read is the provider's to keep: nothing is held here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tracing::{error, info, warn};

use crate::delivery::Delivery;
use crate::delivery::intake::{EventRoute, Way};
use crate::release::{Plan, Reconcile, Route};
use hookgate_connectors::Trouble;
use hookgate_connectors::What;
use hookgate_connectors::log::{From, Page};
use hookgate_hooks::Decoded;
use hookgate_store::clock;
use hookgate_store::{Millis, StoreError};

#[cfg(test)]
mod tests;

/// More pages are not read in one cycle; the next one goes on there.
const MOST_PAGES: usize = 200;

/// A mark so far ahead of the clock was made when the clock was wrong.
const SKEW: Duration = Duration::from_mins(5);

/// How often the settings are looked at, to begin and end with them.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// After troubles in a row the wait doubles up to this, or stays at its usual length if that is more.
const LONGEST_BACKOFF: Duration = Duration::from_mins(15);

/// Between cycles of which the second goes on where the first stopped, if nothing was said of a limit.
const BREATH: Duration = Duration::from_secs(5);

/// When the store takes nothing, it is asked again so much later.
const STORE_WAIT: Duration = Duration::from_secs(30);

/// How far the log of a route was read. Kept in the store, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// Which log [`Mark::open`] is good for.
    log: String,
    /// Everything published before was looked at.
    watermark: Millis,
    /// A reading that did not come to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open: Option<Open>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    /// The watermark once it is read.
    until: Millis,
    next: String,
}

/// What one cycle did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cycle {
    pub pages: usize,
    /// What the log had.
    pub events: usize,
    /// What of it nobody had delivered.
    pub missed: usize,
    /// What of it is no event with an id of its own.
    pub unreadable: usize,
    /// It did not come to the end of what there is to read.
    pub more: bool,
    /// Nothing may be read for this long.
    pub rest: Option<Duration>,
}

/// Why a cycle ended before its time. What it had read until then is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("{}", .0.message)]
    Log(Trouble),
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// After a panic, which is a mistake of ours and may come again at once.
const AFTER_PANIC: Duration = Duration::from_mins(1);

/// Looks for missing events of every route that says where, until it is dropped.
pub async fn run(delivery: Arc<Delivery>) {
    let mut tasks = JoinSet::new();
    let mut reading: HashMap<String, Arc<Reconcile>> = HashMap::new();
    loop {
        for route in delivery.live.current().iter().flat_map(|release| &release.routes) {
            let Some(settings) = route.reconcile.as_ref().filter(|_| !reading.contains_key(&route.name)) else {
                continue;
            };
            reading.insert(route.name.clone(), settings.clone());
            tasks.spawn(watch(delivery.clone(), route.name.clone(), settings.clone()));
        }
        tokio::select! {
            Some(ended) = tasks.join_next() => match ended {
                Ok(name) => drop(reading.remove(&name)),
                Err(panic) => {
                    error!(error = %panic, "looking for missing events ended with a panic and begins anew");
                    sleep(AFTER_PANIC).await;
                    (tasks, reading) = (JoinSet::new(), HashMap::new());
                }
            },
            () = sleep(LOOK_EVERY) => {}
        }
    }
}

/// Reads for one route until its settings change. Gives the name back.
async fn watch(delivery: Arc<Delivery>, name: String, settings: Arc<Reconcile>) -> String {
    let mut failures = 0;
    while let Some(route) = current(&delivery, &name, &settings) {
        let started = Instant::now();
        let result = delivery.reconcile(&route).await;
        tell(&name, &result);
        failures = if result.is_ok() { 0 } else { failures + 1 };
        let due = started + wait(&settings, &result, failures);
        while Instant::now() < due && current(&delivery, &name, &settings).is_some() {
            sleep(LOOK_EVERY.min(due.saturating_duration_since(Instant::now()))).await;
        }
    }
    name
}

/// The route, as long as it looks for missing events by these settings.
fn current(delivery: &Delivery, name: &str, settings: &Arc<Reconcile>) -> Option<Arc<Route>> {
    let release = delivery.live.current()?;
    let same = |route: &&Arc<Route>| {
        route.name == name && route.reconcile.as_ref().is_some_and(|found| Arc::ptr_eq(found, settings))
    };
    release.routes.iter().find(same).cloned()
}

fn tell(route: &str, result: &Result<Cycle, Failure>) {
    match result {
        Ok(cycle) => info!(
            route.name = route,
            events.count = cycle.events,
            events.missed = cycle.missed,
            events.unreadable = cycle.unreadable,
            pages = cycle.pages,
            more = cycle.more,
            rest_s = cycle.rest.map(|rest| rest.as_secs()),
            "the provider's log was read"
        ),
        Err(failure) => {
            warn!(route.name = route, error = %failure, "the provider's log could not be read to its end");
        }
    }
}

/// From the beginning of a cycle to that of the next one.
fn wait(settings: &Reconcile, result: &Result<Cycle, Failure>, failures: u32) -> Duration {
    match result {
        Ok(Cycle { more: true, rest, .. }) => rest.unwrap_or(settings.every.min(BREATH)),
        Ok(cycle) => settings.every.max(cycle.rest.unwrap_or_default()),
        Err(Failure::Store(_)) => settings.every.min(STORE_WAIT),
        Err(Failure::Log(Trouble { what: What::Refused, .. })) => settings.every,
        Err(Failure::Log(trouble)) => {
            let doubled = settings.every.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(16)));
            let asked = match trouble.what {
                What::NotDelivered { retry_after } => retry_after.unwrap_or_default(),
                What::NotTried { wait } => wait,
                _ => Duration::ZERO,
            };
            doubled.min(LONGEST_BACKOFF.max(settings.every)).max(asked)
        }
    }
}

impl Delivery {
    /// Reads what the log of a route has since it was read last, and keeps what is not known yet.
    ///
    /// # Errors
    /// The log cannot be read, or the store takes nothing. What was read until then is kept; the next cycle goes on there.
    pub async fn reconcile(&self, route: &Route) -> Result<Cycle, Failure> {
        let Some(settings) = &route.reconcile else { return Ok(Cycle::default()) };
        let mut mark = self.mark(route, settings).await?;
        let resumed = mark.open.is_some();
        let (mut from, until) = match &mark.open {
            Some(open) => (From::Next(open.next.clone()), open.until),
            None => {
                let until = clock::wall() - millis(settings.lag);
                let since = mark.watermark - millis(settings.overlap);
                if since >= until {
                    // The lag became longer: what is looked at next is not old enough yet.
                    return Ok(Cycle::default());
                }
                (From::Window { since, until }, until)
            }
        };
        let mut cycle = Cycle::default();
        let mut seen: HashSet<String> = mark.open.iter().map(|open| open.next.clone()).collect();
        loop {
            let read = match settings.log.read(&from).await {
                Ok(page) if page.next.as_ref().is_some_and(|next| !seen.insert(next.clone())) => {
                    Err(Trouble::refused("the log leads back to a page that was read already, and so has no end"))
                }
                read => read,
            };
            let Page { events, next, rest } = match read {
                Ok(page) => page,
                Err(trouble) => return Err(self.stopped(route, mark, trouble).await),
            };
            (cycle.pages, cycle.events, cycle.rest) = (cycle.pages + 1, cycle.events + events.len(), rest);
            let events = self.wanted(route, events, &mut cycle);
            mark.open = next.map(|next| Open { until, next });
            if mark.open.is_none() {
                mark.watermark = mark.watermark.max(until);
            }
            cycle.missed += self.advance(route, &events, &mark).await?;
            let Some(open) = &mark.open else {
                // What was left over from before is read; what came since is not.
                cycle.more = resumed;
                return Ok(cycle);
            };
            if cycle.pages >= MOST_PAGES && cycle.events == 0 {
                let trouble = Trouble::refused(format!("the log has {MOST_PAGES} pages without an event, and no end"));
                return Err(self.stopped(route, mark, trouble).await);
            }
            if rest.is_some() || cycle.pages >= MOST_PAGES {
                cycle.more = true;
                return Ok(cycle);
            }
            from = From::Next(open.next.clone());
        }
    }

    /// How far the log was read. The first time, that is noted at once: what comes while the log cannot be read is not lost.
    async fn mark(&self, route: &Route, settings: &Reconcile) -> Result<Mark, StoreError> {
        let now = clock::wall();
        let kept = self.store.bookmark(&bookmark(route)).await?;
        let kept = kept.and_then(|kept| serde_json::from_str::<Mark>(&kept).ok());
        let log = settings.log.label();
        match kept.filter(|mark| mark.watermark <= now + millis(SKEW)) {
            Some(mark) if mark.log == log => Ok(mark),
            // A place in another log, or among other types, leads nowhere here.
            Some(mark) => Ok(Mark { log: log.to_owned(), open: None, ..mark }),
            None => {
                let mark = Mark { log: log.to_owned(), watermark: now - millis(settings.lag), open: None };
                self.advance(route, &[], &mark).await?;
                Ok(mark)
            }
        }
    }

    /// Keeps events and the mark together. How many were new.
    async fn advance(&self, route: &Route, events: &[Decoded], mark: &Mark) -> Result<usize, StoreError> {
        let mark = serde_json::to_string(mark).expect("a mark is JSON");
        let no_events = || StoreError::Refused(format!("the route `{}` takes no events", route.name));
        let at = EventRoute::of(route).ok_or_else(no_events)?;
        let receipt = self.accept_with(at, events, Way::Log, Some((bookmark(route), mark))).await?;
        Ok(receipt.kept)
    }

    /// A link that is of no use is forgotten: the next cycle begins again where the last good one ended.
    async fn stopped(&self, route: &Route, mut mark: Mark, trouble: Trouble) -> Failure {
        let useless = trouble.what == What::Refused && !matches!(trouble.status, Some(401 | 403));
        if useless
            && mark.open.take().is_some()
            && let Err(problem) = self.advance(route, &[], &mark).await
        {
            return Failure::Store(problem);
        }
        Failure::Log(trouble)
    }

    /// The events of a page that some rule wants by their type.
    fn wanted(&self, route: &Route, events: Vec<Bytes>, cycle: &mut Cycle) -> Vec<Decoded> {
        let rules = match &route.plan {
            Plan::Events(events) => events.rules.as_slice(),
            Plan::Inline(_) => &[],
        };
        let mut found = Vec::with_capacity(events.len());
        for event in events {
            // Without an id of its own it would be new in each cycle.
            let decoded = (route.hook.decode)(&event).ok().filter(|event| event.facts.has_own_id);
            let Some(event) = decoded else {
                cycle.unreadable += 1;
                continue;
            };
            let kind = event.facts.event_type.as_deref().unwrap_or_default();
            if rules.iter().any(|rule| rule.wanted.wants_type(kind)) {
                found.push(event);
            }
        }
        found
    }
}

fn bookmark(route: &Route) -> String {
    format!("reconcile {}", route.name)
}

fn millis(time: Duration) -> Millis {
    Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX / 4)
}
