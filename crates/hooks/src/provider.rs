//! The provider's side of a hook, as the hook's own file states it.

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

/// How a provider calls, as far as a configuration may contradict it.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// The latest deadline of a call that is answered in time; nothing where nobody waits for the script.
    pub latest_ms: Option<u64>,
    /// Whether the provider skips a hook that it would have to call without a secret.
    pub needs_secret: bool,
    /// Whether the provider can get a token from an authorization server, and call with that.
    pub has_tokens: bool,
}

impl Caller {
    /// Okta's inline hooks: it waits 3,000 ms for the whole exchange.
    pub(crate) const INLINE: Self = Self { latest_ms: Some(2_900), needs_secret: false, has_tokens: true };
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
    /// Makes an event one as a preview of the provider's console has it.
    pub preview: fn(&mut Value),
}
