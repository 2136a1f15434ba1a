//! Steps that wait: done only if the user is still in the state that they are meant for, and a report of what came of them.

use std::sync::{Arc, Mutex};

use hookgate_store::{JobKind, JobState};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::events::{delivery, event, jobs, out};
use crate::harness::TestGateway;

/// An org and an application at one port. What is asked of users is answered as `state` says: a status, `404` or `500`;
/// paths below `/broken` are refused. The requests that change something are noted.
async fn server(state: Arc<Mutex<&'static str>>) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let changed: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = changed.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut chunk = [0; 4096];
            let count = stream.read(&mut chunk).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&chunk[..count]);
            let line = request.lines().next().unwrap_or_default().replace(" HTTP/1.1", "");
            let now = *state.lock().unwrap();
            let (status, body) = match (line.starts_with("GET"), now) {
                (true, "404") => ("404 Not Found", json!({ "errorCode": "E0000007" }).to_string()),
                (true, "500") => ("500 Broken", String::new()),
                (true, state) => ("200 OK", json!({ "id": "00u1", "status": state }).to_string()),
                (false, _) => {
                    seen.lock().unwrap().push(line.clone());
                    (if line.contains("/broken") { "422 No" } else { "204 Done" }, String::new())
                }
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, changed)
}

/// Who calls, what is outside, and the route, to which lines may be added.
fn route(port: u16) -> String {
    format!(
        r#"
[auth.test]
scheme = "header"
secrets = [{{ file = "secret" }}]
[connectors.out]
kind = "file"
path = "out.jsonl"
[connectors.vpn]
kind = "http"
base_url = "http://127.0.0.1:{port}"
allow_private = true
retry = {{ attempts = 3, first_ms = 1, most_ms = 10 }}
[connectors.org]
kind = "okta"
org_url = "http://127.0.0.1:{port}"
token = {{ file = "secret" }}
allow_private = true
[routes.hook]
path = "/hook"
hook = "okta.event"
auth = "test"
"#
    )
}

fn gateway(port: u16, script: &str) -> TestGateway {
    let route = route(port);
    let config = format!(
        r#"
{route}
script = "hook.rhai"
"#
    );
    TestGateway::bundle(&config, &[("scripts/hook.rhai", script)])
}

const STEP: &str = r#"fn on_event(event) {
    delete("vpn", "/users/7").only_while("org", event.target("User").id, ["DEPROVISIONED", "GONE"])
}"#;

#[tokio::test]
async fn a_step_is_done_only_in_the_state_that_it_is_for() {
    for (state, end, tries, changed) in [
        ("DEPROVISIONED", JobState::Done, vec!["done"], 1),
        ("404", JobState::Done, vec!["done"], 1),
        ("ACTIVE", JobState::Done, vec!["left_out"], 0),
        ("500", JobState::Dead, vec!["not_delivered"; 3], 0),
    ] {
        let (port, asked) = server(Arc::new(Mutex::new(state))).await;
        let gateway = gateway(port, STEP);
        assert_eq!(gateway.post(delivery("d1", &[event("e1", json!({}))])).await.0, 204);
        gateway.work().await;
        let kept = gateway.event("e1").await;
        assert_eq!(jobs(&kept, JobKind::Action), [(end, tries)], "{state}");
        assert_eq!(asked.lock().unwrap().len(), changed, "{state}");
        if state == "ACTIVE" {
            let detail = &kept.jobs.iter().find(|job| job.kind == JobKind::Action).unwrap().tries[0].detail;
            assert!(detail.contains("the user is ACTIVE by now"), "{detail}");
        }
    }
}

