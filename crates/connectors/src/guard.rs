//! What keeps a mistake small: whose accounts are never touched through a connector, and how many actions that take something
//! away may go out in an hour. Says what an action is about; `delivery` asks before it goes out.

use percent_encoding::percent_decode_str;

use hookgate_model::command::{Action, Task};

/// The guard of a connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Ids and logins, in lower case.
    protect: Vec<String>,
    pub max_per_hour: u32,
    /// The connector that is told when it stops something.
    pub alert: Option<String>,
}

impl Guard {
    pub fn new(protect: &[String], max_per_hour: u32, alert: Option<String>) -> Self {
        Self { protect: protect.iter().map(|name| folded(name)).collect(), max_per_hour, alert }
    }

    /// Somebody is protected, so that it matters under which names an account is known.
    pub fn protects_some(&self) -> bool {
        !self.protect.is_empty()
    }

    /// Whether one of these names is protected. Case does not count, as it does not in logins.
    pub fn protects(&self, names: &[String]) -> bool {
        names.iter().any(|name| self.protect.contains(&folded(name)))
    }
}

/// Whom an action is about, as far as it says: the user of an account; of a request each part of its path and each value of its
/// query.
pub fn named(action: &Action) -> Vec<String> {
    match &action.task {
        Task::Account(account) => vec![account.user.clone()],
        Task::Request { path, .. } => {
            let (path, query) = path.split_once('?').unwrap_or((path, ""));
            let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            let values = url::form_urlencoded::parse(query.as_bytes()).map(|(_, value)| value.into_owned());
            path.split('/').map(decoded).chain(values).collect()
        }
        Task::Notify { .. } | Task::Forward | Task::Email(_) | Task::Impossible { .. } => Vec::new(),
    }
}

fn folded(name: &str) -> String {
    name.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use hookgate_model::command::{Account, Method, Verb};

    #[test]
    fn a_protected_account_is_found_however_it_is_written() {
        let guard = Guard::new(&["00uBreak".to_owned(), "Root@Example.com".to_owned()], 25, None);
        let delete = |path: &str| {
            Action::new("hr", Task::Request { method: Method::Delete, path: path.to_owned(), body: Value::Null })
        };
        let suspend = |user: &str| {
            let account = Account { verb: Verb::SuspendUser, user: user.to_owned(), group: None };
            Action::new("org", Task::Account(account))
        };
        for action in [
            suspend("00uBreak"),
            suspend(" root@example.COM "),
            delete("/users/00uBreak"),
            delete("/users/%30%30uBreak/keys?all=1"),
            delete("/users/root%40example.com"),
            delete("/users?login=root%40example.com"),
        ] {
            assert!(guard.protects(&named(&action)), "{action:?}");
        }
        for action in [suspend("00uBreaker"), delete("/users/00uBreaker"), delete("/users/x?00uBreak=1")] {
            assert!(!guard.protects(&named(&action)), "{action:?}");
        }
        assert!(named(&Action::new("chat", Task::Notify { message: "00uBreak".into() })).is_empty());
    }
}
