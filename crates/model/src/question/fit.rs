//! Whether a question is the one that a test states, and if it is not, in which parts they differ.

use serde_json::Value;
use url::form_urlencoded;

use crate::question::{Ask, Question};

/// A question as a test states it.
#[derive(Clone, Debug)]
pub struct Stated {
    /// Of any family, if none.
    pub family: Option<&'static str>,
    pub connector: String,
    /// [`Question::words`]
    pub words: String,
    /// What goes with the words, if the test states it: the parameters of a statement; of a GET the query, of a POST the body,
    /// of a login some of its members, of a bind the password; the attributes of a search. `None` fits everything.
    pub sent: Option<Vec<Value>>,
}

/// A part of a question that is not as a test states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `path`, `query`, `body`, …
    pub part: &'static str,
    /// Both sides: `asked /people/8, stated /people/7`. Never a secret.
    pub detail: String,
}

impl Difference {
    fn new(part: &'static str, asked: impl std::fmt::Display, stated: impl std::fmt::Display) -> Self {
        Self { part, detail: format!("asked {asked}, stated {stated}") }
    }
}

impl Question {
    /// Whether this is the question that a test states.
    pub fn fits(&self, stated: &Stated) -> bool {
        self.is_of(stated) && self.connector == stated.connector && self.differences(stated).is_empty()
    }

    fn is_of(&self, stated: &Stated) -> bool {
        stated.family.is_none_or(|family| family == self.family())
    }

    /// How a stated question differs from this one, part by part; nothing if it is of another family.
    pub fn compared(&self, stated: &Stated) -> Option<Vec<Difference>> {
        self.is_of(stated).then(|| {
            let other = self.connector != stated.connector;
            let connector = other.then(|| Difference::new("connector", &self.connector, &stated.connector));
            connector.into_iter().chain(self.differences(stated)).collect()
        })
    }

    fn differences(&self, stated: &Stated) -> Vec<Difference> {
        let sent = stated.sent.as_deref();
        match &self.ask {
            Ask::Http { path, body } => http(path, body.as_ref(), stated),
            Ask::Verify(asked) => {
                let wrong = |members: &[Value]| asked.other_members(members.first().unwrap_or(&Value::Null));
                let wrong = sent.map(wrong).filter(|names| !names.is_empty());
                let members = wrong.map(|names| Difference { part: "members", detail: names.join(", ") });
                self.other_words("path", stated).into_iter().chain(members).collect()
            }
            Ask::Sql { parameters, .. } => {
                let other = sent.filter(|sent| !same(&Value::from(*sent), &Value::from(parameters.as_slice())));
                let list = |values: &[Value]| Value::from(values).to_string();
                let other = other.map(|sent| Difference::new("parameters", list(parameters), list(sent)));
                self.other_words("statement", stated).into_iter().chain(other).collect()
            }
            Ask::Bind { password, .. } => {
                let text = sent.map(|sent| sent.first().and_then(Value::as_str).unwrap_or_default());
                let wrong = text.is_some_and(|text| !password.matches(text.as_bytes()));
                let password = wrong.then(|| Difference { part: "password", detail: "another one".to_owned() });
                self.other_words("entry", stated).into_iter().chain(password).collect()
            }
            Ask::Search { attributes, .. } => {
                let asked = Value::from(attributes.as_slice());
                let other = sent.map(Value::from).filter(|stated| *stated != asked);
                let other = other.map(|stated| Difference::new("attributes", &asked, stated));
                self.other_words("filter", stated).into_iter().chain(other).collect()
            }
            Ask::Directory { .. } | Ask::Kv(_) => self.other_words("question", stated).into_iter().collect(),
        }
    }

    fn other_words(&self, part: &'static str, stated: &Stated) -> Option<Difference> {
        let words = self.words();
        (words != stated.words).then(|| Difference::new(part, format!("`{words}`"), format!("`{}`", stated.words)))
    }

    /// What went with the words, as [`Stated::sent`] states it and as it is shown to people: no secret is among it. Nothing if
    /// nothing went with them.
    pub fn sent(&self) -> Option<Value> {
        match &self.ask {
            Ask::Http { body, .. } => body.clone(),
            Ask::Sql { parameters, .. } if !parameters.is_empty() => Some(Value::from(parameters.as_slice())),
            Ask::Search { attributes, .. } if !attributes.is_empty() => Some(Value::from(attributes.as_slice())),
            _ => None,
        }
    }
}

