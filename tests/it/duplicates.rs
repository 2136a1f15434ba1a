//! The same call again: the first answer, byte for byte, and one run of the script.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::harness::{SECRET, TestGateway, with_id};

/// Every run replies something else.
const SCRIPT: &str = "fn on_registration(request) { set_profile(\"run\", uuid()) }";

const CONFIG: &str = r#"
[limits]
deadline_ms = 20_000 # a busy machine is no failure

[auth.test]
scheme = "header"
secrets = [{ file = "secret" }]

[routes.one]
path = "/one"
hook = "okta.registration"
script = "hook.rhai"
auth = "test"
on_failure = "allow"

[routes.two]
path = "/two"
hook = "okta.registration"
script = "hook.rhai"
auth = "test"
on_failure = "allow"
"#;

fn gateway(script: &str) -> TestGateway {
    TestGateway::bundle(CONFIG, &[("scripts/hook.rhai", script)])
}

async fn post(gateway: &TestGateway, path: &str, body: impl Into<Bytes>) -> Bytes {
    let response = gateway.respond(Method::POST, path, &[("authorization", SECRET)], body).await;
    assert_eq!(response.status(), 200);
    response.into_body()
}

/// How many calls of a route had this outcome.
fn outcomes(gateway: &TestGateway, route: &str, outcome: &str) -> u64 {
    let counted = gateway.metrics.route(route).calls.read();
    counted.into_iter().find(|(name, _)| *name == outcome).map_or(0, |(_, count)| count)
}

#[tokio::test]
async fn a_repeated_call_gets_the_same_bytes_and_runs_once() {
    let gateway = gateway(SCRIPT);
    let first = post(&gateway, "/one", with_id("okta.registration", "a")).await;
    for _ in 0..3 {
        assert_eq!(post(&gateway, "/one", with_id("okta.registration", "a")).await, first);
    }
    // A retry may be written differently.
    let pretty =
        serde_json::to_string_pretty(&serde_json::from_str::<Value>(&with_id("okta.registration", "a")).unwrap())
            .unwrap();
    assert_eq!(post(&gateway, "/one/", pretty).await, first);
    assert_eq!((outcomes(&gateway, "one", "replied"), outcomes(&gateway, "one", "duplicate")), (1, 4));
    assert_ne!(post(&gateway, "/one", with_id("okta.registration", "b")).await, first);
    assert_ne!(post(&gateway, "/one", with_id("okta.registration", "A")).await, first);
}

