//! Running tests: on all cores, each test in a world of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use regex::Regex;

use crate::harness::cases;
use crate::harness::subject::Subject;
use crate::harness::test;
use crate::harness::trial::{Complaint, Trial, Verdict};
use hookgate_connectors::Connectors;
use hookgate_model::finding::{Finding, Severity};
use hookgate_script::compile::Compiler;
use hookgate_script::lanes;
use hookgate_script::stack;
use hookgate_script::trace::coverage;
use hookgate_script::trace::coverage::Hits;

/// Everything there is to run.
#[derive(Clone)]
pub struct Suite {
    pub subjects: Vec<Arc<Subject>>,
    pub compiler: Arc<Compiler>,
    /// What actions may name.
    pub connectors: Arc<Connectors>,
    /// Files of tests that test nothing, and why. A warning, not an error, of what a script that was removed has left.
    pub problems: Vec<Finding>,
}

/// How to run it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Runs only tests whose id it matches.
    pub filter: Option<Regex>,
    /// Stops at the first that fails.
    pub fail_fast: bool,
    pub threads: usize,
    /// Gives way to everything else on the machine: for a gateway that serves meanwhile.
    pub yielding: bool,
    /// When to stop: a test that runs then is ended, and those that come after it are not begun.
    pub until: Option<Instant>,
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// In the order of scripts and of the text.
    pub trials: Vec<Trial>,
    /// Lines that ran, where the suite was compiled for that.
    pub hits: Hits,
    pub took: Duration,
    /// Whether it was stopped before its end.
    pub stopped: bool,
}

impl Default for Options {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { filter: None, fail_fast: false, threads, yielding: false, until: None }
    }
}

impl Report {
    pub fn failed(&self) -> impl Iterator<Item = &Trial> {
        self.trials.iter().filter(|trial| trial.failed())
    }
}

/// One thing to run.
enum Unit<'a> {
    Test {
        subject: &'a Arc<Subject>,
        place: usize,
    },
    Case {
        subject: &'a Arc<Subject>,
        name: &'a str,
    },
    /// A file of tests that cannot be run.
    Broken {
        subject: &'a Arc<Subject>,
        findings: &'a [Finding],
    },
    Problem(&'a Finding),
}

impl Unit<'_> {
    fn id(&self) -> String {
        match self {
            Self::Test { subject, place } => {
                let tests = subject.tests.as_ref().and_then(|tests| tests.as_ref().ok());
                let name = tests.map_or("", |tests| tests.functions[*place].name.as_str());
                format!("{}::{name}", subject.stem())
            }
            Self::Case { subject, name } => format!("{}::case/{name}", subject.stem()),
            Self::Broken { subject, .. } => format!("{}::tests", subject.stem()),
            Self::Problem(finding) => finding.file.clone(),
        }
    }

    fn run(&self, suite: &Suite, until: Option<Instant>) -> Trial {
        match self {
            Self::Test { subject, place } => test::run(suite, subject, *place, until),
            Self::Case { subject, name } => cases::run(suite, subject, name),
            Self::Broken { subject, findings } => Trial {
                script: subject.script.clone(),
                file: subject.test_label.clone(),
                ..broken(self.id(), findings)
            },
            Self::Problem(finding) if finding.severity == Severity::Warning => Trial {
                verdict: Verdict::Skipped(finding.message.clone()),
                complaints: Vec::new(),
                ..broken(self.id(), &[])
            },
            Self::Problem(finding) => broken(self.id(), std::slice::from_ref(*finding)),
        }
    }
}

/// A test that cannot be run.
fn broken(id: String, findings: &[Finding]) -> Trial {
    let first = findings.first();
    Trial {
        name: "tests".to_owned(),
        file: first.map(|finding| finding.file.clone()).unwrap_or_default(),
        script: String::new(),
        about: String::new(),
        mark: None,
        line: first.map_or(0, |finding| finding.line),
        verdict: Verdict::Failed,
        rows: Vec::new(),
        complaints: findings.iter().cloned().map(Complaint::of).collect(),
        logs: Vec::new(),
        assertions: 0,
        took: Duration::ZERO,
        id,
    }
}

/// The ids of everything that the filter lets through.
pub fn ids(suite: &Suite, filter: Option<&Regex>) -> Vec<String> {
    let ids = units(suite).into_iter().map(|unit| unit.id());
    ids.filter(|id| filter.is_none_or(|filter| filter.is_match(id))).collect()
}

fn units(suite: &Suite) -> Vec<Unit<'_>> {
    let mut units: Vec<Unit> = suite.problems.iter().map(Unit::Problem).collect();
    for subject in &suite.subjects {
        match &subject.tests {
            Some(Ok(tests)) => units.extend((0..tests.functions.len()).map(|place| Unit::Test { subject, place })),
            Some(Err(findings)) => units.push(Unit::Broken { subject, findings }),
            None => {}
        }
        units.extend(subject.cases.keys().map(|name| Unit::Case { subject, name }));
    }
    units
}

/// Runs the suite; `progress` hears of each test as it ends, from any thread.
pub fn run(suite: &Suite, options: &Options, progress: &(dyn Fn(&Trial) + Sync)) -> Report {
    let started = Instant::now();
    let wanted = |unit: &Unit| options.filter.as_ref().is_none_or(|filter| filter.is_match(&unit.id()));
    let units: Vec<Unit> = units(suite).into_iter().filter(wanted).collect();
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let (sender, results) = channel();
    let work = || {
        if options.yielding {
            lanes::give_way(19);
        }
        let mut trials = Vec::new();
        while let Some((index, unit)) = take(&next, &stop, &units, options) {
            let trial = unit.run(suite, options.until);
            stop.fetch_or(options.fail_fast && trial.failed(), Ordering::Relaxed);
            progress(&trial);
            trials.push((index, trial));
        }
        // Nobody waits when the main thread is gone.
        let _ = sender.send((trials, coverage::take()));
    };
    std::thread::scope(|scope| {
        let threads = options.threads.clamp(1, units.len().max(1));
        let start = |_| stack::thread("tests").spawn_scoped(scope, work);
        let started: Vec<_> = (0..threads).filter_map(|number| start(number).ok()).collect();
        if started.is_empty() {
            work();
        }
    });
    drop(sender);
    let (mut trials, mut hits) = (Vec::new(), Hits::new());
    for (some, noted) in results {
        trials.extend(some);
        add(&mut hits, noted);
    }
    trials.sort_by_key(|(index, _)| *index);
    let stopped = trials.len() < units.len();
    Report { trials: trials.into_iter().map(|(_, trial)| trial).collect(), hits, took: started.elapsed(), stopped }
}

fn take<'a, 'b>(
    next: &AtomicUsize,
    stop: &AtomicBool,
    units: &'b [Unit<'a>],
    options: &Options,
) -> Option<(usize, &'b Unit<'a>)> {
    if stop.load(Ordering::Relaxed) || options.until.is_some_and(|until| Instant::now() >= until) {
        return None;
    }
    let index = next.fetch_add(1, Ordering::Relaxed);
    units.get(index).map(|unit| (index, unit))
}

fn add(hits: &mut Hits, more: Hits) {
    for (file, lines) in more {
        let known = hits.entry(file).or_default();
        for (line, count) in lines {
            *known.entry(line).or_default() += count;
        }
    }
}
