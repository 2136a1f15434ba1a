//! What came of one run of a script: `outcome` in tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rhai::{Array, Dynamic, Map};
use serde_json::{Value, json};

use crate::outcome::RunOutcome;
use hookgate_model::command::Action;
use hookgate_script::context::LogLine;
use hookgate_script::diagnose::ScriptError;
use hookgate_script::journal::Lookup;
use hookgate_script::library::{Doc, Library};
use hookgate_script::prelude::json::dynamic_from_json;

/// The result of `run`; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Outcome(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    run: RunOutcome,
    /// The commands that the script returned, one JSON value each.
    commands: Vec<Value>,
    /// What the provider does now, in one sentence.
    effect: String,
    /// Of an event: whether the rule is for events of its type.
    wanted: bool,
    seen: Arc<Seen>,
}

/// Whether a test has looked at the failure of a run.
#[derive(Debug, Default)]
pub(crate) struct Seen(AtomicBool);

impl Outcome {
    pub(crate) fn new(run: RunOutcome, commands: Vec<Value>, effect: String, wanted: bool) -> Self {
        Self(Arc::new(Inner { run, commands, effect, wanted, seen: Arc::default() }))
    }

    /// The error of the script. A message that no provider took is none: the test let the providers fail.
    pub(crate) fn error(&self) -> Option<&ScriptError> {
        self.0.run.failure.as_ref()?.script_error()
    }

    pub(crate) fn status(&self) -> u16 {
        self.0.run.reply.status
    }

    /// The JSON on the wire; `null` when the body is empty.
    pub(crate) fn reply(&self) -> Value {
        self.0.run.reply.value()
    }

    pub(crate) fn commands(&self) -> &[Value] {
        &self.0.commands
    }

    /// What the gateway would do afterwards, as it is kept.
    pub(crate) fn actions(&self) -> Vec<Value> {
        self.actions_that(|action| action.refused.is_none())
    }

    /// What the script asked for and cannot be done, each with the reason in `refused`.
    pub(crate) fn refused(&self) -> Vec<Value> {
        self.actions_that(|action| action.refused.is_some())
    }

    /// Why the first of them cannot be done.
    pub(super) fn first_refused(&self) -> Option<&str> {
        self.0.run.actions.iter().find_map(|action| action.refused.as_deref())
    }

    fn actions_that(&self, fits: impl Fn(&&Action) -> bool) -> Vec<Value> {
        let value = |action: &Action| serde_json::to_value(action).expect("an action is made of JSON");
        self.0.run.actions.iter().filter(fits).map(value).collect()
    }

    pub(super) fn seen(&self) -> Arc<Seen> {
        self.0.seen.clone()
    }

    /// Everything that there is, for comparing and printing.
    pub(crate) fn json(&self) -> Value {
        let mut all = json!({
            "status": self.status(),
            "reply": self.reply(),
            "commands": self.0.commands,
            "actions": self.actions(),
            "lookups": self.lookups(),
            "notes": self.0.run.reply.notes,
            "logs": self.logs(),
            "failure": self.failure(),
            "effect": self.0.effect,
        });
        let refused = self.refused();
        if !refused.is_empty() {
            all["refused"] = refused.into();
        }
        if let Some(reason) = &self.0.run.reason {
            all["reason"] = json!(reason.as_str());
        }
        all
    }

    /// What the script asked, a map of connector, question and outcome for each.
    pub(crate) fn lookups(&self) -> Vec<Value> {
        let line = |lookup: &Lookup| {
            let (connector, outcome) = (&lookup.question.connector, lookup.outcome());
            json!({ "connector": connector, "asked": lookup.question.words(), "outcome": outcome })
        };
        self.0.run.journal.lookups().map(line).collect()
    }

    /// What the script logged, a map of text and fields per line.
    pub(crate) fn logs(&self) -> Vec<Value> {
        let line = |log: &LogLine| json!({ "text": log.text, "fields": log.fields });
        self.0.run.logs.iter().map(line).collect()
    }

    fn failure(&self) -> Value {
        let Some(error) = self.error() else { return Value::Null };
        let finding = &error.finding;
        json!({
            "reason": error.reason(),
            "message": finding.message,
            "file": finding.file,
            "line": finding.line,
            "help": finding.help,
        })
    }
}

