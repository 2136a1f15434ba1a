//! `test`: run the tests and golden cases of the bundle's scripts.
//!
//! Status 0 when all pass, 1 when one fails, the coverage is too low or the bundle has errors (as with `check`), 2 when
//! nothing can be run: no configuration, a bad option, a report that cannot be written.

mod accept;
mod covered;
mod document;
mod junit;
mod progress;
mod terminal;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use regex::Regex;

use crate::cli::bundle;
use crate::cli::output;
use crate::cli::{Global, Status};
use hookgate_engine::harness::coverage::Coverage;
use hookgate_engine::harness::run;
use hookgate_engine::harness::run::{Options, Report, Suite};
use hookgate_engine::release::Release;
use hookgate_engine::release::build;
use hookgate_engine::release::build::{Reading, Secrets};
use hookgate_engine::release::bundle::Place;
use hookgate_engine::release::suite;
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_model::finding::{Finding, nearest};

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Run only tests whose id (`script::test_name`, `script::case/name`) this regular expression matches.
    #[arg(long, value_name = "REGEX")]
    filter: Option<String>,
    /// Stop at the first test that fails.
    #[arg(long)]
    fail_fast: bool,
    /// Print the ids of the tests and run none.
    #[arg(long, conflicts_with_all = ["accept", "watch"])]
    list: bool,
    /// Write what comes of golden cases as what must come of them; review the difference before you commit it.
    #[arg(long, conflicts_with = "watch")]
    accept: bool,
    /// Run again what a change touches, until Ctrl-C.
    #[arg(long)]
    watch: bool,
    /// Write a report for CI systems, as JUnit XML; also when tests fail.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Tell how many lines of each script ran, and which did not.
    #[arg(long)]
    coverage: bool,
    /// Print the scripts with the count of each line, with TEXT only those with it in their path. Includes `--coverage`.
    #[arg(long, value_name = "TEXT", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    annotate: Option<String>,
    /// Write the coverage of lines in the format of lcov. Includes `--coverage`.
    #[arg(long, value_name = "FILE")]
    lcov: Option<PathBuf>,
    /// Fail when less than so many percent of all lines ran. Includes `--coverage`.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    fail_under: Option<f64>,
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches('%').parse::<f64>().ok();
    number.filter(|number| (0.0..=100.0).contains(number)).ok_or_else(|| "it is a number from 0 to 100".to_owned())
}

/// # Errors
/// The bundle cannot be read, the filter is no regular expression, or a report cannot be written.
pub fn run(global: &Global, args: &Args) -> Result<Status> {
    let place = bundle::place(global)?;
    let job = Job { json: global.json, options: args.options()?, args: args.clone(), place };
    if args.watch {
        return watch::run(job);
    }
    let tested = match job.load(None)? {
        Err(findings) => return job.refuse(&findings, Document::Pretty),
        Ok(tested) => tested,
    };
    if args.list {
        return Ok(job.list(&tested.suite));
    }
    if !args.accept {
        return job.finish(&tested.suite, Document::Pretty);
    }
    accept::run(&job.place, &tested.suite, &job.options)?;
    // What was written is read again: a case that does not come out the same twice must not pass.
    match job.load(None)? {
        Err(findings) => job.refuse(&findings, Document::Pretty),
        Ok(again) => job.finish(&again.suite, Document::Pretty),
    }
}

impl Args {
    fn options(&self) -> Result<Options> {
        let filter = self.filter.as_deref().map(Regex::new).transpose().context("--filter is no regular expression")?;
        Ok(Options { filter, fail_fast: self.fail_fast, ..Options::default() })
    }

    fn wants_coverage(&self) -> bool {
        self.coverage || self.annotate.is_some() || self.lcov.is_some() || self.fail_under.is_some()
    }
}

/// What is asked for.
struct Job {
    json: bool,
    args: Args,
    options: Options,
    place: Place,
}

/// How JSON is laid out: one document, or one of many, each on a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Document {
    Pretty,
    Line,
}

/// A release and its tests.
struct Tested {
    release: Arc<Release>,
    suite: Suite,
}

impl Job {
    /// The tests of the bundle as it is on disk, or what is wrong with it.
    fn load(&self, before: Option<&Release>) -> Result<Result<Tested, Vec<Finding>>> {
        match build::read(&self.place) {
            Ok(reading) => Ok(self.assemble(reading, before)),
            Err(findings) => match findings.iter().find(|finding| finding.code == "config/unreadable") {
                Some(unreadable) => bail!(unreadable.one_line()),
                None => Ok(Err(findings)),
            },
        }
    }

