//! A refused bundle is not built again every few seconds. What it lacks may come without a change that anybody notices (a
//! secret, more time for its tests), so it is looked at again, but that must not cost more than calls do.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hookgate_model::finding::Finding;

/// What takes no longer may be tried at every look.
const QUICK: Duration = Duration::from_millis(500);
/// Else it is tried again after so many times what building and testing it took …
const REST: u32 = 20;
/// … and after this at the latest.
const LONGEST: Duration = Duration::from_mins(10);

/// What was refused last.
#[derive(Default)]
pub(super) struct Resting(Mutex<Option<Rest>>);

struct Rest {
    hash: String,
    /// Nothing: not before a file changes.
    until: Option<Instant>,
}

impl Resting {
    /// Whether this bundle is not to be built again yet.
    pub(super) fn has(&self, hash: &str) -> bool {
        let resting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        resting.as_ref().is_some_and(|rest| rest.hash == hash && rest.until.is_none_or(|until| Instant::now() < until))
    }

    /// Notes a bundle that was refused after so long.
    pub(super) fn keep(&self, hash: &str, took: Duration, findings: &[Finding]) {
        let is_ours = |finding: &Finding| matches!(finding.code, "release/panicked" | "release/crashed");
        let pause = if took < QUICK { Duration::ZERO } else { (took * REST).min(LONGEST) };
        let until = if findings.iter().any(is_ours) { None } else { Some(Instant::now() + pause) };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Rest { hash: hash.to_owned(), until });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_and_what_panics_rests() {
        let resting = Resting::default();
        let wrong = [Finding::error("script/syntax", "a", "m")];
        resting.keep("quick", QUICK / 2, &wrong);
        assert!(!resting.has("quick"));
        resting.keep("slow", QUICK, &wrong);
        assert!(resting.has("slow"));
        assert!(!resting.has("changed"));
        resting.keep("panics", Duration::ZERO, &[Finding::error("release/panicked", "a", "m")]);
        assert!(resting.has("panics"));
    }
}
