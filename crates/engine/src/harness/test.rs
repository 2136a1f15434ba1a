//! Running one `fn test_…()`: within limits, in a world of its own, and once more when it failed, for the values.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rhai::Dynamic;

use crate::harness::run::Suite;
use crate::harness::session;
use crate::harness::session::{Failure, Mark, Session};
use crate::harness::subject::{Subject, Tests};
use crate::harness::trial::{Complaint, Trial, Verdict};
use hookgate_model::finding::Finding;
use hookgate_script::budget::{Limits, Stopped};
use hookgate_script::compile::Compiler;
use hookgate_script::compile::testing::{BEFORE_EACH, Function};
use hookgate_script::context::World;
use hookgate_script::depth;
use hookgate_script::run::{Call, Cause, Run};
use hookgate_script::trace::values;
use hookgate_script::trace::values::Place;

/// What one test may use, the scripts that it runs left out: those have their own limits.
pub(crate) fn limits() -> Limits {
    Limits { deadline_ms: 5_000, operations: 10_000_000, memory_bytes: 256 * 1024 * 1024, ..Limits::default() }
}

/// A test that took longer is not run again for its values.
const WORTH_A_SECOND_RUN: Duration = Duration::from_secs(1);
/// Complaints that one test shows.
const MAX_COMPLAINTS: usize = 50;

/// Runs the test at `place` of its file, `until` then at most.
pub(super) fn run(suite: &Suite, subject: &Arc<Subject>, place: usize, until: Option<Instant>) -> Trial {
    let tests = subject.tests.as_ref().and_then(|tests| tests.as_ref().ok()).expect("only good files have units");
    let function = &tests.functions[place];
    let trial = |verdict, complaints| Trial {
        id: format!("{}::{}", subject.stem(), function.name),
        script: subject.script.clone(),
        file: subject.test_label.clone(),
        name: function.name.clone(),
        about: function.about.clone(),
        mark: None,
        line: function.line,
        verdict,
        rows: Vec::new(),
        complaints,
        logs: Vec::new(),
        assertions: 0,
        took: Duration::ZERO,
    };
    if function.parameters > 0 {
        let finding = Finding::error("test/parameters", &subject.test_label, "a test takes no parameters");
        let finding = finding.help("call a function with parameters from a test, or loop over rows with `case`");
        let source = suite.compiler.source(&subject.test_label).unwrap_or_default();
        return trial(Verdict::Failed, vec![Complaint::of(finding.at(source, function.line, function.column))]);
    }
    let attempt = Attempt { suite, subject, tests, function, until };
    let (run, mut session) = attempt.once();
    session.end_row();
    let (took, logs) = (run.took, run.logs);
    let ended = attempt.ending(run.result.map_err(|failed| failed.cause));
    if took < WORTH_A_SECOND_RUN && !session.failures.is_empty() {
        session.failures = attempt.explained(session.failures);
    }
    let (verdict, complaints) = attempt.verdict(&mut session, ended);
    let (rows, assertions) = (session.rows, session.assertions);
    Trial { rows, logs, assertions, took, ..trial(verdict, complaints) }
}

struct Attempt<'a> {
    suite: &'a Suite,
    subject: &'a Arc<Subject>,
    tests: &'a Tests,
    function: &'a Function,
    until: Option<Instant>,
}

