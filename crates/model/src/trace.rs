//! W3C Trace Context: which trace a call belongs to, and what outside systems are told of it.
//!
//! Ids of spans are made from the id of the decision, so whoever tells of a span later, and the system that was told of it,
//! name the same one without anything being carried along.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};

/// The name of the header.
pub const HEADER: &str = "traceparent";

/// The trace that a caller says it is in (<https://www.w3.org/TR/trace-context/#traceparent-header>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
    /// Whether somebody records it.
    pub sampled: bool,
}

impl Parent {
    /// Reads the header's value: of version 00 exactly, of a later version what the specification promises of it. Anything
    /// else is no trace: `ff` is never a version, ids are lower-case and not all zero.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (head, rest) = value.split_at_checked(55)?;
        let version: [u8; 1] = hex_of(&head[..2])?;
        let dashes = head[2] == b'-' && head[35] == b'-' && head[52] == b'-';
        let fits = match version[0] {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.is_empty() || rest[0] == b'-',
        };
        let trace_id: [u8; 16] = hex_of(&head[3..35])?;
        let span_id: [u8; 8] = hex_of(&head[36..52])?;
        let flags: [u8; 1] = hex_of(&head[53..55])?;
        let named = trace_id.iter().any(|byte| *byte != 0) && span_id.iter().any(|byte| *byte != 0);
        (dashes && fits && named).then_some(Self { trace_id, span_id, sampled: flags[0] & 1 == 1 })
    }

    /// 32 hexadecimal digits.
    pub fn trace(&self) -> String {
        hex::encode(self.trace_id)
    }

    /// 16 hexadecimal digits.
    pub fn span(&self) -> String {
        hex::encode(self.span_id)
    }
}

/// Lower-case digits only.
fn hex_of<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if digits.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    hex::decode_to_slice(digits, &mut bytes).ok().map(|()| bytes)
}

/// A part of a decision that has a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Call,
    Decode,
    Script,
    /// The lookup of this number, from 0.
    Lookup(usize),
    Encode,
}

/// The id of the span of a part.
pub fn span_id(decision: &str, part: Part) -> [u8; 8] {
    let (name, number) = match part {
        Part::Call => ("call", 0),
        Part::Decode => ("decode", 0),
        Part::Script => ("script", 0),
        Part::Lookup(number) => ("lookup", number),
        Part::Encode => ("encode", 0),
    };
    first(&format!("{decision} {name} {number}"))
}

/// The id of the trace of a decision that nobody else is a part of: the decision's own, where that is 32 hexadecimal digits.
pub fn trace_id(decision: &str) -> [u8; 16] {
    hex_of(decision.as_bytes()).unwrap_or_else(|| first(decision))
}

fn first<const N: usize>(text: &str) -> [u8; N] {
    let digest = Sha256::digest(text.as_bytes());
    let mut id = [0; N];
    id.copy_from_slice(&digest[..N]);
    id
}

/// The trace of one run, of which lookups are told.
#[derive(Clone, Debug)]
pub struct Run {
    decision: String,
    trace_id: [u8; 16],
    sampled: bool,
}

/// Whether traces are begun here, because spans are exported.
static BEGUN: AtomicBool = AtomicBool::new(false);

/// From now on runs without a caller's trace are in one of their own. For the start of the process.
pub fn begin() {
    BEGUN.store(true, Ordering::Relaxed);
}

impl Run {
    /// The run of this decision: in the caller's trace, or in one of its own where traces are begun here; else in none.
    pub fn of(decision: &str, parent: Option<&Parent>) -> Option<Self> {
        let own = || BEGUN.load(Ordering::Relaxed).then(|| (trace_id(decision), true));
        let known = parent.map(|parent| (parent.trace_id, parent.sampled));
        let (trace_id, sampled) = known.or_else(own)?;
        Some(Self { decision: decision.to_owned(), trace_id, sampled })
    }

    /// What the system is told that the lookup of this number asks.
    pub fn lookup(&self, number: usize) -> Told {
        Told { trace_id: self.trace_id, span_id: span_id(&self.decision, Part::Lookup(number)), sampled: self.sampled }
    }
}

/// A span that an outside system is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    sampled: bool,
}

impl Told {
    /// A try of an action, which is in a trace of its own: all tries of one action are in the same. Nothing where no traces are
    /// begun.
    pub fn action(key: &str, attempt: u32) -> Option<Self> {
        BEGUN.load(Ordering::Relaxed).then(|| Self {
            trace_id: first(key),
            span_id: first(&format!("{key} {attempt}")),
            sampled: true,
        })
    }

    /// The value of the header.
    pub fn header(&self) -> String {
        let flags = u8::from(self.sampled);
        format!("00-{}-{}-{flags:02x}", hex::encode(self.trace_id), hex::encode(self.span_id))
    }
}

tokio::task_local! {
    static TOLD: Told;
}

/// Does the work as a part of this span: requests that it makes carry it. Without a span, of none.
pub async fn within<T>(told: Option<Told>, work: impl Future<Output = T>) -> T {
    match told {
        Some(told) => TOLD.scope(told, work).await,
        None => work.await,
    }
}

/// The span that the current task works for.
pub fn current() -> Option<Told> {
    TOLD.try_with(|told| *told).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_trace_is_taken_over_as_it_is_written() {
        let parent = Parent::parse(GOOD.as_bytes()).expect("it is one");
        assert_eq!(parent.trace(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!((parent.span().as_str(), parent.sampled), ("b7ad6b7169203331", true));
        let unsampled = Parent::parse(GOOD.replace("-01", "-02").as_bytes()).expect("it is one");
        assert!(!unsampled.sampled, "other flags say nothing");
    }

    #[test]
    fn only_what_the_specification_allows_is_a_trace() {
        let id = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";
        let table = [
            (format!("cc-{id}-01"), true),
            (format!("cc-{id}-01-what.the-future-will-be-like"), true),
            (format!("cc-{id}-01.what"), false),
            (format!("00-{id}-01-"), false),
            (format!("00-{id}-01-more"), false),
            (format!("ff-{id}-01"), false),
            (format!("0-{id}-01"), false),
            (format!("00-{id}-1"), false),
            (format!("00-{id}"), false),
            (format!(" 00-{id}-01"), false),
            (format!("00-{}-01", id.to_uppercase()), false),
            (format!("00-{}-01", id.replace('-', "_")), false),
            (format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)), false),
            (format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", "0".repeat(16)), false),
            (format!("00-{}-01", id.replace('f', "g")), false),
            (format!("00-{}-01", id.replace('f', "é")), false),
            (String::new(), false),
        ];
        for (value, good) in table {
            assert_eq!(Parent::parse(value.as_bytes()).is_some(), good, "{value}");
        }
    }

    #[tokio::test]
    async fn a_lookup_tells_of_its_own_span_in_the_callers_trace() {
        let parent = Parent::parse(GOOD.as_bytes()).expect("it is one");
        let run = Run::of("d1", Some(&parent)).expect("a caller's trace");
        assert_eq!(current(), None);
        let told = within(Some(run.lookup(1)), async { current() }).await.expect("it is told");
        let span = hex::encode(span_id("d1", Part::Lookup(1)));
        assert_eq!(told.header(), format!("00-0af7651916cd43dd8448eb211c80319c-{span}-01"));
        assert_ne!(run.lookup(0), run.lookup(1));
        assert_eq!(trace_id("0af7651916cd43dd8448eb211c80319c"), parent.trace_id);
    }
}
