//! The commands, one file each. They read what a person wrote, call the library and print.
//!
//! Status 0 is good, 1 means findings or a failed call, 2 that the command could not run. Only `output` prints.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use hookgate_model::environment;
use hookgate_model::failpoint;

pub mod body;
pub mod bundle;
pub mod call;
pub mod check;
pub mod completions;
pub mod docs;
pub mod events;
pub mod explain;
pub mod init;
pub mod kv;
pub mod lsp;
pub mod output;
pub mod release;
pub mod serve;
pub mod simulate;
pub mod store;
pub mod test;

/// Answers identity-provider hooks with hot-reloaded Rhai scripts.
#[derive(Debug, Parser)]
#[command(name = "hookgate", version, propagate_version = true, max_term_width = 110)]
pub struct CommandLine {
    #[command(flatten)]
    pub global: Global,
    /// Without a command, `serve`.
    #[command(subcommand)]
    command: Option<Command>,
}

/// What every command takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Global {
    /// The configuration; paths in it start at its folder.
    #[arg(long, global = true, value_name = "FILE", env = "HOOKGATE_CONFIG", default_value = "gateway.toml")]
    pub config: PathBuf,
    /// When to colour; `NO_COLOR` is respected, too.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Colour::Auto)]
    pub color: Colour,
    /// Print JSON for programs instead of text for people.
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal.
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway (also without a command).
    Serve(serve::Args),
    /// Load the bundle as the server would, and say everything that is wrong with it.
    Check(check::Args),
    /// Run the tests and golden cases of the scripts.
    Test(test::Args),
    /// Run one request through a route's script and show what comes of it.
    Call(call::Args),
    /// Be the provider: call a running gateway and say what the provider would do now.
    Simulate(simulate::Args),
    /// Say why a decision came out as it did.
    Explain(explain::Args),
    /// Look at the events that were kept, run dead jobs again, copy the store.
    Events(events::Args),
    /// Look at the small state of scripts, and clear keys of it.
    Kv(kv::Args),
    /// Look at past releases, compare them, verify the log of changes.
    Release(release::Args),
    /// Write a first bundle that works.
    Init(init::Args),
    /// Reference of hooks and functions, and the schema of gateway.toml.
    Docs(docs::Args),
    /// Serve editors as a language server: findings as you type, completion, definitions.
    Lsp(lsp::Args),
    /// Print the completions of a shell.
    Completions(completions::Args),
}

/// How a command that could run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Good,
    /// There are findings, or what was asked for failed.
    Failed,
}

impl CommandLine {
    /// Runs the command; says on stderr why it cannot.
    pub fn run(self) -> ExitCode {
        output::colour(self.global.color);
        let global = self.global;
        failpoint::arm(&environment::variable("HOOKGATE_FAILPOINT").unwrap_or_default());
        let result = match self.command.unwrap_or_else(|| Command::Serve(serve::Args::default())) {
            Command::Serve(args) => serve::run(&global, &args),
            Command::Check(args) => check::run(&global, &args),
            Command::Test(args) => test::run(&global, &args),
            Command::Call(args) => call::run(&global, &args),
            Command::Simulate(args) => simulate::run(&global, &args),
            Command::Explain(args) => explain::run(&global, &args),
            Command::Events(args) => events::run(&global, &args),
            Command::Kv(args) => kv::run(&global, &args),
            Command::Release(args) => release::run(&global, &args),
            Command::Init(args) => init::run(&global, &args),
            Command::Docs(args) => docs::run(&global, &args),
            Command::Lsp(args) => lsp::run(&global, &args),
            Command::Completions(args) => completions::run(&args),
        };
        match result {
            Ok(Status::Good) => ExitCode::SUCCESS,
            Ok(Status::Failed) => ExitCode::from(1),
            Err(error) => {
                output::error(&error);
                ExitCode::from(2)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_command_and_option_says_what_it_does() {
        let mut root = CommandLine::command();
        root.build();
        for command in root.get_subcommands().filter(|command| command.get_name() != "help") {
            assert!(command.get_about().is_some(), "{} has no text", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {} has no text", command.get_name(), argument.get_id());
            }
        }
    }
}
