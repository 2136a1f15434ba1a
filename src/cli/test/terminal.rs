//! What came of tests, for people: what failed last, with the place in test and script, both sides, and values.

use std::time::Duration;

use crate::cli::output;
use crate::cli::output::{BAD, BOLD, DIM, GOOD, ODD, counted, paint};
use hookgate_engine::harness::run::Report;
use hookgate_engine::harness::trial::{Complaint, Trial, Verdict};
use hookgate_model::finding::Finding;

/// Tests that took longer are named.
const SLOW: Duration = Duration::from_millis(200);
/// How many of them.
const SLOWEST: usize = 3;
/// Names that are shown of rows that failed and are not shown whole.
const MAX_ROWS: usize = 200;
/// Lines that are shown of what a failed test printed, and how much of each.
const MAX_LOGS: usize = 10;
const MAX_LOG_CHARACTERS: usize = 160;

/// A line per script, everything that failed, and the count.
pub(super) fn summary(report: &Report) -> String {
    let mut parts = scripts(report);
    if report.failed().next().is_some() {
        parts.push(String::new());
    }
    parts.extend(report.failed().map(failure));
    parts.extend(waiting(report));
    parts.extend(marked(report));
    parts.extend(slowest(report));
    parts.push(count(report));
    parts.join("\n")
}

/// What keeps a bundle from being tested.
pub(super) fn refused(findings: &[Finding]) -> String {
    let tally = output::tally(findings);
    format!("{}\n\n{}: nothing was tested", output::rendered(findings), tally)
}

/// A line per script: how many of its tests passed.
fn scripts(report: &Report) -> Vec<String> {
    let name = |trial: &Trial| if trial.script.is_empty() { trial.file.clone() } else { trial.script.clone() };
    let width = report.trials.iter().map(|trial| name(trial).len()).max().unwrap_or(0);
    let mut lines: Vec<(String, Vec<&Trial>)> = Vec::new();
    for trial in &report.trials {
        match lines.last_mut() {
            Some((last, trials)) if *last == name(trial) => trials.push(trial),
            _ => lines.push((name(trial), vec![trial])),
        }
    }
    lines.iter().map(|(name, trials)| format!("{name:<width$}  {}", tally(trials))).collect()
}

/// `1 failed, 3 passed, 1 todo`
fn tally(trials: &[&Trial]) -> String {
    let of = |wanted: fn(&Verdict) -> bool| trials.iter().filter(|trial| wanted(&trial.verdict)).count();
    let passed = of(|verdict| *verdict == Verdict::Passed);
    let failed = of(|verdict| *verdict == Verdict::Failed);
    let mut parts = Vec::new();
    if failed > 0 {
        parts.push(paint(BAD, format!("{failed} failed")));
    }
    if passed > 0 || failed == 0 {
        parts.push(if failed == 0 { paint(GOOD, format!("{passed} passed")) } else { format!("{passed} passed") });
    }
    let todo = of(|verdict| matches!(verdict, Verdict::Todo(_)));
    let skipped = of(|verdict| matches!(verdict, Verdict::Skipped(_)));
    let others = [(todo, "todo"), (skipped, "skipped")].into_iter().filter(|(number, _)| *number > 0);
    parts.extend(others.map(|(number, word)| paint(ODD, format!("{number} {word}"))));
    parts.join(", ")
}

fn count(report: &Report) -> String {
    let mut parts = vec![tally(&report.trials.iter().collect::<Vec<_>>())];
    let rows: usize = report.trials.iter().map(|trial| trial.rows.len()).sum();
    if rows > 0 {
        parts.push(counted(rows, "row"));
    }
    let scripts = report.trials.iter().map(|trial| &trial.script).collect::<std::collections::BTreeSet<_>>().len();
    let stopped = if report.stopped { paint(ODD, "; stopped before the end") } else { String::new() };
    let time = paint(DIM, format!("in {}", shown(report.took)));
    format!("{} of {} {time}{stopped}", parts.join(", "), counted(scripts, "script"))
}

fn shown(time: Duration) -> String {
    if time.as_secs() > 0 { format!("{:.1} s", time.as_secs_f64()) } else { format!("{} ms", time.as_millis()) }
}

/// Tests that are not expected to pass, or were not run, and why.
fn waiting(report: &Report) -> Vec<String> {
    let line = |trial: &Trial| match &trial.verdict {
        Verdict::Todo(why) => Some(format!("{} {}: {why}", paint(ODD, "todo"), trial.id)),
        Verdict::Skipped(why) => Some(format!("{} {}: {why}", paint(ODD, "skipped"), trial.id)),
        _ => None,
    };
    report.trials.iter().filter_map(line).collect()
}

