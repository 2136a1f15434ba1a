//! How a connection gets on: what it waits for, since when, and when to lose patience with it.
//!
//! hyper's own header time-out is not used: it counts silence between calls as slow headers, and it makes and drops a
//! timer for every call. Here one timer per connection looks at a few numbers. The same numbers tell which connection is
//! closed when a new one finds no place ([`Pace::claim`]).

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// What a connection waits for.
mod state {
    /// For the head of a call, or of the next one.
    pub(super) const HEAD: u8 = 0;
    /// For the rest of a body.
    pub(super) const BODY: u8 = 1;
    /// For the gateway: patience is our affair.
    pub(super) const ANSWER: u8 = 2;
}

/// How long a connection between two calls, or before its first one, is still listened to after the stop. What its other end
/// sends meanwhile is answered.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// How long each kind of waiting may take.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// From the start of the connection, or from the first byte of a call, to the end of the head.
    pub(super) header: Duration,
    /// Between two calls.
    pub(super) idle: Duration,
    /// While the other end takes nothing of an answer.
    pub(super) stalled: Duration,
}

/// All numbers are nanoseconds since `origin`, plus one; 0 is "not now". One task writes nearly all of them, and others only
/// look, so nothing has to be ordered.
pub(super) struct Pace {
    /// The same for all connections of a listener, so that their numbers can be compared.
    origin: Instant,
    state: AtomicU8,
    /// The first byte of the call that is being read or answered.
    began: AtomicU64,
    /// The end of the last call, or the start of the connection.
    rested: AtomicU64,
    /// Since when the other end takes nothing of what we write.
    stalled: AtomicU64,
    /// Whether a call of this connection was answered.
    answered: AtomicBool,
    /// Whether a call of this connection passed the check of its head.
    known: AtomicBool,
    /// Whether the body of the call was not read to its end.
    unread: AtomicBool,
    /// Since when no call follows the one that is in work, or the next one.
    draining: AtomicU64,
    evict: Notify,
}

