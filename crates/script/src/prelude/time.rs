//! The value `Time`: an instant, from `jiff`. Pure but for `now()`, which is the run's clock.

use std::fmt;

use jiff::Timestamp;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

use crate::context;
use crate::library::{Doc, Library};
use crate::prelude::{Fallible, printed};
use hookgate_model::moment;

/// An instant, to the nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Timestamp);

impl Time {
    /// Reads RFC 3339: any number of fraction digits, any offset.
    ///
    /// # Errors
    /// The text is something else, or has no offset.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |_| format!("`{text}` is not a time: write it as `2026-01-31T12:00:00Z`");
        text.trim().parse().map(Self).map_err(wrong)
    }

    fn moved(self, length: &str, forward: bool) -> Fallible<Self> {
        let length = moment::length(length)?;
        let moved = if forward { self.0.checked_add(length) } else { self.0.checked_sub(length) };
        moved.map(Self).map_err(|_| "this time is out of range".into())
    }

    fn shown_in(self, zone: TimeZone, pattern: &str) -> Fallible<String> {
        let parts = BrokenDownTime::from(&self.0.to_zoned(zone));
        parts.to_string(pattern).map_err(|error| format!("`{pattern}` is not a pattern for times: {error}").into())
    }

    fn seconds_since(self, earlier: Self) -> i64 {
        self.0.duration_since(earlier.0).as_secs()
    }
}

/// RFC 3339 in UTC with milliseconds.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.strftime("%Y-%m-%dT%H:%M:%S.%3fZ"))
    }
}

