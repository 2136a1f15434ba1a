//! What is remembered of a decision, and what is not.

use std::time::{Duration, Instant};

use hookgate_engine::delivery::upkeep;
use hookgate_hooks::{HOOKS, find};
use hookgate_model::decision::{Capture, Kept, Query, Record};
use serde_json::{Value, json};

use crate::harness::{SECRET, TestGateway, route};

/// All records, oldest first.
async fn records(gateway: &TestGateway) -> Vec<Record> {
    gateway.delivery.records().flush().await;
    let page = gateway.delivery.store().decisions(Query { limit: 500, ..Query::default() }).await.unwrap();
    page.records.into_iter().rev().collect()
}

async fn only(gateway: &TestGateway) -> Record {
    let mut all = records(gateway).await;
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

async fn captured(gateway: &TestGateway) -> Option<Capture> {
    let id = only(gateway).await.id;
    gateway.delivery.store().decision(&id).await.unwrap().unwrap().1
}

fn sample(hook: &str) -> Value {
    serde_json::from_str(find(hook).unwrap().samples[0].request).unwrap()
}

#[tokio::test]
async fn a_decision_says_who_what_and_why() {
    let script = "\nfn on_registration(request) {\n    if request.email.domain == \"x.example\" {\n        reason(\"first\");\n        reason(\"bad_domain\");\n        return [set_profile(\"title\", \"CANARY\"), deny(\"no\")];\n    }\n    allow()\n}\n";
    let script = script.replace("[set_profile(\"title\", \"CANARY\"), deny(\"no\")]", "deny_field(\"email\", \"no\")");
    let gateway = TestGateway::of("okta.registration", "\"allow\"", &script);
    let mut call = sample("okta.registration");
    call["eventId"] = json!("event-1");
    call["data"]["context"]["request"]["id"] = json!("request-1");
    call["data"]["userProfile"] = json!({ "email": "Ann@x.example", "login": "Ann@x.example", "firstName": "CANARY" });
    let (status, reply) = gateway.post(call.to_string()).await;
    assert_eq!(status, 200);
    let record = only(&gateway).await;
    assert_eq!(reply["debugContext"]["decision"], json!(record.id), "the reply points back");
    let told = [record.route.as_str(), &record.hook, &record.outcome];
    assert_eq!(told, ["hook", "okta.registration", "denied"]);
    assert_eq!(record.reason.as_deref(), Some("bad_domain"));
    assert_eq!(record.event_id.as_deref(), Some("event-1"));
    assert_eq!(record.request_id.as_deref(), Some("request-1"));
    assert_eq!(record.subject.login.as_deref(), Some("ann@x.example"));
    assert_eq!(
        record.commands,
        Some(vec![json!({ "deny": { "field": "email", "text": "no", "reason": "INVALID_VALUE" } })])
    );
    let lines = record.lines.clone().unwrap();
    assert_eq!((lines[0].file.as_str(), lines[0].lines.as_slice()), ("scripts/hook.rhai", &[3, 4, 5, 6][..]));
    assert!(record.times.total_us >= record.times.script_us && record.times.script_us > 0, "{:?}", record.times);
    assert_eq!(record.script_hash.as_ref().map(String::len), Some(64));
    assert_eq!((record.status, record.captured), (Some(200), false));
    assert_eq!(record.why(), "hook.rhai decided `denied`, because of `bad_domain` (last line that ran: 6)");
    assert!(!serde_json::to_string(&record).unwrap().contains("CANARY"), "{record:#?}");
    for handle in ["event-1", "request-1", "ann@x.example"] {
        let query = Query { handle: Some(handle.to_owned()), ..Query::default() };
        assert_eq!(gateway.delivery.store().decisions(query).await.unwrap().records.len(), 1, "{handle}");
    }
}

#[tokio::test]
async fn too_many_records_go_within_seconds() {
    let gateway = TestGateway::of("okta.registration", "\"allow\"", "fn on_registration(_request) { allow() }");
    let store = gateway.delivery.store().clone();
    let many = |numbers: std::ops::Range<usize>| {
        let record = |number: usize| Record { id: number.to_string(), at: store.now(), ..Record::default() };
        numbers.map(|number| Kept { record: record(number), capture: None, handles: Vec::new() }).collect()
    };
    let left = async || store.decisions(Query { limit: 500, ..Query::default() }).await.unwrap().records;
    store.record(many(0..20)).await.unwrap();
    let upkeep = tokio::spawn(upkeep::run(gateway.delivery.clone(), Duration::from_hours(24), 5));
    let trimmed = async || {
        let deadline = Instant::now() + Duration::from_secs(60);
        while left().await.len() > 5 {
            assert!(Instant::now() < deadline, "{} records stay", left().await.len());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // The sweep at the start takes these, and the next sweep is ten minutes away.
    trimmed().await;
    store.record(many(20..40)).await.unwrap();
    trimmed().await;
    upkeep.abort();
}

#[tokio::test]
async fn every_sample_of_every_hook_ends_in_a_word_of_its_hook() {
    for hook in HOOKS.iter().filter(|hook| !hook.is_for_events()) {
        for sample in hook.samples {
            if sample.script.contains("via(") {
                continue;
            }
            let gateway = TestGateway::bundle(&route(hook), &[("scripts/hook.rhai", sample.script)]);
            gateway.post(sample.request).await;
            let record = only(&gateway).await;
            assert_eq!(record.failure, None, "{} {}", hook.name, sample.name);
            let words: Vec<&str> = hook.recorded.outcomes.iter().map(|(word, _)| *word).collect();
            assert!(words.contains(&record.outcome.as_str()), "{} {}: {}", hook.name, sample.name, record.outcome);
            assert!(record.effect.is_some() && record.commands.is_some() && record.lines.is_some(), "{record:#?}");
            // A client that signs in for itself is nobody, and of one assertion nobody is said to be in it.
            let nobody = record.subject.id.is_none() && record.subject.login.is_none();
            let unnamed =
                [("okta.token", "client_credentials"), ("okta.saml", "no_opinion")].contains(&(hook.name, sample.name));
            assert_eq!(nobody, unnamed, "{} {}", hook.name, sample.name);
        }
    }
}

#[tokio::test]
async fn what_failed_and_what_was_refused_says_where_and_why() {
    let gateway = TestGateway::of("okta.registration", "\"allow\"", "fn on_registration(request) {\n  1 + request\n}");
    gateway.post(sample("okta.registration").to_string()).await;
    gateway.call(http::Method::POST, "/hook", &[("authorization", "wrong")], "{}").await;
    gateway.call(http::Method::POST, "/nowhere", &[("authorization", SECRET)], "{}").await;
    gateway.post("no json").await;
    let all = records(&gateway).await;
    let told: Vec<(&str, &str, &str)> = all
        .iter()
        .map(|record| {
            let reason = record.failure.as_ref().map(|failure| failure.reason.as_str()).unwrap_or_default();
            (record.route.as_str(), record.outcome.as_str(), reason)
        })
        .collect();
    let (auth, nowhere) = (told[1].2, told[2].2);
    assert_eq!(told[0], ("hook", "failed", "script_error"));
    assert_eq!((told[1].0, told[1].1, told[2].0, told[2].1), ("hook", "refused", "", "refused"));
    assert!(auth != nowhere && !auth.is_empty() && told[3].1 == "refused", "{told:?}");
    let failure = all[0].failure.clone().unwrap();
    assert_eq!((failure.file.as_deref(), failure.line), (Some("scripts/hook.rhai"), Some(2)), "{failure:?}");
    assert!(all[0].why().contains("scripts/hook.rhai:2, so the declared answer was given"), "{}", all[0].why());
}

#[tokio::test]
async fn a_rule_leaves_a_record_for_each_run() {
    let script = r#"fn on_event(event) { reason("joined"); if event.target("User").login == "dora@corp.example" { post("hr", "/x", #{ secret: "CANARY" }) } }"#;
    let connector = "[connectors.hr]\nkind = \"http\"\nbase_url = \"http://127.0.0.1:9\"\nallow_private = true\n";
    let config = format!(
        "[auth.test]\nscheme = \"header\"\nsecrets = [{{ file = \"secret\" }}]\n{connector}\n[routes.hook]\npath = \"/hook\"\nhook = \"okta.event\"\nauth = \"test\"\n\
         [routes.hook.rules.watch]\nevents = [\"*\"]\nscript = \"hook.rhai\"\n[routes.hook.rules.quiet]\nevents = [\"*\"]\nscript = \"quiet.rhai\"\n"
    );
    let files = [("scripts/hook.rhai", script), ("scripts/quiet.rhai", "fn on_event(event) { }")];
    let gateway = TestGateway::bundle(&config, &files);
    gateway.post(sample("okta.event").to_string()).await;
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let work =
        tokio::spawn(hookgate_engine::delivery::work::run(gateway.delivery.clone(), stopping, Duration::from_secs(5)));
    let mut all = Vec::new();
    for _ in 0..1_000 {
        all = records(&gateway).await;
        if all.len() >= 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.send(true).unwrap();
    work.await.unwrap();
    all.sort_by(|left, right| right.rule.cmp(&left.rule));
    let told =
        |record: &Record| (record.rule.clone().unwrap(), record.outcome.clone(), record.attempt, record.actions.len());
    assert_eq!(told(&all[0]), ("watch".to_owned(), "acted".to_owned(), Some(1), 1));
    assert_eq!(told(&all[1]), ("quiet".to_owned(), "nothing".to_owned(), Some(1), 0));
    assert_eq!(all[0].subject.login.as_deref(), Some("dora@corp.example"));
    assert_eq!(all[0].reason.as_deref(), Some("joined"));
    assert_eq!((all[0].actions[0].name.as_str(), all[0].actions[0].connector.as_str()), ("post", "hr"));
    assert!(all[0].event.is_some() && all[0].event == all[1].event);
    assert!(!serde_json::to_string(&all).unwrap().contains("CANARY"));
}

#[tokio::test]
async fn nothing_secret_is_captured() {
    for hook in HOOKS.iter().filter(|hook| !hook.is_for_events()) {
        let name = hook.name;
        let script = format!("fn {}(request) {{ }}", hook.entry);
        let gateway =
            TestGateway::bundle(&format!("{}capture = true\n", route(hook)), &[("scripts/hook.rhai", &script)]);
        let mut call = sample(name);
        call["CANARY-top"] = json!("CANARY-top");
        call["data"]["accessToken"] = json!("CANARY-token");
        for path in hook.recorded.secret {
            let pointer = format!("/{}", path.join("/"));
            let parent = pointer.rsplit_once('/').unwrap();
            if let Some(parent_value) = call.pointer_mut(parent.0).filter(|value| value.is_object()) {
                parent_value[parent.1] = json!("CANARY-secret");
            }
        }
        if call["data"]["userProfile"].is_object() {
            call["data"]["userProfile"]["api_token"] = json!("CANARY-attribute");
        }
        gateway.post(call.to_string()).await;
        let capture = captured(&gateway).await.expect("it was captured");
        assert_eq!(capture.request["eventId"], call["eventId"], "{name}");
        let text = serde_json::to_string(&capture.request).unwrap().replace("\"CANARY-top\":\"***\"", "");
        assert!(!text.contains("CANARY"), "{name}: {text}");
        assert!(!capture.redacted.is_empty(), "{name}");
        // What is left is still a call of the hook.
        assert!((hook.decode)(&capture.request.to_string().into()).is_ok(), "{name}: {text}");
    }
}

#[tokio::test]
async fn a_route_says_what_it_captures() {
    let script = "fn on_registration(request) { }";
    let with =
        |capture: &str| TestGateway::with("okta.registration", "\"allow\"", script, &format!("capture = {capture}"));
    let call = sample("okta.registration").to_string();
    for none in ["false"] {
        let gateway = with(none);
        gateway.post(call.clone()).await;
        assert_eq!(captured(&gateway).await, None);
    }
    let gateway = with("{ redact = [\"data.userProfile.email\"], keep_days = 2 }");
    gateway.post(call.clone()).await;
    let capture = captured(&gateway).await.unwrap();
    assert_eq!(capture.request["data"]["userProfile"]["email"], "***");
    let days = (capture.until - jiff::Timestamp::now().as_millisecond()) as f64 / 86_400_000.0;
    assert!((1.9..2.1).contains(&days), "{days}");
    let gateway = with("{ max_bytes = 10 }");
    gateway.post(call).await;
    let capture = captured(&gateway).await.unwrap();
    assert!(capture.too_large && capture.request.is_null(), "{capture:?}");
}

#[tokio::test]
async fn logins_are_hashed_where_that_is_wanted() {
    let config = "[store]\nhash_subjects = true\n\n[auth.test]\nscheme = \"header\"\nsecrets = [{ file = \"secret\" }]\n\n\
         [routes.hook]\npath = \"/hook\"\nhook = \"okta.registration\"\nscript = \"hook.rhai\"\nauth = \"test\"\non_failure = \"allow\"\n";
    let gateway = TestGateway::bundle(config, &[("scripts/hook.rhai", "fn on_registration(request) { }")]);
    for (id, login) in [("1", "ann@x.example"), ("2", "ANN@x.example"), ("3", "bob@x.example")] {
        let mut call = sample("okta.registration");
        call["eventId"] = json!(id);
        call["data"]["userProfile"]["login"] = json!(login);
        gateway.post(call.to_string()).await;
    }
    let all = records(&gateway).await;
    let logins: Vec<&str> = all.iter().filter_map(|record| record.subject.login.as_deref()).collect();
    assert!(logins.len() == 3 && logins[0] == logins[1] && logins[0] != logins[2], "{logins:?}");
    assert!(logins.iter().all(|login| login.starts_with('~') && !login.contains("ann")), "{logins:?}");
    let names = hookgate_engine::records::subject::names(&**gateway.delivery.store(), "Ann@X.example").await.unwrap();
    assert!(names.iter().any(|name| name == logins[0]), "{names:?}");
    let database = std::fs::read(gateway.place.root.join("data/hookgate.db-wal")).unwrap();
    let needle = b"ann@x.example";
    assert!(!database.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle)));
}

#[tokio::test]
async fn what_is_over_the_budget_is_counted_and_failures_go_first() {
    let config = "[store]\ndecisions_per_second = 8\n\n[auth.test]\nscheme = \"header\"\nsecrets = [{ file = \"secret\" }]\n\n\
         [routes.hook]\npath = \"/hook\"\nhook = \"okta.registration\"\nscript = \"hook.rhai\"\nauth = \"test\"\non_failure = \"allow\"\n";
    let script = r#"fn on_registration(request) { if request.email.local == "bad" { deny("no") } else { allow() } }"#;
    let gateway = TestGateway::bundle(config, &[("scripts/hook.rhai", script)]);
    let call = |number: usize, email: &str| {
        let mut call = sample("okta.registration");
        call["eventId"] = json!(format!("{email}-{number}"));
        call["data"]["userProfile"]["email"] = json!(email);
        call.to_string()
    };
    let started = std::time::Instant::now();
    for number in 0..200 {
        gateway.post(call(number, "good@x.example")).await;
    }
    for number in 0..2 {
        gateway.post(call(number, "bad@x.example")).await;
    }
    let seconds = started.elapsed().as_secs() as usize + 2;
    let all = records(&gateway).await;
    let denied = all.iter().filter(|record| record.outcome == "denied").count();
    assert_eq!(denied, 2, "they had room of their own");
    assert!(all.len() <= 8 * seconds, "{} in {seconds} s", all.len());
    let counts: std::collections::BTreeMap<_, _> = gateway.delivery.records().counts().into_iter().collect();
    assert_eq!(counts["kept"] + counts["over_budget"], 202, "{counts:?}");
    let metrics = gateway.metrics.encode();
    assert!(metrics.contains("hookgate_decisions_total{result=\"over_budget\"}"), "{metrics}");
}

#[tokio::test]
async fn watchers_see_records_as_they_are_made() {
    let gateway = TestGateway::of("okta.registration", "\"allow\"", "fn on_registration(request) { }");
    let mut watcher = gateway.delivery.records().watch();
    gateway.post(sample("okta.registration").to_string()).await;
    let seen = tokio::time::timeout(Duration::from_secs(10), watcher.recv()).await.unwrap().unwrap();
    assert_eq!(seen.id, only(&gateway).await.id);
}
