//! Golden cases: `scripts/cases/<script>/<name>.json`, a call and what must come of it. A case is run like a test;
//! `hookgate test --accept` writes what came of it, and the difference is what people review.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rhai::Map;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::harness::diff;
use crate::harness::outcome::Outcome;
use crate::harness::run::Suite;
use crate::harness::session::NOON;
use crate::harness::stage;
use crate::harness::stage::TestCall;
use crate::harness::subject::{Binding, Subject, TableShape};
use crate::harness::test;
use crate::harness::trial::{Complaint, Trial, Verdict};
use hookgate_model::finding::Finding;
use hookgate_model::question::fit::Stated;
use hookgate_model::question::{Answer, Ask, KV, Reason, Trouble};
use hookgate_script::context::{Mock, Mocked, World};
use hookgate_script::diagnose::ScriptError;
use hookgate_script::journal::Lookup;
use hookgate_script::prelude::json::dynamic_from_json;
use hookgate_script::prelude::time::Time;
use hookgate_script::table::{Kind, Table};

/// Where cases are, below the scripts folder.
pub(crate) const FOLDER: &str = "cases";

/// A case file. What it leaves out is as in a test that says nothing: the parameters and tables of the bundle.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Golden {
    /// What the case shows, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) about: Option<String>,
    /// The call failed when the case was saved, and why: one of the words of `hookgate_fallback_total`. So the case expects that
    /// failure, until somebody mends the script and accepts what comes of it then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failed_when_saved: Option<String>,
    /// The route, or `route.rule`, that runs the script; the first of them if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) route: Option<String>,
    /// Leaves `gateway.toml` out, as `ignore_config()` does: then `params` and `tables` are all that there is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) ignore_config: bool,
    /// The body of the call.
    pub(crate) request: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) params: Option<serde_json::Map<String, Value>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tables: BTreeMap<String, Value>,
    /// Kinds and keys of these tables, where they are not as `gateway.toml` says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) table_shapes: BTreeMap<String, TableShape>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) now: Option<String>,
    /// What the script is answered when it asks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) lookups: Vec<Looked>,
    /// What must come of it, one for each event of a batch. Absent in a new case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expected: Option<Vec<Expected>>,
}

impl Golden {
    /// What readers of a report should know of a case that was saved from a call that failed.
    fn mark(&self) -> Option<String> {
        let reason = self.failed_when_saved.as_ref()?;
        Some(format!("saved from a call that failed ({reason}), so it expects that failure"))
    }
}

/// The answer to one question, or why there was none.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Looked {
    pub(crate) connector: String,
    /// In the words of `outcome.lookups`: `GET /people/7`.
    pub(crate) asked: String,
    /// Of a statement; whatever they are, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parameters: Option<Vec<Value>>,
    /// Of a POST; whatever it is, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<Value>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(crate) answer: Value,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) stale: bool,
    /// The `kind` of trouble.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fails: Option<String>,
}

impl Looked {
    /// What came of a lookup; nothing for the small state of scripts, which a case has of its own.
    pub(crate) fn of(lookup: &Lookup) -> Option<Self> {
        let question = &lookup.question;
        if question.family() == KV {
            return None;
        }
        let (body, parameters) = match (&question.ask, question.sent()) {
            (Ask::Http { .. }, body) => (body, None),
            (Ask::Sql { .. }, Some(Value::Array(parameters))) => (None, Some(parameters)),
            _ => (None, None),
        };
        let (answer, stale, fails) = match &lookup.answered {
            Ok(answer) => (answer.value.clone(), answer.stale, None),
            Err(trouble) => (Value::Null, false, Some(trouble.reason.name().to_owned())),
        };
        Some(Self {
            connector: question.connector.clone(),
            asked: question.words(),
            parameters,
            body,
            answer,
            stale,
            fails,
        })
    }

    fn mock(&self) -> Result<Mock, String> {
        let answered = match &self.fails {
            None => Ok(Answer { value: self.answer.clone(), stale: self.stale }),
            Some(kind) => {
                let reason = Reason::named(kind).ok_or_else(|| format!("`lookups`: nothing fails with `{kind}`"))?;
                Err(Trouble::new(reason, format!("the case says that this lookup fails: {kind}")))
            }
        };
        let (connector, words) = (self.connector.clone(), self.asked.clone());
        let sent = self.parameters.clone().or_else(|| self.body.clone().map(|body| vec![body]));
        Ok(Mock { stated: Stated { family: None, connector, words, sent }, answered })
    }
}

