//! What came of tests, for people: what failed last, with the place in test and script, both sides, and values.

use std::time::Duration;

use crate::cli::output;
use crate::cli::output::{BAD, BOLD, DIM, GOOD, ODD, counted, paint};
use crate::harness::run::Report;
use crate::harness::trial::{Complaint, Trial, Verdict};

/// Tests that took longer are named.
const SLOW: Duration = Duration::from_millis(200);
/// How many of them.
const SLOWEST: usize = 3;

/// Everything that failed, and the count.
pub(super) fn summary(report: &Report) -> String {
    let mut parts: Vec<String> = report.failed().map(failure).collect();
    parts.extend(waiting(report));
    parts.extend(slowest(report));
    parts.push(count(report));
    parts.join("\n")
}

fn count(report: &Report) -> String {
    let of = |wanted: fn(&Verdict) -> bool| report.trials.iter().filter(|trial| wanted(&trial.verdict)).count();
    let passed = of(|verdict| *verdict == Verdict::Passed);
    let failed = of(|verdict| *verdict == Verdict::Failed);
    let mut parts = Vec::new();
    if failed > 0 {
        parts.push(paint(BAD, format!("{failed} failed")));
    }
    parts.push(if failed == 0 { paint(GOOD, format!("{passed} passed")) } else { format!("{passed} passed") });
    let todo = of(|verdict| matches!(verdict, Verdict::Todo(_)));
    let skipped = of(|verdict| matches!(verdict, Verdict::Skipped(_)));
    let others = [(todo, "todo"), (skipped, "skipped")].into_iter().filter(|(number, _)| *number > 0);
    parts.extend(others.map(|(number, word)| paint(ODD, format!("{number} {word}"))));
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
    for complaint in &trial.complaints {
        text.push_str(&complained(complaint));
    }
    for log in &trial.logs {
        text.push_str(&format!("  {} {}\n", paint(DIM, "log"), log.text));
    }
    text
}

fn complained(complaint: &Complaint) -> String {
    let mut text = String::new();
    if let Some(row) = &complaint.row {
        text.push_str(&format!("{}\n", paint(BOLD, format!("  in case `{row}`"))));
    }
    text.push_str(&output::rendered(std::slice::from_ref(&complaint.finding)));
    text.push('\n');
    if !complaint.detail.is_empty() {
        text.push_str(&coloured(&complaint.detail));
        text.push('\n');
    }
    for shown in &complaint.values {
        text.push_str(&format!("  {} = {}\n", shown.text, paint(DIM, &shown.value)));
    }
    if let Some(cause) = &complaint.cause {
        text.push_str(&output::rendered(std::slice::from_ref(cause)));
        text.push('\n');
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
