//! `call`: one request through a route's script, without a running gateway and without asking who calls. Only prints.

mod rules;
mod steps;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cli::body;
use crate::cli::bundle;
use crate::cli::output;
use crate::cli::output::{BAD, BOLD, DIM, GOOD, ODD, paint};
use crate::cli::{Global, Status};
use hookgate_engine::config::Config;
use hookgate_engine::lookup::Lookups;
use hookgate_engine::release::Release;
use hookgate_engine::release::bundle::Place;
use hookgate_engine::telemetry::escape::visible;
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_engine::trial::case::Draft;
use hookgate_engine::trial::tried::{Failure, Ran, Tried, TriedLog, TriedLookup};
use hookgate_engine::trial::{Bench, Order};
use hookgate_model::command::{Action, Task};
use hookgate_model::finding::unknown;
use hookgate_script::lanes::Lanes;

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A route of gateway.toml, by name.
    route: String,
    /// The body of the call as JSON, or a capture with `method`, `headers` and `body`; `-` is stdin.
    file: PathBuf,
    /// Show each line of the script that ran, with the values that it changed.
    #[arg(long)]
    trace: bool,
    /// Of an event route: run this rule alone, whether or not it wants the event.
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// Set a parameter of the route or rule for this call; the value is JSON, or else a text. May be repeated.
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = body::assignment)]
    params: Vec<(String, Value)>,
    /// Save the call, without what is secret in it, and what came of it as a golden case of the script, which `hookgate test`
    /// runs from then on.
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
    let release = Arc::new(bundle::assemble(&place, reading)?);
    let order = Order { route: args.route.clone(), rule: args.rule.clone(), body, trace: args.trace };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let lanes = Lanes::start().context("no thread for scripts")?;
    let bench = Bench::new(lanes, Lookups::on_trial(Metrics::new()));
    let tried = runtime.block_on(bench.run(&release, &order))?;
    if global.json {
        output::json(&serde_json::to_value(&tried)?);
    } else {
        print(&release, &tried, args.rule.as_deref());
    }
    if let Some(name) = &args.save_case {
        let draft = runtime.block_on(bench.case(&release, &order, &tried, name));
        save(&place, &draft.map_err(|error| anyhow::anyhow!("no case was saved: {error}"))?)?;
    }
    Ok(if tried.failed() { Status::Failed } else { Status::Good })
}

fn save(place: &Place, draft: &Draft) -> Result<()> {
    draft.write(&place.root)?;
    output::note(format_args!("{} {}; `hookgate test` runs it from now on", paint(GOOD, "saved"), draft.file));
    if let Some(reason) = &draft.failed {
        output::note(format_args!(
            "the call failed ({reason}), and the case expects that; mend the script, and `hookgate test --accept` updates the case"
        ));
    }
    if !draft.redacted.is_empty() {
        let members = draft.redacted.join(", ");
        output::note(format_args!("what may be secret is *** in it: {members}"));
    }
    Ok(())
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

fn print(release: &Release, tried: &Tried, rule: Option<&str>) {
    if let Some(refused) = &tried.refused {
        output::line(format_args!("{} {refused}", paint(BAD, "the gateway would refuse this call:")));
        return;
    }
    match &tried.ran {
        Some(ran) => print_reply(release, tried, ran),
        None => rules::print(release, &tried.events, rule),
    }
}

fn print_reply(release: &Release, tried: &Tried, ran: &Ran) {
    if let Some(trace) = &ran.trace {
        output::line(steps::listing(trace, release));
    }
    if let Some(failure) = &ran.failure {
        output::line(failed(failure));
        output::line(format_args!("\n{}", paint(BAD, "so the declared answer is given (on_failure):")));
    }
    let time = format!("{} µs in the script", ran.times.script_us);
    let status = tried.status.unwrap_or_default();
    output::line(format_args!("{} {}", paint(BOLD, format!("reply {status}")), paint(DIM, time)));
    if !tried.reply.is_null() {
        output::line(output::pretty(&tried.reply));
    }
    for note in &tried.notes {
        output::line(format_args!("{} {}", paint(ODD, "note"), visible(note)));
    }
    for line in told(ran) {
        output::line(line);
    }
    if let Some(ways) = &tried.send {
        let ways = ways.join(", then ");
        output::line(format_args!("{} through {ways}; nothing is sent here", paint(BOLD, "send")));
    }
    let effect = tried.effect.as_deref().unwrap_or_default();
    output::line(format_args!("{} {}", paint(BOLD, "→"), visible(effect)));
}

/// Reason, lookups, log and actions of a run, a line each.
fn told(ran: &Ran) -> Vec<String> {
    let reason = ran.reason.iter().map(|reason| format!("{} {}", paint(BOLD, "reason"), visible(reason)));
    let lookups = ran.lookups.iter().map(looked_up);
    reason.chain(lookups).chain(ran.logs.iter().map(logged)).chain(ran.actions.iter().map(asked)).collect()
}

/// A failure as the author of the script should see it.
fn failed(failure: &Failure) -> String {
    match &failure.finding {
        Some(finding) => output::rendered(std::slice::from_ref(finding)),
        None => format!("{} {}", paint(BAD, "error:"), visible(&failure.message)),
    }
}

/// `lookup hr GET /people/7: ok in 12.3 ms`
fn looked_up(lookup: &TriedLookup) -> String {
    let took = lookup.us as f64 / 1_000.0;
    let outcome = match &lookup.error {
        None => lookup.outcome.clone(),
        Some(error) => format!("{}: {error}", lookup.outcome),
    };
    let (connector, words) = (paint(BOLD, &lookup.connector), &lookup.asked);
    let (words, outcome) = (visible(words), visible(&outcome));
    format!("{} {connector} {words}: {outcome} {}", paint(GOOD, "lookup"), paint(DIM, format!("in {took:.1} ms")))
}

fn logged(log: &TriedLog) -> String {
    let fields = log.fields.as_ref().map(|fields| format!(" {fields}")).unwrap_or_default();
    format!("{} {}", paint(DIM, "log"), visible(&format!("{}{fields}", log.text)))
}

/// `action notify alerts "Dora joined", once in 10 m`
fn asked(action: &Action) -> String {
    let mut text = String::new();
    match &action.task {
        Task::Notify { message } => text.push_str(&format!(" {message}")),
        Task::Request { path, body, .. } => text.push_str(&format!(" {path} {body}")),
        Task::Forward | Task::Impossible { .. } => {}
        Task::Email(mail) => text.push_str(&format!(" to {}: {}", mail.to.join(", "), mail.subject)),
        Task::Account(account) => {
            let group = account.group.as_ref().map_or_else(String::new, |group| format!(" {group}"));
            text.push_str(&format!(" {}{group}", account.user));
        }
    }
    if let Some(problem) = &action.refused {
        text.push_str(&format!(", {}: {problem}", paint(BAD, "refused")));
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
    let (name, connector) = (action.name(), paint(BOLD, &action.connector));
    format!("{} {name} {connector}{}", paint(GOOD, "action"), visible(&text))
}
