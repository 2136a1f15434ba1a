//! `completions`: what a shell needs to complete our command line.

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::output;
use crate::cli::{CommandLine, Status};

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Whose completions to print.
    shell: Shell,
}

/// # Errors
/// None: the result is always printed.
pub fn run(args: &Args) -> Result<Status> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut CommandLine::command(), "hookgate", &mut script);
    let script = String::from_utf8(script).context("the completions are not text")?;
    output::line(script.trim_end());
    Ok(Status::Good)
}
