//! The life of a lookup: a question of a run to its connector, and back, within the time of both.
//!
//! Shared by all connectors: how many questions are out at once, the breaker, the cache, the metrics. A run that asked holds
//! no thread while it waits ([`hookgate_script::lanes`]). Questions about the small state of scripts go to the store.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout_at;
use tracing::warn;

use crate::telemetry::metrics::Metrics;
use hookgate_connectors::breaker::{Breaker, Room};
use hookgate_connectors::cache::{Cache, Known, landing};
use hookgate_connectors::time_limit;
use hookgate_connectors::{Connected, Connectors};
use hookgate_model::question::state::State;
use hookgate_model::question::{Answer, Answered, Ask, KV, Kv, Question, Reason, Trouble};
use hookgate_model::trace;
use hookgate_script::journal::Journal;
use hookgate_script::lanes::{Answering, Outside};
use hookgate_store::clock;
use hookgate_store::{Step, Store, StoreError};

/// Whoever is silent for this long is in trouble, even if the run that asked had no more time to wait.
const ENOUGH: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;

/// So long before its end, at most, a run that still waits for its turn is told that it is busy.
const LATE: Duration = Duration::from_millis(30);

/// How long the store may take for a step.
const STORE_TIME: Duration = Duration::from_millis(2_000);

/// Answers the questions of runs.
#[derive(Clone)]
pub struct Lookups {
    metrics: Arc<Metrics>,
    store: Kept,
}

/// Where the small state of scripts is.
#[derive(Clone)]
enum Kept {
    Store(Arc<dyn Store>),
    /// Nowhere: a call from the command line changes nothing.
    Memory(Arc<Mutex<State>>),
}

/// Answers the questions of one run.
pub struct Asker<'a> {
    lookups: &'a Lookups,
    connectors: &'a Connectors,
    /// What the run is for: a run that is repeated from its beginning gets the same answers from the store.
    origin: Option<String>,
    dry: bool,
    steps: AtomicUsize,
    /// The trace of the run, and how much it has asked.
    trace: Option<trace::Run>,
    asked: AtomicUsize,
}

impl Lookups {
    pub(crate) fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        Self { metrics, store: Kept::Store(store) }
    }

    /// For a run that is tried out: what it does to the small state of scripts is forgotten.
    pub fn on_trial(metrics: Arc<Metrics>) -> Self {
        Self { metrics, store: Kept::Memory(Arc::default()) }
    }

    /// For one run. `dry` leaves the small state of scripts as it is.
    pub fn of<'a>(&'a self, connectors: &'a Connectors, origin: Option<String>, dry: bool) -> Asker<'a> {
        let (steps, asked) = Default::default();
        Asker { lookups: self, connectors, origin, dry, steps, trace: None, asked }
    }

    async fn ask(&self, connected: &Arc<Connected>, question: &Question, until: Instant) -> Answered {
        let Some((cache, identity)) = connected.cache.as_ref().zip(question.identity()) else {
            // Whose turn comes at the very end would not be answered, and nobody would hear that it was busy.
            let left = until.saturating_duration_since(Instant::now());
            let turn = until.checked_sub(LATE.min(left / 20)).unwrap_or(until);
            return self.perform(connected, question, turn, Some(until)).await.map(Answer::fresh);
        };
        let (known, started) = (cache.find(&identity, Instant::now()), Instant::now());
        let fly = || self.fly(connected, cache, &identity, question);
        let (answered, outcome) = match known {
            Known::Fresh(value) => (Ok(Answer::fresh(value)), "cached"),
            Known::Stale(value) => {
                drop(fly());
                (Ok(Answer { value, stale: true }), "stale")
            }
            Known::Nothing => return landing(fly()).await,
        };
        self.metrics.lookup(&connected.name).observe(started.elapsed(), outcome);
        answered
    }

    /// Joins the question that is out, or sends one. It goes on without its callers: the next ones want its answer.
    fn fly(
        &self,
        connected: &Arc<Connected>,
        cache: &Cache,
        identity: &str,
        question: &Question,
    ) -> watch::Receiver<Option<Answered>> {
        cache.join(identity, |sender| {
            let (lookups, connected, question) = (self.clone(), connected.clone(), question.clone());
            let landing = Landing { connected, identity: identity.to_owned() };
            let flight = async move {
                let connected = &landing.connected;
                let turn = Instant::now() + connected.timeout;
                let answered = lookups.perform(connected, &question, turn, None).await;
                if let (Ok(value), Some(cache)) = (&answered, &connected.cache) {
                    cache.keep(&landing.identity, value, Instant::now());
                }
                drop(landing);
                sender.send_replace(Some(answered.map(Answer::fresh)));
            };
            // Whoever asked first is the one that the other system is told of.
            tokio::spawn(trace::within(trace::current(), flight));
        })
    }

    /// Asks the connector itself, when it is this question's turn. It waits for its turn until `turn`, and for the answer until
    /// `until`.
    async fn perform(
        &self,
        connected: &Connected,
        question: &Question,
        turn: Instant,
        until: Option<Instant>,
    ) -> Result<Value, Trouble> {
        let started = Instant::now();
        let result = performed(connected, question, turn, until).await;
        let outcome = result.as_ref().map_or_else(|trouble| trouble.reason.name(), |_| "ok");
        self.metrics.lookup(&connected.name).observe(started.elapsed(), outcome);
        result
    }
}

