//! What goes back to a caller: the reply to a call, and the refusal of one in the words of its standard.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use serde_json::Value;

use crate::proof::Sign;
use hookgate_model::command::Action;
use hookgate_model::message::Sending;

const JSON: &str = "application/json";

/// What goes back to the caller. An empty body goes without content type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    /// Besides the content type. Usually none.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub content_type: Cow<'static, str>,
    pub body: Bytes,
    /// What of the commands was left out, and why: for the log and for tests, never for the caller.
    pub notes: Vec<String>,
}

/// What a script asked for: the answer, and what the gateway is to do besides.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// Where something has to be sent first, the reply for when the first connector takes it.
    pub reply: Reply,
    /// Nobody has checked yet that there are such connectors.
    pub sending: Option<Sending>,
    /// In the order of the script. Nobody has checked yet that there are such connectors.
    pub actions: Vec<Action>,
    /// Whether somebody is kept from what they came for.
    pub denied: bool,
}

/// A call that is refused before its script, as far as its caller may know why.
#[derive(Clone, Copy, Debug)]
pub struct RefusedCall<'a> {
    /// The status that the gateway would give: 400, 401, 405, 408, 413, 415, 500 or 503.
    pub status: u16,
    /// The word in metrics and logs: `auth`, `bad_body`, `overload`, ….
    pub reason: &'static str,
    /// Which part of the proof was wrong, where the caller is not authenticated: `bad_signature`, `wrong_audience`, ….
    pub proof: Option<&'static str>,
    /// One line for the caller. It tells strangers nothing.
    pub hint: &'a str,
}

/// Refuses a call in the words of its standard. The gateway adds what HTTP wants with its own status (`allow`, `retry-after`).
pub type Dialect = fn(&RefusedCall<'_>) -> Reply;

/// Signs a reply just before it leaves, at the given time. The signature is over the bytes of the body.
pub type ReplySigner = fn(Reply, &dyn Sign, Timestamp) -> Reply;

impl Reply {
    /// A reply without a body.
    pub const fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), content_type: Cow::Borrowed(JSON), body: Bytes::new(), notes: Vec::new() }
    }

    /// A `200` with this body, which is JSON.
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..Self::empty(200) }
    }

    /// The body as JSON; `null` when there is none.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}
