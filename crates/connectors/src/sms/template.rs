//! Texts with places for the parts of a message: `{to}`, `{text}`, `{code}`, `{channel}`, `{key}`.

use zeroize::Zeroizing;

use crate::sms;
use hookgate_model::message::Message;

/// What a place stands for. `{digits}` is the number without its `+`.
const PLACES: [&str; 7] = ["to", "digits", "text", "code", "spoken", "channel", "key"];

/// Checks the places of a template, and gives their names.
///
/// # Errors
/// One of them is unknown.
pub(crate) fn places(template: &str) -> Result<Vec<&'static str>, String> {
    let mut found = Vec::new();
    let mut rest = template;
    while let Some((name, after)) = next(rest) {
        match PLACES.iter().find(|place| **place == name) {
            Some(place) => found.push(*place),
            None => return Err(format!("`{{{name}}}` is none of {{{}}}", PLACES.join("}, {"))),
        }
        rest = after;
    }
    Ok(found)
}

/// The text with everything in its place.
pub(crate) fn filled(template: &str, message: &Message) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(8 * 1024));
    let mut rest = template;
    while let Some((name, after)) = next(rest) {
        let begin = rest.len() - after.len() - name.len() - 2;
        text.push_str(&rest[..begin]);
        match name {
            "to" => text.push_str(&message.to),
            "digits" => text.push_str(message.to.trim_start_matches('+')),
            "text" => text.push_str(sms::revealed(&message.text)),
            "code" => text.push_str(sms::revealed(&message.code)),
            "spoken" => text.push_str(&sms::spoken(&message.code)),
            "channel" => text.push_str(message.channel.name()),
            _ => text.push_str(&message.key),
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

/// The next `{name}` and what follows it; other braces stand for themselves.
fn next(text: &str) -> Option<(&str, &str)> {
    let mut rest = text;
    loop {
        let inside = &rest[rest.find('{')? + 1..];
        let end = inside.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(inside.len());
        if end > 0 && inside[end..].starts_with('}') {
            return Some((&inside[..end], &inside[end + 1..]));
        }
        rest = inside;
    }
}