/// What must come of one run.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    pub(crate) status: u16,
    pub(crate) reply: Value,
    pub(crate) actions: Value,
    /// What the script asked for and cannot be done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) refused: Vec<Value>,
    /// What the script logged. Of event scripts only: others say with their reply what they decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) logs: Vec<Value>,
    /// Why the script failed, if it is to fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<String>,
}

impl Expected {
    fn of(outcome: &Outcome, of_event: bool) -> Self {
        Self {
            status: outcome.status(),
            reply: outcome.reply(),
            actions: Value::Array(outcome.actions()),
            refused: outcome.refused(),
            logs: if of_event { outcome.logs() } else { Vec::new() },
            failure: outcome.error().map(|error| error.reason().to_owned()),
        }
    }
}

/// A case after it has run.
struct Ran {
    golden: Golden,
    outcomes: Vec<Outcome>,
    of_events: bool,
}

impl Ran {
    fn found(&self) -> Vec<Expected> {
        self.outcomes.iter().map(|outcome| Expected::of(outcome, self.of_events)).collect()
    }
}

/// Runs the case of that name.
pub(super) fn run(suite: &Suite, subject: &Arc<Subject>, name: &str) -> Trial {
    let started = Instant::now();
    let ran = perform(suite, subject, name);
    let about = ran.as_ref().ok().and_then(|ran| ran.golden.about.clone()).unwrap_or_default();
    let mark = ran.as_ref().ok().and_then(|ran| ran.golden.mark());
    let complaint = match ran {
        Err(finding) => Some(Complaint::of(*finding)),
        Ok(ran) => compare(subject, name, &ran),
    };
    Trial {
        id: format!("{}::case/{name}", subject.stem()),
        script: subject.script.clone(),
        file: subject.cases.get(name).map(|case| case.label.clone()).unwrap_or_default(),
        name: format!("case/{name}"),
        about,
        mark,
        line: 1,
        verdict: if complaint.is_some() { Verdict::Failed } else { Verdict::Passed },
        rows: Vec::new(),
        complaints: complaint.into_iter().collect(),
        logs: Vec::new(),
        assertions: 1,
        took: started.elapsed(),
    }
}

/// The text of the case with what comes of it now; nothing if that is what it says already.
///
/// # Errors
/// The case cannot be run.
pub fn accepted(suite: &Suite, subject: &Arc<Subject>, name: &str) -> Result<Option<String>, Box<Finding>> {
    let mut ran = perform(suite, subject, name)?;
    let found = ran.found();
    if agrees(ran.golden.expected.as_deref(), &found) {
        return Ok(None);
    }
    if found.iter().all(|run| run.failure.is_none()) {
        ran.golden.failed_when_saved = None;
    }
    ran.golden.expected = Some(found);
    Ok(Some(written(&ran.golden)))
}

/// A case as it is written to its file.
pub(crate) fn written(golden: &Golden) -> String {
    let text = serde_json::to_string_pretty(golden).expect("a case is made of JSON");
    format!("{text}\n")
}

/// Makes a case of a call: runs it as the case will be run, and takes what comes of it as right.
///
/// # Errors
/// The body is no call of the hook.
pub(crate) fn record(call: &TestCall, mut golden: Golden) -> Result<Golden, hookgate_hooks::HookError> {
    let outcomes = call.perform(&golden.request)?;
    let of_events = call.binding.hook.is_for_events();
    let failed: BTreeSet<&str> = outcomes.iter().filter_map(Outcome::error).map(ScriptError::reason).collect();
    golden.failed_when_saved = (!failed.is_empty()).then(|| failed.into_iter().collect::<Vec<_>>().join(", "));
    golden.expected = Some(outcomes.iter().map(|outcome| Expected::of(outcome, of_events)).collect());
    Ok(golden)
}

fn agrees(expected: Option<&[Expected]>, found: &[Expected]) -> bool {
    expected.is_some_and(|expected| diff::same(&json(expected), &json(found)))
}

fn json(expected: &[Expected]) -> Value {
    serde_json::to_value(expected).expect("what is expected is made of JSON")
}

