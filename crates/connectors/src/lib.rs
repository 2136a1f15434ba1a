//! Outside systems: one connector per file, each with its settings, what it can do, and how it fails.
//!
//! A connector does one action at one time and says how it went. It never retries, never waits for its turn and keeps no
//! queue: that is `delivery`'s. It reaches only the target that its settings name.
//!
//! To add a kind: write its file, and add it to the modules and to [`KINDS`]. A provider's own log, which is only read, is
//! an [`EventLog`](log::EventLog).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::redact::Redact;
use crate::setup::Kind;
use hookgate_model::command::{Action, Task};
use hookgate_model::message::{Message, Sent};
use hookgate_model::question;
use hookgate_model::question::{Question, Reason};
use hookgate_model::secret::Ring;

pub mod breaker;
pub mod cache;
pub mod client;
pub mod connected;
pub mod egress;
pub mod elastic;
pub mod entra;
pub mod entry;
pub mod file;
pub mod guard;
pub mod http;
pub mod jira;
pub mod ldap;
pub mod log;
pub mod oauth;
pub mod okta;
pub mod okta_log;
pub mod pagerduty;
pub mod predicate;
pub mod proxy;
pub mod rate_limit;
pub mod redact;
pub mod servicenow;
pub mod setting;
pub mod setup;
pub mod slack;
pub mod sms;
pub mod sms_template;
pub mod smtp;
pub mod sns;
pub mod splunk_hec;
pub mod sql;
pub mod syslog;
pub mod takes;
pub mod teams;
pub mod time_limit;
pub mod twilio;
pub mod unsent;
pub mod vonage;
pub mod webhook;
pub mod wire;
pub mod wording;

pub use crate::connected::{Connected, Connectors, Retry};

/// Every kind, in the order of the reference.
pub const KINDS: &[Kind] = &[
    http::KIND,
    okta::KIND,
    entra::KIND,
    webhook::KIND,
    slack::KIND,
    teams::KIND,
    pagerduty::KIND,
    jira::KIND,
    servicenow::KIND,
    smtp::KIND,
    splunk_hec::KIND,
    elastic::KIND,
    syslog::KIND,
    sql::KIND,
    ldap::KIND,
    file::KIND,
    twilio::KIND,
    vonage::KIND,
    sns::KIND,
    sms_template::KIND,
];

/// The kind of this name.
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// A configured outside system.
pub trait Connector: Send + Sync {
    /// The word in `kind`.
    fn kind(&self) -> &'static str;

    /// Whether it can do this at all: found when the script returns it, before anything is kept. A kind that only answers
    /// questions or sends codes can do nothing.
    ///
    /// # Errors
    /// Why not, for the author of the script.
    fn check(&self, action: &Action) -> Result<(), String> {
        let (kind, action) = (self.kind(), action.name());
        Err(match sends_codes(kind) {
            true => format!(
                "a connector of kind `{kind}` sends codes, with `via(…)` in `okta.telephony`, and takes no `{action}`"
            ),
            false => format!("a connector of kind `{kind}` only answers questions: it does no `{action}`"),
        })
    }

    /// Does it, once.
    fn perform<'a>(&'a self, order: &'a Order) -> Performing<'a> {
        let problem = self.check(&order.action).err().unwrap_or_else(|| "it does nothing".to_owned());
        Box::pin(std::future::ready(Err(Trouble::refused(problem))))
    }

    /// One for each question that may be in work at its system at once, where it has such a limit of its own, such as a pool of
    /// connections. `lookup` waits for one before the time of the question begins.
    fn turns(&self) -> Option<&Semaphore> {
        None
    }

    /// Answers a question of the family that its kind answers, once. Keeps nothing and waits for no turn: that is `lookup`'s. Whoever asks
    /// stops listening when the time of the connector or of the run is over.
    fn look_up<'a>(&'a self, question: &'a Question) -> LookingUp<'a> {
        Box::pin(std::future::ready(Err(question.not_for(self.kind()))))
    }

    /// Sends a message to its person, once, or says why it was not sent. The message is never told in what it says.
    fn deliver_message<'a>(&'a self, message: &'a Message) -> Delivering<'a> {
        let _ = message;
        Box::pin(std::future::ready(Err(Trouble::refused(format!(
            "a connector of kind `{}` sends no codes",
            self.kind()
        )))))
    }

    /// How much of what it may ask of its system in the present window is used, from 0 to 1; nothing where there is no such limit,
    /// or none is known yet.
    fn quota_used(&self) -> Option<f64> {
        None
    }

    /// Whether its system can be reached and lets us do what we are for, without changing anything: what
    /// `hookgate check --online` says. Nothing where that cannot be known without doing something.
    fn probe(&self) -> Option<Probing<'_>> {
        None
    }

    /// Under which names the account is known that an action changes, id and login, so that those can be found that are
    /// protected. None where that cannot be asked, or is not there.
    fn names_of<'a>(&'a self, _action: &'a Action) -> Naming<'a> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// Ids under which it acts at the provider itself, so that events of its own making reach no rule.
    fn own_actors(&self) -> Vec<String> {
        Vec::new()
    }

    /// Its own secrets, which are read again when their files change.
    fn secrets(&self) -> Vec<Arc<Ring>> {
        Vec::new()
    }

    /// What must not be told of an answer: its secrets as they are now, and whatever it got for them.
    fn redact(&self) -> Redact {
        self.secrets().iter().fold(Redact::default(), |redact, ring| redact.and_all(ring))
    }
}

