//! A rule asks a system that is down: it waits for it as actions do, and is not a dead letter a moment later (#14).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hookgate_store::{JobKind, JobState};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::events::{delivery, event, jobs, messages};
use crate::harness::TestGateway;

const MANY: usize = 60;

/// Hangs up on everybody until it is up.
async fn hr(up: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            if !up.load(Ordering::SeqCst) {
                continue;
            }
            tokio::spawn(async move {
                let mut chunk = [0; 4096];
                let _ = stream.read(&mut chunk).await;
                let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    port
}

fn gateway(port: u16, retry: &str) -> TestGateway {
    let config = format!(
        r#"
[auth.test]
scheme = "header"
secrets = [{{ file = "secret" }}]
[connectors.out]
kind = "file"
path = "out.jsonl"
[connectors.hr]
kind = "http"
base_url = "http://127.0.0.1:{port}"
allow_private = true
[routes.hook]
path = "/hook"
hook = "okta.event"
auth = "test"
[routes.hook.rules.ask]
events = ["*"]
script = "hook.rhai"
retry = {retry}
"#
    );
    let script = r#"fn on_event(event) {
        http("hr").get("/people/7");
        notify("out", event.id)
    }"#;
    TestGateway::bundle(&config, &[("scripts/hook.rhai", script)])
}

fn postponed(gateway: &TestGateway) -> usize {
    let metrics = gateway.metrics.encode();
    let line = metrics.lines().find(|line| line.contains(r#"rule="ask",state="postponed""#));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_whose_lookup_is_given_a_rest_waits_and_keeps_its_tries() {
    let up = Arc::new(AtomicBool::new(false));
    let gateway = gateway(hr(up.clone()).await, "{ attempts = 20, first_ms = 1, most_ms = 1 }");
    let events: Vec<_> = (0..MANY).map(|number| event(&format!("e{number}"), json!({}))).collect();
    assert_eq!(gateway.post(delivery("d1", &events)).await.0, 204);
    let back = async {
        let deadline = Instant::now() + Duration::from_secs(30);
        while postponed(&gateway) < MANY {
            assert!(Instant::now() < deadline, "they do not wait");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        up.store(true, Ordering::SeqCst);
    };
    tokio::join!(gateway.work(), back);
    assert_eq!(messages(&gateway).len(), MANY);
    let mut tries = 0;
    for number in 0..MANY {
        let found = jobs(&gateway.event(&format!("e{number}")).await, JobKind::Rule).remove(0).1.len();
        tries += found;
    }
    assert!(tries < 3 * MANY, "{tries} tries of {MANY}: what was not asked was no try");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_waits_no_longer_than_it_would_be_tried() {
    let gateway = gateway(
        hr(Arc::new(AtomicBool::new(false))).await,
        "{ attempts = 1000, first_ms = 1, most_ms = 1, give_up_s = 1 }",
    );
    let events: Vec<_> = (0..MANY).map(|number| event(&format!("e{number}"), json!({}))).collect();
    assert_eq!(gateway.post(delivery("d1", &events)).await.0, 204);
    gateway.work().await;
    let kept = gateway.event("e0").await;
    assert_eq!(jobs(&kept, JobKind::Rule)[0].0, JobState::Dead);
}
