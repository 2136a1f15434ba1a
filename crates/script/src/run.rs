//! One run of a compiled script: on this thread, under its budget, with what it may read in place.
//!
//! A call of a short script costs about a microsecond because nothing is built per call: each thread keeps Rhai's
//! runtime state (constants, imports, resolved functions) of every script it has run. No lock is held.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rhai::{AST, Caches, Dynamic, EvalAltResult, EvalContext, GlobalRuntimeState, ImmutableString, Position, Scope};

use crate::budget;
use crate::budget::{Budget, Limits, Stopped};
use crate::cells;
use crate::context;
use crate::context::{Context, LogLine, Mocked, Surroundings, World};
use crate::depth;
use crate::depth::TooDeep;
use crate::journal::Journal;
use crate::lint::known::Known;
use crate::parameters::{Declaration, Declared};
use crate::stack;
use crate::trace;
use crate::trace::{Chamber, Spot};
use crate::turns::Turns;
use hookgate_model::question::Question;
use hookgate_model::question::fit;

/// Operations and time that a run may take on an async worker before it moves to a thread of its own. What so few
/// operations can chain together also fits a worker's stack ([`stack::WORKER_BYTES`]).
pub(crate) const PATIENCE_OPERATIONS: u64 = 20_000;
const PATIENCE: Duration = Duration::from_millis(2);

/// A compiled script with its entry function. Immutable but for the hint where to run it.
pub struct Script {
    /// Unique in the process: the key of the per-thread state.
    pub(super) id: u64,
    pub(super) chamber: Arc<Chamber>,
    pub(super) ast: AST,
    pub(super) template: GlobalRuntimeState,
    pub(super) entry: &'static str,
    /// Path below the scripts folder, and below the bundle.
    pub(super) file: Arc<str>,
    pub(super) label: Arc<str>,
    pub(super) known: &'static Known<'static>,
    pub(super) hash: String,
    pub(super) limits: Limits,
    /// Whether a closure in it, or in what it imports, captures variables.
    pub(super) captures: bool,
    /// The parameters that it declares.
    pub(super) declared: Option<Arc<Declared>>,
    pub(super) pace: Pace,
    /// Its turns on the slow threads.
    pub(super) turns: Arc<Turns>,
    pub(super) alive: Arc<()>,
}

/// Whether the runs of a script begin on a slow thread. Atomic, for all threads.
#[derive(Default)]
pub(crate) struct Pace {
    /// How many quick runs are still needed before one may begin on an async worker again.
    wanted: AtomicU32,
}

/// After a slow run so many have to be quick: a script that is slow for some calls only is not tried on an async worker
/// in between.
const QUICK_RUNS: u32 = 32;

/// A run on a thread of its own that takes less could have been made on an async worker.
const QUICK: Duration = Duration::from_millis(1);

/// A run on an async worker that took so long was not ended after [`PATIENCE`]: a native function could not be stopped, or
/// the machine is busy.
const HELD_UP: Duration = Duration::from_millis(5);

impl Pace {
    pub(crate) fn is_slow(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) > 0
    }

    /// A run had to be given up on an async worker.
    pub(crate) fn gave_up(&self) {
        self.wanted.store(QUICK_RUNS, Ordering::Relaxed);
    }

    /// A run on an async worker took so long.
    pub(crate) fn took_on_worker(&self, time: Duration) {
        if time > HELD_UP {
            self.gave_up();
        }
    }

    /// A run on a slow thread took so long.
    pub(crate) fn took_on_thread(&self, time: Duration) {
        if time > QUICK {
            self.gave_up();
            return;
        }
        let fewer = |wanted: u32| Some(wanted.saturating_sub(1));
        // It cannot fail: there is always a next number.
        let _ = self.wanted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
    }
}

/// What one run gets.
#[derive(Clone)]
pub struct Call {
    pub request: Dynamic,
    pub surroundings: Arc<Surroundings>,
    pub world: World,
    pub deadline: Instant,
}

/// How a run ended. What is in it nests [`depth::MAX_LEVELS`] deep at most, so any thread may have it.
pub struct Run {
    pub result: Result<Dynamic, Box<Failed>>,
    pub logs: Vec<LogLine>,
    /// `reason(…)`, if the script said one.
    pub reason: Option<ImmutableString>,
    /// `note(…)`, if the script gave one.
    pub note: Option<ImmutableString>,
    /// What was read of the world, for whoever wants to see this run again.
    pub journal: Journal,
    pub operations: u64,
    pub took: Duration,
}

/// How far an attempt came.
pub enum Attempted {
    Done(Run),
    /// It takes longer than an async worker may be held.
    Long(Journal),
    /// It asked this, and goes on when it is repeated with the answer.
    Asked(Box<Question>, Journal),
}

/// Where an attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// On an async worker, and for a short time only.
    Worker,
    /// On a thread that may be held.
    Thread,
}