pub type Performing<'a> = Pin<Box<dyn Future<Output = Result<Done, Trouble>> + Send + 'a>>;
pub(crate) type Delivering<'a> = Pin<Box<dyn Future<Output = Result<Sent, Trouble>> + Send + 'a>>;
pub type LookingUp<'a> = Pin<Box<dyn Future<Output = Result<Value, question::Trouble>> + Send + 'a>>;
pub(crate) type Naming<'a> = Pin<Box<dyn Future<Output = Result<Vec<String>, question::Trouble>> + Send + 'a>>;
pub(crate) type Probing<'a> = Pin<Box<dyn Future<Output = Result<Probed, question::Trouble>> + Send + 'a>>;

/// A system that is there and lets us in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// What was found, for people: `PostgreSQL 15.3, read only`.
    pub found: String,
    /// What we must be allowed there, at least: scopes, roles, grants. Empty if nothing is to be said.
    pub needs: Vec<String>,
}

/// One action to do now.
#[derive(Clone, Debug)]
pub struct Order {
    pub action: Action,
    /// The same over all tries: `Idempotency-Key`, `Message-ID`.
    pub key: String,
    /// The provider's id of the event or call behind it.
    pub event_id: String,
    /// Its type, the route, and when it came (milliseconds since 1970).
    pub event_type: String,
    pub route: String,
    pub received: i64,
    /// The event as it was sent; empty for answered calls.
    pub event: Bytes,
    /// This is not the first try, and an earlier one may have succeeded.
    pub doubt: bool,
    /// Others that go out with this one (`.digest`): the first of them, and how many in all beside this one.
    pub gathered: Vec<Action>,
    pub gathered_count: u64,
}

/// It was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    pub status: Option<u16>,
    /// What the other side said, short and without secrets.
    pub note: String,
}

/// It was not done, or nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub what: What,
    pub status: Option<u16>,
    /// For people, without secrets.
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Certainly not done; trying again may help, not before this if the other side said so.
    NotDelivered { retry_after: Option<Duration> },
    /// It did not go out because of a queue or a limit of ours, which says nothing of the other side. Trying again helps, after
    /// this long.
    NotTried { wait: Duration },
    /// The request went out and no answer came: it may have been done.
    MaybeDelivered,
    /// The other side says no, and will again.
    Refused,
}

impl Order {
    /// How many actions go out with this one, itself included.
    pub(crate) fn count(&self) -> u64 {
        self.gathered_count + 1
    }

    /// This action and the first of those that go out with it, at most `most`.
    pub(crate) fn tasks(&self, most: usize) -> impl Iterator<Item = &Task> {
        std::iter::once(&self.action).chain(&self.gathered).take(most).map(|action| &action.task)
    }
}

impl Probed {
    pub fn new(found: impl Into<String>, needs: &[&str]) -> Self {
        Self { found: found.into(), needs: needs.iter().map(|need| (*need).to_owned()).collect() }
    }
}

/// What kept an action from being done keeps a question from being answered.
impl From<Trouble> for question::Trouble {
    fn from(trouble: Trouble) -> Self {
        let reason = match (trouble.what, trouble.status) {
            (_, Some(401 | 403 | 407)) => Reason::Denied,
            (_, Some(429)) => Reason::Limited,
            (What::NotTried { .. }, _) => Reason::Busy,
            (What::NotDelivered { .. } | What::MaybeDelivered, _) => Reason::Unreachable,
            (What::Refused, _) => Reason::Rejected,
        };
        Self::new(reason, trouble.message)
    }
}

impl Trouble {
    pub fn refused(message: impl Into<String>) -> Self {
        Self { what: What::Refused, status: None, message: message.into() }
    }

    pub(crate) fn not_delivered(message: impl Into<String>) -> Self {
        Self { what: What::NotDelivered { retry_after: None }, status: None, message: message.into() }
    }

    pub fn maybe_delivered(message: impl Into<String>) -> Self {
        Self { what: What::MaybeDelivered, status: None, message: message.into() }
    }

    /// The same of a look for what an earlier try has filed: a look changes nothing, so nothing was done in this try.
    #[must_use]
    pub(crate) fn while_looking(self) -> Self {
        let what = match self.what {
            What::MaybeDelivered => What::NotDelivered { retry_after: None },
            other => other,
        };
        Self { what, message: format!("whether an earlier try has filed it cannot be seen: {}", self.message), ..self }
    }
}

/// Whether scripts may name connectors of this kind in `via`.
pub fn sends_codes(name: &str) -> bool {
    kind(name).is_some_and(|kind| kind.sends_codes)
}

/// Why a connector of this kind does not go with a function to which scripts give its name; nothing if it does, or there is no
/// such function.
pub fn unfit(name: &str, function: &str) -> Option<String> {
    // A kind that is none was complained about.
    let kind = kind(name)?;
    if function == "via" {
        return (!kind.sends_codes).then(|| no_codes(name));
    }
    if KINDS.iter().any(|kind| kind.answers == Some(function)) {
        return (kind.answers != Some(function)).then(|| "it is of another kind".to_owned());
    }
    takes::problem(name, function)
}

/// What is said of a connector in `via` that is none of them.
pub fn no_codes(kind: &str) -> String {
    let senders: Vec<&str> = KINDS.iter().filter(|kind| kind.sends_codes).map(|kind| kind.name).collect();
    format!("a connector of kind `{kind}` sends no codes: `via` needs one of kind `{}`", senders.join("`, `"))
}

#[cfg(test)]
mod tests;
