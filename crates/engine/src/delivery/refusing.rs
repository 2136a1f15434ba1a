//! Since when nothing that arrives can be kept. One that is kept ends it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For how long nothing may be kept before the gateway says that it is not ready: a full line for a moment is no outage.
const LONG: Duration = Duration::from_secs(5);

/// The last reason, and since when.
#[derive(Debug, Default)]
pub(super) struct Refusing(Mutex<Option<(Instant, String)>>);

impl Refusing {
    pub(super) fn kept(&self) {
        *self.lock() = None;
    }

    pub(super) fn refused(&self, why: String) {
        let mut refusing = self.lock();
        let since = refusing.as_ref().map_or_else(Instant::now, |(since, _)| *since);
        *refusing = Some((since, why));
    }

    /// Whether the last one that came was refused.
    pub(super) fn any(&self) -> bool {
        self.lock().is_some()
    }

    /// Why everything has been refused for a while, if it has.
    pub(super) fn lasting(&self, now: Instant) -> Option<String> {
        let refusing = self.lock();
        let (since, why) = refusing.as_ref()?;
        let time = now.saturating_duration_since(*since);
        (time > LONG).then(|| format!("deliveries have been refused for {} s: {why}", time.as_secs()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Instant, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lasts_counts_and_one_that_is_kept_ends_it() {
        let (refusing, now) = (Refusing::default(), Instant::now());
        let later = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(refusing.lasting(later(100)), None);
        refusing.refused("the first".to_owned());
        assert_eq!(refusing.lasting(later(4)), None, "for a moment");
        refusing.refused("the disk is slow".to_owned());
        assert_eq!(
            refusing.lasting(later(9)).as_deref(),
            Some("deliveries have been refused for 8 s: the disk is slow")
        );
        refusing.kept();
        assert_eq!((refusing.any(), refusing.lasting(later(100))), (false, None));
    }
}
