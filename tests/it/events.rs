//! The life of an event from outside: what is acknowledged is kept, runs once, and ends.

use std::time::Duration;
use std::{fs, slice};

use hookgate_store::{Dossier, EventRef, JobKind, JobState, Operation, Query, Selection};
use http::{HeaderValue, Method};
use serde_json::{Value, json};

use crate::harness::{SECRET, TestGateway};

mod alone;
mod ends;
mod guard;
mod leaving;
mod order;
mod resting;
mod schemas;
mod siem;
mod stopping;
mod stuck;
mod tickets;

/// A gateway whose one rule runs this script; what it asks of the connector `out` goes to a file.
fn gateway(script: &str) -> TestGateway {
    with_rule(script, "")
}

/// The same with more lines for the rule.
fn with_rule(script: &str, more: &str) -> TestGateway {
    let config = format!(
        r#"
[auth.test]
scheme = "header"
secrets = [{{ file = "secret" }}]
[connectors.out]
kind = "file"
path = "out.jsonl"
[routes.hook]
path = "/hook"
hook = "okta.event"
auth = "test"
own_actors = ["0oaOwn", "00TOwn"]
[routes.hook.rules.all]
events = ["*"]
script = "hook.rhai"
retry = {{ attempts = 3, first_ms = 1, most_ms = 10 }}
{more}
"#
    );
    TestGateway::bundle(&config, &[("scripts/hook.rhai", script)])
}

const TELL: &str = r#"fn on_event(event) { notify("out", `${event.id}`) }"#;

