//! `okta.event`: something has happened in the org, and rules look at it. Nothing we say changes it.
//!
//! One POST carries a batch of events (contract: event hooks, sections 4 and 5). Each is read on its own and leniently
//! (`reading`): what one event lacks or has in a wrong form never costs another one of the batch. An event that cannot be
//! read at all is kept with its [`Event::problem`] and without a type, so that it is seen.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use rhai::ImmutableString;
use serde_json::Value;

use crate::lenient::Text;
use crate::okta;
use crate::okta::caller;
use crate::okta::event::delivery::Delivery;
use crate::okta::event::reading::Reading;
use crate::okta::results;
use crate::recorded::RecordedParts;
use crate::{
    Answer, BatchForm, Caller, Catalogue, Contract, EventHook, Facts, Handshake, HookError, Judgement, Once, Parcel,
    Provider, ResultShape, Sample,
};
use hookgate_script::library::Library;

mod batch;
mod delivery;
pub(in crate::okta) mod play;
mod reading;
mod recorded;
mod salvage;
mod values;

pub(crate) struct OrgEvent;

const NAME: &str = "okta.event";

/// One event of a batch. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Event(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    delivery: Arc<Delivery>,
    /// `uuid`; without one, the delivery's id and the place in it.
    key: Text,
    reading: Reading,
    /// The event as Okta sent it, byte for byte.
    sent: Bytes,
    /// Whoever sent it wants it tried out.
    tried: bool,
    replay: bool,
    received: Option<i64>,
}

impl Contract for OrgEvent {
    const NAME: &'static str = NAME;
    const ENTRY: &'static str = "on_event";
    const REQUEST: &'static str = "Event";
    const ABOUT: &'static str = "Something has happened in the org: a rule for each kind of event.";
    const SILENCE: &'static str =
        "Okta tries once more and then drops the event; it can be read from the System Log only.";
    const RESULTS: &'static [ResultShape] = results::EVENT;
    const SAMPLES: &'static [Sample] = SAMPLES;
    const PROVIDER: Provider = Provider {
        fails: "open: after one more try Okta drops the event",
        user_sees: "Nothing: whatever happened has happened already.",
        limits: &[
            "Okta waits three seconds, and calls once more after a timeout or a 5xx, never after a 4xx.",
            "At least once, in no order, with no promise of when; one POST may carry several events.",
            "An org has at most 25 active event hooks, with 300 event types each.",
            "An org has 400,000 events in 24 hours; Okta warns at 280,000.",
            "A hook delivers only while it is verified; a changed address must be verified again.",
        ],
        checked: okta::CHECKED,
    };
    const TRYING: &'static str = "Okta marks no preview of its console. Taken for one is what can stand in no real event: \
        an outcome that is not in capitals (`Success`), or `null` for all of `actor`, `target`, `debugContext`, \
        `securityContext` and `transaction.type`; also in a sample that was edited before it was sent. Its rules run, \
        `event.preview` is true, and what they ask for is recorded, not done.\n\nA **real event that is picked in the console** \
        is none of these: it comes with its own `uuid`, as it was delivered. If it was delivered here before, it is a \
        duplicate, and nothing happens. If it was not, its rules run and act.\n\nTo try rules with real events, let a second \
        event hook of Okta's call the route's `preview_path`, or give the hook the header of `preview = \"header:…\"`. What \
        comes that way runs each time, acts never, and does not keep the real event from running when it is delivered.";
    const CALLER: Caller = caller::EVENT;

    const HANDSHAKE: Handshake = okta::VERIFIED;
    const RECORDED: &'static RecordedParts = &recorded::RECORDED;

    type Request = Event;
    fn register(library: &mut Library) {
        values::register(library);
    }

    /// One event: a batch of one, or an event as the System Log shows it, without an envelope.
    fn decode(body: &Bytes) -> Result<Event, HookError> {
        if let Some(event) = bare(body) {
            return Ok(event);
        }
        let mut events = Self::split(body, batch::MOST)?;
        let count = events.len();
        match events.pop() {
            Some(event) if count == 1 => Ok(event),
            _ => Err(shape(format!("`data.events` has {count} events where one is wanted"))),
        }
    }

