//! Events as lines. Written for speed and for safety: one pass into a buffer that each thread reuses, every value
//! escaped.
//!
//! Spans are not recorded: the one event per call carries everything. Warnings and errors that come too often are summed
//! up ([`sums`](crate::telemetry::sums)).

use std::cell::RefCell;
use std::error::Error;
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use crate::telemetry::escape::{Escaped, push_escaped};
use crate::telemetry::fields;
use crate::telemetry::lines::Lines;
use crate::telemetry::sums::{Sum, Sums};
use crate::telemetry::targets::public_name;
use crate::telemetry::timestamp::Stamp;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Json,
    Plain,
    Coloured,
}

/// Writes each event as one line to [`Lines`].
pub(crate) struct LineLayer {
    output: Output,
    teller: Teller,
}

/// Writes what was summed up, at the latest when it is dropped. Clones share it.
#[derive(Clone)]
pub(crate) struct Teller(Arc<Told>);

struct Told {
    output: Output,
}

impl Drop for Told {
    fn drop(&mut self) {
        self.output.sums.close();
        self.output.tell();
    }
}

impl Teller {
    /// Starts the thread that writes sums.
    fn start(output: Output) -> io::Result<Self> {
        let theirs = output.clone();
        let work = move || {
            while theirs.sums.wait() {
                theirs.tell();
            }
        };
        std::thread::Builder::new().name("log-sums".to_owned()).spawn(work)?;
        Ok(Self(Arc::new(Told { output })))
    }

    /// Writes what was summed up so far.
    pub(crate) fn tell(&self) {
        self.0.output.tell();
    }
}

impl LineLayer {
    /// `{"time":…,"level":"info","target":…,"message":…,"field":value,…}`
    ///
    /// # Errors
    /// The operating system gives no thread for the sums.
    pub(crate) fn json(lines: Lines) -> io::Result<Self> {
        Self::start(Style::Json, lines)
    }

    /// `TIME LEVEL message field=value …` for files and pipes.
    ///
    /// # Errors
    /// As [`LineLayer::json`].
    pub(crate) fn plain(lines: Lines) -> io::Result<Self> {
        Self::start(Style::Plain, lines)
    }

    /// The same with ANSI colours.
    ///
    /// # Errors
    /// As [`LineLayer::json`].
    pub(crate) fn coloured(lines: Lines) -> io::Result<Self> {
        Self::start(Style::Coloured, lines)
    }

    fn start(style: Style, lines: Lines) -> io::Result<Self> {
        let output = Output { style, lines, sums: Arc::new(Sums::new()) };
        Ok(Self { teller: Teller::start(output.clone())?, output })
    }

    /// A handle by which sums are written before the process ends.
    pub(crate) fn teller(&self) -> Teller {
        self.teller.clone()
    }
}

/// How lines look and where they go.
#[derive(Clone)]
struct Output {
    style: Style,
    lines: Lines,
    sums: Arc<Sums>,
}

impl Output {
    fn write(&self, scratch: &mut Scratch, event: &Event<'_>) {
        let metadata = event.metadata();
        self.line(scratch, *metadata.level(), metadata.target(), |fields| event.record(fields));
    }

    /// One line; `record` gives its message and its fields.
    fn line(&self, scratch: &mut Scratch, level: Level, target: &str, record: impl FnOnce(&mut Fields<'_>)) {
        let Scratch { stamp, line, rest } = scratch;
        line.clear();
        rest.clear();
        match self.style {
            Style::Json => {
                line.extend_from_slice(b"{\"time\":\"");
                stamp.push_now(line);
                line.extend_from_slice(b"\",\"level\":\"");
                line.extend_from_slice(level_name(level).as_bytes());
                line.extend_from_slice(b"\",\"target\":\"");
                let (head, tail) = public_name(target);
                line.extend_from_slice(head.as_bytes());
                push_escaped(line, tail);
                line.push(b'"');
            }
            Style::Plain | Style::Coloured => {
                stamp.push_now(line);
                line.extend_from_slice(level_label(level, self.style == Style::Coloured).as_bytes());
            }
        }
        record(&mut Fields { style: self.style, message: line, rest });
        line.extend_from_slice(rest);
        line.extend_from_slice(if self.style == Style::Json { b"}\n" } else { b"\n" });
        self.lines.append(line);
    }

    /// A line for each kind of which lines were left out.
    fn tell(&self) {
        let mut scratch = Scratch::default();
        self.sums.tell(|sum: &Sum<'_>| {
            self.line(&mut scratch, sum.level, sum.target, |line_fields| {
                line_fields.text("message", |line| {
                    line.extend_from_slice(b"more lines of this kind were left out: ");
                    push_escaped(line, sum.message);
                });
                for (name, value) in sum.labels {
                    line_fields.text(name, |line| push_escaped(line, value));
                }
                line_fields.number(fields::LINES_COUNT, format_args!("{}", sum.count));
            });
        });
    }
}