/// Tests that passed, and of which something must be known even so.
fn marked(report: &Report) -> Vec<String> {
    let line = |trial: &Trial| Some(format!("{} {}: {}", paint(ODD, "marked"), trial.id, trial.mark.as_ref()?));
    report.trials.iter().filter(|trial| !trial.failed()).filter_map(line).collect()
}

fn slowest(report: &Report) -> Vec<String> {
    let mut slow: Vec<&Trial> = report.trials.iter().filter(|trial| trial.took > SLOW).collect();
    slow.sort_by_key(|trial| std::cmp::Reverse(trial.took));
    slow.iter()
        .take(SLOWEST)
        .map(|trial| format!("{} {} {}", paint(DIM, "slow"), trial.id, shown(trial.took)))
        .collect()
}

/// One test that failed, with everything about it.
pub(super) fn failure(trial: &Trial) -> String {
    let about = trial.about.lines().next().unwrap_or_default();
    let about = if about.is_empty() { String::new() } else { paint(DIM, format!(": {about}")) };
    let mut text = format!("{} {}{about}\n", paint(BAD, "failed"), paint(BOLD, &trial.id));
    if let Some(mark) = &trial.mark {
        text.push_str(&format!("  {} {mark}\n", paint(ODD, "marked:")));
    }
    let mut before = None;
    for complaint in &trial.complaints {
        text.push_str(&complained(complaint, before));
        before = Some(complaint);
    }
    text.push_str(&unshown(trial));
    text.push_str(&printed(trial));
    text
}

/// The first lines that the test printed; whoever prints much looks for little of it.
fn printed(trial: &Trial) -> String {
    let shortened = |text: &str| match text.char_indices().nth(MAX_LOG_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    };
    let line = |text: &str| format!("  {} {text}\n", paint(DIM, "log"));
    let mut text: String = trial.logs.iter().take(MAX_LOGS).map(|log| line(&shortened(&log.text))).collect();
    if let Some(last) = trial.logs.get(MAX_LOGS..).and_then(<[_]>::last) {
        let dropped = last.fields.as_ref().and_then(|fields| fields.get("dropped")?.as_u64()).unwrap_or(0);
        let more = trial.logs.len() as u64 - MAX_LOGS as u64 + dropped.saturating_sub(1);
        text.push_str(&line(&format!("… and {}", counted(usize::try_from(more).unwrap_or(usize::MAX), "more line"))));
    }
    text
}

/// Rows that failed, too, but are too many to be shown whole.
fn unshown(trial: &Trial) -> String {
    let is_shown = |name: &str| trial.complaints.iter().any(|complaint| complaint.row.as_deref() == Some(name));
    let failed = trial.rows.iter().filter(|row| !row.passed && !is_shown(&row.name));
    let names: Vec<String> = failed.map(|row| format!("`{}`", row.name)).collect();
    if names.is_empty() {
        return String::new();
    }
    let more = names.len().saturating_sub(MAX_ROWS);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("  and in case {}{more}\n", names[..names.len().min(MAX_ROWS)].join(", "))
}

/// One thing that was wrong; where the line before was wrong, too, without showing that line again.
fn complained(complaint: &Complaint, before: Option<&Complaint>) -> String {
    let place = |complaint: &Complaint| {
        let Finding { file, line, column, .. } = &complaint.finding;
        (file.clone(), *line, *column)
    };
    let mut text = String::new();
    // The cause first: what else is wrong follows from it.
    let is_new = |cause: &&Finding| before.is_none_or(|before| before.cause.as_ref() != Some(*cause));
    if let Some(cause) = complaint.cause.as_ref().filter(is_new) {
        text.push_str(&format!("  {}\n", paint(BOLD, "the script failed:")));
        text.push_str(&output::rendered(std::slice::from_ref(cause)));
        text.push_str(&format!("\n  {}\n", paint(BOLD, "so this is not as the test says:")));
    }
    match &complaint.row {
        Some(row) if before.is_some_and(|before| place(before) == place(complaint)) => {
            text.push_str(&format!("{}: {}\n", paint(BOLD, format!("  in case `{row}`")), complaint.finding.message));
        }
        row => {
            if let Some(row) = row {
                text.push_str(&format!("{}\n", paint(BOLD, format!("  in case `{row}`"))));
            }
            text.push_str(&output::rendered(std::slice::from_ref(&complaint.finding)));
            text.push('\n');
        }
    }
    if !complaint.detail.is_empty() {
        text.push_str(&coloured(&complaint.detail));
        text.push('\n');
    }
    for shown in &complaint.values {
        text.push_str(&format!("  {} = {}\n", shown.text, paint(DIM, &shown.value)));
    }
    text
}

fn coloured(detail: &str) -> String {
    let line = |line: &str| match line.trim_start().chars().next() {
        Some('-') => paint(BAD, line),
        Some('+') => paint(GOOD, line),
        _ => line.to_owned(),
    };
    detail.lines().map(line).collect::<Vec<_>>().join("\n")
}
