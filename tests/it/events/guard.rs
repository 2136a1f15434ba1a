//! What takes something away goes out as often as the guard of its connector says, and never against those it protects.

use std::sync::{Arc, Mutex};

use hookgate_store::{EventRef, JobKind, JobState, Operation, Selection};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::events::{delivery, event, jobs, out};
use crate::harness::TestGateway;

/// A server that takes everything, and the first lines of what it got. Whoever asks for a user is told of `00uRoot`.
async fn server() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = String::new();
            while !request.contains("\r\n\r\n") {
                let mut chunk = [0; 4096];
                match stream.read(&mut chunk).await {
                    Ok(count) if count > 0 => request += &String::from_utf8_lossy(&chunk[..count]),
                    _ => break,
                }
            }
            let line = request.lines().next().unwrap_or_default().replace(" HTTP/1.1", "");
            let id = if line.contains("root") { "00uRoot" } else { "00uOther" };
            let body = json!({ "id": id, "status": "ACTIVE", "profile": { "login": format!("{id}@example.com") } });
            let body = if line.starts_with("GET") { body.to_string() } else { String::new() };
            seen.lock().unwrap().push(line);
            let answer =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, asked)
}

fn gateway(port: u16, guard: &str, script: &str) -> TestGateway {
    let config = format!(
        r#"
[auth.test]
scheme = "header"
secrets = [{{ file = "secret" }}]
[connectors.out]
kind = "file"
path = "out.jsonl"
[connectors.hr]
kind = "http"
base_url = "http://127.0.0.1:{port}"
allow_private = true
guard = {guard}
[connectors.org]
kind = "okta"
org_url = "http://127.0.0.1:{port}"
token = {{ file = "secret" }}
allow_private = true
guard = {guard}
[routes.hook]
path = "/hook"
hook = "okta.event"
auth = "test"
script = "hook.rhai"
"#
    );
    TestGateway::bundle(&config, &[("scripts/hook.rhai", script)])
}

async fn sent(gateway: &TestGateway, ids: impl Iterator<Item = usize>) {
    for id in ids {
        let one = [event(&format!("e{id}"), json!({}))];
        assert_eq!(gateway.post(delivery(&format!("d{id}"), &one)).await.0, 204);
    }
    gateway.work().await;
}

/// How the only action of each event ended.
async fn ends(gateway: &TestGateway, ids: impl Iterator<Item = usize>) -> Vec<(JobState, Vec<String>)> {
    let mut ends = Vec::new();
    for id in ids {
        let kept = gateway.event(&format!("e{id}")).await;
        let found = jobs(&kept, JobKind::Action);
        ends.extend(found.into_iter().map(|(state, tries)| (state, tries.into_iter().map(str::to_owned).collect())));
    }
    ends
}

fn count(ends: &[(JobState, Vec<String>)], state: JobState, result: &str) -> usize {
    ends.iter().filter(|end| **end == (state, vec![result.to_owned()])).count()
}

