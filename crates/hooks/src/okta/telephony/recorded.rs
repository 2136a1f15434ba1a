//! What the record of a decision says of a one-time code: never the code, nor the message that has it inside.

use crate::Reply;
use crate::okta::recorded;
use crate::okta::telephony::verdict::OURSELVES;
use crate::recorded::{RecordedParts, subject_at};

pub(super) const RECORDED: RecordedParts = RecordedParts {
    subject: |body| subject_at(body, &["/data/userProfile/userId"], &["/data/userProfile/login"]),
    outcome,
    outcomes: &[
        ("sent", "a provider took the message"),
        ("pending", "a provider may have taken the message"),
        ("left_to_okta", "Okta sends the code itself"),
        ("blocked", "nobody sends the code, and Okta believes that it was sent"),
    ],
    captured: &[
        recorded::ENVELOPE,
        &[
            &["data", "userProfile", "userId"],
            &["data", "userProfile", "login"],
            &["data", "userProfile", "firstName"],
            &["data", "userProfile", "lastName"],
            &["data", "messageProfile", "phoneNumber"],
            &["data", "messageProfile", "otpExpires"],
            &["data", "messageProfile", "deliveryChannel"],
            &["data", "messageProfile", "locale"],
            &["data", "messageProfile", "eventAction"],
        ],
    ],
    secret: &[&["data", "messageProfile", "otpCode"], &["data", "messageProfile", "msgTemplate"]],
};

fn outcome(reply: &Reply) -> &'static str {
    let value = reply.value();
    let delivery = &value["commands"][0]["value"][0];
    match delivery["status"].as_str() {
        _ if recorded::is_error(&value) => "left_to_okta",
        Some("SUCCESSFUL") if delivery["provider"] == OURSELVES => "blocked",
        Some("PENDING") => "pending",
        _ => "sent",
    }
}
