//! Who may wait for a slow thread: how many runs of a script there are at once, and how many may stand in line for one.
//!
//! A run that stands in line until its deadline and is given up then has held its caller's time and a place for nothing. So
//! whoever cannot have a turn in time hears so at once; and when more come than can be run, the line is kept as long as the
//! runs that are being made, so that who is let in waits about as long as a run takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

use hookgate_model::pressure::Overload;

/// The turns of one script on the slow threads.
pub(super) struct Turns {
    /// How many may run at once.
    most: usize,
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// How long a turn takes, in microseconds: an average in which the last eight count most. 0 while there was none.
    usual_us: AtomicU64,
    overload: Overload,
}

/// Why there is no turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoTurn {
    /// More come than can be run, or it would come too late: said at once.
    Crowded,
    /// None came before the deadline.
    Late,
}

/// A turn, until it is dropped.
pub(super) struct Turn {
    turns: Arc<Turns>,
    began: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Turns {
    pub(super) fn new(most: usize) -> Arc<Self> {
        let (free, waiting) = (Arc::new(Semaphore::new(most)), AtomicUsize::new(0));
        Arc::new(Self { most, free, waiting, usual_us: AtomicU64::new(0), overload: Overload::default() })
    }

    /// Waits for a turn. Whoever is `patient` waits until the deadline, whatever the line is like: nobody hears of it.
    pub(super) async fn take(self: &Arc<Self>, deadline: Instant, patient: bool) -> Result<Turn, NoTurn> {
        let taken = |permit| Turn { turns: self.clone(), began: Instant::now(), _permit: permit };
        if let Ok(permit) = self.free.clone().try_acquire_owned() {
            return Ok(taken(permit));
        }
        if !patient {
            self.join(Instant::now(), deadline)?;
        }
        let _place = Place::take(&self.waiting);
        let permit = timeout_at(deadline.into(), self.free.clone().acquire_owned()).await;
        permit.ok().and_then(Result::ok).map(taken).ok_or(NoTurn::Late)
    }

    /// Whether one more may stand in line.
    fn join(&self, now: Instant, deadline: Instant) -> Result<(), NoTurn> {
        let waiting = self.waiting.load(Ordering::Relaxed);
        if self.overload.note(waiting, now) && waiting >= self.most {
            self.overload.begin(now);
            return Err(NoTurn::Crowded);
        }
        // Its turn comes when those that run are done, half a turn from now, and those before it had theirs; then it takes its own.
        let usual = Duration::from_micros(self.usual_us.load(Ordering::Relaxed));
        let before = u32::try_from(waiting / self.most).unwrap_or(u32::MAX);
        let needed = usual.saturating_mul(before.saturating_add(1)) + usual / 2;
        if usual > Duration::ZERO && needed >= deadline.saturating_duration_since(now) {
            Err(NoTurn::Crowded)
        } else {
            Ok(())
        }
    }

    /// Whether a call that came now would be refused: so that nothing is done for it before.
    pub(super) fn is_crowded(&self, now: Instant) -> bool {
        let crowded = self.overload.is_on(now) && self.waiting.load(Ordering::Relaxed) >= self.most;
        if crowded {
            self.overload.begin(now);
        }
        crowded
    }

    fn ended(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        let usual = self.usual_us.load(Ordering::Relaxed);
        // Two that end at once may lose one of both: it is an average.
        let next = if usual == 0 { took } else { usual - usual / 8 + took / 8 };
        self.usual_us.store(next, Ordering::Relaxed);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.ended(self.began.elapsed());
    }
}

/// A place in line, until it is dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    /// Whether it waits: polled once, outside any runtime's turn.
    fn waits<F: Future>(future: &mut std::pin::Pin<&mut F>) -> bool {
        future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    #[tokio::test]
    async fn who_cannot_have_a_turn_in_time_hears_so_at_once() {
        let turns = Turns::new(2);
        turns.ended(Duration::from_millis(400));
        let deadline = Instant::now() + Duration::from_secs(1);
        let Ok(first) = turns.take(deadline, false).await else { panic!("free") };
        let Ok(_second) = turns.take(deadline, false).await else { panic!("free") };
        // Two more fit before the deadline: they begin after 200 ms and end at 600.
        let mut third = pin!(turns.take(deadline, false));
        let mut fourth = pin!(turns.take(deadline, false));
        assert!(waits(&mut third) && waits(&mut fourth));
        // The next two would end at 1000.
        assert_eq!(turns.take(deadline, false).await.err(), Some(NoTurn::Crowded));
        let mut patient = pin!(turns.take(deadline, true));
        assert!(waits(&mut patient), "whom nobody waits for is patient");
        drop(first);
        assert!(third.await.is_ok(), "in the order in which they came");
    }

    #[tokio::test]
    async fn a_line_that_grows_is_kept_as_short_as_the_runs_are_many() {
        let turns = Turns::new(2);
        let deadline = Instant::now() + Duration::from_secs(60);
        let _running = [turns.take(deadline, false).await.ok(), turns.take(deadline, false).await.ok()];
        let mut line: Vec<_> = (0..200).map(|_| Box::pin(turns.take(deadline, false))).collect();
        for waiting in &mut line {
            assert!(waits(&mut waiting.as_mut()), "a burst of 200 may wait");
        }
        std::thread::sleep(Duration::from_millis(25)); // not tokio's time: what is measured is real
        assert_eq!(turns.take(deadline, false).await.err(), Some(NoTurn::Crowded), "nobody left meanwhile");
        assert!(turns.is_crowded(Instant::now()));
        line.clear();
        assert!(!turns.is_crowded(Instant::now()), "the line is short: the next one may join");
        let mut next = pin!(turns.take(deadline, false));
        assert!(waits(&mut next));
    }
}
