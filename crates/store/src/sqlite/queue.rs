//! What waits for the writer. Bounded: when it is full, whoever comes hears so at once.
//!
//! What arrives from outside goes before other work, because somebody waits for the answer with seconds to spare; but other
//! work always gets a share of each batch, or jobs would never end under load.

use std::collections::VecDeque;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use crate::StoreError;
use crate::sqlite::work::Work;
use hookgate_model::pressure::Overload;

/// How many pieces of work may wait, of either kind, and how many bytes of bodies arrivals may bring.
const MOST: usize = 4096;
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// How many are done in one transaction, and how many of them are kept for what did not arrive from outside.
const BATCH: usize = 256;
const SHARE: usize = 64;
/// A batch takes no more work when its bodies come to this.
const BATCH_BYTES: usize = 1024 * 1024;
/// While the first in line has waited longer, nobody may join it. Callers are more patient than this, so that who may join is
/// answered in time: a line as long as their patience would give everybody an answer just too late.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Which line a piece of work stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Somebody outside waits for it.
    Arrival,
    Other,
}

#[derive(Default)]
pub(super) struct Queue {
    lines: Mutex<Lines>,
    changed: Condvar,
    overload: Overload,
}

#[derive(Default)]
struct Lines {
    arrivals: VecDeque<(Instant, Box<dyn Work>)>,
    arrivals_bytes: usize,
    others: VecDeque<Box<dyn Work>>,
    closed: bool,
}

/// While more arrives than can be kept, this many arrivals may wait: enough for a commit that is worth its sync, and so few
/// that who waits is answered after two commits.
const SHORT: usize = 64;

/// What the writer gets when it asks.
pub(super) enum Next {
    Batch(Vec<Box<dyn Work>>),
    /// Nothing came in time.
    Idle,
    /// Nothing will come any more.
    Closed,
}

impl Queue {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, line: Line, work: Box<dyn Work>) -> Result<(), StoreError> {
        let mut lines = self.lines();
        if lines.closed {
            return Err(StoreError::Closed);
        }
        match line {
            Line::Arrival => {
                let now = Instant::now();
                if self.overload.note(lines.arrivals.len(), now) && lines.arrivals.len() >= SHORT {
                    self.overload.begin(now);
                    return Err(StoreError::Busy);
                }
                let late = lines.arrivals.front().is_some_and(|(since, _)| since.elapsed() > LONGEST_WAIT);
                // A body of any size may come while nothing waits.
                let heavy = !lines.arrivals.is_empty() && lines.arrivals_bytes + work.bytes() > MOST_BYTES;
                if late || heavy || lines.arrivals.len() >= MOST {
                    return Err(StoreError::Busy);
                }
                lines.arrivals_bytes += work.bytes();
                lines.arrivals.push_back((now, work));
            }
            Line::Other if lines.others.len() >= MOST => return Err(StoreError::Busy),
            Line::Other => lines.others.push_back(work),
        }
        drop(lines);
        self.changed.notify_one();
        Ok(())
    }

    /// Whether an arrival that came now would be refused because more arrive than can be kept.
    pub(super) fn is_crowded(&self) -> bool {
        let now = Instant::now();
        // Without an overload nobody takes the lock.
        let crowded = self.overload.is_on(now) && self.lines().arrivals.len() >= SHORT;
        if crowded {
            self.overload.begin(now);
        }
        crowded
    }

    /// Waits for work, and takes what may go into one transaction.
    pub(super) fn next(&self, patience: Duration) -> Next {
        let lines = self.lines();
        let waiting = |lines: &mut Lines| lines.arrivals.is_empty() && lines.others.is_empty() && !lines.closed;
        let waited = self.changed.wait_timeout_while(lines, patience, waiting);
        let (mut lines, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let batch = lines.take(self.overload.is_on(Instant::now()));
        if !batch.is_empty() {
            Next::Batch(batch)
        } else if lines.closed {
            Next::Closed
        } else {
            Next::Idle
        }
    }

    /// Refuses what comes from now on. What waits is still done.
    pub(super) fn close(&self) {
        self.lines().closed = true;
        self.changed.notify_all();
    }

    /// Refuses what comes and drops what waits: the writer is gone.
    pub(super) fn abandon(&self) {
        let mut lines = self.lines();
        lines.closed = true;
        lines.arrivals.clear();
        lines.arrivals_bytes = 0;
        lines.others.clear();
    }
}

impl Lines {
    /// What goes into the next transaction. While more arrives than can be kept, other work gets no more of it than arrivals
    /// do: short lines of arrivals would leave it all the room.
    fn take(&mut self, overloaded: bool) -> Vec<Box<dyn Work>> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let most = BATCH - self.others.len().min(SHARE);
        while batch.len() < most && bytes < BATCH_BYTES {
            let Some((_, work)) = self.arrivals.pop_front() else { break };
            self.arrivals_bytes -= work.bytes();
            // Who gave up was told to come again: what they brought then is kept once, and not before somebody hears of it.
            if work.is_abandoned() {
                continue;
            }
            bytes += work.bytes();
            batch.push(work);
        }
        let least = batch.len() + SHARE;
        let most = if overloaded { (2 * batch.len()).max(least).min(BATCH) } else { BATCH };
        while batch.len() < most && (bytes < BATCH_BYTES || batch.len() < least) {
            let Some(work) = self.others.pop_front() else { break };
            bytes += work.bytes();
            batch.push(work);
        }
        batch
    }
}
