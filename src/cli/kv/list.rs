//! `kv list`: a page of keys, in the order of their bytes.

use anyhow::Result;
use serde_json::{Value, json};

use crate::cli::Status;
use crate::cli::events::text;
use crate::cli::kv::{Work, entry};
use crate::cli::output;
use crate::cli::output::{BOLD, DIM, paint};
use hookgate_engine::telemetry::escape::visible;
use hookgate_store::state::StateEntry;
use hookgate_store::{MAX_PAGE, StateQuery};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Keys that begin like this; without it, all.
    #[arg(value_name = "PREFIX", default_value = "", hide_default_value = true)]
    prefix: String,
    /// At most this many.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=MAX_PAGE as u64))]
    limit: u64,
    /// Go on behind this key, the last of the page before.
    #[arg(long, value_name = "KEY")]
    after: Option<String>,
}

/// The widest column of keys; a longer key is printed whole, and moves its line.
const WIDEST_KEY: usize = 48;
/// The longest value of a line; `kv get` prints it whole.
const MOST_VALUE: usize = 60;

/// # Errors
/// The store fails.
pub(super) async fn run(work: &Work<'_>, args: &Args) -> Result<Status> {
    let query = StateQuery {
        keys: work.beginning(&args.prefix),
        after: args.after.as_deref().map(|after| work.stored(after)),
        limit: usize::try_from(args.limit).unwrap_or(MAX_PAGE),
    };
    let page = work.store.entries(query).await?;
    let next = page.next.as_ref().and(page.entries.last()).map(entry::key);
    if work.global.json {
        let entries: Vec<Value> = page.entries.iter().map(entry::json).collect();
        output::json(&json!({ "entries": entries, "next": next }));
    } else if page.entries.is_empty() {
        output::line(nothing(&args.prefix));
    } else {
        table(work, &page.entries);
        if let Some(next) = next {
            let next = visible(next);
            output::line(paint(DIM, format!("more: the same command with --after '{next}'")));
        }
    }
    Ok(if page.entries.is_empty() { Status::Failed } else { Status::Good })
}

fn nothing(prefix: &str) -> String {
    if prefix.is_empty() {
        "no keys are kept".to_owned()
    } else {
        format!("no keys are kept that begin with `{}`", visible(prefix))
    }
}

fn table(work: &Work<'_>, entries: &[StateEntry]) {
    let now = work.store.now();
    let row = |found: &StateEntry| {
        let value = text::short(&entry::words(&found.kept, now), MOST_VALUE);
        [text::distance(found.kept.until(), now), entry::shown_key(found), value]
    };
    let rows: Vec<[String; 3]> = entries.iter().map(row).collect();
    let width = |column: usize, head: &str| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default().max(head.len()).min(WIDEST_KEY)
    };
    let (time, key) = (width(0, "EXPIRES"), width(1, "KEY"));
    output::line(paint(BOLD, format!("{:<time$}  {:<key$}  VALUE", "EXPIRES", "KEY")));
    for [expires, name, value] in rows {
        output::line(format!("{expires:<time$}  {name:<key$}  {value}"));
    }
}
