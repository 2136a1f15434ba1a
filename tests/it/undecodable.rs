//! Calls of which something cannot be read: what informs is left out with a note, what decides is answered as the route
//! declares, and no delivery dies of one member.

use std::fs;

use bytes::Bytes;
use hookgate_model::decision;
use hookgate_store::{JobKind, Query};
use serde_json::{Value, json};

use crate::harness::{TestGateway, without_debug};
use crate::process::sample;

const REFUSE: &str = "{ refuse = \"Not now.\" }";

/// It reads what the samples have, and says so.
const TOKEN: &str = r#"fn on_token(request) { refuse(`read ${request.session?.amr} ${request.session?.mfa_active}`) }"#;

async fn records(gateway: &TestGateway) -> Vec<decision::Record> {
    gateway.delivery.records().flush().await;
    gateway.delivery.store().decisions(decision::Query::default()).await.unwrap().records
}

fn token_call(session: &str) -> String {
    format!(
        r#"{{"eventId":"U1","eventType":"com.okta.oauth2.tokens.transform","data":{{"context":{{"session":{session}}},"access":{{"claims":{{}}}}}}}}"#
    )
}

#[tokio::test]
async fn a_field_that_only_informs_is_left_out_with_a_note() {
    for (session, read, note) in [
        (
            r#"{"amr":["PASSWORD",null]}"#,
            r#"["PASSWORD"] "#,
            "`data.context.session.amr[1]` must be a string, and is `null`",
        ),
        (r#"{"amr":[{"a":1},"PASSWORD",[]]}"#, r#"["PASSWORD"] "#, "`data.context.session.amr[0]` must be a string"),
        (r#"{"amr":"PASSWORD"}"#, "[] ", "`data.context.session.amr` must be an array, and is a string"),
        (
            r#"{"mfaActive":"true"}"#,
            "[] ",
            "`data.context.session.mfaActive` must be `true` or `false`, and is a string",
        ),
        (r#"["x"]"#, " ", "`data.context.session` must be an object, and is an array"),
    ] {
        let gateway = TestGateway::of("okta.token", REFUSE, TOKEN);
        let (status, reply) = gateway.post(token_call(session)).await;
        let said = reply["error"]["errorSummary"].as_str().unwrap_or_default();
        assert_eq!((status, said), (200, format!("read {read}").trim_end_matches('\n')), "{session}: {reply}");
        let record = records(&gateway).await.remove(0);
        assert!(record.failure.is_none() && record.notes.len() == 1, "{record:#?}");
        assert!(record.notes[0].starts_with(note), "{session}: {}", record.notes[0]);
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_answered_as_the_route_declares() {
    let declared = json!({ "error": { "errorSummary": "Not now." } });
    let bodies: [&[u8]; 10] = [
        b"",
        b"no json",
        b"{\"eventType\":\"com.okta.oauth2.tokens.transform\",\"data\":{\"acc",
        b"[]",
        b"{}",
        br#"{"data":null}"#,
        br#"{"data":{"access":"x"}}"#,
        br#"{"data":{"access":{"claims":["x"]}}}"#,
        br#"{"data":{"access":{"claims":{"a":1,"a":2}}}}"#,
        br#"{"eventType":"com.okta.oauth3.tokens.transform","data":{"access":{}}}"#,
    ];
    let gateway = TestGateway::of("okta.token", REFUSE, "fn on_token(request) { throw \"never\" }");
    for body in bodies {
        let (status, reply) = gateway.post(body).await;
        let shown = String::from_utf8_lossy(body);
        assert_eq!(
            (status, &without_debug(reply)["error"]["errorSummary"]),
            (200, &declared["error"]["errorSummary"]),
            "{shown}"
        );
    }
    for record in records(&gateway).await {
        let failure = record.failure.clone().unwrap();
        assert!(["bad_body", "other_hook"].contains(&failure.reason.as_str()), "{failure:?}");
        assert!(failure.text.starts_with("the call cannot be used, so its script did not run: "), "{failure:?}");
        assert!(record.why().starts_with("no script ran, so the declared answer was given: "), "{}", record.why());
        assert_eq!(record.status, Some(200));
    }
    // A call of another hook could not do anything with this answer.
    assert_eq!(gateway.post(sample("okta.saml")).await.0, 400);
}

#[tokio::test]
async fn a_fault_of_the_text_reads_as_a_character_that_is_not_known() {
    let script = r#"fn on_registration(request) { deny(request.profile.firstName + "|" + request.raw.data.userProfile.firstName) }"#;
    let gateway = TestGateway::of("okta.registration", "\"allow\"", script);
    for (name, read) in [
        (&b"Ann \\ud83d"[..], "Ann \u{fffd}"),
        (b"caf\xe9", "caf\u{fffd}"),
        (b"\\udead\\u0000", "\u{fffd}\u{0}"),
        (b"tab\there", "tab\there"),
    ] {
        let body = [&br#"{"data":{"userProfile":{"firstName":""#[..], name, b"\"}}}"].concat();
        let (_, reply) = gateway.post(Bytes::from(body)).await;
        assert_eq!(reply["error"]["errorSummary"], json!(format!("{read}|{read}")), "{reply}");
    }
    let with_mark = format!("\u{feff}{}", sample("okta.registration"));
    let (_, reply) = gateway.post(with_mark).await;
    assert_eq!(reply["error"]["errorSummary"], json!("Ann|Ann"), "{reply}");
    assert!(records(&gateway).await.iter().all(|record| !record.notes.is_empty()));
}

fn events_gateway() -> TestGateway {
    let config = r#"
[auth.test]
scheme = "header"
secrets = [{ file = "secret" }]
[connectors.out]
kind = "file"
path = "out.jsonl"
[routes.hook]
path = "/hook"
hook = "okta.event"
auth = "test"
[routes.hook.rules.all]
events = ["*"]
script = "hook.rhai"
"#;
    let script =
        r#"fn on_event(event) { [notify("out", `${event.id} ${event.type} ${event.message}`), forward("out")] }"#;
    TestGateway::bundle(config, &[("scripts/hook.rhai", script)])
}

/// What rules were given, in the order of the events.
async fn told(gateway: &TestGateway) -> Vec<String> {
    gateway.work().await;
    let text = fs::read_to_string(gateway.place.root.join("out.jsonl")).unwrap_or_default();
    // What was forwarded stands between them as it came, and not each is JSON for every reader.
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut told: Vec<String> = lines.filter_map(|line| line["message"].as_str().map(str::to_owned)).collect();
    told.sort();
    told
}

#[tokio::test]
async fn every_event_of_a_delivery_is_kept_byte_for_byte_and_seen() {
    let deep = format!("{}{}", "[".repeat(300), "]".repeat(300));
    let events: Vec<Vec<u8>> = vec![
        br#"{"uuid":"a","eventType":"a.b","displayMessage":"plain"}"#.to_vec(),
        b"{\"uuid\":\"b\",\"eventType\":\"a.b\",\"displayMessage\":\"caf\xe9\"}".to_vec(),
        br#"{"uuid":"c","eventType":"a.b","displayMessage":"\ud83d"}"#.to_vec(),
        br#"{"uuid":"d","eventType":"a.b","displayMessage":"high","securityContext":{"asNumber":1e400}}"#.to_vec(),
        format!(r#"{{"uuid":"e","eventType":"a.b","displayMessage":"deep","x":{deep}}}"#).into_bytes(),
        br#"{"uuid":"f","eventType":7,"displayMessage":"no type"}"#.to_vec(),
        br#"{"uuid":"g","eventType":"a.b","eventType":"a.c","displayMessage":"twice"}"#.to_vec(),
        br#""no event""#.to_vec(),
    ];
    let gateway = events_gateway();
    let body = [&br#"{"eventId":"d1","data":{"events":["#[..], &events.join(&b", "[..]), b"]}}"].concat();
    assert_eq!(gateway.post(Bytes::from(body)).await.0, 204);
    assert_eq!(
        told(&gateway).await,
        [
            "a a.b plain",
            "b a.b caf\u{fffd}",
            "c a.b \u{fffd}",
            "d a.b high",
            "d1/7  ",
            "e a.b deep",
            "f  no type",
            "g a.c twice",
        ]
    );
    for (key, sent) in ["a", "b", "c", "d", "e", "f", "g", "d1/7"].into_iter().zip(&events) {
        let kept = gateway.event(key).await;
        assert_eq!(&kept.body[..], &sent[..], "{key}");
        assert_eq!(kept.event.problem.is_some(), !["a", "g"].contains(&key), "{key}: {:?}", kept.event.problem);
        assert_eq!(kept.jobs.iter().filter(|job| job.kind == JobKind::Rule).count(), 1, "{key}");
    }
}

#[tokio::test]
async fn a_broken_delivery_keeps_what_stands_before_the_break() {
    let gateway = events_gateway();
    let body = r#"{"eventId":"d1","data":{"events":[{"uuid":"a","eventType":"a.b"},{"uuid":"b","eventType":"a.b","tar"#;
    assert_eq!(gateway.post(body).await.0, 204);
    assert_eq!(told(&gateway).await, ["a a.b ", "b  "]);
    let broken = gateway.event("b").await;
    assert!(broken.event.problem.unwrap().contains("it cannot be read"));
    assert_eq!(&broken.body[..], br#"{"uuid":"b","eventType":"a.b","tar"#);
}

#[tokio::test]
async fn what_holds_no_event_is_refused_and_leaves_a_record() {
    let gateway = events_gateway();
    for body in ["", "{", "[]", "{\"data\":{\"events\":7}}"] {
        assert_eq!(gateway.post(body).await.0, 400, "{body}");
    }
    assert!(gateway.delivery.store().list(Query::default()).await.unwrap().events.is_empty());
    assert_eq!(records(&gateway).await.len(), 4);
}
