//! What people read: the text of a notification, and of many that go out as one. What programs get of many requests.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::Order;
use hookgate_model::command::{Action, Task, Verb};

/// Of many, as many are listed.
const MOST_LISTED: usize = 10;
/// Each of them, in characters.
const MOST_EACH: usize = 300;
/// Of many requests, as many bodies are sent.
const MOST_BODIES: usize = 100;

/// The text of a digest: how many there are, and the first of them.
pub(crate) fn digest(order: &Order) -> String {
    let count = order.count();
    let mut text = format!("{count} notifications");
    if count > MOST_LISTED as u64 {
        let _ = write!(text, ", the first {MOST_LISTED} of them");
    }
    text.push(':');
    for task in order.tasks(MOST_LISTED) {
        let line = one(task).split_whitespace().collect::<Vec<_>>().join(" ");
        let _ = write!(text, "\n- {}", cut(&line, MOST_EACH));
    }
    text
}

/// The bodies of a digest of requests, as one: how many there are, and the first of them.
pub(crate) fn bodies(order: &Order) -> Value {
    let body = |task: &Task| match task {
        Task::Request { body, .. } => body.clone(),
        other => json!(other),
    };
    json!({ "count": order.count(), "items": order.tasks(MOST_BODIES).map(body).collect::<Vec<_>>() })
}

/// A notification as one text.
pub(crate) fn one(task: &Task) -> String {
    match task {
        Task::Notify { message } => text_of(message),
        Task::Email(mail) => mail.subject.clone(),
        Task::Request { path, body, .. } => format!("{path} {body}"),
        Task::Forward => "an event".to_owned(),
        Task::Account(account) => account.verb.name().to_owned(),
        Task::Impossible { function, .. } => function.clone(),
    }
}

/// Why a connector of this kind cannot change an account; for the author of the script.
pub(crate) fn no_accounts(kind: &str, verb: Verb) -> String {
    let other = match verb {
        Verb::RevokeSignInSessions => "entra",
        _ => "okta",
    };
    format!("a connector of kind `{kind}` cannot `{}`: that needs one of kind `{other}`", verb.name())
}

/// A message as text; of a map what it says in words, or all of it.
pub(crate) fn text_of(message: &Value) -> String {
    match message {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let words = ["text", "subject", "title", "summary", "short_description"]
                .iter()
                .find_map(|name| fields.get(*name)?.as_str());
            words.map_or_else(|| message.to_string(), str::to_owned)
        }
        other => other.to_string(),
    }
}

/// The heading that a text makes: its first line that says something, on one line whatever is in it.
pub(crate) fn headline(text: &str, most: usize) -> String {
    let text = printable(text);
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    cut(&line.split_whitespace().collect::<Vec<_>>().join(" "), most)
}

/// A text on one line, of at most so many characters.
pub(crate) fn one_line(text: &str, most: usize) -> String {
    cut(&printable(text).split_whitespace().collect::<Vec<_>>().join(" "), most)
}

/// A text that shows what it holds: without control characters but tabs and line ends, each of which is `\n`, and without
/// characters that have no width or change the direction of others.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        match c {
            '\r' if letters.peek() == Some(&'\n') => {}
            '\r' | '\n' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => shown.push('\n'),
            '\t' => shown.push('\t'),
            c if c.is_control() || is_hidden(c) => {}
            c => shown.push(c),
        }
    }
    shown
}

/// Characters that nobody sees, or that change how others are shown. The joiners of scripts and of emoji stay.
fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{fffe}'
            | '\u{ffff}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// The same value with every text of it [`printable`]. Names of members stay.
pub(crate) fn printable_value(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(printable(text)),
        Value::Array(items) => items.iter().map(printable_value).collect(),
        Value::Object(fields) => Value::Object(printable_fields(fields)),
        other => other.clone(),
    }
}

/// As [`printable_value`].
pub(crate) fn printable_fields(fields: &Map<String, Value>) -> Map<String, Value> {
    fields.iter().map(|(name, value)| (name.clone(), printable_value(value))).collect()
}

/// A value whose JSON has at most so many bytes: of one that is longer, long texts are cut more and more. Short ones stay,
/// because they are words that a receiver knows.
pub(crate) fn fitted(value: &Value, most_bytes: usize) -> Option<Value> {
    let length = |value: &Value| value.to_string().len();
    if length(value) <= most_bytes {
        return Some(value.clone());
    }
    FITTED.into_iter().map(|most| with_texts_cut(value, most)).find(|value| length(value) <= most_bytes)
}

