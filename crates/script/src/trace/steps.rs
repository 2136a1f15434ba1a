//! What a run did, line by line, with the values that changed: for whoever asks why a script decided so.
//!
//! The run is repeated under the debugger with what it read then; nobody is asked. At each line the variables of the function
//! that runs are compared with what they were before, and what is new or different is told of the line that made it so.

use std::cell::RefCell;

use rhai::debugger::DebuggerEvent;
use rhai::{ASTNode, Dynamic, EvalContext, Position, Stmt};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::journal::Journal;
use crate::run::{Call, Script};
use crate::trace::frame::{Change, Frame};
use crate::trace::reads::Reads;
use crate::trace::values::Shown;
use crate::trace::{MAX_LINES, function_name, replay, whole};

/// Bytes of all values together that a trace shows; what comes after them is left out.
const MAX_BYTES: usize = 1024 * 1024;

/// A line that ran.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Step {
    /// Path below the bundle: `scripts/registration.rhai`.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// How many functions of scripts led here: 0 in the entry function.
    pub depth: usize,
    pub(crate) function: String,
    /// What this line made new or different, by the name of the variable; at the first line of a function what it was given,
    /// and at its last, as `return`, what it gave back. At most 400 bytes of each value; a secret is `***`.
    pub changed: Vec<Shown>,
}

/// A run, looked at.
#[derive(Debug, Default)]
pub struct Trace {
    /// The first [`MAX_LINES`] of them.
    pub steps: Vec<Step>,
    /// What the script returned; nothing where it failed.
    #[cfg(test)]
    pub(crate) returned: Option<Dynamic>,
    /// Where it was when it failed.
    pub failed_at: Option<(String, usize)>,
    /// What the script read of its request, as it is written: `request.email.domain`. The first 200.
    pub read: Vec<String>,
    /// There were more lines, or more values, than are shown.
    pub cut: bool,
}

/// What a value of a hook is in JSON: its commands.
pub(crate) type Describe = fn(&Dynamic) -> Vec<Value>;

/// What is gathered while a run is repeated.
struct Tracing {
    trace: Trace,
    frames: Vec<Frame>,
    reads: Reads,
    bytes: usize,
    last: Option<(String, usize)>,
    describe: Describe,
}

thread_local! {
    static TRACING: RefCell<Option<Tracing>> = const { RefCell::new(None) };
}

/// Repeats the run of this call that read what the journal says. It may take until the call's deadline, and use the stack
/// that any run may: not for a thread that others wait for.
pub fn steps(script: &Script, call: &Call, journal: Journal, describe: Describe) -> Trace {
    let (trace, frames, reads, last) = Default::default();
    TRACING.set(Some(Tracing { trace, frames, reads, bytes: 0, last, describe }));
    let budget = whole(script, call, script.limits.operations);
    let returned = replay(script, call, &budget, journal.closed());
    let Some(tracing) = TRACING.take() else { return Trace::default() };
    let failed_at = if returned.is_none() { tracing.last } else { None };
    Trace {
        #[cfg(test)]
        returned,
        failed_at,
        read: tracing.reads.paths(),
        ..tracing.trace
    }
}

/// Whether a trace is being made; then this event is a part of it.
pub(super) fn seen(context: &EvalContext, event: DebuggerEvent, node: ASTNode, file: &str, at: Position) -> bool {
    TRACING.with_borrow_mut(|tracing| {
        let Some(tracing) = tracing else { return false };
        let level = context.global_runtime_state().debugger().call_stack().len();
        match event {
            DebuggerEvent::FunctionExitWithValue(value) => tracing.left(level, Some(value)),
            DebuggerEvent::FunctionExitWithError(_) => tracing.left(level, None),
            DebuggerEvent::Start | DebuggerEvent::Step => tracing.step(context, level, node, file, at),
            _ => {}
        }
        true
    })
}

impl Tracing {
    /// A function of a script gave this back, or failed. Functions of the gateway come and go above it.
    fn left(&mut self, level: usize, value: Option<&Dynamic>) {
        while self.frames.last().is_some_and(|frame| frame.level > level) {
            self.frames.pop();
        }
        let Some(frame) = self.frames.pop_if(|frame| frame.level == level) else { return };
        let shown = value.filter(|value| !value.is_unit()).and_then(|value| Change::of("return", value, self.describe));
        if let (Some(shown), Some(here)) = (shown, frame.here) {
            self.tell(here, shown);
        }
    }

