//! How many records a second may bring, and who goes first.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::records::Weight;

/// A count that begins anew every second. Of its room, a quarter is left for what is urgent, and what was refused gets half.
pub(super) struct Budget {
    per_second: u32,
    since: Instant,
    /// The second it counts in, and the count: 32 bits each.
    state: AtomicU64,
}

impl Budget {
    pub(super) fn new(per_second: u32) -> Self {
        Self { per_second, since: Instant::now(), state: AtomicU64::new(0) }
    }

    fn room(&self, weight: Weight) -> u32 {
        match weight {
            Weight::Refused => self.per_second / 2,
            Weight::Plain => self.per_second - self.per_second / 4,
            Weight::Urgent => self.per_second,
        }
    }

    /// Takes one, if there is room for such.
    pub(super) fn take(&self, weight: Weight, now: Instant) -> bool {
        let second = now.saturating_duration_since(self.since).as_secs() & 0xffff_ffff;
        let room = u64::from(self.room(weight));
        let step = |state: u64| {
            let count = if state >> 32 == second { state & 0xffff_ffff } else { 0 };
            // A call that began to count a moment ago must not set the second back.
            let second = second.max(state >> 32);
            (count < room).then_some(second << 32 | (count + 1))
        };
        self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_urgent_has_room_when_nothing_else_has() {
        let budget = Budget::new(8);
        let now = budget.since;
        let takes = |weight, many: usize, at| (0..many).filter(|_| budget.take(weight, at)).count();
        assert_eq!(takes(Weight::Refused, 100, now), 4);
        assert_eq!(takes(Weight::Plain, 100, now), 2);
        assert_eq!(takes(Weight::Urgent, 100, now), 2);
        assert_eq!(takes(Weight::Urgent, 100, now + Duration::from_millis(999)), 0);
        assert_eq!(takes(Weight::Plain, 100, now + Duration::from_secs(1)), 6);
    }

    #[test]
    fn no_budget_admits_nothing() {
        let budget = Budget::new(0);
        assert!(!budget.take(Weight::Urgent, Instant::now()));
    }
}
