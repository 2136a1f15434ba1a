//! What a run can read besides its request: parameters, tables, the clock, the remaining time, lookups, and its log.
//!
//! A run happens on one thread from start to end, so the context is a thread-local that [`enter`] sets and clears.
//! Functions of the prelude reach it through [`with`]; outside a run they get a plain error.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use rhai::{EvalAltResult, ImmutableString, Map};
use uuid::Uuid;

use crate::budget;
use crate::budget::{Limits, Stopped};
use crate::journal::{Journal, Lookup, MAX_LOOKUPS, Noted};
use crate::password::Ceilings;
use crate::table::Table;
use hookgate_model::question::fit::{Difference, Stated};
use hookgate_model::question::state::State;
use hookgate_model::question::{Answer, Answered, Ask, Question};

/// The reloadable tables of a release, by name.
pub type Tables = BTreeMap<String, Arc<Table>>;

/// One `log(…)` of a script.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    pub text: String,
    pub fields: Option<serde_json::Value>,
}

/// Where comes from what a run reads of the world: the time, chance, and answers.
#[derive(Clone, Debug, Default)]
pub enum World {
    #[default]
    Real,
    /// As a test says, the same at every run.
    Mocked(Arc<Mocked>),
}

/// A world in which nothing moves.
#[derive(Clone, Debug)]
pub struct Mocked {
    pub now: Timestamp,
    /// What `remaining_ms()` gives.
    pub remaining_ms: i64,
    /// What `uuid()` gives one after the other; when they are used up, numbered ones follow.
    pub uuids: Vec<ImmutableString>,
    /// What questions are answered; the last one that fits counts.
    pub answers: Vec<Mock>,
    /// The small state of scripts, which is shared by the runs of a test.
    pub state: Arc<Mutex<State>>,
}

/// The answer to a question, as a test gives it.
#[derive(Clone, Debug)]
pub struct Mock {
    /// The question that it answers.
    pub stated: Stated,
    /// Of a statement: its rows, one row, or one value.
    pub answered: Answered,
}

/// What stays the same for every run of one route or rule.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    pub params: Arc<Map>,
    pub tables: Arc<Tables>,
}

/// The context of the run in progress.
#[derive(Debug)]
pub struct Context {
    pub surroundings: Arc<Surroundings>,
    pub world: World,
    /// How many UUIDs this run has made.
    pub(crate) uuids: usize,
    pub(crate) deadline: Instant,
    /// What verifying one password may take.
    pub(crate) ceilings: Ceilings,
    pub(crate) logs: Vec<LogLine>,
    /// What the script gave as the reason for what it decides, last.
    pub(crate) reason: Option<ImmutableString>,
    /// What the script wants the reply to say for the provider's log, last.
    pub(crate) note: Option<ImmutableString>,
    /// What was read of the world, in this run or the one that it repeats.
    pub(crate) journal: Journal,
    /// The question that ended this run.
    pub(crate) asked: Option<Question>,
}

thread_local! {
    static CURRENT: RefCell<Option<Context>> = const { RefCell::new(None) };
}

/// Mocks that are named to somebody whose question has none.
const MOST_NEAR: usize = 3;

/// Parts in which a mock may differ that is still named.
const MOST_DIFFERENCES: usize = 2;

/// Lines of log that one run may write; what is over is dropped.
pub(crate) const MAX_LOG_LINES: usize = 100;

/// Runs `body` with `context` in place and gives the context back. Nests: a test that runs a hook gets its own back.
/// When `body` panics, the context is lost and the one before is restored.
pub fn enter<R>(context: Context, body: impl FnOnce() -> R) -> (R, Context) {
    struct Restore(Option<Context>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.with_borrow_mut(|current| *current = self.0.take());
        }
    }
    let restore = Restore(CURRENT.with_borrow_mut(|current| current.replace(context)));
    let result = body();
    let context = CURRENT.with_borrow_mut(Option::take).expect("nothing but `enter` takes the context");
    drop(restore);
    (result, context)
}

/// Reads or writes the context of the run in progress.
///
/// # Errors
/// `name` is only available while a hook runs: at the top level of a script there is no call yet.
pub fn with<R>(name: &str, body: impl FnOnce(&mut Context) -> R) -> Result<R, Box<EvalAltResult>> {
    CURRENT.with_borrow_mut(|current| match current {
        Some(context) => Ok(body(context)),
        None => {
            Err(format!("`{name}` can be used inside functions only: at the top of a script there is no call yet")
                .into())
        }
    })
}