/// An event of this id, with what else it has.
pub fn event(uuid: &str, more: Value) -> Value {
    let mut event = json!({
        "uuid": uuid, "published": "2026-03-02T08:30:00.125Z", "eventType": "user.session.start",
        "outcome": { "result": "SUCCESS" },
        "actor": { "id": "00u1", "type": "User", "alternateId": "ann@corp.example" },
        "target": [{ "id": "00u1", "type": "User" }],
    });
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

pub fn delivery(id: &str, events: &[Value]) -> String {
    json!({
        "eventType": "com.okta.event_hook", "eventId": id,
        "source": "https://example.okta.com/api/v1/eventHooks/who1", "data": { "events": events },
    })
    .to_string()
}

/// What went out, line by line.
fn out(gateway: &TestGateway) -> Vec<Value> {
    let text = fs::read_to_string(gateway.place.root.join("out.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("whole lines of JSON")).collect()
}

fn messages(gateway: &TestGateway) -> Vec<String> {
    out(gateway).iter().map(|line| line["message"].as_str().expect("a text").to_owned()).collect()
}

/// State, and results of the tries, of the jobs of one kind.
fn jobs(dossier: &Dossier, kind: JobKind) -> Vec<(JobState, Vec<&str>)> {
    let jobs = dossier.jobs.iter().filter(|job| job.kind == kind);
    jobs.map(|job| (job.state, job.tries.iter().map(|attempt| attempt.result.as_str()).collect())).collect()
}

#[tokio::test]
async fn a_rule_knows_when_its_event_was_kept() {
    let gateway = gateway(r#"fn on_event(event) { notify("out", event.received.format()) }"#);
    assert_eq!(gateway.post(delivery("d1", &[event("e1", json!({}))])).await.0, 204);
    gateway.work().await;
    let told: jiff::Timestamp = messages(&gateway)[0].parse().expect("a time");
    assert_eq!(told.as_millisecond(), gateway.event("e1").await.event.received);
}

#[tokio::test]
async fn an_acknowledged_event_runs_its_rule_and_does_its_action() {
    let gateway = gateway(TELL);
    let (status, reply) = gateway.post(delivery("d1", &[event("e1", json!({}))])).await;
    assert_eq!((status, reply), (204, Value::Null));
    assert_eq!(out(&gateway), Vec::<Value>::new(), "nothing is done before it is asked for");
    gateway.work().await;
    let lines = out(&gateway);
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["message"], "e1");
    let kept = gateway.event("e1").await;
    assert_eq!(jobs(&kept, JobKind::Rule), [(JobState::Done, vec!["done"])]);
    assert_eq!(jobs(&kept, JobKind::Action), [(JobState::Done, vec!["done"])]);
    assert_eq!(kept.event.kind, "user.session.start");
    let sent: Value = serde_json::from_slice(&kept.body).unwrap();
    assert_eq!(sent, event("e1", json!({})), "the body is the event as it was sent");
    let metrics = gateway.metrics.encode();
    for line in [
        r#"hookgate_events_total{route="hook",rule="",state="received"} 1"#,
        r#"hookgate_events_total{route="hook",rule="all",state="done"} 1"#,
        r#"hookgate_action_attempts_total{connector="out",result="done"} 1"#,
        "hookgate_dead_letters 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn more_deliveries_than_may_be_in_work_are_asked_for_again() {
    // A route's own number is for its rules: it refuses nobody.
    let gateway = with_rule(TELL, "\n[routes.hook.limits]\nconcurrent = 1\n");
    let release = gateway.live.current().unwrap();
    let permits = &release.route("/hook").unwrap().permits;
    let all = permits.available_permits();
    assert!(all > 1, "{all}");
    let in_work = permits.try_acquire_many(u32::try_from(all).unwrap()).unwrap();
    let body = delivery("d1", &[event("e1", json!({}))]);
    let answer = gateway.respond(Method::POST, "/hook", &[("authorization", SECRET)], body.clone()).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (503, &HeaderValue::from_static("30")));
    assert!(gateway.metrics.encode().contains(r#"hookgate_refusals_total{reason="busy"} 1"#));
    drop(in_work);
    assert_eq!(gateway.post(body).await.0, 204);
}

#[tokio::test]
async fn the_same_event_runs_once_however_it_comes_again() {
    let gateway = gateway(TELL);
    let one = event("e1", json!({}));
    // Twice in one batch, the whole delivery again, and the event in another delivery.
    for body in [
        delivery("d1", &[one.clone(), one.clone()]),
        delivery("d1", slice::from_ref(&one)),
        delivery("d2", slice::from_ref(&one)),
    ] {
        assert_eq!(gateway.post(body).await.0, 204);
    }
    // Without ids of their own, the delivery and the place in it count.
    let nameless = |kind: &str| json!({ "eventType": kind });
    for _ in 0..2 {
        assert_eq!(gateway.post(delivery("d3", &[nameless("a.b"), nameless("a.b")])).await.0, 204);
    }
    gateway.work().await;
    let mut told = messages(&gateway);
    told.sort();
    assert_eq!(told, ["d3/0", "d3/1", "e1"]);
    let page = gateway.delivery.store().list(Query::default()).await.unwrap();
    assert_eq!(page.events.iter().filter(|event| event.flags.no_id).count(), 2);
}

/// Whoever chooses ids may choose those that we give (#14).
#[tokio::test]
async fn an_id_that_reads_like_a_place_in_a_delivery_is_another_event() {
    for order in [[0, 1, 2, 3], [3, 2, 1, 0]] {
        let gateway = gateway(r#"fn on_event(event) { notify("out", event.id) }"#);
        let sent = [
            delivery("d1", &[json!({ "eventType": "a.b" })]),
            delivery("d2", &[event("d1/0", json!({}))]),
            delivery("d3", &[event("place d1/0", json!({}))]),
            delivery("d4", &[event("id place d1/0", json!({}))]),
        ];
        for _ in 0..2 {
            for number in order {
                assert_eq!(gateway.post(sent[number].clone()).await.0, 204);
            }
        }
        gateway.work().await;
        let mut told = messages(&gateway);
        told.sort();
        assert_eq!(told, ["d1/0", "d1/0", "id place d1/0", "place d1/0"]);
    }
}

#[tokio::test]
async fn a_failing_event_costs_no_other_and_ends_in_the_dead_letters() {
    let gateway =
        gateway(r#"fn on_event(event) { if event.id == "bad" { throw "not this one" } notify("out", event.id) }"#);
    let events = ["one", "bad", "three"].map(|id| event(id, json!({})));
    assert_eq!(gateway.post(delivery("d1", &events)).await.0, 204);
    gateway.work().await;
    let mut told = messages(&gateway);
    told.sort();
    assert_eq!(told, ["one", "three"]);
    let dead = gateway.event("bad").await;
    assert_eq!(jobs(&dead, JobKind::Rule), [(JobState::Dead, vec!["script_error"; 3])]);
    let last = dead.jobs[0].tries.last().unwrap();
    assert!(last.detail.contains("not this one") && last.detail.contains("hook.rhai"), "{}", last.detail);
    gateway.delivery.look().await;
    assert!(gateway.metrics.encode().contains("hookgate_dead_letters 1"));

    // Mended, and run again.
    gateway.write("scripts/hook.rhai", r#"fn on_event(event) { notify("out", `${event.id} ${event.replay}`) }"#);
    gateway.reload();
    let which = Selection::One(EventRef::Key("bad".into()));
    let replay = |force| Operation::Replay { which: which.clone(), force };
    assert_eq!(gateway.delivery.store().operate(replay(false)).await, Ok(1));
    gateway.work().await;
    assert!(messages(&gateway).contains(&"bad true".to_owned()));
    assert!(gateway.delivery.store().operate(replay(false)).await.is_err(), "a success is not repeated unasked");
    let key = |dossier: &Dossier| dossier.jobs.iter().map(|job| job.key.clone()).collect::<Vec<_>>();
    let before = key(&gateway.event("bad").await);
    assert!(gateway.delivery.store().operate(replay(true)).await.is_ok());
    gateway.work().await;
    assert_eq!(messages(&gateway).iter().filter(|text| *text == "bad true").count(), 2);
    let after = key(&gateway.event("bad").await);
    assert!(after.len() == before.len() + 1 && after.starts_with(&before), "a forced replay has new keys");
}

#[tokio::test]
async fn odd_events_are_kept_and_seen() {
    let gateway = gateway(r#"fn on_event(event) { notify("out", `${event.id}: ${event.problem}`) }"#);
    let many: Vec<Value> = (0..50).map(|number| event(&format!("m{number}"), json!({}))).collect();
    let odd = vec![
        event("null-target", json!({ "target": null, "actor": null })),
        event("far-past", json!({ "published": "1970-01-01T00:00:00Z" })),
        event("far-future", json!({ "published": "2999-01-01T00:00:00Z" })),
        event("no-date", json!({ "published": "yesterday" })),
        event("unknown", json!({ "eventType": "brand.new.type", "more": { "a": [1, null] } })),
        json!(7),
        json!("text"),
        json!(null),
        json!({ "uuid": "typeless" }),
        json!({ "uuid": 12, "eventType": 13 }),
    ];
    assert_eq!(gateway.post(delivery("odd", &[odd, many].concat())).await.0, 204);
    gateway.work().await;
    assert_eq!(out(&gateway).len(), 60);
    assert!(gateway.event("far-future").await.event.flags.clock_skew);
    assert!(!gateway.event("far-past").await.event.flags.clock_skew);
    assert_eq!(gateway.event("odd/5").await.event.problem.as_deref(), Some("it is not an object"));
    assert_eq!(gateway.event("typeless").await.event.problem.as_deref(), Some("it has no `eventType`"));
    let metrics = gateway.metrics.encode();
    for (state, count) in [("received", 60), ("clock_skew", 1), ("no_id", 3), ("unreadable", 5)] {
        let line = format!(r#"hookgate_events_total{{route="hook",rule="",state="{state}"}} {count}"#);
        assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn ten_thousand_events_in_one_body_are_kept_together() {
    let gateway = with_rule(TELL, "outcome = [\"FAILURE\"]");
    let events: Vec<Value> = (0..10_000).map(|number| event(&format!("e{number}"), json!({}))).collect();
    assert_eq!(gateway.post(delivery("d1", &events)).await.0, 204);
    let health = gateway.delivery.store().health().await.unwrap();
    assert_eq!(health.waiting, 0, "no rule wants them");
    for key in ["e0", "e9999"] {
        assert_eq!(gateway.event(key).await.event.jobs.len(), 0);
    }
}

#[tokio::test]
async fn nothing_is_done_for_a_preview() {
    let gateway = gateway(TELL);
    let preview = json!({
        "uuid": "p1", "eventType": "user.lifecycle.create", "outcome": { "result": "Success" }, "actor": null,
        "target": null, "debugContext": null, "securityContext": null, "transaction": { "type": null },
    });
    assert_eq!(gateway.post(delivery("d1", &[preview])).await.0, 204);
    gateway.work().await;
    assert_eq!(out(&gateway), Vec::<Value>::new());
    let kept = gateway.event("p1").await;
    assert!(kept.event.flags.preview);
    assert_eq!(jobs(&kept, JobKind::Rule), [(JobState::Done, vec!["done"])]);
    assert_eq!(jobs(&kept, JobKind::Action), [(JobState::Suppressed, vec![])]);
}

#[tokio::test]
async fn rules_do_not_answer_themselves() {
    let gateway = gateway(TELL);
    let events = [
        event("by-app", json!({ "actor": { "id": "0oaOwn", "type": "PublicClientApp" } })),
        event("by-token", json!({ "transaction": { "detail": { "requestApiTokenId": "00TOwn" } } })),
        event("inline", json!({ "eventType": "inline_hook.executed" })),
        event("other", json!({})),
    ];
    assert_eq!(gateway.post(delivery("d1", &events)).await.0, 204);
    gateway.work().await;
    assert_eq!(messages(&gateway), ["other"]);
    assert!(gateway.event("by-app").await.event.flags.own && gateway.event("by-token").await.event.flags.own);
}

#[tokio::test]
async fn an_action_that_nobody_can_do_fails_its_script() {
    let script = r#"fn on_event(event) { let name = "ou" + "tt"; notify(name, "x") }"#;
    let gateway = gateway(script);
    assert_eq!(gateway.post(delivery("d1", &[event("e1", json!({}))])).await.0, 204);
    gateway.work().await;
    let dead = gateway.event("e1").await;
    let last = dead.jobs[0].tries.last().unwrap();
    assert!(last.detail.contains("there is no connector `outt`: did you mean `out`?"), "{}", last.detail);
}

#[tokio::test]
async fn a_rule_that_went_leaves_dead_letters_that_say_so() {
    let gateway = gateway(TELL);
    assert_eq!(gateway.post(delivery("d1", &[event("e1", json!({}))])).await.0, 204);
    let toml = fs::read_to_string(gateway.place.root.join("gateway.toml")).unwrap();
    gateway.write("gateway.toml", &toml.replace("rules.all", "rules.renamed").replace("attempts = 3", "attempts = 1"));
    gateway.reload();
    gateway.delivery.look().await;
    let store = gateway.delivery.store().clone();
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let work =
        tokio::spawn(hookgate_engine::delivery::work::run(gateway.delivery.clone(), stopping, Duration::from_secs(1)));
    let mut seen = Vec::new();
    while seen.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let kept = store.show(EventRef::Key("e1".into())).await.unwrap().unwrap();
        seen = kept.jobs[0].tries.clone();
    }
    assert!(seen[0].detail.contains("the release in force has no rule hook/all"), "{}", seen[0].detail);
    stop.send(true).unwrap();
    work.await.unwrap();
}

#[tokio::test]
async fn a_call_without_the_secret_keeps_nothing() {
    let gateway = gateway(TELL);
    for headers in [vec![], vec![("authorization", "wrong")]] {
        let body = delivery("d1", &[event("e1", json!({}))]);
        assert_eq!(gateway.call(http::Method::POST, "/hook", &headers, body).await.0, 401);
    }
    for body in ["", "{", "[]", "{\"data\":{}}", "{\"data\":{\"events\":7}}"] {
        assert_eq!(
            gateway.call(http::Method::POST, "/hook", &[("authorization", SECRET)], body).await.0,
            400,
            "{body}"
        );
    }
    let page = gateway.delivery.store().list(Query::default()).await.unwrap();
    assert!(page.events.is_empty());
}
