//! `explain`: why a decision came out as it did, from its record; beside a running gateway or without one.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cli::events::text::plain;
use crate::cli::output;
use crate::cli::output::{BAD, BOLD, DIM, GOOD, paint};
use crate::cli::store;
use crate::cli::{Global, Status};
use hookgate_engine::records::subject;
use hookgate_model::decision::{FileLines, LookupLine, Query, Record, outcome};
use hookgate_model::moment::{When, exact, when};
use hookgate_store::Store;

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Id of a decision: `debugContext.decision` in the reply, and in the provider's log.
    #[arg(value_name = "DECISION", required_unless_present_any = ["event_id", "user", "since"])]
    decision: Option<String>,
    /// The provider's id of a call (`eventId`), of a request, or of an event (`uuid`).
    #[arg(long, value_name = "ID", conflicts_with = "decision")]
    event_id: Option<String>,
    /// Id, login or e-mail address of a user: the newest decisions about them.
    #[arg(long, value_name = "USER", conflicts_with_all = ["decision", "event_id"])]
    user: Option<String>,
    /// Made at this time or later: RFC 3339, or an age such as `2h` or `7d`. Alone, all decisions since then.
    #[arg(long, value_name = "TIME", value_parser = when)]
    since: Option<When>,
    /// Made before this time, or longer ago than this age.
    #[arg(long, value_name = "TIME", value_parser = when)]
    until: Option<When>,
    /// Decisions at most.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: u16,
    /// The store's file, if not the one of gateway.toml: a backup, for example.
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
}

/// # Errors
/// There is no store here, or it cannot be used.
pub fn run(global: &Global, args: &Args) -> Result<Status> {
    let store = store::attach(&store::named(global, args.store.as_deref())?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let found = runtime.block_on(find(&*store, args))?;
    if global.json {
        output::json(&serde_json::to_value(&found).context("records are JSON")?);
    } else {
        print(&found);
    }
    if found.is_empty() {
        output::note(format_args!("{}", nothing(args)));
        return Ok(Status::Failed);
    }
    Ok(Status::Good)
}

/// How often it is looked for a decision that is named by its id and not there yet, and the time between two looks. A gateway keeps
/// a record 200 ms after its answer at the latest, unless it has too much to do.
const LOOKS: usize = 10;
const BETWEEN: Duration = Duration::from_millis(50);

/// The decisions that are meant, newest first. Who asks for one by its id may have had the answer a moment ago.
async fn find(store: &dyn Store, args: &Args) -> Result<Vec<Record>> {
    let mut found = look(store, args).await?;
    let is_named = args.decision.is_some() || args.event_id.is_some();
    for _ in 1..LOOKS {
        if !is_named || !found.is_empty() {
            break;
        }
        tokio::time::sleep(BETWEEN).await;
        found = look(store, args).await?;
    }
    Ok(found)
}

async fn look(store: &dyn Store, args: &Args) -> Result<Vec<Record>> {
    let names = match (&args.decision, &args.event_id, &args.user) {
        (Some(id), ..) | (_, Some(id), _) => vec![Some(id.clone())],
        (.., Some(user)) => subject::names(store, user).await?.into_iter().map(Some).collect(),
        (None, None, None) => vec![None],
    };
    let now = store.now();
    let mut found: Vec<Record> = Vec::new();
    for name in names {
        let query = Query {
            handle: name,
            since: args.since.map(|when| when.millis(now)),
            until: args.until.map(|when| when.millis(now)),
            limit: usize::from(args.limit),
            ..Query::default()
        };
        found.extend(store.decisions(query).await?.records);
    }
    found.sort_by(|left, right| (right.at, &right.id).cmp(&(left.at, &left.id)));
    found.dedup_by(|left, right| left.id == right.id);
    found.truncate(usize::from(args.limit));
    Ok(found)
}

fn nothing(args: &Args) -> String {
    let kept = "records are kept for store.keep_days, and beyond decisions_per_second not at all";
    match args.decision.as_ref().or(args.event_id.as_ref()).or(args.user.as_ref()) {
        Some(asked) => format!("no decision is known by `{}`; {kept}", plain(asked)),
        None => format!("no decision of this time is known; {kept}"),
    }
}

fn print(found: &[Record]) {
    for (index, record) in found.iter().enumerate() {
        if index > 0 {
            output::line("");
        }
        output::line(text(record));
    }
}

/// One line why, and what else is known.
fn text(record: &Record) -> String {
    let colour = match record.outcome.as_str() {
        outcome::FAILED | outcome::REFUSED => BAD,
        _ => GOOD,
    };
    let mut text = format!("{} {}", paint(BOLD, exact(record.at)), paint(colour, plain(&record.why())));
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let _ = write!(text, "\n  {} {}", paint(DIM, format!("{name:<9}")), plain(&value));
        }
    };
    line("effect", record.effect.clone());
    line("route", Some(place(record)));
    line("user", user(record));
    line("event", record.event_id.clone());
    line("request", record.request_id.clone());
    line("commands", record.commands.as_ref().map(|commands| listed(commands.iter().map(ToString::to_string))));
    line("actions", Some(listed(record.actions.iter().map(|action| format!("{} {}", action.name, action.connector)))));
    line("lookups", Some(listed(record.lookups.iter().map(looked_up))));
    line("lines", record.lines.as_ref().map(|files| listed(files.iter().map(ran))));
    let times = record.times;
    line("time", Some(format!("{} µs in the script, {} µs in all", times.script_us, times.total_us)));
    let hash = record.script_hash.as_deref().and_then(|hash| hash.get(..12)).unwrap_or_default();
    line("release", Some(format!("{} (script {hash})", record.release)));
    line("decision", Some(record.id.clone()));
    text
}

fn place(record: &Record) -> String {
    let rule = record.rule.as_ref().map(|rule| format!("/{rule}")).unwrap_or_default();
    let script = record.script.as_ref().map(|script| format!(", {script}")).unwrap_or_default();
    let preview = if record.preview { ", a preview" } else { "" };
    format!("{}{rule} ({}){script}{preview}", record.route, record.hook)
}

fn user(record: &Record) -> Option<String> {
    let parts: Vec<&str> =
        [&record.subject.login, &record.subject.id].into_iter().flatten().map(String::as_str).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn listed(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

fn looked_up(lookup: &LookupLine) -> String {
    format!("{} {} {:.1} ms", lookup.connector, lookup.outcome, lookup.took_us as f64 / 1_000.0)
}

/// `scripts/signup.rhai 3-5, 8`
fn ran(file: &FileLines) -> String {
    let mut spans: Vec<(u32, u32)> = Vec::new();
    for &line in &file.lines {
        match spans.last_mut() {
            Some((_, last)) if *last + 1 == line => *last = line,
            _ => spans.push((line, line)),
        }
    }
    let span = |(first, last): (u32, u32)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    format!("{} {}", file.file, listed(spans.into_iter().map(span)))
}
