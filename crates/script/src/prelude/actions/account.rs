//! What is to change in the account of a person, at the provider or at another one. Whom an id belongs to, and whether it is
//! one, the provider says.

use rhai::Dynamic;
use serde_json::Value;

use crate::library::{Doc, Library};
use crate::prelude::Fallible;
use crate::prelude::actions::{Flaw, action, json_of, kind};
use hookgate_model::command::{Account, Action, Task, Verb};

/// The longest id or login.
const MAX_ID_BYTES: usize = 256;

fn of(verb: Verb, connector: &str, user: &Dynamic) -> Fallible<Action> {
    made(connector, verb, user, None)
}

fn with_group(verb: Verb, connector: &str, user: &Dynamic, group: &Dynamic) -> Fallible<Action> {
    made(connector, verb, user, Some(group))
}

fn made(connector: &str, verb: Verb, user: &Dynamic, group: Option<&Dynamic>) -> Fallible<Action> {
    let account = || {
        let user = id(user, "a user is an id or a login")?;
        let group = group.map(|group| id(group, "a group is an id")).transpose()?;
        Ok(Task::Account(Account { verb, user, group }))
    };
    action(connector, verb.name(), account())
}

fn id(value: &Dynamic, what: &str) -> Result<String, Flaw> {
    let text = match json_of(value)? {
        Value::String(text) => text,
        other => return Err(format!("{what}, as a text, not {}", kind(&other)).into()),
    };
    if text.trim().is_empty() {
        return Err(format!("{what}, and this one is empty").into());
    }
    if text.len() > MAX_ID_BYTES {
        let problem = format!("{what}, and this one is {} bytes long: {MAX_ID_BYTES} are the most", text.len());
        return Err(problem.into());
    }
    match text.chars().any(char::is_control) {
        true => Err(format!("{what}, and this one has letters that cannot be seen").into()),
        false => Ok(text),
    }
}

pub(super) fn register(library: &mut Library) {
    register_status(library);
    register_groups(library);
    library.command(
        Doc::new(
            "revoke_sign_in_sessions(connector: string, user: string) -> Action",
            "Asks Microsoft Entra to end the sessions of a user, by id or user principal name (kind `entra`). It is a request: browsers and refresh tokens follow within minutes, access tokens live on for an hour or more.",
            r#"revoke_sign_in_sessions("m365", "dora@corp.example")"#,
        ),
        |connector: &str, user: Dynamic| of(Verb::RevokeSignInSessions, connector, &user),
    );
}

fn register_status(library: &mut Library) {
    library
        .command(
            Doc::new(
                "clear_sessions(connector: string, user: string) -> Action",
                "Ends the sessions of a user at the identity provider, by id or login, revokes its OAuth tokens, and forgets its devices.",
                r#"clear_sessions("org", "00u7")"#,
            ),
            |connector: &str, user: Dynamic| of(Verb::ClearSessions, connector, &user),
        )
        .command(
            Doc::new(
                "suspend_user(connector: string, user: string) -> Action",
                "Suspends a user at the identity provider, by id or login, until `unsuspend_user`.",
                r#"suspend_user("org", "00u7").once("suspend:00u7", "1h")"#,
            ),
            |connector: &str, user: Dynamic| of(Verb::SuspendUser, connector, &user),
        )
        .command(
            Doc::new(
                "unsuspend_user(connector: string, user: string) -> Action",
                "Takes back the suspension of a user.",
                r#"unsuspend_user("org", "dora@corp.example")"#,
            ),
            |connector: &str, user: Dynamic| of(Verb::UnsuspendUser, connector, &user),
        )
        .command(
            Doc::new(
                "deactivate_user(connector: string, user: string) -> Action",
                "Deactivates a user at the identity provider, which takes away its applications. That cannot simply be taken back.",
                r#"deactivate_user("org", "00u7").after("7d")"#,
            ),
            |connector: &str, user: Dynamic| of(Verb::DeactivateUser, connector, &user),
        );
}

fn register_groups(library: &mut Library) {
    library
        .command(
            Doc::new(
                "add_to_group(connector: string, user: string, group: string) -> Action",
                "Adds a user to a group at the identity provider, both by id.",
                r#"add_to_group("org", "00u7", "00g1")"#,
            ),
            |connector: &str, user: Dynamic, group: Dynamic| with_group(Verb::AddToGroup, connector, &user, &group),
        )
        .command(
            Doc::new(
                "remove_from_group(connector: string, user: string, group: string) -> Action",
                "Removes a user from a group at the identity provider, both by id.",
                r#"remove_from_group("org", "00u7", "00g1")"#,
            ),
            |connector: &str, user: Dynamic, group: Dynamic| {
                with_group(Verb::RemoveFromGroup, connector, &user, &group)
            },
        );
}
