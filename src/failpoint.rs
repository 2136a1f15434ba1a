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

/// Panics if the process was armed for this place: what a defect of the gateway would do.
///
/// # Panics
/// So.
pub fn panic(name: &str) {
    assert!(!is_armed(name), "the failpoint `{name}` was reached");
}

/// Ends the process if it was armed for this place.
pub fn reach(name: &str) {
    if is_armed(name) && POINT.get().is_some_and(|point| point.left.fetch_sub(1, Ordering::Relaxed) <= 1) {
        std::process::abort();
    }
}
