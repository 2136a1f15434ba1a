//! Events in words and in JSON: times as dates, jobs as counts, nothing that a terminal would obey.

use serde_json::{Value, json};

use hookgate_model::moment::exact;
pub(in crate::cli) use hookgate_model::moment::to_the_second as time;
use hookgate_store::{Delivered, EventLine, JobLine, JobState, Millis};

/// `in 3 s`, `4 min ago`
pub(in crate::cli) fn distance(at: Millis, now: Millis) -> String {
    let length = span(at.abs_diff(now));
    if at >= now { format!("in {length}") } else { format!("{length} ago") }
}

/// `350 ms`, `12 s`, `4 min`, `3 h`, `9 d`
pub(super) fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..120_000 => format!("{} s", ms / 1_000),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} d", ms / 86_400_000),
    }
}

/// `2 done, 1 dead`
pub(super) fn jobs(event: &EventLine) -> String {
    let parts: Vec<String> = event.jobs.iter().map(|(state, count)| format!("{count} {}", state.name())).collect();
    if parts.is_empty() { "no jobs".into() } else { parts.join(", ") }
}

pub(super) fn dead(event: &EventLine) -> u64 {
    event.jobs.get(&JobState::Dead).copied().unwrap_or_default()
}

/// What is odd or special, each with what it means.
pub(super) fn flags(event: &EventLine) -> Vec<(&'static str, &'static str)> {
    let flags = event.flags;
    let all = [
        (flags.preview, "preview", "a try-out: actions are recorded, not done"),
        (flags.clock_skew, "clock skew", "published more than five minutes in the future"),
        (flags.no_id, "no id", "it came without an id: its key is its place in the delivery"),
        (flags.missed, "missed", "the hook never delivered it; reconciling found it"),
        (flags.call, "call", "not an event but an answered call whose script asked for actions"),
        (flags.own, "own", "we caused it ourselves: no rule ran"),
        (event.problem.is_some() && event.kind.is_empty(), "unreadable", "only rules for `*` see it, without its type"),
        (event.problem.is_some() && !event.kind.is_empty(), "mended", "rules read it, but not all as it was sent"),
    ];
    all.into_iter().filter(|(set, ..)| *set).map(|(_, name, means)| (name, means)).collect()
}

/// Text of others, without what moves the cursor or changes colours.
pub(in crate::cli) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The same, cut where it is longer than that.
pub(in crate::cli) fn short(text: &str, most: usize) -> String {
    let text = plain(text);
    match text.char_indices().nth(most) {
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
        None => text,
    }
}

/// An event of a list.
pub(super) fn event_json(event: &EventLine) -> Value {
    let mut value = json!(event);
    value["published"] = json!(event.published.map(exact));
    value["received"] = json!(exact(event.received));
    value
}

/// A job with its tries.
pub(super) fn job_json(job: &JobLine) -> Value {
    let mut value = json!(job);
    value["due"] = json!(job.due.map(exact));
    value["created"] = json!(exact(job.created));
    value["delivered"] = json!(Delivered::of(job).map(Delivered::name));
    value["action"] = serde_json::from_slice(&job.body).unwrap_or(Value::Null);
    for (told, attempt) in value["tries"].as_array_mut().into_iter().flatten().zip(&job.tries) {
        told["started"] = json!(exact(attempt.started));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_told_in_one_unit() {
        let spans = [350, 1_000, 119_999, 240_000, 10_800_000, 800_000_000].map(span);
        assert_eq!(spans, ["350 ms", "1 s", "119 s", "4 min", "3 h", "9 d"]);
        assert_eq!((distance(5_000, 2_000), distance(2_000, 5_000)), ("in 3 s".into(), "3 s ago".into()));
    }

    #[test]
    fn texts_of_others_cannot_move_the_cursor() {
        assert_eq!(plain("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb\u{fffd}c");
        assert_eq!((short("abcdef", 6), short("abcdefg", 6)), ("abcdef".into(), "abcde…".into()));
    }

    #[test]
    fn dates_beyond_the_calendar_are_still_told() {
        assert_eq!(time(Millis::MAX), format!("{} ms", Millis::MAX));
        assert_eq!(time(1_500), "1970-01-01T00:00:01Z");
    }
}
