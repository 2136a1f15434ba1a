//! Whether more work comes than can be done, told by how much waits and for how long.
//!
//! A line that is merely long is no overload: a burst leaves a long line that gets shorter, and a hundred callers who each
//! wait for their answer leave a line of a hundred that stays so. Both are served. Overload is a line of more than
//! [`CROWD`] that still grows. From then on, until a second passes in which nothing had to be refused, the line is kept
//! short, and what does not fit is refused at once: so those who are let in wait for milliseconds, and the work that is done
//! is done for somebody who still listens.
//!
//! This module knows neither calls nor stores: [`Overload`] is the rule, [`Workers`] measures the line of the async runtime,
//! which cannot be asked how long it is.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

/// So much waiting work is never an overload.
pub(crate) const CROWD: usize = 128;
/// A crowd that is not smaller after this than it was at most is one.
const CONFIRM: Duration = Duration::from_millis(20);
/// An overload is over when nothing had to be refused for this long.
const CALM_AFTER: Duration = Duration::from_secs(1);

/// Whether one line of waiting work is overloaded. Times are given, so that tests need no clock.
pub struct Overload {
    origin: Instant,
    /// Nanoseconds since `origin` until which it lasts; 0 while there is none.
    until: AtomicU64,
    /// Whether `crowd` holds something; so that a short line takes no lock.
    crowded: AtomicBool,
    /// Since when more than [`CROWD`] wait, and how many did at most from then on.
    crowd: Mutex<Option<(Instant, usize)>>,
}

impl Default for Overload {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
            until: AtomicU64::new(0),
            crowded: AtomicBool::new(false),
            crowd: Mutex::default(),
        }
    }
}

impl Overload {
    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Says how many wait at `now`. Whether that is an overload.
    pub fn note(&self, waiting: usize, now: Instant) -> bool {
        if waiting <= CROWD {
            if self.crowded.load(Ordering::Relaxed) {
                let mut crowd = self.crowd.lock().unwrap_or_else(PoisonError::into_inner);
                *crowd = None;
                self.crowded.store(false, Ordering::Relaxed);
            }
            return self.is_on(now);
        }
        let mut crowd = self.crowd.lock().unwrap_or_else(PoisonError::into_inner);
        match *crowd {
            Some((since, most)) if now.saturating_duration_since(since) < CONFIRM => {
                *crowd = Some((since, most.max(waiting)));
            }
            Some((_, most)) if waiting >= most => {
                self.begin(now);
                *crowd = None;
                self.crowded.store(false, Ordering::Relaxed);
            }
            _ => {
                *crowd = Some((now, waiting));
                self.crowded.store(true, Ordering::Relaxed);
            }
        }
        drop(crowd);
        self.is_on(now)
    }

    /// There is an overload at `now`, or something was refused because of one: it lasts on.
    pub fn begin(&self, now: Instant) {
        let until = self.nanos(now + CALM_AFTER);
        // One write for many refusals: the line of the cache is read by all who come.
        if self.until.load(Ordering::Relaxed) + 10_000_000 < until {
            self.until.fetch_max(until, Ordering::Relaxed);
        }
    }

    /// Whether there is an overload at `now`.
    pub fn is_on(&self, now: Instant) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        until > 0 && self.nanos(now) < until
    }
}

/// Lets others run first, for the rest of this thread: 19 lets everybody, 0 nobody.
pub fn give_way(by: i32) {
    #[cfg(target_os = "linux")] // where it holds for the calling thread alone
    let _ = rustix::process::nice(by);
}

/// A count that begins anew every second.
pub struct PerSecond {
    since: Instant,
    /// The second it counts in, and the count: 32 bits each. Seconds fit into them for 136 years.
    state: AtomicU64,
}

impl Default for PerSecond {
    fn default() -> Self {
        Self { since: Instant::now(), state: AtomicU64::new(0) }
    }
}

