//! What a script says of an alert: a text, or a map in PagerDuty's words without its envelope.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::pagerduty::Severity;
use crate::wording;
use hookgate_model::command;
use hookgate_model::finding::nearest;

/// PagerDuty takes no longer summary, in characters. Other texts of one line are cut there, too.
const MOST_SUMMARY: usize = 1024;
/// PagerDuty takes no longer key, in characters.
const MOST_DEDUP_KEY: usize = 255;

/// Names of the payload whose value is a text, besides `summary` and `severity`.
const TEXTS: [&str; 5] = ["source", "component", "group", "class", "timestamp"];
/// The words of [`Severity`].
const SEVERITIES: [&str; 4] = ["critical", "error", "warning", "info"];
/// All names of a map.
const NAMES: [&str; 14] = [
    "event_action",
    "dedup_key",
    "summary",
    "severity",
    "source",
    "component",
    "group",
    "class",
    "timestamp",
    "custom_details",
    "links",
    "images",
    "client",
    "client_url",
];

/// An alert, or what happened to one.
pub(super) struct Alert {
    pub(super) action: Action,
    pub(super) dedup_key: Option<String>,
    /// What the alert says; empty where one is only acknowledged or resolved.
    pub(super) payload: Value,
    /// What stands beside the payload.
    pub(super) beside: Map<String, Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Trigger,
    Acknowledge,
    Resolve,
}

impl Action {
    const ALL: [Self; 3] = [Self::Trigger, Self::Acknowledge, Self::Resolve];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Acknowledge => "acknowledge",
            Self::Resolve => "resolve",
        }
    }
}

impl Alert {
    /// A text on one line; what that does not hold is in the details.
    pub(super) fn of_text(text: &str) -> Self {
        let text = wording::printable(text);
        let summary = summary(&text);
        let mut payload = json!({ "summary": summary });
        if summary != text {
            payload["custom_details"] = json!({ "text": text });
        }
        Self { action: Action::Trigger, dedup_key: None, payload, beside: Map::new() }
    }

    /// # Errors
    /// It is no alert that PagerDuty takes; for the author of the script.
    pub(super) fn read(fields: &Map<String, Value>) -> Result<Self, String> {
        let fields = &wording::printable_fields(fields);
        if let Some(name) = fields.keys().find(|name| !NAMES.contains(&name.as_str())) {
            return Err(unknown(name));
        }
        let action = fields.get("event_action").map_or(Ok(Action::Trigger), action)?;
        let dedup_key = fields.get("dedup_key").map(dedup_key).transpose()?;
        if action != Action::Trigger && dedup_key.is_none() {
            return Err(format!("`{}` needs the `dedup_key` of the alert that is meant", action.name()));
        }
        let (mut payload, mut beside) = (Map::new(), Map::new());
        for (name, value) in fields {
            match name.as_str() {
                "event_action" | "dedup_key" => {}
                "links" | "images" | "client" | "client_url" => drop(beside.insert(name.clone(), value.clone())),
                "summary" => drop(payload.insert(name.clone(), json!(summary(text(name, value)?)))),
                // What an empty text says, the settings say better.
                name if TEXTS.contains(&name) && value.as_str().is_some_and(|text| text.trim().is_empty()) => {}
                name if TEXTS.contains(&name) => {
                    let value = value
                        .as_str()
                        .map_or_else(|| value.clone(), |text| json!(wording::one_line(text, MOST_SUMMARY)));
                    payload.insert(name.to_owned(), value);
                }
                _ => drop(payload.insert(name.clone(), value.clone())),
            }
        }
        let alert = Self { action, dedup_key, payload: Value::Object(payload), beside };
        if (action == Action::Trigger || alert.has_payload()) && alert.payload.get("summary").is_none() {
            return Err("`summary` is missing: what is the alert about?".to_owned());
        }
        alert.check()?;
        Ok(alert)
    }

    pub(super) fn has_payload(&self) -> bool {
        self.payload.as_object().is_some_and(|payload| !payload.is_empty())
    }

    fn check(&self) -> Result<(), String> {
        for (name, value) in self.payload.as_object().into_iter().flatten() {
            match name.as_str() {
                "severity" => severity(value)?,
                "custom_details" if !value.is_object() => return Err("`custom_details` is a map".to_owned()),
                name if TEXTS.contains(&name) => drop(text(name, value)?),
                _ => {}
            }
        }
        for (name, value) in &self.beside {
            match name.as_str() {
                "links" => list(name, value, "href")?,
                "images" => list(name, value, "src")?,
                _ => drop(text(name, value)?),
            }
        }
        Ok(())
    }
}

fn unknown(name: &str) -> String {
    match name {
        "routing_key" => "`routing_key` is a secret of the connector: it is set in gateway.toml".to_owned(),
        "payload" => "write what is in `payload` without it, beside `event_action`".to_owned(),
        _ => match nearest(name, NAMES) {
            Some(near) => format!("there is no `{name}`, did you mean `{near}`?"),
            None => format!("there is no `{name}`; what belongs to nothing else goes into `custom_details`"),
        },
    }
}

fn text<'v>(name: &str, value: &'v Value) -> Result<&'v str, String> {
    let text = value.as_str().filter(|text| !text.trim().is_empty());
    text.ok_or_else(|| format!("`{name}` is a text, and not an empty one"))
}

fn action(value: &Value) -> Result<Action, String> {
    let found = Action::ALL.into_iter().find(|action| value == action.name());
    found.ok_or_else(|| wrong_word("event_action", value, &Action::ALL.map(Action::name)))
}

fn severity(value: &Value) -> Result<(), String> {
    match Severity::deserialize(value) {
        Ok(_) => Ok(()),
        Err(_) => Err(wrong_word("severity", value, &SEVERITIES)),
    }
}

/// What the word may be. Not what it is: that may be about a person, and this goes to the log.
fn wrong_word(name: &str, value: &Value, words: &[&str]) -> String {
    let all = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let written = value.as_str().unwrap_or_default().trim().to_lowercase();
    let near = nearest(&written, words.iter().copied()).map(|near| format!("; did you mean `{near}`?"));
    format!("`{name}` is one of {all}{}", near.unwrap_or_default())
}

fn dedup_key(value: &Value) -> Result<String, String> {
    Ok(command::bounded(text("dedup_key", value)?, MOST_DEDUP_KEY))
}

/// A list of maps that have this name.
fn list(name: &str, value: &Value, wanted: &str) -> Result<(), String> {
    let good = |item: &Value| item.get(wanted).is_some_and(Value::is_string);
    match value.as_array().is_some_and(|items| items.iter().all(good)) {
        true => Ok(()),
        false => Err(format!("`{name}` is a list of maps, each with a `{wanted}`")),
    }
}

fn summary(text: &str) -> String {
    wording::one_line(text, MOST_SUMMARY)
}
