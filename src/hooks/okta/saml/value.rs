//! What may stand in an assertion: text that XML can carry, and attributes of the form Okta knows.

use rhai::{Array, Dynamic};
use serde_json::{Value, json};

use crate::hooks::okta::saml::CLAIMS;
use crate::script::prelude::json;

/// An attribute as Okta pictures it (contract: inline hooks, section 7.1).
pub(super) fn attribute(format: &str, kind: &str, values: Vec<String>) -> Value {
    let values: Vec<Value> =
        values.into_iter().map(|value| json!({"attributes": {"xsi:type": kind}, "value": value})).collect();
    json!({"attributes": {"NameFormat": format}, "attributeValues": values})
}

/// The values of an attribute, given as one or in an array. Numbers and booleans are written out: Okta has text for
/// every type.
///
/// # Errors
/// Something has no text, in the words of a script's author.
pub(super) fn texts(value: Dynamic) -> Result<Vec<String>, String> {
    let items = match value.try_cast_result::<Array>() {
        Ok(items) => items,
        Err(single) => vec![single],
    };
    items.iter().map(one).collect()
}

fn one(item: &Dynamic) -> Result<String, String> {
    if item.is_unit() {
        return Err("an attribute's value is `()`; leave it out, or send an empty text".into());
    }
    match json::json_from_dynamic(item).map_err(|problem| format!("an attribute's value cannot be sent: {problem}"))? {
        Value::String(text) => Ok(printable("an attribute's value", &text)?.to_owned()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        other => Err(format!("an attribute's value is {}; it must be a text, a number or a boolean", kind(&other))),
    }
}

/// Text that XML 1.0 can carry; other characters cannot be written in an assertion, however escaped.
///
/// # Errors
/// It has such a character, in the words of a script's author.
pub(super) fn printable<'a>(what: &str, text: &'a str) -> Result<&'a str, String> {
    let forbidden = |c: char| matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}');
    match text.chars().find(|c| forbidden(*c)) {
        Some(c) => Err(format!("{what} contains the character U+{:04X}, which XML cannot carry", u32::from(c))),
        None => Ok(text),
    }
}

/// Whether `value` may replace what is at `segments`, as far as that is known without a call.
///
/// # Errors
/// It may not, in the words of a script's author.
pub(super) fn check(segments: &[String], value: &Value) -> Result<(), String> {
    if value.is_null() {
        return Err("nothing in an assertion can be replaced by `()`".into());
    }
    carried(value)?;
    let good = match segments {
        [first, _] if first == CLAIMS => value.get("attributeValues").is_some_and(are_values),
        [first, _, member] if first == CLAIMS && member == "attributeValues" => are_values(value),
        [first, _, member, _] if first == CLAIMS && member == "attributeValues" => is_value(value),
        _ => true,
    };
    if good {
        Ok(())
    } else {
        Err("this is not of the form of an attribute; `replace_attribute` makes it for you".into())
    }
}

fn are_values(values: &Value) -> bool {
    values.as_array().is_some_and(|values| values.iter().all(is_value))
}

fn is_value(value: &Value) -> bool {
    value.get("value").is_some_and(Value::is_string)
}

fn carried(value: &Value) -> Result<(), String> {
    match value {
        Value::String(text) => printable("the value", text).map(|_| ()),
        Value::Array(items) => items.iter().try_for_each(carried),
        Value::Object(members) => members.iter().try_for_each(|(name, value)| {
            printable("a name in the value", name)?;
            carried(value)
        }),
        _ => Ok(()),
    }
}

/// The structure of a value, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "a map",
        Value::Array(_) => "an array",
        _ => "a single value",
    }
}