fn compare(subject: &Subject, name: &str, ran: &Ran) -> Option<Complaint> {
    let found = ran.found();
    if agrees(ran.golden.expected.as_deref(), &found) {
        return None;
    }
    let accept = format!("if that is meant: `hookgate test --accept --filter {}::case/{name}$`", subject.stem());
    let label = &subject.cases.get(name)?.label;
    let cause = ran.outcomes.iter().find_map(Outcome::error).map(|error| error.finding.clone());
    let (text, detail) = match &ran.golden.expected {
        None => ("the case does not say what must come of it".to_owned(), String::new()),
        Some(expected) => {
            let detail = diff::sides(&json(&found), &json(expected));
            ("what came of the call is not what the case says".to_owned(), detail)
        }
    };
    let finding = Finding::error("test/case", label, text).help(accept);
    Some(Complaint { detail, cause, ..Complaint::of(finding) })
}

fn perform(suite: &Suite, subject: &Arc<Subject>, name: &str) -> Result<Ran, Box<Finding>> {
    let case = subject.cases.get(name).expect("only cases that are there have units");
    let wrong = |text: String| Box::new(Finding::error("test/case", &case.label, text));
    let golden: Golden = serde_json::from_str(&case.text).map_err(|error| {
        let finding = wrong(format!("this is no case: {error}")).help(
            "a case is { \"request\": …, \"expected\": … }; write the request and let `hookgate test --accept` add the rest",
        );
        Box::new(finding.at(&case.text, error.line(), error.column().max(1)))
    })?;
    let call = call(suite, subject, &golden).map_err(&wrong)?;
    let outcomes =
        call.perform(&golden.request).map_err(|error| wrong(format!("the gateway refuses this call: {error}")))?;
    Ok(Ran { golden, outcomes, of_events: call.binding.hook.is_for_events() })
}

fn call(suite: &Suite, subject: &Subject, golden: &Golden) -> Result<TestCall, String> {
    let binding = binding(subject, golden)?.clone();
    let mut surroundings = (*binding.surroundings).clone();
    if let Some(params) = &golden.params {
        let params = params.iter().map(|(name, value)| (name.as_str().into(), dynamic_from_json(value)));
        surroundings.params = Arc::new(params.collect::<Map>());
    }
    let mut tables = (*surroundings.tables).clone();
    for (name, value) in &golden.tables {
        let configured = || subject.tables.get(name).filter(|_| !golden.ignore_config);
        let shape = golden.table_shapes.get(name).or_else(configured);
        tables.insert(name.clone(), Arc::new(table(shape, name, value)?));
    }
    surroundings.tables = Arc::new(tables);
    let connectors = (!golden.ignore_config).then(|| suite.connectors.clone());
    let surroundings = stage::completed(&binding, &Arc::new(surroundings), connectors.as_deref());
    let now = Time::parse(golden.now.as_deref().unwrap_or(NOON)).map_err(|problem| format!("`now`: {problem}"))?;
    Ok(TestCall {
        world: world(&binding, now, &golden.lookups)?,
        binding,
        compiler: suite.compiler.clone(),
        connectors,
        surroundings,
        sends: std::collections::BTreeMap::default(),
        deadline: Instant::now() + Duration::from_millis(test::limits().deadline_ms),
    })
}

/// A world in which it is `now`, with the deadline of the route and these answers.
///
/// # Errors
/// One of them is none.
pub(crate) fn world(binding: &Binding, now: Time, lookups: &[Looked]) -> Result<World, String> {
    let remaining_ms = i64::try_from(binding.limits.deadline_ms).unwrap_or(i64::MAX);
    let answers = lookups.iter().map(Looked::mock).collect::<Result<_, _>>()?;
    Ok(World::Mocked(Arc::new(Mocked { answers, ..Mocked::at(now.0, remaining_ms) })))
}

/// A table as a test gives it. Without a shape it is a list, or a map if that is what the test gives.
///
/// # Errors
/// What of the value does not fit.
pub(crate) fn table(shape: Option<&TableShape>, name: &str, value: &Value) -> Result<Table, String> {
    let kind = shape.map_or(if value.is_object() { Kind::Json } else { Kind::Lines }, |shape| shape.kind);
    Table::of(name, kind, shape.and_then(|shape| shape.key.as_deref()), value)
}

fn binding<'a>(subject: &'a Subject, golden: &Golden) -> Result<&'a Binding, String> {
    let first = match (&golden.route, golden.ignore_config) {
        (Some(_), true) => return Err("`route` has no meaning beside `ignore_config`: leave one out".to_owned()),
        (Some(route), false) => return Ok(&subject.bindings[subject.place_of(route)?]),
        (None, true) => subject.unconfigured.as_ref(),
        (None, false) => subject.bindings.first(),
    };
    first.ok_or_else(|| format!("`{}` has no entry function of a hook", subject.script))
}
