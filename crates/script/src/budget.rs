//! How much a run may use: operations, time, memory. Checked at every operation of the interpreter.
//!
//! The count is our own because Rhai's starts again inside every callback of a native function (`list.map(|x| …)`).
//! It lives in a thread-local, like the run itself.

use std::cell::Cell;
use std::time::{Duration, Instant};

use rhai::{Dynamic, EvalAltResult, Position};

use crate::allocator;
use crate::password::Ceilings;

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
    /// What verifying one password may take, see [`Ceilings`].
    pub password_ms: u64,
    pub password_memory_bytes: u64,
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
            password_ms: 1_500,
            password_memory_bytes: 128 * 1024 * 1024,
        }
    }
}

impl Limits {
    /// What verifying one password may take.
    pub(crate) fn ceilings(&self) -> Ceilings {
        Ceilings { time: Duration::from_millis(self.password_ms), memory_bytes: self.password_memory_bytes }
    }
}

/// What ended a run before its script did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    Operations,
    Deadline,
    Memory,
    /// A function was given a value that nests too deep.
    Levels,
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
    /// What the thread held when the run began, and the most that it may hold.
    base_bytes: Cell<i64>,
    max_bytes: Cell<i64>,
    /// What the thread had allocated at the last operation.
    allocated: Cell<u64>,
    tick: Cell<u64>,
    stopped: Cell<Option<Stopped>>,
}

thread_local! {
    static STATE: State = const {
        State {
            operations: Cell::new(u64::MAX),
            patience: Cell::new(u64::MAX),
            patience_until: Cell::new(None),
            deadline: Cell::new(None),
            base_bytes: Cell::new(0),
            max_bytes: Cell::new(i64::MAX),
            allocated: Cell::new(0),
            tick: Cell::new(0),
            stopped: Cell::new(None),
        }
    };
}

/// The clock is read at every 64th operation: reading it at each would double the cost of a loop. An operation that
/// allocates much, or runs while much is held, takes longer than others and counts as several.
const CLOCK_EVERY: u64 = 64;

/// So many bytes allocated count as one more operation for the clock: 256 KiB make it be read.
const BYTES_PER_TICK: u32 = 12;

/// So many bytes held by the run count as one more operation for the clock, at each operation.
const HELD_PER_TICK: u32 = 16;

/// Nanoseconds of a native function that are charged as one operation: about what an operation of the interpreter takes.
pub(crate) const NANOS_PER_OPERATION: u64 = 100;

/// A function that takes less is free: the operation that called it is charged anyway.
const FREE_NANOS: u64 = 2_000;

/// A function that takes longer is not begun on an async worker.
const WORKER_NANOS: u64 = 200_000;

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
pub(crate) fn leave_worker() -> Result<(), Box<EvalAltResult>> {
    STATE.with(|state| {
        if state.patience_until.get().is_none() {
            return Ok(());
        }
        Err(state.end(Stopped::Patience))
    })
}

/// For a native function that allocates, before it does: refuses more bytes than the run may still have.
///
/// # Errors
/// The memory limit would be passed: [`Stopped::Memory`]. No script can catch that.
pub(crate) fn reserve(bytes: u64) -> Result<(), Box<EvalAltResult>> {
    STATE.with(|state| {
        let wanted = i64::try_from(bytes).unwrap_or(i64::MAX);
        if allocator::thread_bytes().saturating_add(wanted) <= state.max_bytes.get() {
            return Ok(());
        }
        Err(state.end(Stopped::Memory))
    })
}

/// For a native function, before it begins: charges the time that it is expected to take, in nanoseconds, as operations.
/// Ends a run that is on an async worker if that is long, so that it starts again on a thread of its own.
///
/// # Errors
/// A limit is reached: operations, the deadline, or the patience of an async worker. No script can catch that.
pub fn charge(nanos: u64) -> Result<(), Box<EvalAltResult>> {
    if nanos < FREE_NANOS {
        return Ok(());
    }
    STATE.with(|state| {
        let stopped = if nanos > WORKER_NANOS && state.patience_until.get().is_some() {
            Some(Stopped::Patience)
        } else {
            state.take(nanos / NANOS_PER_OPERATION).or_else(|| state.check_clock(Duration::from_nanos(nanos)))
        };
        stopped.map_or(Ok(()), |stopped| Err(state.end(stopped)))
    })
}

