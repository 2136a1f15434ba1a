//! `events backup`: a copy of the store as of one moment, and how to go back to it.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Status;
use crate::cli::events::Work;
use crate::cli::output;
use crate::cli::output::{DIM, GOOD, paint};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The copy; there must be no such file yet.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// # Errors
/// The copy cannot be written; then there is none.
pub(super) async fn run(work: &Work<'_>, args: &Args) -> Result<Status> {
    let backups = work.store.backups().context("this store is copied with the tools of its database")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?;
    let copied = tokio::select! {
        copied = backups.copy_to(args.file.clone()) => Some(copied),
        _ = tokio::signal::ctrl_c() => None,
        _ = terminate.recv() => None,
    };
    copied.context("interrupted")?.context("no copy was made")?;
    let bytes = args.file.metadata().map_or(0, |file| file.len());
    if work.global.json {
        output::json(&json!({ "file": args.file, "bytes": bytes, "store": work.address.file() }));
        return Ok(Status::Good);
    }
    output::line(format_args!("{} {} ({})", paint(GOOD, "wrote"), args.file.display(), size(bytes)));
    output::line(paint(DIM, "to go back to it: stop the gateway, and then"));
    for command in backups.restoring(&args.file) {
        output::line(format_args!("  {command}"));
    }
    output::line(paint(DIM, "and start it again"));
    Ok(Status::Good)
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} KiB", bytes.div_ceil(1_024)),
        _ => format!("{} MiB", bytes.div_ceil(1_048_576)),
    }
}