impl<S: Subscriber> Layer<S> for LineLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        thread_local!(static SCRATCH: RefCell<Scratch> = RefCell::default());
        let output = &self.output;
        if !output.sums.admits(event) {
            return;
        }
        // A value whose formatting logs something itself finds the buffer taken, and a thread that is ending has none.
        let reused = SCRATCH.try_with(|scratch| match scratch.try_borrow_mut() {
            Ok(mut scratch) => output.write(&mut scratch, event),
            Err(_) => output.write(&mut Scratch::default(), event),
        });
        if reused.is_err() {
            output.write(&mut Scratch::default(), event);
        }
    }
}

#[derive(Default)]
struct Scratch {
    stamp: Stamp,
    line: Vec<u8>,
    /// The fields, since the message may come in between but is read first.
    rest: Vec<u8>,
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

fn level_label(level: Level, coloured: bool) -> &'static str {
    match (level, coloured) {
        (Level::ERROR, true) => " \x1b[31mERROR\x1b[0m ",
        (Level::WARN, true) => "  \x1b[33mWARN\x1b[0m ",
        (Level::INFO, true) => "  \x1b[32mINFO\x1b[0m ",
        (Level::DEBUG, true) => " \x1b[34mDEBUG\x1b[0m ",
        (Level::TRACE, true) => " \x1b[35mTRACE\x1b[0m ",
        (Level::ERROR, false) => " ERROR ",
        (Level::WARN, false) => "  WARN ",
        (Level::INFO, false) => "  INFO ",
        (Level::DEBUG, false) => " DEBUG ",
        (Level::TRACE, false) => " TRACE ",
    }
}

struct Fields<'a> {
    style: Style,
    message: &'a mut Vec<u8>,
    rest: &'a mut Vec<u8>,
}