/// Names and values of a query.
type Pairs = Vec<(String, String)>;

fn http(path: &str, body: Option<&Value>, stated: &Stated) -> Vec<Difference> {
    let asked = if body.is_some() { "POST" } else { "GET" };
    let (method, wanted) = stated.words.split_once(' ').unwrap_or((&stated.words, ""));
    let mut found = Vec::new();
    if method != asked {
        found.push(Difference::new("method", asked, method));
    }
    let ((path, query), (wanted, wanted_query)) = (parted(path), parted(wanted));
    if path != wanted {
        found.push(Difference::new("path", path, wanted));
    }
    let sent = stated.sent.as_ref().map(|sent| sent.first().unwrap_or(&Value::Null));
    let mut pairs = pairs_of(wanted_query);
    if let (Some(sent), "GET") = (sent, method) {
        // What does not go into a query was refused when the test stated it.
        pairs.extend(stated_pairs(sent).unwrap_or_default());
    }
    let (query, pairs) = (sorted(pairs_of(query)), sorted(pairs));
    if query != pairs {
        found.push(Difference::new("query", readable(&query), readable(&pairs)));
    }
    if let (Some(sent), "POST", Some(body)) = (sent, method, body)
        && let Some(detail) = first_difference("", body, sent)
    {
        found.push(Difference { part: "body", detail });
    }
    found
}

fn parted(path: &str) -> (&str, &str) {
    path.split_once('?').unwrap_or((path, ""))
}

fn pairs_of(query: &str) -> Pairs {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// By name; several values of one name keep their order.
fn sorted(mut pairs: Pairs) -> Pairs {
    pairs.sort_by(|left, right| left.0.cmp(&right.0));
    pairs
}

fn readable(pairs: &Pairs) -> String {
    let text = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    if text.is_empty() { "none".to_owned() } else { format!("`{text}`") }
}

/// A query as scripts give it to `get`: texts, numbers and truth values, several in an array, `()` for none.
///
/// # Errors
/// Something of it cannot stand in a query.
pub fn stated_pairs(query: &Value) -> Result<Pairs, String> {
    let members = query.as_object().ok_or("the query is a map of names and values")?;
    let mut pairs = Vec::new();
    for (name, value) in members {
        let values = match value {
            Value::Null => &[],
            Value::Array(items) => items.as_slice(),
            value => std::slice::from_ref(value),
        };
        for value in values {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                _ => return Err(format!("`{name}` of the query is no text, number or truth value")),
            };
            pairs.push((name.clone(), text));
        }
    }
    Ok(pairs)
}

fn same(asked: &Value, stated: &Value) -> bool {
    first_difference("", asked, stated).is_none()
}

/// The first place where two values differ, with both sides. 1 and 1.0 are equal, and so are `()` and an absent member.
fn first_difference(place: &str, asked: &Value, stated: &Value) -> Option<String> {
    let told = || {
        let place = if place.is_empty() { String::new() } else { format!("`{place}`: ") };
        Some(format!("{place}asked {}, stated {}", short(asked), short(stated)))
    };
    match (asked, stated) {
        (Value::Object(left), Value::Object(right)) => {
            let more = right.keys().filter(|name| !left.contains_key(*name));
            left.keys().chain(more).find_map(|name| {
                let inner = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
                let member = |members: &serde_json::Map<String, Value>| members.get(name).cloned().unwrap_or_default();
                first_difference(&inner, &member(left), &member(right))
            })
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            let mut pairs = left.iter().zip(right).enumerate();
            pairs.find_map(|(index, (left, right))| first_difference(&format!("{place}[{index}]"), left, right))
        }
        (left, right) if left == right => None,
        // Of two whole numbers, one is no rounding of the other.
        (Value::Number(left), Value::Number(right))
            if (left.is_f64() || right.is_f64()) && left.as_f64() == right.as_f64() =>
        {
            None
        }
        _ => told(),
    }
}

/// A value as JSON, at most 120 bytes of it.
pub fn short(value: &Value) -> String {
    const MOST: usize = 120;
    match value {
        Value::Null => "()".to_owned(),
        value => {
            let text = value.to_string();
            if text.len() <= MOST { text } else { format!("{}…", &text[..text.floor_char_boundary(MOST)]) }
        }
    }
}

#[cfg(test)]
mod tests;
