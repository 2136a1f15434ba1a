//! The time that an outside system has to answer, which does not run while this process does not.
//!
//! A process may stand still for minutes: it was stopped with a signal, its machine was moved or slept, its container was
//! frozen. All timers are over then, and tokio looks at them before it reads what came meanwhile. Whoever lets the timer win
//! takes an action that was done for one in doubt, and does it again. So a wait is made of short steps. A step that ends
//! much too late counts for nothing, and what lies in the sockets is read before the time is over.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout};

#[cfg(test)]
mod tests;

/// The longest step of a wait.
const STEP: Duration = Duration::from_millis(250);

/// A step that ends this much too late was not the other side's time.
const LATE: Duration = Duration::from_millis(50);

/// What there is at least after a pause, to read what came.
const AFTER_PAUSE: Duration = Duration::from_secs(1);

/// On a machine that is always late the time must end, too.
const MOST_PAUSES: u32 = 8;

/// What is left of a time.
#[derive(Debug)]
pub(crate) struct TimeLimit {
    left: Duration,
    pauses: u32,
}

/// There was no end within the time.
#[derive(Debug, PartialEq, Eq)]
pub struct TimeLimitExceeded;

impl TimeLimit {
    pub(crate) fn new(time: Duration) -> Self {
        Self { left: time, pauses: 0 }
    }

    /// Waits for the end of a piece of work. A next one has what this one left of the time.
    ///
    /// # Errors
    /// The time was over before.
    pub(crate) async fn wait_for<T>(&mut self, work: impl Future<Output = T>) -> Result<T, TimeLimitExceeded> {
        let mut work = pin!(work);
        loop {
            let (step, begun) = (self.left.min(STEP), Instant::now());
            let done = timeout(step, work.as_mut()).await;
            self.count(step, begun.elapsed());
            match done {
                Ok(done) => return Ok(done),
                Err(_) if self.left.is_zero() => return Err(TimeLimitExceeded),
                Err(_) => {}
            }
        }
    }

    fn count(&mut self, step: Duration, took: Duration) {
        if took > step + LATE && self.pauses < MOST_PAUSES {
            self.pauses += 1;
            self.left = self.left.max(AFTER_PAUSE);
        } else {
            self.left = self.left.saturating_sub(took);
        }
    }
}

/// Waits for the end of a piece of work for so long.
///
/// # Errors
/// The time was over before.
pub async fn within<T>(time: Duration, work: impl Future<Output = T>) -> Result<T, TimeLimitExceeded> {
    TimeLimit::new(time).wait_for(work).await
}
