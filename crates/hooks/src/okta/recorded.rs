//! What the record of a decision says of Okta's calls: what its inline hooks have in common (contract, section 4).

use serde_json::Value;

use crate::recorded::{Path, subject_at};
use hookgate_model::decision::Subject;

/// Members of every call that hold nothing of a person but an address.
pub(super) const ENVELOPE: &[Path] = &[
    &["eventId"],
    &["eventTime"],
    &["eventType"],
    &["eventTypeVersion"],
    &["contentType"],
    &["cloudEventVersion"],
    &["source"],
    &["requestType"],
    &["data", "context", "request", "id"],
    &["data", "context", "request", "method"],
    &["data", "context", "request", "url"],
    &["data", "context", "request", "ipAddress"],
];

/// The id of a session, which was good for a cookie once.
pub(super) const SESSION_ID: Path = &["data", "context", "session", "id"];

/// `data.context.user`, or who is signed in.
pub(super) fn user(body: &Value) -> Subject {
    subject_at(
        body,
        &["/data/context/user/id", "/data/context/session/userId"],
        &["/data/context/user/profile/login", "/data/context/session/login"],
    )
}

/// Whether a reply holds an error object.
pub(super) fn is_error(value: &Value) -> bool {
    value.get("error").is_some()
}

/// Whether a reply holds commands that change something.
pub(super) fn changes(value: &Value) -> bool {
    let mut commands = value["commands"].as_array().into_iter().flatten();
    commands.any(|command| command["value"].as_array().is_none_or(|operations| !operations.is_empty()))
}