/// Writes to the log which lookups of a run got no answer and why, whether or not the script caught that. `run` is what the run
/// was for: a decision or an event.
pub(crate) fn tell_failures(route: &str, run: &str, journal: &Journal) {
    for lookup in journal.lookups() {
        if let Err(trouble) = &lookup.answered {
            warn!(
                route.name = route,
                run,
                connector.name = lookup.question.connector,
                reason = trouble.reason.name(),
                error = %trouble,
                "lookup failed"
            );
        }
    }
}

/// One question under the connector's permits and breaker. Its time begins when it goes out: what it waited for before is a
/// queue of ours, and says nothing of the other side.
async fn performed(
    connected: &Connected,
    question: &Question,
    turn: Instant,
    until: Option<Instant>,
) -> Result<Value, Trouble> {
    let class = question.class();
    room(&connected.breaker, class)?;
    let permits = async {
        let lookup = connected.lookups.acquire().await.ok()?;
        let own = match connected.connector.turns() {
            Some(turns) => Some(turns.acquire().await.ok()?),
            None => None,
        };
        Some((lookup, own))
    };
    let permits = timeout_at(turn.into(), permits).await.ok().flatten();
    let busy = || {
        let text = "as many questions are in work as `lookups`, or its own `pool`, allows, and none ended in time";
        Trouble::new(Reason::Busy, text)
    };
    let _permits = permits.filter(|_| Instant::now() < turn).ok_or_else(busy)?;
    let attempt = Attempt::begin(&connected.breaker, class)?;
    let started = Instant::now();
    let time = until.map_or(connected.timeout, |until| connected.timeout.min(until.saturating_duration_since(started)));
    let Ok(result) = time_limit::within(time, connected.connector.look_up(question)).await else {
        let waited = started.elapsed();
        // Only a connector that had its time, or enough of it, is to blame.
        if waited >= connected.timeout.min(ENOUGH) {
            attempt.end(&connected.name, Said::TimedOut);
        }
        return Err(Trouble::new(Reason::Timeout, format!("it did not answer within {} ms", waited.as_millis())));
    };
    attempt.end(&connected.name, Said::of(&result));
    result.map(|answer| without_secrets(connected, answer))
}

/// Whether a question of this class may go out now.
fn room(breaker: &Breaker, class: u64) -> Result<(), Trouble> {
    let now = Instant::now();
    let Room::NoneUntil(until) = breaker.room_for(class, now) else { return Ok(()) };
    let rest = until.saturating_duration_since(now);
    let seconds = rest.as_secs_f64().ceil();
    let text = format!("it failed several times in a row and is not asked again for {seconds} s");
    Err(Trouble::new(Reason::Unreachable, text).resting(rest))
}

/// What came of a question, as far as it says something of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// It is there.
    Something,
    /// It cannot be reached.
    Unreachable,
    /// It is silent, or the question takes too long.
    TimedOut,
    /// Nothing: it was not asked.
    Nothing,
}

