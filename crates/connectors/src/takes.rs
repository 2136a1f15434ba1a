//! Which actions a kind takes at all, by the names that scripts use: what `check` says before a script runs. What is in an action
//! is judged by [`Connector::check`](crate::Connector::check).

const ALL: &[&str] = &[
    "notify",
    "post",
    "put",
    "patch",
    "delete",
    "forward",
    "email",
    "clear_sessions",
    "suspend_user",
    "unsuspend_user",
    "deactivate_user",
    "add_to_group",
    "remove_from_group",
    "revoke_sign_in_sessions",
];

/// The actions that a connector of this kind takes; none for one that only answers questions or sends codes.
pub(crate) fn of(kind: &str) -> &'static [&'static str] {
    match kind {
        "http" => &["notify", "post", "put", "patch", "delete", "forward"],
        "webhook" => &["notify", "post", "forward"],
        "slack" | "teams" | "pagerduty" | "jira" | "servicenow" => &["notify"],
        "smtp" => &["notify", "email"],
        "splunk_hec" | "elastic" | "syslog" => &["notify", "forward"],
        "file" => ALL,
        "okta" => &[
            "clear_sessions",
            "suspend_user",
            "unsuspend_user",
            "deactivate_user",
            "add_to_group",
            "remove_from_group",
        ],
        "entra" => &["revoke_sign_in_sessions"],
        _ => &[],
    }
}

/// Why a connector of this kind does not take the action, for the author of a script; nothing if it does, or there is no such action.
pub fn problem(kind: &str, function: &str) -> Option<String> {
    let taken = of(kind);
    if taken.contains(&function) || !ALL.contains(&function) {
        return None;
    }
    Some(match taken {
        [] => format!("a connector of kind `{kind}` takes no actions"),
        taken => format!("a connector of kind `{kind}` takes `{}`", taken.join("`, `")),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::setup::{Secrets, Setup};
    use crate::tests::setup;
    use crate::{Connector, KINDS};
    use hookgate_model::command::{Account, Action, Mail, Method, Task, Verb};

    /// What every connector may have beside the settings of its kind.
    const COMMON: [&str; 9] =
        ["kind", "timeout_ms", "allow_private", "retry", "concurrent", "lookups", "cache", "guard", "proxy"];

    /// A connector as the first example on its page has it.
    fn example(kind: &crate::setup::Kind) -> Box<dyn Connector> {
        let text = kind.guide.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
        let all: Value = toml::from_str(text).unwrap_or_else(|error| panic!("{}: {error}", kind.name));
        let mut settings = all["connectors"].as_object().expect("connectors").values().next().expect("one").clone();
        let members = settings.as_object_mut().expect("a table");
        members.retain(|name, _| !COMMON.contains(&name.as_str()));
        let folder = tempfile::tempdir().expect("a folder");
        let owned = setup(folder.path(), &settings);
        let setup = Setup { secrets: Secrets::Skip, ..owned.setup() };
        (kind.make)(&setup).unwrap_or_else(|problems| panic!("{}: {problems:?}", kind.name))
    }

    fn tasks() -> Vec<(&'static str, Task)> {
        let request = |method| Task::Request { method, path: "/x".to_owned(), body: json!({}) };
        let mail = Mail {
            to: vec!["ann@example.com".to_owned()],
            subject: "s".to_owned(),
            text: "t".to_owned(),
            html: None,
            cc: vec![],
            reply_to: None,
        };
        let account = |verb, group: Option<&str>| {
            Task::Account(Account { verb, user: "ann@example.com".to_owned(), group: group.map(str::to_owned) })
        };
        vec![
            ("notify", Task::Notify { message: json!("text") }),
            ("post", request(Method::Post)),
            ("put", request(Method::Put)),
            ("patch", request(Method::Patch)),
            ("delete", request(Method::Delete)),
            ("forward", Task::Forward),
            ("email", Task::Email(mail)),
            ("clear_sessions", account(Verb::ClearSessions, None)),
            ("suspend_user", account(Verb::SuspendUser, None)),
            ("unsuspend_user", account(Verb::UnsuspendUser, None)),
            ("deactivate_user", account(Verb::DeactivateUser, None)),
            ("add_to_group", account(Verb::AddToGroup, Some("00g1"))),
            ("remove_from_group", account(Verb::RemoveFromGroup, Some("00g1"))),
            ("revoke_sign_in_sessions", account(Verb::RevokeSignInSessions, None)),
        ]
    }

    #[test]
    fn the_table_says_what_each_connector_says_itself() {
        assert_eq!(tasks().iter().map(|(name, _)| *name).collect::<Vec<_>>(), ALL);
        for kind in KINDS {
            let connector = example(kind);
            for (name, task) in tasks() {
                let taken = connector.check(&Action::new("x", task)).is_ok();
                assert_eq!(of(kind.name).contains(&name), taken, "{} {name}", kind.name);
                assert_eq!(problem(kind.name, name).is_none(), taken, "{} {name}", kind.name);
            }
            assert_eq!(problem(kind.name, "via"), None);
        }
    }
}
