//! Commands, actions and lookups in words.

use maud::{Markup, html};
use serde_json::Value;

use crate::admin::viewer::parts;
use hookgate_model::decision::{ActionLine, LookupLine, Record};

/// What commands do, where their name alone does not say it. Others are read as they are written: `link_user`, link user.
const COMMANDS: &[(&str, &str)] = &[
    ("allow", "Allow"),
    ("deny", "Deny, and say"),
    ("deny_field", "Deny because of a field, and say"),
    ("refuse", "Refuse, and say"),
    ("fail", "Report a failure"),
    ("verified", "Accept the password"),
    ("unverified", "Reject the password"),
    ("set_profile", "Set in the profile"),
    ("set_app_profile", "Set in the profile of the app"),
    ("create_user", "Create the user"),
    ("link_user", "Link to the user"),
    ("block", "Block the message"),
    ("sent", "Say that the message was sent"),
    ("pending", "Say that the message is on its way"),
    ("send", "Send the message"),
];

/// What a script is asked about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// A call, which somebody waits for.
    Call,
    /// An event, which has happened.
    Rule,
}

impl Scope {
    pub(super) fn of(record: &Record) -> Self {
        if record.rule.is_some() { Self::Rule } else { Self::Call }
    }
}

/// What a script returned, as a list; `None` if that is not known.
pub(super) fn commands(commands: Option<&[Value]>, scope: Scope) -> Markup {
    match commands {
        None => html! { p.dim { "Not known: the script gave no answer." } },
        Some([]) if scope == Scope::Rule => html! {},
        Some([]) => html! { p.dim { "None: everything stays as it is." } },
        Some(commands) => html! { ol.steps { @for one in commands { li { (command(one)) } } } },
    }
}

fn command(command: &Value) -> Markup {
    match command {
        Value::String(name) => html! { (named(name)) },
        Value::Object(members) => html! {
            @for (name, arguments) in members { (named(name)) @if !is_empty(arguments) { " " (argument(arguments)) } " " }
        },
        other => argument(other),
    }
}

fn named(name: &str) -> Markup {
    let words = COMMANDS.iter().find(|(known, _)| *known == name).map(|(_, words)| (*words).to_owned());
    let words = words.unwrap_or_else(|| {
        let plain = name.replace(['_', '.'], " ");
        let mut letters = plain.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
    });
    html! { strong { (parts::text(&words)) } }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.values().all(is_empty),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn argument(value: &Value) -> Markup {
    match value {
        Value::Object(members) => html! {
            @for (index, (name, value)) in members.iter().filter(|(_, value)| !is_empty(value)).enumerate() {
                @if index > 0 { ", " }
                @if name != "text" { span.dim { (parts::text(&name.replace('_', " "))) } " " }
                (argument(value))
            }
        },
        Value::Array(items) => html! {
            @for (index, item) in items.iter().take(20).enumerate() { @if index > 0 { ", " } (argument(item)) }
            @if items.len() > 20 { " and " (items.len() - 20) " more" }
        },
        // What stands for a value that is not kept.
        Value::String(text) if text.starts_with('(') && text.ends_with(')') => {
            html! { span.dim { (parts::text(text)) } }
        }
        Value::String(text) => html! { "“" (parts::long(text)) "”" },
        plain => html! { code { (plain.to_string()) } },
    }
}

pub(super) fn actions(actions: &[ActionLine], scope: Scope) -> Markup {
    html! {
        @if actions.is_empty() && scope == Scope::Rule { p.dim { "No action." } }
        @if !actions.is_empty() {
            h3 { "Actions" }
            ol.steps { @for action in actions {
                li { strong { (parts::text(&action.name.replace('_', " "))) } " through " (parts::text(&action.connector)) }
            } }
        }
    }
}

pub(super) fn lookups(lookups: &[LookupLine]) -> Markup {
    html! {
        @if !lookups.is_empty() {
            h3 { "Lookups" }
            table {
                thead { tr { th { "Connector" } th { "Answer" } th.num { "Took" } } }
                tbody { @for lookup in lookups {
                    tr {
                        td { (parts::text(&lookup.connector)) " " span.dim { (parts::text(&lookup.family)) } }
                        td { (parts::badge(&lookup.outcome)) }
                        td.num { (parts::span(lookup.took_us)) }
                    }
                } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn commands_are_told_in_words() {
        let plain = |value: Value| {
            let page = command(&value).into_string();
            let mut out = String::new();
            let mut inside = false;
            for letter in page.chars() {
                match letter {
                    '<' => inside = true,
                    '>' => inside = false,
                    other if !inside => out.push(other),
                    _ => {}
                }
            }
            out.trim().to_owned()
        };
        assert_eq!(plain(json!("allow")), "Allow");
        assert_eq!(plain(json!({"deny": {"text": "not here", "field": null}})), "Deny, and say “not here”");
        assert_eq!(
            plain(json!({"add_claim": {"name": "team", "value": "(text)"}})),
            "Add claim name “team”, value (text)"
        );
        assert_eq!(plain(json!({"set_profile": {"title": "(text)"}})), "Set in the profile title (text)");
        assert_eq!(plain(json!({"deny": {"text": "<b>"}})), "Deny, and say “&lt;b&gt;”");
    }
}
