//! From what a run left behind to the record that is kept: chosen member by member, nothing is taken over whole.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::outcome::{RunFailure, RunOutcome};
use crate::records::subject::Subjects;
use crate::records::{RunInput, Seen};
use hookgate_hooks::{Hook, text};
use hookgate_model::command::Action;
use hookgate_model::decision::outcome;
use hookgate_model::decision::redact;
use hookgate_model::decision::{ActionLine, Capture, Failure, FileLines, Kept, LookupLine, Record, Subject, Times};
use hookgate_script::context::World;
use hookgate_script::journal::Lookup;
use hookgate_script::run::Call;
use hookgate_script::trace;

/// Operations and time that repeating a run may take. Most runs take a hundredth of it.
const OPERATIONS: u64 = 200_000;
const TIME: Duration = Duration::from_millis(20);

/// Bytes of a text of ours that are kept.
const MAX_TEXT: usize = 2_000;
/// Bytes of an id of the provider's.
const MAX_ID: usize = 256;
/// Actions and lookups of one run that are kept.
const MAX_LINES: usize = 100;

/// The record of a run, with what it is found by.
pub(super) fn kept(seen: Seen, subjects: &Subjects, runtime: &Runtime) -> Kept {
    let body = read(&seen.body);
    let recorded = seen.hook.map(|hook| hook.recorded);
    let subject = recorded.map(|recorded| (recorded.subject)(&body)).unwrap_or_default();
    let subject = subjects.shown(bounded(subject), runtime);
    let capture = captured(&seen, &body);
    let mut record = Record {
        id: seen.id().to_owned(),
        at: seen.at,
        route: seen.route,
        hook: seen.hook.map(|hook| hook.name.to_owned()).unwrap_or_default(),
        request_id: seen.request_id.as_deref().map(id),
        trace_id: seen.parent.map(|parent| parent.trace()),
        parent_span: seen.parent.map(|parent| parent.span()),
        unsampled: seen.parent.is_some_and(|parent| !parent.sampled),
        release: seen.release,
        preview: seen.preview,
        subject,
        times: Times { decode_us: seen.decoded_us, total_us: micros(seen.took), ..Times::default() },
        captured: capture.is_some(),
        ..Record::default()
    };
    if let Some(rule) = seen.rule {
        (record.rule, record.event, record.attempt) = (Some(rule.name), Some(rule.event), Some(rule.attempt));
    }
    match seen.outcome {
        Ok(outcome) => decided(&mut record, outcome, seen.input, seen.hook),
        Err(refused) => {
            record.status = Some(refused.status);
            record.failure = Some(shortened(refused.failure));
            record.outcome = outcome::REFUSED.to_owned();
        }
    }
    let handles = [&record.event_id, &record.request_id, &record.trace_id, &record.subject.id, &record.subject.login];
    let handles = handles.into_iter().flatten().cloned().collect();
    Kept { record, capture, handles }
}

/// What came of the run of a script, or of a call whose script was not run.
fn decided(record: &mut Record, outcome: RunOutcome, input: Option<RunInput>, hook: Option<&'static Hook>) {
    record.failure = outcome.failure.as_ref().map(failure);
    record.actions = outcome.actions.iter().take(MAX_LINES).map(action).collect();
    let unread = input.iter().flat_map(|input| &input.request.facts.notes);
    let left_out = Some(&outcome.reply).filter(|_| record.rule.is_none()).into_iter().flat_map(|reply| &reply.notes);
    record.notes = unread.chain(left_out).take(MAX_LINES).map(|note| redact::short(note, MAX_TEXT)).collect();
    if record.rule.is_none() {
        record.status = Some(outcome.reply.status);
        record.effect = hook.map(|hook| redact::short(&(hook.effect)(&outcome.reply), MAX_TEXT));
    }
    record.outcome = ended(record, &outcome, input.is_some(), hook).to_owned();
    if let Some(input) = input {
        fill(record, outcome, input, hook);
    }
}

