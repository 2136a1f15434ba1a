//! What people read: the text of a notification, and of many that go out as one.

use std::fmt::Write;

use serde_json::Value;

use crate::command::Task;
use crate::connectors::Order;

/// Of many, as many are listed.
const MOST_LISTED: usize = 10;
/// Each of them, in characters.
const MOST_EACH: usize = 300;

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

/// A notification as one text.
pub fn one(task: &Task) -> String {
    match task {
        Task::Notify { message } => text_of(message),
        Task::Email(mail) => mail.subject.clone(),
        Task::Request { path, body, .. } => format!("{path} {body}"),
        Task::Forward => "an event".to_owned(),
    }
}

/// A message as text; of a map what it says in words, or all of it.
pub fn text_of(message: &Value) -> String {
    match message {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let words = ["text", "subject", "title", "summary"].iter().find_map(|name| fields.get(*name)?.as_str());
            words.map_or_else(|| message.to_string(), str::to_owned)
        }
        other => other.to_string(),
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

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
    fn a_cut_counts_characters() {
        assert_eq!((cut("abc", 3).as_str(), cut("\u{e4}bcd", 3).as_str()), ("abc", "\u{e4}b…"));
    }
}
