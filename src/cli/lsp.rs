//! `lsp`: the language server of editors, on standard input and output. Prints nothing else there.

use std::io::{BufReader, stdin, stdout};
use std::path::Path;

use anyhow::{Context, Result};
use regex::Regex;
use url::Url;

use crate::cli::{Global, Status};
use crate::editor::lens::Trial;
use crate::editor::server;
use crate::editor::server::Setup;
use hookgate_engine::harness;
use hookgate_engine::harness::run;
use hookgate_engine::harness::run::{Options, Report};
use hookgate_engine::harness::trial::Verdict;
use hookgate_engine::release::build;
use hookgate_engine::release::build::Secrets;
use hookgate_engine::release::bundle::Place;
use hookgate_engine::release::suite;
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_model::finding::Finding;

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

/// Runs the tests of a file, or one of them, in the bundle as the editor shows it.
fn runner(place: &Place, file: &str, test: Option<&str>) -> Result<Trial, String> {
    let first = |findings: &[Finding]| findings.first().map(Finding::one_line).unwrap_or_default();
    let release = build::check(place, Secrets::Skip, &Metrics::new())
        .map_err(|findings| format!("the bundle cannot run: {}", first(&findings)))?;
    let mut suite = suite::suite(&release);
    let label = format!("{}/{file}", release.config.scripts.dir);
    if let Some(orphan) = suite.problems.iter().find(|problem| problem.file == label) {
        return Err(orphan.one_line());
    }
    suite.problems.clear();
    suite.subjects.retain(|subject| subject.test_label == label);
    if let Some(Err(broken)) = suite.subjects.first().and_then(|subject| subject.tests.as_ref()) {
        return Err(format!("these tests cannot run: {}", first(broken)));
    }
    let filter = test.map(|test| format!("::{}$", regex::escape(test)));
    let filter = filter.map(|text| Regex::new(&text).expect("an escaped name is a regular expression"));
    let report = run::run(&suite, &Options { filter, ..Options::default() }, &|_| {});
    if report.trials.is_empty() {
        return Err(format!("there is no {} in `{label}`", test.unwrap_or("test")));
    }
    let findings = report.failed().flat_map(harness::trial::Trial::findings).collect();
    Ok(Trial { passed: report.failed().next().is_none(), summary: summary(&report), findings })
}

/// `1 failed, 2 passed`
fn summary(report: &Report) -> String {
    let of = |wanted: fn(&Verdict) -> bool| report.trials.iter().filter(|trial| wanted(&trial.verdict)).count();
    let counts = [
        (of(|verdict| *verdict == Verdict::Failed), "failed"),
        (of(|verdict| *verdict == Verdict::Passed), "passed"),
        (of(|verdict| matches!(verdict, Verdict::Todo(_))), "todo"),
        (of(|verdict| matches!(verdict, Verdict::Skipped(_))), "skipped"),
    ];
    let counts = counts.iter().filter(|(number, _)| *number > 0).map(|(number, word)| format!("{number} {word}"));
    counts.collect::<Vec<_>>().join(", ")
}
