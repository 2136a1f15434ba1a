//! What a script says of an issue, as Jira's fields: a text, or a map of fields over the defaults of the settings.

use serde_json::{Map, Value, json};

use crate::wording;
use crate::{Order, Trouble};
use hookgate_model::command::Task;

/// Jira takes no longer summary and label, in characters, and no line end in them.
const MOST_SUMMARY: usize = 255;
const MOST_LABEL: usize = 255;

/// Of a text as many characters become the description. Jira refuses a field of more than 32,767, and an escape of markup makes
/// a character longer.
const MOST_TEXT: usize = 20_000;
/// What Jira takes of a text that is written as Jira has it.
const MOST_OWN_TEXT: usize = 32_767;

/// Fields whose value may be written as one word, and what that word is.
const WORDS: [(&str, &str); 3] = [("project", "key"), ("issuetype", "name"), ("priority", "name")];

/// Which Jira it is: they differ in how a description is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edition {
    /// Descriptions are documents (Atlassian Document Format).
    Cloud,
    /// Descriptions are text with wiki markup.
    Server,
}

/// What an issue is that does not say it.
pub(super) struct Defaults {
    pub(super) project: String,
    pub(super) issue_type: String,
    pub(super) labels: Vec<String>,
    pub(super) priority: Option<String>,
}

/// The label by which the issue of an action is found again.
pub(super) fn label(key: &str) -> String {
    let plain = |c: char| if c.is_whitespace() || c.is_control() || matches!(c, '"' | '\\') { '_' } else { c };
    format!("hook-{}", key.chars().map(plain).collect::<String>())
}

/// # Errors
/// It is no label; for whoever wrote it.
pub(super) fn check_label(label: &str) -> Result<(), String> {
    match label.is_empty() || label.contains(|c: char| c.is_whitespace() || c.is_control()) {
        true => Err("a label is a text without spaces".to_owned()),
        false if label.chars().count() > MOST_LABEL => Err(format!("a label has at most {MOST_LABEL} characters")),
        false => Ok(()),
    }
}

/// # Errors
/// It makes no issue; for the author of the script.
pub(super) fn check(message: &Value, edition: Edition) -> Result<(), String> {
    match message {
        Value::String(text) if wording::headline(text, MOST_SUMMARY).is_empty() => Err("the text is empty".to_owned()),
        Value::String(_) => Ok(()),
        Value::Object(fields) => own_fields(fields, edition).map(|_| ()),
        _ => Err("a message is a text or a map".to_owned()),
    }
}

/// The fields of the issue.
///
/// # Errors
/// It is not one.
pub(super) fn fields(order: &Order, defaults: &Defaults, edition: Edition) -> Result<Map<String, Value>, Trouble> {
    let own = match &order.action.task {
        Task::Notify { .. } if order.gathered_count > 0 => of_text(&wording::digest(order), edition),
        Task::Notify { message: Value::Object(fields) } => own_fields(fields, edition).map_err(Trouble::refused)?,
        Task::Notify { message } => of_text(&wording::text_of(message), edition),
        _ => return Err(Trouble::refused("it takes notifications and nothing else")),
    };
    let mut fields = Map::new();
    fields.insert("project".to_owned(), json!({ "key": defaults.project }));
    fields.insert("issuetype".to_owned(), json!({ "name": defaults.issue_type }));
    fields.insert("labels".to_owned(), json!(defaults.labels));
    if let Some(priority) = &defaults.priority {
        fields.insert("priority".to_owned(), json!({ "name": priority }));
    }
    fields.extend(own);
    if let Some(labels) = fields.get_mut("labels").and_then(Value::as_array_mut) {
        labels.push(json!(label(&order.key)));
    }
    Ok(fields)
}

fn of_text(text: &str, edition: Edition) -> Map<String, Value> {
    let whole = wording::cut(wording::printable(text).trim(), MOST_TEXT);
    let description = match edition {
        Edition::Cloud => document(&whole),
        Edition::Server => json!(without_markup(&whole)),
    };
    let summary = json!(wording::headline(text, MOST_SUMMARY));
    Map::from_iter([("summary".to_owned(), summary), ("description".to_owned(), description)])
}

