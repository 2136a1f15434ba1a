//! `call`: one request through a route's script, without a running gateway and without asking who calls.
//!
//! The bundle is built and the script run as the server would. Lookups reach their systems; nothing is sent or kept.

mod bench;
mod rules;
mod save;
mod steps;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::cli::body;
use crate::cli::bundle;
use crate::cli::call::bench::Bench;
use crate::cli::output;
use crate::cli::output::{BAD, BOLD, DIM, GOOD, ODD, paint};
use crate::cli::{Global, Status};
use crate::command::{Action, Task};
use crate::config::Config;
use crate::finding::nearest;
use crate::gateway::decide::{Decision, Failure};
use crate::hooks::HookError;
use crate::release::bundle::Place;
use crate::release::{Plan, Release, Route};
use crate::script::context::{LogLine, World};
use crate::script::journal::Lookup;
use crate::script::run::Call;

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A route of gateway.toml, by name.
    route: String,
    /// The body of the call as JSON, or a capture with `method`, `headers` and `body`; `-` is stdin.
    file: PathBuf,
    /// Show each line of the script that ran.
    #[arg(long)]
    trace: bool,
    /// Of an event route: run this rule alone, whether or not it wants the event.
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// Set a parameter of the route or rule for this call; the value is JSON, or else a text. May be repeated.
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = body::assignment)]
    params: Vec<(String, Value)>,
    /// Save the call and what came of it as a golden case of the script, which `hookgate test` runs from then on.
    #[arg(long, value_name = "NAME")]
    save_case: Option<String>,
}

/// # Errors
/// The bundle or the file cannot be used, or there is no such route or rule.
pub fn run(global: &Global, args: &Args) -> Result<Status> {
    let place = bundle::place(global)?;
    let mut reading = bundle::read(&place)?;
    prepare(&mut reading.document.config, args)?;
    let body = body::read(&args.file)?;
    let release = bundle::assemble(&place, reading)?;
    let route = release.routes.iter().find(|route| route.name == args.route);
    let route = route.context("the release lacks a route of its configuration")?;
    let bench = Bench::new()?;
    let work = Work { global, args, place: &place, release: &release, route, bench };
    let status = match &route.plan {
        Plan::Rules(rules) => rules::run(&work, rules, &body)?,
        Plan::Reply { .. } => work.reply(&body)?,
    };
    if let Some(name) = &args.save_case {
        save::save(&work, name, &body, &work.bench.asked())?;
    }
    Ok(status)
}

/// Checks the names in the arguments, and sets the parameters.
fn prepare(config: &mut Config, args: &Args) -> Result<()> {
    let names: Vec<String> = config.routes.keys().cloned().collect();
    let Some(route) = config.routes.get_mut(&args.route) else {
        bail!(unknown("route", &args.route, &names));
    };
    let params = match &args.rule {
        None => &mut route.params,
        Some(name) => {
            let names: Vec<String> = route.rules.keys().cloned().collect();
            match route.rules.get_mut(name) {
                Some(rule) => &mut rule.params,
                None => bail!(unknown("rule", name, &names)),
            }
        }
    };
    params.extend(args.params.iter().cloned());
    Ok(())
}

/// `there is no route `sigup`; did you mean `signup`?`
pub fn unknown(what: &str, name: &str, names: &[String]) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match nearest(name, names.iter().copied()) {
        Some(near) => format!("there is no {what} `{name}`; did you mean `{near}`?"),
        None if names.is_empty() => format!("there is no {what} `{name}`, and no other {what} either"),
        None => format!("there is no {what} `{name}`; there is: {}", names.join(", ")),
    }
}

/// What one call is made of.
struct Work<'a> {
    global: &'a Global,
    args: &'a Args,
    place: &'a Place,
    release: &'a Release,
    route: &'a Arc<Route>,
    bench: Bench,
}

