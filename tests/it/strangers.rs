//! What callers can hold and hide who prove nothing (#13): at the sockets of a gateway in a process of its own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};

use crate::harness::{SECRET, TWO_ROUTES, TestGateway};
use crate::process::{Served, exchange, sample};

fn config() -> String {
    format!("{TWO_ROUTES}\n[limits]\nmax_events = 3\n\n[connectors.out]\nkind = \"file\"\npath = \"data/out.jsonl\"\n")
}

const FILES: &[(&str, &str)] = &[
    ("scripts/signup.rhai", "fn on_registration(request) { deny(\"before\") }"),
    ("scripts/events.rhai", "fn on_event(event) { notify(\"out\", event.id) }"),
];

fn delivery(count: usize) -> String {
    let event = |number| json!({ "uuid": format!("u{number}"), "eventType": "user.session.start" });
    let events: Vec<Value> = (0..count).map(event).collect();
    json!({ "eventType": "com.okta.event_hook", "eventId": "d", "data": { "events": events } }).to_string()
}

/// A connection with something sent, and no more.
fn half(port: u16, sent: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The gateway may have closed it already, to make room.
    let _ = stream.write_all(sent.as_bytes());
    stream
}

#[test]
fn whoever_is_refused_by_its_head_sends_no_body() {
    let served = Served::start(&config(), FILES);
    let right = format!("authorization: {SECRET}\r\n");
    let rows = [
        ("POST", "/signup", "authorization: wrong\r\n", "content-length: 4000000", "401", "not authenticated"),
        ("POST", "/signup", "", "content-length: 4000000", "401", "not authenticated"),
        ("POST", "/signup", "authorization: wrong\r\n", "transfer-encoding: chunked", "401", "not authenticated"),
        ("POST", "/nothing", &right, "content-length: 4000000", "404", "not found"),
        ("PUT", "/signup", &right, "content-length: 4000000", "405", "method not allowed"),
        ("POST", "/signup", &right, "content-length: 4194305", "413", "too large"),
        ("POST", "/signup", &right, "content-encoding: gzip\r\ncontent-length: 400", "415", "content-encoding"),
    ];
    for (method, path, secret, length, status, says) in rows {
        let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\n{secret}expect: 100-continue\r\n{length}\r\n\r\n");
        let mut answer = String::new();
        half(served.port, &head).read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(says), "{head}: {answer}");
        assert!(answer.contains("connection: close"), "{head}: {answer}");
        assert_eq!(answer.contains("accept-encoding: identity"), status == "415", "{head}: {answer}");
    }
    let log = served.stop();
    for reason in ["auth", "no_route", "method", "too_large", "encoded"] {
        assert!(log.contains(&format!("\"reason\":\"{reason}\"")), "{reason} is not in the log: {log}");
    }
}

