//! `events show`: everything about one event.

use anyhow::Result;
use serde_json::{Value, json};

use crate::cli::Status;
use crate::cli::events::Work;
use crate::cli::events::select;
use crate::cli::events::text;
use crate::cli::output;
use crate::cli::output::{BAD, BOLD, DIM, GOOD, ODD, paint};
use hookgate_store::{Attempt, Delivered, Dossier, EventRef, JobKind, JobLine, JobState, Millis};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// Our number of the event, or the provider's id.
    #[arg(value_name = "ID")]
    event: String,
    /// Print the body byte for byte, and nothing else.
    #[arg(long)]
    raw: bool,
}

/// # Errors
/// The store fails.
pub(super) async fn run(work: &Work<'_>, args: &Args) -> Result<Status> {
    let event = select::event(&args.event);
    let Some(dossier) = work.store.show(event.clone()).await? else {
        output::note(missing(&event));
        return Ok(Status::Failed);
    };
    if args.raw {
        output::bytes(&dossier.body);
    } else if work.global.json {
        output::json(&told(&dossier));
    } else {
        print(&dossier, work.now());
    }
    Ok(Status::Good)
}

/// That there is no such event.
pub(super) fn missing(event: &EventRef) -> String {
    match event {
        EventRef::Id(number) => {
            format!("there is no event with the number {number}; `hookgate events list` shows those kept")
        }
        EventRef::Job(job) => format!("there is no job with the number {job}"),
        EventRef::Key(key) => {
            format!("there is no event with the id `{}`; `hookgate events list` shows those kept", text::plain(key))
        }
    }
}

fn told(dossier: &Dossier) -> Value {
    let mut value = text::event_json(&dossier.event);
    value["jobs"] = dossier.jobs.iter().map(text::job_json).collect();
    value["envelope"] = serde_json::from_str(&dossier.envelope).unwrap_or_else(|_| json!(dossier.envelope));
    value["body"] =
        serde_json::from_slice(&dossier.body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&dossier.body)));
    value
}

fn print(dossier: &Dossier, now: Millis) {
    head(dossier, now);
    if dossier.jobs.is_empty() {
        output::line(format_args!("\n{}", paint(DIM, "no jobs: no rule wanted it")));
    }
    let made_by = |parent: Option<i64>| dossier.jobs.iter().filter(move |job| job.parent == parent);
    // Actions stand under the rule that asked for them; those of an answered call, or of a rule that is gone, alone.
    let known = |job: &JobLine| dossier.jobs.iter().any(|other| Some(other.id) == job.parent);
    for top in dossier.jobs.iter().filter(|job| !known(job)) {
        output::line("");
        print_job(top, "", now);
        made_by(Some(top.id)).for_each(|action| print_job(action, "  ", now));
    }
    output::line(format_args!("\n{}", paint(BOLD, "body")));
    output::line(body(&dossier.body));
}

fn head(dossier: &Dossier, now: Millis) {
    let event = &dossier.event;
    let kind = if event.kind.is_empty() { "of no known type".to_owned() } else { text::plain(&event.kind) };
    output::line(format_args!("{} {kind}", paint(BOLD, format!("event {}", event.id))));
    let field = |name: &str, value: &str| output::line(format_args!("  {} {value}", paint(DIM, format!("{name:<9}"))));
    field("id", &text::plain(&event.key));
    field("route", &text::plain(&event.route));
    field("received", &format!("{}, {}", text::time(event.received), text::distance(event.received, now)));
    if let Some(published) = event.published {
        let delay = event.received.abs_diff(published);
        let order = if published > event.received { "after" } else { "before" };
        field("published", &format!("{}, {} {order} it was received", text::time(published), text::span(delay)));
    }
    for (name, means) in text::flags(event) {
        field("flag", &format!("{}: {means}", paint(ODD, name)));
    }
    if let Some(problem) = &event.problem {
        field("problem", &paint(BAD, text::plain(problem)));
    }
    if !dossier.envelope.is_empty() {
        field("envelope", &text::plain(&dossier.envelope));
    }
}

fn print_job(job: &JobLine, indent: &str, now: Millis) {
    let title = match job.kind {
        JobKind::Rule => format!("rule {}", text::plain(&job.name)),
        JobKind::Action => {
            let connector = job.lane.strip_prefix("connector ").unwrap_or(&job.lane);
            format!("{} → {}", text::plain(&job.name), text::plain(connector))
        }
    };
    output::line(format_args!("{indent}{} {}", paint(BOLD, title), state(job, now)));
    if job.kind == JobKind::Action {
        output::line(format_args!("{indent}  {}", paint(DIM, format!("key {}", text::plain(&job.key)))));
    }
    if let Some(note) = &job.note {
        output::line(format_args!("{indent}  {}", text::plain(note)));
    }
    for (index, attempt) in job.tries.iter().enumerate() {
        print_try(index + 1, attempt, indent);
    }
}

/// `dead after 3 tries, maybe delivered`
fn state(job: &JobLine, now: Millis) -> String {
    let style = match job.state {
        JobState::Done => GOOD,
        JobState::Dead => BAD,
        _ => ODD,
    };
    let mut parts = vec![paint(style, job.state.name())];
    let replayed = match job.replay {
        0 => String::new(),
        1 => "replayed once".to_owned(),
        count => format!("replayed {count} times"),
    };
    let tries = match job.attempts {
        1 => "1 try".to_owned(),
        count => format!("{count} tries"),
    };
    match job.state {
        JobState::Gathered => parts.push("goes out together with another of its digest".into()),
        JobState::Suppressed => {}
        // A replay begins to count anew; the tries before it are listed all the same.
        _ if job.attempts == 0 => parts.extend(Some(replayed).filter(|text| !text.is_empty())),
        _ if job.replay > 0 => parts.push(format!("{tries} since it was {replayed}")),
        _ => parts.push(tries),
    }
    if let Some(due) = job.due {
        let word = if job.attempts == 0 { "first try" } else { "next try" };
        let when = if due <= now { "now".to_owned() } else { text::distance(due, now) };
        parts.push(format!("{word} {when} ({})", text::time(due)));
    }
    match Delivered::of(job) {
        Some(Delivered::Maybe) => parts.push(paint(BAD, "maybe delivered: of one try nobody knows how it ended")),
        Some(Delivered::No) if !matches!(job.state, JobState::Suppressed) => {
            parts.push(Delivered::No.name().to_owned())
        }
        _ => {}
    }
    parts.join(", ")
}

fn print_try(number: usize, attempt: &Attempt, indent: &str) {
    let result = attempt.result.replace('_', " ");
    let style = if attempt.result == "done" { GOOD } else { BAD };
    let status = attempt.status.map(|status| format!(" {status}")).unwrap_or_default();
    let time = paint(DIM, format!("{} {}", text::time(attempt.started), text::span(attempt.took_ms)));
    output::line(format_args!("{indent}  try {number} {time} {}{status}", paint(style, text::plain(&result))));
    for line in attempt.detail.lines().filter(|line| !line.is_empty()) {
        output::line(format_args!("{indent}    {}", text::plain(line)));
    }
}

/// The body as JSON with its lines, or as the text that it is.
fn body(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return paint(DIM, "none is kept: answered calls may hold passwords");
    }
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) => output::pretty(&value),
        Err(_) => String::from_utf8_lossy(bytes).lines().map(text::plain).collect::<Vec<_>>().join("\n"),
    }
}
