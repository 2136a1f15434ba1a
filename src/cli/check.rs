//! `check`: load the bundle as the server would, and say everything that is wrong with it; with `--online` also whether the
//! systems outside can be reached, and with `--tests` whether its tests pass. Changes nothing, and says at its end what it left out.

mod online;
mod sarif;

use anyhow::{Result, bail};
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::cli::bundle;
use crate::cli::docs;
use crate::cli::docs::codes;
use crate::cli::output;
use crate::cli::output::{DIM, GOOD, counted, paint};
use crate::cli::{Global, Status};
use hookgate_engine::config::scripts;
use hookgate_engine::release::Release;
use hookgate_engine::release::build;
use hookgate_engine::release::build::{Reading, Secrets};
use hookgate_engine::release::bundle::Place;
use hookgate_engine::release::gate::{Gate, Pace};
use hookgate_engine::release::manifest;
use hookgate_engine::release::suite;
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_model::finding::{Finding, Severity, unknown};
use hookgate_script::compile::is_test;

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// How findings are written; `--json` is the same as `json`.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Do not look for secrets: for CI, where there are none.
    #[arg(long)]
    no_secrets: bool,
    /// Ask every outside system whether it can be reached and lets us in, without changing anything there.
    #[arg(long, conflicts_with = "no_secrets")]
    online: bool,
    /// Run the tests that a release must pass before it goes live.
    #[arg(long)]
    tests: bool,
    /// Fail on warnings, too.
    #[arg(long)]
    deny_warnings: bool,
    /// Say what a code of a finding means, with a bad and a good example; without CODE list all codes. Checks nothing.
    #[arg(long, value_name = "CODE", num_args = 0..=1, default_missing_value = "")]
    explain: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// With excerpt, caret and remedy.
    Human,
    /// Findings, and what the release would be.
    Json,
    /// SARIF 2.1.0, for code-scanning services.
    Sarif,
}

/// What was found.
struct Outcome {
    findings: Vec<Finding>,
    /// Unknown where the configuration cannot be read.
    scripts: Option<usize>,
    release: Option<Release>,
    /// What was found outside, with `--online`.
    online: Option<Vec<online::Seen>>,
    /// What was not looked at, and how it would be.
    left_out: Vec<Omission>,
}

/// A part of a check that was not asked for, or could not be made: its name, and the remedy.
struct Omission(&'static str, &'static str);

/// # Errors
/// There is no configuration, or it cannot be read.
pub fn run(global: &Global, args: &Args) -> Result<Status> {
    if let Some(code) = &args.explain {
        return explain(global, code);
    }
    let place = bundle::place(global)?;
    let mut outcome = Outcome::of(&place, if args.no_secrets { Secrets::Skip } else { Secrets::Check });
    if let (true, Some(release)) = (args.online, &outcome.release) {
        outcome.online = Some(online::look(release)?);
    }
    if args.tests {
        outcome.test();
    }
    outcome.left_out = outcome.left_out(args);
    if let Some(unreadable) = outcome.findings.iter().find(|finding| finding.code == "config/unreadable") {
        bail!(unreadable.one_line());
    }
    match args.format {
        Format::Human if !global.json => outcome.print(),
        Format::Human | Format::Json => output::json(&outcome.json()),
        Format::Sarif => output::json(&sarif::log(&outcome.findings, &place.root)),
    }
    let failed = outcome.is_broken() || (args.deny_warnings && !outcome.findings.is_empty());
    let unreachable = outcome.online.as_ref().is_some_and(|seen| !online::all_good(seen));
    Ok(if failed || unreachable { Status::Failed } else { Status::Good })
}

fn explain(global: &Global, name: &str) -> Result<Status> {
    match codes::find(name) {
        Some(code) if global.json => output::json(&docs::code_json(code)),
        Some(code) => output::line(codes::page(code)),
        None if name.is_empty() && global.json => {
            output::json(&codes::all().into_iter().map(docs::code_json).collect());
        }
        None if name.is_empty() => output::line(codes::list()),
        None => {
            let names: Vec<String> = codes::all().into_iter().map(|code| code.code.to_owned()).collect();
            bail!("{}; `hookgate check --explain` lists all", unknown("code", name, &names));
        }
    }
    Ok(Status::Good)
}

