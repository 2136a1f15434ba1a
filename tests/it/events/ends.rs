//! What receivers answer, and how an action ends on it; and actions of calls that somebody waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hookgate_store::{JobKind, JobState, Query};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::events::{delivery, event, jobs};
use crate::harness::TestGateway;

/// Answers every request with these bytes, or never. Gives its port and how many requests came.
async fn receiver(answer: Option<&'static str>) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counter = counter.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 65_536];
                let read = stream.read(&mut buffer).await.unwrap_or(0);
                if read > 0 {
                    counter.fetch_add(1, Ordering::SeqCst);
                }
                match answer {
                    Some(answer) => drop(stream.write_all(answer.as_bytes()).await),
                    None => std::future::pending().await,
                }
            });
        }
    });
    (port, count)
}

fn gateway(port: u16) -> TestGateway {
    posting(port, "timeout_ms = 200\nretry = { attempts = 2, first_ms = 1, most_ms = 5 }")
}

/// A gateway whose one rule posts each event to a system at `port`, with more lines for the connector.
pub fn posting(port: u16, more: &str) -> TestGateway {
    let config = format!(
        r#"
[auth.test]
scheme = "header"
secrets = [{{ file = "secret" }}]
[connectors.app]
kind = "http"
base_url = "http://127.0.0.1:{port}"
allow_private = true
{more}
[routes.hook]
path = "/hook"
hook = "okta.event"
auth = "test"
script = "hook.rhai"
"#
    );
    let script = r#"fn on_event(event) { post("app", "/x", #{ id: event.id }) }"#;
    TestGateway::bundle(&config, &[("scripts/hook.rhai", script)])
}

#[tokio::test]
async fn every_answer_of_a_receiver_has_its_end() {
    let answers: [(&str, Option<&'static str>, JobState, &[&str]); 9] = [
        ("ok", Some("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"), JobState::Done, &["done"]),
        ("no body", Some("HTTP/1.1 204 No Content\r\n\r\n"), JobState::Done, &["done"]),
        (
            "redirect",
            Some("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n"),
            JobState::Dead,
            &["refused"],
        ),
        ("no", Some("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno"), JobState::Dead, &["refused"]),
        ("busy", Some("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"), JobState::Dead, &["not_delivered"; 2]),
        (
            "later",
            Some("HTTP/1.1 429 Slow\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n"),
            JobState::Dead,
            &["not_delivered"; 2],
        ),
        ("garbage", Some("\u{1}\u{2}nonsense\r\n\r\n"), JobState::Dead, &["maybe_delivered"; 2]),
        ("closed", Some(""), JobState::Dead, &["maybe_delivered"; 2]),
        ("never", None, JobState::Dead, &["maybe_delivered"; 2]),
    ];
    for (name, answer, state, results) in answers {
        let (port, count) = receiver(answer).await;
        let gateway = gateway(port);
        assert_eq!(gateway.post(delivery("d1", &[event("e1", json!({}))])).await.0, 204);
        gateway.work().await;
        let kept = gateway.event("e1").await;
        assert_eq!(jobs(&kept, JobKind::Action), [(state, results.to_vec())], "{name}");
        assert_eq!(count.load(Ordering::SeqCst), results.len(), "{name}");
    }
}

#[tokio::test]
async fn nobody_listening_is_not_delivered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let gateway = gateway(port);
    assert_eq!(gateway.post(delivery("d1", &[event("e1", json!({}))])).await.0, 204);
    gateway.work().await;
    let kept = gateway.event("e1").await;
    assert_eq!(jobs(&kept, JobKind::Action), [(JobState::Dead, vec!["not_delivered"; 2])]);
}

/// A registration whose script denies and asks for an action.
fn inline() -> TestGateway {
    let config = r#"
[auth.test]
scheme = "header"
secrets = [{ file = "secret" }]
[connectors.out]
kind = "file"
path = "out.jsonl"
[routes.hook]
path = "/hook"
hook = "okta.registration"
auth = "test"
script = "hook.rhai"
on_failure = { deny = "later" }
"#;
    let script = r#"fn on_registration(request) { [deny("no"), notify("out", request.email.text)] }"#;
    TestGateway::bundle(config, &[("scripts/hook.rhai", script)])
}

fn registration(id: &str) -> String {
    let sample = hookgate_hooks::find("okta.registration").unwrap().samples[0].request;
    let mut call: serde_json::Value = serde_json::from_str(sample).unwrap();
    call["eventId"] = json!(id);
    call.to_string()
}

#[tokio::test]
async fn the_actions_of_an_answered_call_are_kept_before_the_answer_leaves() {
    let gateway = inline();
    let (status, reply) = gateway.post(registration("c1")).await;
    assert_eq!(status, 200);
    assert_eq!(reply["commands"][0]["value"]["registration"], "DENY");
    let kept = gateway.event("c1").await;
    assert!(kept.event.flags.call && kept.body.is_empty(), "the body of a call is never kept");
    assert_eq!(jobs(&kept, JobKind::Action), [(JobState::Waiting, vec![])]);
    // The provider calls again: also when the guard has forgotten the call.
    gateway.write("scripts/hook.rhai", r#"fn on_registration(request) { notify("out", "again") }"#);
    gateway.reload();
    assert_eq!(gateway.post(registration("c1")).await.0, 204);
    gateway.work().await;
    assert_eq!(super::messages(&gateway).len(), 1);
    assert_ne!(super::messages(&gateway), ["again"]);
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_promised() {
    let gateway = inline();
    // The store's file goes away under it.
    std::fs::rename(gateway.place.root.join("data"), gateway.place.root.join("gone")).unwrap();
    let (status, reply) = gateway.post(registration("c1")).await;
    assert_eq!(status, 200);
    assert!(reply.to_string().contains("later"), "the declared answer: {reply}");
    let metrics = gateway.metrics.encode();
    assert!(metrics.contains(r#"hookgate_fallback_total{route="hook",reason="store"} 1"#), "{metrics}");
    let page = gateway.delivery.store().list(Query::default()).await;
    assert!(page.is_err() || page.is_ok_and(|page| page.events.is_empty()));
}