fn own_fields(written: &Map<String, Value>, edition: Edition) -> Result<Map<String, Value>, String> {
    if written.contains_key("fields") {
        return Err("write the fields themselves, without `fields` around them".to_owned());
    }
    if written.contains_key("issue_type") {
        return Err("Jira's name of the type is `issuetype`".to_owned());
    }
    let written = &wording::printable_fields(written);
    let mut fields = Map::new();
    for (name, value) in written {
        let word = WORDS.iter().find(|(field, _)| field == name);
        let value = match (name.as_str(), value) {
            ("summary", value) => json!(summary(value)?),
            ("description", value) => description(value, edition)?,
            ("labels", value) => labels(value)?,
            (_, Value::String(text)) => match word {
                Some((_, inner)) => Value::Object(Map::from_iter([((*inner).to_owned(), json!(text))])),
                None => json!(wording::cut(text, MOST_OWN_TEXT)),
            },
            (_, value) => without_empty_texts(value.clone()),
        };
        fields.insert(name.clone(), value);
    }
    match fields.contains_key("summary") {
        true => Ok(fields),
        false => Err("`summary` is missing: what is the issue about?".to_owned()),
    }
}

fn summary(value: &Value) -> Result<String, String> {
    let text = value.as_str().map(|text| wording::headline(text, MOST_SUMMARY)).filter(|text| !text.is_empty());
    text.ok_or_else(|| "`summary` is a text, and not an empty one".to_owned())
}

fn description(value: &Value, edition: Edition) -> Result<Value, String> {
    match (value, edition) {
        (Value::String(text), Edition::Cloud) => Ok(document(&wording::cut(text, MOST_TEXT))),
        (Value::String(text), Edition::Server) => Ok(json!(wording::cut(text, MOST_OWN_TEXT))),
        (Value::Object(_), Edition::Cloud) if value["type"] == "doc" => Ok(without_empty_texts(value.clone())),
        (_, Edition::Cloud) => Err("`description` is a text, or a document (`type: \"doc\"`)".to_owned()),
        (_, Edition::Server) => Err("`description` is a text".to_owned()),
    }
}

/// Labels as Jira takes them: what it does not take in one becomes `_`, and an empty one is left out.
fn labels(value: &Value) -> Result<Value, String> {
    let wrong = || "`labels` is a list of texts".to_owned();
    let texts = value.as_array().ok_or_else(wrong)?.iter().map(|label| label.as_str().ok_or_else(wrong));
    let texts = texts.collect::<Result<Vec<_>, _>>()?;
    let fit = |c: char| if c.is_whitespace() || c.is_control() { '_' } else { c };
    let labels = texts.into_iter().map(|text| text.trim().chars().map(fit).take(MOST_LABEL).collect::<String>());
    Ok(labels.filter(|label| !label.is_empty()).collect())
}

/// A document of Jira's own in which no text is empty: it takes none.
fn without_empty_texts(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields)
            if fields.get("type") == Some(&json!("text")) && fields.get("text") == Some(&json!("")) =>
        {
            fields.insert("text".to_owned(), json!(" "));
        }
        Value::Object(fields) => {
            fields.values_mut().for_each(|inner| *inner = without_empty_texts(inner.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = without_empty_texts(item.take())),
        _ => {}
    }
    value
}

/// A text as a document: a paragraph a line. Nothing in it is a link or a mention, which are nodes of their own.
fn document(text: &str) -> Value {
    let paragraph = |line: &str| match line.is_empty() {
        // Jira takes no empty text.
        true => json!({ "type": "paragraph" }),
        false => json!({ "type": "paragraph", "content": [{ "type": "text", "text": line }] }),
    };
    json!({ "type": "doc", "version": 1, "content": text.lines().map(paragraph).collect::<Vec<_>>() })
}

/// A text in which wiki markup makes no link, mention, picture, table or macro: what begins one is escaped.
fn without_markup(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // Two of them are the end of a line, and one before a letter is part of the escape.
            '\\' => escaped.push_str("&#92;"),
            '[' | ']' | '{' | '}' | '!' | '|' => escaped.extend(['\\', c]),
            other => escaped.push(other),
        }
    }
    escaped
}
