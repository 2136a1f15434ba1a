//! The lines of a script that a call ran, with the values that each changed, for `--trace`.

use std::fmt::Write;

use crate::cli::output::{BAD, BOLD, DIM, ODD, paint};
use hookgate_engine::release::Release;
use hookgate_engine::telemetry::escape::visible;
use hookgate_engine::trial::tried::TriedTrace;
use hookgate_script::trace::steps::Step;

/// Where the values begin, if the line is not longer.
const VALUES_AT: usize = 48;

/// The lines with their text, a heading at each change of file, indented by how deep the call is.
pub(super) fn listing(trace: &TriedTrace, release: &Release) -> String {
    let mut text = String::new();
    let mut last = "";
    for (index, step) in trace.steps.iter().enumerate() {
        if step.file != last {
            last = &step.file;
            let _ = writeln!(text, "{}", paint(BOLD, &step.file));
        }
        let source = release.compiler.source(&step.file).unwrap_or_default();
        let code = step.line.checked_sub(1).and_then(|index| source.lines().nth(index)).unwrap_or_default();
        let failed = index + 1 == trace.steps.len() && trace.failed_at.is_some();
        let _ = writeln!(text, "{}", line(step, code, failed));
    }
    if trace.cut {
        let more = format!("      … and more: the first {} lines are shown", trace.steps.len());
        let _ = writeln!(text, "{}", paint(DIM, more));
    }
    text
}

/// `   12 | let domain = email.domain;      domain = "x.example"`
fn line(step: &Step, code: &str, failed: bool) -> String {
    let margin = paint(DIM, format!("{:>5} |{}", step.line, "  ".repeat(step.depth)));
    let changed: Vec<String> = step.changed.iter().map(|shown| format!("{} = {}", shown.text, shown.value)).collect();
    let code = visible(code).replace("\\t", "    ");
    let width = code.chars().count() + 2 * step.depth;
    let code = if failed { paint(BAD, code) } else { code };
    if changed.is_empty() {
        return format!("{margin} {code}");
    }
    let gap = " ".repeat(VALUES_AT.saturating_sub(width).max(2));
    format!("{margin} {code}{gap}{}", paint(ODD, visible(&changed.join(", "))))
}