pub(super) fn register(library: &mut Library) {
    library.value::<Time>("Time", "An instant. Compare with `<`, `==` …; `a - b` is the seconds between.");
    library.reader(
        Doc::new("now() -> Time", "The time of this run; fixed in tests.", r#"now() > time("2020-01-01T00:00:00Z")"#),
        || context::with("now", |run| run.now().map(Time))?,
    );
    library.function(
        Doc::new(
            "time(text: string) -> Time",
            "Reads RFC 3339, with any fraction and offset. Anything else is an error.",
            r#"time("2026-01-31T12:00:00.5+02:00") == time("2026-01-31T10:00:00.500Z")"#,
        ),
        |text: &str| Time::parse(text).map_err(Box::<rhai::EvalAltResult>::from),
    );
    register_sums(library);
    register_formats(library);
    register_parts(library);
    printed::<Time>(library, |time| time.to_string().into());
    library.overload("==", |left: Time, right: Time| left == right);
    library.overload("!=", |left: Time, right: Time| left != right);
    library.overload("<", |left: Time, right: Time| left < right);
    library.overload("<=", |left: Time, right: Time| left <= right);
    library.overload(">", |left: Time, right: Time| left > right);
    library.overload(">=", |left: Time, right: Time| left >= right);
    library.overload("-", |left: Time, right: Time| left.seconds_since(right));
}

fn register_sums(library: &mut Library) {
    library.function(
        Doc::new(
            "Time.add(length: string) -> Time",
            "Later by `90s`, `15m`, `2h`, `7d` or `1h30m`. A day is 24 hours.",
            r#"time("2026-01-31T23:00:00Z").add("1h30m").hour == 0"#,
        ),
        |time: &mut Time, length: &str| time.moved(length, true),
    );
    library.function(
        Doc::new(
            "Time.sub(length: string) -> Time",
            "Earlier by `90s`, `15m`, `2h`, `7d` or `1h30m`.",
            r#"time("2026-01-31T00:00:00Z").sub("15m").day == 30"#,
        ),
        |time: &mut Time, length: &str| time.moved(length, false),
    );
    library.function(
        Doc::new(
            "Time.seconds_since(earlier: Time) -> int",
            "Whole seconds from `earlier` to this time; negative if it is later. The same as `this - earlier`.",
            r#"time("2026-01-01T00:01:00Z").seconds_since(time("2026-01-01T00:00:00Z")) == 60"#,
        ),
        |time: &mut Time, earlier: Time| time.seconds_since(earlier),
    );
}

fn register_formats(library: &mut Library) {
    library.function(
        Doc::new(
            "Time.format() -> string",
            "RFC 3339 in UTC with milliseconds.",
            r#"time("2026-01-31T12:00:00+02:00").format() == "2026-01-31T10:00:00.000Z""#,
        ),
        |time: &mut Time| time.to_string(),
    );
    library.function(
        Doc::new(
            "Time.format(pattern: string) -> string",
            "In UTC by a strftime pattern: `%Y %m %d %H %M %S %a %A %b %B %j %Z` and so on.",
            r#"time("2026-01-31T12:05:00Z").format("%d.%m.%Y %H:%M") == "31.01.2026 12:05""#,
        ),
        |time: &mut Time, pattern: &str| time.shown_in(TimeZone::UTC, pattern),
    );
    library.function(
        Doc::new(
            "Time.format_in(zone: string, pattern: string) -> string",
            "By a strftime pattern in a zone of the IANA list, such as `Europe/Berlin`.",
            r#"time("2026-07-01T12:00:00Z").format_in("Europe/Berlin", "%H:%M %Z") == "14:00 CEST""#,
        ),
        |time: &mut Time, zone: &str, pattern: &str| time.shown_in(zone_of(zone)?, pattern),
    );
    library.function(
        Doc::new(
            "Time.date_in(zone: string) -> string",
            "The date in a zone of the IANA list, as `2026-01-31`.",
            r#"time("2026-01-31T23:30:00Z").date_in("Europe/Zurich") == "2026-02-01""#,
        ),
        |time: &mut Time, zone: &str| time.shown_in(zone_of(zone)?, "%Y-%m-%d"),
    );
    register_parts_in(library);
}

fn zone_of(name: &str) -> Fallible<TimeZone> {
    TimeZone::get(name).map_err(|_| format!("`{name}` is not a time zone: write it as `Europe/Berlin`").into())
}

/// Whether it is night or weekend depends on where somebody is.
fn register_parts_in(library: &mut Library) {
    type Part = (Doc, fn(jiff::Zoned) -> i64);
    let parts: [Part; 4] = [
        (
            Doc::new(
                "Time.hour_in(zone: string) -> int",
                "0 to 23, in a zone of the IANA list.",
                r#"time("2026-07-01T22:30:00Z").hour_in("Europe/Zurich") == 0"#,
            ),
            |time| time.hour().into(),
        ),
        (
            Doc::new(
                "Time.minute_in(zone: string) -> int",
                "0 to 59, in a zone of the IANA list.",
                r#"time("2026-07-01T22:30:00Z").minute_in("Asia/Kolkata") == 0"#,
            ),
            |time| time.minute().into(),
        ),
        (
            Doc::new(
                "Time.weekday_in(zone: string) -> int",
                "1 is Monday, 7 is Sunday, in a zone of the IANA list.",
                r#"time("2026-01-31T23:30:00Z").weekday_in("Europe/Zurich") == 7"#,
            ),
            |time| time.weekday().to_monday_one_offset().into(),
        ),
        (
            Doc::new(
                "Time.day_in(zone: string) -> int",
                "1 to 31, in a zone of the IANA list.",
                r#"time("2026-01-31T23:30:00Z").day_in("Europe/Zurich") == 1"#,
            ),
            |time| time.day().into(),
        ),
    ];
    for (doc, part) in parts {
        library.function(doc, move |time: &mut Time, zone: &str| {
            Ok::<_, Box<rhai::EvalAltResult>>(part(time.0.to_zoned(zone_of(zone)?)))
        });
    }
}

fn register_parts(library: &mut Library) {
    type Part = (Doc, fn(jiff::Zoned) -> i64);
    let parts: [Part; 8] = [
        (Doc::new("Time.unix: int", "Seconds since 1970.", r#"time("1970-01-01T00:01:00Z").unix == 60"#), |time| {
            time.timestamp().as_second()
        }),
        (
            Doc::new(
                "Time.unix_ms: int",
                "Milliseconds since 1970.",
                r#"time("1970-01-01T00:00:01.5Z").unix_ms == 1500"#,
            ),
            |time| time.timestamp().as_millisecond(),
        ),
        (Doc::new("Time.year: int", "The year, in UTC.", r#"time("2026-01-31T12:05:00Z").year == 2026"#), |t| {
            t.year().into()
        }),
        (Doc::new("Time.month: int", "1 to 12, in UTC.", r#"time("2026-01-31T12:05:00Z").month == 1"#), |t| {
            t.month().into()
        }),
        (Doc::new("Time.day: int", "1 to 31, in UTC.", r#"time("2026-01-31T12:05:00Z").day == 31"#), |t| {
            t.day().into()
        }),
        (Doc::new("Time.hour: int", "0 to 23, in UTC.", r#"time("2026-01-31T12:05:00Z").hour == 12"#), |t| {
            t.hour().into()
        }),
        (Doc::new("Time.minute: int", "0 to 59, in UTC.", r#"time("2026-01-31T12:05:00Z").minute == 5"#), |t| {
            t.minute().into()
        }),
        (
            Doc::new(
                "Time.weekday: int",
                "1 is Monday, 7 is Sunday, in UTC.",
                r#"time("2026-01-31T12:05:00Z").weekday == 6"#,
            ),
            |time| time.weekday().to_monday_one_offset().into(),
        ),
    ];
    for (doc, part) in parts {
        library.property(doc, move |time: &mut Time| part(time.0.to_zoned(TimeZone::UTC)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_any_fraction_and_offset() {
        for text in [
            "2022-01-28T21:48:34Z",
            "2022-01-28T21:48:34.000000000Z",
            "2022-01-28T22:48:34+01:00",
            "2022-01-28T16:48:34.0-05:00",
        ] {
            assert_eq!(Time::parse(text).expect(text).to_string(), "2022-01-28T21:48:34.000Z");
        }
        for text in ["", "yesterday", "2022-01-28", "2022-01-28T21:48:34", "1643406514"] {
            assert!(Time::parse(text).expect_err(text).contains(&format!("`{text}`")));
        }
    }

    #[test]
    fn what_leaves_the_calendar_is_an_error() {
        let end = Time(Timestamp::MAX);
        assert!(end.moved("1d", true).expect_err("past the end").to_string().contains("out of range"));
        assert!(end.moved("soon", true).expect_err("no length").to_string().contains("`soon`"));
        assert!(end.shown_in(TimeZone::UTC, "%").expect_err("a lone percent sign").to_string().contains("pattern"));
    }

    #[test]
    fn fractions_of_seconds_are_cut_off_in_differences() {
        let (early, late) = (Time::parse("2026-01-01T00:00:00.9Z"), Time::parse("2026-01-01T00:00:02.1Z"));
        assert_eq!(late.expect("a time").seconds_since(early.expect("a time")), 1);
    }
}
