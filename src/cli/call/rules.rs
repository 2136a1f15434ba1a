//! A call of an event route: which rules want each event, and what the scripts of those do with it.

use std::fmt::Write;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::cli::Status;
use crate::cli::call::{Work, asked, failed, failure_json, log_json, logged, looked_up, lookup_json, steps};
use crate::cli::output;
use crate::cli::output::{BOLD, DIM, GOOD, paint};
use crate::command::Action;
use crate::gateway::decide::Failure;
use crate::hooks::{Decoded, Mark};
use crate::release::Rule;
use crate::script::context::{LogLine, World};
use crate::script::journal::Lookup;
use crate::script::run::Call;

/// What became of one event at one rule.
struct Tried<'a> {
    rule: &'a Rule,
    wanted: bool,
    /// Why it does not want the event.
    why_not: Option<String>,
    /// `None` where the script did not run.
    ran: Option<Ran>,
}

struct Ran {
    failure: Option<Failure>,
    actions: Vec<Action>,
    lookups: Vec<Lookup>,
    logs: Vec<LogLine>,
    took: Duration,
    steps: Option<Vec<steps::Step>>,
}

/// Says for every event of the call which rules want it, and runs those (or the one that `--rule` names).
pub(super) fn run(work: &Work, rules: &[Rule], body: &Bytes) -> Result<Status> {
    let events = match (work.route.hook.split)(body) {
        Ok(events) => events,
        Err(error) => return Ok(work.refused(&error)),
    };
    let mut broken = false;
    let mut listed = Vec::new();
    for (index, event) in events.iter().enumerate() {
        let tried: Vec<Tried> = rules.iter().map(|rule| attempt(work, rule, event)).collect();
        broken |= tried.iter().any(Tried::failed);
        if work.global.json {
            listed.push(event_json(event, &tried));
        } else {
            print(work, event, &tried, (index + 1, events.len()));
        }
    }
    if work.global.json {
        output::json(&json!({ "route": work.route.name, "hook": work.route.hook.name, "events": listed }));
    }
    Ok(if broken { Status::Failed } else { Status::Good })
}

fn attempt<'a>(work: &Work, rule: &'a Rule, event: &Decoded) -> Tried<'a> {
    let why_not = rule.wanted.check(event).err();
    let wanted = why_not.is_none();
    let asked = work.args.rule.as_ref().map_or(wanted, |name| *name == rule.name);
    Tried { rule, wanted, why_not, ran: asked.then(|| ran(work, rule, event)) }
}

fn ran(work: &Work, rule: &Rule, event: &Decoded) -> Ran {
    let call = Call {
        request: event.request.clone(),
        surroundings: rule.surroundings.clone(),
        world: World::Real,
        deadline: work.deadline(),
    };
    let run = work.bench.run(work.release, &rule.script, call.clone());
    let file = rule.script.file();
    let mark = Mark { decision: "call", release: work.release.label(), script: file };
    let compiler = &work.release.compiler;
    let outcome = match run.result {
        Ok(returned) => work
            .release
            .encode(work.route, event, returned, &mark)
            .map_err(|problem| compiler.misfit(&rule.script, &problem)),
        Err(error) => Err(compiler.explain(&rule.script, *error)),
    };
    let (actions, failure) = match outcome {
        Ok(encoded) => (encoded.actions, None),
        Err(error) => (Vec::new(), Some(Failure::Script(Box::new(error)))),
    };
    let steps = work.args.trace.then(|| steps::of(&rule.script, &call, run.journal.clone()));
    let lookups = run.journal.lookups().cloned().collect();
    Ran { failure, actions, lookups, logs: run.logs, took: run.took, steps }
}

fn print(work: &Work, event: &Decoded, tried: &[Tried], (number, of): (usize, usize)) {
    let place = if of > 1 { format!(" ({number} of {of})") } else { String::new() };
    output::line(format_args!("{}{}", paint(BOLD, type_of(event)), paint(DIM, place)));
    for one in tried {
        let patterns = one.patterns().join(", ");
        let verdict = match (one.wanted, &one.ran) {
            (true, Some(_)) => format!("{} wants it: {patterns}", paint(GOOD, &one.rule.name)),
            (true, None) => format!("{} wants it and was not asked for: {patterns}", one.rule.name),
            (false, Some(_)) => format!("{} runs because of --rule; it wants {patterns}", paint(GOOD, &one.rule.name)),
            (false, None) => {
                let why = one.why_not.as_deref().unwrap_or_default();
                format!("{} does not want it: {why}", paint(DIM, &one.rule.name))
            }
        };
        output::line(format_args!("  {verdict}"));
        if let Some(ran) = &one.ran {
            output::line(indented(&ran.report(work)));
        }
    }
    if tried.iter().all(|one| !one.wanted) {
        output::line(format_args!("  {}", paint(DIM, "no rule wants this event")));
    }
}

impl Tried<'_> {
    fn failed(&self) -> bool {
        self.ran.as_ref().is_some_and(|ran| ran.failure.is_some())
    }

    fn patterns(&self) -> Vec<String> {
        self.rule.wanted.types()
    }
}

impl Ran {
    fn report(&self, work: &Work) -> String {
        let mut text = String::new();
        if let Some(steps) = &self.steps {
            text.push_str(&steps::listing(steps, work.place));
        }
        for lookup in &self.lookups {
            let _ = writeln!(text, "{}", looked_up(lookup));
        }
        for log in &self.logs {
            let _ = writeln!(text, "{}", logged(log));
        }
        for action in &self.actions {
            let _ = writeln!(text, "{}", asked(action));
        }
        match &self.failure {
            Some(failure) => {
                let _ = writeln!(text, "{}", failed(failure));
            }
            None => {
                let _ = writeln!(text, "{}", paint(DIM, format!("ran in {} µs", self.took.as_micros())));
            }
        }
        text
    }
}

fn type_of(event: &Decoded) -> &str {
    event.facts.event_type.as_deref().unwrap_or_default()
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

fn event_json(event: &Decoded, tried: &[Tried]) -> Value {
    let rules: Vec<Value> = tried
        .iter()
        .map(|one| {
            let ran = one.ran.as_ref().map(|ran| {
                json!({
                    "lookups": ran.lookups.iter().map(lookup_json).collect::<Value>(),
                    "logs": ran.logs.iter().map(log_json).collect::<Value>(),
                    "actions": ran.actions,
                    "failure": ran.failure.as_ref().map(failure_json),
                    "script_us": u64::try_from(ran.took.as_micros()).unwrap_or(u64::MAX),
                    "trace": ran.steps.as_deref().map(steps::json),
                })
            });
            json!({ "rule": one.rule.name, "patterns": one.patterns(), "wants": one.wanted, "why_not": one.why_not, "ran": ran })
        })
        .collect();
    json!({ "type": type_of(event), "id": event.facts.id.as_deref(), "rules": rules })
}