/// Why a run gave no value.
#[derive(Debug)]
pub struct Failed {
    pub cause: Cause,
    /// Where it was, as far as known without the error's own position.
    pub spot: Option<Spot>,
}

#[derive(Debug)]
pub enum Cause {
    Stopped(Stopped),
    Error(Box<EvalAltResult>),
    /// It returned a value that nests deeper than [`depth::MAX_LEVELS`].
    TooDeep,
    /// A native function panicked: a defect of ours, never of the script.
    Panicked,
    /// No thread was free before the deadline.
    Busy,
    /// More calls wait for this script than can be run.
    Crowded,
    /// The process died while this script ran, more than once: for a while its calls are refused.
    Crashed,
}

impl Cause {
    /// Whether the script did not run at all.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Busy | Self::Crowded | Self::Crashed)
    }

    /// Whether the run was ended on purpose by a function that it called.
    pub fn is_ended(&self) -> bool {
        matches!(self, Self::Error(error) if matches!(error.unwrap_inner(), EvalAltResult::ErrorTerminated(..)))
    }
}

struct Runtime {
    /// Gone when the last release with this script is gone; then this state may go, too.
    alive: Weak<()>,
    global: GlobalRuntimeState,
    caches: Caches,
    scope: Scope<'static>,
}

#[derive(Default)]
struct Runtimes {
    by_script: HashMap<u64, Option<Box<Runtime>>, foldhash::fast::FixedState>,
    /// How many there may be before those of dead scripts are looked for.
    prune_at: usize,
}

thread_local! {
    static RUNTIMES: RefCell<Runtimes> = RefCell::default();
}

impl Script {
    /// Path below the scripts folder.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Path below the bundle: what findings call it.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The parameters that it declares, if it does.
    pub fn declaration(&self) -> Option<&Declaration> {
        self.declared.as_ref()?.whole()
    }

    /// Hash of this file and all it imports.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether a call that came at `now` would find no turn, because more come than can be run. Then it is refused before
    /// anything is done for it.
    pub fn is_crowded(&self, now: Instant) -> bool {
        self.turns.is_crowded(now)
    }

    /// Runs to the end on this thread. Nobody answers its questions, unless its world is a mocked one.
    pub fn run(&self, call: &Call) -> Run {
        self.with_stack(self.limits.operations, || {
            let ended = self.attempt(call, Frame::default());
            self.finish(call, ended)
        })
    }

    /// Runs a function that takes nothing, such as a test, instead of the entry; the call's request is not used. Where an
    /// error without a position happened is not looked for: what a test runs may not be run twice unasked.
    pub fn run_function(&self, function: &str, call: &Call) -> Run {
        let ended = self.with_stack(self.limits.operations, || {
            self.spend(call, Frame::default(), |script| script.evaluate(function, &mut []))
        });
        let result = ended.unanswered(call).map_or(Ok(()), Err);
        let Ended { value, stopped, operations, logs, reason, note, journal, took, .. } = ended;
        let result = result.and_then(|()| cause_of(value, stopped));
        let result = result.map_err(|cause| Box::new(Failed { cause, spot: None }));
        Run { result, logs, reason, note, journal, operations, took }
    }

    /// Runs as far as that is possible here, from the beginning and with what was read before. Where it does not come to its
    /// end, nothing has happened.
    pub fn advance(&self, call: &Call, journal: Journal, place: Where) -> Attempted {
        let patience = (place == Where::Worker).then(|| (PATIENCE_OPERATIONS, Instant::now() + PATIENCE));
        let operations = patience.map_or(self.limits.operations, |(operations, _)| operations);
        self.with_stack(operations, || {
            let mut ended = self.attempt(call, Frame { patience, journal });
            match (ended.stopped, ended.asked.take()) {
                (Some(Stopped::Patience), _) => Attempted::Long(ended.journal.again()),
                (Some(Stopped::Asked), Some(question)) => Attempted::Asked(Box::new(question), ended.journal.again()),
                _ => Attempted::Done(self.finish(call, ended)),
            }
        })
    }

    fn with_stack<R>(&self, operations: u64, body: impl FnOnce() -> R) -> R {
        stack::for_run(&self.limits, operations, body)
    }

    fn attempt(&self, call: &Call, frame: Frame) -> Ended {
        self.spend(call, frame, |script| script.evaluate(script.entry, &mut [&mut call.request.clone()]))
    }

    fn spend(&self, call: &Call, frame: Frame, evaluate: impl FnOnce(&Self) -> Value) -> Ended {
        let budget = Budget {
            operations: self.limits.operations,
            deadline: call.deadline,
            memory_bytes: self.limits.memory_bytes,
            patience: frame.patience,
        };
        let context = Context::new(call.surroundings.clone(), call.world.clone(), call.deadline).within(&self.limits);
        let context = Context { journal: frame.journal, ..context };
        let started = Instant::now();
        let ((value, context), stopped, operations) =
            budget::spend(&budget, || context::enter(context, || cells::within(self.captures, || evaluate(self))));
        let Context { logs, reason, note, journal, asked, .. } = context;
        Ended { value, stopped, operations, logs, reason, note, journal, asked, took: started.elapsed() }
    }