#[tokio::test]
async fn a_declared_answer_is_repeated_and_counted_once() {
    let gateway = gateway("fn on_registration(request) { throw uuid() }");
    let first = post(&gateway, "/one", with_id("okta.registration", "a")).await;
    assert_eq!(post(&gateway, "/one", with_id("okta.registration", "a")).await, first);
    assert_eq!(gateway.metrics.route("one").fallback.read().iter().map(|(_, count)| count).sum::<u64>(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_wait_for_the_call_that_still_runs() {
    // Long enough that all others come while it runs.
    let slow = "fn on_registration(request) { let n = 0; while n < 300_000 { n += 1; } set_profile(\"run\", uuid()) }";
    let gateway = Arc::new(gateway(slow));
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let gateway = gateway.clone();
            tokio::spawn(async move { post(&gateway, "/one", with_id("okta.registration", "a")).await })
        })
        .collect();
    let mut replies = Vec::new();
    for call in calls {
        replies.push(call.await.unwrap());
    }
    assert!(replies.windows(2).all(|pair| pair[0] == pair[1]), "{replies:#?}");
    assert_eq!((outcomes(&gateway, "one", "replied"), outcomes(&gateway, "one", "duplicate")), (1, 19));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_takes_over_when_the_first_caller_hangs_up() {
    let slow =
        "fn on_registration(request) { let n = 0; while n < 1_000_000 { n += 1; } set_profile(\"run\", uuid()) }";
    let gateway = Arc::new(gateway(slow));
    let first = {
        let gateway = gateway.clone();
        tokio::spawn(async move { post(&gateway, "/one", with_id("okta.registration", "a")).await })
    };
    let release = gateway.live.current().unwrap();
    let permits = &release.route("/one").unwrap().permits;
    let all = release.route("/one").unwrap().limits.concurrent;
    while permits.available_permits() == all && !first.is_finished() {
        tokio::task::yield_now().await;
    }
    first.abort();
    let retry =
        tokio::time::timeout(Duration::from_secs(20), post(&gateway, "/one", with_id("okta.registration", "a")))
            .await
            .unwrap();
    assert_eq!(post(&gateway, "/one", with_id("okta.registration", "a")).await, retry);
}

#[tokio::test]
async fn other_routes_and_releases_answer_anew() {
    let gateway = gateway(SCRIPT);
    let first = post(&gateway, "/one", with_id("okta.registration", "a")).await;
    assert_ne!(post(&gateway, "/two", with_id("okta.registration", "a")).await, first);
    gateway.write("scripts/hook.rhai", "fn on_registration(request) { set_profile(\"second\", uuid()) }");
    gateway.reload();
    let second: Value =
        serde_json::from_slice(&post(&gateway, "/one", with_id("okta.registration", "a")).await).unwrap();
    assert!(second["commands"][0]["value"]["second"].is_string(), "{second}");
    assert_eq!(outcomes(&gateway, "one", "duplicate"), 0);
}

/// A call under this id for this address.
fn registration(id: &str, email: &str) -> String {
    let mut call: Value = serde_json::from_str(&with_id("okta.registration", id)).unwrap();
    call["data"]["userProfile"]["email"] = json!(email);
    call.to_string()
}

#[tokio::test]
async fn one_id_with_another_body_is_another_call() {
    let script = r#"fn on_registration(request) { deny(request.email.text) }"#;
    let gateway = gateway(script);
    for email in ["allow@a.example", "deny@mailinator.com", "allow@a.example"] {
        let reply: Value = serde_json::from_slice(&post(&gateway, "/one", registration("ONE", email)).await).unwrap();
        assert_eq!(reply["error"]["errorSummary"], json!(email));
    }
    assert_eq!((outcomes(&gateway, "one", "replied"), outcomes(&gateway, "one", "duplicate")), (2, 1));
    // Calls of one request of the user share its id where they have none of their own.
    let of_request = |email: &str| {
        let mut call: Value = serde_json::from_str(&registration("", email)).unwrap();
        call.as_object_mut().unwrap().shift_remove("eventId");
        call.to_string()
    };
    for email in ["a@a.example", "b@b.example"] {
        let reply: Value = serde_json::from_slice(&post(&gateway, "/one", of_request(email)).await).unwrap();
        assert_eq!(reply["error"]["errorSummary"], json!(email));
    }
}

#[tokio::test]
async fn one_id_with_another_body_has_actions_of_its_own() {
    let connector = "[connectors.out]\nkind = \"file\"\npath = \"out.jsonl\"\n";
    let script = r#"fn on_registration(request) { notify("out", request.email.text) }"#;
    let gateway = TestGateway::bundle(&format!("{CONFIG}{connector}"), &[("scripts/hook.rhai", script)]);
    let call = async |gateway: &TestGateway, email: &str| {
        let headers = [("authorization", SECRET)];
        gateway.call(Method::POST, "/one", &headers, registration("ONE", email)).await;
    };
    call(&gateway, "a@a.example").await;
    call(&gateway, "b@b.example").await;
    gateway.work().await;
    // The guard forgets with its process, the store does not.
    let gateway = gateway.restarted().await;
    call(&gateway, "a@a.example").await;
    gateway.work().await;
    let out = std::fs::read_to_string(gateway.place.root.join("out.jsonl")).unwrap();
    let mut told: Vec<Value> =
        out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["message"].clone()).collect();
    told.sort_by_key(Value::to_string);
    assert_eq!(told, [json!("a@a.example"), json!("b@b.example")]);
    assert!(gateway.event("ONE").await.event.flags.call);
}

#[tokio::test]
async fn previews_and_calls_without_id_run_each_time() {
    let gateway = gateway(SCRIPT);
    let mut preview: Value = serde_json::from_str(&with_id("okta.registration", "a")).unwrap();
    preview["data"]["context"]["request"]["url"] = json!({ "value": "/api/internal/inlineHooks/cal1/generatePreview" });
    let mut nameless: Value = serde_json::from_str(&with_id("okta.registration", "a")).unwrap();
    nameless.as_object_mut().unwrap().shift_remove("eventId");
    nameless["data"]["context"]["request"].as_object_mut().unwrap().shift_remove("id");
    let mut empty = nameless.clone();
    empty["eventId"] = json!("");
    for call in [preview, nameless, empty] {
        assert_ne!(
            post(&gateway, "/one", call.to_string()).await,
            post(&gateway, "/one", call.to_string()).await,
            "{call}"
        );
    }
    assert_eq!(outcomes(&gateway, "one", "duplicate"), 0);
}
