//! The time of the store: the wall clock at the start, and from then on time that only goes forward.
//!
//! A wall clock that is set while the gateway runs makes no job early or late. What was due before a restart is put right
//! when the store is opened.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::Millis;

/// Milliseconds since 1970 that never go back.
#[derive(Debug)]
pub struct Clock {
    wall: Millis,
    /// Nothing while it stands still.
    started: Option<Instant>,
    /// Tests set it forward.
    ahead: AtomicI64,
}

impl Clock {
    /// Starts with the time of the wall clock.
    pub fn start() -> Self {
        Self { wall: wall(), started: Some(Instant::now()), ahead: AtomicI64::new(0) }
    }

    /// A clock that stands still until it is set forward, for tests.
    #[cfg(test)]
    pub(crate) fn at(wall: Millis) -> Self {
        Self { wall, started: None, ahead: AtomicI64::new(0) }
    }

    pub fn now(&self) -> Millis {
        let elapsed =
            self.started.map_or(0, |since| Millis::try_from(since.elapsed().as_millis()).unwrap_or(Millis::MAX));
        self.wall.saturating_add(elapsed).saturating_add(self.ahead.load(Ordering::Relaxed))
    }

    /// Sets the clock forward, for tests of what happens later.
    pub fn advance(&self, by: std::time::Duration) {
        self.ahead.fetch_add(Millis::try_from(by.as_millis()).unwrap_or(Millis::MAX), Ordering::Relaxed);
    }
}

/// The wall clock.
pub fn wall() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}