    fn as_preview(event: Event) -> Event {
        Event(Arc::new(Inner { tried: true, ..Arc::unwrap_or_clone(event.0) }))
    }

    fn facts(event: &Event) -> Facts {
        Facts {
            once: Once::Guard,
            provider_id: event.key(),
            request_id: event.text("/debugContext/debugData/requestId"),
            event_type: event.event_type(),
            preview: event.preview(),
            published: event.text("/published").and_then(|text| text.parse::<jiff::Timestamp>().ok()),
            has_own_id: has_own_id(event.value()),
            problem: event.0.reading.problem.clone(),
            notes: event.0.reading.notes.clone(),
        }
    }

    fn judge(_: &Value, answer: Option<&Answer<'_>>) -> Judgement {
        let Some(answer) = answer else {
            return Judgement { violations: vec!["no answer came in time".into()], effect: Self::SILENCE.into() };
        };
        let (status, problem) = (answer.status, vec![format!("HTTP {} is no acknowledgement", answer.status)]);
        let (violations, effect) = match status {
            200..=299 => (Vec::new(), "Okta is done with these events".into()),
            500..=599 => (problem, format!("Okta sends the events once more, because the reply was HTTP {status}")),
            _ => (problem, format!("Okta drops the events, because the reply was HTTP {status}")),
        };
        Judgement { violations, effect }
    }
}

impl EventHook for OrgEvent {
    const LOOPS: &'static [&'static str] = &["inline_hook.executed"];
    const BATCH: BatchForm =
        BatchForm { events: "/data/events", id: "uuid", freshen: play::freshen, retype: play::retype };

    const CATALOGUE: Catalogue = Catalogue::of(include_str!("catalogue.txt"), 300);
    fn split(body: &Bytes, most: usize) -> Result<Vec<Event>, HookError> {
        let batch::Opened { delivery, events } = batch::open(body, most)?;
        let delivery = Arc::new(delivery);
        let events = events.into_iter().enumerate();
        Ok(events.map(|(index, sent)| Event::read(sent, delivery.clone(), index)).collect())
    }

    fn pack(event: &Event) -> Parcel {
        let key = event.0.key.as_deref().unwrap_or_default().to_owned();
        let Inner { delivery, sent, tried, replay, received, .. } = &*event.0;
        let (envelope, body) = (delivery.kept.clone(), sent.clone());
        Parcel { key, envelope, body, replay: *replay, preview: *tried, received: *received }
    }

    fn unpack(parcel: Parcel) -> Event {
        let delivery = Arc::new(Delivery::restored(&parcel.envelope));
        let reading = reading::read(&parcel.body);
        let key = (!parcel.key.is_empty()).then(|| parcel.key.into());
        let Parcel { body: sent, replay, preview: tried, received, .. } = parcel;
        Event(Arc::new(Inner { delivery, key, reading, sent, tried, replay, received }))
    }

    fn read(event: &Event, path: &str) -> Vec<ImmutableString> {
        let value = event.value();
        if let Some((kind, rest)) = path.strip_prefix("target.").and_then(|rest| rest.rsplit_once('.')) {
            let targets = value.get("target").and_then(Value::as_array).into_iter().flatten();
            let wanted = targets.filter(|target| kind == "*" || target["type"].as_str() == Some(kind));
            return wanted.filter_map(|target| text(target, party_member(rest)?)).collect();
        }
        let found = match path.split_once('.') {
            Some(("actor", rest)) => party_member(rest).and_then(|member| text(value.get("actor")?, member)),
            Some(("outcome", "result")) => event.text("/outcome/result").map(|result| result.to_uppercase().into()),
            Some(("outcome", "reason")) => event.text("/outcome/reason"),
            Some(("transaction", "id")) => event.text("/transaction/id"),
            Some(("transaction", "token")) => event.text("/transaction/detail/requestApiTokenId"),
            _ => None,
        };
        found.into_iter().collect()
    }
}

fn shape(problem: String) -> HookError {
    HookError::Shape { hook: OrgEvent::NAME, problem }
}

