//! What the record of a decision says of a sign-in with an old password.

use crate::Reply;
use crate::okta::recorded;
use crate::recorded::{RecordedParts, subject_at};

pub(super) const RECORDED: RecordedParts = RecordedParts {
    subject: |body| subject_at(body, &[], &["/data/context/credential/username"]),
    outcome,
    outcomes: &[
        ("verified", "the password was right, and Okta keeps it"),
        ("unverified", "the password was wrong, or nobody could tell"),
    ],
    captured: &[recorded::ENVELOPE, &[&["data", "context", "credential", "username"], &["data", "action"]]],
    secret: &[&["data", "context", "credential", "password"]],
};

fn outcome(reply: &Reply) -> &'static str {
    if reply.value()["commands"][0]["value"]["credential"] == "VERIFIED" { "verified" } else { "unverified" }
}
