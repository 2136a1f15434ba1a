//! `test --watch`: runs, waits for changes, and runs again what they touch, until Ctrl-C.
//!
//! What a change touches is told by the fingerprints of scripts: what their tests could notice. The rest of the report is
//! that of the run before. A broken bundle shows its findings, and what is watched goes on being watched.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::cli::Status;
use crate::cli::output;
use crate::cli::output::{BOLD, DIM, counted, paint};
use crate::cli::test::{Document, Job, Tested};
use hookgate_engine::config::Config;
use hookgate_engine::harness::run::{Report, Suite};
use hookgate_engine::release::settle::{Conditions, Settle, Unsettled};
use hookgate_engine::release::watch::Changes;
use hookgate_model::finding::Finding;

/// Watches until Ctrl-C.
///
/// # Errors
/// A report cannot be written.
pub(super) fn run(job: Job) -> Result<Status> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("no runtime could be started")?;
    let status = runtime.block_on(async move {
        let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
        let mut changes = Changes::of(job.place.clone());
        let mut watched = Watched { job, settle: Settle::default(), known: None, seen: None };
        loop {
            tokio::select! {
                _ = &mut interrupted => return Ok(Status::Good),
                _ = changes.next() => {}
            }
            loop {
                changes.follow(watched.config());
                // Off this thread, so that Ctrl-C is heard while tests run.
                let round = tokio::task::spawn_blocking(move || watched.round());
                watched = tokio::select! {
                    _ = &mut interrupted => return Ok(Status::Good),
                    watched = round => watched.context("the run panicked")??,
                };
                if !changes.moved(watched.config()) {
                    break;
                }
            }
        }
    });
    // A test in work must not keep the program from ending.
    runtime.shutdown_background();
    status
}

struct Watched {
    job: Job,
    settle: Settle,
    /// The last release that could be tested, and what came of it.
    known: Option<Known>,
    /// What was read last: its hash, or what is wrong with it.
    seen: Option<Result<String, Vec<Finding>>>,
}

struct Known {
    tested: Tested,
    report: Report,
}

impl Watched {
    fn config(&self) -> Option<&Config> {
        self.known.as_ref().map(|known| &known.tested.release.config)
    }

    /// Reads the bundle, and runs what changed since it was read last, if anything did.
    fn round(mut self) -> Result<Self> {
        let settled = self.settle.read(&self.job.place, &Conditions::QUIET);
        let reading = settled.map(|whole| whole.reading).map_err(Unsettled::findings);
        let seen = reading.as_ref().map(|reading| reading.hash.clone()).map_err(Clone::clone);
        if self.seen.as_ref() == Some(&seen) {
            return Ok(self);
        }
        let is_first = self.seen.replace(seen).is_none();
        if !is_first && !self.job.json {
            output::clear_screen();
        }
        let before = self.known.as_ref().map(|known| &*known.tested.release);
        match reading.and_then(|reading| self.job.assemble(reading, before)) {
            Err(findings) => drop(self.job.refuse(&findings, Document::Line)?),
            Ok(tested) => self.test(tested)?,
        }
        if is_first && !self.job.json {
            output::note(paint(DIM, "watching; Ctrl-C ends"));
        }
        Ok(self)
    }

    fn test(&mut self, tested: Tested) -> Result<()> {
        let known = self.known.take().filter(|_| !self.job.args.wants_coverage());
        let touched = touched(&tested.suite, known.as_ref());
        let mut report = self.job.run(&touched);
        if let Some(known) = known {
            if !self.job.json {
                output::line(paint(BOLD, changed(&touched)));
            }
            keep(&mut report, known.report, &tested.suite, &touched);
        }
        self.job.tell(&tested.suite, &report, Document::Line)?;
        self.known = Some(Known { tested, report });
        Ok(())
    }
}

/// The suite without what no change touched since it was run last.
fn touched(suite: &Suite, known: Option<&Known>) -> Suite {
    let Some(known) = known.filter(|known| !known.report.stopped) else { return suite.clone() };
    let before = known.tested.suite.subjects.iter();
    let before: BTreeMap<&str, &str> = before.map(|subject| (&*subject.script, &*subject.fingerprint)).collect();
    let is_touched = |script: &str, fingerprint: &str| before.get(script) != Some(&fingerprint);
    let subjects = suite.subjects.iter().filter(|subject| is_touched(&subject.script, &subject.fingerprint));
    Suite { subjects: subjects.cloned().collect(), ..suite.clone() }
}

fn changed(touched: &Suite) -> String {
    let scripts: Vec<&str> = touched.subjects.iter().map(|subject| &*subject.script).collect();
    match scripts.len() {
        0 => "no test is touched by what changed".to_owned(),
        1..=3 => format!("run again: {}", scripts.join(", ")),
        number => format!("run again: {}", counted(number, "script")),
    }
}

/// Adds what is known of scripts that were not run again, in their place.
fn keep(report: &mut Report, known: Report, suite: &Suite, touched: &Suite) {
    let order: BTreeMap<&str, usize> =
        suite.subjects.iter().enumerate().map(|(place, subject)| (&*subject.script, place + 1)).collect();
    let again: Vec<&str> = touched.subjects.iter().map(|subject| &*subject.script).collect();
    let kept = known.trials.into_iter().filter(|trial| {
        // Files of tests without a script were looked at again.
        order.contains_key(&*trial.script) && !again.contains(&&*trial.script)
    });
    report.trials.extend(kept);
    report.trials.sort_by_key(|trial| order.get(&*trial.script).copied().unwrap_or(0));
}
