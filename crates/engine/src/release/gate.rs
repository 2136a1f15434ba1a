//! The gate before a release goes live: the tests of every script that changed must pass.
//!
//! What a script's tests can notice is summed up in a fingerprint (the script with its imports, its tests and cases, its
//! parameters, limits and tables). A fingerprint that has passed is not tested again; one that has failed is not either,
//! because tests come out the same way every time, unless it was a limit that ended them.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use utoipa::ToSchema;

use crate::config::scripts;
use crate::harness::run;
use crate::harness::run::{Options, Report};
use crate::harness::trial::{Trial, Verdict};
use crate::release::Release;
use crate::release::suite;
use hookgate_model::finding::{Finding, Severity};

/// Remembers what has been tested. One per gateway.
#[derive(Default)]
pub struct Gate {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    results: HashMap<String, Kept>,
    /// The fingerprints of the release in force: kept while others come and go.
    in_force: HashSet<String>,
}

/// What came of one script's tests.
#[derive(Clone, Debug, Default)]
struct Kept {
    /// Why they did not pass; empty if they did.
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
    failures: Vec<String>,
}

/// How hard to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Nothing is served yet.
    Start,
    /// Calls are being answered, and come first.
    Beside,
}

/// What an examination found.
#[derive(Clone, Debug, Default)]
pub struct Examined {
    /// Why the release may not go live; empty if it may.
    pub errors: Vec<Finding>,
    pub warnings: Vec<Finding>,
    pub(crate) tested: Tested,
    /// Failing tests by script.
    pub(crate) failed_by_script: Vec<(String, usize)>,
    fingerprints: HashSet<String>,
}

/// The tests of a release in numbers, as `/api/v1/status` shows them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Tested {
    /// Scripts whose tests were run.
    pub scripts: usize,
    /// Scripts that were not tested again, because nothing changed that their tests could notice.
    pub unchanged: usize,
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
    pub took_ms: u64,
    /// The tests that failed: `registration::test_quoted`.
    pub failures: Vec<String>,
}

impl Gate {
    /// Runs the tests of every script of the release that changed.
    pub fn examine(&self, release: &Release, pace: Pace) -> Examined {
        if release.config.scripts.gate == scripts::Gate::Check {
            return Examined::default();
        }
        let known = |fingerprint: &str| self.lock().results.contains_key(fingerprint);
        let (suite, unchanged) = suite::changed(release, &known);
        let timeout = Duration::from_millis(release.config.scripts.gate_timeout_ms);
        let options = Options { until: Some(Instant::now() + timeout), ..pace.options() };
        let report = run::run(&suite, &options, &|_| {});
        let mut examined = Examined { tested: counted(&report), ..Examined::default() };
        examined.tested.scripts = suite.subjects.len();
        examined.tested.unchanged = unchanged.len();
        let (errors, warnings): (Vec<_>, Vec<_>) =
            suite.problems.iter().cloned().partition(|problem| problem.severity == Severity::Error);
        examined.errors.extend(errors);
        examined.warnings.extend(warnings);
        for subject in &suite.subjects {
            let kept = Kept::of(&report, &subject.script, suite::warnings(subject, &suite.compiler));
            examined.fingerprints.insert(subject.fingerprint.clone());
            // What was cut short, by its own limits or by the gate's, may come out otherwise next time.
            let is_cut = |error: &Finding| matches!(error.code, "test/limit" | "test/gate-timeout");
            if !report.stopped && !kept.errors.iter().any(is_cut) {
                self.lock().results.insert(subject.fingerprint.clone(), kept.clone());
            }
            examined.add(&subject.script, kept);
        }
        for (script, fingerprint) in unchanged {
            let kept = self.lock().results.get(&fingerprint).cloned().unwrap_or_default();
            examined.fingerprints.insert(fingerprint);
            examined.tested.failed += kept.failures.len();
            examined.tested.failures.extend(kept.failures.iter().cloned());
            examined.add(&script, kept);
        }
        // All that were cut short by the gate are one finding.
        let before = examined.errors.len();
        examined.errors.retain(|error| error.code != "test/gate-timeout");
        let late_ones = report.stopped || examined.errors.len() < before;
        if late_ones && examined.errors.is_empty() {
            examined.errors.push(late(release, &report, timeout));
        }
        self.forget(&examined.fingerprints);
        examined
    }

    /// The examined release is in force now.
    pub fn keep(&self, examined: &Examined) {
        self.lock().in_force.clone_from(&examined.fingerprints);
    }

    /// Drops what neither the release in force nor the last one examined is about.
    fn forget(&self, latest: &HashSet<String>) {
        let mut known = self.lock();
        let Known { results, in_force } = &mut *known;
        results.retain(|fingerprint, _| latest.contains(fingerprint) || in_force.contains(fingerprint));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace {
    fn options(self) -> Options {
        let cores = Options::default().threads;
        match self {
            Self::Start => Options::default(),
            Self::Beside => Options { threads: cores.div_ceil(2), yielding: true, ..Options::default() },
        }
    }
}

impl Examined {
    fn add(&mut self, script: &str, kept: Kept) {
        if !kept.failures.is_empty() {
            self.failed_by_script.push((script.to_owned(), kept.failures.len()));
        }
        self.errors.extend(kept.errors);
        self.warnings.extend(kept.warnings);
    }
}

impl Kept {
    fn of(report: &Report, script: &str, warnings: Vec<Finding>) -> Self {
        let failed: Vec<&Trial> = report.failed().filter(|trial| trial.script == script).collect();
        let errors = failed.iter().flat_map(|trial| trial.findings()).collect();
        Self { errors, warnings, failures: failed.iter().map(|trial| trial.id.clone()).collect() }
    }
}

fn counted(report: &Report) -> Tested {
    let of = |wanted: fn(&Verdict) -> bool| report.trials.iter().filter(|trial| wanted(&trial.verdict)).count();
    Tested {
        passed: of(|verdict| *verdict == Verdict::Passed),
        failed: of(|verdict| *verdict == Verdict::Failed),
        skipped: of(|verdict| matches!(verdict, Verdict::Skipped(_) | Verdict::Todo(_))),
        took_ms: u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
        failures: report.failed().map(|trial| trial.id.clone()).collect(),
        ..Tested::default()
    }
}

fn late(release: &Release, report: &Report, timeout: Duration) -> Finding {
    let text = format!(
        "the tests did not end within {} s ({} had ended), so the release does not go live",
        timeout.as_secs_f64(),
        report.trials.len()
    );
    let finding = Finding::error("test/gate-timeout", release.config.scripts.dir.clone(), text);
    finding.help("make the tests faster, or raise `scripts.gate_timeout_ms`")
}
