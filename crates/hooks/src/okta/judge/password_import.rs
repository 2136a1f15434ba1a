//! Replies to the password import hook (contract: inline hooks, section 9).

use serde_json::{Value, json};

use crate::okta::judge::{Body, Rules};

const ACTION: &str = "com.okta.action.update";

pub(in crate::okta) const RULES: Rules = Rules {
    takes_204: true,
    takes_error: false,
    minds_null: false,
    commands: &[ACTION],
    check,
    effect,
    failed: |_, failure| format!("Okta refuses the sign-in, {}; the next attempt asks again", failure.because()),
};

fn check(_: &Value, reply: &Body<'_>, wrong: &mut Vec<String>) {
    let known = [json!({ "credential": "VERIFIED" }), json!({ "credential": "UNVERIFIED" })];
    if reply.commands.iter().any(|command| !known.contains(command.value)) {
        wrong.push(format!("the value of `{ACTION}` must be {{\"credential\": \"VERIFIED\"}} or \"UNVERIFIED\""));
    }
    if reply.commands.len() > 1 {
        wrong.push("there is one command, the verdict".into());
    }
}

fn effect(_: &Value, reply: &Body<'_>) -> String {
    match reply.commands.iter().any(|command| command.value["credential"] == "VERIFIED") {
        true => "Okta signs the user in, stores the password and does not ask again".into(),
        false => "Okta refuses the sign-in: the password counts as wrong, and the next attempt asks again".into(),
    }
}