#[tokio::test]
async fn a_delivery_of_too_many_events_is_refused_whole() {
    let gateway = TestGateway::bundle(&config(), FILES);
    let send = async |body: String| gateway.call(Method::POST, "/events", &[("authorization", SECRET)], body).await;
    let problem = "the delivery has 4 events, and `limits.max_events` allows 3";
    assert_eq!(send(delivery(4)).await, (413, json!({ "error": problem })));
    assert_eq!(gateway.delivery.health().waiting, 0, "nothing of it was kept");
    let refused = gateway.metrics.refusals.read().into_iter().find(|(reason, _)| *reason == "too_many_events");
    assert_eq!(refused, Some(("too_many_events", 1)));
    let junk =
        format!(r#"{{"eventType":"com.okta.event_hook","eventId":"d","data":{{"events":[{}1]}}}}"#, "1,".repeat(99));
    assert_eq!(send(junk).await.0, 413, "also of what are no events");
    assert_eq!(send(delivery(3)).await.0, 204);
}

#[test]
fn the_admin_listener_reads_heads_as_strictly() {
    let served = Served::start(&config(), FILES);
    let close = "connection: close\r\n";
    for (call, status) in [
        (format!("GET /livez HTTP/1.1\r\nhost: localhost\r\n{close}\r\n"), "200"),
        (format!("GET /livez HTTP/1.1\r\n{close}\r\n"), "400"),
        (format!("GET /livez HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n{close}\r\n"), "400"),
        (format!("GET /livez HTTP/1.1\nhost: localhost\n{close}\r\n"), "400"),
        (format!("GET /livez HTTP/1.1\r\nhost: localhost\r\ncontent-encoding: gzip\r\n{close}\r\n"), "415"),
        (
            "POST /api/v1/session HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}".to_owned(),
            "400",
        ),
        (
            "POST /api/v1/session HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 20000\r\n\r\n".to_owned(),
            "413",
        ),
    ] {
        let answer = exchange(served.admin, &call).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{call}: {answer}");
    }
    served.stop();
}

#[cfg(target_os = "linux")]
#[test]
fn memory_of_bodies_goes_back_when_they_leave() {
    const BODY: usize = 4_000_000;
    const BODIES: usize = 24;
    let served = Served::start(&config(), FILES);
    let before = served.resident_kib();
    let deadline = Instant::now() + Duration::from_secs(60);
    let wait_until = |what: &str, enough: &dyn Fn(u64) -> bool| {
        while !enough(served.resident_kib()) {
            assert!(Instant::now() < deadline, "{what}: {before} KiB before, {} now", served.resident_kib());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let head = format!("POST /signup HTTP/1.1\r\nhost: x\r\nauthorization: {SECRET}\r\ncontent-length: {BODY}\r\n\r\n");
    let almost = vec![b'x'; BODY - 1];
    let quarter = (BODIES * BODY / 1024 / 4) as u64;
    let senders: Vec<TcpStream> = std::thread::scope(|scope| {
        let send = || {
            let mut stream = half(served.port, &head);
            let _ = stream.write_all(&almost);
            stream
        };
        let senders: Vec<_> = (0..BODIES).map(|_| scope.spawn(send)).collect();
        // Each may hold its body for three seconds, so they are not all there at once on a slow machine.
        wait_until("the bodies are held", &|now| now > before + quarter);
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    drop(senders);
    wait_until("their memory goes back", &|now| now < before + quarter);
    served.stop();
}

#[test]
fn at_the_limit_of_open_files_everything_still_works() {
    let served = Served::start_within(256, &config(), FILES);
    let mut held = Vec::new();
    for number in 0..100 {
        held.push(half(served.port, if number % 2 == 0 { "" } else { "POST /sig" }));
        held.push(half(served.admin, if number % 2 == 0 { "" } else { "GET / HT" }));
    }
    let call = |id: &str| {
        let mut body: Value = serde_json::from_str(sample("okta.registration")).unwrap();
        body["eventId"] = json!(id);
        served.post("/signup", &body.to_string())
    };
    assert!(call("first").contains("before"));
    assert!(served.admin("/livez").unwrap().starts_with("HTTP/1.1 200 "));
    assert!(served.admin("/api/v1/status").unwrap().starts_with("HTTP/1.1 200 "));
    assert!(served.post("/events", &delivery(3)).starts_with("HTTP/1.1 204 "), "the store works");

    let deadline = Instant::now() + Duration::from_secs(60);
    let wait = |what: &str| {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    };
    let out = served.folder().join("data/out.jsonl");
    while std::fs::read_to_string(&out).unwrap_or_default().lines().count() < 3 {
        wait("actions are not done");
    }
    std::fs::write(served.folder().join("scripts/signup.rhai"), "fn on_registration(request) { deny(\"after\") }")
        .unwrap();
    let mut number = 0;
    while !call(&format!("call-{number}")).contains("after") {
        number += 1;
        wait("the new script is not taken");
    }
    drop(held);
    let log = served.stop();
    assert!(log.contains("the system allows too few open files") && log.contains("\"files.allowed\":256"), "{log}");
    let times = log.matches("all connections that are allowed are open").count();
    assert!((1..=8).contains(&times), "told {times} times");
    assert!(!log.contains("cannot be accepted"), "{log}");
}
