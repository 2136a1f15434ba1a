//! What the rules of an event route make of a call's events, printed.

use std::fmt::Write;

use crate::cli::call::{failed, steps, told};
use crate::cli::output;
use crate::cli::output::{BOLD, DIM, GOOD, ODD, paint};
use hookgate_engine::release::Release;
use hookgate_engine::trial::tried::{Ran, TriedEvent, TriedRule};

/// Says for every event which rules want it, and what came of those that ran (`only` by name).
pub(super) fn print(release: &Release, events: &[TriedEvent], only: Option<&str>) {
    for (index, event) in events.iter().enumerate() {
        let place = if events.len() > 1 { format!(" ({} of {})", index + 1, events.len()) } else { String::new() };
        output::line(format_args!("{}{}", paint(BOLD, &event.kind), paint(DIM, place)));
        if event.preview {
            output::line(format_args!("  {}", paint(ODD, "a preview: the gateway records its actions, and does none")));
        }
        for rule in &event.rules {
            output::line(format_args!("  {}", verdict(rule, only.is_some())));
            if let Some(ran) = &rule.ran {
                output::line(indented(&report(release, ran)));
            }
        }
        if event.rules.iter().all(|rule| !rule.wants) {
            output::line(format_args!("  {}", paint(DIM, "no rule wants this event")));
        }
    }
}

fn verdict(one: &TriedRule, chosen: bool) -> String {
    let patterns = one.patterns.join(", ");
    match (one.wants, &one.ran) {
        (true, None) if chosen => format!("{} wants it and was not asked for: {patterns}", one.rule),
        (true, _) => format!("{} wants it: {patterns}", paint(GOOD, &one.rule)),
        (false, Some(_)) => format!("{} runs because of --rule; it wants {patterns}", paint(GOOD, &one.rule)),
        (false, None) => {
            let why = one.why_not.as_deref().unwrap_or_default();
            format!("{} does not want it: {why}", paint(DIM, &one.rule))
        }
    }
}

fn report(release: &Release, ran: &Ran) -> String {
    let mut text = ran.trace.as_ref().map(|trace| steps::listing(trace, release)).unwrap_or_default();
    for line in told(ran) {
        let _ = writeln!(text, "{line}");
    }
    let end = match &ran.failure {
        Some(failure) => failed(failure),
        None => paint(DIM, format!("ran in {} µs", ran.times.script_us)).to_string(),
    };
    let _ = writeln!(text, "{end}");
    text
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
