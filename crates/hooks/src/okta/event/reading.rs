//! One event as JSON, as far as it can be read.
//!
//! An event that no JSON reader accepts is read without the faults of its text; if that is not enough, member by member, so
//! that one of them costs itself alone. What is left out is noted. The bytes as they were sent stay with the event.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::text;
use hookgate_model::question::digits;

/// So many notes are kept of one event.
const MOST_NOTES: usize = 20;

/// An event as it was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    /// `null` if nothing of it can be read.
    pub(super) value: Value,
    /// What keeps rules from reading it.
    pub(super) problem: Option<String>,
    /// What of it could not be read as it was sent: one sentence each, without a value.
    pub(super) notes: Vec<String>,
}

/// Reads an event.
pub(super) fn read(sent: &[u8]) -> Reading {
    match digits::read(sent) {
        Ok(value) => judged(value, Vec::new()),
        Err(error) => read_in_parts(sent, &error),
    }
}

fn judged(value: Value, mut notes: Vec<String>) -> Reading {
    let problem = match &value {
        Value::Object(members) if members.get("eventType").is_some_and(Value::is_string) => None,
        Value::Object(_) => Some("it has no `eventType`".to_owned()),
        _ => Some("it is not an object".to_owned()),
    };
    notes.truncate(MOST_NOTES);
    Reading { value, problem, notes }
}

fn read_in_parts(sent: &[u8], error: &serde_json::Error) -> Reading {
    let mended = text::mended(sent);
    let (text, mut notes) = match &mended {
        Some(mended) => (mended.text.as_str(), mended.notes.clone()),
        // What is no UTF-8 would have been replaced.
        None => (std::str::from_utf8(sent).unwrap_or_default(), Vec::new()),
    };
    if mended.is_some()
        && let Ok(value) = digits::read(text.as_bytes())
    {
        return judged(value, notes);
    }
    let (members, whole) = members(text);
    let mut value = Map::new();
    for (name, written) in members {
        let member = serde_json::from_str(written.get()).unwrap_or_else(|error| {
            notes.push(format!("one of its members cannot be read, and is left out: {error}"));
            Value::Null
        });
        value.insert(name.into_owned(), member);
    }
    if whole {
        return judged(Value::Object(value), notes);
    }
    notes.truncate(MOST_NOTES);
    let value = if value.is_empty() { Value::Null } else { Value::Object(value) };
    Reading { value, problem: Some(format!("it cannot be read: {error}")), notes }
}

/// The members of an object as they are written, up to where it is broken; and whether it is whole.
pub(super) fn members(text: &str) -> (Vec<(Cow<'_, str>, &RawValue)>, bool) {
    struct Collector<'c, 'de>(&'c mut Vec<(Cow<'de, str>, &'de RawValue)>);

    impl<'de> Visitor<'de> for Collector<'_, 'de> {
        type Value = ();

        fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
            formatter.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
            while let Some(member) = access.next_entry()? {
                self.0.push(member);
            }
            Ok(())
        }
    }

    let mut found = Vec::new();
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = reader.deserialize_map(Collector(&mut found)).and_then(|()| reader.end());
    (found, read.is_ok())
}
