//! The script that forwards everything, with a collector that is down at first: all of it arrives, each event once.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::events::{delivery, event};
use crate::harness::TestGateway;

/// The script with all that it imports.
pub(super) const SCRIPTS: &[(&str, &str)] = &[
    ("scripts/siem_forward.rhai", include_str!("../../../scripts/siem_forward.rhai")),
    ("scripts/lib/ecs.rhai", include_str!("../../../scripts/lib/ecs.rhai")),
    ("scripts/lib/event_types.rhai", include_str!("../../../scripts/lib/event_types.rhai")),
    ("scripts/lib/ocsf.rhai", include_str!("../../../scripts/lib/ocsf.rhai")),
    ("scripts/lib/raw.rhai", include_str!("../../../scripts/lib/raw.rhai")),
    ("scripts/lib/redact.rhai", include_str!("../../../scripts/lib/redact.rhai")),
];

/// Refuses the first requests, as a collector does whose queues are full; then takes them. What it took.
async fn collector(refused: usize) -> (u16, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let taken: Arc<Mutex<Vec<Value>>> = Arc::default();
    let seen = taken.clone();
    tokio::spawn(async move {
        let mut left = refused;
        while let Ok((mut stream, _)) = listener.accept().await {
            let body = body(&mut stream).await;
            let (status, answer) = if left > 0 {
                left -= 1;
                ("503 Busy", r#"{"text":"Server is busy","code":9}"#)
            } else {
                seen.lock().unwrap().push(serde_json::from_str(&body).unwrap());
                ("200 OK", r#"{"text":"Success","code":0}"#)
            };
            let length = answer.len();
            let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{answer}");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, taken)
}

async fn body(stream: &mut tokio::net::TcpStream) -> String {
    let mut text = String::new();
    loop {
        let mut chunk = [0; 8192];
        let count = stream.read(&mut chunk).await.unwrap_or(0);
        text += &String::from_utf8_lossy(&chunk[..count]);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if count == 0 || body.len() >= length.unwrap_or(0) {
            return body.to_owned();
        }
    }
}

fn gateway(port: u16, sink: &str) -> TestGateway {
    let config = format!(
        r#"
[auth.test]
scheme = "header"
secrets = [{{ file = "secret" }}]
[connectors.siem]
kind = "splunk_hec"
base_url = "http://127.0.0.1:{port}"
token = {{ file = "secret" }}
allow_private = true
retry = {{ attempts = 100, first_ms = 1, most_ms = 20 }}
[routes.hook]
path = "/hook"
hook = "okta.event"
auth = "test"
[routes.hook.rules.all]
events = ["*"]
script = "siem_forward.rhai"
[routes.hook.rules.all.params]
gateway = "gw-1"
sinks = [{sink}]
"#
    );
    TestGateway::bundle(&config, SCRIPTS)
}

/// What arrived of sixty events, after six refusals. Five open the breaker for five seconds and one more for ten: with a seventh the
/// rest could last longer than the test waits.
async fn arrived(sink: &str) -> Vec<Value> {
    let (port, taken) = collector(6).await;
    let gateway = gateway(port, sink);
    let client = json!({ "ipAddress": "198.51.100.7", "device": "Computer" });
    for batch in 0..6 {
        let one = |number: u32| event(&format!("e{batch}-{number}"), json!({ "client": client }));
        let events: Vec<_> = (0..10).map(one).collect();
        assert_eq!(gateway.post(delivery(&format!("d{batch}"), &events)).await.0, 204);
        // Okta did not hear it, and sends the same once more.
        assert_eq!(gateway.post(delivery(&format!("d{batch}"), &events)).await.0, 204);
    }
    gateway.work().await;
    taken.lock().unwrap().clone()
}

/// Asserts that each of the sixty is there once, by what names it in an entry.
fn each_once(entries: &[Value], path: &str) {
    let ids: BTreeSet<&str> = entries.iter().map(|entry| entry.pointer(path).unwrap().as_str().unwrap()).collect();
    assert_eq!((entries.len(), ids.len()), (60, 60));
    let keys: BTreeSet<&str> = entries.iter().map(|entry| entry["fields"]["hookgate_key"].as_str().unwrap()).collect();
    assert_eq!(keys.len(), 60);
}

#[tokio::test]
async fn a_collector_that_was_down_gets_every_event_once() {
    let entries = arrived(r#"{ connector = "siem" }"#).await;
    each_once(&entries, "/event/uuid");
    assert_eq!(entries[0]["event"]["client"]["ipAddress"], "198.51.100.7");
}

#[tokio::test]
async fn an_envelope_says_when_the_gateway_kept_it_and_leaves_out_what_it_must() {
    let entries = arrived(r#"{ connector = "siem", format = "envelope", redact = ["client.ipAddress"] }"#).await;
    each_once(&entries, "/event/id");
    for entry in &entries {
        let envelope = &entry["event"];
        assert_eq!((&envelope["gateway"], &envelope["left_out"]), (&json!("gw-1"), &json!([])));
        assert_eq!(envelope["event"]["client"], json!({ "device": "Computer" }));
        let kept: jiff::Timestamp = envelope["received"].as_str().unwrap().parse().unwrap();
        let published: jiff::Timestamp = "2026-03-02T08:30:00.125Z".parse().unwrap();
        assert_eq!(envelope["lag_ms"], kept.as_millisecond() - published.as_millisecond());
    }
}

#[tokio::test]
async fn the_words_of_a_schema_are_taken_like_an_event() {
    let entries = arrived(r#"{ connector = "siem", format = "ocsf" }"#).await;
    each_once(&entries, "/event/metadata/uid");
    assert_eq!(entries[0]["event"]["class_uid"], 3002);
    let entries = arrived(r#"{ connector = "siem", format = "ecs" }"#).await;
    each_once(&entries, "/event/event/id");
    // The time of an entry is the event's own.
    assert_eq!(entries[0]["time"].to_string(), "1772440200.125");
}
