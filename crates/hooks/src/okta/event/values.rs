//! An event as scripts see it.
//!
//! The parts of an event (`actor`, `outcome`, `client`, `transaction`) are always there and empty where Okta sent `null`,
//! as its previews do: `event.actor.login` is `()` then, not an error. A `target(…)` that is not there is `()`.

use jiff::Timestamp;
use rhai::{Array, Dynamic, EvalAltResult, ImmutableString, Map};
use serde_json::Value;

use crate::okta::event::values::client::Client;
use crate::okta::event::{Event, text};
use crate::okta::request;
use hookgate_script::library::{Doc, Library};
use hookgate_script::prelude::json;
use hookgate_script::prelude::net::Ip;
use hookgate_script::prelude::time::Time;

mod client;

type This<'a> = &'a mut Event;

/// Who did something, or what it was done to.
#[derive(Clone)]
struct Party(Value);

#[derive(Clone)]
struct Outcome(Event);

#[derive(Clone)]
struct Transaction(Event);

pub(super) fn register(library: &mut Library) {
    library.value::<Event>("Event", "One thing that happened in the org.");
    register_event(library);
    register_parts(library);
    register_contexts(library);
    register_delivery(library);
    register_party(library);
    register_outcome(library);
    client::register(library);
    register_transaction(library);
}

fn part(event: &Event, path: &str) -> Dynamic {
    request::text(&event.text(path))
}

fn map_at(event: &Event, path: &str) -> Result<Dynamic, Box<EvalAltResult>> {
    let absent = || Ok(Dynamic::from_map(Map::new()).into_read_only());
    event.value().pointer(path).filter(|value| value.is_object()).map_or_else(absent, json::read_only)
}

/// An object of a party, read-only. What is none reads as absent.
fn detail(party: &Party, name: &str) -> Result<Dynamic, Box<EvalAltResult>> {
    party.0.get(name).filter(|value| value.is_object()).map_or(Ok(Dynamic::UNIT), json::read_only)
}

fn ip(event: &Event) -> Dynamic {
    event.text("/client/ipAddress").map_or(Dynamic::UNIT, |ip| Dynamic::from(Ip::parse(ip)))
}

fn targets(event: &Event) -> impl Iterator<Item = &Value> {
    event.value().get("target").and_then(Value::as_array).into_iter().flatten()
}

