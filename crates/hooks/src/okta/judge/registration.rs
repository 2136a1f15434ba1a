//! Replies to the registration hook (contract: inline hooks, section 8).

use serde_json::{Map, Value, json};

use crate::okta::judge::profiles;
use crate::okta::judge::profiles::Owner;
use crate::okta::judge::{Body, Failed, Rules};
use crate::okta::registration::{ACTION, PROFILE, PROGRESSIVE_PROFILE};

pub(in crate::okta) const RULES: Rules = Rules {
    takes_204: true,
    takes_error: true,
    minds_null: true,
    commands: &[ACTION, PROFILE, PROGRESSIVE_PROFILE],
    check,
    effect,
    failed,
};

/// A progressive call carries changes and no profile.
fn is_progressive(call: &Value) -> bool {
    call.pointer("/data/userProfileUpdate").is_some_and(Value::is_object)
        && !call.pointer("/data/userProfile").is_some_and(Value::is_object)
}

fn check(call: &Value, reply: &Body<'_>, wrong: &mut Vec<String>) {
    let other = match is_progressive(call) {
        _ if call.is_null() => None,
        true => Some((PROFILE, PROGRESSIVE_PROFILE)),
        false => Some((PROGRESSIVE_PROFILE, PROFILE)),
    };
    for command in &reply.commands {
        match command.kind {
            ACTION => {
                let known = [json!({ "registration": "ALLOW" }), json!({ "registration": "DENY" })];
                if !known.contains(command.value) {
                    wrong.push(format!("the value of `{ACTION}` must be {{\"registration\": \"ALLOW\"}} or \"DENY\""));
                }
            }
            kind => {
                if let Some((found, wanted)) = other.filter(|(found, _)| *found == kind) {
                    wrong.push(format!("`{found}` does not belong to this kind of call; `{wanted}` does"));
                }
                profiles::check(Owner::User, *command, wrong);
            }
        }
    }
}

fn effect(call: &Value, reply: &Body<'_>) -> String {
    if let Some(error) = reply.error {
        return refused(call, error);
    }
    if reply.commands.iter().any(|command| command.value["registration"] == "DENY") {
        let text = if is_progressive(call) { "Profile update denied." } else { "Registration denied." };
        return format!("Okta denies; the user reads \"{text}\"");
    }
    let set: Vec<String> =
        reply.commands.iter().filter(|command| command.kind != ACTION).flat_map(profiles::names).collect();
    let what = if is_progressive(call) { "profile update" } else { "registration" };
    match set.is_empty() {
        true => format!("Okta lets the {what} pass, unchanged"),
        false => format!("Okta lets the {what} pass and sets {}", set.join(", ")),
    }
}

/// Okta's sources disagree on an error that names no field: a general text, or the summary itself.
fn refused(call: &Value, error: &Map<String, Value>) -> String {
    const FIELDS: &str = "data.userProfile.";
    let causes = error.get("errorCauses").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let at_field = |cause: &Value| {
        let field = cause["location"].as_str()?.strip_prefix(FIELDS)?;
        Some(format!("\"{}\" at the field {field}", cause["errorSummary"].as_str().unwrap_or_default()))
    };
    let fields: Vec<String> = causes.iter().filter_map(at_field).collect();
    if !fields.is_empty() {
        return format!("Okta denies; the user reads {}", fields.join(" and "));
    }
    let general = match is_progressive(call) {
        true => "We found some errors. Please review the form and make corrections.",
        false => "Registration cannot be completed at this time.",
    };
    let nowhere = match causes.is_empty() {
        true => "",
        false => "; no cause names a field as `data.userProfile.NAME`, so none stands at a field",
    };
    let own = error.get("errorSummary").and_then(Value::as_str).filter(|text| !text.is_empty());
    let own = own.map(|text| format!(" (or, by another page of Okta's, \"{text}\")")).unwrap_or_default();
    format!("Okta denies; the user reads \"{general}\"{own}{nowhere}")
}

fn failed(call: &Value, failure: Failed) -> String {
    let because = failure.because();
    match is_progressive(call) {
        true => format!(
            "Okta denies the profile update, {because}; the user reads \"There was an error updating your profile. Please try \
             again later.\" or \"Your profile couldn't be updated at this time. Please try again later.\""
        ),
        false => format!(
            "Okta denies, {because}; the user reads \"There was an error creating your account. Please try registering again.\""
        ),
    }
}
