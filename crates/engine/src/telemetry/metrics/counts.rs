//! Counters that differ in one label whose values are constants of the program.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

const SLOTS: usize = 24;

/// A counter for each value of a label. Finding one is comparing a few short texts: no lock, no hash.
///
/// Values are `&'static str`, so a caller cannot invent series; there is room for 24, and what comes after counts as
/// `other`.
#[derive(Default)]
pub struct Counts {
    slots: [Slot; SLOTS],
    other: AtomicU64,
}

#[derive(Default)]
struct Slot {
    value: OnceLock<&'static str>,
    count: AtomicU64,
}

impl Counts {
    /// Counts one.
    pub fn inc(&self, value: &'static str) {
        self.add(value, 1);
    }

    /// Counts so many.
    pub(crate) fn add(&self, value: &'static str, count: u64) {
        let slot = self.slots.iter().find(|slot| *slot.value.get_or_init(|| value) == value);
        slot.map_or(&self.other, |slot| &slot.count).fetch_add(count, Ordering::Relaxed);
    }

    /// Each value counted so far with its count.
    pub fn read(&self) -> Vec<(&'static str, u64)> {
        let known = self.slots.iter().map_while(|slot| Some((*slot.value.get()?, slot.count.load(Ordering::Relaxed))));
        let other = self.other.load(Ordering::Relaxed);
        known.chain((other > 0).then_some(("other", other))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_apart() {
        let counts = Counts::default();
        for value in ["answered", "fallback", "answered"] {
            counts.inc(value);
        }
        assert_eq!(counts.read(), [("answered", 2), ("fallback", 1)]);
    }

    #[test]
    fn values_beyond_the_room_are_still_counted() {
        const MANY: [&str; 26] = [
            "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u",
            "v", "w", "x", "y", "z",
        ];
        let counts = Counts::default();
        MANY.iter().for_each(|value| counts.inc(value));
        assert_eq!(counts.read().len(), SLOTS + 1);
        assert_eq!(counts.read().last(), Some(&("other", 2)));
    }
}
