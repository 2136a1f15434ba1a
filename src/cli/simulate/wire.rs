//! How a call's canonical JSON becomes an HTTP request: the only place that does it.

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde_json::Value;

use hookgate_hooks::Hook;

/// What is posted for a call, beside the headers that every call of the provider has and those that prove who calls.
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    /// Those of the body, such as its content type.
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Makes what is posted for a call.
pub(super) fn seal(_hook: &Hook, call: &Value) -> Sealed {
    Sealed {
        headers: HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]),
        body: call.to_string().into(),
    }
}