impl Outcome {
    fn of(place: &Place, secrets: Secrets) -> Self {
        match build::read(place) {
            Err(findings) => Self::broken(findings, None),
            Ok(reading) => Self::assembled(place, reading, secrets),
        }
    }

    fn assembled(place: &Place, reading: Reading, secrets: Secrets) -> Self {
        let names = reading.texts.scripts.keys();
        let scripts = Some(names.filter(|name| !is_test(name)).count());
        let unlisted = manifest::check(place, &reading, None).err().unwrap_or_default();
        match build::assemble(place, reading, None, secrets, &Metrics::new()) {
            Err(findings) => Self::broken([findings, unlisted].concat(), scripts),
            Ok(release) => {
                let mut findings = release.warnings.clone();
                findings.extend(suite::findings(&release));
                findings.extend(unlisted);
                Self { release: Some(release), ..Self::broken(findings, scripts) }
            }
        }
    }

    fn broken(findings: Vec<Finding>, scripts: Option<usize>) -> Self {
        Self { findings, scripts, release: None, online: None, left_out: Vec::new() }
    }

    fn is_broken(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// Runs the tests that would be run before the release goes live.
    fn test(&mut self) {
        let Some(release) = &self.release else { return };
        let examined = Gate::default().examine(release, Pace::Start);
        let news = [examined.errors, examined.warnings].concat();
        let news = news.into_iter().filter(|finding| !self.findings.contains(finding)).collect::<Vec<_>>();
        self.findings.extend(news);
    }

    fn left_out(&self, args: &Args) -> Vec<Omission> {
        let gate = self.release.as_ref().map(|release| release.config.scripts.gate);
        let tests = match gate {
            Some(scripts::Gate::Check) => Some("`scripts.gate` asks for none; `hookgate test` runs them"),
            Some(scripts::Gate::Tests) => (!args.tests).then_some("--tests runs them"),
            None => Some("run when nothing else is wrong"),
        };
        let outside = match self.online {
            Some(_) => None,
            None if args.online => Some("asked when nothing else is wrong"),
            None => Some("--online asks them"),
        };
        let secrets = args.no_secrets.then_some("--no-secrets leaves them out");
        let parts = [("tests", tests), ("outside systems", outside), ("secrets", secrets)];
        parts.into_iter().filter_map(|(part, remedy)| Some(Omission(part, remedy?))).collect()
    }

    fn print(&self) {
        self.print_findings();
        if !self.left_out.is_empty() {
            let parts: Vec<String> =
                self.left_out.iter().map(|Omission(part, how)| format!("{part} ({how})")).collect();
            output::line(paint(DIM, format!("not looked at: {}", parts.join(", "))));
        }
    }

    fn print_findings(&self) {
        if !self.findings.is_empty() {
            output::line(output::rendered(&self.findings));
            output::line("");
        }
        if let Some(seen) = &self.online {
            online::print(seen);
            output::line("");
        }
        let scripts = self.scripts.map(|number| counted(number, "script"));
        let tally = output::tally(&self.findings);
        let Some(release) = self.release.as_ref().filter(|_| !self.is_broken()) else {
            let place = scripts.map(|scripts| format!(" in {scripts}")).unwrap_or_default();
            return output::line(format_args!("{tally}{place}"));
        };
        let mut parts = vec![counted(release.routes.len(), "route")];
        parts.extend(scripts);
        if !release.tables.is_empty() {
            parts.push(counted(release.tables.len(), "table"));
        }
        if !tally.is_empty() {
            parts.push(tally);
        }
        output::line(format_args!("{} {} (release {})", paint(GOOD, "good:"), parts.join(", "), release.label()));
    }

    fn json(&self) -> Value {
        let count = |severity| self.findings.iter().filter(|finding| finding.severity == severity).count();
        let release = self.release.as_ref().map(|release| {
            json!({
                "hash": release.hash,
                "routes": release.routes.iter().map(|route| &route.name).collect::<Vec<_>>(),
                "tables": release.tables.keys().collect::<Vec<_>>(),
            })
        });
        json!({
            "findings": self.findings,
            "errors": count(Severity::Error),
            "warnings": count(Severity::Warning),
            "scripts": self.scripts,
            "release": release,
            "online": self.online.as_deref().map(online::json),
            "not_looked_at": self.left_out.iter().map(|Omission(part, _)| part).collect::<Vec<_>>(),
        })
    }
}
