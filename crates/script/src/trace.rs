//! Running once more under Rhai's debugger, to learn where a run was when a limit ended it, or which lines it took.
//!
//! Only for runs that failed or that somebody asks about: the debugger doubles the time of a run. Scripts have no
//! effects, so running one again changes nothing; what the second run logs is thrown away.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rhai::debugger::{DebuggerCommand, DebuggerEvent};
use rhai::{ASTNode, CallFnOptions, Dynamic, Engine, EvalAltResult, EvalContext, FuncArgs, Position, Scope, Stmt};

use crate::budget;
use crate::budget::{Budget, Limits};
use crate::cells;
use crate::context;
use crate::context::Context;
use crate::depth;
use crate::engine;
use crate::engine::Dialect;
use crate::journal::Journal;
use crate::library::Finished;
use crate::modules::Modules;
use crate::run::{Call, Script};
use crate::stack;

/// Operations and time that looking for the place may take: the answer is already late.
const REPLAY_OPERATIONS: u64 = 400_000;
const REPLAY_TIME: Duration = Duration::from_millis(15);

pub mod coverage;
mod frame;
mod reads;
pub mod steps;
pub mod values;

/// The engines of one hook under one set of limits.
pub(crate) struct Chamber {
    pub(super) engine: Engine,
    furnishing: Furnishing,
    traced: OnceLock<Engine>,
}

/// What the engines of a chamber are made of.
#[derive(Clone)]
pub(crate) struct Furnishing {
    pub(crate) libraries: Vec<&'static Finished>,
    pub(crate) limits: Limits,
    pub(crate) modules: Modules,
    pub(crate) dialect: Dialect,
    /// Whether every run notes the lines it takes, see [`coverage`].
    pub(crate) covered: bool,
}

impl Furnishing {
    fn engine(&self) -> Engine {
        engine::sandbox(&self.libraries, &self.limits, self.modules.clone(), self.dialect)
    }
}

/// A place in a script with the calls that led there, innermost first: `(file, line, function)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spot {
    pub(crate) file: Option<String>,
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) called_from: Vec<(String, usize, String)>,
}

thread_local! {
    static LAST: RefCell<Spot> = RefCell::default();
    /// Filled while [`lines`] runs.
    static LINES: RefCell<Option<Vec<(String, usize)>>> = const { RefCell::new(None) };
}

/// Lines that a trace keeps at most; a script that loops would fill the memory.
pub(crate) const MAX_LINES: usize = 2_000;

impl Chamber {
    pub(crate) fn new(furnishing: Furnishing) -> Arc<Self> {
        let mut engine = furnishing.engine();
        if furnishing.covered {
            coverage::watch(&mut engine);
        }
        Arc::new(Self { engine, furnishing, traced: OnceLock::new() })
    }

    fn traced(&self) -> &Engine {
        self.traced.get_or_init(|| {
            let mut engine = self.furnishing.engine();
            #[allow(deprecated)] // "volatile API" in rhai's words; the version is pinned
            engine.register_debugger(
                |_, debugger| debugger,
                |mut context, event, node, source, position| {
                    if steps::seen(&context, event, node, source.unwrap_or_default(), position) {
                        return Ok(DebuggerCommand::StepInto);
                    }
                    if values::wanted(node, source, position) {
                        values::note(&mut context, node);
                        return Ok(DebuggerCommand::StepInto);
                    }
                    // Entering and leaving a function raise events, too, at its braces: those are no place of a failure.
                    let step = matches!(event, DebuggerEvent::Start | DebuggerEvent::Step)
                        && !matches!(node, ASTNode::Stmt(Stmt::Noop(_)));
                    if let (true, Some(line), Some(column)) = (step, position.line(), position.position()) {
                        // What is outside functions ran when the script was loaded.
                        let inside = !context.global_runtime_state().debugger().call_stack().is_empty();
                        if note_line(source, line, inside) {
                            return Ok(DebuggerCommand::StepInto);
                        }
                        let called_from = frames(&context);
                        let spot = Spot { file: source.map(str::to_owned), line, column, called_from };
                        LAST.with_borrow_mut(|last| *last = spot);
                    }
                    Ok(DebuggerCommand::StepInto)
                },
            );
            engine
        })
    }
}

