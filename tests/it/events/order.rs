//! What stays in order, what goes out later, once, or together.

use std::time::{Duration, Instant};

use hookgate::store::{JobKind, JobState};
use serde_json::json;

use crate::events::{TELL, delivery, event, gateway, jobs, messages, out, with_rule};

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
