//! A sign in the JSON of an answer, for systems that say in the body how it went: a field, and what it is then.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::Answer;
use crate::redact::Redact;
use crate::{Done, Trouble, What};

/// A field of an answer in JSON, and what it must be to count.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Predicate {
    /// Path of the field: dots lead into objects, `[0]` into a list, `[*]` into each of its items, one of which is enough. `$.` may
    /// stand before it.
    #[schemars(length(min = 1), regex(pattern = r"^(\$\.?)?([^.\[\]$]+|\[(\d+|\*)\])(\.[^.\[\]]+|\[(\d+|\*)\])*$"))]
    pub(crate) field: String,
    /// What it is, or a list of what it may be; a number is the same as a text of its digits. Absent: that it is there, and neither
    /// `false` nor empty.
    pub(crate) equals: Option<OneOrMore>,
}

/// A value, or several of which one is enough.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum OneOrMore {
    One(Expected),
    More(Vec<Expected>),
}

/// A text, a number, `true` or `false`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Expected {
    Truth(bool),
    Number(i64),
    Text(String),
}

impl Predicate {
    /// That a field is there.
    pub(crate) fn present(field: &str) -> Self {
        Self { field: field.to_owned(), equals: None }
    }

    /// That a field is this text.
    pub(crate) fn text(field: &str, text: &str) -> Self {
        let equals = Some(OneOrMore::One(Expected::Text(text.to_owned())));
        Self { field: field.to_owned(), equals }
    }

    /// Whether the field is in the answer, and as it must be.
    pub(crate) fn is_in(&self, body: &Value) -> bool {
        let is_wanted = |found: &&Value| match &self.equals {
            None => is_something(found),
            Some(OneOrMore::One(expected)) => expected.is(found),
            Some(OneOrMore::More(all)) => all.iter().any(|expected| expected.is(found)),
        };
        self.values(body).iter().any(is_wanted)
    }

    /// Whether the answer says anything in that field.
    pub(crate) fn is_answered(&self, body: &Value) -> bool {
        self.values(body).iter().any(|found| !found.is_null())
    }

    /// What is looked for, for people.
    pub(crate) fn wanted(&self) -> String {
        match &self.equals {
            None => format!("`{}`", self.field),
            Some(OneOrMore::One(expected)) => format!("`{}` being {}", self.field, json!(expected)),
            Some(OneOrMore::More(all)) => format!("`{}` being one of {}", self.field, json!(all)),
        }
    }

    fn values<'a>(&self, body: &'a Value) -> Vec<&'a Value> {
        let path = self.field.trim_start_matches('$').trim_start_matches('.');
        let steps = path.split(['.', '[']).map(|step| step.trim_end_matches(']')).filter(|step| !step.is_empty());
        steps.fold(vec![body], |found, step| found.into_iter().flat_map(|value| below(value, step)).collect())
    }
}

fn below<'a>(value: &'a Value, step: &str) -> Vec<&'a Value> {
    match value {
        Value::Object(members) => members.get(step).into_iter().collect(),
        Value::Array(items) if step == "*" => items.iter().collect(),
        Value::Array(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn is_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

impl Expected {
    fn is(&self, found: &Value) -> bool {
        match (self, found) {
            (Self::Truth(truth), Value::Bool(found)) => truth == found,
            (Self::Number(number), Value::Number(found)) => found.as_i64() == Some(*number),
            (Self::Number(number), Value::String(found)) => *found == number.to_string(),
            (Self::Text(text), Value::String(found)) => text == found,
            (Self::Text(text), Value::Number(found)) => *text == found.to_string(),
            _ => false,
        }
    }
}

/// What an answer says of an action, by its status, and by its body where the settings look into it: one with `retry_if` says that
/// nothing was done and a later try may succeed, whatever its status; a good one without `success` is refused.
///
/// # Errors
/// It was not done, or broke off before it said so.
pub(crate) fn judge(
    answer: &Answer,
    redact: &Redact,
    success: Option<&Predicate>,
    retry_if: Option<&Predicate>,
) -> Result<Done, Trouble> {
    let by_status = answer.judge(redact);
    let again = |what: &What| matches!(what, What::NotDelivered { .. });
    if (success.is_none() && retry_if.is_none()) || by_status.as_ref().is_err_and(|trouble| again(&trouble.what)) {
        return by_status;
    }
    let status = Some(answer.status);
    if !answer.complete {
        let message = "its answer broke off before it said whether it was done".to_owned();
        return by_status.and(Err(Trouble { what: What::MaybeDelivered, status, message }));
    }
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if let Some(sign) = retry_if.filter(|sign| sign.is_in(&body)) {
        let message = format!("it answered {} with {}: {}", answer.status, sign.wanted(), answer.said(redact));
        return Err(Trouble { what: What::NotDelivered { retry_after: answer.retry_after }, status, message });
    }
    let done = by_status?;
    match success.filter(|sign| !sign.is_in(&body)) {
        None => Ok(done),
        Some(sign) => {
            let message = format!("it answered {} without {}: {}", answer.status, sign.wanted(), done.note);
            Err(Trouble { what: What::Refused, status, message })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predicate(written: Value) -> Predicate {
        serde_json::from_value(written).expect("a predicate")
    }

    #[test]
    fn a_path_leads_through_objects_and_lists() {
        let body = json!({
            "success": false, "errors": [{ "code": "606" }, { "code": 611, "more": [] }], "a": { "b": { "c": "x" } }, "empty": "",
        });
        for (written, found) in [
            (json!({ "field": "success", "equals": false }), true),
            (json!({ "field": "success", "equals": "false" }), false),
            (json!({ "field": "$.errors[0].code", "equals": "606" }), true),
            (json!({ "field": "errors[0].code", "equals": 606 }), true),
            (json!({ "field": "errors.0.code", "equals": 606 }), true),
            (json!({ "field": "errors[1].code", "equals": "606" }), false),
            (json!({ "field": "errors[1].code", "equals": "611" }), true),
            (json!({ "field": "errors[2].code", "equals": "606" }), false),
            (json!({ "field": "errors[*].code", "equals": ["1", "611"] }), true),
            (json!({ "field": "errors[*].code", "equals": ["1", "2"] }), false),
            (json!({ "field": "errors[*].code" }), true),
            (json!({ "field": "errors[*].more" }), false),
            (json!({ "field": "a.b.c", "equals": "x" }), true),
            (json!({ "field": "a.b" }), true),
            (json!({ "field": "a.b.c.d" }), false),
            (json!({ "field": "success" }), false),
            (json!({ "field": "empty" }), false),
            (json!({ "field": "absent" }), false),
        ] {
            assert_eq!(predicate(written.clone()).is_in(&body), found, "{written}");
        }
        assert!(!predicate(json!({ "field": "a" })).is_in(&Value::Null));
        assert!(predicate(json!({ "field": "empty" })).is_answered(&body));
        assert!(!predicate(json!({ "field": "absent" })).is_answered(&body));
    }

    #[test]
    fn what_is_wanted_is_said() {
        assert_eq!(predicate(json!({ "field": "ok", "equals": true })).wanted(), "`ok` being true");
        assert_eq!(predicate(json!({ "field": "e", "equals": ["1", 2] })).wanted(), "`e` being one of [\"1\",2]");
        assert_eq!(predicate(json!({ "field": "token" })).wanted(), "`token`");
    }
}
