//! What the record of a decision says of an imported user.

use crate::Reply;
use crate::okta::recorded;
use crate::okta::user_import::{ACTION, USER};
use crate::recorded::{RecordedParts, subject_at};

pub(super) const RECORDED: RecordedParts = RecordedParts {
    subject: |body| {
        let logins = ["/data/user/profile/login", "/data/appUser/profile/userName", "/data/appUser/profile/email"];
        subject_at(body, &["/data/user/id"], &logins)
    },
    outcome,
    outcomes: &[
        ("created", "a new user is made"),
        ("linked", "the imported user belongs to one that was there"),
        ("changed", "attributes were set, and Okta does what it was going to do"),
        ("unchanged", "Okta does what it was going to do"),
        ("reported", "the script reported a mistake, which Okta writes into its log"),
    ],
    captured: &[
        recorded::ENVELOPE,
        &[
            &["data", "context", "conflicts"],
            &["data", "context", "application"],
            &["data", "context", "job"],
            &["data", "context", "matches"],
            &["data", "context", "policy"],
            &["data", "action"],
            &["data", "appUser", "profile"],
            &["data", "user", "profile"],
        ],
    ],
    secret: &[],
};

fn outcome(reply: &Reply) -> &'static str {
    let value = reply.value();
    if recorded::is_error(&value) {
        return "reported";
    }
    let types: Vec<&str> =
        value["commands"].as_array().into_iter().flatten().filter_map(|command| command["type"].as_str()).collect();
    match types {
        _ if types.contains(&USER) => "linked",
        _ if types.contains(&ACTION) => "created",
        _ if types.is_empty() => "unchanged",
        _ => "changed",
    }
}
