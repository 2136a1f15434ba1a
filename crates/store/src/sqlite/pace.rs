//! What the writer is at, and for how long: so that who is kept waiting can be told why.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

/// A write that takes longer holds others up.
const SLOW: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    doing: Doing,
    /// How long the last write took.
    last: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
enum Doing {
    #[default]
    Nothing,
    /// For the lock that every write takes. Somebody else may have it, who looks into the file or operates it.
    Waiting(Instant),
    Writing(Instant),
}

impl Pace {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A write waits for its turn. One that waited in vain before has waited since then.
    pub(super) fn wait(&self) {
        let mut state = self.state();
        if !matches!(state.doing, Doing::Waiting(_)) {
            state.doing = Doing::Waiting(Instant::now());
        }
    }

    pub(super) fn write(&self) {
        self.state().doing = Doing::Writing(Instant::now());
    }

    pub(super) fn done(&self) {
        let mut state = self.state();
        if let Doing::Writing(since) = state.doing {
            state.last = since.elapsed();
        }
        state.doing = Doing::Nothing;
    }

    /// What holds writes up now.
    pub(super) fn hindrance(&self) -> Option<String> {
        let state = self.state();
        let slow = |took: Duration| {
            let text = format!("the disk is slow: a write takes {:.1} s", took.as_secs_f64());
            Some(text).filter(|_| took > SLOW)
        };
        match state.doing {
            Doing::Waiting(since) if since.elapsed() > SLOW => {
                let waited = since.elapsed().as_secs();
                Some(format!("another program holds the lock of the store's file, for {waited} s by now"))
            }
            Doing::Writing(since) => slow(since.elapsed().max(state.last)),
            Doing::Waiting(_) | Doing::Nothing => slow(state.last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(pace: &Pace, doing: fn(Instant) -> Doing, ago: Duration) {
        pace.state().doing = doing(Instant::now().checked_sub(ago).expect("the machine has run for so long"));
    }

    #[test]
    fn it_says_what_holds_writes_up() {
        let pace = Pace::default();
        assert_eq!(pace.hindrance(), None);
        set(&pace, Doing::Waiting, Duration::from_secs(12));
        pace.wait();
        assert!(pace.hindrance().is_some_and(|text| text.contains("holds the lock") && text.contains("12 s")));
        pace.write();
        assert_eq!(pace.hindrance(), None, "it has the lock now");
        set(&pace, Doing::Writing, Duration::from_millis(3_100));
        assert!(pace.hindrance().is_some_and(|text| text.contains("the disk is slow") && text.contains("3.1 s")));
        pace.done();
        assert!(pace.hindrance().is_some_and(|text| text.contains("3.1 s")), "the last one was slow");
        pace.wait();
        pace.write();
        pace.done();
        assert_eq!(pace.hindrance(), None);
    }
}