/// An event without envelope. Types of calls begin with `com.okta.`, types of events never do.
fn bare(body: &Bytes) -> Option<Event> {
    let reading = reading::read(body);
    let kind = string(&reading.value, "/eventType")?;
    if kind.starts_with("com.okta.") || reading.value.get("data").is_some() || reading.problem.is_some() {
        return None;
    }
    Some(Event::made(Arc::default(), 0, body.clone(), reading))
}

/// Where Okta keeps what scripts call a member of an actor or target.
fn party_member(name: &str) -> Option<&'static str> {
    match name {
        "id" => Some("/id"),
        "type" => Some("/type"),
        "login" => Some("/alternateId"),
        "name" => Some("/displayName"),
        _ => None,
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("Event").field("id", &self.key()).finish_non_exhaustive()
    }
}

impl Event {
    fn read(sent: Bytes, delivery: Arc<Delivery>, index: usize) -> Self {
        let reading = reading::read(&sent);
        Self::made(delivery, index, sent, reading)
    }

    fn made(delivery: Arc<Delivery>, index: usize, sent: Bytes, reading: Reading) -> Self {
        let place = delivery.id.as_ref().map(|id| format!("{id}/{index}"));
        let key = match (reading.value.get("uuid"), place) {
            (Some(Value::String(uuid)), _) if !uuid.is_empty() => Some(uuid.clone()),
            // A number is no id of Okta's, and two events may have the same.
            (Some(Value::Number(number)), Some(place)) => Some(format!("{number} in {place}")),
            (Some(Value::Number(number)), None) => Some(number.to_string()),
            (_, place) => place,
        };
        let key = key.map(ImmutableString::from);
        let (tried, replay, received) = Default::default();
        Self(Arc::new(Inner { delivery, key, reading, sent, tried, replay, received }))
    }

    /// What keeps rules from seeing this event, in words.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.0.reading.problem.as_deref()
    }

    /// The event as JSON, as far as it can be read.
    fn value(&self) -> &Value {
        &self.0.reading.value
    }

    /// Letter case as sent: Okta has `user.authentication.auth_via_IDP`. What was read in half has none.
    fn event_type(&self) -> Text {
        let kind = || string(self.value(), "/eventType").map(ImmutableString::from);
        if self.0.reading.problem.is_some() { None } else { kind() }
    }

    fn key(&self) -> Text {
        self.0.key.clone()
    }

    /// Okta does not mark previews (contract, section 8), so what can stand in no real event is taken for the mark: a result
    /// that is not in capitals, as `Success`; or `null` for everything that would say who did what. Either is enough: people
    /// edit the sample before they send it.
    fn preview(&self) -> bool {
        let spelled =
            || string(self.value(), "/outcome/result").is_some_and(|text| text.chars().any(char::is_lowercase));
        let empty = |path: &str| self.value().pointer(path).is_some_and(Value::is_null);
        let blank =
            || ["/actor", "/target", "/debugContext", "/securityContext", "/transaction/type"].into_iter().all(empty);
        self.0.tried || spelled() || blank()
    }

    fn text(&self, path: &str) -> Text {
        text(self.value(), path)
    }
}

fn has_own_id(value: &Value) -> bool {
    match value.get("uuid") {
        Some(Value::String(uuid)) => !uuid.is_empty(),
        other => other.is_some_and(Value::is_number),
    }
}

fn string<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    value.pointer(path)?.as_str()
}

/// A text; numbers and booleans are written out, everything else is absent.
fn text(value: &Value, path: &str) -> Option<ImmutableString> {
    match value.pointer(path)? {
        Value::String(text) => Some(text.as_str().into()),
        number @ (Value::Number(_) | Value::Bool(_)) => Some(number.to_string().into()),
        _ => None,
    }
}

const SAMPLES: &[Sample] = &[
    Sample {
        name: "group_member",
        request: MEMBER,
        script: r#"fn on_event(event) { log(`${event.target("User").login} joined ${event.target("UserGroup").name}`); }"#,
        reply: "",
    },
    Sample {
        name: "preview",
        request: PREVIEW,
        script: r#"fn on_event(event) { if event.outcome.result != "SUCCESS" || event.actor.login != () { throw "not as expected" } }"#,
        reply: "",
    },
];

