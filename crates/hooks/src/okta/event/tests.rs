use super::*;
use crate::tests::{refusal, value_of};

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
        r#"!event.preview && !event.replay && event.problem == () && event.version == "0" && event.raw.version == event.version"#,
        r#"event.debug_context.debugData == event.debug && event.envelope.eventId == event.delivery_id"#,
        r#"event.envelope.contentType == "application/json" && event.envelope.source == event.source && event.envelope.len() == 7"#,
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
}

/// Whether an event is taken for a preview.
fn is_preview(event: &str) -> bool {
    OrgEvent::facts(&OrgEvent::decode(&event.to_owned().into()).unwrap()).preview
}

#[test]
fn an_edited_sample_is_still_a_preview() {
    let target = r#""target": [{"id": "00u1", "type": "User", "alternateId": "a@b.example"}]"#;
    for edited in [
        PREVIEW.replace("\"Success\"", "\"success\""),
        PREVIEW.replace("\"Success\"", "\"sUCCESS\"").replace("\"target\": null", target),
        PREVIEW.replace("\"Success\"", "\"SUCCESS\""),
        PREVIEW.replace("\"actor\": null", "\"actor\": {\"id\": \"00u2\"}").replace("\"target\": null", target),
        MEMBER.replace("\"SUCCESS\"", "\"Success\""),
        MEMBER.replace("\"SUCCESS\"", "\"Failure\""),
    ] {
        assert!(is_preview(&edited), "{edited}");
    }
}

#[test]
fn an_event_that_lacks_some_parts_is_no_preview() {
    assert!(!is_preview(MEMBER));
    for (part, without) in [
        (
            "outcome",
            r#"{"uuid":"u","eventType":"a.b","actor":null,"target":null,"debugContext":null,"securityContext":null}"#,
        ),
        ("all parts", r#"{"uuid":"u","eventType":"a.b","outcome":{"result":"SUCCESS"}}"#),
        (
            "some",
            r#"{"uuid":"u","eventType":"a.b","outcome":{"result":"DENY"},"target":null,"securityContext":null,"transaction":{"type":null}}"#,
        ),
        (
            "a result",
            r#"{"uuid":"u","eventType":"a.b","outcome":{"result":"RATE_LIMIT"},"transaction":{"type":"JOB"}}"#,
        ),
    ] {
        assert!(!is_preview(without), "{part}");
    }
}

#[test]
fn an_event_can_be_made_a_preview() {
    let event = OrgEvent::as_preview(OrgEvent::decode(&MEMBER.into()).unwrap());
    assert!(OrgEvent::facts(&event).preview);
    let kept = OrgEvent::unpack(OrgEvent::pack(&event));
    assert!(OrgEvent::facts(&kept).preview);
}

#[test]
fn a_bad_event_costs_no_other() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let events = format!(
        r#"[{{"uuid":"a","eventType":"x.y"}}, 7, {{"uuid":"b"}}, null, {{"eventType":"x.z","actor":"c4n4ry","target":{{}},"client":[]}},
           {{"eventType":"x.deep","deep":{deep}}}, {{"uuid":"","eventType":5}}]"#
    );
    let events = OrgEvent::split(&batch(&events), usize::MAX).unwrap();
    let seen: Vec<_> = events
        .iter()
        .map(|event| {
            let facts = OrgEvent::facts(event);
            (
                facts.provider_id.unwrap().to_string(),
                facts.event_type.map(|kind| kind.to_string()),
                event.problem().is_some(),
            )
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
            row("env-1/5", Some("x.deep"), false),
            row("env-1/6", None, true),
        ]
    );
}

/// Ids, types and whether rules can read them, of the events of a delivery.
fn seen(body: impl Into<Bytes>) -> Vec<(String, Option<String>, bool)> {
    let events = OrgEvent::split(&body.into(), usize::MAX).unwrap();
    let row = |event: &Event| {
        let facts = OrgEvent::facts(event);
        let text = |text: Text| text.map(|text| text.to_string());
        (text(facts.provider_id).unwrap_or_default(), text(facts.event_type), facts.problem.is_none())
    };
    events.iter().map(row).collect()
}