    fn step(&mut self, context: &EvalContext, level: usize, node: ASTNode, file: &str, at: Position) {
        while self.frames.last().is_some_and(|frame| frame.level > level) {
            self.frames.pop();
        }
        if let ASTNode::Stmt(Stmt::Noop(_)) = node {
            // The brace at which a function begins; any other is nothing.
            if self.frames.last().map_or(0, |frame| frame.level) < level {
                self.enter(context, level);
            }
            return;
        }
        // What is outside functions ran when the script was loaded.
        let (Some(frame), Some(line)) = (self.frames.last(), at.line()) else { return };
        let moved = frame.line != line;
        if moved || matches!(node, ASTNode::Stmt(_)) {
            self.compare(context);
        }
        self.arrive(file, line);
        if let Some(frame) = self.frames.last_mut() {
            frame.note(node, context.scope().len());
            self.reads.note(frame, node);
        }
    }

    fn enter(&mut self, context: &EvalContext, level: usize) {
        let stack = context.global_runtime_state().debugger().call_stack();
        let Some(call) = stack.last() else { return };
        let mut frame = Frame::new(level, function_name(&call.fn_name));
        frame.given = frame.begin(context.scope(), call.args.len(), self.describe);
        self.reads.enter(&mut frame, &call.fn_name, self.frames.is_empty());
        self.frames.push(frame);
    }

    /// Tells what the lines before have changed.
    fn compare(&mut self, context: &EvalContext) {
        let Some(frame) = self.frames.last_mut() else { return };
        let (changes, turn) = frame.compare(context.scope(), self.describe);
        let before = frame.here;
        if let Some(turn) = turn {
            // Another round of a loop: its own line stands there again, with what it set.
            let told = |step: &Step| step.changed.iter().any(|shown| turn.names.contains(&shown.text));
            let known = before
                .filter(|here| self.trace.steps.get(*here).is_some_and(|step| step.line == turn.line && !told(step)));
            if known.is_none() {
                self.arrive(&turn.file, turn.line);
            }
        }
        let Some(frame) = self.frames.last_mut() else { return };
        let places: Vec<_> = changes
            .into_iter()
            .map(|change| {
                let place = if change.by_loop { frame.here } else { frame.writers.remove(&change.name).or(before) };
                (place, change.shown)
            })
            .collect();
        for (place, shown) in places {
            if let (Some(place), Some(shown)) = (place, shown) {
                self.tell(place, shown);
            }
        }
    }

    /// The run is at this line of the innermost function.
    fn arrive(&mut self, file: &str, line: usize) {
        let depth = self.frames.len().saturating_sub(1);
        let Some(frame) = self.frames.last_mut() else { return };
        (frame.line, frame.file) = (line, file.to_owned());
        self.last = Some((file.to_owned(), line));
        let newest = self.trace.steps.last();
        let same = newest.is_some_and(|step| step.line == line && step.depth == depth && step.file == file);
        if same && frame.here.is_some() {
            return;
        }
        if self.trace.steps.len() == MAX_LINES {
            self.trace.cut = true;
            frame.here = None;
            return;
        }
        frame.here = Some(self.trace.steps.len());
        let (file, function, given) = (file.to_owned(), frame.function.clone(), std::mem::take(&mut frame.given));
        self.trace.steps.push(Step { file, line, depth, function, changed: Vec::new() });
        let here = self.trace.steps.len() - 1;
        given.into_iter().for_each(|shown| self.tell(here, shown));
    }

    fn tell(&mut self, place: usize, shown: Shown) {
        let bytes = shown.text.len() + shown.value.len();
        if self.bytes + bytes > MAX_BYTES {
            self.trace.cut = true;
            return;
        }
        let Some(step) = self.trace.steps.get_mut(place) else { return };
        self.bytes += bytes;
        match step.changed.iter_mut().find(|known| known.text == shown.text) {
            Some(known) => *known = shown,
            None => step.changed.push(shown),
        }
    }
}