const MEMBER: &str = r#"{
  "eventType": "com.okta.event_hook", "eventTypeVersion": "1.0", "cloudEventsVersion": "0.1",
  "source": "https://example.okta.com/api/v1/eventHooks/who5h1kXq2ZbT0aYw5d7",
  "eventId": "6f1c1c3e-6c1b-4a52-9a53-0d2b7f5c1a01",
  "data": {"events": [{
    "uuid": "0b7e4c1a-15f3-11f1-9c1d-5f1a4c7d2e10", "published": "2026-03-02T08:30:00.125Z",
    "eventType": "group.user_membership.add", "version": "0", "displayMessage": "Add user to group membership",
    "severity": "INFO",
    "client": {"userAgent": {"rawUserAgent": "Mozilla/5.0 (X11; Linux x86_64)", "os": "Linux", "browser": "FIREFOX"},
      "zone": "null", "device": "Computer", "id": null, "ipAddress": "192.0.2.20",
      "geographicalContext": {"city": "Bern", "state": "Bern", "country": "Switzerland", "postalCode": 3011,
        "geolocation": {"lat": 46.9, "lon": 7.4}},
      "ipChain": [{"ip": "192.0.2.20", "geographicalContext": null, "version": "V4", "source": null}]},
    "device": null,
    "actor": {"id": "00u7h1kXq2ZbT0aYw5d7", "type": "User", "alternateId": "admin@corp.example", "displayName": "Ada Admin",
      "detailEntry": null},
    "outcome": {"result": "SUCCESS", "reason": null},
    "target": [
      {"id": "00u8h1kXq2ZbT0aYw5d7", "type": "User", "alternateId": "dora@corp.example", "displayName": "Dora Example",
        "detailEntry": null},
      {"id": "00g8h1kXq2ZbT0aYw5d7", "type": "UserGroup", "alternateId": "unknown", "displayName": "Payroll",
        "detailEntry": {"source": "manual"}}],
    "transaction": {"type": "WEB", "id": "reqEvent0000000000000001", "detail": {"requestApiTokenId": "00T5h1k"}},
    "debugContext": {"debugData": {"requestId": "reqEvent0000000000000001", "requestUri": "/api/v1/groups/00g8h1k/users/00u8h1k",
      "changedAttributes": "department, title"}},
    "legacyEventType": "core.user_group_member.user_add",
    "authenticationContext": {"authenticationStep": 0, "externalSessionId": "102session", "credentialProvider": null},
    "securityContext": {"asNumber": 64496, "asOrg": "example", "isProxy": false},
    "insertionTimestamp": null
  }]},
  "eventTime": "2026-03-02T08:30:02.410Z", "contentType": "application/json"
}"#;

const PREVIEW: &str = r#"{
  "eventType": "com.okta.event_hook", "eventTypeVersion": "1.0", "cloudEventsVersion": "0.1",
  "source": "https://example.okta.com/api/v1/eventHooks/who5h1kXq2ZbT0aYw5d7",
  "eventId": "6f1c1c3e-6c1b-4a52-9a53-0d2b7f5c1a02",
  "data": {"events": [{
    "uuid": "9d2f5c7e-5c1d-4e0a-8a55-7b1f0e6c3d21", "published": "2026-03-02T08:31:00.125Z",
    "eventType": "user.lifecycle.create", "version": "0", "displayMessage": "Create Okta user", "severity": "INFO",
    "client": null, "device": null, "actor": null, "outcome": {"result": "Success", "reason": null}, "target": null,
    "transaction": {"type": null, "id": "", "detail": null}, "debugContext": null, "legacyEventType": null,
    "authenticationContext": null, "securityContext": null, "insertionTimestamp": null
  }]},
  "eventTime": "2026-03-02T08:31:02.410123Z", "contentType": "application/json"
}"#;

#[cfg(test)]
mod tests;
