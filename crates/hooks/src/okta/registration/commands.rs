//! The constructors of the commands that a registration script can return, and what they refuse at once.

use rhai::{Dynamic, EvalAltResult, ImmutableString, Map};

use crate::okta::profile;
use crate::okta::registration::{Command, DEFAULT_REASON};
use crate::okta::reply::Members;
use hookgate_script::library::{Doc, Library};
use hookgate_script::prelude::json;

pub(super) fn register(library: &mut Library) {
    library
        .command(
            Doc::new(
                "allow() -> command",
                "Lets the registration pass. The same as returning nothing, but explicit.",
                "allow()",
            ),
            || Command::Allow,
        )
        .command(
            Doc::new(
                "deny(text: string) -> command",
                "Denies. The user reads Okta's general text; `text` goes to the System Log.",
                r#"deny("not from here")"#,
            ),
            |text: ImmutableString| denial(None, text, DEFAULT_REASON.into()),
        )
        .command(
            Doc::new(
                "deny_field(attribute: string, text: string) -> command",
                "Denies, and shows `text` at that field of the form.",
                r#"deny_field("email", "Please use your address at work.")"#,
            ),
            |field: ImmutableString, text: ImmutableString| denial(Some(field), text, DEFAULT_REASON.into()),
        )
        .command(
            Doc::new(
                "deny_field(attribute: string, text: string, reason: string) -> command",
                "The same with a reason code for the System Log.",
                r#"deny_field("email", "Please use another address.", "DISPOSABLE")"#,
            ),
            |field: ImmutableString, text: ImmutableString, reason: ImmutableString| denial(Some(field), text, reason),
        )
        .command(
            Doc::new(
                "set_profile(attribute: string, value: any) -> command",
                "Sets one attribute of the profile.",
                r#"[allow(), set_profile("userType", "partner")]"#,
            ),
            |attribute: ImmutableString, value: Dynamic| set_profile([(attribute.to_string(), value)]),
        )
        .command(
            Doc::new(
                "set_profile(attributes: map) -> command",
                "Sets several attributes, in alphabetical order.",
                r#"set_profile(#{ userType: "partner", department: "sales" })"#,
            ),
            |attributes: Map| set_profile(attributes.into_iter().map(|(name, value)| (name.to_string(), value))),
        );
}

fn denial(
    field: Option<ImmutableString>,
    text: ImmutableString,
    reason: ImmutableString,
) -> Result<Command, Box<EvalAltResult>> {
    if text.trim().is_empty() {
        return Err("a denial needs a text: without one nobody learns what to change".into());
    }
    match field.as_deref() {
        Some("") => return Err("`deny_field` needs the name of the attribute, such as \"email\"".into()),
        // Okta shows a text only at the field that it knows by this name.
        Some(field) => profile::check_name(field).map_err(|problem| format!("`deny_field`: {problem}"))?,
        None => {}
    }
    Ok(Command::Deny { field, text, reason })
}

fn set_profile(given: impl IntoIterator<Item = (String, Dynamic)>) -> Result<Command, Box<EvalAltResult>> {
    let mut attributes = Vec::new();
    for (name, value) in given {
        if name.is_empty() {
            return Err("`set_profile` needs the name of an attribute".into());
        }
        if profile::is_password(&name) {
            return Err("a registration hook cannot set the password: Okta would deny the registration".into());
        }
        profile::check_name(&name).map_err(|problem| format!("`set_profile`: {problem}"))?;
        let value = json::json_from_dynamic(&value).map_err(|problem| format!("`{name}` cannot be sent: {problem}"))?;
        profile::check_value(&name, &value).map_err(|problem| format!("`set_profile`: {problem}"))?;
        attributes.push((name, value));
    }
    if attributes.is_empty() {
        return Err("`set_profile` got an empty map".into());
    }
    Ok(Command::SetProfile(Members(attributes)))
}
