//! What a request asks for, taken apart: query, path and body. Whatever is wrong in them is a problem that says where.

use std::io;

use axum::body::HttpBody;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{DeserializeOwned, Error, Unexpected};
use serde::{Deserialize, Deserializer};
use url::form_urlencoded;

use crate::admin::access::origin;
use crate::admin::problem::Problem;

/// The largest body of most requests: lists of ids.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// The parameters after the `?`. One that is not known is wrong, so is one that is written twice.
pub struct Asked<T>(pub T);

/// No parameters.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
        serde_path_to_error::deserialize(pairs).map(Self).map_err(|error| {
            let (path, reason) = (error.path().to_string(), error.inner().to_string());
            let detail = if path == "." { reason } else { format!("`{path}`: {reason}") };
            Problem::bad_request("bad-parameter", detail).with("parameter", path)
        })
    }
}

/// What stands in the path.
pub struct Named(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(name) = Path::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::bad_request("bad-path", "the path is not UTF-8"))?;
        Ok(Self(name))
    }
}

/// A body of JSON, of at most `MOST` bytes. A member that is not known is wrong.
pub struct Sent<T, const MOST: usize = MAX_BODY_BYTES>(pub T);

impl<S: Send + Sync, T: DeserializeOwned, const MOST: usize> FromRequest<S> for Sent<T, MOST> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !origin::is_json(request.headers()) {
            let detail = "the body must be JSON, and say so: `Content-Type: application/json`";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", detail));
        }
        let too_large = || {
            let detail = format!("the body is larger than {MOST} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail).with("max_bytes", MOST)
        };
        // The lower bound is the Content-Length where there is one: nothing of such a body is read.
        if request.body().size_hint().lower() > MOST as u64 {
            return Err(too_large());
        }
        let body = Limited::new(request.into_body(), MOST).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                return too_large();
            }
            if is_late(&*error) {
                return Problem::new(StatusCode::REQUEST_TIMEOUT, "too-slow", "the body did not arrive in time");
            }
            Problem::bad_request("bad-body", "the body did not arrive whole")
        })?;
        let body = body.to_bytes();
        let mut json = serde_json::Deserializer::from_slice(&body);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let (path, reason) = (error.path().to_string(), error.inner().to_string());
            let detail = if path == "." { reason } else { format!("`{path}`: {reason}") };
            Problem::bad_request("bad-body", detail).with("member", path)
        })?;
        json.end().map_err(|error| Problem::bad_request("bad-body", error.to_string()))?;
        Ok(Self(value))
    }
}

/// Whether the listener lost patience with a body.
fn is_late(error: &(dyn std::error::Error + 'static)) -> bool {
    let is_timeout = |error: &io::Error| error.kind() == io::ErrorKind::TimedOut;
    error.downcast_ref().is_some_and(is_timeout) || error.source().is_some_and(is_late)
}

/// How many rows a page may have, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit<const MOST: usize>(pub usize);

impl<'de, const MOST: usize> Deserialize<'de> for Limit<MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wanted = u64::deserialize(deserializer)?;
        let limit = usize::try_from(wanted).ok().filter(|limit| (1..=MOST).contains(limit));
        let wrong = || D::Error::invalid_value(Unexpected::Unsigned(wanted), &format!("1 to {MOST}").as_str());
        limit.map(Self).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Some {
        limit: Option<Limit<500>>,
    }

    async fn query(query: &str) -> Result<Some, String> {
        let (mut parts, ()) = axum::http::Request::get(format!("/x?{query}")).body(()).unwrap().into_parts();
        let asked = Asked::from_request_parts(&mut parts, &()).await;
        asked.map(|Asked(some)| some).map_err(|problem| problem.detail().to_owned())
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_parameter_is_said() {
        assert_eq!(query("").await.unwrap().limit, None);
        assert_eq!(query("limit=500").await.unwrap().limit, Some(Limit(500)));
        for (given, says) in [
            ("limit=501", "`limit`: invalid value: integer `501`, expected 1 to 500"),
            ("limit=0", "expected 1 to 500"),
            ("limit=many", "`limit`: invalid digit"),
            ("limit=", "`limit`: cannot parse integer from empty string"),
            ("limit=1&limit=2", "duplicate field `limit`"),
            ("limt=1", "unknown field `limt`, expected `limit`"),
        ] {
            let problem = query(given).await.unwrap_err();
            assert!(problem.contains(says), "{given}: {problem}");
        }
    }

    async fn body(kind: &str, text: &str) -> Result<Some, (u16, String)> {
        let request = Request::post("/x").header("content-type", kind).body(Body::from(text.to_owned())).unwrap();
        let sent = Sent::<_, 32>::from_request(request, &()).await;
        sent.map(|Sent(some)| some).map_err(|problem| (problem.status().as_u16(), problem.detail().to_owned()))
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_body_is_said() {
        assert_eq!(body("application/json", r#"{"limit": 7}"#).await.unwrap().limit, Some(Limit(7)));
        for (kind, text, status, says) in [
            ("text/plain", "{}", 415, "must be JSON"),
            ("application/json", "", 400, "EOF"),
            ("application/json", "{} {}", 400, "trailing"),
            ("application/json", r#"{"limit": "7"}"#, 400, "`limit`: invalid type"),
            ("application/json", r#"{"x": 7}"#, 400, "unknown field `x`"),
            ("application/json", &"[".repeat(33), 413, "larger than 32 bytes"),
        ] {
            let (found, problem) = body(kind, text).await.unwrap_err();
            assert!(found == status && problem.contains(says), "{kind} {text}: {found} {problem}");
        }
    }
}
