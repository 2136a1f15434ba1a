use std::sync::LazyLock;
use std::time::Instant;

use axum::body::Body;
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, LOCATION, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Request};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::admin::desk::Parts;
use crate::admin::health::Samples;
use crate::admin::live::DecisionFeed;
use hookgate_engine::delivery::Delivery;
use hookgate_engine::history::History;
use hookgate_engine::records::{Recorder, Settings};
use hookgate_engine::release::bundle::Place;
use hookgate_engine::release::live::{Live, Reloaded};
use hookgate_engine::telemetry::metrics::Metrics;
use hookgate_engine::trial::Bench;
use hookgate_model::secret::Secret;
use hookgate_script::lanes::Lanes;
use hookgate_store::Store;
use hookgate_store::sqlite::{Options, Sqlite};

/// A bundle of one route.
const CONFIG: &str = "[auth.open]\nscheme = \"none\"\n[routes.signup]\npath = \"/signup\"\nhook = \"okta.registration\"\n\
                      script = \"signup.rhai\"\nauth = \"open\"\non_failure = \"allow\"\n";

/// A desk of a gateway without listeners, with a release in force or without; its files go with the folder.
async fn desk(live: bool) -> (tempfile::TempDir, Arc<Desk>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("scripts")).unwrap();
    std::fs::write(folder.path().join("gateway.toml"), CONFIG).unwrap();
    std::fs::write(folder.path().join("scripts/signup.rhai"), "fn on_registration(request) { allow() }").unwrap();
    let place = Place::of(&folder.path().join("gateway.toml"));
    let metrics = Metrics::new();
    let held = Arc::new(Live::new(metrics.clone()));
    if live {
        assert_eq!(held.reload(&place), Reloaded::Activated, "{:?}", held.status().error);
    }
    let store = Sqlite::open(&folder.path().join("hookgate.db"), Options::default()).unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let settings = Settings { per_second: 1_000, hash_subjects: false };
    let records = Recorder::start(store.clone(), metrics.clone(), settings).unwrap();
    let delivery =
        Delivery::new(store.clone(), held.clone(), Lanes::start().unwrap(), metrics.clone(), records.clone());
    delivery.look().await;
    let (_, stopping) = tokio::sync::watch::channel(false);
    let desk = Desk::new(Parts {
        history: History::start(store.clone(), held.clone(), place.clone()),
        feed: DecisionFeed::new(records.clone()),
        health: Samples::start(metrics.clone(), delivery.clone()),
        bench: Bench::new(Lanes::start().unwrap(), delivery.lookups().clone()),
        live: held,
        delivery,
        metrics,
        records,
        place,
        stopping,
        started: Instant::now(),
    });
    (folder, Arc::new(desk))
}

fn closed() -> Access {
    Access::tokens(Some(Secret::new(*b"s3cret")), Some(Secret::new(*b"look")))
}

/// Status, headers and body of an answer.
type Answer = (u16, HeaderMap, String);