impl Attempt<'_> {
    fn session(&self, time: Duration) -> Session {
        let deadline = Instant::now() + time;
        let deadline = self.until.map_or(deadline, |until| until.min(deadline));
        Session::new(self.subject.clone(), self.suite, deadline)
    }

    fn call(session: &Session) -> Call {
        Call {
            request: Dynamic::UNIT,
            surroundings: session.surroundings_of_test(),
            world: World::Mocked(Arc::new(session.mocked.clone())),
            deadline: session.deadline,
        }
    }

    fn once(&self) -> (Run, Session) {
        let session = self.session(Duration::from_millis(limits().deadline_ms));
        session::enter(session, || {
            self.prepare()
                .map_or_else(|failed| failed, |call| self.tests.script.run_function(&self.function.name, &call))
        })
    }

    /// Runs `before_each` of the file, if it has one, and gives the call of the test in the world which that made; or the run that
    /// failed.
    fn prepare(&self) -> Result<Call, Run> {
        let call = || session::with(BEFORE_EACH, |session| Self::call(session)).expect("the test has a session");
        if self.tests.all.iter().any(|function| function.name == BEFORE_EACH && function.parameters == 0) {
            let run = self.tests.script.run_function(BEFORE_EACH, &call());
            if run.result.is_err() {
                return Err(run);
            }
        }
        Ok(call())
    }

    /// The same failures with the values that stood there.
    fn explained(&self, failures: Vec<Failure>) -> Vec<Failure> {
        let places: Vec<Place> =
            failures.iter().map(|failure| (failure.file.clone(), failure.line, failure.column)).collect();
        let session = self.session(4 * WORTH_A_SECOND_RUN);
        let ((), session) = session::enter(session, || {
            if let Ok(call) = self.prepare() {
                values::replay(&self.tests.script, &self.function.name, &call, &places);
            }
        });
        // The same test finds the same; if it does not, it found more than the second run had time for.
        if session.failures.len() == failures.len() { session.failures } else { failures }
    }

    /// Why the test ended before its last line, unless by an assertion or by `skip`.
    fn ending(&self, result: Result<Dynamic, Cause>) -> Option<Complaint> {
        let cause = result.err().filter(|cause| !cause.is_ended())?;
        let label = &self.subject.test_label;
        let Limits { deadline_ms, operations, memory_bytes, .. } = limits();
        let text = match cause {
            Cause::Stopped(Stopped::Operations) => format!("the test took more than {operations} operations"),
            Cause::Stopped(Stopped::Levels) => {
                format!("a value has more than {} levels of arrays, maps and closures", depth::MAX_LEVELS)
            }
            Cause::Stopped(Stopped::Memory) => format!("the test held more than {} MiB", memory_bytes >> 20),
            Cause::Stopped(_) | Cause::Busy | Cause::Crowded | Cause::Crashed
                if self.until.is_some_and(|until| Instant::now() >= until) =>
            {
                let text = "the time for all tests together was over before this one ended";
                let finding = self.here(Finding::error("test/gate-timeout", label, text));
                return Some(Complaint::of(finding.help("make the tests faster, or raise `scripts.gate_timeout_ms`")));
            }
            Cause::Stopped(_) | Cause::Busy | Cause::Crowded | Cause::Crashed => {
                format!("the test did not end within {} seconds", deadline_ms / 1_000)
            }
            // Nobody asks what a test returns.
            Cause::TooDeep => return None,
            Cause::Panicked | Cause::Error(_) => {
                let failed = hookgate_script::run::Failed { cause, spot: None };
                let finding = self.suite.compiler.explain(&self.tests.script, failed).finding;
                // Some errors do not say where they were; it was in this test.
                return Some(Complaint::of(if finding.line == 0 { self.here(finding) } else { finding }));
            }
        };
        let finding = self.here(Finding::error("test/limit", label, text));
        Some(Complaint::of(finding.help("is there a loop that never ends?")))
    }

    fn verdict(&self, session: &mut Session, ended: Option<Complaint>) -> (Verdict, Vec<Complaint>) {
        let mut complaints: Vec<Complaint> =
            session.failures.drain(..).take(MAX_COMPLAINTS).map(|failure| self.complaint(failure)).collect();
        complaints.extend(ended.map(|ended| Complaint { cause: session.cause(), ..ended }));
        if let Some(Mark::Skip(why)) = &session.mark {
            return (Verdict::Skipped(why.clone()), Vec::new());
        }
        if complaints.is_empty() {
            complaints.extend(self.unseen(session));
        }
        match (&session.mark, complaints.is_empty()) {
            (Some(Mark::Todo(why)), false) => (Verdict::Todo(why.clone()), Vec::new()),
            (Some(Mark::Todo(_)), true) => {
                let text = "this test is marked `todo`, and passes";
                let finding = Finding::error("test/todo-passes", &self.subject.test_label, text).help("remove `todo`");
                (Verdict::Failed, vec![Complaint::of(self.here(finding))])
            }
            (_, true) => (Verdict::Passed, complaints),
            (_, false) => (Verdict::Failed, complaints),
        }
    }

    /// A run whose script failed, though no part of the test has asked whether it did: the reply was the declared one.
    fn unseen(&self, session: &Session) -> Option<Complaint> {
        if let Some((_, why)) = session.refused_runs.iter().find(|(seen, _)| !seen.get()) {
            let text = format!("an action of the script cannot be done, and the test did not ask about it: {why}");
            let finding = Finding::error("test/unseen-failure", &self.subject.test_label, text);
            let help = "mend the script, or look at `outcome.refused` if it is to be refused";
            return Some(Complaint::of(self.here(finding.help(help))));
        }
        let (_, error) = session.failed_runs.iter().find(|(seen, _)| !seen.get())?;
        let text = "the script failed, and the test saw the answer of `on_failure` without asking why";
        let finding = Finding::error("test/unseen-failure", &self.subject.test_label, text);
        let finding = finding.help("mend the script, or write `assert_fails(outcome, \"…\")` if it is to fail");
        Some(Complaint { cause: Some(error.finding.clone()), ..Complaint::of(self.here(finding)) })
    }

    fn complaint(&self, failure: Failure) -> Complaint {
        let Failure { row, file, line, column, message, detail, cause, noted } = failure;
        let source = self.compiler().source(&file).unwrap_or_default();
        let mut finding = Finding::error("test/assertion", file, message).at(source, line, column);
        finding.called_from = noted.called_from.into_iter().filter(|(_, line, _)| *line > 0).collect();
        Complaint { row, finding, detail, values: noted.values, cause }
    }

    fn here(&self, finding: Finding) -> Finding {
        let source = self.compiler().source(&self.subject.test_label).unwrap_or_default();
        finding.at(source, self.function.line, self.function.column)
    }

    fn compiler(&self) -> &Compiler {
        &self.suite.compiler
    }
}
