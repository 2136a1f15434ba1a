//! How far a run is, on one line of the terminal that goes away at its end. Nothing is shown of a run that is quick, and
//! nothing where no terminal is.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::cli::output;
use crate::cli::output::counted;

/// Nobody waits for a shorter run.
const WAIT: Duration = Duration::from_millis(300);
/// How often the line is written anew.
const EVERY: Duration = Duration::from_millis(100);

pub(super) struct Progress {
    total: usize,
    done: AtomicUsize,
    /// When the line is written next; `None` where nobody sees it.
    next: Option<Mutex<Instant>>,
    started: Instant,
}

impl Progress {
    pub(super) fn new(total: usize) -> Self {
        let started = Instant::now();
        let next = output::is_seen().then(|| Mutex::new(started + WAIT));
        Self { total, done: AtomicUsize::new(0), next, started }
    }

    /// One more is done. From any thread; never waits for another.
    pub(super) fn step(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let Some(Ok(mut next)) = self.next.as_ref().map(Mutex::try_lock) else { return };
        let now = Instant::now();
        if now >= *next {
            *next = now + EVERY;
            output::rewrite(&format!("{done}/{} …", counted(self.total, "test")));
        }
    }

    /// Takes the line away.
    pub(super) fn end(&self) {
        if self.next.is_some() && self.started.elapsed() >= WAIT {
            output::rewrite("");
        }
    }
}
