//! A mail as scripts write it: a map. Whether an address exists, or is one, its connector says, and it leaves out of a subject
//! what no subject can have.

use rhai::{Dynamic, ImmutableString, Map};
use serde_json::Value;

use crate::prelude::actions::{Flaw, json_of, kind, shortened};
use hookgate_model::command::Mail;
use hookgate_model::finding::nearest;

const KEYS: [&str; 6] = ["to", "subject", "text", "html", "cc", "reply_to"];

/// The most recipients of one mail.
const MAX_RECIPIENTS: usize = 100;

/// The mail in a map.
///
/// # Errors
/// What is missing, or is no part of a mail.
pub(super) fn of(map: &Map) -> Result<Mail, Flaw> {
    if let Some(unknown) = map.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let hint = nearest(unknown, KEYS)
            .map_or_else(|| format!("there are: {}", KEYS.join(", ")), |near| format!("did you mean `{near}`?"));
        return Err(Flaw::Script(format!("a mail has no `{unknown}`: {hint}")));
    }
    let mut map = map.clone();
    if let Some(text) =
        map.get("text").and_then(|text| text.read_lock::<ImmutableString>().map(|text| text.to_string()))
    {
        map.insert("text".into(), shortened(text).into());
    }
    let parts = json_of(&Dynamic::from_map(map))?;
    let mail = Mail {
        to: addresses(&parts, "to")?,
        subject: text(&parts, "subject")?.ok_or("`subject` is missing")?,
        text: text(&parts, "text")?.ok_or("`text` is missing")?,
        html: text(&parts, "html")?,
        cc: addresses(&parts, "cc")?,
        reply_to: text(&parts, "reply_to")?,
    };
    let recipients = mail.to.len() + mail.cc.len();
    if recipients > MAX_RECIPIENTS {
        let text = format!("{recipients} recipients are more than the {MAX_RECIPIENTS} that a mail may have");
        return Err(text.into());
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

fn addresses(parts: &Value, name: &str) -> Result<Vec<String>, String> {
    let list = match parts.get(name).unwrap_or(&Value::Null) {
        Value::Null => return Ok(Vec::new()),
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    let address = |value: &Value| match value.as_str().map(str::trim) {
        Some("") => Err(format!("an address in `{name}` is empty")),
        Some(address) => Ok(address.to_owned()),
        None => Err(format!("`{name}` is an address or an array of them, not {}", kind(value))),
    };
    list.iter().map(address).collect()
}