/// The UUID of a mocked world with this number: `00000000-0000-4000-8000-000000000001` is the first.
fn numbered(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

impl Context {
    /// The context of a run that has not begun.
    pub fn new(surroundings: Arc<Surroundings>, world: World, deadline: Instant) -> Self {
        let (logs, reason, note, journal) = Default::default();
        let ceilings = Ceilings::default();
        Self { surroundings, world, uuids: 0, deadline, ceilings, logs, reason, note, journal, asked: None }
    }

    /// The same for a run with limits of its own.
    #[must_use]
    pub(crate) fn within(self, limits: &Limits) -> Self {
        Self { ceilings: limits.ceilings(), ..self }
    }

    /// The time of this run.
    ///
    /// # Errors
    /// See [`Journal::noted`], as in all of these.
    pub(crate) fn now(&mut self) -> Result<Timestamp, Box<EvalAltResult>> {
        if let World::Mocked(mocked) = &self.world {
            return Ok(mocked.now);
        }
        let take = |noted: &Noted| if let Noted::Time(time) = noted { Some(*time) } else { None };
        if let Some(time) = self.journal.noted(take)? {
            return Ok(time);
        }
        let time = Timestamp::now();
        self.journal.add(Noted::Time(time));
        Ok(time)
    }

    /// Milliseconds until the deadline of this run; 0 when it has passed.
    pub(crate) fn remaining_ms(&mut self) -> Result<i64, Box<EvalAltResult>> {
        if let World::Mocked(mocked) = &self.world {
            return Ok(mocked.remaining_ms);
        }
        let take = |noted: &Noted| if let Noted::Remaining(left) = noted { Some(*left) } else { None };
        if let Some(left) = self.journal.noted(take)? {
            return Ok(left);
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        let left = i64::try_from(left.as_millis()).unwrap_or(i64::MAX);
        self.journal.add(Noted::Remaining(left));
        Ok(left)
    }

    /// A UUID (version 4) that this run has not had.
    pub(crate) fn uuid(&mut self) -> Result<ImmutableString, Box<EvalAltResult>> {
        let made = self.uuids;
        self.uuids += 1;
        if let World::Mocked(mocked) = &self.world {
            return Ok(mocked.uuids.get(made).cloned().unwrap_or_else(|| numbered(made + 1).into()));
        }
        let take = |noted: &Noted| if let Noted::Uuid(uuid) = noted { Some(uuid.clone()) } else { None };
        if let Some(uuid) = self.journal.noted(take)? {
            return Ok(uuid);
        }
        let uuid = ImmutableString::from(Uuid::new_v4().to_string());
        self.journal.add(Noted::Uuid(uuid.clone()));
        Ok(uuid)
    }

    /// The answer to a question; where it has to be waited for, the run ends here and is repeated with it.
    pub(crate) fn ask(&mut self, mut question: Question) -> Result<Answered, Box<EvalAltResult>> {
        let take = |noted: &Noted| match noted {
            Noted::Lookup(lookup) if lookup.question.is_again(&question) => Some(lookup.answered.clone()),
            _ => None,
        };
        if let Some(answered) = self.journal.noted(take)? {
            return Ok(answered);
        }
        if self.journal.lookups().count() >= MAX_LOOKUPS {
            return Err(
                format!("a run may ask {MAX_LOOKUPS} questions of connectors, and this one asked them all").into()
            );
        }
        if let World::Mocked(mocked) = &self.world
            && let Some(answered) = mocked.answer(&question)
        {
            question.forget_secrets();
            let lookup = Lookup { question, answered: answered.clone(), took: std::time::Duration::ZERO };
            self.journal.add(Noted::Lookup(Box::new(lookup)));
            return Ok(answered);
        }
        self.asked = Some(question);
        Err(budget::end(Stopped::Asked))
    }
}

impl Mocked {
    /// A world in which it is `now`, and nothing else is said.
    pub fn at(now: Timestamp, remaining_ms: i64) -> Self {
        Self { now, remaining_ms, uuids: Vec::new(), answers: Vec::new(), state: Arc::default() }
    }

    /// Replaces the small state of scripts.
    pub fn set_state(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// The answer to a question, if the test gives one.
    fn answer(&self, question: &Question) -> Option<Answered> {
        let mock = self.answers.iter().rfind(|mock| question.fits(&mock.stated));
        if let Ask::Kv(step) = &question.ask {
            // The state answers, unless the test lets it fail.
            if let Some(Mock { answered: Err(trouble), .. }) = mock {
                return Some(Err(trouble.clone()));
            }
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            return Some(Ok(Answer::fresh(state.step(step, self.now.as_millisecond()))));
        }
        let mock = mock?;
        let answered = mock.answered.clone();
        Some(match &question.ask {
            // What a test writes is rows; what was recorded is what was wanted of them.
            Ask::Sql { take, .. } if mock.stated.family.is_some() => {
                answered.map(|answer| Answer { value: take.of(answer.value), stale: answer.stale })
            }
            _ => answered,
        })
    }

    /// Mocks that nearly fit a question: those with the fewest other parts, each with what differs. The last ones come first.
    pub(crate) fn near(&self, question: &Question) -> Vec<String> {
        let compared = |mock: &Mock| Some((question.compared(&mock.stated)?, mock.stated.clone()));
        let mut near: Vec<_> = self.answers.iter().rev().filter_map(compared).collect();
        near.retain(|(differences, _)| differences.len() <= MOST_DIFFERENCES);
        near.sort_by_key(|(differences, _)| differences.len());
        let told = |(differences, stated): &(Vec<Difference>, Stated)| {
            let parts = differences.iter().map(|difference| format!("the {}: {}", difference.part, difference.detail));
            let parts = parts.collect::<Vec<_>>().join(", and ");
            format!("near it is the mock of `{}` at `{}`: {parts}", stated.words, stated.connector)
        };
        near.iter().take(MOST_NEAR).map(told).collect()
    }
}
