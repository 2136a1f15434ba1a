//! Who may do what: roles by operations, sessions, and pages of other sites.

use hookgate::admin::access::Access;
use hookgate::admin::api;
use serde_json::{Value, json};

use super::{JSON, OPERATOR, Office, READER};

/// Every operation of the document, with a path that exists in form.
fn operations() -> Vec<(String, String)> {
    let document = serde_json::to_value(api::document()).unwrap();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            if ["get", "post", "put", "patch", "delete"].contains(&method.as_str()) {
                all.push((
                    method.to_uppercase(),
                    path.replace("{id}", "0").replace("{name}", "x").replace("{hash}", "abcdef"),
                ));
            }
        }
    }
    assert!(all.len() >= 18, "{all:?}");
    all
}

#[tokio::test]
async fn strangers_get_nothing_and_readers_change_nothing() {
    let office = Office::new();
    for (method, path) in operations() {
        let head = format!("{method} {path}");
        if path == "/api/v1/live" {
            continue;
        }
        let own = path == "/api/v1/session" && method != "GET";
        let stranger = office.send(&head, &[JSON], "{}").await;
        let reader = office.send(&head, &[READER, JSON], "{}").await;
        let operator = office.send(&head, &[OPERATOR, JSON], "{}").await;
        if own {
            continue;
        }
        assert_eq!(stranger.status, 401, "{head}");
        assert_eq!(stranger.headers["www-authenticate"], "Bearer", "{head}");
        let expected = if method == "GET" { [200, 404].contains(&reader.status) } else { reader.status == 403 };
        assert!(expected, "{head}: {} {}", reader.status, reader.body);
        assert!(![401, 403, 405, 500].contains(&operator.status), "{head}: {} {}", operator.status, operator.body);
    }
}

#[tokio::test]
async fn a_session_does_what_its_token_may() {
    let office = Office::new();
    for (token, role) in [("operator-token", "operator"), ("reader-token", "reader")] {
        let begun = office.send("POST /api/v1/session", &[JSON], json!({ "token": token }).to_string()).await;
        assert_eq!((begun.status, &begun.body["role"]), (201, &json!(role)));
        assert!(begun.body["expires_at"].is_string());
        let cookie = begun.headers["set-cookie"].to_str().unwrap();
        assert!(cookie.contains("HttpOnly; SameSite=Strict") && !cookie.contains("Secure"), "{cookie}");
        let cookie = ("cookie", cookie.split(';').next().unwrap());
        let who = office.send("GET /api/v1/session", &[cookie], "").await;
        assert_eq!((&who.body["role"], &who.body["name"]), (&json!(role), &begun.body["name"]));
        let run = json!({ "route": "signup", "request": {} }).to_string();
        let ours = ("sec-fetch-site", "same-origin");
        let expected = if role == "operator" { 200 } else { 403 };
        assert_eq!(office.send("POST /api/v1/run", &[cookie, JSON, ours], run.clone()).await.status, expected);
        let foreign = office.send("POST /api/v1/run", &[cookie, JSON], run).await;
        assert_eq!((foreign.status, &foreign.body["type"]), (403, &json!("urn:hookgate:problem:cross-site")));
        assert_eq!(office.send("DELETE /api/v1/session", &[cookie], "").await.status, 204);
        assert_eq!(office.send("GET /api/v1/session", &[cookie], "").await.status, 401);
    }
    let secure = [JSON, ("x-forwarded-proto", "https")];
    let begun = office.send("POST /api/v1/session", &secure, r#"{"token":"reader-token"}"#).await;
    assert!(begun.headers["set-cookie"].to_str().unwrap().ends_with("; Secure"));
    let wrong = office.send("POST /api/v1/session", &[JSON], r#"{"token":"wrong"}"#).await;
    assert_eq!((wrong.status, wrong.headers.contains_key("set-cookie")), (401, false));
}

#[tokio::test]
async fn without_tokens_a_loopback_host_is_an_operator_and_other_sites_are_nobody() {
    let office = Office::with(Access::loopback());
    let local = ("host", "127.0.0.1:8081");
    let who = office.send("GET /api/v1/session", &[local], "").await;
    assert_eq!(who.body, json!({ "role": "operator", "name": "loopback" }));
    let run = json!({ "route": "signup", "request": {} }).to_string();
    for (headers, expected) in [
        (vec![local, JSON], 200),
        (vec![local, JSON, ("origin", "http://127.0.0.1:8081")], 200),
        (vec![local, JSON, ("origin", "http://evil.example")], 403),
        (vec![local, JSON, ("sec-fetch-site", "cross-site")], 403),
        (vec![local, ("content-type", "text/plain")], 403),
        (vec![("host", "evil.example"), JSON], 403),
    ] {
        let answer = office.send("POST /api/v1/run", &headers, run.clone()).await;
        assert_eq!(answer.status, expected, "{headers:?}: {}", answer.body);
    }
    let begun = office.send("POST /api/v1/session", &[local, JSON], r#"{"token":""}"#).await;
    assert_eq!((begun.status, begun.headers.contains_key("set-cookie")), (200, false), "there is nothing to begin");
}

#[tokio::test]
async fn readers_get_no_bodies() {
    let office = Office::new();
    office.sign_up("canary@nowhere.example").await;
    office.deliver(&["one", "bad"]).await;
    let id = office.get("/decisions?route=signup").await["decisions"][0]["id"].as_str().unwrap().to_owned();
    let decision = format!("/decisions/{id}");
    for (path, hidden) in [(decision.as_str(), "capture"), ("/events/bad", "body"), ("/events/bad", "envelope")] {
        let seen = office.get(path).await;
        assert!(!seen[hidden].is_null(), "{path}: {seen}");
        let head = format!("GET /api/v1{path}");
        let answer = office.send(&head, &[READER], "").await;
        assert_eq!((answer.status, &answer.body[hidden]), (200, &Value::Null), "{path}");
    }
    let action = |event: &Value| {
        let jobs = event["work"].as_array().unwrap();
        jobs.iter().find(|job| job["kind"] == "action").unwrap()["action"].clone()
    };
    assert!(!action(&office.get("/events/one").await).is_null());
    assert!(action(&office.send("GET /api/v1/events/one", &[READER], "").await.body).is_null());
}
