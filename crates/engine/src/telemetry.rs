//! What operators see of a running gateway: log lines and metrics.
//!
//! This is the bottom of the program: it knows names and numbers, never a hook, a route's meaning or a payload.
//! Logging never makes a call wait: a line is appended to a buffer that a thread of its own writes out, and lines that
//! do not fit are dropped and counted, and warnings and errors of one kind beyond ten a second are summed up. What may be logged is decided where the event is written; bodies, credentials,
//! e-mail addresses and IP addresses are not on that list.

use std::io;
use std::time::Duration;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::telemetry::layer::{LineLayer, Teller};
use crate::telemetry::lines::Lines;

pub mod escape;
pub mod fields;
pub(crate) mod layer;
pub(crate) mod lines;
pub mod metrics;
pub(crate) mod sums;
mod targets;
mod timestamp;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people: `2026-05-01T10:00:00.123Z  INFO call answered route.name=signup …`, in colour on a terminal.
    Human,
    /// For machines: one JSON object per line.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not `level` or `target=level`, comma separated.
    #[error("log filter `{filter}`: {reason}")]
    Filter { filter: String, reason: String },
    /// The operating system gave no thread for the writer.
    #[error("the log writer did not start: {0}")]
    Writer(#[from] io::Error),
    /// Logging was set up before in this process.
    #[error("logging is already set up: {0}")]
    Twice(#[from] TryInitError),
}

/// Keeps logging alive. When it is dropped, what was logged so far is written out (for at most a second).
#[must_use = "log lines are flushed when this is dropped"]
pub struct Guard {
    lines: Lines,
    teller: Teller,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.teller.tell();
        self.lines.flush(Duration::from_secs(1));
    }
}

/// Sends every event that `filter` lets through to stdout, for the rest of the process.
///
/// `filter` is `info` or `info,hookgate::gateway=debug`. Colour follows the terminal and `NO_COLOR`. Panics are logged
/// with their place; their text only if it is a constant, since a formatted one may hold a caller's data.
///
/// # Errors
/// A filter that does not parse, no thread for the writer, or a second call in one process.
pub fn init(format: Format, filter: &str) -> Result<Guard, TelemetryError> {
    let targets = targets::filter(filter)
        .map_err(|error| TelemetryError::Filter { filter: filter.to_owned(), reason: error.to_string() })?;
    let coloured = anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
    let lines = Lines::start(io::stdout())?;
    let layer = match format {
        Format::Json => LineLayer::json(lines.clone())?,
        Format::Human if coloured => LineLayer::coloured(lines.clone())?,
        Format::Human => LineLayer::plain(lines.clone())?,
    };
    let teller = layer.teller();
    tracing_subscriber::registry().with(targets).with(layer).try_init()?;
    log_panics(lines.clone());
    Ok(Guard { lines, teller })
}

fn log_panics(lines: Lines) {
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string);
        let text = panic.payload().downcast_ref::<&'static str>().copied();
        tracing::error!(
            { fields::PANIC_PLACE } = place,
            { fields::PANIC_TEXT } = text.unwrap_or("withheld, it may hold data of a call"),
            "a panic ended one piece of work"
        );
        lines.flush(Duration::from_millis(200));
    }));
}