impl Work<'_> {
    fn deadline(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.route.limits.deadline_ms)
    }

    fn reply(&self, body: &bytes::Bytes) -> Result<Status> {
        let Plan::Reply { script, surroundings, .. } = &self.route.plan else {
            bail!("route `{}` has rules and gives no reply", self.route.name);
        };
        let request = match (self.route.hook.decode)(body) {
            Ok(request) => request,
            Err(error) => return Ok(self.refused(&error)),
        };
        let decision = self.bench.decide(self.release, self.route, &request, self.deadline());
        let steps = self.args.trace.then(|| {
            let call = Call {
                request: request.request.clone(),
                surroundings: surroundings.clone(),
                world: World::Real,
                deadline: self.deadline(),
            };
            steps::of(script, &call, decision.journal.clone())
        });
        if self.global.json {
            output::json(&self.json(&decision, steps.as_deref()));
        } else {
            self.print(&decision, steps.as_deref());
        }
        Ok(if decision.failure.is_some() { Status::Failed } else { Status::Good })
    }

    /// The body is no call of this hook.
    fn refused(&self, error: &HookError) -> Status {
        if self.global.json {
            output::json(
                &json!({ "route": self.route.name, "hook": self.route.hook.name, "refused": error.to_string() }),
            );
        } else {
            output::line(format_args!("{} {error}", paint(BAD, "the gateway would refuse this call:")));
        }
        Status::Failed
    }

    fn print(&self, decision: &Decision, steps: Option<&[steps::Step]>) {
        if let Some(steps) = steps {
            output::line(steps::listing(steps, self.place));
        }
        if let Some(failure) = &decision.failure {
            output::line(failed(failure));
            output::line(format_args!("\n{}", paint(BAD, "so the declared answer is given (on_failure):")));
        }
        let reply = &decision.reply;
        let time = format!("{} µs in the script", decision.took.as_micros());
        output::line(format_args!("{} {}", paint(BOLD, format!("reply {}", reply.status)), paint(DIM, time)));
        if !reply.body.is_empty() {
            output::line(output::pretty(&reply.value()));
        }
        for note in &reply.notes {
            output::line(format_args!("{} {note}", paint(ODD, "note")));
        }
        for lookup in decision.journal.lookups() {
            output::line(looked_up(lookup));
        }
        for log in &decision.logs {
            output::line(logged(log));
        }
        for action in &decision.actions {
            output::line(asked(action));
        }
        if let Some(sending) = &decision.sending {
            let ways = sending.ways.join(", then ");
            output::line(format_args!("{} through {ways}; nothing is sent here", paint(BOLD, "send")));
        }
        output::line(format_args!("{} {}", paint(BOLD, "→"), (self.route.hook.effect)(reply)));
    }

    fn json(&self, decision: &Decision, steps: Option<&[steps::Step]>) -> Value {
        json!({
            "route": self.route.name,
            "hook": self.route.hook.name,
            "release": self.release.hash,
            "status": decision.reply.status,
            "reply": decision.reply.value(),
            "effect": (self.route.hook.effect)(&decision.reply),
            "notes": decision.reply.notes,
            "actions": decision.actions,
            "lookups": decision.journal.lookups().map(lookup_json).collect::<Value>(),
            "send": decision.sending.as_ref().map(|sending| &sending.ways),
            "logs": decision.logs.iter().map(log_json).collect::<Value>(),
            "failure": decision.failure.as_ref().map(failure_json),
            "script_us": u64::try_from(decision.took.as_micros()).unwrap_or(u64::MAX),
            "trace": steps.map(steps::json),
        })
    }
}

/// A failure as the author of the script should see it.
fn failed(failure: &Failure) -> String {
    match failure {
        Failure::Script(error) => output::rendered(std::slice::from_ref(&error.finding)),
        other => format!("{} {other}", paint(BAD, "error:")),
    }
}

fn failure_json(failure: &Failure) -> Value {
    let finding = match failure {
        Failure::Script(error) => Some(&error.finding),
        _ => None,
    };
    json!({ "reason": failure.reason(), "message": failure.to_string(), "finding": finding })
}

/// `lookup hr GET /people/7: ok in 12.3 ms`
fn looked_up(lookup: &Lookup) -> String {
    let (question, took) = (&lookup.question, lookup.took.as_secs_f64() * 1_000.0);
    let outcome = match &lookup.answered {
        Ok(_) => lookup.outcome().to_owned(),
        Err(trouble) => format!("{}: {trouble}", lookup.outcome()),
    };
    let (connector, words) = (paint(BOLD, &question.connector), question.words());
    format!("{} {connector} {words}: {outcome} {}", paint(GOOD, "lookup"), paint(DIM, format!("in {took:.1} ms")))
}

fn lookup_json(lookup: &Lookup) -> Value {
    let took = u64::try_from(lookup.took.as_micros()).unwrap_or(u64::MAX);
    let trouble = lookup.answered.as_ref().err().map(ToString::to_string);
    let (connector, asked) = (&lookup.question.connector, lookup.question.words());
    json!({ "connector": connector, "asked": asked, "outcome": lookup.outcome(), "error": trouble, "us": took })
}

fn logged(log: &LogLine) -> String {
    let fields = log.fields.as_ref().map(|fields| format!(" {fields}")).unwrap_or_default();
    format!("{} {}{fields}", paint(DIM, "log"), log.text)
}

/// `action notify alerts "Dora joined", once in 10 m`
fn asked(action: &Action) -> String {
    let mut text = format!("{} {} {}", paint(GOOD, "action"), action.name(), paint(BOLD, &action.connector));
    match &action.task {
        Task::Notify { message } => text.push_str(&format!(" {message}")),
        Task::Request { path, body, .. } => text.push_str(&format!(" {path} {body}")),
        Task::Forward => {}
        Task::Email(mail) => text.push_str(&format!(" to {}: {}", mail.to.join(", "), mail.subject)),
        Task::Account(account) => {
            let group = account.group.as_ref().map_or_else(String::new, |group| format!(" {group}"));
            text.push_str(&format!(" {}{group}", account.user));
        }
    }
    if action.after_ms.is_some() {
        text.push_str(&format!(", after {:?}", action.delay()));
    }
    if let Some(state) = &action.only_while {
        text.push_str(&format!(", only while {} is {} at {}", state.user, state.states.join(" or "), state.connector));
    }
    if action.with_results {
        text.push_str(", with what came of the others");
    }
    for (word, window) in [("once", &action.once), ("digest", &action.digest)] {
        if let Some(window) = window {
            text.push_str(&format!(", {word} in {:?} for `{}`", window.time(), window.key));
        }
    }
    text
}

fn log_json(log: &LogLine) -> Value {
    json!({ "text": log.text, "fields": log.fields })
}
