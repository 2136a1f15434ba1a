//! What the record of a decision says of a registration.

use serde_json::Value;

use crate::Reply;
use crate::okta::recorded;
use crate::okta::registration::ACTION;
use crate::recorded::{RecordedParts, subject_at};
use hookgate_model::decision::Subject;

pub(super) const RECORDED: RecordedParts = RecordedParts {
    subject,
    outcome,
    outcomes: &[
        ("allowed", "the registration passed as it was"),
        ("changed", "it passed, and attributes were set"),
        ("denied", "it was denied"),
    ],
    captured: &[
        recorded::ENVELOPE,
        &[
            &["data", "context", "user"],
            &["data", "userProfile"],
            &["data", "userProfileUpdate"],
            &["data", "user", "profile"],
            &["data", "action"],
        ],
    ],
    secret: &[],
};

fn subject(body: &Value) -> Subject {
    let logins = [
        "/data/userProfile/login",
        "/data/userProfile/email",
        "/data/context/user/profile/login",
        "/data/user/profile/login",
        "/data/user/profile/email",
    ];
    subject_at(body, &["/data/context/user/id"], &logins)
}

fn outcome(reply: &Reply) -> &'static str {
    let value = reply.value();
    let commands = || value["commands"].as_array().into_iter().flatten();
    if recorded::is_error(&value) || commands().any(|command| command["value"]["registration"] == "DENY") {
        return "denied";
    }
    if commands().any(|command| command["type"] != ACTION) { "changed" } else { "allowed" }
}
