//! What is refused, and how it is told.

use serde_json::json;

use super::{JSON, OPERATOR, Office};

#[tokio::test]
async fn every_bad_request_is_a_problem_document() {
    let office = Office::new();
    let cursor = "AAAAAAAAAAAAAAAAAAAA";
    for (head, body, status, name) in [
        ("GET /api/v1/nothing", "", 404, "not-found"),
        ("GET /api/v1/routes/none", "", 404, "not-found"),
        ("GET /api/v1/tables/none", "", 404, "not-found"),
        ("GET /api/v1/events/none", "", 404, "not-found"),
        ("GET /api/v1/decisions/none", "", 404, "not-found"),
        ("GET /api/v1/jobs/4711", "", 404, "not-found"),
        ("GET /api/v1/jobs/none", "", 400, "bad-id"),
        ("GET /api/v1/jobs/99999999999999999999", "", 400, "bad-id"),
        ("GET /api/v1/events/%FF", "", 400, "bad-path"),
        ("GET /api/v1/status?x=1", "", 400, "bad-parameter"),
        ("GET /api/v1/events?limit=0", "", 400, "bad-parameter"),
        ("GET /api/v1/events?limit=501", "", 400, "bad-parameter"),
        ("GET /api/v1/events?state=asleep", "", 400, "bad-parameter"),
        ("GET /api/v1/events?type=*", "", 400, "bad-parameter"),
        ("GET /api/v1/events?since=yesterday", "", 400, "bad-parameter"),
        ("GET /api/v1/events?route=a&route=b", "", 400, "bad-parameter"),
        (&format!("GET /api/v1/events?cursor={cursor}"), "", 400, "bad-cursor"),
        (&format!("GET /api/v1/decisions?cursor={cursor}"), "", 400, "bad-cursor"),
        ("GET /api/v1/decisions?cursor=%00", "", 400, "bad-cursor"),
        ("GET /api/v1/decisions?user=a&id=b", "", 400, "bad-parameter"),
        ("POST /api/v1/run", "", 400, "bad-body"),
        ("POST /api/v1/run", "[]", 400, "bad-body"),
        ("POST /api/v1/run", r#"{"route": "signup"}"#, 400, "bad-body"),
        ("POST /api/v1/run", r#"{"route": "signup", "request": {}, "x": 1}"#, 400, "bad-body"),
        ("POST /api/v1/run", r#"{"route": "sigup", "request": {}}"#, 400, "unusable"),
        ("POST /api/v1/events/replay", "{}", 400, "bad-body"),
        ("POST /api/v1/events/replay", r#"{"filter": {}}"#, 400, "bad-body"),
        ("POST /api/v1/events/replay", r#"{"filter": {"route": "a"}, "events": ["1"]}"#, 400, "bad-body"),
        ("POST /api/v1/events/replay", r#"{"filter": {"route": "a"}, "all": true}"#, 400, "bad-body"),
        ("POST /api/v1/events/purge", r#"{"events": [], "all": false}"#, 400, "bad-body"),
        ("POST /api/v1/events/purge", r#"{"events": ["1"], "all": true}"#, 400, "bad-body"),
        ("POST /api/v1/events/purge", r#"{"events": ["1"], "force": true}"#, 400, "bad-body"),
        ("POST /api/v1/events/purge", "\u{0}", 400, "bad-body"),
        ("DELETE /api/v1/status", "", 405, "wrong-method"),
        ("GET /api/v1/run", "", 405, "wrong-method"),
    ] {
        let answer = office.send(head, &[OPERATOR, JSON], body.to_owned()).await;
        assert_eq!(answer.status, status, "{head} {body}: {}", answer.body);
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{head}");
        assert_eq!(answer.body["type"], json!(format!("urn:hookgate:problem:{name}")), "{head}: {}", answer.body);
        assert_eq!(answer.body["status"], json!(status), "{head}");
        assert!(answer.body["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{head}: {}", answer.body);
        assert_eq!(status == 405, answer.headers.contains_key("allow"), "{head}");
    }
}

#[tokio::test]
async fn what_is_too_large_or_of_another_type_is_not_read() {
    let office = Office::new();
    let large = format!("[{}1]", "1,".repeat(3 * 1024 * 1024));
    for (path, body, kind, status) in [
        ("/events/replay", "[1]".repeat(100_000), "application/json", 413),
        ("/run", large, "application/json", 413),
        ("/run", "{}".to_owned(), "text/plain", 415),
        ("/run", "{}".to_owned(), "", 415),
        ("/cases", "{}".to_owned(), "application/x-www-form-urlencoded", 415),
    ] {
        let mut headers = vec![OPERATOR];
        headers.extend((!kind.is_empty()).then_some(("content-type", kind)));
        let answer = office.send(&format!("POST /api/v1{path}"), &headers, body).await;
        assert_eq!(answer.status, status, "{path} {kind}: {}", answer.body);
    }
}

#[tokio::test]
async fn deep_and_hostile_texts_are_texts() {
    let office = Office::new();
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(office.send("POST /api/v1/run", &[OPERATOR, JSON], deep).await.status, 400);
    let hostile = "<script>alert(1)</script>\u{1b}[2J\u{202e}";
    let answer = office.post("/run", &json!({ "route": hostile, "request": {} })).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body["detail"].as_str().unwrap().contains("<script>"), "it is JSON, and stays what it was");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
}
