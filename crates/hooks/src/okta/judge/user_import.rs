//! Replies to the import hook (contract: inline hooks, section 10).

use serde_json::{Value, json};

use crate::okta::judge::profiles;
use crate::okta::judge::profiles::Owner;
use crate::okta::judge::{Body, Command, Rules};
use crate::okta::user_import::{ACTION, APP_PROFILE, PROFILE, USER, is_user_id};

pub(in crate::okta) const RULES: Rules = Rules {
    takes_204: true,
    takes_error: true,
    minds_null: false,
    commands: &[ACTION, USER, PROFILE, APP_PROFILE],
    check,
    effect,
    failed: |_, failure| format!("Okta goes on and creates the user, {}", failure.because()),
};

fn check(_: &Value, reply: &Body<'_>, wrong: &mut Vec<String>) {
    let known = [json!({ "result": "CREATE_USER" }), json!({ "result": "LINK_USER" })];
    let (mut decisions, mut users) = (Vec::new(), 0);
    for command in &reply.commands {
        match command.kind {
            ACTION if known.contains(command.value) => decisions.push(command.value["result"].as_str()),
            ACTION => {
                wrong.push(format!("the value of `{ACTION}` must be {{\"result\": \"CREATE_USER\"}} or \"LINK_USER\""))
            }
            USER => {
                users += 1;
                if !command.value["id"].as_str().is_some_and(is_user_id) {
                    wrong.push(format!("`{USER}` needs the `id` of an Okta user (`00u…`)"));
                }
            }
            APP_PROFILE => profiles::check(Owner::App, *command, wrong),
            _ => profiles::check(Owner::User, *command, wrong),
        }
    }
    if decisions.len() > 1 {
        wrong.push("Okta can do one thing with a user: there is more than one decision".into());
    }
    let links = decisions.contains(&Some("LINK_USER"));
    match (links, users) {
        (true, 1) | (false, 0) => {}
        (true, 0) => wrong.push(format!("`LINK_USER` needs `{USER}` beside it: whom to link")),
        (false, _) => wrong.push(format!("`{USER}` needs the decision `LINK_USER` beside it")),
        (true, _) => wrong.push("a user can be linked to one Okta user".into()),
    }
}

fn effect(_: &Value, reply: &Body<'_>) -> String {
    if let Some(error) = reply.error {
        let text = error.get("errorSummary").and_then(Value::as_str).unwrap_or_default();
        return format!("Okta records \"{text}\" in its System Log and goes on with what it was going to do");
    }
    let changes: Vec<String> = reply.commands.iter().filter_map(change).collect();
    if changes.is_empty() {
        return "Okta does what it was going to do".into();
    }
    format!("Okta {}", changes.join(", "))
}

/// What one command does, in words.
fn change(command: &Command<'_>) -> Option<String> {
    let names = || profiles::names(command).join(", ");
    match command.kind {
        ACTION if command.value["result"] == "CREATE_USER" => Some("creates a user".into()),
        USER => Some(format!("links the imported user to {}", command.value["id"].as_str()?)),
        PROFILE => Some(format!("sets {} of the Okta user", names())),
        APP_PROFILE => Some(format!("sets {} of the app's user", names())),
        _ => None,
    }
}
