//! What a run can read besides its request: parameters, tables, the clock, the remaining time, and its log.
//!
//! A run happens on one thread from start to end, so the context is a thread-local that [`enter`] sets and clears.
//! Functions of the prelude reach it through [`with`]; outside a run they get a plain error.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use rhai::{EvalAltResult, ImmutableString, Map};
use uuid::Uuid;

use crate::password::Problem;
use crate::script::table::Table;

/// The reloadable tables of a release, by name.
pub type Tables = BTreeMap<String, Arc<Table>>;

/// One `log(…)` of a script.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    pub text: String,
    pub fields: Option<serde_json::Value>,
}

/// Where comes from what a run reads of the world: the time, and chance.
#[derive(Clone, Debug, Default)]
pub enum World {
    #[default]
    Real,
    /// As a test says, the same at every run.
    Mocked(Arc<Mocked>),
}

/// A world in which nothing moves.
#[derive(Clone, Debug, PartialEq)]
pub struct Mocked {
    pub now: Timestamp,
    /// What `remaining_ms()` gives.
    pub remaining_ms: i64,
    /// What `uuid()` gives one after the other; when they are used up, numbered ones follow.
    pub uuids: Vec<ImmutableString>,
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
    pub uuids: usize,
    pub deadline: Instant,
    pub logs: Vec<LogLine>,
    /// What verifying passwords gave, in order.
    pub verdicts: Vec<Verdict>,
    /// Set when a run is repeated to learn where it was: what verifying gave the first time, which is not spent again.
    pub remembered: Option<std::vec::IntoIter<Verdict>>,
}

/// What verifying one password gave.
pub type Verdict = Result<bool, Problem>;

thread_local! {
    static CURRENT: RefCell<Option<Context>> = const { RefCell::new(None) };
}

/// Lines of log that one run may write; what is over is dropped.
pub const MAX_LOG_LINES: usize = 100;

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
        let (logs, verdicts) = Default::default();
        Self { surroundings, world, uuids: 0, deadline, logs, verdicts, remembered: None }
    }

    /// The time of this run.
    pub fn now(&self) -> Timestamp {
        match &self.world {
            World::Real => Timestamp::now(),
            World::Mocked(mocked) => mocked.now,
        }
    }

    /// Milliseconds until the deadline of this run; 0 when it has passed.
    pub fn remaining_ms(&self) -> i64 {
        match &self.world {
            World::Mocked(mocked) => mocked.remaining_ms,
            World::Real => {
                let left = self.deadline.saturating_duration_since(Instant::now());
                i64::try_from(left.as_millis()).unwrap_or(i64::MAX)
            }
        }
    }

    /// A UUID (version 4) that this run has not had.
    pub fn uuid(&mut self) -> ImmutableString {
        let made = self.uuids;
        self.uuids += 1;
        match &self.world {
            World::Real => Uuid::new_v4().to_string().into(),
            World::Mocked(mocked) => mocked.uuids.get(made).cloned().unwrap_or_else(|| numbered(made + 1).into()),
        }
    }
}
