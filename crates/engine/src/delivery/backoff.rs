//! When to try again: exponential, with full jitter, and never before the other side said.

use std::time::Duration;

use hookgate_connectors::Retry;
use hookgate_store::Millis;

/// Chance may not make tries follow each other without a pause.
const LEAST: Duration = Duration::from_millis(50);

/// How long to wait before the next try, after `attempts` tries of something asked for at `created`; nothing when it is to
/// be given up. `at_least` is what the other side asked for.
pub(crate) fn next(
    retry: &Retry,
    attempts: u32,
    created: Millis,
    now: Millis,
    at_least: Option<Duration>,
) -> Option<Duration> {
    if attempts >= retry.attempts {
        return None;
    }
    let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1).min(31));
    let ceiling = retry.first.saturating_mul(doubled).min(retry.most);
    let chance = ceiling.mul_f64(fastrand::f64()).max(LEAST);
    let wait = chance.max(at_least.unwrap_or(Duration::ZERO));
    let age = Duration::from_millis(u64::try_from(now.saturating_sub(created)).unwrap_or(0));
    (age + wait <= retry.give_up).then_some(wait)
}

/// How long to wait for something that is given a `rest`; nothing when it is given up before that. Who waits for the same does not
/// come back all at once.
pub(crate) fn rest(retry: &Retry, created: Millis, now: Millis, rest: Duration) -> Option<Duration> {
    let wait = rest.max(LEAST).mul_f64(1.0 + fastrand::f64() / 4.0);
    let age = Duration::from_millis(u64::try_from(now.saturating_sub(created)).unwrap_or(0));
    (age + wait <= retry.give_up).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Retry = Retry {
        attempts: 5,
        first: Duration::from_secs(1),
        most: Duration::from_secs(3),
        give_up: Duration::from_secs(100),
    };

    #[test]
    fn waits_are_chance_below_a_ceiling_that_doubles() {
        for (attempts, ceiling) in [(1, 1.0), (2, 2.0), (3, 3.0), (4, 3.0)] {
            let waits: Vec<f64> = (0..500).map(|_| next(&RETRY, attempts, 0, 0, None).unwrap().as_secs_f64()).collect();
            assert!(waits.iter().all(|wait| (0.05..=ceiling).contains(wait)), "after {attempts}");
            let mean = waits.iter().sum::<f64>() / 500.0;
            assert!((mean - ceiling / 2.0).abs() < ceiling / 8.0, "full jitter: {mean} after {attempts}");
        }
    }

    #[test]
    fn what_was_asked_for_is_waited_for() {
        let wait = next(&RETRY, 1, 0, 0, Some(Duration::from_secs(30))).unwrap();
        assert_eq!(wait, Duration::from_secs(30));
    }

    #[test]
    fn a_rest_is_waited_for_as_long_as_it_is_not_given_up() {
        let ten = Duration::from_secs(10);
        for _ in 0..500 {
            let wait = rest(&RETRY, 0, 0, ten).unwrap().as_secs_f64();
            assert!((10.0..=12.5).contains(&wait), "{wait}");
        }
        assert!(rest(&RETRY, 0, 87_000, ten).is_some());
        assert_eq!(rest(&RETRY, 0, 90_001, ten), None);
    }

    #[test]
    fn it_is_given_up_after_its_tries_or_its_time() {
        assert_eq!(next(&RETRY, 5, 0, 0, None), None);
        assert!(next(&RETRY, 4, 0, 90_000, None).is_some());
        assert_eq!(next(&RETRY, 1, 0, 100_001, None), None);
        assert_eq!(next(&RETRY, 1, 0, 0, Some(Duration::from_secs(101))), None, "not before it would be given up");
        assert!(next(&RETRY, 1, 10_000, 0, None).is_some(), "a clock that was set back is no age");
        let huge = Retry { attempts: u32::MAX, most: Duration::MAX, ..RETRY };
        assert!(next(&huge, 4_000_000, 0, 0, None).is_none(), "no overflow");
    }
}
