//! What the record of a decision says of an event. Events are kept whole anyway, so nothing of them is captured.

use serde_json::Value;

use crate::recorded::{RecordedParts, subject_at};
use hookgate_model::decision::Subject;

pub(super) const RECORDED: RecordedParts = RecordedParts { subject, ..RecordedParts::NONE };

/// The user that it was done to; else who did it. The body is the event alone.
fn subject(event: &Value) -> Subject {
    let targets = event["target"].as_array().into_iter().flatten();
    let user = targets.into_iter().find(|target| target["type"] == "User").unwrap_or(&event["actor"]);
    subject_at(user, &["/id"], &["/alternateId"])
}
