//! What a script may ask while it runs, as data: a question to an outside system or to the store, and what came of it.
//!
//! A question changes nothing that others can see (the small state of scripts, `kv`, is the gateway's own). The script gets
//! the answer, or an error that it can catch and whose `kind` is one of [`Reason`].

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use serde_json::Value;

use crate::question::verify::Credentials;
use crate::secret::Secret;

pub mod digits;
pub mod fit;
pub mod state;
pub mod verify;

/// One question of a run.
#[derive(Clone, Debug)]
pub struct Question {
    /// Name of the connector in `gateway.toml`; [`KV`] for the store's own state.
    pub connector: String,
    pub ask: Ask,
}

/// Whom questions about the small state of scripts go to.
pub const KV: &str = "kv";

/// What keys of the gateway's own begin with in the small state. No key of a script does.
pub const OWN_KEY: char = '\u{1}';

/// What is asked. A connector says which of these it can answer.
#[derive(Clone, Debug)]
pub enum Ask {
    /// `http(…).get` and `.query`: a request that changes nothing. The answer is `{ status, text }`.
    Http { path: String, body: Option<Value> },
    /// `http(…).verify`: whether a system accepts a password. The answer is `true` or `false`.
    Verify(Credentials),
    /// `sql(…)`: one statement that reads. Parameters are texts, numbers, truth values and `null`.
    Sql { take: Take, statement: String, parameters: Vec<Value> },
    /// `ldap(…).bind`: whether this is the password of that entry. The answer is `true` or `false`.
    Bind { dn: String, password: Secret },
    /// `ldap(…).search`: the answer is an array of `{ dn, attributes: { name: [value, …] } }`.
    Search { base: String, filter: String, attributes: Vec<String> },
    /// `okta(…)`, and what other directories are called: an object as the provider has it, an array of them, or `null` if there
    /// is none. `family` is the word that the script used, or [`ANY_DIRECTORY`].
    Directory { family: &'static str, asked: Directory },
    /// `kv`: see [`Kv`].
    Kv(Kv),
}

/// How much of the rows is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// All of them, each an object by name of column: an array.
    Rows,
    /// The first one, or `null`.
    Row,
    /// The first column of the first row, or `null`.
    Value,
}

/// The family of a question to a directory, whichever the connector is.
pub const ANY_DIRECTORY: &str = "directory";

/// What is asked of a directory of users. Ids are the provider's; a user may also be named by login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Directory {
    User(String),
    Group(String),
    UserGroups(String),
    /// The assignment of a user (second) to an application (first).
    AppUser(String, String),
    /// Users whose attribute of the profile (first) is this text (second): an array, at most a few.
    FindUsers(String, String),
}

/// A step in the small state of scripts. Each is one transaction; keys are the scripts' own and shared by all of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Kv {
    /// The value, or `null`.
    Get { key: String },
    /// Keeps a value for so long; the answer is `null`.
    Set { key: String, value: Value, keep: Duration },
    /// Adds to a number that is kept for so long from its first step; the answer is the sum.
    Incr { key: String, by: i64, keep: Duration },
    /// `true` for the first within the time, `false` for every other.
    Once { key: String, keep: Duration },
    /// `true`, and counted, if fewer than `most` were counted in the time before now; else `false`, and not counted.
    WithinRate { key: String, most: u32, window: Duration },
}

/// What came of a question.
pub type Answered = Result<Answer, Trouble>;

#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub value: Value,
    /// It was kept from earlier and is older than it should be: the system did not give a new one.
    pub stale: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub reason: Reason,
    /// For people, without secrets and without data of the answer.
    pub message: String,
    /// It was not asked at all: the connector is given a rest after failures, for so long.
    pub rest: Option<Duration>,
    /// The other side said so itself: it is there, whatever the reason is.
    pub answered: bool,
}

/// What a script finds in `kind` of the error it caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// No answer in the time of the connector, or before the deadline of the run.
    Timeout,
    /// No connection, or it broke off; also while the connector is given a rest after failures.
    Unreachable,
    /// The other side does not accept our credentials, or they may not do this.
    Denied,
    /// Too many questions are in work already.
    Busy,
    /// The other side, or our share of its rate limit, allows no more now.
    Limited,
    /// An answer came that cannot be used: no JSON, another shape, not UTF-8.
    BadAnswer,
    /// The answer is longer than may be read.
    TooLarge,
    /// The other side says that the question is wrong: a mistake in a statement, a filter, a path.
    Rejected,
    /// The target may not be connected to, or its certificate is not trusted.
    Forbidden,
}

impl Question {
    /// What was asked, as tests name it: `GET /people/7`. May hold names of people, never a secret.
    pub fn words(&self) -> String {
        match &self.ask {
            Ask::Http { path, body: None } => format!("GET {path}"),
            Ask::Http { path, body: Some(_) } => format!("POST {path}"),
            Ask::Verify(asked) => format!("verify {}", asked.path).trim_end().to_owned(),
            Ask::Sql { statement, .. } => statement.split_whitespace().collect::<Vec<_>>().join(" "),
            Ask::Bind { dn, .. } => format!("bind {dn}"),
            Ask::Search { base, filter, .. } if base.is_empty() => format!("search {filter}"),
            Ask::Search { base, filter, .. } => format!("search {base} {filter}"),
            Ask::Directory { asked, .. } => asked.words(),
            Ask::Kv(step) => format!("{} {}", step.name(), step.key()),
        }
    }

