//! `.with_results()`: what came of the other actions of the same run, as of now, for a report to people.

use serde_json::{Value, json};

use crate::delivery::Delivery;
use crate::delivery::work::Verdict;
use hookgate_model::command::{Action, Task};
use hookgate_store::{EventRef, JobKind, JobLine, JobState, Leased, StoreError};

/// How much of a detail is told: the record has all of it.
const MOST_DETAIL: usize = 200;

/// Puts it into a task; what becomes of the action if nobody can tell.
pub(super) async fn put_into(delivery: &Delivery, job: &Leased, task: &mut Task) -> Option<Verdict> {
    match of_others(delivery, job).await {
        Ok(lines) => add(task, &lines),
        Err(error) => {
            let detail = format!("the store did not say what came of the other actions: {error}");
            return Some(Verdict::again("not_delivered", detail));
        }
    }
    None
}

/// One line for each, in the order of the script.
async fn of_others(delivery: &Delivery, job: &Leased) -> Result<Vec<String>, StoreError> {
    let Some(dossier) = delivery.store().show(EventRef::Id(job.event.id)).await? else { return Ok(Vec::new()) };
    let own = dossier.jobs.iter().find(|other| other.id == job.token.job);
    let parent = own.and_then(|own| own.parent);
    let others = dossier
        .jobs
        .iter()
        .filter(|other| other.kind == JobKind::Action && other.parent == parent && other.id != job.token.job);
    Ok(others.map(line).collect())
}

/// `vpn delete /users/7: done, 204`
fn line(job: &JobLine) -> String {
    let connector = job.lane.strip_prefix("connector ").unwrap_or(&job.lane);
    let path = match serde_json::from_slice::<Action>(&job.body).map(|action| action.task) {
        Ok(Task::Request { path, .. }) => format!(" {path}"),
        _ => String::new(),
    };
    let last = job.tries.last();
    let result = last.map_or("", |last| last.result.as_str());
    let detail: String = last.map_or("", |last| last.detail.as_str()).chars().take(MOST_DETAIL).collect();
    let tries = match job.attempts {
        1 => "1 try".to_owned(),
        count => format!("{count} tries"),
    };
    let state = match job.state {
        JobState::Done if result == "left_out" => detail,
        JobState::Done => {
            last.and_then(|last| last.status).map_or("done".to_owned(), |status| format!("done, {status}"))
        }
        JobState::Dead => format!("FAILED after {tries}: {detail}"),
        JobState::Suppressed => {
            format!("not done: {}", job.note.as_deref().unwrap_or("somebody asked for the same before"))
        }
        _ if job.attempts == 0 => "not yet due".to_owned(),
        _ => format!("still to be done, {tries} so far: {detail}"),
    };
    format!("{connector} {}{path}: {state}", job.name)
}

/// Where a task has room for it.
fn add(task: &mut Task, lines: &[String]) {
    let text = || lines.iter().map(|line| format!("\n- {line}")).collect::<String>();
    match task {
        Task::Notify { message: Value::String(message) } => message.push_str(&text()),
        Task::Notify { message: Value::Object(fields) } | Task::Request { body: Value::Object(fields), .. } => {
            fields.insert("results".to_owned(), json!(lines));
        }
        Task::Email(mail) => mail.text.push_str(&text()),
        _ => {}
    }
}
