//! `okta.event`: something has happened in the org, and rules look at it. Nothing we say changes it.
//!
//! One POST carries a batch of events (contract: event hooks, sections 4 and 5). Each is read on its own and leniently:
//! what one event lacks or has in a wrong form never costs another one of the batch. An event that cannot be read at all
//! is kept with its [`Event::problem`] and without a type, so that it is seen.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use rhai::ImmutableString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::hooks::okta;
use crate::hooks::okta::wire;
use crate::hooks::okta::wire::Text;
use crate::hooks::recorded::Recorded;
use crate::hooks::{
    Answer, BatchForm, Caller, Catalogue, CommandError, Commands, Contract, Declared, Facts, FailureForm, HookError,
    Judgement, Mark, Parcel, Provider, Reply, Sample,
};
use crate::script::library::Library;

mod batch;
mod play;
mod recorded;
mod values;

pub struct EventHook;

/// One event of a batch. Cheap to clone.
#[derive(Clone)]
pub struct Event(Arc<Inner>);

struct Inner {
    delivery: Arc<Delivery>,
    /// `uuid`; without one, the delivery's id and the place in it.
    key: Text,
    /// The event as Okta sent it; `null` if it cannot be read.
    value: Value,
    problem: Option<String>,
    /// The same byte for byte.
    sent: Bytes,
    replay: bool,
    received: Option<i64>,
}

/// What the events of one POST have in common.
#[derive(Default, Serialize, Deserialize)]
struct Delivery {
    #[serde(default, deserialize_with = "wire::text", skip_serializing_if = "Option::is_none")]
    id: Text,
    #[serde(default, deserialize_with = "wire::text", skip_serializing_if = "Option::is_none")]
    time: Text,
    #[serde(default, deserialize_with = "wire::text", skip_serializing_if = "Option::is_none")]
    source: Text,
    /// The same as JSON, for keeping.
    #[serde(skip)]
    kept: Arc<str>,
}

#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    events: Option<batch::Members<'a>>,
}

/// No event command exists: rules ask for actions, which belong to no hook.
#[derive(Clone, Debug, Serialize)]
pub enum Command {}

