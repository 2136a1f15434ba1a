//! `test --json`: everything about a run in one document. `docs/testing.md` tells its shape.

use serde_json::{Map, Value, json};

use hookgate_engine::harness::coverage::{Coverage, File};
use hookgate_engine::harness::run::Report;
use hookgate_engine::harness::trial::{Complaint, Trial, Verdict};
use hookgate_model::finding::Finding;

/// The document of a run; `findings` are what kept the bundle from being tested.
pub(super) fn of(report: &Report, findings: &[Finding], coverage: Option<&Coverage>) -> Value {
    let mut document = json!({
        "passed": findings.is_empty() && report.failed().next().is_none(),
        "counts": counts(report),
        "took_ms": milliseconds(report.took),
        "stopped": report.stopped,
        "trials": report.trials.iter().map(trial).collect::<Vec<_>>(),
        "findings": findings,
    });
    if let (Some(coverage), Some(members)) = (coverage, document.as_object_mut()) {
        members.insert("coverage".to_owned(), covered(coverage));
    }
    document
}

fn counts(report: &Report) -> Value {
    let of = |wanted: &str| report.trials.iter().filter(|trial| verdict(&trial.verdict).0 == wanted).count();
    json!({
        "tests": report.trials.len(),
        "passed": of("passed"),
        "failed": of("failed"),
        "todo": of("todo"),
        "skipped": of("skipped"),
        "rows": report.trials.iter().map(|trial| trial.rows.len()).sum::<usize>(),
        "assertions": report.trials.iter().map(|trial| trial.assertions).sum::<usize>(),
    })
}

fn verdict(verdict: &Verdict) -> (&'static str, Option<&str>) {
    match verdict {
        Verdict::Passed => ("passed", None),
        Verdict::Failed => ("failed", None),
        Verdict::Skipped(why) => ("skipped", Some(why)),
        Verdict::Todo(why) => ("todo", Some(why)),
    }
}

fn trial(trial: &Trial) -> Value {
    let (verdict, why) = verdict(&trial.verdict);
    let log = |log: &hookgate_script::context::LogLine| json!({ "text": log.text, "fields": log.fields });
    json!({
        "id": trial.id,
        "script": trial.script,
        "file": trial.file,
        "line": trial.line,
        "name": trial.name,
        "about": trial.about,
        "mark": trial.mark,
        "verdict": verdict,
        "why": why,
        "rows": trial.rows,
        "complaints": trial.complaints.iter().map(complaint).collect::<Vec<_>>(),
        "logs": trial.logs.iter().map(log).collect::<Vec<_>>(),
        "assertions": trial.assertions,
        "took_ms": milliseconds(trial.took),
    })
}

fn complaint(complaint: &Complaint) -> Value {
    let values = complaint.values.iter().map(|shown| json!({ "text": shown.text, "value": shown.value }));
    json!({
        "row": complaint.row,
        "finding": complaint.finding,
        "detail": complaint.detail,
        "values": values.collect::<Vec<_>>(),
        "cause": complaint.cause,
    })
}

fn covered(coverage: &Coverage) -> Value {
    let file = |file: &File| {
        let hits: Map<String, Value> =
            file.lines.iter().map(|(line, count)| (line.to_string(), (*count).into())).collect();
        json!({
            "file": file.label,
            "lines": file.lines.len(),
            "covered": file.covered(),
            "percent": file.percent(),
            "uncovered": file.uncovered(),
            "hits": hits,
        })
    };
    json!({
        "lines": coverage.lines(),
        "covered": coverage.covered(),
        "percent": coverage.percent(),
        "files": coverage.files.iter().map(file).collect::<Vec<_>>(),
    })
}

fn milliseconds(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
