//! `test`: run the tests and golden cases of the bundle's scripts.
//!
//! Status 0 when all pass, 1 when one fails or the coverage is too low, 2 when the bundle cannot be read.

mod accept;
mod terminal;

use anyhow::{Context, Result};
use regex::Regex;

use crate::cli::bundle;
use crate::cli::output;
use crate::cli::{Global, Status};
use crate::harness::run;
use crate::harness::run::{Options, Report, Suite};
use crate::release::bundle::Place;
use crate::release::suite;

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Run only tests whose id (`script::test_name`, `script::case/name`) this regular expression matches.
    #[arg(long, value_name = "REGEX")]
    filter: Option<String>,
    /// Stop at the first test that fails.
    #[arg(long)]
    fail_fast: bool,
    /// Write what comes of golden cases as what must come of them; review the difference before you commit it.
    #[arg(long)]
    accept: bool,
}

/// # Errors
/// The bundle cannot be read, or the filter is no regular expression.
pub fn run(global: &Global, args: &Args) -> Result<Status> {
    let place = bundle::place(global)?;
    let options = args.options()?;
    let suite = suite_of(&place)?;
    if args.accept {
        accept::run(&place, &suite, &options)?;
        // What was written is read again: a case that does not come out the same twice must not pass.
        return finish(&suite_of(&place)?, &options);
    }
    finish(&suite, &options)
}

impl Args {
    fn options(&self) -> Result<Options> {
        let filter = self.filter.as_deref().map(Regex::new).transpose().context("--filter is no regular expression")?;
        Ok(Options { filter, fail_fast: self.fail_fast, ..Options::default() })
    }
}

/// The tests of the bundle as it is on disk.
fn suite_of(place: &Place) -> Result<Suite> {
    let release = bundle::assemble(place, bundle::read(place)?)?;
    Ok(suite::suite(&release))
}

fn finish(suite: &Suite, options: &Options) -> Result<Status> {
    let report = run::run(suite, options, &|_| {});
    output::line(terminal::summary(&report));
    Ok(status(&report))
}

fn status(report: &Report) -> Status {
    if report.failed().next().is_some() { Status::Failed } else { Status::Good }
}
