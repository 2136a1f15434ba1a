//! A ticket is filed once, although the answer to the first try got lost.

use std::sync::{Arc, Mutex};

use hookgate_store::{EventRef, JobKind, JobState, Operation, Selection};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::events::{delivery, event, jobs};
use crate::harness::TestGateway;

/// A ServiceNow that takes every incident and answers nothing to it, but tells what it has. Gives its port and what was asked.
async fn desk() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = asked.clone();
    tokio::spawn(async move {
        let mut filed: Option<String> = None;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = String::new();
            while whole(&request).is_none() {
                let mut chunk = [0; 4096];
                match stream.read(&mut chunk).await {
                    Ok(count) if count > 0 => request += &String::from_utf8_lossy(&chunk[..count]),
                    _ => break,
                }
            }
            seen.lock().unwrap().push(request.split(' ').next().unwrap_or_default().to_owned());
            if let (true, Some(body)) = (request.starts_with("POST"), whole(&request)) {
                filed = body["correlation_id"].as_str().map(str::to_owned);
                continue;
            }
            let record = filed.as_ref().map(|id| json!({ "number": "INC1", "sys_id": "a", "correlation_id": id }));
            let body = json!({ "result": record.into_iter().collect::<Vec<_>>() }).to_string();
            let answer =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, asked)
}

/// The body of a request, once all of it is there; of one without a body `null`.
fn whole(request: &str) -> Option<Value> {
    let (head, body) = request.split_once("\r\n\r\n")?;
    if head.starts_with("GET") { Some(Value::Null) } else { serde_json::from_str(body).ok() }
}

fn gateway(port: u16, attempts: u32) -> TestGateway {
    let config = format!(
        r#"
[auth.test]
scheme = "header"
secrets = [{{ file = "secret" }}]
[connectors.tickets]
kind = "servicenow"
base_url = "http://127.0.0.1:{port}"
user = "hook"
password = {{ file = "secret" }}
allow_private = true
retry = {{ attempts = {attempts}, first_ms = 1, most_ms = 5 }}
[routes.hook]
path = "/hook"
hook = "okta.event"
auth = "test"
script = "hook.rhai"
"#
    );
    TestGateway::bundle(&config, &[("scripts/hook.rhai", r#"fn on_event(event) { notify("tickets", event.id) }"#)])
}

#[tokio::test]
async fn a_try_without_an_answer_is_looked_for_before_the_next_one() {
    let (port, asked) = desk().await;
    let gateway = gateway(port, 3);
    assert_eq!(gateway.post(delivery("d1", &[event("e1", json!({}))])).await.0, 204);
    gateway.work().await;
    let kept = gateway.event("e1").await;
    assert_eq!(jobs(&kept, JobKind::Action), [(JobState::Done, vec!["maybe_delivered", "done"])]);
    assert_eq!(*asked.lock().unwrap(), ["POST", "GET"]);
}

#[tokio::test]
async fn a_dead_letter_that_is_replayed_is_looked_for_first() {
    let (port, asked) = desk().await;
    let gateway = gateway(port, 1);
    assert_eq!(gateway.post(delivery("d1", &[event("e1", json!({}))])).await.0, 204);
    gateway.work().await;
    let kept = gateway.event("e1").await;
    assert_eq!(jobs(&kept, JobKind::Action), [(JobState::Dead, vec!["maybe_delivered"])]);
    let replay = Operation::Replay { which: Selection::One(EventRef::Key("e1".into())), force: false };
    assert_eq!(gateway.delivery.store().operate(replay).await.unwrap(), 1);
    gateway.work().await;
    let kept = gateway.event("e1").await;
    assert_eq!(jobs(&kept, JobKind::Action), [(JobState::Done, vec!["maybe_delivered", "done"])]);
    assert_eq!(*asked.lock().unwrap(), ["POST", "GET"]);
}
