//! Trying a route out: its script answers, and nothing that it asks for is done.

use std::fs;

use hookgate_model::decision;
use hookgate_store::{JobKind, JobState};
use http::Method;
use serde_json::{Value, json};

use crate::harness::{SECRET, TestGateway, sender, with_id};
use crate::process::sample;

const CONFIG: &str = r#"
[auth.test]
scheme = "header"
secrets = [{ file = "secret" }]

[connectors.out]
kind = "file"
path = "out.jsonl"

[routes.signup]
path = "/signup"
preview_path = "/signup/try/"
preview = "header:X-Try"
hook = "okta.registration"
script = "signup.rhai"
auth = "test"
on_failure = "allow"

[routes.events]
path = "/events"
preview_path = "/events/try"
preview = "header:x-try"
hook = "okta.event"
auth = "test"
[routes.events.rules.all]
events = ["*"]
script = "events.rhai"
"#;

/// What it says and does shows whether it is a preview, and how often it counted.
const SIGNUP: &str = r#"
fn on_registration(request) {
    let count = kv.incr("calls", 1, "1h");
    [deny(`preview ${request.preview}, count ${count}`), notify("out", `call ${request.preview}`)]
}
"#;

const EVENTS: &str = r#"fn on_event(event) { notify("out", `${event.id} ${event.preview}`) }"#;

fn gateway() -> TestGateway {
    TestGateway::bundle(CONFIG, &[("scripts/signup.rhai", SIGNUP), ("scripts/events.rhai", EVENTS)])
}

/// What went out, message by message.
fn out(gateway: &TestGateway) -> Vec<String> {
    let text = fs::read_to_string(gateway.place.root.join("out.jsonl")).unwrap_or_default();
    let message = |line: &str| serde_json::from_str::<Value>(line).unwrap()["message"].as_str().unwrap().to_owned();
    text.lines().map(message).collect()
}

async fn said(gateway: &TestGateway, path: &str, headers: &[(&str, &str)], body: String) -> String {
    let headers: Vec<(&str, &str)> = [("authorization", SECRET)].into_iter().chain(headers.iter().copied()).collect();
    let (status, reply) = gateway.call(Method::POST, path, &headers, body).await;
    assert_eq!(status, 200, "{reply}");
    reply["error"]["errorSummary"].as_str().unwrap().to_owned()
}

async fn records(gateway: &TestGateway) -> Vec<decision::Record> {
    gateway.delivery.records().flush().await;
    gateway.delivery.store().decisions(decision::Query::default()).await.unwrap().records
}

#[tokio::test]
async fn nothing_acts_on_the_second_path_or_with_the_header() {
    let gateway = gateway();
    let call = || with_id("okta.registration", "a");
    for _ in 0..2 {
        assert_eq!(said(&gateway, "/signup/try", &[], call()).await, "preview true, count 1", "each time anew");
        assert_eq!(said(&gateway, "/signup/try/", &[], call()).await, "preview true, count 1");
        assert_eq!(said(&gateway, "/signup", &[("x-try", "")], call()).await, "preview true, count 1");
    }
    // The call that was tried may still come.
    assert_eq!(said(&gateway, "/signup", &[], call()).await, "preview false, count 1");
    assert_eq!(said(&gateway, "/signup", &[], call()).await, "preview false, count 1", "the same answer again");
    gateway.work().await;
    assert_eq!(out(&gateway), ["call false"]);
    let marks: Vec<bool> = records(&gateway).await.iter().rev().map(|record| record.preview).collect();
    assert_eq!(marks, [true, true, true, true, true, true, false]);
}

#[tokio::test]
async fn the_second_path_wants_the_same_secret() {
    let gateway = gateway();
    for path in ["/signup/try", "/events/try"] {
        assert_eq!(gateway.call(Method::POST, path, &[("x-try", "1")], with_id("okta.registration", "a")).await.0, 401);
    }
}