fn register_event(library: &mut Library) {
    library
        .property(
            Doc::new("Event.type: string", "`user.session.start`, … Letter case matters. `()` if Okta sent none.", r#"event.type == "group.user_membership.add""#),
            |event: This| request::text(&event.event_type()),
        )
        .property(
            Doc::new("Event.id: string", "Okta's `uuid` of the event, the same in the System Log; without one, the delivery's id and the place in it.", r#"event.id == "0b7e4c1a-15f3-11f1-9c1d-5f1a4c7d2e10""#),
            |event: This| request::text(&event.key()),
        )
        .property(Doc::new("Event.published: Time", "When it happened, or `()`. Events come in no order.", "event.published.year == 2026"), |event: This| {
            request::time(&event.text("/published"))
        })
        .property(Doc::new("Event.severity: string", "`DEBUG`, `INFO`, `WARN` or `ERROR`; or `()`.", r#"event.severity == "INFO""#), |event: This| {
            part(event, "/severity")
        })
        .property(
            Doc::new("Event.message: string", "Okta's English sentence, or `()`. For people: its wording changes.", r#"event.message == "Add user to group membership""#),
            |event: This| part(event, "/displayMessage"),
        )
        .property(Doc::new("Event.legacy_type: string", "The name in the old Events API, or `()`.", r#"event.legacy_type == "core.user_group_member.user_add""#), |event: This| {
            part(event, "/legacyEventType")
        })
        .property(
            Doc::new("Event.version: string", "The version of Okta's form of events, `0`; or `()`.", r#"event.version == "0""#),
            |event: This| part(event, "/version"),
        )
        .property(
            Doc::new("Event.preview: bool", "Whether this is a try-out, so that nothing a rule asks for is done: a sample of Okta's console (its outcome is not in capitals, as `Success`, or all of its parts are `null`), or by what the route says in `preview_path` or `preview`.", "!event.preview"),
            |event: This| event.preview(),
        )
        .property(Doc::new("Event.replay: bool", "Whether somebody runs this event again.", "!event.replay"), |event: This| event.0.replay)
        .property(
            Doc::new("Event.problem: string", "Why Okta's event could not be read, or `()`. Only rules for `*` see such an event.", "event.problem == ()"),
            |event: This| event.problem().map_or(Dynamic::UNIT, |problem| problem.to_owned().into()),
        )
        .fallible_property(
            Doc::new("Event.raw: map", "The event as Okta sent it, read-only; what cannot be read of it is `()`. Slow: for what has no name.", "event.raw.insertionTimestamp == ()"),
            |event: This| json::read_only(event.value()),
        );
}

fn register_parts(library: &mut Library) {
    library
        .property(
            Doc::new("Event.outcome: Outcome", "How it ended.", r#"event.outcome.result == "SUCCESS""#),
            |event: This| Outcome(event.clone()),
        )
        .property(
            Doc::new(
                "Event.actor: Party",
                "Who did it. Its members are `()` if Okta does not say.",
                r#"event.actor.login == "admin@corp.example""#,
            ),
            |event: This| Party(event.value().get("actor").cloned().unwrap_or_default()),
        )
        .property(
            Doc::new(
                "Event.targets: array",
                "What it was done to, as a list of Party in no fixed order; empty if Okta does not say.",
                "event.targets.len() == 2",
            ),
            |event: This| {
                let parties = targets(event).map(|target| Dynamic::from(Party(target.clone())));
                Dynamic::from_array(parties.collect::<Array>()).into_read_only()
            },
        )
        .function(
            Doc::new(
                "Event.target(type: string) -> Party",
                "The first target of that type (`User`, `UserGroup`, `AppInstance`, …), or `()`.",
                r#"event.target("UserGroup").name == "Payroll" && event.target("AppInstance") == ()"#,
            ),
            |event: This, wanted: ImmutableString| {
                let found = targets(event).find(|target| target["type"].as_str() == Some(wanted.as_str()));
                found.map_or(Dynamic::UNIT, |target| Dynamic::from(Party(target.clone())))
            },
        )
        .property(
            Doc::new("Event.client: Client", "Where it was done from.", r#"event.client.device == "Computer""#),
            |event: This| Client(event.clone()),
        )
        .property(
            Doc::new(
                "Event.ip: Ip",
                "The client's address, or `()`. The same as `client.ip`.",
                r#"event.ip.in_cidr("192.0.2.0/24")"#,
            ),
            |event: This| ip(event),
        )
        .property(
            Doc::new("Event.transaction: Transaction", "What it was part of.", r#"event.transaction.type == "WEB""#),
            |event: This| Transaction(event.clone()),
        );
}

fn register_contexts(library: &mut Library) {
    library
        .fallible_property(
            Doc::new("Event.debug: map", "Okta's `debugData` by its own names, read-only; empty if there is none. Not stable.", r#"event.debug.requestId == "reqEvent0000000000000001""#),
            |event: This| map_at(event, "/debugContext/debugData"),
        )
        .fallible_property(
            Doc::new("Event.debug_context: map", "Okta's whole `debugContext`, of which `debug` is one member, read-only; empty if there is none.", "event.debug_context.debugData.requestId == event.debug.requestId"),
            |event: This| map_at(event, "/debugContext"),
        )
        .property(
            Doc::new("Event.changed_attributes: array", "The attributes that a profile update changed; empty if Okta does not say.", r#""title" in event.changed_attributes"#),
            |event: This| {
                let list = event.text("/debugContext/debugData/changedAttributes").unwrap_or_default();
                let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
                Dynamic::from_array(names.map(|name| name.to_owned().into()).collect::<Array>()).into_read_only()
            },
        )
        .fallible_property(
            Doc::new("Event.device: map", "The device by Okta's names (`os_platform`, `managed`, …), read-only; empty if there is none.", "event.device.managed == ()"),
            |event: This| map_at(event, "/device"),
        )
        .fallible_property(
            Doc::new("Event.security: map", "Okta's `securityContext` (`asNumber`, `isProxy`, `risk`, …), read-only; empty if there is none.", "event.security.asNumber == 64496 && !event.security.isProxy"),
            |event: This| map_at(event, "/securityContext"),
        )
        .fallible_property(
            Doc::new("Event.authentication: map", "Okta's `authenticationContext` (`credentialType`, `externalSessionId`, …), read-only; empty if there is none.", r#"event.authentication.externalSessionId == "102session""#),
            |event: This| map_at(event, "/authenticationContext"),
        );
}

fn register_delivery(library: &mut Library) {
    library
        .property(
            Doc::new(
                "Event.source: string",
                "The event hook at Okta that sent it, as an address; or `()`.",
                r#"event.source.ends_with("/who5h1kXq2ZbT0aYw5d7")"#,
            ),
            |event: This| request::text(&event.0.delivery.source),
        )
        .property(
            Doc::new(
                "Event.delivery_id: string",
                "Okta's id of the POST that carried it, or `()`.",
                r#"event.delivery_id == "6f1c1c3e-6c1b-4a52-9a53-0d2b7f5c1a01""#,
            ),
            |event: This| request::text(&event.0.delivery.id),
        )
        .property(
            Doc::new(
                "Event.time: Time",
                "When Okta made that POST, or `()`: seconds to days after `published`.",
                "event.time > event.published",
            ),
            |event: This| request::time(&event.0.delivery.time),
        )
        .property(
            Doc::new(
                "Event.envelope: map",
                "What Okta writes around the events of one POST, by its own names (`eventId`, `eventTime`, `eventType`, \
                 `eventTypeVersion`, `cloudEventsVersion`, `contentType`, `source`), read-only; empty for an event that \
                 was read from the System Log.",
                r#"event.envelope.eventTypeVersion == "1.0" && event.envelope.eventId == event.delivery_id"#,
            ),
            |event: This| event.0.delivery.envelope(),
        )
        .property(
            Doc::new(
                "Event.received: Time",
                "When this gateway kept it; `()` where it is not kept, as in tests. The same however often a rule is tried.",
                "event.received == ()",
            ),
            |event: This| {
                let kept = event.0.received.and_then(|ms| Timestamp::from_millisecond(ms).ok());
                kept.map_or(Dynamic::UNIT, |kept| Dynamic::from(Time(kept)))
            },
        );
}

fn register_party(library: &mut Library) {
    type This<'a> = &'a mut Party;
    let part = |party: &Party, path: &str| request::text(&text(&party.0, path));
    library
        .value::<Party>("Party", "Who did something, or what it was done to.")
        .property(
            Doc::new("Party.id: string", "Okta's id, or `()`.", r#"event.actor.id == "00u7h1kXq2ZbT0aYw5d7""#),
            move |party: This| part(party, "/id"),
        )
        .property(
            Doc::new(
                "Party.type: string",
                "`User`, `UserGroup`, `AppInstance`, `SystemPrincipal`, …; or `()`.",
                r#"event.actor.type == "User""#,
            ),
            move |party: This| part(party, "/type"),
        )
        .property(
            Doc::new(
                "Party.login: string",
                "The login or address (`alternateId`), or `()`. Okta writes `unknown` for what has none.",
                r#"event.actor.login == "admin@corp.example""#,
            ),
            move |party: This| part(party, "/alternateId"),
        )
        .property(
            Doc::new(
                "Party.name: string",
                "The name for people (`displayName`), or `()`.",
                r#"event.actor.name == "Ada Admin""#,
            ),
            move |party: This| part(party, "/displayName"),
        )
        .fallible_property(
            Doc::new(
                "Party.detail: map",
                "Okta's `detailEntry`, read-only, or `()`.",
                r#"event.targets[1].detail.source == "manual""#,
            ),
            |party: This| detail(party, "detailEntry"),
        )
        .fallible_property(
            Doc::new(
                "Party.changes: map",
                "Okta's `changeDetails` with `from` and `to`, read-only, or `()`.",
                "event.actor.changes == ()",
            ),
            |party: This| detail(party, "changeDetails"),
        );
}

fn register_outcome(library: &mut Library) {
    type This<'a> = &'a mut Outcome;
    library
        .value::<Outcome>("Outcome", "How something ended.")
        .property(
            Doc::new(
                "Outcome.result: string",
                "`SUCCESS`, `FAILURE`, `ALLOW`, `DENY`, …, always in capitals; or `()`.",
                r#"event.outcome.result == "SUCCESS""#,
            ),
            |outcome: This| {
                let result = outcome.0.text("/outcome/result").map(|result| result.to_uppercase());
                result.map_or(Dynamic::UNIT, Dynamic::from)
            },
        )
        .property(
            Doc::new(
                "Outcome.reason: string",
                "`INVALID_CREDENTIALS`, …, or a sentence; or `()`.",
                "event.outcome.reason == ()",
            ),
            |outcome: This| part(&outcome.0, "/outcome/reason"),
        );
}

fn register_transaction(library: &mut Library) {
    type This<'a> = &'a mut Transaction;
    library
        .value::<Transaction>("Transaction", "What something was part of.")
        .property(
            Doc::new(
                "Transaction.id: string",
                "Okta's id of the request or job, or `()`.",
                "event.transaction.id == event.debug.requestId",
            ),
            |transaction: This| part(&transaction.0, "/transaction/id"),
        )
        .property(
            Doc::new("Transaction.type: string", "`WEB` or `JOB`; or `()`.", r#"event.transaction.type == "WEB""#),
            |transaction: This| part(&transaction.0, "/transaction/type"),
        )
        .fallible_property(
            Doc::new(
                "Transaction.detail: map",
                "More by Okta's names, such as `requestApiTokenId`; read-only, empty if there is none.",
                r#"event.transaction.detail.requestApiTokenId == "00T5h1k""#,
            ),
            |transaction: This| map_at(&transaction.0, "/transaction/detail"),
        );
}