/// Rhai names a closure by a hash.
fn function_name(name: &str) -> String {
    if name.starts_with("anon$") { "a closure".to_owned() } else { name.to_owned() }
}

/// Frames of the call stack that an error shows.
const MAX_FRAMES: usize = 8;

/// The calls that led here, innermost first.
fn frames(context: &EvalContext) -> Vec<(String, usize, String)> {
    let stack = context.global_runtime_state().debugger().call_stack();
    let frames = stack.iter().rev().filter_map(|frame| {
        let file = frame.source.as_deref().unwrap_or_default().to_owned();
        Some((file, frame.pos.line()?, function_name(&frame.fn_name)))
    });
    frames.take(MAX_FRAMES).collect()
}

/// Where the script was after `operations` of this call, or close to it if that is far. What it read is known.
pub(super) fn locate(script: &Script, call: &Call, operations: u64, journal: Journal) -> Option<Spot> {
    // Made at the first error; that takes longer than the replay may.
    script.chamber.traced();
    let budget = Budget {
        operations: operations.min(REPLAY_OPERATIONS),
        deadline: Instant::now() + REPLAY_TIME,
        memory_bytes: script.limits.memory_bytes,
        patience: None,
    };
    LAST.take();
    replay(script, call, &budget, journal.closed());
    let spot = LAST.take();
    (spot.line > 0).then_some(spot)
}

/// The lines that the script ran on this call when it read what the journal says, in order, with the file of each: the first
/// [`MAX_LINES`] of them. A line that is several steps in a row stands there once. And what the script returned; nothing
/// where it failed, or took more than `operations` to the end.
pub fn lines(
    script: &Script,
    call: &Call,
    journal: Journal,
    operations: u64,
) -> (Vec<(String, usize)>, Option<Dynamic>) {
    LINES.set(Some(Vec::new()));
    let returned = replay(script, call, &whole(script, call, operations), journal.closed());
    (LINES.take().unwrap_or_default(), returned)
}

/// What a run may use that is repeated to its end.
fn whole(script: &Script, call: &Call, operations: u64) -> Budget {
    let operations = operations.min(script.limits.operations);
    Budget { operations, deadline: call.deadline, memory_bytes: script.limits.memory_bytes, patience: None }
}

/// Whether lines are being kept; then this one is, too, if it is `inside` a function.
fn note_line(file: Option<&str>, line: usize, inside: bool) -> bool {
    LINES.with_borrow_mut(|lines| {
        let Some(lines) = lines else { return false };
        let file = file.unwrap_or_default();
        let again = lines.last().is_some_and(|(last, number)| last == file && *number == line);
        if inside && !again && lines.len() < MAX_LINES {
            lines.push((file.to_owned(), line));
        }
        true
    })
}

/// Runs the script under the debugger; nothing if it fails, or returns what cannot leave a run.
fn replay(script: &Script, call: &Call, budget: &Budget, journal: Journal) -> Option<Dynamic> {
    let context = Context::new(call.surroundings.clone(), call.world.clone(), call.deadline).within(&script.limits);
    let context = Context { journal, ..context };
    replay_function(script, script.entry, (call.request.clone(),), context, budget)
}

fn replay_function(
    script: &Script,
    function: &str,
    arguments: impl FuncArgs,
    context: Context,
    budget: &Budget,
) -> Option<Dynamic> {
    let engine = script.chamber.traced();
    let body = || {
        let options = CallFnOptions::new();
        let returned =
            engine.call_fn_with_options::<Dynamic>(options, &mut Scope::new(), &script.ast, function, arguments);
        depth::bounded(returned.ok()?).ok()
    };
    let body = || cells::within(script.captures, || std::panic::catch_unwind(AssertUnwindSafe(body)).ok().flatten());
    let body = || budget::spend(budget, || context::enter(context, body));
    let ((returned, _), ..) = stack::for_run(&script.limits, budget.operations, body);
    returned
}

/// The position of the innermost error that has one.
pub(super) fn innermost_position(error: &EvalAltResult) -> Option<Position> {
    let position = error.unwrap_inner().position();
    (!position.is_none()).then_some(position)
}
