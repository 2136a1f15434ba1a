//! What the record of a decision says of an assertion.

use serde_json::Value;

use crate::Reply;
use crate::okta::recorded;
use crate::recorded::RecordedParts;
use hookgate_model::decision::Subject;

pub(super) const RECORDED: RecordedParts = RecordedParts {
    subject,
    outcome,
    outcomes: &[
        ("unchanged", "the assertion was sent as it was"),
        ("changed", "the assertion was changed"),
        ("denied", "no assertion was sent: the script refused"),
    ],
    captured: &[
        recorded::ENVELOPE,
        &[
            &["data", "context", "user"],
            &["data", "context", "session"],
            &["data", "context", "protocol", "type"],
            &["data", "context", "protocol", "issuer"],
            &["data", "assertion", "subject"],
            &["data", "assertion", "authentication", "authnContext"],
            &["data", "assertion", "conditions"],
            &["data", "assertion", "claims"],
            &["data", "assertion", "lifetime"],
        ],
    ],
    secret: &[recorded::SESSION_ID],
};

fn subject(body: &Value) -> Subject {
    let mut subject = recorded::user(body);
    if subject.login.is_none() {
        subject.login = body.pointer("/data/assertion/subject/nameId").and_then(Value::as_str).map(str::to_owned);
    }
    subject
}

fn outcome(reply: &Reply) -> &'static str {
    let value = reply.value();
    match recorded::is_error(&value) {
        true => "denied",
        false if recorded::changes(&value) => "changed",
        false => "unchanged",
    }
}
