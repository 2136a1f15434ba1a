//! The gate through which every verification of the process goes: as many at once as there are cores, twice as many that
//! wait, and the rest is told so.
//!
//! A verification holds its thread, and nothing can end it before it is done. So what bounds them is how many begin. Whoever
//! waits gives up when too little time is left for a verification of this cost, and not when no time is left at all: what it
//! would begin then nobody would wait for. Which of those who wait is next is not ordered; they wait for fractions of a
//! second.

use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::password::{Ceilings, MAX_PASSWORD_BYTES, Problem, Reason, Stored};

/// A number of places, and a number of those who may wait for one.
#[derive(Debug)]
pub(crate) struct Gate {
    places: usize,
    benches: usize,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    working: usize,
    waiting: usize,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'g>(&'g Gate);

/// How many verifications are in work at once: one per core, for they do nothing but compute.
pub(crate) fn at_once() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The gate of calls that somebody waits for. Twice as many wait as are in work: of the threads for slow scripts, four per
/// core, one per core stays free of passwords; and as one script may hold half of the threads, it leaves others a bench.
pub(crate) fn serving() -> &'static Gate {
    static GATE: LazyLock<Gate> = LazyLock::new(|| Gate::new(at_once(), 2 * at_once()));
    &GATE
}

/// The gate of tests of scripts: they run beside the calls on threads that give way to them, and must not hold their places.
/// No test is refused because others wait.
pub(crate) fn testing() -> &'static Gate {
    static GATE: LazyLock<Gate> = LazyLock::new(|| Gate::new(at_once(), usize::MAX));
    &GATE
}

impl Gate {
    pub(crate) fn new(places: usize, benches: usize) -> Self {
        Self { places: places.max(1), benches, state: Mutex::default(), freed: Condvar::new() }
    }

    /// Whether the password is the one of the hash. Waits for a turn, and takes the time that the hash costs.
    ///
    /// # Errors
    /// The password is too long, or so long that it makes this hash too costly; or no turn came before `deadline` less what
    /// the verification takes.
    pub(crate) fn verify(
        &self,
        stored: &Stored,
        password: &[u8],
        ceilings: Ceilings,
        deadline: Instant,
    ) -> Result<bool, Problem> {
        if password.len() > MAX_PASSWORD_BYTES {
            let text = format!("the password has more than {MAX_PASSWORD_BYTES} bytes");
            return Err(Problem::new(Reason::TooLong, text));
        }
        let cost = stored.cost(password.len()).check(ceilings)?;
        let _turn = self.turn(deadline.checked_sub(cost.time()).unwrap_or(deadline))?;
        Ok(stored.verify(password))
    }

    /// Takes a place. One that is free is given even if `latest` has passed.
    ///
    /// # Errors
    /// Too many wait already, or no place was free until `latest`.
    pub(crate) fn turn(&self, latest: Instant) -> Result<Turn<'_>, Problem> {
        let mut state = self.lock();
        if state.working < self.places {
            state.working += 1;
            return Ok(Turn(self));
        }
        if state.waiting >= self.benches {
            let text = format!("{} passwords are verified and {} wait already", state.working, state.waiting);
            return Err(Problem::new(Reason::Busy, text));
        }
        state.waiting += 1;
        let time = latest.saturating_duration_since(Instant::now());
        let waited = self.freed.wait_timeout_while(state, time, |state| state.working >= self.places);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        if state.working >= self.places {
            let text = "other passwords were verified until too little time was left".to_owned();
            return Err(Problem::new(Reason::Busy, text));
        }
        state.working += 1;
        Ok(Turn(self))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().working -= 1;
        self.0.freed.notify_one();
    }
}
