//! What the record of a decision says of a token.

use crate::Reply;
use crate::okta::recorded;
use crate::recorded::RecordedParts;

pub(super) const RECORDED: RecordedParts = RecordedParts {
    subject: recorded::user,
    outcome,
    outcomes: &[
        ("unchanged", "the tokens were issued as they were"),
        ("changed", "claims or lifetimes were changed"),
        ("denied", "no token was issued: the script refused"),
    ],
    captured: &[
        recorded::ENVELOPE,
        &[
            &["data", "context", "user"],
            &["data", "context", "session"],
            &["data", "context", "policy"],
            &["data", "context", "protocol", "type"],
            &["data", "context", "protocol", "client"],
            &["data", "context", "protocol", "issuer"],
            &["data", "context", "protocol", "request", "scope"],
            &["data", "context", "protocol", "request", "client_id"],
            &["data", "context", "protocol", "request", "grant_type"],
            &["data", "context", "protocol", "request", "response_type"],
            &["data", "context", "protocol", "request", "response_mode"],
            &["data", "context", "protocol", "request", "redirect_uri"],
            &["data", "identity", "claims"],
            &["data", "identity", "token"],
            &["data", "identity", "lifetime"],
            &["data", "access", "claims"],
            &["data", "access", "token"],
            &["data", "access", "lifetime"],
            &["data", "access", "scopes"],
        ],
    ],
    secret: &[recorded::SESSION_ID],
};

fn outcome(reply: &Reply) -> &'static str {
    let value = reply.value();
    match recorded::is_error(&value) {
        true => "denied",
        false if recorded::changes(&value) => "changed",
        false => "unchanged",
    }
}