#[tokio::test]
async fn a_rule_gone_wild_is_stopped_at_the_number_of_an_hour() {
    let (port, asked) = server().await;
    let script = r#"fn on_event(event) { delete("hr", `/people/${event.id}`) }"#;
    let gateway = gateway(port, r#"{ max_per_hour = 3, alert = "out" }"#, script);
    sent(&gateway, 0..40).await;
    let found = ends(&gateway, 0..40).await;
    assert_eq!((count(&found, JobState::Done, "done"), count(&found, JobState::Dead, "guard")), (3, 37));
    assert_eq!(asked.lock().unwrap().len(), 3, "exactly, however many are in work");
    let told = out(&gateway);
    assert_eq!(told.len(), 1, "one message an hour: {told:?}");
    let text = told[0].to_string();
    assert!(text.contains("more than 3 that take something away") && text.contains("hr"), "{text}");
    // Another process knows what the last one counted.
    let gateway = gateway.restarted().await;
    sent(&gateway, 40..45).await;
    assert_eq!(count(&ends(&gateway, 40..45).await, JobState::Dead, "guard"), 5);
    assert_eq!((asked.lock().unwrap().len(), out(&gateway).len()), (3, 1));
    // A replay is one more request to do it, and the hour is not over.
    let dead = ends(&gateway, 0..40).await.iter().position(|(state, _)| *state == JobState::Dead).unwrap();
    let which = Selection::One(EventRef::Key(format!("e{dead}")));
    gateway.delivery.store().operate(Operation::Replay { which, force: false }).await.unwrap();
    gateway.work().await;
    assert_eq!(asked.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn what_takes_nothing_away_is_not_counted() {
    let (port, asked) = server().await;
    let script = r#"fn on_event(event) {
        [post("hr", "/a", ()), add_to_group("org", "00u1", "00g1"), unsuspend_user("org", "00u1")]
    }"#;
    let gateway = gateway(port, r#"{ max_per_hour = 1, protect = ["00u1"] }"#, script);
    sent(&gateway, 0..3).await;
    assert_eq!(count(&ends(&gateway, 0..3).await, JobState::Done, "done"), 9);
    assert_eq!(asked.lock().unwrap().len(), 9);
}

#[tokio::test]
async fn a_protected_account_is_never_touched_under_any_name() {
    for (action, dead) in [
        (r#"suspend_user("org", "00uRoot")"#, true),
        (r#"suspend_user("org", "root")"#, true),
        (r#"clear_sessions("org", "ROOT@example.com")"#, true),
        (r#"delete("hr", "/people/00uroot/keys")"#, true),
        (r#"suspend_user("org", "00uOther")"#, false),
    ] {
        let (port, asked) = server().await;
        let script = format!("fn on_event(_event) {{ {action} }}");
        let gateway = gateway(port, r#"{ protect = ["00uRoot", "root@example.com"] }"#, &script);
        sent(&gateway, 0..1).await;
        let (state, result) = if dead { (JobState::Dead, "protected") } else { (JobState::Done, "done") };
        assert_eq!(count(&ends(&gateway, 0..1).await, state, result), 1, "{action}");
        let changes = asked.lock().unwrap().iter().filter(|line| !line.starts_with("GET")).count();
        assert_eq!(changes, usize::from(!dead), "{action}");
    }
    let (port, _) = server().await;
    let gateway =
        gateway(port, r#"{ protect = ["00uRoot"] }"#, r#"fn on_event(_event) { suspend_user("org", "00uX") }"#);
    gateway.write("gateway.toml", &gateway_toml_without_server(&gateway));
    gateway.reload();
    sent(&gateway, 0..1).await;
    let kept = gateway.event("e0").await;
    let found: Vec<Value> = jobs(&kept, JobKind::Action).into_iter().map(|(_, tries)| json!(tries)).collect();
    assert_eq!(found[0][0], json!("guard_unknown"), "what cannot be seen is not done");
}

/// The same with nobody where the org was, and one try.
fn gateway_toml_without_server(gateway: &TestGateway) -> String {
    let text = std::fs::read_to_string(gateway.place.root.join("gateway.toml")).unwrap();
    let org = text.find("org_url = ").unwrap();
    let end = org + text[org..].find('\n').unwrap();
    format!("{}org_url = \"http://127.0.0.1:1\"\nretry = {{ attempts = 1 }}{}", &text[..org], &text[end..])
}

#[test]
fn an_alert_goes_to_a_connector_that_takes_it() {
    for (alert, part) in [("nobody", "there is no connector `nobody`"), ("org", "takes no `notify`")] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("scripts")).unwrap();
        std::fs::write(root.join("secret"), "x").unwrap();
        std::fs::write(root.join("scripts/hook.rhai"), "fn on_event(event) { suspend_user(\"org\", event.id) }")
            .unwrap();
        let config = format!(
            "[auth.test]\nscheme = \"header\"\nsecrets = [{{ file = \"secret\" }}]\n[connectors.org]\nkind = \"okta\"\n\
             org_url = \"https://example.okta.com\"\ntoken = {{ file = \"secret\" }}\nguard = {{ alert = \"{alert}\" }}\n\
             [routes.hook]\npath = \"/hook\"\nhook = \"okta.event\"\nauth = \"test\"\nscript = \"hook.rhai\"\n"
        );
        std::fs::write(root.join("gateway.toml"), config).unwrap();
        let place = hookgate_engine::release::bundle::Place::of(&root.join("gateway.toml"));
        let secrets = hookgate_engine::release::build::Secrets::Check;
        let metrics = hookgate_engine::telemetry::metrics::Metrics::new();
        let findings = hookgate_engine::release::build::check(&place, secrets, &metrics).err().expect("a finding");
        assert!(findings.iter().any(|finding| finding.message.contains(part)), "{findings:#?}");
    }
}