#[test]
fn an_event_with_a_fault_in_its_text_keeps_its_id_type_and_bytes() {
    for fault in [&b"\xe9"[..], b"\\ud83d", b"\\udead\\u0000", b"\x01", b"\\q", b"\xf0\x9f"] {
        let odd = [&br#"{"uuid":"odd","eventType":"a.b","displayMessage":"caf"#[..], fault, b"\"}"].concat();
        let plain = &br#"{"uuid":"plain","eventType":"a.c"}"#[..];
        let body = [&br#"{"eventId":"d","data":{"events":["#[..], plain, b", ", &odd, b",", plain, b"]}}"].concat();
        let events = OrgEvent::split(&body.clone().into(), usize::MAX).unwrap();
        let row = |id: &str, kind: &str| (id.to_owned(), Some(kind.to_owned()), true);
        assert_eq!(seen(body), [row("plain", "a.c"), row("odd", "a.b"), row("plain", "a.c")]);
        assert_eq!(OrgEvent::pack(&events[1]).body, odd, "kept byte for byte");
        let notes = OrgEvent::facts(&events[1]).notes;
        assert!(!notes.is_empty(), "{fault:?}");
        let kept = OrgEvent::unpack(OrgEvent::pack(&events[1]));
        let text = kept.text("/displayMessage").unwrap();
        assert!(text.starts_with("caf") && OrgEvent::facts(&kept).event_type.as_deref() == Some("a.b"), "{text}");
    }
}

#[test]
fn what_stands_before_the_break_of_a_delivery_is_kept() {
    let whole = r#"{"eventId":"d","data":{"events":[{"uuid":"a","eventType":"x.y"},{"uuid":"b","eventType":"x.z","target":[]}]}}"#;
    let found = |until: &str| seen(whole[..whole.find(until).unwrap()].to_owned());
    let row = |id: &str, kind: Option<&str>, good| (id.to_owned(), kind.map(str::to_owned), good);
    assert_eq!(
        found(",\"target\""),
        [row("a", Some("x.y"), true), row("b", None, false)],
        "in the middle of the second"
    );
    assert_eq!(found(",{\"uuid\":\"b\""), [row("a", Some("x.y"), true)]);
    assert_eq!(found("x.y"), [row("a", None, false)], "the first has no end");
    assert_eq!(seen(format!("{whole} trailing")).len(), 2);
    assert_eq!(seen(whole.replace("\"a\"", "\"a\" oops")), [row("a", None, false)], "the rest is one");
}

#[test]
fn events_that_stand_in_odd_places_are_found() {
    let one = r#"{"uuid":"a","eventType":"x.y"}"#;
    let two = r#"{"uuid":"b","eventType":"x.z"}"#;
    for (body, ids) in [
        (format!(r#"{{"eventId":"d","data":{{"events":{one}}}}}"#), vec!["a"]),
        (format!(r#"{{"data":{{"events":[{one}]}},"data":{{"events":[{two}]}}}}"#), vec!["a", "b"]),
        (format!(r#"{{"data":{{"events":[{one}],"events":[{two}]}}}}"#), vec!["a", "b"]),
        (format!(r#"{{"eventType":"com.okta.later","data":{{"events":[{one}]}}}}"#), vec!["a"]),
        (format!(r#"{{"eventType":["x"],"eventId":{{}},"data":{{"events":[{one}]}}}}"#), vec!["a"]),
    ] {
        assert_eq!(seen(body.clone()).into_iter().map(|(id, ..)| id).collect::<Vec<_>>(), ids, "{body}");
    }
}

#[test]
fn members_of_another_kind_read_as_empty() {
    let event = r#"{"uuid":7,"eventType":"x.y","actor":"c4n4ry","outcome":[],"target":[7,{"type":[],"detailEntry":7,"changeDetails":[1]}],
        "client":{"ipChain":["x",{"ip":"192.0.2.1"}],"geographicalContext":7},"debugContext":{"debugData":[1,2]},"device":"x",
        "securityContext":[],"authenticationContext":7,"transaction":{"detail":"x"},"published":{}}"#;
    for script in [
        "event.id == \"7\" && event.published == () && event.actor.id == () && event.outcome.result == ()",
        "event.targets.len() == 2 && event.targets[1].detail == () && event.targets[1].changes == ()",
        "event.client.ip_chain.len() == 1 && event.client.city == () && event.client.location.lat == ()",
        "event.debug.requestId == () && event.device.os_platform == () && event.security.risk == ()",
        "event.authentication.issuer == () && event.transaction.detail.requestApiTokenId == ()",
    ] {
        holds(event, script);
    }
}

#[test]
fn a_batch_needs_a_list_of_events() {
    for (events, problem) in [("null", "is missing"), ("\"c4n4ry\"", "must be"), ("7", "must be")] {
        let error = OrgEvent::split(&batch(events), usize::MAX).unwrap_err().to_string();
        assert!(
            error.contains("`data.events`") && error.contains(problem) && !error.contains("c4n4ry"),
            "{events}: {error}"
        );
    }
    assert!(OrgEvent::split(&batch("[]"), usize::MAX).unwrap().is_empty());
}

#[test]
fn one_event_is_read_with_and_without_envelope() {
    let event = OrgEvent::decode(&r#"{"uuid":"u-1","eventType":"user.session.start"}"#.into()).unwrap();
    assert_eq!(OrgEvent::facts(&event).provider_id.as_deref(), Some("u-1"));
    assert_eq!(OrgEvent::facts(&event).event_type.as_deref(), Some("user.session.start"));
    for (events, count) in [("[]", 0), (r#"[{"eventType":"a.b"},{"eventType":"a.c"}]"#, 2)] {
        let error = OrgEvent::decode(&batch(events)).unwrap_err().to_string();
        assert!(error.contains(&format!("has {count} events where one is wanted")), "{error}");
    }
}

#[test]
fn an_envelope_without_type_is_taken_by_its_form() {
    let body = r#"{"eventId":"e","data":{"events":[{"eventType":"a.b"},{"eventType":"a.c"}]}}"#;
    assert_eq!(OrgEvent::split(&body.into(), usize::MAX).unwrap().len(), 2);
}

#[test]
fn no_command_belongs_to_an_event() {
    for returned in ["1", "#{}", "\"text\"", "[true]"] {
        let text = refusal(HOOK, MEMBER, returned);
        assert!(text.contains("where an action, such as `notify(…)`, belongs"), "{returned}: {text}");
    }
}

#[test]
fn numbers_that_a_script_cannot_count_keep_their_digits() {
    let large = MEMBER.replacen(r#""requestId":"#, r#""large":123456789012345678901,"requestId":"#, 1);
    assert_ne!(large, MEMBER);
    holds(
        &large,
        r#"event.debug.large == "123456789012345678901" && event.raw.debugContext.debugData.large == event.debug.large"#,
    );
}