impl PerSecond {
    /// Counts one more, if fewer than `most` were counted in the second of `now`. Says whether it did.
    pub fn take(&self, most: u64, now: Instant) -> bool {
        let second = now.saturating_duration_since(self.since).as_secs() & 0xffff_ffff;
        let step = |state: u64| {
            // What began a moment ago must not set the second back.
            let at = second.max(state >> 32);
            let count = if state >> 32 == at { state & 0xffff_ffff } else { 0 };
            (count < most).then_some(at << 32 | (count + 1))
        };
        self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).is_ok()
    }

    /// When it began.
    pub fn since(&self) -> Instant {
        self.since
    }
}

/// While the runtime is overloaded, the line of its tasks is to be no longer than this.
const SHORT: Duration = Duration::from_millis(2);
/// How many calls are let in from one measurement to the next while it is overloaded: at least, at first, and at most.
const LEAST: u64 = 4;
const FIRST: u64 = 16;
const MOST: u64 = 4_096;
/// To read a call and to write its answer costs the same whether it is refused or let in. Where that is most of what the
/// workers do, refusing makes nobody's line shorter, and takes the answer from those who are refused. So those who are let
/// in have this many hundredths of the workers' time, if they want it, however long the line is.
const SHARE: u64 = 75;
/// A line of the runtime shorter than this is no overload, however many stand in it.
const LONG: Duration = Duration::from_millis(10);
/// How often the line is measured, and how often during an overload.
const EVERY: Duration = Duration::from_millis(5);
const EVERY_IN_OVERLOAD: Duration = Duration::from_micros(500);

/// How long calls wait in the runtime before anything of ours sees them.
///
/// Scripts run on the threads that also read calls, so under load calls wait in the runtime's queue of ready tasks, and
/// that queue tells nobody its length. A task that puts itself at its end measures it: from there to its next turn it takes
/// as long as a call that became ready at that moment. It is sent only when calls come: an idle gateway does nothing.
#[derive(Default)]
pub struct Workers(Arc<Line>);

struct Line {
    origin: Instant,
    overload: Overload,
    /// Calls that came, ever.
    calls: AtomicU64,
    /// When the measuring task set out, in nanoseconds since `origin`, and how many calls had come by then; 0 while it rests.
    out_since: AtomicU64,
    calls_then: AtomicU64,
    /// Not before this it sets out again.
    next: AtomicU64,
    /// More than [`CROWD`] calls stood before it, and it took [`LONG`].
    crowded: AtomicBool,
    /// How many calls may be let in until it sets out again, and how many were; during an overload.
    window: AtomicU64,
    admitted: AtomicU64,
    /// Nanoseconds that workers were held by calls that were let in, since the last measurement; counted while there is a
    /// crowd or an overload.
    worked: AtomicU64,
    counts: AtomicBool,
    /// When it was last measured.
    measured: AtomicU64,
}

impl Default for Line {
    fn default() -> Self {
        let (overload, calls, out_since, calls_then, next, crowded, admitted) = Default::default();
        let (worked, counts, measured) = Default::default();
        let (origin, window) = (Instant::now(), AtomicU64::new(FIRST));
        Self {
            origin,
            overload,
            calls,
            out_since,
            calls_then,
            next,
            crowded,
            window,
            admitted,
            worked,
            counts,
            measured,
        }
    }
}

impl Workers {
    /// A call came at `now`. Whether it may be worked on; if not, it is to be refused with as little work as possible.
    /// Call it inside a runtime.
    pub fn admit(&self, now: Instant) -> bool {
        let line = &*self.0;
        let calls = line.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let at = line.nanos(now);
        let out_since = line.out_since.load(Ordering::Relaxed);
        if out_since == 0 {
            self.measure(at, calls);
        } else if line.crowded.load(Ordering::Relaxed) {
            // Not back yet: it is late already, and as many calls as last time came meanwhile.
            let ahead = calls.saturating_sub(line.calls_then.load(Ordering::Relaxed));
            if is_crowd(ahead, at.saturating_sub(out_since)) {
                line.overload.begin(now);
            }
        }
        line.admits(now)
    }

