//! What a request hears that gets nothing else: a problem document (RFC 9457), with a name that programs can rely on.
//!
//! The detail is for people and may change. Nothing of a secret, a body or an answer of the store's file system is in it.

use std::borrow::Cow;

use axum::http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::admin::access::Denied;
use hookgate_store::StoreError;

/// The media type of problem documents.
pub const CONTENT: &str = "application/problem+json";

/// Why a request is not answered.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    name: &'static str,
    detail: Cow<'static, str>,
    /// On the heap: a problem is an error, and those are moved about.
    members: Box<Map<String, Value>>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem of this name: the `type` is `urn:hookgate:problem:NAME`.
    pub fn new(status: StatusCode, name: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, name, detail: detail.into(), members: Box::default(), headers: Vec::new() }
    }

    /// One more member of the document.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.members.insert(member.to_owned(), value.into());
        self
    }

    #[must_use]
    fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    pub fn wrong_method(method: &Method) -> Self {
        let detail = format!("`{method}` is not possible here; the header Allow says what is");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", detail)
    }

    /// The request makes no sense, and would not a second time.
    pub fn bad_request(name: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, name, detail)
    }

    /// What was asked for goes against how things are now.
    pub fn conflict(name: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, name, detail)
    }

    /// It may be different in a moment.
    #[must_use]
    pub fn retry_after(self) -> Self {
        self.header(RETRY_AFTER, "2")
    }

    /// The body is packed. RFC 9110, section 15.5.16: the header says that it was this.
    pub fn packed() -> Self {
        let detail = "`content-encoding` is not supported, send the body as it is";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-encoding", detail).header(ACCEPT_ENCODING, "identity")
    }

    /// A reader wants to change something.
    pub fn role() -> Self {
        Self::new(StatusCode::FORBIDDEN, "operator-needed", "this is for operators, and who asks may only read")
    }

    /// Something failed that must not; nothing of it is told.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the request failed; the log has the reason")
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Token => Self::new(
                StatusCode::UNAUTHORIZED,
                "token-needed",
                "the bearer token, or the session, is missing, wrong or over",
            )
            .header(WWW_AUTHENTICATE, "Bearer"),
            Denied::Host => Self::new(
                StatusCode::FORBIDDEN,
                "host",
                "without `admin.token` only localhost or a loopback address may be asked for",
            ),
            Denied::CrossSite => Self::new(
                StatusCode::FORBIDDEN,
                "cross-site",
                "a change must come from a page of this listener, carry a bearer token, or be JSON where no token is configured",
            ),
            Denied::TooMany => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-tries",
                "too many wrong tokens came from this address; wait, and try again",
            )
            .header(RETRY_AFTER, "2"),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(reason) => Self::conflict("refused", reason),
            // The reasons of the others name files; the log and `/readyz` have them.
            StoreError::Busy | StoreError::Late => Self::store("the store is busy"),
            StoreError::Full => Self::store("the disk of the store is full"),
            StoreError::ReadOnly(_) => Self::store("the store cannot be written"),
            StoreError::Broken(_) => Self::store("the store failed"),
            StoreError::Closed => Self::store("the gateway is stopping"),
        }
    }
}

impl Problem {
    fn store(detail: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store", detail).header(RETRY_AFTER, "5")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or_default();
        let mut document = json!({
            "type": format!("urn:hookgate:problem:{}", self.name),
            "title": title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Some(document) = document.as_object_mut() {
            document.extend(*self.members);
        }
        let mut response = (self.status, [(CONTENT_TYPE, CONTENT)], document.to_string()).into_response();
        response.headers_mut().extend(self.headers);
        response
    }
}
