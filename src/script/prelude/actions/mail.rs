//! A mail as scripts write it: a map. Whether an address exists, or is one, its connector says.

use rhai::{Dynamic, Map};
use serde_json::Value;

use crate::command::Mail;
use crate::finding::nearest;
use crate::script::prelude::actions::{json_of, kind};

const KEYS: [&str; 6] = ["to", "subject", "text", "html", "cc", "reply_to"];

/// The most recipients of one mail.
const MAX_RECIPIENTS: usize = 100;

/// The mail in a map.
///
/// # Errors
/// What is missing, or is no part of a mail.
pub(super) fn of(map: &Map) -> Result<Mail, String> {
    if let Some(unknown) = map.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let hint = nearest(unknown, KEYS)
            .map_or_else(|| format!("there are: {}", KEYS.join(", ")), |near| format!("did you mean `{near}`?"));
        return Err(format!("a mail has no `{unknown}`: {hint}"));
    }
    let parts = json_of(&Dynamic::from_map(map.clone()))?;
    let mail = Mail {
        to: addresses(&parts, "to")?,
        subject: line(&parts, "subject")?.ok_or("`subject` is missing")?,
        text: text(&parts, "text")?.ok_or("`text` is missing")?,
        html: text(&parts, "html")?,
        cc: addresses(&parts, "cc")?,
        reply_to: line(&parts, "reply_to")?,
    };
    let recipients = mail.to.len() + mail.cc.len();
    if recipients > MAX_RECIPIENTS {
        return Err(format!("{recipients} recipients are more than the {MAX_RECIPIENTS} that a mail may have"));
    }
    Ok(mail)
}

fn text(parts: &Value, name: &str) -> Result<Option<String>, String> {
    match parts.get(name).unwrap_or(&Value::Null) {
        Value::Null => Ok(None),
        Value::String(text) if text.trim().is_empty() => Err(format!("`{name}` is empty")),
        Value::String(text) => Ok(Some(text.clone())),
        other => Err(format!("`{name}` is a text, not {}", kind(other))),
    }
}

/// A text on one line: a second one would be another header of the mail.
fn line(parts: &Value, name: &str) -> Result<Option<String>, String> {
    let text = text(parts, name)?;
    text.map(|text| one_line(&text, name)).transpose()
}

fn one_line(text: &str, name: &str) -> Result<String, String> {
    match text.chars().any(char::is_control) {
        true => Err(format!("`{name}` has more than one line, or letters that cannot be seen")),
        false => Ok(text.to_owned()),
    }
}

fn addresses(parts: &Value, name: &str) -> Result<Vec<String>, String> {
    let list = match parts.get(name).unwrap_or(&Value::Null) {
        Value::Null => return Ok(Vec::new()),
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    let address = |value: &Value| match value.as_str().map(str::trim) {
        Some("") => Err(format!("an address in `{name}` is empty")),
        Some(address) => one_line(address, name),
        None => Err(format!("`{name}` is an address or an array of them, not {}", kind(value))),
    };
    list.iter().map(address).collect()
}
