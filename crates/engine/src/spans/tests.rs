//! Spans of records, and a collector that is there, or is not.

use opentelemetry::trace::{SpanId, SpanKind, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::broadcast;

use super::*;
use hookgate_model::decision::{Failure, LookupLine, Times};
use hookgate_model::trace::{Part, span_id};

const CANARY: &str = "c4n4ry";

fn record() -> Record {
    let lookup = |connector: &str, outcome: &str, took_us| LookupLine {
        connector: connector.to_owned(),
        family: "http".to_owned(),
        outcome: outcome.to_owned(),
        took_us,
    };
    Record {
        id: "0198a1b2c3d4e5f60718293a4b5c6d7e".to_owned(),
        at: 1_700_000_000_000,
        route: "signup".to_owned(),
        hook: "okta.registration".to_owned(),
        outcome: "denied".to_owned(),
        reason: Some(CANARY.to_owned()),
        effect: Some(CANARY.to_owned()),
        event_id: Some(CANARY.to_owned()),
        script: Some("signup.rhai".to_owned()),
        status: Some(200),
        commands: Some(vec![serde_json::json!({ "deny": { "text": CANARY } })]),
        lookups: vec![lookup("hr", "ok", 5_000), lookup("crm", "timeout", 1_000)],
        times: Times { decode_us: 100, script_us: 300, lookups_us: 6_000, total_us: 7_000 },
        ..Record::default()
    }
}

fn names(spans: &[SpanData]) -> Vec<&str> {
    spans.iter().map(|span| &*span.name).collect()
}

#[test]
fn a_call_is_told_with_its_parts() {
    let record = record();
    let spans = make::spans(&record);
    assert_eq!(names(&spans), ["signup", "decode", "script signup.rhai", "lookup hr", "lookup crm", "encode"]);
    let id = |part| SpanId::from_bytes(span_id(&record.id, part));
    let parents: Vec<SpanId> = spans.iter().map(|span| span.parent_span_id).collect();
    let (call, script) = (id(Part::Call), id(Part::Script));
    assert_eq!(parents, [SpanId::INVALID, call, call, script, script, call]);
    assert_eq!(spans[3].span_context.span_id(), id(Part::Lookup(0)));
    assert!(spans.iter().all(|span| span.span_context.trace_id().to_string() == record.id), "{spans:?}");
    assert_eq!((&spans[0].span_kind, &spans[3].span_kind), (&SpanKind::Server, &SpanKind::Client));
    assert_eq!(spans[4].status, Status::error("timeout"));
    let took = |span: &SpanData| span.end_time.duration_since(span.start_time).expect("forwards").as_micros();
    assert_eq!(spans.iter().map(took).collect::<Vec<_>>(), [7_000, 100, 6_300, 5_000, 1_000, 600]);
    assert!(spans.iter().all(|span| span.start_time >= spans[0].start_time && span.end_time <= spans[0].end_time));
    assert!(!format!("{spans:?}").contains(CANARY), "{spans:?}");
}

#[test]
fn a_call_is_a_part_of_its_callers_trace_if_that_is_recorded() {
    let trace = "0af7651916cd43dd8448eb211c80319c".to_owned();
    let record = Record { trace_id: Some(trace.clone()), parent_span: Some("b7ad6b7169203331".to_owned()), ..record() };
    let spans = make::spans(&record);
    assert_eq!(spans[0].parent_span_id.to_string(), "b7ad6b7169203331");
    assert!(
        spans[0].parent_span_is_remote && spans.iter().all(|span| span.span_context.trace_id().to_string() == trace)
    );
    assert!(make::spans(&Record { unsampled: true, ..record }).is_empty());
}

#[test]
fn a_failure_and_a_refusal_are_errors_without_their_text() {
    let failure = Failure { reason: "timeout".to_owned(), text: CANARY.to_owned(), ..Failure::default() };
    let failed = make::spans(&Record { failure: Some(failure.clone()), ..record() });
    assert_eq!(failed[0].status, Status::error("timeout"));
    let refused = make::spans(&Record { failure: Some(failure), script: None, ..record() });
    assert_eq!(names(&refused), ["signup"]);
    assert!(!format!("{failed:?}{refused:?}").contains(CANARY));
}

fn settings(endpoint: String) -> Settings {
    let headers = [("x-key".to_owned(), "k3y".to_owned())].into();
    Settings { endpoint, headers, service: "here".to_owned() }
}

fn count(metrics: &Metrics, result: &str) -> u64 {
    metrics.spans.read().into_iter().find(|(known, _)| *known == result).map_or(0, |(_, count)| count)
}

#[tokio::test]
async fn spans_reach_a_collector() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}/", listener.local_addr().expect("an address"));
    let (sender, records) = broadcast::channel(8);
    let metrics = Metrics::new();
    let spans = Spans::new(settings(endpoint), records, metrics.clone()).expect("an exporter");
    let running = tokio::spawn(spans.run(std::future::pending()));
    sender.send(Arc::new(record())).expect("somebody listens");
    // What waits is sent when the recorder goes.
    drop(sender);
    let (mut stream, _) = listener.accept().await.expect("it comes");
    let (mut got, mut part) = (Vec::new(), [0; 4096]);
    let wanted = |got: &[u8]| {
        let text = String::from_utf8_lossy(got);
        let (head, _) = text.split_once("\r\n\r\n")?;
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        Some(head.len() + 4 + length.unwrap_or(0_usize))
    };
    while wanted(&got).is_none_or(|wanted| got.len() < wanted) {
        let read = stream.read(&mut part).await.expect("readable");
        got.extend_from_slice(&part[..read]);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("writable");
    running.await.expect("it ends");
    let text = String::from_utf8_lossy(&got).into_owned();
    for part in ["POST /v1/traces HTTP/1.1", "application/x-protobuf", "x-key: k3y", "signup.rhai", "lookup hr", "here"]
    {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    assert!(!text.contains(CANARY), "{text}");
    assert_eq!((count(&metrics, "sent"), count(&metrics, "dropped")), (6, 0));
}

#[tokio::test]
async fn without_a_collector_spans_are_counted_and_gone() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let (sender, records) = broadcast::channel(2);
    let metrics = Metrics::new();
    let spans = Spans::new(settings(endpoint), records, metrics.clone()).expect("an exporter");
    for _ in 0..5 {
        sender.send(Arc::new(record())).expect("somebody listens");
    }
    drop(sender);
    spans.run(std::future::pending()).await;
    // Three records were too many for the line, and the spans of two had nowhere to go.
    assert_eq!((count(&metrics, "sent"), count(&metrics, "dropped")), (0, 3 + 12));
}
