//! Commands that set a profile: the same in replies to registrations and imports.

use crate::okta::judge::Command;
use crate::okta::profile;

/// Whose profile a command sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The Okta user, whose attributes Okta's schema names.
    User,
    /// The user of an app, whose attributes the app names.
    App,
}

/// The attributes of one command.
pub(super) fn check(owner: Owner, command: Command<'_>, wrong: &mut Vec<String>) {
    let Some(attributes) = command.value.as_object() else { return };
    if attributes.is_empty() {
        wrong.push(format!("`{}` sets nothing", command.kind));
    }
    for (name, value) in attributes {
        if profile::is_password(name) && owner == Owner::User {
            wrong.push("a command cannot set the password".into());
            continue;
        }
        let good = match owner {
            Owner::User => profile::check_name(name).and_then(|()| profile::check_value(name, value)),
            Owner::App => profile::check_app_name(name).and_then(|()| profile::check_app_value(name, value)),
        };
        if let Err(problem) = good {
            wrong.push(problem);
        }
    }
}

/// The names that a command sets.
pub(super) fn names(command: &Command<'_>) -> Vec<String> {
    command.value.as_object().into_iter().flat_map(|map| map.keys().cloned()).collect()
}
