use super::*;
use crate::hooks::tests::{refusal, value_of};

const HOOK: &str = "okta.event";

fn batch(events: &str) -> Bytes {
    format!(r#"{{"eventID":"env-1","eventType":"com.okta.event_hook","data":{{"events":{events}}}}}"#).into()
}

fn holds(request: &str, script: &str) {
    assert!(value_of(HOOK, request, script).as_bool().unwrap_or(false), "{script}");
}

#[test]
fn every_part_has_its_name() {
    for script in [
        r#"event.type == "group.user_membership.add" && event.id == "0b7e4c1a-15f3-11f1-9c1d-5f1a4c7d2e10""#,
        r#"event.severity == "INFO" && event.message == "Add user to group membership" && event.time > event.published"#,
        r#"event.outcome.result == "SUCCESS" && event.outcome.reason == ()"#,
        r#"event.actor.id == "00u7h1kXq2ZbT0aYw5d7" && event.actor.type == "User" && event.actor.login == "admin@corp.example""#,
        r#"event.actor.name == "Ada Admin" && event.actor.detail == ()"#,
        r#"event.targets.len() == 2 && event.targets[1].name == "Payroll" && event.targets[1].detail.source == "manual""#,
        r#"event.target("UserGroup").login == "unknown" && event.target("usergroup") == ()"#,
        r#"event.ip == "192.0.2.20" && event.client.ip == event.ip && event.client.zone == () && event.client.id == ()"#,
        r#"event.client.device == "Computer" && event.client.os == "Linux" && event.client.browser == "FIREFOX""#,
        r#"event.client.city == "Bern" && event.client.state == "Bern" && event.client.country == "Switzerland" && event.client.postal_code == "3011""#,
        r#"event.client.location.lat == 46.9 && event.client.ip_chain[0].version == "V4" && event.client.user_agent.starts_with("Mozilla")"#,
        r#"event.debug.requestId == "reqEvent0000000000000001" && event.debug.nothing == ()"#,
        r#"event.changed_attributes.len() == 2 && event.changed_attributes[1] == "title""#,
        r#"event.transaction.type == "WEB" && event.transaction.id == event.debug.requestId && event.transaction.detail.requestApiTokenId == "00T5h1k""#,
        r#"event.security.asNumber == 64496 && !event.security.isProxy && event.authentication.externalSessionId == "102session""#,
        r#"event.device.len() == 0 && event.legacy_type == "core.user_group_member.user_add""#,
        r#"event.source.ends_with("/who5h1kXq2ZbT0aYw5d7") && event.delivery_id == "6f1c1c3e-6c1b-4a52-9a53-0d2b7f5c1a01""#,
        r#"!event.preview && !event.replay && event.problem == () && event.raw.version == "0""#,
    ] {
        holds(MEMBER, script);
    }
}

#[test]
fn a_preview_is_recognised_and_breaks_nothing() {
    for script in [
        r#"event.preview && event.outcome.result == "SUCCESS""#,
        r#"event.actor.id == () && event.actor.detail == () && event.targets.len() == 0 && event.target("User") == ()"#,
        r#"event.client.city == () && event.client.ip == () && event.ip == () && event.client.ip_chain.len() == 0"#,
        r#"event.debug.requestId == () && event.changed_attributes.len() == 0 && event.transaction.type == ()"#,
        r#"event.device.id == () && event.security.risk == () && event.authentication.issuer == ()"#,
    ] {
        holds(PREVIEW, script);
    }
    // One habit alone is no preview: its actions would not be done.
    for real in [PREVIEW.replace("\"Success\"", "\"SUCCESS\""), PREVIEW.replace("\"actor\": null", "\"actor\": {}")] {
        assert!(!EventHook::facts(&EventHook::decode(&real.into()).unwrap()).preview);
    }
}

#[test]
fn a_bad_event_costs_no_other() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let events = format!(
        r#"[{{"uuid":"a","eventType":"x.y"}}, 7, {{"uuid":"b"}}, null, {{"eventType":"x.z","actor":"c4n4ry","target":{{}},"client":[]}},
           {{"eventType":"x.deep","deep":{deep}}}, {{"uuid":"","eventType":5}}]"#
    );
    let events = EventHook::split(&batch(&events), usize::MAX).unwrap();
    let seen: Vec<_> = events
        .iter()
        .map(|event| {
            let facts = EventHook::facts(event);
            (facts.id.unwrap().to_string(), facts.event_type.map(|kind| kind.to_string()), event.problem().is_some())
        })
        .collect();
    let row = |id: &str, kind: Option<&str>, bad| (id.to_owned(), kind.map(str::to_owned), bad);
    assert_eq!(
        seen,
        [
            row("a", Some("x.y"), false),
            row("env-1/1", None, true),
            row("b", None, true),
            row("env-1/3", None, true),
            row("env-1/4", Some("x.z"), false),
            row("env-1/5", None, true),
            row("env-1/6", None, true),
        ]
    );
}

#[test]
fn a_batch_needs_a_list_of_events() {
    for (events, problem) in [("null", "is missing"), ("{}", "must be"), ("\"c4n4ry\"", "must be"), ("7", "must be")] {
        let error = EventHook::split(&batch(events), usize::MAX).unwrap_err().to_string();
        assert!(
            error.contains("`data.events`") && error.contains(problem) && !error.contains("c4n4ry"),
            "{events}: {error}"
        );
    }
    assert!(EventHook::split(&batch("[]"), usize::MAX).unwrap().is_empty());
}

#[test]
fn one_event_is_read_with_and_without_envelope() {
    let event = EventHook::decode(&r#"{"uuid":"u-1","eventType":"user.session.start"}"#.into()).unwrap();
    assert_eq!(EventHook::facts(&event).id.as_deref(), Some("u-1"));
    assert_eq!(EventHook::facts(&event).event_type.as_deref(), Some("user.session.start"));
    for (events, count) in [("[]", 0), (r#"[{"eventType":"a.b"},{"eventType":"a.c"}]"#, 2)] {
        let error = EventHook::decode(&batch(events)).unwrap_err().to_string();
        assert!(error.contains(&format!("has {count} events where one is wanted")), "{error}");
    }
}

#[test]
fn an_envelope_without_type_is_taken_by_its_form() {
    let body = r#"{"eventId":"e","data":{"events":[{"eventType":"a.b"},{"eventType":"a.c"}]}}"#;
    assert_eq!(EventHook::split(&body.into(), usize::MAX).unwrap().len(), 2);
}

#[test]
fn no_command_belongs_to_an_event() {
    for returned in ["1", "#{}", "\"text\"", "[true]"] {
        let text = refusal(HOOK, MEMBER, returned);
        assert!(text.contains("where an action, such as `notify(…)`, belongs"), "{returned}: {text}");
    }
}
