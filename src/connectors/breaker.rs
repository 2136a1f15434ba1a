//! A circuit breaker per connector: while the other side is down, its actions wait without using up their tries, and its
//! lookups fail at once.
//!
//! Opens after several failures in a row, and for as long as the other side asks for with `Retry-After`. Then one of them
//! goes through; if that fails, it opens again for longer.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures in a row that open it.
const FAILURES: u32 = 5;
/// How long it opens first; doubles up to [`MOST`].
const FIRST: Duration = Duration::from_secs(5);
const MOST: Duration = Duration::from_mins(5);

#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Closed again at this time, for one action.
    until: Option<Instant>,
    /// One action is out to see whether the other side is back.
    probing: bool,
    opened: u32,
}

/// How many actions may go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    All,
    /// To see whether the other side is back.
    One,
    /// None before this.
    NoneUntil(Instant),
}

impl Breaker {
    /// How many may go out now.
    pub fn room(&self, now: Instant) -> Room {
        let state = self.lock();
        match state.until {
            None => Room::All,
            Some(until) if now < until => Room::NoneUntil(until),
            Some(_) if state.probing => Room::NoneUntil(now + FIRST),
            Some(_) => Room::One,
        }
    }

    /// An action goes out.
    pub fn begin(&self) {
        let mut state = self.lock();
        state.probing = state.until.is_some();
    }

    /// What went out was given up before anything could be known.
    pub fn abandoned(&self) {
        self.lock().probing = false;
    }

    /// The other side answered, yes or no: it is there.
    pub fn answered(&self) {
        *self.lock() = State::default();
    }

    /// It could not be reached, or is in trouble. Whether this opened the breaker.
    pub fn failed(&self, now: Instant, retry_after: Option<Duration>) -> bool {
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(1);
        let was_probe = std::mem::take(&mut state.probing);
        let already_open = state.until.is_some_and(|until| now < until);
        if already_open && retry_after.is_none() {
            return false;
        }
        if let Some(wait) = retry_after {
            let until = now + wait.min(MOST);
            state.until = Some(state.until.map_or(until, |before| before.max(until)));
            return !already_open;
        }
        if state.failures < FAILURES && !was_probe {
            return false;
        }
        let wait = FIRST.saturating_mul(2_u32.saturating_pow(state.opened.min(16))).min(MOST);
        state.until = Some(now + wait);
        state.opened += 1;
        true
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_longer_each_time() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        for _ in 1..FAILURES {
            assert!(!breaker.failed(start, None));
            assert_eq!(breaker.room(start), Room::All);
        }
        assert!(breaker.failed(start, None));
        assert_eq!(breaker.room(start), Room::NoneUntil(start + FIRST));
        let later = start + FIRST;
        assert_eq!(breaker.room(later), Room::One);
        breaker.begin();
        assert!(matches!(breaker.room(later), Room::NoneUntil(_)), "one at a time");
        assert!(breaker.failed(later, None), "the probe failed");
        assert_eq!(breaker.room(later), Room::NoneUntil(later + 2 * FIRST));
        breaker.begin();
        breaker.answered();
        assert_eq!(breaker.room(later), Room::All);
    }

    #[test]
    fn an_answer_in_between_starts_the_count_anew() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..10 {
            (1..FAILURES).for_each(|_| assert!(!breaker.failed(now, None)));
            breaker.answered();
        }
        assert_eq!(breaker.room(now), Room::All);
    }

    #[test]
    fn a_retry_after_is_obeyed_at_once_and_bounded() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        assert!(breaker.failed(now, Some(Duration::from_secs(7))));
        assert_eq!(breaker.room(now), Room::NoneUntil(now + Duration::from_secs(7)));
        assert!(!breaker.failed(now, None), "others that were in work change nothing");
        breaker.failed(now, Some(Duration::from_hours(24)));
        assert_eq!(breaker.room(now), Room::NoneUntil(now + MOST));
    }
}
