//! What people read: the text of a notification, and of many that go out as one. What programs get of many requests.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::command::{Action, Task, Verb};
use crate::connectors::Order;

/// Of many, as many are listed.
const MOST_LISTED: usize = 10;
/// Each of them, in characters.
const MOST_EACH: usize = 300;
/// Of many requests, as many bodies are sent.
const MOST_BODIES: usize = 100;

/// The text of a digest: how many there are, and the first of them.
pub fn digest(order: &Order) -> String {
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
pub fn bodies(order: &Order) -> Value {
    let body = |task: &Task| match task {
        Task::Request { body, .. } => body.clone(),
        other => json!(other),
    };
    json!({ "count": order.count(), "items": order.tasks(MOST_BODIES).map(body).collect::<Vec<_>>() })
}

/// A notification as one text.
pub fn one(task: &Task) -> String {
    match task {
        Task::Notify { message } => text_of(message),
        Task::Email(mail) => mail.subject.clone(),
        Task::Request { path, body, .. } => format!("{path} {body}"),
        Task::Forward => "an event".to_owned(),
        Task::Account(account) => account.verb.name().to_owned(),
    }
}

/// Why a connector of this kind cannot change an account; for the author of the script.
pub fn no_accounts(kind: &str, verb: Verb) -> String {
    let other = match verb {
        Verb::RevokeSignInSessions => "entra",
        _ => "okta",
    };
    format!("a connector of kind `{kind}` cannot `{}`: that needs one of kind `{other}`", verb.name())
}

/// A message as text; of a map what it says in words, or all of it.
pub fn text_of(message: &Value) -> String {
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
pub fn headline(text: &str, most: usize) -> String {
    let visible = |line: &&str| line.chars().any(|c| !c.is_whitespace() && !c.is_control());
    let line = text.lines().find(visible).unwrap_or_default();
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    cut(&line.split_whitespace().collect::<Vec<_>>().join(" "), most)
}

/// A text without control characters, but for line ends and tabs.
pub fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// At most so many characters; what is cut off leaves a `…`.
pub fn cut(text: &str, most: usize) -> String {
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
pub fn message<'a>(action: &'a Action, kind: &str) -> Result<Option<&'a Map<String, Value>>, String> {
    match &action.task {
        Task::Notify { message: Value::String(text) } if text.trim().is_empty() => Err("the text is empty".to_owned()),
        Task::Notify { message: Value::String(_) } => Ok(None),
        Task::Notify { message: Value::Object(fields) } => Ok(Some(fields)),
        Task::Notify { .. } => Err("a message is a text or a map".to_owned()),
        _ => Err(format!("a `{kind}` connector takes `notify`, not `{}`", action.name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Action;
    use crate::connectors::tests::order;

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
        assert_eq!(headline("\n \u{1}\t\n  one\ttwo\u{0}three\u{2028}four \nmore", 255), "one two three four");
        assert_eq!((headline("abcdef\nx", 4).as_str(), headline("\n", 9).as_str()), ("abc…", ""));
    }

    #[test]
    fn what_prints_is_kept() {
        assert_eq!(printable("a\u{0}b\r\n\tc\u{1b}[31m\u{85}d"), "ab\n\tc[31md");
    }

    #[test]
    fn a_cut_counts_characters() {
        assert_eq!((cut("abc", 3).as_str(), cut("\u{e4}bcd", 3).as_str()), ("abc", "\u{e4}b…"));
    }
}