#[tokio::test]
async fn an_event_that_was_tried_still_runs_when_it_comes() {
    let gateway = gateway();
    let event = sample("okta.event");
    let uuid = "0b7e4c1a-15f3-11f1-9c1d-5f1a4c7d2e10";
    let deliver = async |path: &str, headers: &[(&str, &str)]| {
        let headers: Vec<_> = [("authorization", SECRET)].into_iter().chain(headers.iter().copied()).collect();
        assert_eq!(gateway.call(Method::POST, path, &headers, event).await.0, 204);
        gateway.work().await;
    };
    deliver("/events/try", &[]).await;
    deliver("/events/try", &[]).await;
    deliver("/events", &[("x-try", "yes")]).await;
    assert_eq!(out(&gateway), Vec::<String>::new());
    let tried = gateway.event(uuid).await;
    assert!(tried.event.flags.preview && tried.event.key == uuid);
    let states: Vec<_> = tried.jobs.iter().map(|job| (job.kind, job.state)).collect();
    assert_eq!(states, [(JobKind::Rule, JobState::Done), (JobKind::Action, JobState::Suppressed)]);
    let ran = records(&gateway).await;
    assert!(ran.len() == 3 && ran.iter().all(|record| record.preview), "{ran:#?}");
    deliver("/events", &[]).await;
    deliver("/events", &[]).await;
    assert_eq!(out(&gateway), [format!("{uuid} false")]);
    assert!(!gateway.event(uuid).await.event.flags.preview);
}

/// Samples of Okta's console, as they come and as people edit them before they send them.
#[tokio::test]
async fn an_edited_sample_of_the_console_does_nothing() {
    let gateway = gateway();
    let mut number = 0;
    for (result, filled) in [("Success", false), ("success", true), ("sUCCESS", true), ("SUCCESS", false)] {
        let mut call: Value = serde_json::from_str(sample("okta.event")).unwrap();
        number += 1;
        let event = &mut call["data"]["events"][0];
        event["uuid"] = json!(format!("edited-{number}"));
        event["outcome"]["result"] = json!(result);
        if !filled {
            for member in ["actor", "target", "debugContext", "securityContext"] {
                event[member] = Value::Null;
            }
            event["transaction"] = json!({ "type": null, "id": "", "detail": null });
        }
        let headers = [("authorization", SECRET)];
        assert_eq!(gateway.call(Method::POST, "/events", &headers, call.to_string()).await.0, 204);
    }
    gateway.work().await;
    assert_eq!(out(&gateway), Vec::<String>::new());
}

/// Whoever signs in writes the address that a token call carries: it must not switch actions off.
#[tokio::test]
async fn only_the_path_of_oktas_console_marks_a_call() {
    let gateway = gateway();
    let with_url = |number: usize, url: &str| {
        let mut call: Value = serde_json::from_str(&with_id("okta.registration", number)).unwrap();
        call["data"]["context"]["request"]["url"] = json!({ "value": url });
        call.to_string()
    };
    for (number, url) in [
        "/idp/idx/enroll?next=/generatePreview",
        "https://example.okta.com/oauth2/v1/authorize?state=/api/internal/x/generatePreview",
        "https://example.okta.com/oauth2/v1/authorize#/generatePreview",
        "/other/generatePreview",
    ]
    .into_iter()
    .enumerate()
    {
        let said = said(&gateway, "/signup", &[], with_url(number, url)).await;
        assert!(said.starts_with("preview false"), "{url}: {said}");
    }
    for url in
        ["/api/internal/v1/inlineHooks/x/generatePreview", "https://o.okta.com/api/internal/x/generatePreview?y=1"]
    {
        let said = said(&gateway, "/signup", &[], with_url(9, url)).await;
        assert!(said.starts_with("preview true"), "{url}: {said}");
    }
}

#[tokio::test]
async fn no_code_is_sent_on_the_second_path() {
    let script = r#"fn on_telephony(request) { send([via("carrier")]) }"#;
    let more = format!("preview_path = \"/try\"\n{}", sender("carrier"));
    let gateway = TestGateway::with("okta.telephony", "\"let_okta_send\"", script, &more);
    let (status, reply) =
        gateway.call(Method::POST, "/try", &[("authorization", SECRET)], with_id("okta.telephony", "a")).await;
    // The answer is the one for when the connector takes it; nobody at `sms.example` was asked.
    assert_eq!((status, &reply["commands"][0]["value"][0]["status"]), (200, &json!("SUCCESSFUL")), "{reply}");
    let asked: u64 = gateway.metrics.route("hook").fallback.read().iter().map(|(_, count)| count).sum();
    assert_eq!(asked, 0);
}