/// To how many characters texts are cut until they fit.
pub(crate) const FITTED: [usize; 8] = [32_000, 16_000, 8_000, 4_000, 2_000, 1_000, 500, 250];

/// The same value with every text of at most so many characters.
pub(crate) fn with_texts_cut(value: &Value, most: usize) -> Value {
    match value {
        Value::String(text) => Value::String(cut(text, most)),
        Value::Array(items) => items.iter().map(|item| with_texts_cut(item, most)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), with_texts_cut(value, most))).collect()
        }
        other => other.clone(),
    }
}

/// At most so many characters; what is cut off leaves a `…`.
pub(crate) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some(_) => {
            let end = text.char_indices().nth(most.saturating_sub(1)).map_or(0, |(end, _)| end);
            format!("{}…", &text[..end])
        }
        None => text.to_owned(),
    }
}

/// The map of a notification, or nothing if it is a text, for kinds that take `notify` alone.
///
/// # Errors
/// It is something else, or says nothing; for the author of the script.
pub(crate) fn message<'a>(action: &'a Action, kind: &str) -> Result<Option<&'a Map<String, Value>>, String> {
    match &action.task {
        Task::Notify { message: Value::String(text) } if printable(text).trim().is_empty() => {
            Err("the text is empty".to_owned())
        }
        Task::Notify { message: Value::String(_) } => Ok(None),
        Task::Notify { message: Value::Object(fields) } => Ok(Some(fields)),
        Task::Notify { .. } => Err("a message is a text or a map".to_owned()),
        _ => Err(format!("a `{kind}` connector takes `notify`, not `{}`", action.name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::order;
    use hookgate_model::command::Action;

    #[test]
    fn a_digest_says_how_many_and_lists_the_first() {
        let notify = |message: Value| Task::Notify { message };
        let mut order = order(notify(json!("first\nline")));
        order.gathered =
            (0..30).map(|number| Action::new("x", notify(json!({ "text": format!("n{number}") })))).collect();
        order.gathered_count = 99;
        let text = digest(&order);
        assert!(text.starts_with("100 notifications, the first 10 of them:\n- first line\n- n0\n"), "{text}");
        assert_eq!(text.lines().count(), 11);
        order.gathered.truncate(1);
        order.gathered_count = 1;
        assert_eq!(digest(&order), "2 notifications:\n- first line\n- n0");
    }

    #[test]
    fn a_heading_is_the_first_line_that_says_something() {
        assert_eq!(headline("\n \u{1}\t\n  one\ttwo\u{0}three\u{2028}four \nmore", 255), "one twothree");
        assert_eq!((headline("abcdef\nx", 4).as_str(), headline("\n", 9).as_str()), ("abc…", ""));
    }

    #[test]
    fn what_prints_is_kept() {
        assert_eq!(printable("a\u{0}b\r\n\tc\u{1b}[31m\u{85}d\re\u{2028}f"), "ab\n\tc[31m\nd\ne\nf");
        assert_eq!(printable("a\u{202e}b\u{200b}\u{feff}c\u{2067}d"), "abcd");
        let family = "\u{1f468}\u{200d}\u{1f467} \u{645}\u{6cc}\u{200c}\u{62e}";
        assert_eq!(printable(family), family, "joiners stay");
    }

    #[test]
    fn a_value_is_cut_until_it_fits() {
        let value = json!({ "type": "card", "text": "\u{e4}".repeat(10_000), "n": [1, "x".repeat(300)] });
        let fits = fitted(&value, 3_000).expect("it fits");
        assert!(fits.to_string().len() <= 3_000 && fits["type"] == "card" && fits["n"][0] == 1, "{fits}");
        assert_eq!(fitted(&value, 100_000), Some(value.clone()));
        assert_eq!(fitted(&json!(vec!["x"; 1000]), 3_000), None, "short texts are words");
    }

    #[test]
    fn a_cut_counts_characters() {
        assert_eq!((cut("abc", 3).as_str(), cut("\u{e4}bcd", 3).as_str()), ("abc", "\u{e4}b…"));
    }
}
