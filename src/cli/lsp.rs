//! `lsp`: the language server of editors, on standard input and output. Prints nothing else there.

use std::io::{BufReader, stdin, stdout};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use url::Url;

use crate::cli::{Global, Status};
use crate::editor::lens::Trial;
use crate::editor::server;
use crate::editor::server::Setup;
use crate::release::bundle::Place;

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Standard input and output, as many editors write it; there is no other way.
    #[arg(long)]
    stdio: bool,
    /// Address of the page that explains the codes of findings, where you have published it: findings link to it.
    #[arg(long, value_name = "URL")]
    code_page: Option<Url>,
}

/// # Errors
/// The editor closed its end.
pub fn run(global: &Global, args: &Args) -> Result<Status> {
    // Named or not, it is the one way.
    let Args { stdio: _, code_page } = args;
    let name = global.config.file_name().unwrap_or_else(|| Path::new("gateway.toml").as_os_str());
    let setup = Setup { config_name: name.to_string_lossy().into_owned(), runner, page: code_page.clone() };
    let goodbye = server::serve(BufReader::new(stdin()), stdout(), setup).context("the editor does not listen")?;
    Ok(if goodbye { Status::Good } else { Status::Failed })
}

/// Runs tests by the program itself, so of the files as they are saved; says which failed, but not at which line.
fn runner(place: &Place, file: &str, test: Option<&str>) -> Result<Trial, String> {
    let stem = regex::escape(file.strip_suffix("_test.rhai").unwrap_or(file));
    let filter = test.map_or_else(|| format!("^{stem}::"), |test| format!("^{stem}::{}$", regex::escape(test)));
    let program = std::env::current_exe().map_err(|error| format!("hookgate cannot be found: {error}"))?;
    let mut command = Command::new(program);
    command.args(["test", "--color", "never", "--filter", &filter, "--config"]).arg(&place.config);
    let ran = command.stdin(Stdio::null()).output().map_err(|error| format!("hookgate cannot be run: {error}"))?;
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    let last = out.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    let trial = |passed| Trial { passed, summary: last.to_owned(), findings: Vec::new() };
    match ran.status.code() {
        Some(0) => Ok(trial(true)),
        Some(1) => Ok(trial(false)),
        _ => Err(format!("the tests could not be run: {}", err.lines().next().unwrap_or_default())),
    }
}
