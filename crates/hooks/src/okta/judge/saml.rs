//! Replies to the SAML hook (contract: inline hooks, section 7).

use serde_json::{Map, Value};

use crate::okta::judge::{Body, Command, Rules, Step, steps, summary};
use crate::okta::patch::{Draft, Misfit, Op};
use crate::okta::saml::shape;
use crate::okta::saml::{CLAIMS, PATCH, REPLACEABLE, reserved};

pub(in crate::okta) const RULES: Rules = Rules {
    takes_204: true,
    takes_error: true,
    minds_null: false,
    commands: &[PATCH],
    check,
    effect,
    failed: |_, failure| format!("Okta sends the assertion unchanged, {}", failure.because()),
};

fn check(call: &Value, reply: &Body<'_>, wrong: &mut Vec<String>) {
    let none = Map::new();
    let assertion = call.pointer("/data/assertion").and_then(Value::as_object);
    let mut draft = (!call.is_null()).then(|| Draft::new(assertion.unwrap_or(&none)));
    for command in &reply.commands {
        for step in steps(*command, wrong) {
            if let Err(problem) = check_step(&step, draft.as_mut()) {
                wrong.push(format!("`{}`: {problem}", step.path.text()));
            }
        }
    }
}

fn check_step(step: &Step<'_>, draft: Option<&mut Draft<'_, Map<String, Value>>>) -> Result<(), String> {
    let segments = step.path.segments();
    let Some(value) = step.value else { return Err("nothing in an assertion can be removed".into()) };
    match (step.op, segments) {
        (Op::Add, [first, _]) if first == CLAIMS => {}
        (Op::Add, [first, second]) if (&**first, &**second) == ("authentication", "sessionLifetime") => {
            if value.as_i64().is_none_or(|seconds| seconds <= 0) {
                return Err("a session lives a whole number of seconds".into());
            }
        }
        (Op::Add, _) => {
            return Err("Okta adds attributes (`/claims/NAME`) and `/authentication/sessionLifetime`".into());
        }
        (_, [first, _, ..]) if REPLACEABLE.contains(&first.as_str()) => {}
        _ => return Err(format!("Okta replaces places below /{}", REPLACEABLE.join(", /"))),
    }
    if let [first, name, ..] = segments
        && first == CLAIMS
        && reserved(name)
    {
        return Err(format!("the attribute `{name}` belongs to Okta"));
    }
    shape::check(segments, value)?;
    let Some(draft) = draft else { return Ok(()) };
    draft.apply(step.op, segments, Some(value)).map_err(|misfit| match misfit {
        Misfit::Absent => "the assertion has nothing there".to_owned(),
        Misfit::NoParent { .. } => "the assertion has nothing to add this to".to_owned(),
        Misfit::Index { length, .. } => format!("this is no position in an array of {length}"),
    })?;
    shape::check_types(segments, draft)
}

fn effect(_: &Value, reply: &Body<'_>) -> String {
    if let Some(error) = reply.error {
        return format!("the sign-in fails, and the user reads \"{}\"", summary(error));
    }
    let changes: Vec<String> = reply.commands.iter().flat_map(changes).collect();
    if changes.is_empty() {
        return "Okta sends the assertion unchanged".into();
    }
    format!("Okta sends the assertion and {}", changes.join(", "))
}

fn changes(command: &Command<'_>) -> Vec<String> {
    command.value.as_array().into_iter().flatten().map(change).collect()
}

/// What one operation does, in words.
fn change(operation: &Value) -> String {
    let path = operation["path"].as_str().unwrap_or_default();
    let path = path.strip_prefix("/claims/").unwrap_or(path).replace("~1", "/").replace("~0", "~");
    match operation["op"].as_str() {
        Some("add") if path == "/authentication/sessionLifetime" => {
            format!("ends the app's session after {} seconds", operation["value"])
        }
        Some("add") => format!("adds the attribute `{path}`"),
        _ => format!("replaces `{path}`"),
    }
}