impl Fields<'_> {
    fn key(&mut self, name: &str) {
        match self.style {
            Style::Json => {
                self.rest.extend_from_slice(b",\"");
                push_escaped(self.rest, name);
                self.rest.extend_from_slice(b"\":");
            }
            Style::Plain => {
                self.rest.push(b' ');
                self.rest.extend_from_slice(name.as_bytes());
                self.rest.push(b'=');
            }
            Style::Coloured => {
                self.rest.extend_from_slice(b" \x1b[2m");
                self.rest.extend_from_slice(name.as_bytes());
                self.rest.extend_from_slice(b"=\x1b[0m");
            }
        }
    }

    /// A text value; `push` writes it escaped.
    fn text(&mut self, name: &str, push: impl FnOnce(&mut Vec<u8>)) {
        if name == "message" {
            match self.style {
                Style::Json => {
                    self.message.extend_from_slice(b",\"message\":\"");
                    push(self.message);
                    self.message.push(b'"');
                }
                Style::Plain | Style::Coloured => push(self.message),
            }
            return;
        }
        self.key(name);
        let start = self.rest.len();
        match self.style {
            Style::Json => {
                self.rest.push(b'"');
                push(self.rest);
                self.rest.push(b'"');
            }
            Style::Plain | Style::Coloured => {
                push(self.rest);
                let value = &self.rest[start..];
                if value.is_empty() || value.iter().any(|byte| matches!(byte, b' ' | b'=' | b'"' | b'\\')) {
                    self.rest.insert(start, b'"');
                    self.rest.push(b'"');
                }
            }
        }
    }

    fn number(&mut self, name: &str, value: fmt::Arguments<'_>) {
        self.key(name);
        // Writing to a vector does not fail.
        let _ = self.rest.write_fmt(value);
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), |line| push_escaped(line, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // A `Debug` that gives up half-way costs the rest of its own text.
        self.text(field.name(), |line| _ = write!(Escaped(line), "{value:?}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.text(field.name(), |line| _ = write!(Escaped(line), "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field.name(), format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field.name(), format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field.name(), format_args!("{value}"));
    }

    /// Three decimals: fractions are milliseconds here, and microseconds are as fine as they mean anything.
    fn record_f64(&mut self, field: &Field, value: f64) {
        let thousandths = (value * 1000.0).round();
        if thousandths.is_finite() && (0.0..1e15).contains(&thousandths) {
            let whole = thousandths as u64;
            self.number(field.name(), format_args!("{}.{:03}", whole / 1000, whole % 1000));
        } else if value.is_finite() {
            self.number(field.name(), format_args!("{value}"));
        } else {
            self.text(field.name(), |line| _ = write!(Escaped(line), "{value}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(layer: fn(Lines) -> io::Result<LineLayer>, events: impl FnOnce()) -> String {
        let output = Shared::default();
        let lines = Lines::start(output.clone()).unwrap();
        let layer = layer(lines.clone()).unwrap();
        let teller = layer.teller();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), events);
        teller.tell();
        lines.flush(Duration::from_secs(10));
        let text = output.0.lock().unwrap().clone();
        String::from_utf8(text).unwrap()
    }

    fn hostile_event() {
        let error = io::Error::other("broken\npipe");
        tracing::warn!(
            { "route.name" } = "sign\u{1b}[2Jup",
            count = 3_u64,
            { "duration_ms" } = 1.23456,
            nan = f64::NAN,
            below = -1.5,
            yes = true,
            shown = %"a \"b\"",
            empty = "",
            absent = None::<&str>,
            error = &error as &dyn Error,
            "call answered\n{}",
            "forged line"
        );
    }

    #[test]
    fn a_json_line_holds_every_field_as_its_type() {
        let text = logged(LineLayer::json, hostile_event);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.chars().all(|character| character == '\n' || !character.is_control()), "{text}");
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let time = value["time"].take();
        assert!(time.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{time}");
        let expected = serde_json::json!({
            "time": null, "level": "warn", "target": "hookgate::telemetry::layer::tests",
            "message": "call answered\nforged line", "route.name": "sign\u{1b}[2Jup", "count": 3, "duration_ms": 1.235,
            "nan": "NaN", "below": -1.5, "yes": true, "shown": "a \"b\"", "empty": "", "error": "broken\npipe",
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn a_human_line_starts_with_the_message_and_quotes_what_needs_it() {
        let text = logged(LineLayer::plain, hostile_event);
        let (_, after_time) = text.split_once("Z ").unwrap();
        assert_eq!(
            after_time,
            " WARN call answered\\nforged line route.name=\"sign\\u001b[2Jup\" count=3 duration_ms=1.235 nan=NaN \
             below=-1.5 yes=true shown=\"a \\\"b\\\"\" empty=\"\" error=\"broken\\npipe\"\n"
        );
    }

    #[test]
    fn colours_are_ours_alone() {
        let text = logged(LineLayer::coloured, || tracing::info!(path = "\u{1b}[31m", "done"));
        let (_, after_time) = text.split_once("Z ").unwrap();
        assert_eq!(after_time, " \u{1b}[32mINFO\u{1b}[0m done \u{1b}[2mpath=\u{1b}[0m\"\\u001b[31m\"\n");
    }

    #[test]
    fn a_value_that_logs_while_it_is_formatted_does_not_harm() {
        struct Chatty;
        impl fmt::Debug for Chatty {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                tracing::info!("inner");
                formatter.write_str("outer value")
            }
        }
        let text = logged(LineLayer::json, || tracing::info!(value = ?Chatty, "outer"));
        let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(last["value"], "outer value");
    }

    fn refused(route: &str, reason: &str, id: usize) {
        tracing::warn!({ "route.name" } = route, reason, { "request.id" } = %id, "call refused");
    }

    /// The lines of a log in JSON: message, route, reason, and the count where it is a sum.
    fn told(text: &str) -> Vec<(String, String, String, Option<u64>)> {
        let told = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let word = |value: &serde_json::Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
        told.map(|line| {
            let count = line["lines.count"].as_u64();
            (word(&line, "message"), word(&line, "route.name"), word(&line, "reason"), count)
        })
        .collect()
    }

    #[test]
    fn lines_of_one_kind_beyond_ten_a_second_become_one_line_that_counts_them() {
        const CALLS: usize = 5_000;
        let started = std::time::Instant::now();
        let text = logged(LineLayer::json, || {
            for id in 0..CALLS {
                refused("signup", "auth", id);
            }
        });
        let lines = told(&text);
        let (sums, full): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.3.is_some());
        // A slow machine takes more than a second for so many, and has more than one window then.
        let windows = started.elapsed().as_secs() as usize + 2;
        assert!((10..=10 * windows).contains(&full.len()), "{} lines in full", full.len());
        assert!(full.iter().all(|line| line.0 == "call refused"), "{full:?}");
        let counted: u64 = sums.iter().filter_map(|sum| sum.3).sum();
        assert_eq!(counted + full.len() as u64, CALLS as u64, "each line is written or counted");
        assert!(!sums.is_empty() && sums.len() <= windows, "{sums:?}");
        for (message, route, reason, _) in sums {
            assert_eq!(
                (message.as_str(), route.as_str(), reason.as_str()),
                ("more lines of this kind were left out: call refused", "signup", "auth")
            );
        }
    }

    #[test]
    fn a_flood_of_one_route_hides_no_line_of_another_and_none_of_accepted_work() {
        let text = logged(LineLayer::json, || {
            for id in 0..500 {
                refused("signup", "auth", id);
                tracing::info!({ "route.name" } = "signup", "call answered");
            }
            refused("login", "auth", 0);
            refused("signup", "no_route", 0);
            tracing::warn!({ "route.name" } = "signup", reason = "auth", "another line of the same names");
        });
        let lines = told(&text);
        let full = |wanted: (&str, &str, &str)| {
            lines.iter().filter(|line| (line.0.as_str(), line.1.as_str(), line.2.as_str()) == wanted).count()
        };
        assert_eq!(full(("call answered", "signup", "")), 500, "accepted calls are all written");
        assert_eq!(full(("call refused", "login", "auth")), 1);
        assert_eq!(full(("call refused", "signup", "no_route")), 1);
        assert_eq!(full(("another line of the same names", "signup", "auth")), 1);
        assert_eq!(full(("more lines of this kind were left out: call refused", "signup", "auth")), 1);
    }

    #[test]
    fn a_sum_is_told_though_nothing_comes_after_it() {
        let output = Shared::default();
        let lines = Lines::start(output.clone()).unwrap();
        let layer = LineLayer::plain(lines.clone()).unwrap();
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            for id in 0..100 {
                refused("signup", "auth", id);
            }
            let text = || String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
            let end = std::time::Instant::now() + Duration::from_secs(30);
            while !text().contains("were left out") && std::time::Instant::now() < end {
                std::thread::sleep(Duration::from_millis(20));
                lines.flush(Duration::from_secs(1));
            }
            let told = text();
            let sum = told.lines().last().unwrap();
            assert!(
                sum.contains(" WARN more lines of this kind were left out: call refused route.name=signup reason=auth lines.count="),
                "{told}"
            );
        });
    }

    #[test]
    fn kinds_without_end_take_no_memory_without_end() {
        let layer = LineLayer::json(Lines::start(io::sink()).unwrap()).unwrap();
        let sums = layer.output.sums.clone();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            for number in 0..5_000 {
                refused(&format!("route-{number}"), "auth", number);
            }
        });
        assert!(sums.len() <= 1_100, "{} kinds", sums.len());
    }
}
