//! Places where a test may end the process at once, as `kill -9` would, to see what is left of its work; or make it panic.
//!
//! It never does anything in a process that was not armed, and reads no environment: who starts the process arms it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

static ARMED: AtomicBool = AtomicBool::new(false);
static POINT: OnceLock<Point> = OnceLock::new();

struct Point {
    name: String,
    /// How often it is still passed, the last time counted in.
    left: AtomicU64,
}

/// Makes the process end at `name`, or with `name:N` the N-th time that it comes there. Only the first call counts.
pub fn arm(text: &str) {
    let (name, times) = match text.rsplit_once(':') {
        Some((name, times)) => (name, times.parse().unwrap_or(1)),
        None => (text, 1),
    };
    if !name.is_empty() && POINT.set(Point { name: name.to_owned(), left: AtomicU64::new(times) }).is_ok() {
        ARMED.store(true, Ordering::Release);
    }
}

/// Whether the process is to end at `name`.
pub fn is_armed(name: &str) -> bool {
    ARMED.load(Ordering::Relaxed) && POINT.get().is_some_and(|point| point.name == name)
}

/// Panics if the process was armed for this place: what a defect of the gateway would do. With `name:N` it does from the N-th
/// time on.
///
/// # Panics
/// So.
pub fn panic(name: &str) {
    let passed = || {
        let point = POINT.get()?;
        let passed = |left: u64| (left > 1).then(|| left - 1);
        point.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, passed).ok()
    };
    assert!(!is_armed(name) || passed().is_some(), "the failpoint `{name}` was reached");
}

/// Ends the process if it was armed for this subject at this place, as `name=subject`: for what one poisoned event does.
pub fn reach_with(name: &str, subject: &str) {
    let is_meant = |point: &Point| point.name.split_once('=') == Some((name, subject));
    if ARMED.load(Ordering::Relaxed) && POINT.get().is_some_and(is_meant) {
        std::process::abort();
    }
}

/// Ends the process if it was armed for this place.
pub fn reach(name: &str) {
    if is_armed(name) && POINT.get().is_some_and(|point| point.left.fetch_sub(1, Ordering::Relaxed) <= 1) {
        std::process::abort();
    }
}
