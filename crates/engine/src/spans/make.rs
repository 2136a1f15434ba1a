//! The spans of one decision.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use hookgate_model::decision::{LookupLine, Record};
use hookgate_model::trace;
use hookgate_model::trace::Part;

/// The call, and what it was made of: decoding, the script, each lookup, encoding. Of a refused call only itself; of a
/// call whose caller does not record its trace, none. When lookups began is not known: they are spread over the run.
pub(super) fn spans(record: &Record) -> Vec<SpanData> {
    if record.unsampled {
        return Vec::new();
    }
    let times = record.times;
    let mut spans = vec![call(record)];
    if record.script.is_none() {
        return spans;
    }
    let part = |name: &str, part, from: u64, took: u64| {
        let parent = trace::span_id(&record.id, Part::Call);
        let span = Span { name: name.to_owned(), part, parent, kind: SpanKind::Internal, from, took };
        span.of(record)
    };
    let script_us = times.script_us + times.lookups_us;
    if record.rule.is_none() {
        spans.push(part("decode", Part::Decode, 0, times.decode_us));
    }
    let script = record.script.as_deref().unwrap_or_default();
    let attributes = vec![text("hookgate.script", script), number("hookgate.script_us", times.script_us)];
    let span = part(&format!("script {script}"), Part::Script, times.decode_us, script_us);
    spans.push(SpanData { attributes, ..span });
    // What the script took itself, between its lookups.
    let gap = times.script_us / (record.lookups.len() as u64 + 1);
    let mut from = times.decode_us;
    for (index, lookup) in record.lookups.iter().enumerate() {
        from += gap;
        spans.push(looked_up(record, index, lookup, from));
        from += lookup.took_us;
    }
    let encoded_from = times.decode_us + script_us;
    if record.rule.is_none() {
        spans.push(part("encode", Part::Encode, encoded_from, times.total_us.saturating_sub(encoded_from)));
    }
    spans
}

fn call(record: &Record) -> SpanData {
    let name = match &record.rule {
        Some(rule) => format!("{}.{rule}", record.route),
        None if record.route.is_empty() => "call".to_owned(),
        None => record.route.clone(),
    };
    let parent = record.parent_span.as_deref().and_then(|span| SpanId::from_hex(span).ok());
    let parent = parent.map_or([0; 8], SpanId::to_bytes);
    let kind = if record.rule.is_some() { SpanKind::Consumer } else { SpanKind::Server };
    let span = Span { name, part: Part::Call, parent, kind, from: 0, took: record.times.total_us };
    let mut attributes = vec![
        text("hookgate.decision", &record.id),
        text("hookgate.route", &record.route),
        text("hookgate.hook", &record.hook),
        text("hookgate.outcome", &record.outcome),
        text("hookgate.release", &record.release),
        KeyValue::new("hookgate.preview", record.preview),
    ];
    attributes.extend(record.rule.as_deref().map(|rule| text("hookgate.rule", rule)));
    attributes.extend(record.status.map(|status| number("http.response.status_code", u64::from(status))));
    let status = match &record.failure {
        Some(failure) => {
            attributes.push(text("error.type", &failure.reason));
            Status::error(failure.reason.clone())
        }
        None => Status::Unset,
    };
    SpanData { attributes, status, parent_span_is_remote: record.parent_span.is_some(), ..span.of(record) }
}

fn looked_up(record: &Record, index: usize, lookup: &LookupLine, from: u64) -> SpanData {
    let span = Span {
        name: format!("lookup {}", lookup.connector),
        part: Part::Lookup(index),
        parent: trace::span_id(&record.id, Part::Script),
        kind: SpanKind::Client,
        from,
        took: lookup.took_us,
    };
    let attributes = vec![
        text("hookgate.connector", &lookup.connector),
        text("hookgate.family", &lookup.family),
        text("hookgate.outcome", &lookup.outcome),
    ];
    let good = ["ok", "stale"].contains(&lookup.outcome.as_str());
    let status = if good { Status::Unset } else { Status::error(lookup.outcome.clone()) };
    SpanData { attributes, status, ..span.of(record) }
}

/// A part of a decision: when it began after the call did, and how long it took, in microseconds.
struct Span {
    name: String,
    part: Part,
    parent: [u8; 8],
    kind: SpanKind,
    from: u64,
    took: u64,
}

impl Span {
    fn of(self, record: &Record) -> SpanData {
        let arrived = UNIX_EPOCH + Duration::from_millis(u64::try_from(record.at).unwrap_or_default());
        let start_time: SystemTime = arrived + Duration::from_micros(self.from);
        let given = record.trace_id.as_deref().and_then(|trace| TraceId::from_hex(trace).ok());
        let trace_id = given.unwrap_or_else(|| TraceId::from_bytes(trace::trace_id(&record.id)));
        let span_id = SpanId::from_bytes(trace::span_id(&record.id, self.part));
        SpanData {
            span_context: SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, false, TraceState::NONE),
            parent_span_id: SpanId::from_bytes(self.parent),
            parent_span_is_remote: false,
            span_kind: self.kind,
            name: Cow::Owned(self.name),
            start_time,
            end_time: start_time + Duration::from_micros(self.took),
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::builder("hookgate")
                .with_version(env!("CARGO_PKG_VERSION"))
                .build(),
        }
    }
}

fn text(name: &'static str, value: &str) -> KeyValue {
    KeyValue::new(name, value.to_owned())
}

fn number(name: &'static str, value: u64) -> KeyValue {
    KeyValue::new(name, i64::try_from(value).unwrap_or(i64::MAX))
}