async fn tell(router: &Router, head: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let (method, path) = head.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    assert_eq!(parts.headers[CACHE_CONTROL], "no-store", "{head}");
    assert_eq!(parts.headers[X_CONTENT_TYPE_OPTIONS], "nosniff", "{head}");
    assert_eq!(parts.headers[X_FRAME_OPTIONS], "DENY", "{head}");
    assert_eq!(parts.headers["cross-origin-resource-policy"], "same-origin", "{head}");
    let policy = parts.headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{head}: {policy}");
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

/// Asks a listener of its own.
async fn ask(access: Access, head: &str, headers: &[(&str, &str)]) -> Answer {
    let (_folder, desk) = desk(true).await;
    tell(&router(desk, access), head, headers, "").await
}

const LOCAL: &[(&str, &str)] = &[("host", "localhost:8081")];

static HTML: LazyLock<HeaderValue> = LazyLock::new(|| HeaderValue::from_static("text/html,*/*"));

#[tokio::test]
async fn probes_need_no_token_and_only_readiness_depends_on_the_release() {
    let (_folder, desk) = desk(false).await;
    let router = router(desk, closed());
    assert_eq!(tell(&router, "GET /livez", &[], "").await.0, 200);
    let (status, _, body) = tell(&router, "GET /readyz", &[], "").await;
    assert_eq!((status, body.as_str()), (503, r#"{"ready":false,"reason":"no release is live yet"}"#));
    assert_eq!(ask(closed(), "GET /readyz", &[]).await.0, 200);
}

#[tokio::test]
async fn status_and_metrics_come_with_their_types() {
    let (status, headers, body) = ask(Access::loopback(), "GET /api/v1/status", LOCAL).await;
    assert_eq!((status, &headers[CONTENT_TYPE]), (200, &HeaderValue::from_static("application/json")));
    let shown: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(shown["release"]["state"], "current", "{body}");
    let route = json!({"name": "signup", "path": "/signup", "hook": "okta.registration", "auth": ["open"], "script": "signup.rhai"});
    assert_eq!(shown["routes"], json!([route]));
    let (status, headers, body) = ask(Access::loopback(), "GET /metrics", LOCAL).await;
    assert_eq!((status, headers[CONTENT_TYPE].to_str().unwrap()), (200, METRICS_TYPE));
    assert!(body.ends_with("# EOF\n"), "{body}");
    let (status, _, body) = ask(Access::loopback(), "HEAD /metrics", LOCAL).await;
    assert_eq!((status, body.as_str()), (200, ""));
}

#[tokio::test]
async fn only_the_exact_tokens_open() {
    let (_folder, desk) = desk(true).await;
    for (value, expected) in [
        ("Bearer s3cret", 200),
        ("bearer s3cret", 200),
        ("Bearer look", 200),
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
            let router = router(desk.clone(), closed());
            let (status, headers, body) = tell(&router, path, &[("authorization", value)], "").await;
            assert_eq!(status, expected, "{value}: {body}");
            assert_eq!(headers.contains_key(WWW_AUTHENTICATE), expected == 401);
        }
    }
    assert_eq!(ask(closed(), "GET /metrics", LOCAL).await.0, 401);
    assert_eq!(ask(closed(), "GET /nothing", LOCAL).await.0, 401, "paths are not told to strangers");
    let nobody = Access::tokens(Some(Secret::new(*b"")), None);
    assert_eq!(ask(nobody, "GET /metrics", &[("authorization", "Bearer ")]).await.0, 401);
}

#[tokio::test]
async fn after_ten_wrong_tokens_the_right_one_waits_too() {
    let (_folder, desk) = desk(true).await;
    let router = router(desk, closed());
    for _ in 0..10 {
        assert_eq!(tell(&router, "GET /metrics", &[("authorization", "Bearer wrong")], "").await.0, 401);
    }
    for token in ["Bearer wrong", "Bearer s3cret"] {
        let (status, headers, body) = tell(&router, "GET /metrics", &[("authorization", token)], "").await;
        assert_eq!(status, 429, "{token}: {body}");
        assert!(headers.contains_key(RETRY_AFTER));
    }
}

#[tokio::test]
async fn without_a_token_only_a_loopback_host_is_answered() {
    let (_folder, desk) = desk(true).await;
    let router = router(desk, Access::loopback());
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
        assert_eq!(tell(&router, "GET /api/v1/status", &[("host", host)], "").await.0, expected, "{host}");
    }
    assert_eq!(tell(&router, "GET /metrics", &[], "").await.0, 403, "no host at all");
}

#[tokio::test]
async fn wrong_paths_and_methods_are_problem_documents() {
    let (_folder, desk) = desk(true).await;
    let router = router(desk, Access::loopback());
    let (status, headers, body) = tell(&router, "GET /nothing", LOCAL, "").await;
    assert_eq!((status, &headers[CONTENT_TYPE]), (404, &HeaderValue::from_static("application/problem+json")));
    let problem: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&problem["status"], &problem["type"]), (&json!(404), &json!("urn:hookgate:problem:not-found")));
    let json = [LOCAL[0], ("content-type", "application/json")];
    for path in ["POST /metrics", "DELETE /api/v1/status", "POST /livez", "PUT /readyz"] {
        let (status, headers, body) = tell(&router, path, &json, "").await;
        assert_eq!((status, &headers[ALLOW]), (405, &HeaderValue::from_static("GET,HEAD")), "{path}");
        assert_eq!(headers[CONTENT_TYPE], "application/problem+json", "{path}: {body}");
    }
    let (status, headers, _) = tell(&router, "GET /login", &json, "").await;
    assert!(status == 200 || headers[ALLOW] == "POST", "{status}");
}

