//! What a script may ask the gateway to do: actions as data. Reply commands stay with their hook.
//!
//! An action is kept before anybody hears of it, and done later by its connector, perhaps many times until it succeeds. So
//! it holds everything that it needs, can be written and read back, and means the same after an update.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// One thing to do through a connector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// Name of the connector in `gateway.toml`.
    pub connector: String,
    /// What to do there.
    #[serde(flatten)]
    pub task: Task,
    /// Not before this long from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<u64>,
    /// Not if another one of this key was asked for within the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once: Option<Window>,
    /// Together with all others of this key that are asked for within the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Window>,
    /// Only if a user is in one of these states when it is to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_while: Option<State>,
    /// When it is done, it gets what came of the other actions of the same run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub with_results: bool,
    /// Why it cannot be done. It is stored all the same, so that operators see it, and it ends in the dead letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// States of a user, and who knows in which one it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// A connector that answers questions about users.
    pub connector: String,
    /// Id or login.
    pub user: String,
    /// In the provider's words; [`GONE`] for a user that is no longer there.
    pub states: Vec<String>,
}

/// The state of a user whom the provider does not know any more.
pub const GONE: &str = "GONE";

/// What is done. A connector says which of these it can do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Task {
    /// Tell people: a text, or a message in the connector's own form (a map).
    Notify { message: Value },
    /// An HTTP request with a JSON body.
    Request { method: Method, path: String, body: Value },
    /// The event as it was sent, byte for byte.
    Forward,
    /// A mail.
    Email(Mail),
    /// A change to the account of a person.
    Account(Account),
    /// Something that cannot be made of what the script gave: which function was called, and why. Nothing of it is sent.
    Impossible { function: String, problem: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    Post,
    Put,
    Patch,
    Delete,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mail {
    pub to: Vec<String>,
    pub subject: String,
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cc: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
}

/// What is done to an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub verb: Verb,
    /// Id or login.
    pub user: String,
    /// Id of the group that the user is added to, or removed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    ClearSessions,
    SuspendUser,
    UnsuspendUser,
    DeactivateUser,
    AddToGroup,
    RemoveFromGroup,
    RevokeSignInSessions,
}

/// A key and how long it counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    pub key: String,
    pub ms: u64,
}

impl Action {
    pub fn new(connector: impl Into<String>, task: Task) -> Self {
        Self {
            connector: connector.into(),
            task,
            after_ms: None,
            once: None,
            digest: None,
            only_while: None,
            with_results: false,
            refused: None,
        }
    }

    /// What stands for an action that cannot be made of what a script gave.
    pub fn impossible(connector: impl Into<String>, function: &str, problem: String) -> Self {
        let task = Task::Impossible { function: function.to_owned(), problem: problem.clone() };
        Self { refused: Some(problem), ..Self::new(connector, task) }
    }

    /// The same action, which cannot be done: it waits for nothing, and it keeps no other action of its key out.
    pub fn refuse(&mut self, problem: String) {
        let task = std::mem::replace(&mut self.task, Task::Forward);
        *self = Self { refused: Some(problem), ..Self::new(std::mem::take(&mut self.connector), task) };
    }

    /// Why nothing can be made of it, whatever its connector takes.
    pub fn problem(&self) -> Option<&str> {
        match &self.task {
            Task::Impossible { problem, .. } => Some(problem),
            _ => None,
        }
    }

    /// The word scripts use for it: `notify`, `post`, ….
    pub fn name(&self) -> &str {
        match &self.task {
            Task::Impossible { function, .. } => function,
            Task::Notify { .. } => "notify",
            Task::Request { method, .. } => method.name(),
            Task::Forward => "forward",
            Task::Email(_) => "email",
            Task::Account(account) => account.verb.name(),
        }
    }

    /// It takes something away from somebody: what guards of connectors watch over.
    pub fn is_destructive(&self) -> bool {
        match &self.task {
            Task::Account(account) => !matches!(account.verb, Verb::UnsuspendUser | Verb::AddToGroup),
            Task::Request { method, .. } => *method == Method::Delete,
            Task::Notify { .. } | Task::Forward | Task::Email(_) | Task::Impossible { .. } => false,
        }
    }

    pub fn delay(&self) -> Duration {
        Duration::from_millis(self.after_ms.unwrap_or(0))
    }
}

impl Method {
    /// In lower case, as scripts write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Post => "post",
            Self::Put => "put",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}

impl Verb {
    /// The word scripts use for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClearSessions => "clear_sessions",
            Self::SuspendUser => "suspend_user",
            Self::UnsuspendUser => "unsuspend_user",
            Self::DeactivateUser => "deactivate_user",
            Self::AddToGroup => "add_to_group",
            Self::RemoveFromGroup => "remove_from_group",
            Self::RevokeSignInSessions => "revoke_sign_in_sessions",
        }
    }
}

/// A key of at most so many bytes, which are 65 at least: what is longer keeps its beginning, and a hash of the whole stands at
/// its end. Keys are often made of names that others chose, and so no name is too long for one.
pub fn bounded(key: &str, most: usize) -> String {
    if key.len() <= most {
        return key.to_owned();
    }
    let hash = hex::encode(Sha256::digest(key.as_bytes()));
    let end = key.floor_char_boundary(most.saturating_sub(hash.len() + 1));
    format!("{}~{hash}", &key[..end])
}

impl Window {
    pub fn time(&self) -> Duration {
        Duration::from_millis(self.ms)
    }
}
