//! Why a call got no script: whose fault it is, what the caller hears, what the operator reads. The only place that turns
//! an error into an HTTP status.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};

use crate::auth::Denied;
use hookgate_hooks::{Dialect, HookError, RefusedCall, Reply};
use hookgate_store::StoreError;

/// Its text is for the operator's log; `hint` is for the caller and tells strangers nothing.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("no route has this path")]
    NoRoute,
    /// With the methods that the path takes.
    #[error("the path takes no such method: it takes {0}")]
    Method(String),
    #[error("not authenticated: {0}")]
    Auth(#[from] Denied),
    #[error(transparent)]
    Call(#[from] HookError),
    #[error("no release is live yet")]
    NotReady,
    #[error("the reply must be signed, and the secret that let the caller in is not there any more")]
    NoSigner,
    #[error(
        "more deliveries of events are in work than `limits.concurrent` allows, so the provider is asked to send this one again"
    )]
    Busy,
    #[error(
        "more deliveries of events come than can be kept in time, so the provider is asked to send this one again; it was not parsed"
    )]
    Overload,
    #[error("the events could not be kept, so the provider is asked to send them again: {0}")]
    Store(#[from] StoreError),
    #[error("the body is larger than `server.max_body_bytes`")]
    TooLarge,
    #[error("the body is packed (`content-encoding`), which is not supported; send it as it is")]
    Encoded,
    #[error(
        "the bodies of all calls in flight hold as much as `server.body_budget_bytes` allows, so this one was not read"
    )]
    NoRoom,
    #[error("the body did not arrive in time")]
    Slow,
    #[error("the call names no host, or more than one (`host`)")]
    BadHost,
    #[error("the call broke off or was no proper HTTP")]
    Broken,
    #[error("a defect of the gateway ended this call (a panic); see the log line before")]
    Panicked,
}

/// Whose fault a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Caller,
    Gateway,
}

impl Refusal {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Auth(_) => StatusCode::UNAUTHORIZED,
            Self::Call(HookError::MisplacedChallenge) => StatusCode::NOT_FOUND,
            Self::TooLarge | Self::Call(HookError::TooManyEvents { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Call(_) | Self::Broken | Self::BadHost => StatusCode::BAD_REQUEST,
            Self::NotReady | Self::NoSigner | Self::Busy | Self::Overload | Self::NoRoom | Self::Store(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Encoded => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(crate) fn fault(&self) -> Fault {
        if self.status().is_server_error() { Fault::Gateway } else { Fault::Caller }
    }

    /// The label in metrics and logs.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::NoRoute => "no_route",
            Self::Method(_) => "method",
            Self::Auth(_) => "auth",
            Self::Call(HookError::Challenge { .. } | HookError::MisplacedChallenge) => "challenge",
            Self::Call(HookError::OtherHook { .. } | HookError::UnknownType { .. } | HookError::Withdrawn { .. }) => {
                "other_hook"
            }
            Self::Call(HookError::TooManyEvents { .. }) => "too_many_events",
            Self::Call(_) => "bad_body",
            Self::NotReady => "not_ready",
            Self::NoSigner => "no_signer",
            Self::Busy => "busy",
            Self::Overload => "overload",
            Self::Store(_) => "store",
            Self::TooLarge => "too_large",
            Self::Encoded => "encoded",
            Self::NoRoom => "no_room",
            Self::BadHost => "host",
            Self::Slow => "slow",
            Self::Broken => "broken",
            Self::Panicked => "panic",
        }
    }

    /// Whether its text holds something of the body: the type of a call that this route does not know.
    pub(crate) fn quotes(&self) -> bool {
        matches!(self, Self::Call(error) if error.quotes())
    }

    /// One line for the caller. Until it is authenticated it learns nothing about the routes.
    fn hint(&self) -> String {
        match self {
            Self::NoRoute | Self::Call(HookError::MisplacedChallenge) => "not found".into(),
            Self::Method(_) => "method not allowed".into(),
            Self::Auth(_) => "not authenticated".into(),
            Self::Call(error) => error.to_string(),
            Self::NotReady | Self::NoSigner | Self::Busy | Self::Overload | Self::NoRoom | Self::Store(_) => {
                "not available, please try again".into()
            }
            Self::Encoded => "`content-encoding` is not supported, send the body as it is".into(),
            Self::BadHost => "bad request: one `host` is needed".into(),
            Self::TooLarge => "the body is too large".into(),
            Self::Slow => "the body came too slowly".into(),
            Self::Broken => "bad request".into(),
            Self::Panicked => "internal error".into(),
        }
    }

    /// The response of this refusal: in the dialect of its hook, if that has one, else in our own words.
    pub(crate) fn response(&self, dialect: Option<Dialect>) -> Response<Bytes> {
        let hint = self.hint();
        let proof = if let Self::Auth(denied) = self { Some(denied.error.reason()) } else { None };
        let refused = RefusedCall { status: self.status().as_u16(), reason: self.reason(), proof, hint: &hint };
        let mut response = response(dialect.map_or_else(|| plain(&refused), |dialect| dialect(&refused)));
        self.add_headers(response.headers_mut());
        response
    }

    /// What HTTP wants beside a status.
    fn add_headers(&self, headers: &mut HeaderMap) {
        let pair = match self {
            Self::Method(allowed) => HeaderValue::try_from(allowed).ok().map(|allowed| (ALLOW, allowed)),
            // RFC 9110, section 15.5.16: so that the caller knows that it was the coding.
            Self::Encoded => Some((ACCEPT_ENCODING, HeaderValue::from_static("identity"))),
            _ if self.status() == StatusCode::SERVICE_UNAVAILABLE => {
                Some((RETRY_AFTER, HeaderValue::from_static("30")))
            }
            _ => None,
        };
        headers.extend(pair);
    }
}

fn plain(refused: &RefusedCall<'_>) -> Reply {
    let body = serde_json::json!({ "error": refused.hint }).to_string();
    Reply { status: refused.status, ..Reply::json(body) }
}

/// A reply as it leaves.
pub(super) fn response(reply: Reply) -> Response<Bytes> {
    let has_body = !reply.body.is_empty();
    let mut response = Response::new(reply.body);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    if has_body {
        let content_type = match reply.content_type {
            Cow::Borrowed(name) => HeaderValue::from_static(name),
            Cow::Owned(name) => HeaderValue::try_from(name).unwrap_or(HeaderValue::from_static("application/json")),
        };
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    response.headers_mut().extend(reply.headers);
    response
}
