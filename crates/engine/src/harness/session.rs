//! The test that runs on this thread: what it has mocked so far, what it ran, what failed.
//!
//! Functions of tests reach it through [`with`]; it is never borrowed while a script runs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use rhai::{Dynamic, EvalAltResult, Map};

use crate::harness::outcome::{Outcome, Seen};
use crate::harness::run::Suite;
use crate::harness::stage::{Fails, completed};
use crate::harness::subject::{Binding, Subject, TableShape};
use hookgate_connectors::Connectors;
use hookgate_model::finding::Finding;
use hookgate_script::compile::Compiler;
use hookgate_script::context::{Mocked, Surroundings, World};
use hookgate_script::diagnose::{ErrorKind, ScriptError};
use hookgate_script::trace::values::Noted;

/// What a test fakes and finds.
pub(super) struct Session {
    pub(super) subject: Arc<Subject>,
    pub(super) compiler: Arc<Compiler>,
    pub(super) connectors: Arc<Connectors>,
    /// Connectors that take messages, and how they fail.
    pub(super) sends: BTreeMap<String, Option<Fails>>,
    /// Which of the subject's bindings runs.
    pub(super) binding: usize,
    /// Whether the test leaves `gateway.toml` out: then no binding of a route runs, and every connector takes every action.
    pub(super) ignores_config: bool,
    /// Kinds and keys of tables that the test makes.
    pub(super) shapes: BTreeMap<String, TableShape>,
    pub(super) surroundings: Arc<Surroundings>,
    pub(super) mocked: Mocked,
    /// Whether `set_remaining_ms` was called; else each run has its own deadline.
    pub(super) remaining_set: bool,
    pub(super) deadline: Instant,
    /// The row that `case` named last.
    pub(super) row: Option<Row>,
    pub(super) rows: Vec<RowResult>,
    pub(super) failures: Vec<Failure>,
    /// Runs whose script failed, and whether the test has looked at that.
    pub(super) failed_runs: Vec<(Arc<Seen>, ScriptError)>,
    /// The newest run of the row, or of the test, if its script failed.
    pub(super) last_failed: Option<(Arc<Seen>, Finding)>,
    /// Runs of which an action cannot be done, and why.
    pub(super) refused_runs: Vec<(Arc<Seen>, String)>,
    pub(super) mark: Option<Mark>,
    pub(super) assertions: usize,
}

/// A row of a table of cases.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) failed: bool,
}

/// How a row ended.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RowResult {
    pub name: String,
    pub passed: bool,
}

/// A test that is not meant to pass, or to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Todo(String),
    Skip(String),
}

/// Something that was not as the test says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) row: Option<String>,
    pub file: String,
    pub line: usize,
    pub(super) column: usize,
    pub message: String,
    /// Lines that show both sides, or how they differ.
    pub(super) detail: String,
    /// Why the script failed, which is behind it.
    pub(super) cause: Option<Finding>,
    /// What the assertion held; known in the second run of a test that failed.
    pub(super) noted: Noted,
}

thread_local! {
    static CURRENT: RefCell<Option<Session>> = const { RefCell::new(None) };
}

/// What time it is in tests unless they say otherwise.
pub(super) const NOON: &str = "2026-01-15T12:00:00Z";

impl Session {
    pub(super) fn new(subject: Arc<Subject>, suite: &Suite, deadline: Instant) -> Self {
        let surroundings = subject.bindings.first().map(|binding| binding.surroundings.clone()).unwrap_or_default();
        let now = NOON.parse::<Timestamp>().expect("the constant is a time");
        Self {
            shapes: (*subject.tables).clone(),
            ignores_config: false,
            subject,
            compiler: suite.compiler.clone(),
            connectors: suite.connectors.clone(),
            sends: BTreeMap::new(),
            binding: 0,
            surroundings,
            mocked: Mocked::at(now, 0),
            remaining_set: false,
            deadline,
            row: None,
            rows: Vec::new(),
            failures: Vec::new(),
            failed_runs: Vec::new(),
            last_failed: None,
            refused_runs: Vec::new(),
            mark: None,
            assertions: 0,
        }
    }

