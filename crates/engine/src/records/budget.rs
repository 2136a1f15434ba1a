//! How many records a second may bring, and who goes first.

use std::time::Instant;

use crate::records::Weight;
use hookgate_model::pressure::PerSecond;

/// A count that begins anew every second. Of its room, a quarter is left for what is urgent, and what was refused gets half.
pub(super) struct Budget {
    per_second: u32,
    count: PerSecond,
}

impl Budget {
    pub(super) fn new(per_second: u32) -> Self {
        Self { per_second, count: PerSecond::default() }
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
        self.count.take(u64::from(self.room(weight)), now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_urgent_has_room_when_nothing_else_has() {
        let budget = Budget::new(8);
        let now = budget.count.since();
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
