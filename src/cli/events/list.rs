//! `events list`: a page of events, newest first.

use anyhow::Result;
use serde_json::{Value, json};

use crate::cli::Status;
use crate::cli::events::Work;
use crate::cli::events::select::Filter;
use crate::cli::events::text;
use crate::cli::output;
use crate::cli::output::{BAD, BOLD, DIM, paint};
use hookgate_store::{EventLine, MAX_PAGE, Query};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    filter: Filter,
    /// At most this many.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=MAX_PAGE as u64))]
    limit: u64,
    /// Go on where the last page ended; it says with which number.
    #[arg(long, value_name = "NUMBER")]
    after: Option<i64>,
}

const COLUMNS: [&str; 7] = ["ID", "RECEIVED", "ROUTE", "TYPE", "KEY", "JOBS", "FLAGS"];
const JOBS: usize = 5;
/// The longest text of a column; an id of the usual form has 36 characters.
const MOST: usize = 44;

/// # Errors
/// The store fails.
pub(super) async fn run(work: &Work<'_>, args: &Args) -> Result<Status> {
    let limit = usize::try_from(args.limit).unwrap_or(MAX_PAGE);
    let query = Query { after: args.after, limit, ..args.filter.query(work.now()) };
    let page = work.store.list(query.clone()).await?;
    if work.global.json {
        let events: Vec<Value> = page.events.iter().map(text::event_json).collect();
        output::json(&json!({ "events": events, "next": page.next }));
    } else if page.events.is_empty() {
        output::line(nothing(&query));
    } else {
        table(&page.events);
        if let Some(next) = page.next {
            output::line(paint(DIM, format!("more: the same command with --after {next}")));
        }
    }
    Ok(if page.events.is_empty() { Status::Failed } else { Status::Good })
}

/// What was looked for and not found.
pub(super) fn nothing(query: &Query) -> String {
    match query.words() {
        words if words.is_empty() => "no events are kept".into(),
        words => format!("no events are kept {words}"),
    }
}

fn table(events: &[EventLine]) {
    let rows: Vec<[String; 7]> = events.iter().map(row).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default().max(COLUMNS[column].len())
    };
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    output::line(paint(BOLD, padded(&COLUMNS.map(str::to_owned), &widths).join("  ").trim_end()));
    for (row, event) in rows.iter().zip(events) {
        let mut cells = padded(row, &widths);
        if text::dead(event) > 0 {
            cells[JOBS] = paint(BAD, &cells[JOBS]);
        }
        output::line(cells.join("  ").trim_end());
    }
}

fn padded(cells: &[String; 7], widths: &[usize]) -> Vec<String> {
    cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect()
}

fn row(event: &EventLine) -> [String; 7] {
    let kind = if event.kind.is_empty() { "?" } else { &event.kind };
    let flags: Vec<&str> = text::flags(event).into_iter().map(|(name, _)| name).collect();
    [
        event.id.to_string(),
        text::time(event.received),
        text::short(&event.route, MOST),
        text::short(kind, MOST),
        text::short(&event.key, MOST),
        text::jobs(event),
        flags.join(", "),
    ]
}
