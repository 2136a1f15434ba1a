//! `events backup`: a copy of the store as of one moment, and how to go back to it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Status;
use crate::cli::events::Work;
use crate::cli::output;
use crate::cli::output::{DIM, GOOD, paint};
use crate::store::Store;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The copy; there must be no such file yet.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// # Errors
/// The copy cannot be written; then there is none.
pub(super) async fn run(work: &Work<'_>, args: &Args) -> Result<Status> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?;
    let copied = tokio::select! {
        copied = work.store.backup(args.file.clone()) => Some(copied),
        _ = tokio::signal::ctrl_c() => None,
        _ = terminate.recv() => None,
    };
    copied.context("interrupted")?.context("no copy was made")?;
    let bytes = args.file.metadata().map_or(0, |file| file.len());
    if work.global.json {
        output::json(&json!({ "file": args.file, "bytes": bytes, "store": work.file }));
        return Ok(Status::Good);
    }
    output::line(format_args!("{} {} ({})", paint(GOOD, "wrote"), args.file.display(), size(bytes)));
    let (copy, store) = (quoted(&args.file), quoted(&work.file));
    output::line(paint(DIM, "to go back to it: stop the gateway, and then"));
    output::line(format_args!(
        "  rm -f {} {}",
        quoted(&beside(&work.file, "-wal")),
        quoted(&beside(&work.file, "-shm"))
    ));
    output::line(format_args!("  cp {copy} {store}"));
    output::line(paint(DIM, "and start it again"));
    Ok(Status::Good)
}

fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// As a shell takes it for one word.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+@%:,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} KiB", bytes.div_ceil(1_024)),
        _ => format!("{} MiB", bytes.div_ceil(1_048_576)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_one_word() {
        for (path, word) in
            [("data/a.db", "data/a.db"), ("my data/a.db", "'my data/a.db'"), ("o'clock", r"'o'\''clock'")]
        {
            assert_eq!(quoted(Path::new(path)), word);
        }
    }
}
