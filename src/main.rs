//! The program: read the command line, run the command, end with its status.

use std::process::ExitCode;

use clap::Parser;
use hookgate::cli::CommandLine;

fn main() -> ExitCode {
    CommandLine::parse().run()
}