#[tokio::test]
async fn a_browser_signs_in_by_form_and_out() {
    let (_folder, desk) = desk(true).await;
    let router = router(desk, closed());
    let page = [("accept", HTML.to_str().unwrap()), ("host", "gate.example")];
    let (status, headers, _) = tell(&router, "GET /events?a=b", &page, "").await;
    assert_eq!((status, &headers[LOCATION]), (303, &HeaderValue::from_static("/login?to=%2Fevents%3Fa%3Db")));
    assert_eq!(tell(&router, "GET /api/v1/status", &page, "").await.0, 401, "programs are told of the header");

    let ours = [("sec-fetch-site", "same-origin"), ("host", "gate.example")];
    let (status, headers, _) = tell(&router, "POST /login", &ours, "token=wrong&to=%2Fevents").await;
    assert_eq!((status, &headers[LOCATION]), (303, &HeaderValue::from_static("/login?wrong=token&to=%2Fevents")));
    assert!(!headers.contains_key(SET_COOKIE));
    let foreign = [("sec-fetch-site", "cross-site"), ("host", "gate.example")];
    assert_eq!(tell(&router, "POST /login", &foreign, "token=s3cret").await.0, 403);

    let (status, headers, _) = tell(&router, "POST /login", &ours, "token=s3cret&to=%2Fevents").await;
    assert_eq!((status, &headers[LOCATION]), (303, &HeaderValue::from_static("/events")));
    let cookie = headers[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let signed_in = [("cookie", cookie.as_str()), ("host", "gate.example")];
    assert_eq!(tell(&router, "GET /api/v1/status", &signed_in, "").await.0, 200);
    assert_eq!(tell(&router, "POST /nothing", &signed_in, "").await.0, 403, "a foreign page could send this");
    assert_eq!(tell(&router, "POST /nothing", &[&ours[..], &signed_in[..1]].concat(), "").await.0, 404);

    let (status, headers, _) = tell(&router, "POST /logout", &[&ours[..], &signed_in[..1]].concat(), "").await;
    assert_eq!((status, &headers[LOCATION]), (303, &HeaderValue::from_static("/login")));
    assert!(headers[SET_COOKIE].to_str().unwrap().starts_with("hookgate_session=; Max-Age=0;"));
    assert_eq!(tell(&router, "GET /api/v1/status", &[(COOKIE.as_str(), &cookie)], "").await.0, 401);
}

#[tokio::test]
async fn a_reader_changes_nothing() {
    let (_folder, desk) = desk(true).await;
    let router = router(desk, closed());
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let head = format!("{method} /api/v1/anything");
        let (status, _, body) = tell(&router, &head, &[("authorization", "Bearer look")], "").await;
        assert_eq!(status, 403, "{method}: {body}");
        assert!(body.contains("urn:hookgate:problem:operator-needed"), "{body}");
        assert_eq!(tell(&router, &head, &[("authorization", "Bearer s3cret")], "").await.0, 404);
    }
}

#[tokio::test]
async fn a_panic_is_an_answer_that_tells_nothing() {
    let broken = Router::new()
        .route(
            "/",
            get(|| async {
                if true {
                    panic!("a value of a call")
                }
            }),
        )
        .layer(middleware::from_fn(guard::contain))
        .layer(middleware::map_response(guard::harden));
    let (status, headers, body) = tell(&broken, "GET /", &[], "").await;
    assert_eq!((status, &headers[CONTENT_TYPE]), (500, &HeaderValue::from_static(problem::CONTENT)));
    assert!(!body.contains("value of a call"), "{body}");
}