impl Seen {
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn list(values: &[Value]) -> Dynamic {
    Dynamic::from_array(values.iter().map(dynamic_from_json).collect())
}

pub(super) fn register(library: &mut Library) {
    library.value::<Outcome>("Outcome", "What came of a run.");
    library.property(
        Doc::new(
            "Outcome.reply: any",
            "The JSON on the wire; `()` when the answer has no body.",
            r#"run().reply.commands[0].value.registration == "ALLOW""#,
        ),
        |outcome: &mut Outcome| dynamic_from_json(&outcome.reply()),
    );
    library.property(
        Doc::new("Outcome.status: int", "The HTTP status of the answer.", "run().status == 200"),
        |outcome: &mut Outcome| i64::from(outcome.status()),
    );
    library.property(
        Doc::new(
            "Outcome.commands: array",
            "The commands that the script returned, in order: `\"allow\"`, `#{ deny: #{ text: \"…\" } }`. Empty when it returned none.",
            r#"run().commands == ["allow"]"#,
        ),
        |outcome: &mut Outcome| list(outcome.commands()),
    );
    library.property(
        Doc::new(
            "Outcome.actions: array",
            "What the gateway does afterwards, in the order of the script, as maps: `#{ connector: \"alerts\", \"do\": \"notify\", message: \"…\" }`; with `after_ms`, `once` and `digest` where the script said so. Empty when the script failed.",
            "run().actions == []",
        ),
        |outcome: &mut Outcome| list(&outcome.actions()),
    );
    library.property(
        Doc::new(
            "Outcome.refused: array",
            "Actions that the script asked for and that cannot be done, as `actions` has them, each with the reason in `refused`. In the gateway each ends in the dead letters, and the others go out. A test fails in which there is one, and which never asks for this.",
            "run().refused == []",
        ),
        |outcome: &mut Outcome| {
            outcome.0.seen.set();
            list(&outcome.refused())
        },
    );
    library.property(
        Doc::new(
            "Outcome.lookups: array",
            "What the script asked, in order: `#{ connector: \"hr\", asked: \"GET /people/7\", outcome: \"ok\" }`; the outcome is `ok`, `stale`, or the `kind` of trouble.",
            "run().lookups == []",
        ),
        |outcome: &mut Outcome| list(&outcome.lookups()),
    );
    library.property(
        Doc::new(
            "Outcome.logs: array",
            "What the script logged: `#{ text: \"…\", fields: #{ … } }`.",
            r#"run_event().logs[0].text.ends_with("joined Payroll")"#,
        ),
        |outcome: &mut Outcome| list(&outcome.logs()),
    );
    library.property(
        Doc::new(
            "Outcome.reason: string",
            "What the script said with `reason(…)`, or `()`.",
            "run_event().reason == ()",
        ),
        |outcome: &mut Outcome| outcome.0.run.reason.clone().map_or(Dynamic::UNIT, Dynamic::from),
    );
    register_circumstances(library);
}

/// What is known of the run besides its answer, and how an outcome prints.
fn register_circumstances(library: &mut Library) {
    library.property(
        Doc::new(
            "Outcome.failure: map or ()",
            "Why the script gave no answer and `on_failure` was taken: `#{ reason, message, file, line, help }`. `()` when it gave one. A failure that a test never looks at fails the test.",
            r#"set_params(#{}); run().failure.reason == "script_error""#,
        ),
        |outcome: &mut Outcome| {
            outcome.0.seen.set();
            dynamic_from_json(&outcome.failure())
        },
    );
    library.property(
        Doc::new(
            "Outcome.effect: string",
            "What the provider does now, in one sentence.",
            r#"run().effect.ends_with("lets the registration pass, unchanged")"#,
        ),
        |outcome: &mut Outcome| outcome.0.effect.clone(),
    );
    library.property(
        Doc::new(
            "Outcome.notes: array",
            "What of the commands was left out, and why: one text each. The gateway logs them.",
            "run().notes == []",
        ),
        |outcome: &mut Outcome| -> Array { outcome.0.run.reply.notes.iter().map(|note| note.clone().into()).collect() },
    );
    library.property(
        Doc::new(
            "Outcome.operations: int",
            "Steps that the script took: the same at every run, unlike its time.",
            "run().operations > 0",
        ),
        |outcome: &mut Outcome| i64::try_from(outcome.0.run.operations).unwrap_or(i64::MAX),
    );
    library.property(
        Doc::new(
            "Outcome.took_ms: float",
            "Milliseconds that the script took, in this run on this machine.",
            "run().took_ms > 0.0",
        ),
        |outcome: &mut Outcome| outcome.0.run.took.as_secs_f64() * 1_000.0,
    );
    library.property(
        Doc::new(
            "Outcome.wanted: bool",
            "Of an event: whether the rule is for events of its type.",
            "run_event().wanted",
        ),
        |outcome: &mut Outcome| outcome.0.wanted,
    );
    let text = |outcome: &mut Outcome| outcome.json().to_string();
    library.overload("to_string", text);
    library.overload("to_debug", text);
    library.overload("to_map", |outcome: &mut Outcome| -> Map {
        dynamic_from_json(&outcome.json()).try_cast::<Map>().unwrap_or_default()
    });
}
