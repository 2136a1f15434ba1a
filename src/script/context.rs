//! What a run can read besides its request: parameters, tables, the clock, the remaining time, and its log.
//!
//! A run happens on one thread from start to end, so the context is a thread-local that [`enter`] sets and clears.
//! Functions of the prelude reach it through [`with`]; outside a run they get a plain error.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use rhai::{EvalAltResult, Map};

use crate::script::table::Table;

/// The reloadable tables of a release, by name.
pub type Tables = BTreeMap<String, Arc<Table>>;

/// One `log(…)` of a script.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    pub text: String,
    pub fields: Option<serde_json::Value>,
}

/// Where `now()` comes from.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    System,
    Fixed(Timestamp),
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
    pub clock: Clock,
    pub deadline: Instant,
    pub logs: Vec<LogLine>,
}

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

impl Context {
    /// The time of this run.
    pub fn now(&self) -> Timestamp {
        match self.clock {
            Clock::System => Timestamp::now(),
            Clock::Fixed(time) => time,
        }
    }
}
