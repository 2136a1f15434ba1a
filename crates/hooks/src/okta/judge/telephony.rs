//! Replies to the telephony hook (contract: inline hooks, section 11).

use serde_json::Value;

use crate::okta::judge::{Body, Failed, Rules};
use crate::okta::telephony::OURSELVES;

pub(in crate::okta) const ACTION: &str = "com.okta.telephony.action";

pub(in crate::okta) const RULES: Rules =
    Rules { takes_204: false, takes_error: true, minds_null: false, commands: &[ACTION], check, effect, failed };

const STATUSES: [&str; 3] = ["SUCCESSFUL", "PENDING", "FAILED"];

fn check(_: &Value, reply: &Body<'_>, wrong: &mut Vec<String>) {
    if reply.error.is_none() && reply.commands.is_empty() {
        wrong.push(format!("there is neither `{ACTION}` nor `error`: this hook has no answer that says nothing"));
    }
    if reply.commands.len() > 1 {
        wrong.push("a message has one verdict, and there is more than one command".into());
    }
    for command in &reply.commands {
        let deliveries = command.value.as_array().map_or(&[][..], Vec::as_slice);
        if deliveries.is_empty() {
            wrong.push(format!("the value of `{ACTION}` is empty"));
        }
        for delivery in deliveries {
            check_delivery(delivery, wrong);
        }
    }
}

fn check_delivery(delivery: &Value, wrong: &mut Vec<String>) {
    if !delivery.is_object() {
        return wrong.push(format!("the value of `{ACTION}` must hold objects"));
    }
    if !delivery["status"].as_str().is_some_and(|status| STATUSES.contains(&status)) {
        wrong.push(format!("the `status` must be {}", STATUSES.join(", ")));
    }
    for name in ["provider", "transactionId", "transactionMetadata"] {
        if !(delivery[name].is_null() || delivery[name].is_string()) {
            wrong.push(format!("`{name}` must be a text"));
        }
    }
}

fn effect(_: &Value, reply: &Body<'_>) -> String {
    if reply.error.is_some() {
        return "Okta sends the code through its own providers".into();
    }
    let Some(delivery) = reply.commands.first().map(|command| &command.value[0]) else {
        return failed(&Value::Null, Failed::Unusable);
    };
    match delivery["status"].as_str() {
        Some("SUCCESSFUL") if delivery["provider"] == OURSELVES => {
            "Nobody sends the code; Okta believes that it was sent".into()
        }
        Some("FAILED") => "Okta hears that the code was not sent; whether it sends it itself is not published".into(),
        _ => format!("Okta waits for the code that {} delivers", delivery["provider"].as_str().unwrap_or("somebody")),
    }
}

fn failed(_: &Value, failure: Failed) -> String {
    match failure {
        // Okta's sources disagree (contract, section 14).
        Failed::Unusable => {
            "Okta cannot use the reply: it may send the code through its own providers, so that a user who was \
                             sent one gets two messages, or nobody sends it"
                .into()
        }
        failure => format!("Okta sends the code through its own providers, {}", failure.because()),
    }
}