    /// The route or rule that the next `run` goes through.
    pub(super) fn bound(&self) -> Result<&Binding, Box<EvalAltResult>> {
        let routed = || self.subject.bindings.get(self.binding);
        let bound = if self.ignores_config { self.subject.unconfigured.as_ref() } else { routed() };
        bound.ok_or_else(|| {
            let script = &self.subject.script;
            format!("`{script}` has no entry function of a hook, so it cannot be run: import it and call its functions")
                .into()
        })
    }

    /// What the script of `binding` reads of the world.
    pub(super) fn world(&self, binding: &Binding) -> World {
        let mut mocked = self.mocked.clone();
        if !self.remaining_set {
            mocked.remaining_ms = i64::try_from(binding.limits.deadline_ms).unwrap_or(i64::MAX);
        }
        World::Mocked(Arc::new(mocked))
    }

    /// What the test itself reads, and the functions of scripts that it calls: the parameters completed, where they are good.
    pub(super) fn surroundings_of_test(&self) -> Arc<Surroundings> {
        let connectors = (!self.ignores_config).then_some(&*self.connectors);
        let completed = self.bound().ok().and_then(|binding| completed(binding, &self.surroundings, connectors).ok());
        completed.unwrap_or_else(|| self.surroundings.clone())
    }

    pub(super) fn set_params(&mut self, params: Map) {
        let tables = self.surroundings.tables.clone();
        self.surroundings = Arc::new(Surroundings { params: Arc::new(params), tables });
    }

    /// Leaves `gateway.toml` out: parameters, tables, connectors, limits, `on_failure` and the choice of events.
    pub(super) fn ignore_config(&mut self) {
        self.ignores_config = true;
        self.shapes.clear();
        self.surroundings = Arc::default();
    }

    /// Ends the row in work.
    pub(super) fn end_row(&mut self) {
        if let Some(Row { name, failed }) = self.row.take() {
            self.rows.push(RowResult { name, passed: !failed });
        }
    }

    /// Whether checks count: in a row that has failed already, what follows is noise.
    pub(super) fn is_listening(&self) -> bool {
        self.row.as_ref().is_none_or(|row| !row.failed)
    }

    pub(super) fn note_run(&mut self, outcome: &Outcome) {
        // A message is not sent because the test says so: that is nothing to find out.
        let error = outcome.error().filter(|error| error.kind != ErrorKind::NotSent);
        self.last_failed = error.map(|error| (outcome.seen(), error.finding.clone()));
        if let Some(error) = error {
            self.failed_runs.push((outcome.seen(), error.clone()));
        } else if let Some(why) = outcome.first_refused() {
            self.refused_runs.push((outcome.seen(), why.to_owned()));
        }
    }

    /// Why the script failed, if it did and the test has not asked: then nothing else that is wrong says why.
    pub(super) fn cause(&self) -> Option<Finding> {
        let (_, finding) = self.last_failed.as_ref().filter(|(seen, _)| !seen.get())?;
        Some(finding.clone())
    }
}

/// Runs `body` as the test of `session` and gives the session back.
pub(super) fn enter<R>(session: Session, body: impl FnOnce() -> R) -> (R, Session) {
    CURRENT.set(Some(session));
    let result = body();
    (result, CURRENT.take().expect("nothing but `enter` takes the session"))
}

/// Reads or changes the test in work.
///
/// # Errors
/// No test runs: `name` was called at the top level of a file.
pub(super) fn with<R>(name: &str, body: impl FnOnce(&mut Session) -> R) -> Result<R, Box<EvalAltResult>> {
    CURRENT.with_borrow_mut(|current| match current {
        Some(session) => Ok(body(session)),
        None => Err(format!("`{name}` can be used inside tests only, not at the top of a file").into()),
    })
}

/// The value of a function that can fail, for the engine.
pub(super) type Fallible<T = Dynamic> = Result<T, Box<EvalAltResult>>;
