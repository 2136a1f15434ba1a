//! What Okta makes of an answer to an inline hook: whether it takes it, why not, and what it does then.
//!
//! The one validator of replies: `simulate` judges running gateways by it, tests judge every reply that a hook makes, and a
//! build with debug assertions judges each reply before it leaves. It looks at bytes alone (contract: inline hooks, sections
//! 2, 5 and those of each hook), and shares with the constructors of commands the lists and rules, not the encoding.

use serde_json::{Map, Value};

use crate::okta::patch::{Op, Pointer};
use crate::okta::reply::MAX_REPLY_BYTES;
use crate::{Answer, Judgement};

pub(super) mod password_import;
pub(super) mod profiles;
pub(super) mod registration;
pub(super) mod saml;
pub(super) mod telephony;
pub(super) mod token;
pub(super) mod user_import;

/// In what the inline hooks differ.
pub(super) struct Rules {
    /// Whether `204` is on the hook's list of answers (contract, 2.1).
    pub(super) takes_204: bool,
    /// Whether `error` is in the hook's response schema.
    pub(super) takes_error: bool,
    /// Whether `error` takes the error path by its presence, so that even `null` may.
    pub(super) minds_null: bool,
    /// The types of commands.
    pub(super) commands: &'static [&'static str],
    /// Looks at the commands, which have types of the list above. `call` is `null` where it is not known.
    pub(super) check: fn(call: &Value, reply: &Body<'_>, wrong: &mut Vec<String>),
    /// What Okta does on a valid reply.
    pub(super) effect: fn(call: &Value, reply: &Body<'_>) -> String,
    /// What Okta does when the hook failed.
    pub(super) failed: fn(call: &Value, failure: Failed) -> String,
}

/// How a hook failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// No answer came within three seconds.
    Silent,
    /// The status says so.
    Status(u16),
    /// The status is good, and the rest is not what Okta takes.
    Unusable,
}

/// A command as it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Command<'v> {
    pub(super) kind: &'v str,
    pub(super) value: &'v Value,
}

/// A reply that is JSON of the right outer shape, or empty.
#[derive(Debug, Default)]
pub(super) struct Body<'v> {
    pub(super) commands: Vec<Command<'v>>,
    /// The error object, if the reply takes the error path.
    pub(super) error: Option<&'v Map<String, Value>>,
}

/// Judges an answer; `None` is that no answer came in time.
pub(super) fn judge(rules: &Rules, call: &Value, answer: Option<&Answer<'_>>) -> Judgement {
    let failed =
        |problem: Vec<String>, failure| Judgement { violations: problem, effect: (rules.failed)(call, failure) };
    let Some(answer) = answer else {
        return failed(vec!["no answer came within three seconds".into()], Failed::Silent);
    };
    let value = match open(rules, answer) {
        Ok(value) => value,
        Err((problem, failure)) => return failed(vec![problem], failure),
    };
    let mut wrong = Vec::new();
    let body = outer(rules, &value, &mut wrong);
    (rules.check)(call, &body, &mut wrong);
    match wrong.is_empty() {
        true => Judgement { violations: wrong, effect: (rules.effect)(call, &body) },
        false => failed(wrong, Failed::Unusable),
    }
}

impl Failed {
    /// `because …`, as the end of a sentence.
    pub(super) fn because(self) -> String {
        match self {
            Self::Silent => "because no answer came in time".into(),
            Self::Status(status) => format!("because the reply was HTTP {status}"),
            Self::Unusable => "because it cannot use the reply".into(),
        }
    }
}

/// The JSON of an answer; `null` of an empty one.
fn open(rules: &Rules, answer: &Answer<'_>) -> Result<Value, (String, Failed)> {
    let Answer { status, content_type, body } = *answer;
    match status {
        200 => {}
        204 if rules.takes_204 && body.is_empty() => return Ok(Value::Null),
        204 if rules.takes_204 => return Err(("a 204 has no body".into(), Failed::Unusable)),
        204 => return Err(("204 is not an answer of this hook".into(), Failed::Status(204))),
        300..=399 => return Err((format!("HTTP {status}: Okta follows no redirect"), Failed::Status(status))),
        _ => return Err((format!("HTTP {status} is not an answer of this hook, 200 is"), Failed::Status(status))),
    }
    let unusable = |problem: String| Err((problem, Failed::Unusable));
    if body.is_empty() {
        return unusable("the body is empty: an answer with 200 has a JSON object".into());
    }
    if body.len() > MAX_REPLY_BYTES {
        let (length, limit) = (body.len(), MAX_REPLY_BYTES + 1);
        return unusable(format!("the body has {length} bytes; Okta takes less than {limit}"));
    }
    let media = content_type.map(|text| text.split(';').next().unwrap_or_default().trim());
    match media {
        Some(media) if media.eq_ignore_ascii_case("application/json") => {}
        Some(media) => return unusable(format!("the content type is `{media}`, not `application/json`")),
        None => return unusable("the content type is missing: it must be `application/json`".into()),
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => unusable("the body is JSON, but not an object".into()),
        Err(error) => unusable(format!("the body is not JSON: {error}")),
    }
}