    fn assemble(&self, reading: Reading, before: Option<&Release>) -> Result<Tested, Vec<Finding>> {
        let reading = Reading { covered: self.args.wants_coverage(), ..reading };
        let release = build::assemble(&self.place, reading, before, Secrets::Skip, &Metrics::new())?;
        Ok(Tested { suite: suite::suite(&release), release: Arc::new(release) })
    }

    /// Prints the ids of all tests that the filter lets through.
    fn list(&self, suite: &Suite) -> Status {
        let ids = run::ids(suite, self.options.filter.as_ref());
        if self.json {
            output::json(&ids.into());
            return Status::Good;
        }
        if ids.is_empty() {
            return self.nothing(suite);
        }
        ids.iter().for_each(output::line);
        Status::Good
    }

    /// Runs everything and tells what came of it.
    fn finish(&self, suite: &Suite, document: Document) -> Result<Status> {
        let report = self.run(suite);
        self.tell(suite, &report, document)
    }

    fn run(&self, suite: &Suite) -> Report {
        let progress = progress::Progress::new(run::ids(suite, self.options.filter.as_ref()).len());
        let report = run::run(suite, &self.options, &|_| progress.step());
        progress.end();
        report
    }

    fn tell(&self, suite: &Suite, report: &Report, document: Document) -> Result<Status> {
        let coverage = self.args.wants_coverage().then(|| Coverage::of(&suite.compiler, &report.hits));
        if let Some(file) = &self.args.junit {
            write(file, &junit::report(report)?)?;
        }
        if let (Some(file), Some(coverage)) = (&self.args.lcov, &coverage) {
            write(file, &covered::lcov(coverage, &self.place.root))?;
        }
        let too_low = coverage.as_ref().and_then(|coverage| covered::too_low(coverage, self.args.fail_under?));
        let nothing = report.trials.is_empty() && !report.stopped;
        if self.json {
            let printed = document::of(report, &[], coverage.as_ref());
            self.print(&printed, document);
        } else if nothing {
            self.nothing(suite);
        } else {
            output::line(terminal::summary(report));
        }
        if let (Some(coverage), false) = (&coverage, self.json) {
            output::line(covered::table(coverage));
            if let Some(part) = &self.args.annotate {
                output::line(covered::annotated(coverage, part));
            }
        }
        if let Some(too_low) = &too_low {
            output::note(too_low);
        }
        let missed = nothing && self.options.filter.is_some();
        if missed && self.json {
            output::note(self.unmatched(suite));
        }
        let failed = report.failed().next().is_some() || too_low.is_some() || missed;
        Ok(if failed { Status::Failed } else { Status::Good })
    }

    /// There is nothing to run; a filter that lets nothing through is a mistake.
    fn nothing(&self, suite: &Suite) -> Status {
        if self.options.filter.is_some() {
            output::note(self.unmatched(suite));
            return Status::Failed;
        }
        output::note("there are no tests: `name_test.rhai` beside `name.rhai` holds those of `name.rhai`");
        Status::Good
    }

    /// Why the filter lets nothing through.
    fn unmatched(&self, suite: &Suite) -> String {
        let filter = self.args.filter.as_deref().unwrap_or_default();
        let ids = run::ids(suite, None);
        let parts =
            |id: &str| id.split("::").map(|part| part.trim_start_matches("test_").to_owned()).collect::<Vec<_>>();
        let names: Vec<String> = ids.iter().cloned().chain(ids.iter().flat_map(|id| parts(id))).collect();
        let near = nearest(filter, names.iter().map(String::as_str))
            .map(|near| ids.iter().filter(move |id| id.contains(near)).take(NEAREST));
        let hint = match near {
            Some(near) => format!("; near it: {}", near.map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ")),
            None => "; `--list` prints the ids of all".to_owned(),
        };
        format!("no test matches `{filter}`{hint}")
    }

    /// Tells what keeps the bundle from being tested.
    fn refuse(&self, findings: &[Finding], document: Document) -> Result<Status> {
        if let Some(file) = &self.args.junit {
            write(file, &junit::refused(findings)?)?;
        }
        if self.json {
            self.print(&document::of(&Report::default(), findings, None), document);
        } else {
            output::line(terminal::refused(findings));
        }
        Ok(Status::Failed)
    }

    fn print(&self, value: &serde_json::Value, document: Document) {
        match document {
            Document::Pretty => output::json(value),
            Document::Line => output::line(value),
        }
    }
}

/// Ids that are shown when a filter matches none.
const NEAREST: usize = 3;

fn write(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).with_context(|| format!("`{}` cannot be written", file.display()))
}
