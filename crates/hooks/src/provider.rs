//! The provider's side of a hook, as the hook's own file states it.

use http::{HeaderMap, Method};
use jiff::Timestamp;
use serde_json::Value;

/// The provider's side of a hook, as its documentation states it.
#[derive(Clone, Copy, Debug)]
pub struct Provider {
    /// Which way it fails when nobody answers: `open`, `closed`, ….
    pub fails: &'static str,
    /// What the person at the browser reads.
    pub user_sees: &'static str,
    /// Limits that the provider sets, one sentence each.
    pub limits: &'static [&'static str],
    /// When and against what this was last checked.
    pub checked: &'static str,
}

/// How a provider calls: what a configuration may contradict, and what `simulate` does in the provider's place.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// The provider's name in messages, such as `Okta`.
    pub provider: &'static str,
    /// The value of `User-Agent`; none is sent where it is empty.
    pub agent: &'static str,
    /// Other headers of every call, by name in lower case and value. Those of the body are not among them.
    pub headers: &'static [(&'static str, &'static str)],
    /// Milliseconds that it waits for the whole exchange, from connecting to the end of the answer.
    pub patience_ms: u64,
    /// The largest body of a reply that it takes, in bytes.
    pub max_reply_bytes: usize,
    /// When it calls again; nothing where it never does.
    pub retry: Option<Retry>,
    /// Gives a call an id and a time of its own, as a new call of the provider has them.
    pub renew: fn(&mut Value, Timestamp),
    /// Marks a call, made at that time, as one of the preview in the provider's console; nothing where the provider marks none.
    pub preview: Option<fn(&mut Value, Timestamp)>,
    /// How it verifies the address before it calls; nothing where it does not.
    pub verification: Option<Verification>,
    /// The kind of log in which the provider keeps its events, a name of `hookgate_connectors::log::KINDS`; nothing where no log
    /// can be read.
    pub log: Option<&'static str>,
    /// The latest deadline of a call that is answered in time; nothing where nobody waits for the script.
    pub latest_ms: Option<u64>,
    /// Whether the provider skips a hook that it would have to call without a secret.
    pub needs_secret: bool,
    /// Whether the provider can get a token from an authorization server, and call with that.
    pub has_tokens: bool,
}

/// When a provider makes a call again, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// Calls after the first, at most.
    pub most: u32,
    /// Whether it calls again after an answer of this status; without a status, after no answer in time.
    pub follows: fn(Option<u16>) -> bool,
}

/// The one-time check of a provider that we own an address.
#[derive(Clone, Copy, Debug)]
pub struct Verification {
    /// The request that carries this challenge, a random word of 32 hexadecimal digits.
    pub request: fn(&str) -> VerificationRequest,
    /// Whether this reply is the right one to the challenge.
    pub is_right: fn(&str, &VerificationReply<'_>) -> bool,
    /// What the provider does after a right reply, and after any other: a sentence each, without a full stop.
    pub verified: &'static str,
    pub refused: &'static str,
}

/// What a provider sends to verify an address, beside what it sends with every call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerificationRequest {
    pub method: Method,
    /// Pairs of the query, not yet encoded.
    pub query: Vec<(&'static str, String)>,
    pub headers: Vec<(&'static str, String)>,
}

/// The answer to a request of a verification.
#[derive(Clone, Copy, Debug)]
pub struct VerificationReply<'a> {
    pub status: u16,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
}

impl Caller {
    /// A provider of which nothing special is known: it waits for ten seconds, calls once and marks nothing. Hooks state what
    /// differs.
    pub const INLINE: Self = Self {
        provider: "the provider",
        agent: "",
        headers: &[("accept", "application/json")],
        patience_ms: 10_000,
        max_reply_bytes: 1024 * 1024,
        retry: None,
        renew: |_, _| {},
        preview: None,
        verification: None,
        log: None,
        latest_ms: None,
        needs_secret: false,
        has_tokens: true,
    };

    /// Whether the provider would call again after an answer of this status, or after none.
    pub fn calls_again(&self, status: Option<u16>) -> bool {
        self.retry.is_some_and(|retry| (retry.follows)(status))
    }
}

/// One way to write `on_failure`: a word, or a table of one key with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureForm {
    pub word: &'static str,
    pub takes_text: bool,
    pub about: &'static str,
}

/// How the body of a batch is made, for those who make one.
#[derive(Clone, Copy, Debug)]
pub struct BatchForm {
    /// JSON Pointer to the array of events.
    pub events: &'static str,
    /// The member of an event that tells it from others.
    pub id: &'static str,
    /// Makes an event one of its own, which happened then.
    pub freshen: fn(&mut Value, Timestamp),
    /// Makes an event one of that type, with what such events usually have.
    pub retype: fn(&mut Value, &str),
}
