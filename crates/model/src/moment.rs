//! Times and lengths of time as people write them, and times as programs read them. Knows no clock.

use std::fmt;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Unit};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// The longest length that is accepted: about a century keeps every sum with a date in range.
const MAX_SECONDS: i64 = 100 * 366 * 86_400;

/// A day in milliseconds.
const DAY: i64 = 86_400_000;

/// A time, or how long ago.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum When {
    At(Timestamp),
    Ago(SignedDuration),
    /// The last time that clocks of UTC showed this.
    Clock(Time),
}

impl When {
    /// In milliseconds since 1970; an age counts from `now`.
    pub fn millis(self, now: i64) -> i64 {
        match self {
            Self::At(time) => time.as_millisecond(),
            Self::Ago(age) => now.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)),
            Self::Clock(time) => {
                let of_day = time.since(Time::midnight()).and_then(|span| span.total(Unit::Millisecond));
                let at = now - now.rem_euclid(DAY) + of_day.map_or(0, |millis| millis as i64);
                if at > now { at - DAY } else { at }
            }
        }
    }
}

/// As it can be read again.
impl fmt::Debug for When {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(time) => write!(formatter, "{time}"),
            Self::Ago(age) => write!(formatter, "{}ms", age.as_millis()),
            Self::Clock(time) => write!(formatter, "{time}"),
        }
    }
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        when(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// The forms of [`when`], but for sums of lengths, other offsets and the last days of months.
const PATTERN: &str = r"^([0-9]{1,4}(ms|s|m|h|d|w)|20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)?)$";

impl PartialSchema for When {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).pattern(Some(PATTERN)).into()
    }
}

impl ToSchema for When {}

/// A time as somebody writes it: RFC 3339, a date (its beginning in UTC), a date with a time of UTC or such a time alone (as
/// pages print them), or an age.
///
/// # Errors
/// It is none of them; how to write it.
pub fn when(written: &str) -> Result<When, String> {
    if let Ok(time) = written.parse::<Timestamp>() {
        return Ok(When::At(time));
    }
    if let Ok(date) = written.parse::<Date>()
        && written.len() == 10
        && let Ok(zoned) = date.to_zoned(TimeZone::UTC)
    {
        return Ok(When::At(zoned.timestamp()));
    }
    if written.as_bytes().get(10) == Some(&b' ')
        && let Ok(date) = written.parse::<DateTime>()
        && let Ok(zoned) = date.to_zoned(TimeZone::UTC)
    {
        return Ok(When::At(zoned.timestamp()));
    }
    if written.contains(':')
        && let Ok(time) = written.parse::<Time>()
    {
        return Ok(When::Clock(time));
    }
    let wrong = || {
        format!("`{written}` is neither a time (`2026-03-02T08:30:00Z`), a date (`2026-03-02`) nor an age (`2h`, `7d`)")
    };
    length(written).map(When::Ago).map_err(|_| wrong())
}

/// Reads `90s`, `15m`, `2h`, `7d`, `2w`, `500ms` or a sum such as `1h30m`. A day is 24 hours.
///
/// # Errors
/// What is wrong and how to write it.
pub fn length(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("`{text}` is not a length of time: write `90s`, `15m`, `2h`, `7d` or `1h30m`");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total = SignedDuration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let count: i64 = rest[..digits].parse().map_err(|_| wrong())?;
        let tail = &rest[digits..];
        let unit = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        total = scale(count, &tail[..unit])
            .and_then(|part| total.checked_add(part))
            .filter(|total| total.as_secs() <= MAX_SECONDS)
            .ok_or_else(wrong)?;
        rest = tail[unit..].trim_start();
    }
    Ok(total)
}

fn scale(count: i64, unit: &str) -> Option<SignedDuration> {
    let seconds = match unit {
        "ms" => return Some(SignedDuration::from_millis(count)),
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return None,
    };
    count.checked_mul(seconds).map(SignedDuration::from_secs)
}

/// A time of the store, to the second: `2026-03-02T08:30:00Z`.
pub fn to_the_second(millis: i64) -> String {
    Timestamp::from_millisecond(millis).map_or_else(|_| format!("{millis} ms"), |time| format!("{time:.0}"))
}

/// A time of the store or of a record, to the millisecond: `2026-03-02T08:30:00.000Z`.
pub fn exact(millis: i64) -> String {
    Timestamp::from_millisecond(millis).map_or_else(|_| format!("{millis} ms"), |time| format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_add_up() {
        for (text, seconds) in
            [("90s", 90), ("15m", 900), ("2h", 7_200), ("7d", 604_800), ("1h30m", 5_400), ("1h 5s", 3_605), ("0s", 0)]
        {
            assert_eq!(length(text), Ok(SignedDuration::from_secs(seconds)), "{text}");
        }
        assert_eq!(length("500ms"), Ok(SignedDuration::from_millis(500)));
    }

    #[test]
    fn what_is_no_length_names_itself() {
        for text in
            ["", "5", "m", "5 minutes", "-5m", "1.5h", "2y", "99999999999999999999s", "9223372036854775807w", "200000d"]
        {
            let message = length(text).expect_err(text);
            assert!(message.contains(&format!("`{text}`")) && message.contains("1h30m"), "{message}");
        }
    }

    #[test]
    fn a_moment_is_a_time_a_date_or_an_age() {
        let day = 86_400_000;
        let now = 10 * day;
        for (written, millis) in [
            ("7d", 3 * day),
            ("1970-01-03T00:00:00Z", 2 * day),
            ("1970-01-03T01:00:00+01:00", 2 * day),
            ("1970-01-03", 2 * day),
            ("1970-01-03 01:00:00", 2 * day + 3_600_000),
            ("1970-01-03 01:00", 2 * day + 3_600_000),
            ("00:00:00", 10 * day),
            ("08:30:05", 9 * day + 30_605_000),
            ("08:30", 9 * day + 30_600_000),
        ] {
            assert_eq!(when(written).map(|when| when.millis(now)), Ok(millis), "{written}");
        }
        for wrong in ["yesterday", "7", "2026-3-2", "2026-13-01", "2026-03-02T", "20260302", "25:00", "8:3", ""] {
            assert!(when(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn dates_beyond_the_calendar_are_still_told() {
        assert_eq!(exact(1_500), "1970-01-01T00:00:01.500Z");
        assert_eq!(exact(i64::MAX), format!("{} ms", i64::MAX));
        assert_eq!(to_the_second(1_500), "1970-01-01T00:00:01Z");
        assert_eq!(to_the_second(i64::MAX), format!("{} ms", i64::MAX));
    }
}
