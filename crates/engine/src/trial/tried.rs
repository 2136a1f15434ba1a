//! What came of a trial, in the form in which people and programs get it.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::outcome::{RunFailure, RunOutcome};
use crate::trial::micros;
use hookgate_hooks::{Decoded, Facts};
use hookgate_model::command::Action;
use hookgate_model::finding::Finding;
use hookgate_script::context::LogLine;
use hookgate_script::journal::Lookup;
use hookgate_script::trace::steps::{Step, Trace};

/// One request that was tried.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Tried {
    pub(crate) route: String,
    pub(crate) hook: String,
    /// The hash of the release: 64 hexadecimal digits.
    pub release: String,
    /// Why the gateway would refuse such a call: then no script ran.
    pub refused: Option<String>,
    /// How it ended, in one word as in the record of a decision; nothing for events, whose rules have each their own.
    pub outcome: Option<String>,
    /// HTTP status of the reply; nothing for events.
    pub status: Option<u16>,
    /// Its body; `null` where there is none.
    #[schema(value_type = Value)]
    pub reply: Value,
    /// What the provider would do to its user, in one sentence.
    pub effect: Option<String>,
    /// Commands that were left out, and why.
    pub notes: Vec<String>,
    /// The connectors through which a message would be sent, in order.
    pub send: Option<Vec<String>>,
    /// The run of the script that made the reply; nothing for events.
    pub ran: Option<Ran>,
    /// Of an event route: the events of the body.
    pub events: Vec<TriedEvent>,
    /// What was found in the scripts while they were put together for this.
    #[schema(value_type = Vec<Object>)]
    pub(crate) warnings: Vec<Finding>,
}

/// One event, and what the rules of its route make of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TriedEvent {
    #[serde(rename = "type")]
    pub kind: String,
    pub(crate) id: Option<String>,
    /// It can only stand in a preview: the gateway records the actions of its rules, and does none.
    pub preview: bool,
    pub rules: Vec<TriedRule>,
}

/// One rule and one event.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TriedRule {
    pub rule: String,
    /// The types of events that it is for.
    pub patterns: Vec<String>,
    pub wants: bool,
    pub why_not: Option<String>,
    /// `failed`, `acted` or `nothing`; nothing where it did not run.
    pub outcome: Option<String>,
    pub ran: Option<Ran>,
}

/// One run of a script.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = TriedRan)]
pub struct Ran {
    /// Path below the scripts folder.
    pub(crate) script: String,
    /// What it returned for the hook, in order.
    #[schema(value_type = Vec<Value>)]
    pub commands: Vec<Value>,
    /// What it said with `reason("…")`.
    pub reason: Option<String>,
    /// What the gateway would do afterwards.
    #[schema(value_type = Vec<Object>)]
    pub actions: Vec<Action>,
    pub lookups: Vec<TriedLookup>,
    pub logs: Vec<TriedLog>,
    pub failure: Option<Failure>,
    pub times: Times,
    /// The lines that ran, if that was asked for.
    pub trace: Option<TriedTrace>,
    /// What the script read of its request, as it is written there; only with a trace.
    pub read: Vec<String>,
    /// What it asked and was answered, for a golden case.
    #[serde(skip)]
    asked: Vec<Lookup>,
}

/// A question to a connector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TriedLookup {
    pub connector: String,
    /// `GET /people/7`
    pub asked: String,
    /// `ok`, `stale`, or the reason why there was no answer.
    pub outcome: String,
    pub error: Option<String>,
    /// Microseconds.
    pub us: u64,
}

/// A `log(…)` of the script.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TriedLog {
    pub text: String,
    #[schema(value_type = Option<Object>)]
    pub fields: Option<Value>,
}

/// Why the script gave no answer; then the declared one was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TriedFailure)]
pub struct Failure {
    /// The label in metrics and logs: `timeout`, `script_error`, ….
    pub reason: String,
    /// On one line.
    pub message: String,
    /// With place, excerpt and remedy.
    #[schema(value_type = Option<Object>)]
    pub finding: Option<Finding>,
}

/// Microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TriedTimes)]
pub struct Times {
    /// In the script alone.
    pub script_us: u64,
    /// Waiting for answers.
    pub lookups_us: u64,
    /// Everything, but for the trace.
    pub total_us: u64,
}

/// A run line by line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct TriedTrace {
    /// The first 2,000.
    pub steps: Vec<Step>,
    /// There were more lines or values than are shown.
    pub cut: bool,
    pub failed_at: Option<FailedAt>,
}

/// Where the script was when it failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct FailedAt {
    /// Path below the bundle.
    pub file: String,
    pub line: usize,
}

impl Tried {
    /// Every run of a script in it.
    pub fn runs(&self) -> impl Iterator<Item = &Ran> {
        let rules = self.events.iter().flat_map(|event| &event.rules);
        self.ran.iter().chain(rules.filter_map(|rule| rule.ran.as_ref()))
    }

    /// Whether the call would be refused, or a script failed.
    pub fn failed(&self) -> bool {
        self.refused.is_some() || self.runs().any(|ran| ran.failure.is_some())
    }

    /// What was asked of connectors, and what was answered.
    pub(crate) fn asked(&self) -> Vec<Lookup> {
        self.runs().flat_map(|ran| ran.asked.iter().cloned()).collect()
    }
}

impl TriedEvent {
    pub(super) fn of(event: &Decoded, rules: Vec<TriedRule>) -> Self {
        let text = |text: &Option<rhai::ImmutableString>| text.as_ref().map(ToString::to_string);
        let Facts { event_type, provider_id, preview, .. } = &event.facts;
        Self { kind: text(event_type).unwrap_or_default(), id: text(provider_id), preview: *preview, rules }
    }
}

impl Ran {
    /// Without its commands, which are in what the script returned.
    pub(super) fn of(script: &str, run: &RunOutcome) -> Self {
        let asked: Vec<Lookup> = run.journal.lookups().cloned().collect();
        let lookups: Vec<TriedLookup> = asked.iter().map(TriedLookup::of).collect();
        let lookups_us = lookups.iter().map(|lookup| lookup.us).sum();
        Self {
            script: script.to_owned(),
            reason: run.reason.as_deref().map(str::to_owned),
            actions: run.actions.clone(),
            failure: run.failure.as_ref().map(Failure::of),
            logs: run.logs.iter().map(TriedLog::of).collect(),
            times: Times { script_us: micros(run.took), lookups_us, total_us: 0 },
            lookups,
            asked,
            ..Self::default()
        }
    }

    pub(super) fn take_trace(&mut self, trace: Trace) {
        let Trace { steps, failed_at, read, cut, .. } = trace;
        self.read = read;
        self.trace = Some(TriedTrace { steps, cut, failed_at: failed_at.map(|(file, line)| FailedAt { file, line }) });
    }
}

impl TriedLookup {
    fn of(lookup: &Lookup) -> Self {
        Self {
            connector: lookup.question.connector.clone(),
            asked: lookup.question.words(),
            outcome: lookup.outcome().to_owned(),
            error: lookup.answered.as_ref().err().map(ToString::to_string),
            us: micros(lookup.took),
        }
    }
}

impl TriedLog {
    fn of(log: &LogLine) -> Self {
        Self { text: log.text.clone(), fields: log.fields.clone() }
    }
}

impl Failure {
    fn of(failure: &RunFailure) -> Self {
        Self {
            reason: failure.reason().to_owned(),
            message: failure.to_string(),
            finding: failure.script_error().map(|error| error.finding.clone()),
        }
    }
}
