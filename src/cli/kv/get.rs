//! `kv get`: what is kept under one key.

use anyhow::Result;

use crate::cli::Status;
use crate::cli::events::text;
use crate::cli::kv::{Work, entry};
use crate::cli::output;
use crate::cli::output::{BOLD, DIM, paint};
use hookgate_engine::telemetry::escape::visible;
use hookgate_model::question::state::Kept;
use hookgate_store::state::StateEntry;
use hookgate_store::{Millis, StateQuery};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// As scripts write it, however long it is.
    #[arg(value_name = "KEY")]
    key: String,
}

/// # Errors
/// The store fails.
pub(super) async fn run(work: &Work<'_>, args: &Args) -> Result<Status> {
    let query = StateQuery { keys: work.key(&args.key), after: None, limit: 1 };
    let found = work.store.entries(query).await?.entries.into_iter().next();
    let Some(found) = found else {
        output::note(missing(work, &args.key).await?);
        return Ok(Status::Failed);
    };
    if work.global.json {
        output::json(&entry::json(&found));
    } else {
        print(&found, work.store.now());
    }
    Ok(Status::Good)
}

/// That there is no such key, and how others are found that begin with it.
pub(super) async fn missing(work: &Work<'_>, key: &str) -> Result<String> {
    let query = StateQuery { keys: work.beginning(key), after: None, limit: 1 };
    let others = if key.is_empty() { None } else { work.store.entries(query).await?.entries.into_iter().next() };
    let key = visible(key);
    let nothing = format!("nothing is kept under `{key}`, or not any more");
    Ok(match others {
        Some(other) => format!(
            "{nothing}; other keys begin with it, such as `{}`: `hookgate kv list` with it shows them",
            entry::shown_key(&other)
        ),
        None => format!("{nothing}; `hookgate kv list` shows what is"),
    })
}

fn print(found: &StateEntry, now: Millis) {
    let field = |name: &str, value: &str| output::line(format_args!("{} {value}", paint(DIM, format!("{name:<8}"))));
    field("key", &paint(BOLD, entry::shown_key(found)));
    let until = found.kept.until();
    field("expires", &format!("{}, {}", text::distance(until, now), text::time(until)));
    match &found.kept {
        Kept::Value { value, .. } => {
            let value = output::pretty(value);
            if value.contains('\n') { output::line(value) } else { field("value", &value) }
        }
        kept @ Kept::Times { .. } => field("value", &entry::words(kept, now)),
    }
}