impl Pace {
    pub(super) fn new(origin: Instant) -> Self {
        let pace = Self {
            origin,
            state: AtomicU8::new(state::HEAD),
            began: AtomicU64::new(0),
            rested: AtomicU64::new(0),
            stalled: AtomicU64::new(0),
            answered: AtomicBool::new(false),
            known: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            draining: AtomicU64::new(0),
            evict: Notify::new(),
        };
        pace.rested.store(pace.now(), Ordering::Relaxed);
        pace
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX - 1) + 1
    }

    fn instant(&self, nanos: u64) -> Instant {
        self.origin + Duration::from_nanos(nanos - 1)
    }

    /// Bytes came in.
    pub(super) fn bytes_arrived(&self) {
        if self.began.load(Ordering::Relaxed) == 0 {
            self.began.store(self.now(), Ordering::Relaxed);
        }
    }

    /// Bytes could go out, or there are none.
    pub(super) fn writes(&self) {
        if self.stalled.load(Ordering::Relaxed) != 0 {
            self.stalled.store(0, Ordering::Relaxed);
        }
    }

    /// The other end takes no more bytes at the moment.
    pub(super) fn stalls(&self) {
        if self.stalled.load(Ordering::Relaxed) == 0 {
            self.stalled.store(self.now(), Ordering::Relaxed);
        }
    }

    /// The head of a call is there. Returns when the call's first byte was: a pipelined call begins when its turn comes.
    pub(super) fn call_begins(&self, has_body: bool) -> Instant {
        self.bytes_arrived();
        self.state.store(state::ANSWER, Ordering::Relaxed);
        self.unread.store(has_body, Ordering::Relaxed);
        self.instant(self.began.load(Ordering::Relaxed))
    }

    /// The call passed the check of its head.
    pub(super) fn call_is_known(&self) {
        if !self.known.load(Ordering::Relaxed) {
            self.known.store(true, Ordering::Relaxed);
        }
    }

    /// The rest of the body has not arrived yet.
    pub(super) fn waits_for_body(&self) {
        self.state.store(state::BODY, Ordering::Relaxed);
    }

    /// More of the body arrived.
    pub(super) fn body_goes_on(&self) {
        self.state.store(state::ANSWER, Ordering::Relaxed);
    }

    /// The body was read to its end.
    pub(super) fn body_ends(&self) {
        self.unread.store(false, Ordering::Relaxed);
    }

    /// Whether the call was answered before its body was read: what is left must not be taken for the next call.
    pub(super) fn leaves_body(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    /// The answer was handed over to be written.
    pub(super) fn call_ends(&self) {
        self.state.store(state::HEAD, Ordering::Relaxed);
        self.began.store(0, Ordering::Relaxed);
        self.answered.store(true, Ordering::Relaxed);
        self.rested.store(self.now(), Ordering::Relaxed);
    }

    /// The listener stops: the next answer is the last one of this connection.
    pub(super) fn drain(&self) {
        self.draining.store(self.now(), Ordering::Relaxed);
    }

    pub(super) fn drains(&self) -> bool {
        self.draining.load(Ordering::Relaxed) != 0
    }

    /// Whether nothing of a call was read, and all of the last answer was taken.
    pub(super) fn is_idle(&self) -> bool {
        self.state.load(Ordering::Relaxed) == state::HEAD
            && self.began.load(Ordering::Relaxed) == 0
            && self.stalled.load(Ordering::Relaxed) == 0
    }

    /// `None`: close the connection. Otherwise when to ask again.
    pub(super) fn patience(&self, patience: Patience) -> Option<Instant> {
        let now = Instant::now();
        let draining = self.draining.load(Ordering::Relaxed);
        // Whatever begins right after this must still be caught in time, so look at least this often.
        let soon = if draining == 0 { patience.header.min(patience.stalled) } else { LAST_WORDS };
        let soon = now + soon;
        let stalled = self.stalled.load(Ordering::Relaxed);
        if stalled != 0 && self.instant(stalled) + patience.stalled <= now {
            return None;
        }
        if self.state.load(Ordering::Relaxed) != state::HEAD {
            return Some(soon);
        }
        let began = self.began.load(Ordering::Relaxed);
        let rested = self.rested.load(Ordering::Relaxed);
        let (since, limit) = match (began, self.answered.load(Ordering::Relaxed)) {
            (0, _) if draining != 0 => (rested.max(draining), LAST_WORDS),
            // Who says nothing at all gets no longer than who speaks slowly.
            (_, false) => (rested, patience.header.min(patience.idle)),
            (0, true) => (rested, patience.idle),
            (began, true) => (began, patience.header),
        };
        let deadline = self.instant(since) + limit;
        (deadline > now).then_some(deadline.min(soon))
    }

    /// How good a claim this connection has to its place, for [`Ord`]: the lowest loses it first. `None`: the gateway works on
    /// its call, so it keeps its place.
    ///
    /// Who never showed a good head has less of a claim than who did; then who has been waited for longer.
    pub(super) fn claim(&self) -> Option<(bool, u64)> {
        if self.state.load(Ordering::Relaxed) == state::ANSWER {
            return None;
        }
        let began = self.began.load(Ordering::Relaxed);
        let since = if began != 0 { began } else { self.rested.load(Ordering::Relaxed) };
        Some((self.known.load(Ordering::Relaxed), since))
    }

    /// Asks the connection to close, unless it gets a call first.
    pub(super) fn evict(&self) {
        self.evict.notify_one();
    }

    /// Resolves when the connection is to close for a new one.
    pub(super) async fn evicted(&self) {
        loop {
            self.evict.notified().await;
            if self.state.load(Ordering::Relaxed) != state::ANSWER {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        header: Duration::from_millis(20),
        idle: Duration::from_secs(600),
        stalled: Duration::from_secs(600),
    };

    /// A connection whose last change was this long ago.
    fn aged(change: impl FnOnce(&Pace)) -> Pace {
        let pace = Pace::new(Instant::now());
        change(&pace);
        std::thread::sleep(Duration::from_millis(30));
        pace
    }

    #[test]
    fn only_who_was_answered_may_be_silent() {
        assert!(aged(|_| {}).patience(PATIENCE).is_none(), "nothing was ever sent");
        assert!(aged(Pace::bytes_arrived).patience(PATIENCE).is_none(), "a slow head");
        let answered = |pace: &Pace| {
            pace.call_begins(false);
            pace.call_ends();
        };
        assert!(aged(answered).patience(PATIENCE).is_some());
        let next = aged(|pace| {
            answered(pace);
            pace.bytes_arrived();
        });
        assert!(next.patience(PATIENCE).is_none(), "a slow head after an answer");
        let works = |pace: &Pace| _ = pace.call_begins(true);
        assert!(aged(works).patience(PATIENCE).is_some());
    }

    #[test]
    fn at_the_stop_who_is_silent_gets_a_moment_and_who_has_begun_the_usual_time() {
        let long = Patience { header: Duration::from_secs(600), ..PATIENCE };
        let idle = aged(|pace| {
            pace.call_begins(false);
            pace.call_ends();
        });
        idle.drain();
        let asked = idle.patience(long).expect("it has just begun");
        assert!(asked <= Instant::now() + LAST_WORDS && idle.is_idle());
        std::thread::sleep(LAST_WORDS);
        assert!(idle.patience(long).is_none());
        idle.bytes_arrived();
        assert!(idle.patience(long).is_some() && !idle.is_idle(), "a call arrives");
    }

    #[test]
    fn who_takes_no_answer_is_closed_even_while_we_work() {
        let short = Patience { stalled: Duration::from_millis(10), ..PATIENCE };
        let pace = aged(|pace| {
            pace.call_begins(false);
            pace.stalls();
        });
        assert!(pace.patience(short).is_none());
        pace.writes();
        assert!(pace.patience(short).is_some());
    }

    #[test]
    fn strangers_lose_their_place_first_and_who_is_being_answered_never() {
        let origin = Instant::now();
        let (known, old, new, busy) = (Pace::new(origin), Pace::new(origin), Pace::new(origin), Pace::new(origin));
        known.call_begins(false);
        known.call_is_known();
        known.call_ends();
        old.rested.store(5, Ordering::Relaxed);
        new.rested.store(9, Ordering::Relaxed);
        known.rested.store(1, Ordering::Relaxed);
        busy.call_begins(true);
        assert!(old.claim() < new.claim() && new.claim() < known.claim());
        assert_eq!(busy.claim(), None);
        busy.waits_for_body();
        assert!(busy.claim().is_some(), "a body that is waited for is no work of ours");
    }
}