/// How it ended, in one word.
fn ended(record: &Record, outcome: &RunOutcome, was_read: bool, hook: Option<&'static Hook>) -> &'static str {
    match (&outcome.failure, record.rule.is_some()) {
        (Some(_), false) if !was_read => outcome::REFUSED,
        (Some(_), _) => outcome::FAILED,
        (None, true) if outcome.actions.is_empty() => outcome::NOTHING,
        (None, true) => outcome::ACTED,
        (None, false) => hook.map_or("answered", |hook| (hook.recorded.outcome)(&outcome.reply)),
    }
}

/// A failure as a record has it: the label of metrics, a text for operators, and the place if it is a script's.
fn failure(failure: &RunFailure) -> Failure {
    let place = failure.script_error().map(|error| &error.finding);
    shortened(Failure {
        reason: failure.reason().to_owned(),
        text: failure.to_string(),
        file: place.map(|finding| finding.file.clone()),
        line: place.and_then(|finding| u32::try_from(finding.line).ok()).filter(|line| *line > 0),
        quotes: failure.quotes(),
    })
}

fn shortened(failure: Failure) -> Failure {
    Failure { text: redact::short(&failure.text, MAX_TEXT), ..failure }
}

fn action(action: &Action) -> ActionLine {
    ActionLine { name: action.name().to_owned(), connector: action.connector.clone() }
}

/// The body as JSON, without faults of its text; `null` if it is none.
fn read(body: &[u8]) -> Value {
    let mended = || serde_json::from_str(&text::mended(body)?.text).ok();
    serde_json::from_slice(body).ok().or_else(mended).unwrap_or_default()
}

/// What is known of the run itself.
fn fill(record: &mut Record, outcome: RunOutcome, input: RunInput, hook: Option<&'static Hook>) {
    let facts = &input.request.facts;
    record.event_id = facts.provider_id.as_deref().map(id);
    record.request_id = facts.request_id.as_deref().map(id).or(record.request_id.take());
    record.event_type = facts.event_type.as_deref().map(id);
    record.reason = outcome.reason.as_deref().map(str::to_owned);
    record.script = Some(input.script.file().to_owned());
    record.script_hash = Some(input.script.hash().to_owned());
    record.lookups = outcome.journal.lookups().take(MAX_LINES).map(looked_up).collect();
    record.times.lookups_us = outcome.journal.lookups().map(|lookup| micros(lookup.took)).sum();
    record.times.script_us = micros(outcome.took);
    if !outcome.begun {
        return;
    }
    let call = Call {
        request: input.request.request,
        surroundings: input.surroundings,
        world: World::Real,
        deadline: Instant::now() + TIME,
    };
    let (lines, returned) = trace::lines(&input.script, &call, outcome.journal, OPERATIONS);
    // Without its end it is not known which lines are missing; of a failed run the lines to the failure are all there are.
    if returned.is_some() || record.failure.is_some() {
        record.lines = Some(by_file(lines));
    }
    if let (Some(returned), Some(hook)) = (returned, hook) {
        record.commands = Some((hook.describe)(&returned).iter().map(redact::command).collect());
    }
}

fn by_file(steps: Vec<(String, usize)>) -> Vec<FileLines> {
    let mut files: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    for (file, line) in steps {
        files.entry(file).or_default().insert(u32::try_from(line).unwrap_or(u32::MAX));
    }
    files.into_iter().map(|(file, lines)| FileLines { file, lines: lines.into_iter().collect() }).collect()
}

fn looked_up(lookup: &Lookup) -> LookupLine {
    LookupLine {
        connector: lookup.question.connector.clone(),
        family: lookup.question.family().to_owned(),
        outcome: lookup.outcome().to_owned(),
        took_us: micros(lookup.took),
    }
}

/// What is captured of a call, if its route wants that.
fn captured(seen: &Seen, body: &Value) -> Option<Capture> {
    let (wanted, hook) = (seen.capture.as_ref()?, seen.hook?);
    let until = Timestamp::now().as_millisecond() + i64::from(wanted.keep_days) * 86_400_000;
    let reply = &seen.outcome.as_ref().ok()?.reply;
    if seen.body.len() + reply.body.len() > wanted.max_bytes {
        return Some(Capture { too_large: true, until, ..Capture::default() });
    }
    let allowed: Vec<&[&str]> = hook.recorded.captured.iter().flat_map(|paths| paths.iter().copied()).collect();
    let (request, redacted) = redact::request(body, &allowed, hook.recorded.secret, &wanted.redact);
    Some(Capture { request, reply: reply.value(), too_large: false, redacted, until })
}

fn bounded(subject: Subject) -> Subject {
    Subject { id: subject.id.as_deref().map(id), login: subject.login.as_deref().map(id) }
}

/// An id as the provider wrote it, cut where no id is that long.
fn id(text: &str) -> String {
    redact::short(text, MAX_ID)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