impl Contract for EventHook {
    const NAME: &'static str = "okta.event";
    const ENTRY: &'static str = "on_event";
    const REQUEST: &'static str = "Event";
    const ABOUT: &'static str = "Something has happened in the org: a rule for each kind of event.";
    const SILENCE: &'static str =
        "Okta tries once more and then drops the event; it can be read from the System Log only.";
    const ON_FAILURE: &'static [FailureForm] = &[];
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
    const EVENTS: bool = true;
    const LOOPS: &'static [&'static str] = &["inline_hook.executed"];
    const BATCH: BatchForm = BatchForm {
        events: "/data/events",
        id: "uuid",
        freshen: play::freshen,
        retype: play::retype,
        preview: play::preview,
    };

    const CATALOGUE: Catalogue = Catalogue::of(include_str!("catalogue.txt"), 300);
    const CALLER: Caller = Caller { latest_ms: None, has_tokens: false, ..Caller::INLINE };

    const RECORDED: &'static Recorded = &recorded::RECORDED;

    type Request = Event;
    type Command = Command;

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

    fn split(body: &Bytes, most: usize) -> Result<Vec<Event>, HookError> {
        let envelope = wire::decode::<Batch<'_>>(Self::NAME, body)?;
        let events = envelope.data.and_then(|data| data.events);
        let events = events.ok_or_else(|| shape("`data.events` is missing".into()))?.at_most(most)?;
        let delivery = Arc::new(Delivery::new(envelope.id, envelope.time, envelope.source));
        let events = events.iter().enumerate();
        Ok(events
            .map(|(index, raw)| Event::read(body.slice_ref(raw.get().as_bytes()), delivery.clone(), index))
            .collect())
    }

    fn pack(event: &Event) -> Parcel {
        let key = event.0.key.as_deref().unwrap_or_default().to_owned();
        let Inner { delivery, sent, replay, received, .. } = &*event.0;
        Parcel { key, envelope: delivery.kept.clone(), body: sent.clone(), replay: *replay, received: *received }
    }

    fn unpack(parcel: Parcel) -> Option<Event> {
        let delivery = Arc::new(Delivery::restored(&parcel.envelope));
        let (value, problem) = read(&parcel.body);
        let key = (!parcel.key.is_empty()).then(|| parcel.key.into());
        let Parcel { body: sent, replay, received, .. } = parcel;
        Some(Event(Arc::new(Inner { delivery, key, value, problem, sent, replay, received })))
    }

    fn read(event: &Event, path: &str) -> Vec<ImmutableString> {
        let value = &event.0.value;
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

    fn facts(event: &Event) -> Facts {
        Facts {
            id: event.key(),
            request_id: event.text("/debugContext/debugData/requestId"),
            event_type: event.event_type(),
            preview: event.preview(),
            published: event.text("/published").and_then(|text| text.parse::<jiff::Timestamp>().ok()),
            has_own_id: event.text("/uuid").is_some_and(|uuid| !uuid.is_empty()),
            problem: event.0.problem.clone(),
        }
    }

    fn reply(_: &Event, commands: Commands<Command>, _: &Mark) -> Result<Reply, CommandError> {
        match commands.flat().next() {
            None => Ok(Reply::empty(204)),
            Some(none) => match none {},
        }
    }

    /// There is nothing to declare for events: Okta tries once more after a 503.
    fn failed(_: &Declared, _: &Mark) -> Reply {
        Reply::empty(503)
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

fn shape(problem: String) -> HookError {
    HookError::Shape { hook: EventHook::NAME, problem }
}

/// An event without envelope. Types of calls begin with `com.okta.`, types of events never do.
fn bare(body: &Bytes) -> Option<Event> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let kind = value.get("eventType")?.as_str()?;
    if kind.starts_with("com.okta.") || value.get("data").is_some() {
        return None;
    }
    Some(Event::made(Arc::default(), 0, body.clone(), (value, None)))
}

/// The event, and what keeps rules from reading it.
fn read(sent: &[u8]) -> (Value, Option<String>) {
    match serde_json::from_slice::<Value>(sent) {
        Err(error) => (Value::Null, Some(format!("it cannot be read: {error}"))),
        Ok(value) if !value.is_object() => (value, Some("it is not an object".into())),
        Ok(value) if string(&value, "/eventType").is_none() => (value, Some("it has no `eventType`".into())),
        Ok(value) => (value, None),
    }
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

impl Delivery {
    fn new(id: Text, time: Text, source: Text) -> Self {
        let mut delivery = Self { id, time, source, kept: Arc::default() };
        delivery.kept = serde_json::to_string(&delivery).expect("three texts are JSON").into();
        delivery
    }

    /// Of an event that came without one, nothing was kept.
    fn restored(kept: &Arc<str>) -> Self {
        Self { kept: kept.clone(), ..serde_json::from_str(kept).unwrap_or_default() }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("Event").field("id", &self.key()).finish_non_exhaustive()
    }
}

impl Event {
    fn read(sent: Bytes, delivery: Arc<Delivery>, index: usize) -> Self {
        let parts = read(&sent);
        Self::made(delivery, index, sent, parts)
    }

    fn made(delivery: Arc<Delivery>, index: usize, sent: Bytes, (value, problem): (Value, Option<String>)) -> Self {
        let place = || Some(format!("{}/{index}", delivery.id.as_ref()?).into());
        let key = text(&value, "/uuid").filter(|uuid| !uuid.is_empty()).or_else(place);
        Self(Arc::new(Inner { delivery, key, value, problem, sent, replay: false, received: None }))
    }

    /// What keeps rules from seeing this event, in words.
    pub fn problem(&self) -> Option<&str> {
        self.0.problem.as_deref()
    }

    /// Letter case as sent: Okta has `user.authentication.auth_via_IDP`.
    fn event_type(&self) -> Text {
        string(&self.0.value, "/eventType").map(ImmutableString::from)
    }

    fn key(&self) -> Text {
        self.0.key.clone()
    }

    /// Okta does not mark previews (contract, section 8). All their habits together are taken for one, of which `Success`
    /// never stands in a real event.
    fn preview(&self) -> bool {
        let absent = |path: &str| self.0.value.pointer(path).is_none_or(Value::is_null);
        string(&self.0.value, "/outcome/result") == Some("Success")
            && ["/actor", "/target", "/debugContext", "/securityContext", "/transaction/type"].into_iter().all(absent)
    }

    fn text(&self, path: &str) -> Text {
        text(&self.0.value, path)
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