#[tokio::test]
async fn what_is_read_is_the_state_of_that_moment() {
    let state = Arc::new(Mutex::new("DEPROVISIONED"));
    let (port, asked) = server(state.clone()).await;
    // The script asks, too: what it is told is kept by the cache for a minute, and must not count.
    let script = r#"fn on_event(event) {
        let user = okta("org").user("00u1");
        if user.status != "DEPROVISIONED" { return; }
        delete("vpn", "/users/7").after("700ms").only_while("org", "00u1", ["DEPROVISIONED"])
    }"#;
    let gateway = gateway(port, script);
    assert_eq!(gateway.post(delivery("d1", &[event("e1", json!({}))])).await.0, 204);
    let back = async {
        tokio::time::sleep(std::time::Duration::from_millis(350)).await;
        *state.lock().unwrap() = "ACTIVE";
    };
    tokio::join!(gateway.work(), back);
    assert_eq!(jobs(&gateway.event("e1").await, JobKind::Action), [(JobState::Done, vec!["left_out"])]);
    assert_eq!(asked.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn a_report_says_what_came_of_the_others() {
    let (port, _) = server(Arc::new(Mutex::new("ACTIVE"))).await;
    let script = r#"fn on_event(event) { [
        delete("vpn", "/users/7"),
        delete("vpn", "/broken/7"),
        delete("vpn", "/users/8").only_while("org", "00u1", ["SUSPENDED"]),
        delete("vpn", "/users/9").after("1h"),
        notify("out", "Ann has left").after("600ms").with_results(),
    ] }"#;
    let gateway = gateway(port, script);
    assert_eq!(gateway.post(delivery("d1", &[event("e1", json!({}))])).await.0, 204);
    let told = async {
        for _ in 0..200 {
            if !out(&gateway).is_empty() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::select! { () = told => {}, () = gateway.work() => {} }
    let lines = out(&gateway);
    let text = lines[0]["message"].as_str().unwrap().lines().collect::<Vec<_>>();
    assert_eq!(text.len(), 5, "{text:?}");
    assert_eq!(text[0], "Ann has left");
    assert_eq!(text[1], "- vpn delete /users/7: done, 204");
    assert!(text[2].starts_with("- vpn delete /broken/7: FAILED after 1 try: "), "{}", text[2]);
    assert!(text[3].starts_with("- vpn delete /users/8: not done: the user is ACTIVE by now"), "{}", text[3]);
    assert_eq!(text[4], "- vpn delete /users/9: not yet due");
}

/// The script that ships, with these lines in its parameters.
fn shipped(port: u16, parameters: &str) -> TestGateway {
    let route = route(port);
    let config = format!(
        r#"
[connectors.pager]
kind = "file"
path = "pager.jsonl"
{route}
[routes.hook.rules.leave]
events = ["user.lifecycle.*"]
script = "deprovision.rhai"
order_by = "target.User.id"
hold_ms = 1
[routes.hook.rules.leave.params]
dry_run = false
okta = "org"
report = "out"
page = "pager"
{parameters}
"#
    );
    let files = [
        ("scripts/deprovision.rhai", include_str!("../../../scripts/deprovision.rhai")),
        ("scripts/lib/people.rhai", include_str!("../../../scripts/lib/people.rhai")),
        ("scripts/lib/steps.rhai", include_str!("../../../scripts/lib/steps.rhai")),
    ];
    TestGateway::bundle(&config, &files)
}

fn leaving(id: &str, kind: &str, user: &str) -> serde_json::Value {
    let target = json!([{ "id": user, "type": "User", "alternateId": format!("{user}@corp.example") }]);
    event(id, json!({ "eventType": format!("user.lifecycle.{kind}"), "target": target }))
}

#[tokio::test]
async fn the_script_for_leavers_goes_on_after_a_failed_step_and_a_restart_and_reports() {
    let (port, asked) = server(Arc::new(Mutex::new("DEPROVISIONED"))).await;
    let steps = r#"report_after = "900ms"
steps = [
    { name = "vpn", connector = "vpn", verb = "delete", path = "/vpn/{login}" },
    { name = "git", connector = "vpn", verb = "delete", path = "/broken/{id}" },
    { name = "chat", connector = "vpn", verb = "post", path = "/chat/{id}" },
    { name = "mail", connector = "vpn", verb = "delete", path = "/mail/{id}", grace = "400ms" },
]"#;
    let gateway = shipped(port, steps);
    let one = [leaving("e1", "deactivate", "00u1")];
    assert_eq!(gateway.post(delivery("d1", &one)).await.0, 204);
    // Okta says it twice, and once more under another id.
    assert_eq!(gateway.post(delivery("d2", &one)).await.0, 204);
    assert_eq!(gateway.post(delivery("d3", &[leaving("e2", "deactivate", "00u1")])).await.0, 204);
    let gateway = gateway.restarted().await;
    gateway.work().await;
    let mut requests = asked.lock().unwrap().clone();
    requests.sort();
    assert_eq!(
        requests,
        ["DELETE /broken/00u1", "DELETE /mail/00u1", "DELETE /vpn/00u1%40corp.example", "POST /chat/00u1"],
        "each once, also those behind the one that failed"
    );
    let told = out(&gateway);
    assert_eq!(told.len(), 1, "{told:?}");
    let text = told[0]["message"].as_str().unwrap();
    for part in ["/vpn/00u1%40corp.example: done, 204", "/broken/00u1: FAILED after 1 try", "/mail/00u1: done, 204"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn the_script_for_leavers_stops_at_its_cap_and_wakes_people_once() {
    let (port, asked) = server(Arc::new(Mutex::new("DEPROVISIONED"))).await;
    let steps = r#"max_per_hour = 5
report_after = "1ms"
steps = [{ name = "vpn", connector = "vpn", verb = "delete", path = "/vpn/{id}" }]"#;
    let gateway = shipped(port, steps);
    let users: Vec<String> = (0..60).map(|number| format!("00u{number}")).collect();
    let events: Vec<_> = users.iter().map(|user| leaving(&format!("e-{user}"), "deactivate", user)).collect();
    assert_eq!(gateway.post(delivery("d1", &events)).await.0, 204);
    // What is not done is told in one digest, minutes later: nobody waits for it here.
    let woken = async {
        for _ in 0..600 {
            let health = gateway.delivery.health();
            let pages = std::fs::read_to_string(gateway.place.root.join("pager.jsonl")).unwrap_or_default();
            if out(&gateway).len() == 5 && !pages.is_empty() && health.running == 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::select! { () = woken => {}, () = gateway.work() => {} }
    assert_eq!(asked.lock().unwrap().len(), 5);
    let pages = std::fs::read_to_string(gateway.place.root.join("pager.jsonl")).unwrap_or_default();
    assert_eq!(pages.lines().count(), 1, "{pages}");
    assert!(pages.contains("more than 5 users leave within an hour"), "{pages}");
}