/// The members of a reply, as far as they have the right shape (contract, section 5).
fn outer<'v>(rules: &Rules, value: &'v Value, wrong: &mut Vec<String>) -> Body<'v> {
    const MEMBERS: [&str; 3] = ["commands", "error", "debugContext"];
    let mut body = Body::default();
    let Some(members) = value.as_object() else { return body };
    for name in members.keys().filter(|name| !MEMBERS.contains(&name.as_str())) {
        wrong.push(format!("`{name}` is no member of a reply; there are `commands`, `error` and `debugContext`"));
    }
    match members.get("commands") {
        None | Some(Value::Null) => {}
        Some(Value::Array(items)) => {
            let items = items.iter().enumerate();
            body.commands.extend(items.filter_map(|(index, item)| command(rules, index, item, wrong)));
        }
        Some(_) => wrong.push("`commands` must be an array".into()),
    }
    match members.get("error") {
        Some(Value::Null) if rules.minds_null => {
            wrong.push("`error` is `null`, and its presence alone may be taken for an error: leave it out".into());
        }
        None | Some(Value::Null) => {}
        Some(Value::Object(_)) if !rules.takes_error => {
            wrong.push("`error` is not in the response schema of this hook".into());
        }
        Some(Value::Object(error)) => {
            check_error(error, wrong);
            body.error = Some(error);
        }
        Some(_) => wrong.push("`error` must be an object".into()),
    }
    if members.get("debugContext").is_some_and(|debug| !debug.is_object() && !debug.is_null()) {
        wrong.push("`debugContext` must be an object".into());
    }
    body
}

fn command<'v>(rules: &Rules, index: usize, item: &'v Value, wrong: &mut Vec<String>) -> Option<Command<'v>> {
    let number = index + 1;
    let Some(members) = item.as_object() else {
        wrong.push(format!("command {number} is not an object with `type` and `value`"));
        return None;
    };
    let Some(kind) = members.get("type").and_then(Value::as_str) else {
        wrong.push(format!("command {number} has no `type`"));
        return None;
    };
    if !rules.commands.contains(&kind) {
        let known = rules.commands.join("`, `");
        wrong.push(format!("command {number} has the unknown type `{kind}`; this hook has `{known}`"));
        return None;
    }
    let list = kind.ends_with(".patch") || kind == telephony::ACTION;
    match members.get("value") {
        Some(value) if value.is_array() == list && (list || value.is_object()) => Some(Command { kind, value }),
        Some(_) => {
            let wanted = if list { "an array" } else { "an object" };
            wrong.push(format!("the `value` of `{kind}` must be {wanted}"));
            None
        }
        None => {
            wrong.push(format!("command {number}, `{kind}`, has no `value`"));
            None
        }
    }
}

fn check_error(error: &Map<String, Value>, wrong: &mut Vec<String>) {
    const TEXTS: [&str; 5] = ["errorSummary", "reason", "locationType", "location", "domain"];
    let is_text = |value: Option<&Value>| value.is_none_or(|value| value.is_string() || value.is_null());
    if !is_text(error.get("errorSummary")) {
        wrong.push("`error.errorSummary` must be a text".into());
    }
    match error.get("errorCauses") {
        None | Some(Value::Null) => {}
        Some(Value::Array(causes)) => {
            for (index, cause) in causes.iter().enumerate() {
                let is_good = cause.is_object() && TEXTS.iter().all(|name| is_text(cause.get(name)));
                if !is_good {
                    wrong.push(format!("cause {} of the error must be an object of texts", index + 1));
                }
            }
        }
        Some(_) => wrong.push("`error.errorCauses` must be an array".into()),
    }
}

/// One operation of a patch.
pub(super) struct Step<'v> {
    pub(super) op: Op,
    pub(super) path: Pointer,
    /// Never of `remove`.
    pub(super) value: Option<&'v Value>,
}

/// The operations of a patch; those of the wrong form are left out and told.
pub(super) fn steps<'v>(command: Command<'v>, wrong: &mut Vec<String>) -> Vec<Step<'v>> {
    let mut steps = Vec::new();
    for (index, item) in command.value.as_array().into_iter().flatten().enumerate() {
        match step(item) {
            Ok(step) => steps.push(step),
            Err(problem) => wrong.push(format!("operation {} of `{}`: {problem}", index + 1, command.kind)),
        }
    }
    steps
}

fn step(item: &Value) -> Result<Step<'_>, String> {
    let op = match item["op"].as_str() {
        Some("add") => Op::Add,
        Some("replace") => Op::Replace,
        Some("remove") => Op::Remove,
        Some(other) => return Err(format!("there is no op `{other}`")),
        None => return Err("`op` is missing".into()),
    };
    let path = Pointer::parse(item["path"].as_str().ok_or("`path` is missing")?)?;
    let value = item.get("value");
    match (op, value) {
        (Op::Remove, Some(value)) if !value.is_null() => Err("`remove` has no value".into()),
        (Op::Remove, _) => Ok(Step { op, path, value: None }),
        (_, None) => Err("`value` is missing".into()),
        (_, value) => Ok(Step { op, path, value }),
    }
}

/// The text of an error for people, or Okta's own where it has none.
pub(super) fn summary(error: &Map<String, Value>) -> &str {
    error.get("errorSummary").and_then(Value::as_str).unwrap_or("The callback service returned an error")
}

#[cfg(test)]
mod tests;
