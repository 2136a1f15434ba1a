//! A circuit breaker per connector: while the other side is down, its actions wait without using up their tries, and its
//! lookups fail at once.
//!
//! Opens after several failures in a row, and for as long as the other side asks for with `Retry-After`. Then one of them
//! goes through; if that fails, it opens again for longer.
//!
//! Only what the other side does counts. What waits in a queue of ours has not been asked. A question without an answer in its
//! time may be slow by itself: it keeps back questions of its own kind, and no others.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures in a row that open it.
const FAILURES: u32 = 5;
/// How long it opens first; doubles up to [`MOST`].
const FIRST: Duration = Duration::from_secs(5);
const MOST: Duration = Duration::from_mins(5);

/// Questions of so many kinds are told apart when they time out; of more, the oldest is forgotten.
const MOST_SLOW: usize = 32;

#[derive(Debug, Default)]
pub struct Breaker(Mutex<States>);

#[derive(Debug, Default)]
struct States {
    all: State,
    /// Kinds of questions that timed out since one of them was answered.
    slow: Vec<(u64, State)>,
}

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
        self.lock().all.room(now)
    }

    /// The same for questions of one kind ([`Question::class`](hookgate_model::question::Question::class)).
    pub fn room_for(&self, class: u64, now: Instant) -> Room {
        let states = self.lock();
        match states.all.room(now) {
            Room::All => states.slow.iter().find(|(own, _)| *own == class).map_or(Room::All, |(_, own)| own.room(now)),
            room => room,
        }
    }

    /// An action goes out.
    pub fn begin(&self) {
        self.lock().all.begin();
    }

    /// A question of this kind goes out.
    pub fn begin_for(&self, class: u64) {
        let mut states = self.lock();
        states.all.begin();
        states.slow_of(class).into_iter().for_each(State::begin);
    }

    /// What went out was given up before anything could be known of the other side.
    pub fn abandoned(&self) {
        self.lock().all.probing = false;
    }

    /// The same of a question of this kind.
    pub fn abandoned_for(&self, class: u64) {
        let mut states = self.lock();
        states.all.probing = false;
        states.slow_of(class).into_iter().for_each(|own| own.probing = false);
    }

    /// The other side answered, yes or no: it is there.
    pub fn answered(&self) {
        self.lock().all = State::default();
    }

    /// It answered a question of this kind.
    pub fn answered_for(&self, class: u64) {
        let mut states = self.lock();
        states.all = State::default();
        states.slow.retain(|(own, _)| *own != class);
    }

    /// It could not be reached, or is in trouble. Whether this opened the breaker.
    pub fn failed(&self, now: Instant, retry_after: Option<Duration>) -> bool {
        self.lock().all.failed(now, retry_after)
    }

    /// A question of this kind got no answer in its time, which may be because of the question: only those of its kind are
    /// kept back. Whether this opened the breaker for them.
    pub fn timed_out(&self, class: u64, now: Instant) -> bool {
        let mut states = self.lock();
        // It was to show whether the other side is back.
        if states.all.until.is_some() {
            return states.all.failed(now, None);
        }
        if states.slow_of(class).is_none() {
            if states.slow.len() >= MOST_SLOW {
                states.slow.remove(0);
            }
            states.slow.push((class, State::default()));
        }
        states.slow_of(class).is_some_and(|own| own.failed(now, None))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, States> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl States {
    fn slow_of(&mut self, class: u64) -> Option<&mut State> {
        self.slow.iter_mut().find(|(own, _)| *own == class).map(|(_, own)| own)
    }
}

impl State {
    fn room(&self, now: Instant) -> Room {
        match self.until {
            None => Room::All,
            Some(until) if now < until => Room::NoneUntil(until),
            Some(_) if self.probing => Room::NoneUntil(now + FIRST),
            Some(_) => Room::One,
        }
    }

    fn begin(&mut self) {
        self.probing = self.until.is_some();
    }

    fn failed(&mut self, now: Instant, retry_after: Option<Duration>) -> bool {
        self.failures = self.failures.saturating_add(1);
        let was_probe = std::mem::take(&mut self.probing);
        let already_open = self.until.is_some_and(|until| now < until);
        if already_open && retry_after.is_none() {
            return false;
        }
        if let Some(wait) = retry_after {
            let until = now + wait.min(MOST);
            self.until = Some(self.until.map_or(until, |before| before.max(until)));
            return !already_open;
        }
        if self.failures < FAILURES && !was_probe {
            return false;
        }
        let wait = FIRST.saturating_mul(2_u32.saturating_pow(self.opened.min(16))).min(MOST);
        self.until = Some(now + wait);
        self.opened += 1;
        true
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

    #[test]
    fn a_slow_question_keeps_back_those_of_its_kind_and_no_others() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 1..FAILURES {
            breaker.begin_for(1);
            assert!(!breaker.timed_out(1, now));
            breaker.begin_for(2);
            breaker.answered_for(2);
        }
        assert!(breaker.timed_out(1, now), "answers to others do not start its count anew");
        assert_eq!((breaker.room_for(1, now), breaker.room_for(2, now)), (Room::NoneUntil(now + FIRST), Room::All));
        assert_eq!(breaker.room(now), Room::All, "actions go out");
        let later = now + FIRST;
        assert_eq!(breaker.room_for(1, later), Room::One);
        breaker.begin_for(1);
        assert!(matches!(breaker.room_for(1, later), Room::NoneUntil(_)), "one at a time");
        breaker.abandoned_for(1);
        assert_eq!(breaker.room_for(1, later), Room::One);
        breaker.begin_for(1);
        breaker.answered_for(1);
        assert_eq!(breaker.room_for(1, later), Room::All);
    }

    #[test]
    fn kinds_of_slow_questions_are_few_and_a_probe_that_times_out_is_a_failure() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for class in 0..1_000 {
            for _ in 0..FAILURES {
                breaker.timed_out(class, now);
            }
        }
        assert_eq!(breaker.lock().slow.len(), MOST_SLOW);
        for _ in 0..FAILURES {
            breaker.failed(now, None);
        }
        let later = now + FIRST;
        breaker.begin_for(5_000);
        assert!(breaker.timed_out(5_000, later));
        assert_eq!(breaker.room(later), Room::NoneUntil(later + 2 * FIRST));
    }
}
