use axum::body::Body;
use axum::http::HeaderMap;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::telemetry::metrics::Metrics;

struct Fixed(Result<(), String>);

impl State for Fixed {
    fn ready(&self) -> Result<(), String> {
        self.0.clone()
    }

    fn status(&self) -> Value {
        json!({"version": "1", "release": {"state": "current"}})
    }

    fn metrics(&self) -> String {
        Metrics::new().encode()
    }
}

const OPEN: fn() -> Access = Access::loopback;
const CLOSED: fn() -> Access = || Access::token(*b"s3cret");

async fn ask(
    access: fn() -> Access,
    ready: Result<(), String>,
    head: &str,
    headers: &[(&str, &str)],
) -> (u16, HeaderMap, String) {
    let (method, path) = head.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let router = router(Arc::new(Fixed(ready)), access());
    let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    assert_eq!(parts.headers[CACHE_CONTROL], "no-store", "{head}");
    assert_eq!(parts.headers[X_CONTENT_TYPE_OPTIONS], "nosniff", "{head}");
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

const LOCAL: &[(&str, &str)] = &[("host", "localhost:8081")];

#[tokio::test]
async fn probes_need_no_token_and_only_readiness_depends_on_the_release() {
    let broken = Err("no release is live".to_owned());
    assert_eq!(ask(CLOSED, broken.clone(), "GET /livez", &[]).await.0, 200);
    assert_eq!(ask(CLOSED, Ok(()), "GET /readyz", &[]).await.0, 200);
    let (status, _, body) = ask(CLOSED, broken, "GET /readyz", &[]).await;
    assert_eq!((status, body.as_str()), (503, r#"{"ready":false,"reason":"no release is live"}"#));
}

#[tokio::test]
async fn status_and_metrics_come_with_their_types() {
    let (status, headers, body) = ask(OPEN, Ok(()), "GET /api/v1/status", LOCAL).await;
    assert_eq!((status, &headers[CONTENT_TYPE]), (200, &HeaderValue::from_static("application/json")));
    assert_eq!(body, r#"{"version":"1","release":{"state":"current"}}"#);
    let (status, headers, body) = ask(OPEN, Ok(()), "GET /metrics", LOCAL).await;
    assert_eq!((status, headers[CONTENT_TYPE].to_str().unwrap()), (200, METRICS_TYPE));
    assert!(body.ends_with("# EOF\n"), "{body}");
    let (status, _, body) = ask(OPEN, Ok(()), "HEAD /metrics", LOCAL).await;
    assert_eq!((status, body.as_str()), (200, ""));
}

#[tokio::test]
async fn only_the_exact_token_opens() {
    for (value, expected) in [
        ("Bearer s3cret", 200),
        ("bearer s3cret", 200),
        ("Bearer S3cret", 401),
        ("Bearer s3cre", 401),
        ("Bearer s3cret2", 401),
        ("Bearer  s3cret", 401),
        ("Basic s3cret", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("s3cret", 401),
    ] {
        for path in ["GET /metrics", "GET /api/v1/status"] {
            let (status, headers, body) = ask(CLOSED, Ok(()), path, &[("authorization", value)]).await;
            assert_eq!(status, expected, "{value}: {body}");
            assert_eq!(headers.contains_key(WWW_AUTHENTICATE), expected == 401);
        }
    }
    assert_eq!(ask(CLOSED, Ok(()), "GET /metrics", LOCAL).await.0, 401);
    assert_eq!(ask(CLOSED, Ok(()), "GET /nothing", LOCAL).await.0, 401, "paths are not told to strangers");
    let nobody: fn() -> Access = || Access::token(*b"");
    assert_eq!(ask(nobody, Ok(()), "GET /metrics", &[("authorization", "Bearer ")]).await.0, 401);
}

#[tokio::test]
async fn without_a_token_only_a_loopback_host_is_answered() {
    for (host, expected) in [
        ("localhost", 200),
        ("LocalHost:8081", 200),
        ("127.0.0.1:8081", 200),
        ("127.8.8.8", 200),
        ("[::1]:8081", 200),
        ("evil.example:8081", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("10.0.0.1", 403),
        ("", 403),
    ] {
        assert_eq!(ask(OPEN, Ok(()), "GET /api/v1/status", &[("host", host)]).await.0, expected, "{host}");
    }
    assert_eq!(ask(OPEN, Ok(()), "GET /metrics", &[]).await.0, 403, "no host at all");
}

#[tokio::test]
async fn wrong_paths_and_methods_are_problem_documents() {
    let (status, headers, body) = ask(OPEN, Ok(()), "GET /nothing", LOCAL).await;
    assert_eq!((status, &headers[CONTENT_TYPE]), (404, &HeaderValue::from_static("application/problem+json")));
    let problem: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(problem["status"], 404);
    for path in ["POST /metrics", "DELETE /api/v1/status", "POST /livez", "PUT /readyz"] {
        let (status, headers, body) = ask(OPEN, Ok(()), path, LOCAL).await;
        assert_eq!((status, &headers[ALLOW]), (405, &HeaderValue::from_static("GET,HEAD")), "{path}");
        assert_eq!(headers[CONTENT_TYPE], "application/problem+json", "{path}: {body}");
    }
}