    /// `None` when a native function panicked. What comes out is bounded, and holds no variable of the run.
    fn evaluate(&self, function: &str, arguments: &mut [&mut Dynamic]) -> Value {
        let mut runtime = RUNTIMES.with_borrow_mut(|all| all.take(self));
        let result = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let Runtime { global, caches, scope, .. } = &mut *runtime;
            EvalContext::new(&self.chamber.engine, global, caches, scope, None)
                .call_fn_raw(function, false, false, arguments)
        }));
        // After a panic the state may be half changed: it is dropped, and the next call builds a new one.
        let result = result.ok()?;
        runtime.scope.clear();
        RUNTIMES.with_borrow_mut(|all| all.put(self, runtime));
        Some(match result {
            Ok(value) => depth::bounded(value).map_err(|TooDeep| Cause::TooDeep),
            Err(error) => Err(Cause::Error(depth::bounded_error(error))),
        })
    }

    fn finish(&self, call: &Call, ended: Ended) -> Run {
        let unanswered = ended.unanswered(call).map_or(Ok(()), Err);
        let Ended { value, stopped, operations, logs, reason, note, journal, took, .. } = ended;
        let cause = match unanswered.and_then(|()| cause_of(value, stopped)) {
            Err(cause) => cause,
            Ok(value) => return Run { result: Ok(value), logs, reason, note, journal, operations, took },
        };
        // Errors of limits carry no position: the run is pure, so a second one under the debugger finds it.
        let lost = match &cause {
            Cause::Error(error) => trace::innermost_position(error).is_none(),
            Cause::TooDeep => false,
            _ => true,
        };
        let spot = if lost { trace::locate(self, call, operations, journal.clone()) } else { None };
        Run { result: Err(Box::new(Failed { cause, spot })), logs, reason, note, journal, operations, took }
    }
}

/// What a function gave; `None` when a native function panicked.
type Value = Option<Result<Dynamic, Cause>>;

fn cause_of(value: Value, stopped: Option<Stopped>) -> Result<Dynamic, Cause> {
    match (value, stopped) {
        (_, Some(stopped)) => Err(Cause::Stopped(stopped)),
        (None, None) => Err(Cause::Panicked),
        (Some(result), None) => result,
    }
}

/// What an attempt starts with.
#[derive(Default)]
struct Frame {
    patience: Option<(u64, Instant)>,
    journal: Journal,
}

/// What is there when an attempt is over.
struct Ended {
    value: Value,
    stopped: Option<Stopped>,
    operations: u64,
    logs: Vec<LogLine>,
    reason: Option<ImmutableString>,
    note: Option<ImmutableString>,
    journal: Journal,
    asked: Option<Question>,
    took: Duration,
}

impl Ended {
    /// What is wrong with a question where nobody answers. It cannot be caught: a test that mocks nothing would pass.
    fn unanswered(&self, call: &Call) -> Option<Cause> {
        let question = self.asked.as_ref().filter(|_| self.stopped == Some(Stopped::Asked))?;
        let text = match &call.world {
            World::Real => "connectors cannot be asked here".to_owned(),
            World::Mocked(mocked) => without_mock(question, mocked),
        };
        Some(Cause::Error(EvalAltResult::ErrorRuntime(text.into(), Position::NONE).into()))
    }
}

/// What a test lacks: the mock to add, what went with the question, and the mocks that nearly fit.
fn without_mock(question: &Question, mocked: &Mocked) -> String {
    let add = format!("a lookup has no mock: add {}, …) to the test", question.mock());
    let sent = question.sent().map(|sent| format!("it sends {}", fit::short(&sent)));
    let parts: Vec<String> = [add].into_iter().chain(sent).chain(mocked.near(question)).collect();
    parts.join("; ")
}

impl Runtimes {
    fn take(&mut self, script: &Script) -> Box<Runtime> {
        let kept = self.by_script.get_mut(&script.id).and_then(Option::take);
        kept.unwrap_or_else(|| {
            let (global, caches, scope) = (script.template.clone(), Caches::new(), Scope::new());
            Box::new(Runtime { alive: Arc::downgrade(&script.alive), global, caches, scope })
        })
    }

    fn put(&mut self, script: &Script, runtime: Box<Runtime>) {
        if let Some(slot) = self.by_script.get_mut(&script.id) {
            *slot = Some(runtime);
            return;
        }
        if self.by_script.len() >= self.prune_at {
            self.by_script.retain(|_, slot| slot.as_ref().is_some_and(|kept| kept.alive.strong_count() > 0));
            self.prune_at = 2 * self.by_script.len() + 16;
        }
        self.by_script.insert(script.id, Some(runtime));
    }
}
