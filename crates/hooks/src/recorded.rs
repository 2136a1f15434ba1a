//! What a hook lets the record of a decision say: whom it was about, how it ended in a word, and what of a call may be captured.

use serde_json::Value;

use crate::Reply;
use hookgate_model::decision::Subject;

/// A path of member names; `*` stands for every item of an array.
pub(crate) type Path = &'static [&'static str];

/// What of a hook's calls is recorded. Everything else of a call is not.
#[derive(Clone, Copy, Debug)]
pub struct RecordedParts {
    /// The person, from the body of a call.
    pub subject: fn(&Value) -> Subject,
    /// How a reply that the script gave ends: one of [`RecordedParts::outcomes`].
    pub outcome: fn(&Reply) -> &'static str,
    /// The words, with what each means.
    pub outcomes: &'static [(&'static str, &'static str)],
    /// What may be captured: everything below these paths, but for names that look like those of secrets.
    pub captured: &'static [&'static [Path]],
    /// What may not, even so.
    pub secret: &'static [Path],
}

impl RecordedParts {
    /// Nothing but its name and ids.
    pub(crate) const NONE: Self =
        Self { subject: |_| Subject::default(), outcome: |_| "answered", outcomes: &[], captured: &[], secret: &[] };
}

/// The person at the first of these places (JSON Pointers) that there are: id, and login or address.
pub(crate) fn subject_at(body: &Value, ids: &[&str], logins: &[&str]) -> Subject {
    let first = |places: &[&str]| {
        let mut found = places.iter().filter_map(|place| match body.pointer(place)? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        });
        found.next()
    };
    Subject { id: first(ids), login: first(logins) }
}
