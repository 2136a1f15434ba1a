//! How two trials differ: what came of a request before somebody changed a script, and after.

use serde_json::{Map, Value};
use similar::TextDiff;

use crate::trial::tried::Tried;

/// Unchanged lines around a change.
const AROUND: usize = 3;

/// Members that differ from run to run, whatever the script does.
const VOLATILE: [&str; 8] = ["release", "debugContext", "times", "us", "trace", "read", "warnings", "why_not"];

/// What came out different, as a unified diff of both outcomes in JSON; empty where nothing did. Times, lines and what
/// points back at a decision are left out of both.
pub fn diff(before: &Tried, after: &Tried) -> String {
    let (before, after) = (text(before), text(after));
    if before == after {
        return String::new();
    }
    let diff = TextDiff::from_lines(&before, &after);
    diff.unified_diff().context_radius(AROUND).header("before", "after").to_string()
}

fn text(tried: &Tried) -> String {
    let value = serde_json::to_value(tried).unwrap_or_default();
    let text = serde_json::to_string_pretty(&lasting(&value)).unwrap_or_default();
    format!("{text}\n")
}

/// Without what is volatile, and with the members of maps in one order.
fn lasting(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut kept: Vec<_> = members.iter().filter(|(name, _)| !VOLATILE.contains(&name.as_str())).collect();
            kept.sort_by_key(|(name, _)| name.as_str());
            Value::Object(kept.into_iter().map(|(name, member)| (name.clone(), lasting(member))).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(lasting).collect(),
        value => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tried(reply: Value, release: &str) -> Tried {
        Tried { reply, release: release.to_owned(), status: Some(200), ..Tried::default() }
    }

    #[test]
    fn only_what_came_of_it_is_compared() {
        let before = tried(json!({ "b": 1, "a": 2, "debugContext": { "decision": "1" } }), "x");
        let after = tried(json!({ "a": 2, "b": 1, "debugContext": { "decision": "2" } }), "y");
        assert_eq!(diff(&before, &after), "");
        let text = diff(&before, &tried(json!({ "a": 3, "b": 1 }), "y"));
        assert!(text.contains("-    \"a\": 2,\n+    \"a\": 3,\n"), "{text}");
        assert!(text.starts_with("--- before\n+++ after\n"), "{text}");
    }
}
