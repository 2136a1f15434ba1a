//! What stays in order, what goes out later, once, or together.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hookgate_store::{JobKind, JobState};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::events::{TELL, delivery, event, gateway, jobs, messages, out, with_rule};
use crate::harness::TestGateway;

#[tokio::test]
async fn events_of_one_user_run_in_order_and_others_do_not_wait() {
    let gateway = with_rule(TELL, "order_by = \"actor.id\"\nhold_ms = 300");
    let by = |actor: &str, id: &str, second: u32| {
        event(id, json!({ "actor": { "id": actor }, "published": format!("2026-03-02T08:30:{second:02}Z") }))
    };
    // The later one comes first.
    assert_eq!(gateway.post(delivery("d1", &[by("ann", "second", 20)])).await.0, 204);
    assert_eq!(gateway.post(delivery("d2", &[by("ann", "first", 10), by("bob", "other", 5)])).await.0, 204);
    assert_eq!(gateway.post(delivery("d3", &[by("ann", "third", 30)])).await.0, 204);
    gateway.work().await;
    let told = messages(&gateway);
    let of_ann: Vec<&String> = told.iter().filter(|text| *text != "other").collect();
    assert_eq!(of_ann, ["first", "second", "third"]);
    assert_eq!(told.len(), 4);
}

/// Answers `DELETE` with 503 as long as it is told to, and notes which methods were answered with 204, by path.
async fn receiver(down: Arc<AtomicBool>) -> (u16, Arc<Mutex<Vec<String>>>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (done, refused): (Arc<Mutex<Vec<String>>>, Arc<AtomicUsize>) = Default::default();
    let (noted, counted) = (done.clone(), refused.clone());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut chunk = [0; 4096];
            let count = stream.read(&mut chunk).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&chunk[..count]);
            let line = request.lines().next().unwrap_or_default().replace(" HTTP/1.1", "");
            let refuses = line.starts_with("DELETE") && down.load(Ordering::SeqCst);
            if refuses {
                counted.fetch_add(1, Ordering::SeqCst);
            } else {
                noted.lock().unwrap().push(line);
            }
            let status = if refuses { "503 Later" } else { "204 Done" };
            let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, done, refused)
}

/// Two rules of one order: one takes away, one gives back and greets.
fn joiners_and_leavers(port: u16, retry: &str) -> TestGateway {
    let config = format!(
        r#"
[auth.test]
scheme = "header"
secrets = [{{ file = "secret" }}]
[connectors.scim]
kind = "http"
base_url = "http://127.0.0.1:{port}"
allow_private = true
retry = {retry}
[routes.hook]
path = "/hook"
hook = "okta.event"
auth = "test"
[routes.hook.rules.off]
events = ["user.lifecycle.deactivate"]
script = "off.rhai"
order_by = "target.User.id"
hold_ms = 0
[routes.hook.rules.on]
events = ["user.lifecycle.activate"]
script = "on.rhai"
order_by = "target.User.id"
hold_ms = 0
"#
    );
    let off = r#"fn on_event(event) { delete("scim", `/${event.target("User").id}`) }"#;
    let on = r#"fn on_event(event) {
        let user = event.target("User").id;
        [put("scim", `/${user}`, #{}), post("scim", `/${user}/greet`, #{})]
    }"#;
    TestGateway::bundle(&config, &[("scripts/off.rhai", off), ("scripts/on.rhai", on)])
}

fn of_user(user: &str, kind: &str, second: u32) -> serde_json::Value {
    let more = json!({
        "eventType": format!("user.lifecycle.{kind}"), "target": [{ "id": user, "type": "User" }],
        "published": format!("2026-03-02T08:30:{second:02}Z"),
    });
    event(&format!("{user}-{kind}"), more)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_one_user_reaches_a_connector_in_order() {
    let down = Arc::new(AtomicBool::new(true));
    let (port, done, refused) = receiver(down.clone()).await;
    let gateway = joiners_and_leavers(port, "{ attempts = 50, first_ms = 200, most_ms = 200 }");
    assert_eq!(gateway.post(delivery("d1", &[of_user("ann", "deactivate", 1)])).await.0, 204);
    let later = async {
        while refused.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let events = [of_user("ann", "activate", 2), of_user("bob", "activate", 3)];
        assert_eq!(gateway.post(delivery("d2", &events)).await.0, 204);
        gateway.delivery.wake();
        while done.lock().unwrap().len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(*done.lock().unwrap(), ["PUT /bob", "POST /bob/greet"], "others do not wait");
        down.store(false, Ordering::SeqCst);
    };
    tokio::join!(gateway.work(), later);
    assert_eq!(done.lock().unwrap()[2..], ["DELETE /ann", "PUT /ann", "POST /ann/greet"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_action_holds_nobody() {
    let (port, done, refused) = receiver(Arc::new(AtomicBool::new(true))).await;
    let gateway = joiners_and_leavers(port, "{ attempts = 2, first_ms = 1, most_ms = 1 }");
    let events = [of_user("ann", "deactivate", 1), of_user("ann", "activate", 2)];
    assert_eq!(gateway.post(delivery("d1", &events)).await.0, 204);
    gateway.work().await;
    assert_eq!(*done.lock().unwrap(), ["PUT /ann", "POST /ann/greet"]);
    assert_eq!(refused.load(Ordering::SeqCst), 2);
    assert_eq!(jobs(&gateway.event("ann-deactivate").await, JobKind::Action)[0].0, JobState::Dead);
}

#[tokio::test]
async fn an_action_may_wait() {
    let gateway = gateway(r#"fn on_event(event) { notify("out", "x").after("400ms") }"#);
    let started = Instant::now();
    assert_eq!(gateway.post(delivery("d1", &[event("e1", json!({}))])).await.0, 204);
    gateway.work().await;
    assert!(started.elapsed() >= Duration::from_millis(400), "{:?}", started.elapsed());
    assert_eq!(messages(&gateway), ["x"]);
}

#[tokio::test]
async fn a_key_goes_out_once_within_its_time() {
    let gateway = gateway(r#"fn on_event(event) { notify("out", event.id).once(event.actor.id, "1h") }"#);
    let by = |actor: &str, id: &str| event(id, json!({ "actor": { "id": actor } }));
    let events = [by("ann", "a1"), by("ann", "a2"), by("bob", "b1"), by("ann", "a3")];
    assert_eq!(gateway.post(delivery("d1", &events)).await.0, 204);
    gateway.work().await;
    let told = messages(&gateway);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.contains(&"b1".to_owned()));
    let mut suppressed = 0;
    for id in ["a1", "a2", "a3"] {
        let kept = gateway.event(id).await;
        suppressed += usize::from(jobs(&kept, JobKind::Action)[0].0 == JobState::Suppressed);
        let note = kept.jobs.iter().find_map(|job| job.note.clone());
        assert!(note.is_none_or(|note| note.contains("once")), "it says why");
    }
    assert_eq!(suppressed, 2);
}

#[tokio::test]
async fn a_digest_is_one_message_with_the_count() {
    let gateway = gateway(r#"fn on_event(event) { notify("out", event.id).digest("joins", "400ms") }"#);
    let events: Vec<_> = (0..25).map(|number| event(&format!("e{number}"), json!({}))).collect();
    assert_eq!(gateway.post(delivery("d1", &events)).await.0, 204);
    gateway.work().await;
    let lines = out(&gateway);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].to_string().contains("25"), "{}", lines[0]);
    for id in ["e0", "e24"] {
        assert_eq!(jobs(&gateway.event(id).await, JobKind::Action)[0].0, JobState::Done, "{id}");
    }
}