impl Said {
    fn of(result: &Result<Value, Trouble>) -> Self {
        let Err(trouble) = result else { return Self::Something };
        match trouble.reason {
            _ if trouble.answered => Self::Something,
            Reason::Unreachable => Self::Unreachable,
            Reason::Timeout => Self::TimedOut,
            // A limit may be ours, and what is forbidden we did not ask.
            Reason::Busy | Reason::Limited | Reason::Forbidden => Self::Nothing,
            Reason::Denied | Reason::BadAnswer | Reason::TooLarge | Reason::Rejected => Self::Something,
        }
    }
}

/// The answer without the connector's own secrets: an API that repeats what it was sent must not tell a script.
fn without_secrets(connected: &Connected, mut answer: Value) -> Value {
    if connected.redact().clean(&mut answer) {
        warn!(
            connector.name = connected.name.as_str(),
            "an answer repeated a secret of the connector, which was hidden in it"
        );
    }
    answer
}

/// A question that is out, as the breaker sees it. One that nobody waits for any more says nothing.
struct Attempt<'a> {
    breaker: &'a Breaker,
    class: u64,
    ended: bool,
}

impl<'a> Attempt<'a> {
    fn begin(breaker: &'a Breaker, class: u64) -> Result<Self, Trouble> {
        room(breaker, class)?;
        breaker.begin_for(class);
        Ok(Self { breaker, class, ended: false })
    }

    fn end(mut self, connector: &str, said: Said) {
        self.ended = said != Said::Nothing;
        let opened = match said {
            Said::Something => {
                self.breaker.answered_for(self.class);
                false
            }
            Said::Unreachable => self.breaker.failed(Instant::now(), None),
            Said::TimedOut => self.breaker.timed_out(self.class, Instant::now()),
            Said::Nothing => false,
        };
        if opened {
            warn!(connector.name = connector, "connector is given a rest");
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.breaker.abandoned_for(self.class);
        }
    }
}

/// Says that a question is no longer out, also when it was never answered.
struct Landing {
    connected: Arc<Connected>,
    identity: String,
}

impl Drop for Landing {
    fn drop(&mut self) {
        if let Some(cache) = &self.connected.cache {
            cache.landed(&self.identity);
        }
    }
}

impl Asker<'_> {
    /// The same for a run in a trace, of which the systems are told that it asks.
    #[must_use]
    pub(crate) fn traced(self, trace: Option<trace::Run>) -> Self {
        Self { trace, ..self }
    }

    async fn answered(&self, question: &Question, until: Instant) -> Answered {
        // In the order of the run's journal.
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        if let Ask::Kv(step) = &question.ask {
            return self.step(step).await;
        }
        let Some(connected) = self.connectors.get(&question.connector) else {
            return Err(Trouble::new(Reason::Rejected, self.connectors.unknown(&question.connector)));
        };
        let told = self.trace.as_ref().map(|trace| trace.lookup(number));
        trace::within(told, self.lookups.ask(connected, question, until)).await
    }

    async fn step(&self, step: &Kv) -> Answered {
        let (dry, started) = (self.dry, Instant::now());
        let number = self.steps.fetch_add(1, Ordering::Relaxed);
        let result = match &self.lookups.store {
            Kept::Memory(state) => Ok(state.lock().unwrap_or_else(PoisonError::into_inner).step(step, clock::wall())),
            Kept::Store(store) => {
                let origin = self.origin.as_ref().map(|origin| format!("{origin} #{number}"));
                let step = store.state(Step { kv: step.clone(), dry, origin });
                let late = |_| Err(StoreError::Late);
                tokio::time::timeout(STORE_TIME, step).await.unwrap_or_else(late).map_err(of_store)
            }
        };
        let outcome = result.as_ref().map_or_else(|trouble| trouble.reason.name(), |_| "ok");
        self.lookups.metrics.lookup(KV).observe(started.elapsed(), outcome);
        result.map(Answer::fresh)
    }
}

fn of_store(error: StoreError) -> Trouble {
    let reason = if matches!(error, StoreError::Busy | StoreError::Late) { Reason::Busy } else { Reason::Unreachable };
    Trouble::new(reason, format!("the store cannot be asked: {error}"))
}

impl Outside for Asker<'_> {
    fn answer<'a>(&'a self, question: &'a Question, until: Instant) -> Answering<'a> {
        Box::pin(self.answered(question, until))
    }
}
