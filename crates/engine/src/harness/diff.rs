//! How two values differ, line by line; and whether one is a part of the other.

use serde_json::Value;
use similar::{ChangeTag, TextDiff};

/// Lines of a difference that are shown.
const MAX_LINES: usize = 60;
/// Unchanged lines around a change.
const AROUND: usize = 2;

/// Whether both are the same, with 1 and 1.0 taken for one number and members in any order.
pub(crate) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, value)| right.get(name).is_some_and(|other| same(value, other)))
        }
        _ => left == right,
    }
}

/// What of `wanted` is not in `actual`, with its path; nothing when all of it is. Maps may have more members; arrays are
/// compared item by item.
pub(crate) fn missing(actual: &Value, wanted: &Value) -> Option<String> {
    part("", actual, wanted)
}

fn part(path: &str, actual: &Value, wanted: &Value) -> Option<String> {
    match (actual, wanted) {
        (Value::Object(actual), Value::Object(wanted)) => wanted.iter().find_map(|(name, wanted)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match actual.get(name) {
                Some(actual) => part(&path, actual, wanted),
                // An absent member and `()` are one to scripts.
                None if wanted.is_null() => None,
                None => Some(format!("`{path}` is not there; expected {wanted}")),
            }
        }),
        (Value::Array(actual), Value::Array(wanted)) if actual.len() == wanted.len() => {
            let mut pairs = actual.iter().zip(wanted).enumerate();
            pairs.find_map(|(index, (actual, wanted))| part(&format!("{path}[{index}]"), actual, wanted))
        }
        (Value::Array(actual), Value::Array(wanted)) => {
            let place = if path.is_empty() { String::new() } else { format!("`{path}`: ") };
            Some(format!("{place}expected {} items, found {}", wanted.len(), actual.len()))
        }
        (actual, wanted) if same(actual, wanted) => None,
        (actual, wanted) => {
            let place = if path.is_empty() { String::new() } else { format!("`{path}`: ") };
            Some(format!("{place}expected {wanted}, found {actual}"))
        }
    }
}

/// Both sides: a diff where they are maps, arrays or texts of several lines, else one line each.
pub(crate) fn sides(actual: &Value, expected: &Value) -> String {
    let whole = |value: &Value| match value {
        Value::String(text) if text.contains('\n') => text.clone(),
        Value::Null => "()".to_owned(),
        value => serde_json::to_string_pretty(&sorted(value)).unwrap_or_default(),
    };
    let (actual, expected) = (whole(actual), whole(expected));
    if !actual.contains('\n') && !expected.contains('\n') {
        return format!("  expected {expected}\n  actual   {actual}");
    }
    format!("  - expected  + actual\n{}", lines(&expected, &actual))
}

/// Objects with their members in one order, so that only differences differ.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        value => value.clone(),
    }
}

fn lines(expected: &str, actual: &str) -> String {
    let diff = TextDiff::from_lines(expected, actual);
    let mut text = Vec::new();
    for (number, group) in diff.grouped_ops(AROUND).iter().enumerate() {
        if number > 0 {
            text.push("    …".to_owned());
        }
        for change in group.iter().flat_map(|operation| diff.iter_changes(operation)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            text.push(format!("  {sign} {}", change.value().trim_end_matches('\n')));
        }
    }
    if text.len() > MAX_LINES {
        let more = text.len() - MAX_LINES;
        text.truncate(MAX_LINES);
        text.push(format!("    … {more} more lines"));
    }
    text.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_compare_by_value_and_members_in_any_order() {
        assert!(same(&json!({ "a": 1, "b": [2.0] }), &json!({ "b": [2], "a": 1.0 })));
        assert!(!same(&json!([1]), &json!([1, 2])));
        assert!(!same(&json!({ "a": null }), &json!({})));
        assert!(!same(&json!("1"), &json!(1)));
    }

    #[test]
    fn a_part_may_leave_members_out_but_no_items() {
        let actual = json!({ "error": { "summary": "no", "causes": [{ "at": "email", "why": "x" }] } });
        assert_eq!(missing(&actual, &json!({ "error": { "causes": [{ "at": "email" }] } })), None);
        assert_eq!(missing(&actual, &json!({ "gone": null })), None);
        let wrong = missing(&actual, &json!({ "error": { "causes": [{ "at": "login" }] } }));
        assert_eq!(wrong.as_deref(), Some("`error.causes[0].at`: expected \"login\", found \"email\""));
        let wrong = missing(&actual, &json!({ "error": { "causes": [] } }));
        assert_eq!(wrong.as_deref(), Some("`error.causes`: expected 0 items, found 1"));
        assert_eq!(missing(&actual, &json!({ "x": 1 })).as_deref(), Some("`x` is not there; expected 1"));
    }

    #[test]
    fn short_values_stand_side_by_side_and_long_ones_as_a_diff() {
        assert_eq!(sides(&json!(1), &json!("1")), "  expected \"1\"\n  actual   1");
        let text = sides(&json!({ "b": 1, "a": 2 }), &json!({ "a": 3, "b": 1 }));
        assert_eq!(text, "  - expected  + actual\n    {\n  -   \"a\": 3,\n  +   \"a\": 2,\n      \"b\": 1\n    }");
    }
}
