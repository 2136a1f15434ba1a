//! What a form is called, for people.

use crate::parameters::{Form, Range};

impl Form {
    /// For a sentence that says what a value must be: `a whole number, 1 or more`.
    pub(crate) fn wanted(&self) -> String {
        match self {
            Self::Any => "a value".to_owned(),
            Self::Text(None) => "a text".to_owned(),
            Self::Text(Some(pattern)) => format!("a text that matches `{}`", pattern.written),
            Self::Secret => "a secret: a text, or `{ env = \"NAME\" }`".to_owned(),
            Self::Int(range) => format!("a whole number{}", bounds(*range)),
            Self::Float(range) => format!("a number{}", bounds(*range)),
            Self::Bool => "true or false".to_owned(),
            Self::Duration(None) => "a length of time such as \"10m\"".to_owned(),
            Self::Duration(Some(longest)) => format!("a length of time such as \"10m\", {longest} at most"),
            Self::Rate => "a rate such as \"5/10m\"".to_owned(),
            Self::Domain => "\"example.com\", \"*.example.com\" or \"ann@example.com\"".to_owned(),
            Self::Country => "a country: two letters such as \"US\"".to_owned(),
            Self::Event => "a type of event such as \"user.session.start\" or \"user.session.*\"".to_owned(),
            Self::Word(words) => alternatives(words),
            Self::Connector(_) => "the name of a connector".to_owned(),
            Self::Table => "the name of a table".to_owned(),
            Self::Either(words, form) => format!("{} or {}", quoted(words).join(", "), form.wanted()),
            Self::List(list) => format!("a list of {}", list.items.many()),
            Self::Map(..) | Self::Members(_) => "a table".to_owned(),
        }
    }

    fn many(&self) -> String {
        match self {
            Self::Text(_) => "texts".to_owned(),
            Self::Any => "values".to_owned(),
            Self::Secret => "secrets".to_owned(),
            Self::Int(_) => "whole numbers".to_owned(),
            Self::Float(_) => "numbers".to_owned(),
            Self::Domain => "domains".to_owned(),
            Self::Country => "countries".to_owned(),
            Self::Event => "types of events".to_owned(),
            Self::Word(words) => format!("words, each {}", alternatives(words)),
            Self::Connector(_) => "connectors".to_owned(),
            Self::Table => "names of tables".to_owned(),
            Self::Duration(_) => "lengths of time".to_owned(),
            Self::Rate => "rates".to_owned(),
            Self::Map(..) | Self::Members(_) => "tables".to_owned(),
            Self::List(_) => "lists".to_owned(),
            Self::Bool | Self::Either(..) => format!("values, each {}", self.wanted()),
        }
    }

    /// For a column of a table.
    pub fn label(&self) -> String {
        match self {
            Self::Secret => "secret".to_owned(),
            Self::Int(range) => format!("whole number{}", bounds(*range)),
            Self::Float(range) => format!("number{}", bounds(*range)),
            Self::Bool => "`true` or `false`".to_owned(),
            Self::Text(_) => "text".to_owned(),
            Self::Any => "any value".to_owned(),
            Self::Duration(None) => "length of time".to_owned(),
            Self::Duration(Some(longest)) => format!("length of time, `{longest}` at most"),
            Self::Rate => "rate".to_owned(),
            Self::Domain => "domain".to_owned(),
            Self::Country => "country".to_owned(),
            Self::Event => "type of event".to_owned(),
            Self::Word(words) => in_code(words),
            Self::Connector(None) => "connector".to_owned(),
            Self::Connector(Some(function)) => format!("connector for `{function}`"),
            Self::Table => "name of a table".to_owned(),
            Self::Either(words, form) => format!("{} or {}", in_code(words), form.label()),
            Self::List(list) => match &list.items {
                Self::Word(words) => format!("list of {}", in_code(words)),
                Self::Connector(Some(function)) => format!("list of connectors for `{function}`"),
                items => format!("list of {}", items.many()),
            },
            Self::Map(_, values) => match &**values {
                Self::Any => "table".to_owned(),
                values => format!("table of {}", values.many()),
            },
            Self::Members(_) => "table".to_owned(),
        }
    }
}

fn bounds(range: Range) -> String {
    match (range.min, range.max) {
        (Some(min), Some(max)) => format!(" from {min} to {max}"),
        (Some(min), None) => format!(", {min} or more"),
        (None, Some(max)) => format!(", {max} at most"),
        (None, None) => String::new(),
    }
}

fn quoted(words: &[String]) -> Vec<String> {
    words.iter().map(|word| format!("\"{word}\"")).collect()
}

fn in_code(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
    words.join(", ")
}

/// `"a", "b" or "c"`
pub(super) fn alternatives(words: &[String]) -> String {
    let quoted = quoted(words);
    match quoted.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => quoted.join(""),
    }
}
