//! How much a run may use: operations, time, memory. Checked at every operation of the interpreter.
//!
//! The count is our own because Rhai's starts again inside every callback of a native function (`list.map(|x| …)`).
//! It lives in a thread-local, like the run itself.

use std::cell::Cell;
use std::time::Instant;

use rhai::{Dynamic, EvalAltResult, Position};

use crate::allocator;

/// The limits of one route or rule, all stated.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Limits {
    pub deadline_ms: u64,
    pub operations: u64,
    pub max_string_bytes: usize,
    pub max_array_items: usize,
    pub max_map_items: usize,
    pub memory_bytes: usize,
    pub call_depth: usize,
    pub concurrent: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline_ms: 2500,
            operations: 10_000_000,
            max_string_bytes: 1_048_576,
            max_array_items: 10_000,
            max_map_items: 10_000,
            memory_bytes: 67_108_864,
            call_depth: 32,
            concurrent: 256,
        }
    }
}

/// What ended a run before its script did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    Operations,
    Deadline,
    Memory,
    /// Not a limit of the script: it took longer than a call may hold an async worker, and is to be run again on a
    /// thread of its own. Scripts have no effects, so running one twice is safe.
    Patience,
    /// It asked something that has to be waited for, and is repeated with the answer.
    Asked,
}

/// What one run may use.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    pub operations: u64,
    pub deadline: Instant,
    pub memory_bytes: usize,
    /// Where [`Stopped::Patience`] ends the run: operations, and a time.
    pub patience: Option<(u64, Instant)>,
}

/// What is left. A cell each: an operation touches few of them.
struct State {
    operations: Cell<u64>,
    patience: Cell<u64>,
    patience_until: Cell<Option<Instant>>,
    deadline: Cell<Option<Instant>>,
    max_bytes: Cell<i64>,
    tick: Cell<u32>,
    stopped: Cell<Option<Stopped>>,
}

thread_local! {
    static STATE: State = const {
        State {
            operations: Cell::new(u64::MAX),
            patience: Cell::new(u64::MAX),
            patience_until: Cell::new(None),
            deadline: Cell::new(None),
            max_bytes: Cell::new(i64::MAX),
            tick: Cell::new(0),
            stopped: Cell::new(None),
        }
    };
}

/// The clock is read at every 64th operation: reading it at each would double the cost of a loop.
const CLOCK_EVERY: u32 = 64;

/// Runs `body` under `budget`; gives its result, what stopped it, and the number of operations used. Nests.
pub fn spend<R>(budget: &Budget, body: impl FnOnce() -> R) -> (R, Option<Stopped>, u64) {
    struct Restore(State);
    impl Drop for Restore {
        fn drop(&mut self) {
            STATE.with(|state| state.swap(&self.0));
        }
    }
    let own = State::of(budget);
    STATE.with(|state| state.swap(&own));
    // Now `own` holds what was there before.
    let restore = Restore(own);
    let result = body();
    let (stopped, left) = STATE.with(|state| (state.stopped.get(), state.operations.get()));
    drop(restore);
    (result, stopped, budget.operations - left)
}

/// For a function of the prelude that takes long and cannot be stopped, before it begins: ends a run that is on an async
/// worker, so that it starts again on a thread of its own, as one does whose patience is used up.
///
/// # Errors
/// The run is on an async worker. No script can catch that.
pub fn leave_worker() -> Result<(), Box<EvalAltResult>> {
    STATE.with(|state| {
        if state.patience_until.get().is_none() {
            return Ok(());
        }
        Err(state.end(Stopped::Patience))
    })
}

/// Notes why the run ends, and gives what ends it.
pub fn end(why: Stopped) -> Box<EvalAltResult> {
    STATE.with(|state| state.end(why))
}

/// Ends a run on purpose; no script can catch that.
pub fn ended() -> Box<EvalAltResult> {
    EvalAltResult::ErrorTerminated(Dynamic::UNIT, Position::NONE).into()
}

/// The engine's progress callback: `Some` ends the run.
pub fn on_operation() -> Option<Dynamic> {
    STATE.with(|state| {
        let stopped = state.step()?;
        state.stopped.set(state.stopped.get().or(Some(stopped)));
        Some(Dynamic::UNIT)
    })
}

impl State {
    fn of(budget: &Budget) -> Self {
        let memory = i64::try_from(budget.memory_bytes).unwrap_or(i64::MAX);
        Self {
            operations: Cell::new(budget.operations),
            patience: Cell::new(budget.patience.map_or(u64::MAX, |(operations, _)| operations)),
            patience_until: Cell::new(budget.patience.map(|(_, until)| until)),
            deadline: Cell::new(Some(budget.deadline)),
            max_bytes: Cell::new(allocator::thread_bytes().saturating_add(memory)),
            tick: Cell::new(0),
            stopped: Cell::new(None),
        }
    }

    fn swap(&self, other: &Self) {
        self.operations.swap(&other.operations);
        self.patience.swap(&other.patience);
        self.patience_until.swap(&other.patience_until);
        self.deadline.swap(&other.deadline);
        self.max_bytes.swap(&other.max_bytes);
        self.tick.swap(&other.tick);
        self.stopped.swap(&other.stopped);
    }

    fn end(&self, why: Stopped) -> Box<EvalAltResult> {
        self.stopped.set(self.stopped.get().or(Some(why)));
        ended()
    }

    fn step(&self) -> Option<Stopped> {
        let Some(operations) = self.operations.get().checked_sub(1) else { return Some(Stopped::Operations) };
        self.operations.set(operations);
        let Some(patience) = self.patience.get().checked_sub(1) else { return Some(Stopped::Patience) };
        self.patience.set(patience);
        if allocator::thread_bytes() > self.max_bytes.get() {
            return Some(Stopped::Memory);
        }
        let tick = self.tick.get().wrapping_add(1);
        self.tick.set(tick);
        if tick.is_multiple_of(CLOCK_EVERY) { self.check_clock() } else { None }
    }

    fn check_clock(&self) -> Option<Stopped> {
        let deadline = self.deadline.get()?;
        let now = Instant::now();
        if now >= deadline {
            return Some(Stopped::Deadline);
        }
        self.patience_until.get().filter(|until| now >= *until).map(|_| Stopped::Patience)
    }
}