    /// What tells this question from every other one to the same connector; nothing for one whose answer is never kept.
    pub fn identity(&self) -> Option<String> {
        let words = self.words();
        match &self.ask {
            Ask::Verify(_) | Ask::Bind { .. } | Ask::Kv(_) => None,
            Ask::Http { body: None, .. } | Ask::Directory { .. } => Some(words),
            Ask::Http { body: Some(body), .. } => Some(format!("{words}\n{body}")),
            Ask::Sql { take, parameters, .. } => {
                Some(format!("{take:?} {words}\n{}", Value::from(parameters.as_slice())))
            }
            Ask::Search { attributes, .. } => Some(format!("{words}\n{attributes:?}")),
        }
    }

    /// What is the same for questions that take about as long: a statement without its parameters, a path without ids. Others
    /// may be answered while these are slow.
    pub fn class(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        match &self.ask {
            Ask::Http { path, body } => (body.is_some(), kind_of_path(path)).hash(&mut hasher),
            Ask::Sql { statement, .. } => statement.hash(&mut hasher),
            Ask::Search { base, .. } => ("search", base).hash(&mut hasher),
            Ask::Directory { asked, .. } => std::mem::discriminant(asked).hash(&mut hasher),
            other => std::mem::discriminant(other).hash(&mut hasher),
        }
        hasher.finish()
    }

    /// Whether a repeated run asks the same.
    pub fn is_again(&self, other: &Self) -> bool {
        self.connector == other.connector && self.family() == other.family() && self.words() == other.words()
    }

    /// What is said of a question that a connector of this kind does not answer.
    pub fn not_for(&self, kind: &str) -> Trouble {
        Trouble::new(Reason::Rejected, format!("a connector of kind `{kind}` answers no `{}`", self.family()))
    }

    /// Drops the secrets in it. What is remembered of a question that is answered holds none.
    pub fn forget_secrets(&mut self) {
        match &mut self.ask {
            Ask::Verify(asked) => asked.forget(),
            Ask::Bind { password, .. } => *password = Secret::new(Box::<[u8]>::default()),
            _ => {}
        }
    }

    /// How a test says what is answered, as far as the question goes: `mock_http("hr", "GET /people/7"`.
    pub fn mock(&self) -> String {
        match &self.ask {
            Ask::Verify(asked) => format!("mock_http_verify({:?}, {:?}", self.connector, asked.path),
            _ => format!("mock_{}({:?}, {:?}", self.family(), self.connector, self.words()),
        }
    }

    /// The word by which scripts reach connectors that answer this: `http`.
    pub fn family(&self) -> &'static str {
        match &self.ask {
            Ask::Http { .. } | Ask::Verify(_) => "http",
            Ask::Sql { .. } => "sql",
            Ask::Bind { .. } | Ask::Search { .. } => "ldap",
            Ask::Directory { family, .. } => family,
            Ask::Kv(_) => KV,
        }
    }
}

/// A path without its last part, if it has several, and without parts that look like an id: `/people/7/groups` is `/people/*`.
fn kind_of_path(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default().trim_matches('/');
    let parts = path.rsplit_once('/').map_or(path, |(parts, _)| parts);
    let word =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphabetic() || b"-_.".contains(&byte));
    let kept: Vec<&str> = parts.split('/').map(|part| if word(part) { part } else { "*" }).collect();
    kept.join("/")
}

impl Take {
    /// What is wanted of rows that a test gives: an array of them, one row, or a value alone.
    pub fn of(self, given: Value) -> Value {
        let first = |given: Value| match given {
            Value::Array(rows) => rows.into_iter().next().unwrap_or_default(),
            other => other,
        };
        match self {
            Self::Rows => match given {
                Value::Array(_) => given,
                Value::Null => Value::Array(Vec::new()),
                row => Value::Array(vec![row]),
            },
            Self::Row => first(given),
            Self::Value => match first(given) {
                Value::Object(row) => row.into_iter().next().map_or(Value::Null, |(_, value)| value),
                value => value,
            },
        }
    }
}

impl Directory {
    fn words(&self) -> String {
        match self {
            Self::User(id) => format!("user {id}"),
            Self::Group(id) => format!("group {id}"),
            Self::UserGroups(id) => format!("user_groups {id}"),
            Self::AppUser(app, user) => format!("app_user {app} {user}"),
            Self::FindUsers(attribute, value) => format!("find_users {attribute} {value}"),
        }
    }
}

impl Kv {
    /// The word scripts use for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Get { .. } => "get",
            Self::Set { .. } => "set",
            Self::Incr { .. } => "incr",
            Self::Once { .. } => "once",
            Self::WithinRate { .. } => "within_rate",
        }
    }

    pub fn key(&self) -> &str {
        match self {
            Self::Get { key }
            | Self::Set { key, .. }
            | Self::Incr { key, .. }
            | Self::Once { key, .. }
            | Self::WithinRate { key, .. } => key,
        }
    }
}

impl Answer {
    pub fn fresh(value: Value) -> Self {
        Self { value, stale: false }
    }
}

impl Trouble {
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), rest: None, answered: false }
    }

    /// The same, which the other side said itself.
    #[must_use]
    pub fn as_answered(self) -> Self {
        Self { answered: true, ..self }
    }

    /// The same because the connector is given a rest.
    #[must_use]
    pub fn resting(self, rest: Duration) -> Self {
        Self { rest: Some(rest), ..self }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl Reason {
    pub const ALL: [Self; 9] = [
        Self::Timeout,
        Self::Unreachable,
        Self::Denied,
        Self::Busy,
        Self::Limited,
        Self::BadAnswer,
        Self::TooLarge,
        Self::Rejected,
        Self::Forbidden,
    ];

    /// The reason of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// `timeout`, `bad_answer`, …
    pub fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Denied => "denied",
            Self::Busy => "busy",
            Self::Limited => "limited",
            Self::BadAnswer => "bad_answer",
            Self::TooLarge => "too_large",
            Self::Rejected => "rejected",
            Self::Forbidden => "forbidden",
        }
    }
}