/// For a native function that can stop in the middle, every few microseconds: charges what it has done since the last
/// time, in nanoseconds, and looks at the clock.
///
/// # Errors
/// As [`charge`].
pub(crate) fn advance(nanos: u64) -> Result<(), Box<EvalAltResult>> {
    STATE.with(|state| {
        let stopped = state.take(nanos / NANOS_PER_OPERATION).or_else(|| state.check_clock(Duration::ZERO));
        stopped.map_or(Ok(()), |stopped| Err(state.end(stopped)))
    })
}

/// Notes why the run ends, and gives what ends it.
pub(crate) fn end(why: Stopped) -> Box<EvalAltResult> {
    STATE.with(|state| state.end(why))
}

/// Ends the run at its next operation, for a function that may not fail. Nothing, if something has ended it already.
pub(crate) fn end_soon(why: Stopped) {
    STATE.with(|state| {
        if state.deadline.get().is_some() {
            state.stopped.set(state.stopped.get().or(Some(why)));
            state.operations.set(0);
        }
    });
}

/// Ends a run on purpose; no script can catch that.
pub(crate) fn ended() -> Box<EvalAltResult> {
    EvalAltResult::ErrorTerminated(Dynamic::UNIT, Position::NONE).into()
}

/// The engine's progress callback: `Some` ends the run.
pub(crate) fn on_operation() -> Option<Dynamic> {
    STATE.with(|state| {
        let stopped = state.step()?;
        state.stopped.set(state.stopped.get().or(Some(stopped)));
        Some(Dynamic::UNIT)
    })
}

impl State {
    fn of(budget: &Budget) -> Self {
        let memory = i64::try_from(budget.memory_bytes).unwrap_or(i64::MAX);
        let (held, allocated) = allocator::thread_counts();
        Self {
            operations: Cell::new(budget.operations),
            patience: Cell::new(budget.patience.map_or(u64::MAX, |(operations, _)| operations)),
            patience_until: Cell::new(budget.patience.map(|(_, until)| until)),
            deadline: Cell::new(Some(budget.deadline)),
            base_bytes: Cell::new(held),
            max_bytes: Cell::new(held.saturating_add(memory)),
            allocated: Cell::new(allocated),
            tick: Cell::new(0),
            stopped: Cell::new(None),
        }
    }

    fn swap(&self, other: &Self) {
        self.operations.swap(&other.operations);
        self.patience.swap(&other.patience);
        self.patience_until.swap(&other.patience_until);
        self.deadline.swap(&other.deadline);
        self.base_bytes.swap(&other.base_bytes);
        self.max_bytes.swap(&other.max_bytes);
        self.allocated.swap(&other.allocated);
        self.tick.swap(&other.tick);
        self.stopped.swap(&other.stopped);
    }

    fn end(&self, why: Stopped) -> Box<EvalAltResult> {
        self.stopped.set(self.stopped.get().or(Some(why)));
        ended()
    }

    fn step(&self) -> Option<Stopped> {
        if let Some(stopped) = self.take(1) {
            return Some(stopped);
        }
        let (held, allocated) = allocator::thread_counts();
        if held > self.max_bytes.get() {
            return Some(Stopped::Memory);
        }
        let fresh = allocated.wrapping_sub(self.allocated.replace(allocated)) >> BYTES_PER_TICK;
        let kept = held.saturating_sub(self.base_bytes.get()).max(0).unsigned_abs() >> HELD_PER_TICK;
        let tick = self.tick.get() + 1 + fresh + kept;
        if tick < CLOCK_EVERY {
            self.tick.set(tick);
            return None;
        }
        self.check_clock(Duration::ZERO)
    }

    /// Takes operations off what is left.
    fn take(&self, operations: u64) -> Option<Stopped> {
        let Some(left) = self.operations.get().checked_sub(operations) else {
            self.operations.set(0);
            return Some(Stopped::Operations);
        };
        self.operations.set(left);
        let Some(patience) = self.patience.get().checked_sub(operations) else { return Some(Stopped::Patience) };
        self.patience.set(patience);
        None
    }

    /// What the clock ends, now or if the run goes on for `ahead`.
    fn check_clock(&self, ahead: Duration) -> Option<Stopped> {
        self.tick.set(0);
        let deadline = self.deadline.get()?;
        let now = Instant::now();
        if now + ahead >= deadline {
            return Some(Stopped::Deadline);
        }
        self.patience_until.get().filter(|until| now >= *until).map(|_| Stopped::Patience)
    }
}