    /// Does the work of a call that was let in. How long it holds a worker says whether it helps to refuse others.
    pub async fn count<F: Future>(&self, mut work: Pin<&mut F>) -> F::Output {
        let line = &*self.0;
        poll_fn(|context| {
            if !line.counts.load(Ordering::Relaxed) {
                return work.as_mut().poll(context);
            }
            let began = Instant::now();
            let polled = work.as_mut().poll(context);
            line.worked.fetch_add(nanos(began.elapsed()), Ordering::Relaxed);
            polled
        })
        .await
    }

    /// Whether the runtime is overloaded.
    #[cfg(test)]
    pub(crate) fn is_overloaded(&self, now: Instant) -> bool {
        self.0.overload.is_on(now)
    }

    /// Sends the measuring task to the end of the line, if it is time.
    fn measure(&self, at: u64, calls: u64) {
        let line = &self.0;
        if at < line.next.load(Ordering::Relaxed) {
            return;
        }
        if line.out_since.compare_exchange(0, at.max(1), Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        line.calls_then.store(calls, Ordering::Relaxed);
        let line = Arc::clone(line);
        tokio::spawn(async move {
            let mut first = true;
            // A task that wakes itself stands behind all that are ready. A new one does not: it may be next.
            poll_fn(|context| {
                if !std::mem::take(&mut first) {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
            line.measured(Instant::now());
        });
    }
}

impl Line {
    fn nanos(&self, at: Instant) -> u64 {
        nanos(at.saturating_duration_since(self.origin))
    }

    fn admits(&self, now: Instant) -> bool {
        if !self.overload.is_on(now) {
            return true;
        }
        if self.admitted.fetch_add(1, Ordering::Relaxed) < self.window.load(Ordering::Relaxed) {
            return true;
        }
        self.overload.begin(now);
        false
    }

    /// The measuring task had its turn.
    fn measured(&self, now: Instant) {
        let at = self.nanos(now);
        let took = at.saturating_sub(self.out_since.load(Ordering::Relaxed));
        let calls = self.calls.load(Ordering::Relaxed).saturating_sub(self.calls_then.load(Ordering::Relaxed));
        let crowd = is_crowd(calls, took);
        if self.crowded.swap(crowd, Ordering::Relaxed) && crowd {
            self.overload.begin(now);
        }
        let time = at.saturating_sub(self.measured.swap(at, Ordering::Relaxed)).saturating_mul(workers());
        let share = self.worked.swap(0, Ordering::Relaxed).saturating_mul(100) / time.max(1);
        let is_on = self.overload.is_on(now);
        // What was not counted is taken for the larger part.
        let share = if self.counts.swap(crowd || is_on, Ordering::Relaxed) { share } else { 100 };
        let rest = if is_on {
            let came = self.admitted.swap(0, Ordering::Relaxed);
            let window = window(self.window.load(Ordering::Relaxed), came, took, share);
            self.window.store(window, Ordering::Relaxed);
            EVERY_IN_OVERLOAD
        } else {
            self.window.store(FIRST, Ordering::Relaxed);
            EVERY
        };
        self.next.store(at + nanos(rest), Ordering::Relaxed);
        self.out_since.store(0, Ordering::Relaxed);
    }
}

/// How many calls may be let in until the next measurement, when `window` could be until this one, so many `came`, it took
/// so many nanoseconds, and those that were let in had this `share` of the workers' time, in hundredths. It shrinks while the
/// line is too long and refusing makes it shorter. While it is short, it grows only if it was used up.
fn window(window: u64, came: u64, took: u64, share: u64) -> u64 {
    let is_long = took > nanos(SHORT);
    let next = if is_long && share >= SHARE {
        // In proportion, but by no more than half: one measurement may be an accident.
        let used = window.min(came);
        (used * nanos(SHORT) / took.max(1)).max(used / 2)
    } else if is_long {
        // Refusing did not help: soon nobody is refused.
        window * 4
    } else if came >= window {
        window + window / 4 + 1
    } else {
        window
    };
    next.clamp(LEAST, MOST)
}

/// How many threads the runtime works with.
fn workers() -> u64 {
    tokio::runtime::Handle::try_current().map_or(1, |runtime| runtime.metrics().num_workers() as u64)
}

fn is_crowd(calls: u64, took: u64) -> bool {
    calls > CROWD as u64 && took >= nanos(LONG)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
