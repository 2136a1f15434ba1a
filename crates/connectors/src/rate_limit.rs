//! How much of a provider's rate limit we use: a share of what others leave, counted per window.
//!
//! The provider tells of it in `x-rate-limit-remaining`, a number of requests, and `x-rate-limit-reset`, seconds since 1970.

use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;

/// How long a window lasts where nobody says it: those of most providers are a minute long.
pub(crate) const UNKNOWN_RESET: Duration = Duration::from_mins(1);

/// No window is longer; a reset beyond it is a wrong clock.
const LONGEST_RESET: Duration = Duration::from_mins(10);

/// Our requests in the window that the provider last told of.
pub(crate) struct Share {
    pub most: f64,
    /// When it ends, in seconds since 1970.
    window: i64,
    used: u64,
    /// What it allowed all, at our last request.
    all: u64,
}

impl Share {
    pub(crate) fn new(most: f64) -> Self {
        Self { most, window: 0, used: 0, all: 0 }
    }

    /// How much of our share is used, from 0 to 1; nothing before the first request and after the window.
    pub(crate) fn quota_used(&self) -> Option<f64> {
        #[allow(clippy::cast_precision_loss, reason = "rate limits are small")]
        let used = self.used as f64 / (self.most * self.all as f64);
        (self.window >= Timestamp::now().as_second() && self.all > 0).then_some(used.min(1.0))
    }

    /// Counts a request by the headers of its answer: how long to rest, if our share is used up.
    pub(crate) fn after(&mut self, headers: &HeaderMap) -> Option<Duration> {
        let remaining = number(headers, "x-rate-limit-remaining")?;
        let reset = number(headers, "x-rate-limit-reset")?;
        if reset != self.window {
            (self.window, self.used) = (reset, 0);
        }
        self.used += 1;
        let all = u64::try_from(remaining).unwrap_or(0) + self.used;
        self.all = all;
        #[allow(clippy::cast_precision_loss, reason = "rate limits are small")]
        let spent = self.used as f64 >= self.most * all as f64;
        (remaining <= 0 || spent).then(|| until_reset(headers).unwrap_or(UNKNOWN_RESET))
    }
}

/// How long until the window ends, by the provider's own clock where it says what time it is.
pub(crate) fn until_reset(headers: &HeaderMap) -> Option<Duration> {
    let reset = number(headers, "x-rate-limit-reset")?;
    let date = headers.get(http::header::DATE).and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date.trim()).ok());
    let now = date.unwrap_or_else(Timestamp::now).as_second();
    let left = Duration::from_secs(u64::try_from(reset.saturating_sub(now)).unwrap_or(0));
    Some(left.clamp(Duration::from_secs(1), LONGEST_RESET))
}

fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(remaining: i64, reset: i64) -> HeaderMap {
        let date = "Fri, 02 Jan 2026 03:04:05 GMT";
        let pairs = [("x-rate-limit-remaining", remaining.to_string()), ("x-rate-limit-reset", reset.to_string())];
        let pairs = pairs.into_iter().chain([("date", date.to_owned())]);
        pairs.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    const NOW: i64 = 1_767_323_045;

    #[test]
    fn a_quarter_of_the_window_is_used_and_no_more() {
        let mut share = Share::new(0.25);
        let rests: Vec<bool> = (1..=15).map(|used| share.after(&headers(60 - used, NOW + 30)).is_some()).collect();
        assert_eq!(rests.iter().position(|rest| *rest), Some(14), "the fifteenth of sixty: {rests:?}");
        assert!(share.after(&headers(59, NOW + 90)).is_none(), "a new window");
    }

    #[test]
    fn what_others_used_leaves_less() {
        let mut share = Share::new(0.25);
        assert_eq!(share.after(&headers(2, NOW + 30)), Some(Duration::from_secs(30)), "one request, and that is it");
        let mut all = Share::new(1.0);
        assert_eq!(all.after(&headers(1, NOW + 30)), None);
        assert_eq!(all.after(&headers(0, NOW + 30)), Some(Duration::from_secs(30)));
    }

    #[test]
    fn what_is_used_is_told_as_long_as_the_window_lasts() {
        let mut share = Share::new(0.25);
        assert_eq!(share.quota_used(), None, "nothing was asked yet");
        let (soon, past) = (Timestamp::now().as_second() + 30, Timestamp::now().as_second() - 1);
        for used in 1..=3 {
            share.after(&headers(60 - used, soon));
        }
        assert_eq!(share.quota_used(), Some(0.2), "three of fifteen");
        share.after(&headers(0, soon));
        assert_eq!(share.quota_used(), Some(1.0), "others used the rest");
        share.after(&headers(59, past));
        assert_eq!(share.quota_used(), None, "that window is over");
    }

    #[test]
    fn odd_headers_are_survived() {
        let mut share = Share::new(0.25);
        assert_eq!(share.after(&HeaderMap::new()), None, "nothing is known of a limit");
        assert_eq!(share.after(&headers(-5, NOW - 100)), Some(Duration::from_secs(1)));
        assert_eq!(share.after(&headers(0, i64::MAX)), Some(LONGEST_RESET));
        assert_eq!(share.after(&headers(i64::MAX, i64::MIN)), None);
    }
}
